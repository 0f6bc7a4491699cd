//! What was typed and cannot be read: the parser's explanation in this program's form, one line and a hint.
use crate::arguments::Cli;
use clap::CommandFactory;
use clap::error::ErrorKind as Usage;
use mainstem::Error;
use mainstem_core::ErrorKind;

/// The error for what the parser refused; none where it was asked for help or the version, which are answers.
pub fn error(refused: &clap::Error, typed: &[String]) -> Option<Error> {
    if matches!(refused.kind(), Usage::DisplayHelp | Usage::DisplayVersion | Usage::DisplayHelpOnMissingArgumentOrSubcommand) {
        return None;
    }
    let text = refused.render().to_string();
    let said = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let message = said.collect::<Vec<_>>().join(" ");
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let tip = text.lines().map(str::trim).find_map(|line| line.strip_prefix("tip: "));
    let error = Error::new(ErrorKind::Invalid, "usage", message);
    Some(error.hint(tip.map_or_else(|| help_command(typed), str::to_string)))
}

/// The command that explains the one that was typed.
fn help_command(typed: &[String]) -> String {
    let mut help = String::from("mainstem help");
    let mut command = Cli::command();
    for word in typed {
        if let Some(found) = command.find_subcommand(word) {
            help.push_str(&format!(" {word}"));
            command = found.clone();
        }
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn refused(line: &[&str]) -> Option<Error> {
        let words = ["mainstem"].iter().chain(line);
        let typed: Vec<String> = line.iter().map(|w| w.to_string()).collect();
        error(&Cli::try_parse_from(words).expect_err("it is not to be read"), &typed)
    }

    #[test]
    fn a_usage_error_is_one_line_and_a_hint() {
        let e = refused(&["resolve", "1"]).expect("an error");
        assert!(e.message.starts_with("the following required arguments were not provided: <--ours"), "{}", e.message);
        assert_eq!(e.hint.as_deref(), Some("mainstem help resolve"));
        let e = refused(&["statu"]).expect("an error");
        assert_eq!((e.kind, e.code), (ErrorKind::Invalid, "usage"));
        assert!(e.hint.expect("a hint").contains("status"));
        let e = refused(&["policy", "set", "x"]).expect("an error");
        assert_eq!(e.hint.as_deref(), Some("mainstem help policy set"));
        let e = refused(&["--json", "changeset", "export", "nine"]).expect("an error");
        assert_eq!(e.hint.as_deref(), Some("mainstem help changeset export"));
        let e = refused(&["conflicts", "--kind", "clash"]).expect("an error");
        assert!(e.message.contains("missing_parent"), "{}", e.message);
    }

    #[test]
    fn help_is_no_error() {
        assert!(refused(&["help"]).is_none() && refused(&["sync", "--help"]).is_none() && refused(&["--version"]).is_none());
    }
}

//! A systemd user unit that keeps databases in sync from login on.
use std::path::{Path, PathBuf};

/// The unit's name without its ending.
pub const NAME: &str = "mainstem-watch";

/// The unit's text. Without an actor each database's own is taken.
pub fn text(program: &Path, actor: Option<&str>, databases: &[PathBuf]) -> String {
    let mut command = vec![quoted(&program.display().to_string())];
    command.extend(actor.map(|actor| format!("--as {}", quoted(actor))));
    command.push("watch".into());
    command.extend(databases.iter().map(|path| quoted(&path.display().to_string())));
    format!(
        "[Unit]\nDescription=Mainstem keeps databases in sync\n\n[Service]\nExecStart={}\nRestart=on-failure\nRestartSec=10\nUMask=0077\n\n[Install]\nWantedBy=default.target\n",
        command.join(" ")
    )
}

/// A word of a unit's command line: quoted, with what systemd would replace doubled.
fn quoted(word: &str) -> String {
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '%' | '$' => text.extend([c, c]),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_reach_the_program_as_they_are() {
        let unit = text(Path::new("/opt/main stem"), Some("ann"), &["/data/100%.db".into(), "/data/a\"$b\\.db".into()]);
        let line = unit.lines().find(|l| l.starts_with("ExecStart=")).expect("a command");
        assert_eq!(line, r#"ExecStart="/opt/main stem" --as "ann" watch "/data/100%%.db" "/data/a\"$$b\\.db""#);
        assert!(text(Path::new("/m"), None, &["/a.db".into()]).contains("\nExecStart=\"/m\" watch \"/a.db\"\n"));
        assert!(unit.contains("[Install]\nWantedBy=default.target\n"));
    }
}

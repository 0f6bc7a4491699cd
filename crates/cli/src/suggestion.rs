//! Commands that people are told to type next, completed so that they work as they stand.
//!
//! Invariant: where the database had to be named, it is named in every suggestion too.
use crate::plain_text::shell_word;
use std::path::Path;

/// The commands that work on a replica, and so need to know which.
const OF_A_REPLICA: [&str; 36] = [
    "status",
    "diff",
    "log",
    "show",
    "commit",
    "restore",
    "publish",
    "push",
    "pull",
    "sync",
    "watch",
    "conflicts",
    "resolve",
    "pending",
    "tombstones",
    "verify",
    "policy",
    "begin",
    "stash",
    "bundle",
    "changeset",
    "config",
    "propose",
    "proposals",
    "review",
    "vote",
    "comment",
    "merge",
    "withdraw",
    "reject",
    "reopen",
    "answer",
    "accept",
    "gates",
    "notices",
    "staging",
];

/// The text with `--db` added to each command of ours in it that needs the database.
pub fn naming(text: &str, db: Option<&Path>) -> String {
    const PROGRAM: &str = "mainstem ";
    let Some(db) = db else { return text.to_string() };
    let named = format!("{PROGRAM}--db {} ", shell_word(&db.display().to_string()));
    let mut completed = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(PROGRAM) {
        let (before, after) = (&rest[..at], &rest[at + PROGRAM.len()..]);
        let word = after.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
        let is_word_start = !before.ends_with(|c: char| c.is_alphanumeric() || "-_/".contains(c));
        let is_replica = OF_A_REPLICA.contains(&word) || ["deinit --force", "doctor"].iter().any(|c| after.starts_with(c));
        completed.push_str(before);
        completed.push_str(if is_word_start && is_replica { &named } else { PROGRAM });
        rest = after;
    }
    completed.push_str(rest);
    completed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_was_named_is_named_again() {
        let told = |text: &str| naming(text, Some(Path::new("my app.db")));
        assert_eq!(told("mainstem sync"), "mainstem --db \"my app.db\" sync");
        assert_eq!(
            told("mainstem sync (or: mainstem deinit --force)"),
            "mainstem --db \"my app.db\" sync (or: mainstem --db \"my app.db\" deinit --force)"
        );
        for other in [
            "mainstem help sync",
            "mainstem init app.db",
            "mainstem clone ../p new.db",
            "ls -l /x/mainstem sync",
            "mainstem --db a.db diff",
        ] {
            assert_eq!(told(other), other);
        }
        assert_eq!(naming("mainstem sync", None), "mainstem sync");
    }

    #[test]
    fn every_command_named_here_exists() {
        use clap::CommandFactory;
        let cli = crate::arguments::Cli::command();
        for command in OF_A_REPLICA {
            assert!(cli.find_subcommand(command).is_some(), "{command}");
        }
    }
}

//! What can be typed after `mainstem`.
use crate::commands;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Pull requests for the data people already have, offline.
///
/// Mainstem tracks an ordinary SQLite file: every program goes on writing to it, every edit is captured, and copies
/// of it come together through a primary.
#[derive(Parser, Debug)]
#[command(name = "mainstem", version, max_term_width = 100)]
pub struct Cli {
    /// What applies to every command.
    #[command(flatten)]
    pub global: Global,
    /// The command; an overview where none.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What applies to every command.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Global {
    /// The database to work on [default: the one tracked database in the current folder]
    #[arg(long, global = true, help_heading = "Everywhere", env = "MAINSTEM_DB", value_name = "PATH", hide_env_values = true)]
    pub db: Option<PathBuf>,
    /// Who acts [default: what `mainstem config actor` says, or the operating system's user]
    #[arg(long = "as", global = true, help_heading = "Everywhere", env = "MAINSTEM_ACTOR", value_name = "NAME", hide_env_values = true)]
    pub actor: Option<String>,
    /// Who vouches for servers (PEM) [default: the system's authorities]
    #[arg(long, global = true, help_heading = "Everywhere", env = "MAINSTEM_CA", value_name = "FILE", hide_env_values = true)]
    pub ca: Option<PathBuf>,
    /// Let a token go over a line that anybody can read
    #[arg(long, global = true, help_heading = "Everywhere", env = "MAINSTEM_INSECURE_HTTP")]
    pub insecure_http: bool,
    /// Answer in JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub json: bool,
}

/// A command.
#[derive(Subcommand, Debug)]
#[allow(missing_docs, reason = "each command's own type is documented, and that is its help text")]
pub enum Command {
    Init(commands::init::Init),
    Deinit(commands::deinit::Deinit),
    Status(commands::status::Status),
    Diff(commands::diff::Diff),
    Log(commands::log::Log),
    Show(commands::show::Show),
    Blame(commands::blame::Blame),
    Begin(commands::begin::Begin),
    Commit(commands::commit::Commit),
    Restore(commands::restore::Restore),
    Revert(commands::revert::Revert),
    Stash(commands::stash::Stash),
    Publish(commands::publish::Publish),
    Clone(commands::clone::Clone),
    Push(commands::push::Push),
    Pull(commands::pull::Pull),
    Sync(commands::sync::Sync),
    Watch(commands::watch::Watch),
    Propose(commands::propose::Propose),
    Proposals(commands::proposals::Proposals),
    Review(commands::review::Review),
    Vote(commands::vote::Vote),
    Comment(commands::comment::Comment),
    Gates(commands::gates::Gates),
    Answer(commands::answer::Answer),
    Accept(commands::accept::Accept),
    Merge(commands::merge::Merge),
    Withdraw(commands::withdraw::Withdraw),
    Reject(commands::withdraw::Reject),
    Reopen(commands::withdraw::Reopen),
    Staging(commands::staging::Staging),
    Notices(commands::notices::Notices),
    Access(commands::access::Access),
    Datasets(commands::datasets::Datasets),
    Login(commands::login::Login),
    Logout(commands::logout::Logout),
    Serve(commands::serve::Serve),
    Trust(commands::trust::Trust),
    Feed(commands::feed::Feed),
    Webhook(commands::webhook::Webhook),
    Conflicts(commands::conflicts::Conflicts),
    Resolve(commands::resolve::Resolve),
    Pending(commands::pending::Pending),
    Tombstones(commands::tombstones::Tombstones),
    Verify(commands::verify::Verify),
    Audit(commands::audit::Audit),
    Rebuild(commands::rebuild::Rebuild),
    Policy(commands::policy::Policy),
    Backup(commands::backup::Backup),
    Bundle(commands::bundle::Bundle),
    Changeset(commands::changeset::Changeset),
    Config(commands::config::Config),
    Scope(commands::scope::Scope),
    Doctor(commands::doctor::Doctor),
    Demo(commands::demo::Demo),
    Completions(commands::completions::Completions),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_shows_examples() {
        for command in Cli::command().get_subcommands() {
            let help = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:") || after.contains("Examples:"), "{}", command.get_name());
        }
    }

    #[test]
    fn global_options_stand_before_and_after_the_command() {
        for line in [
            ["mainstem", "--db", "a.db", "--as", "ann", "--json", "status"],
            ["mainstem", "status", "--db", "a.db", "--as", "ann", "--json"],
        ] {
            let cli = Cli::try_parse_from(line).expect("it parses");
            assert_eq!(cli.global.db.as_deref(), Some(std::path::Path::new("a.db")));
            assert_eq!(cli.global.actor.as_deref(), Some("ann"));
            assert!(cli.global.json);
        }
    }

    #[test]
    fn a_resolution_takes_exactly_one_choice() {
        for wrong in [
            &["mainstem", "resolve", "1"][..],
            &["mainstem", "resolve", "1", "--ours", "--theirs"],
            &["mainstem", "resolve", "--ours"],
            &["mainstem", "resolve", "1", "--all", "--ours"],
            &["mainstem", "resolve", "--all", "--value", "1"],
        ] {
            assert!(Cli::try_parse_from(wrong).is_err(), "{wrong:?}");
        }
        for right in [
            &["mainstem", "resolve", "1", "--ours"][..],
            &["mainstem", "resolve", "1", "--value", "-5"],
            &["mainstem", "resolve", "--all", "--theirs", "--table", "artist"],
        ] {
            assert!(Cli::try_parse_from(right).is_ok(), "{right:?}");
        }
    }
}

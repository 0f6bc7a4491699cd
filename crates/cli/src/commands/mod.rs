//! One file per command: it reads what was typed, calls one use case, shows the outcome.
pub mod audit;
pub mod backup;
pub mod begin;
pub mod blame;
pub mod bundle;
pub mod changeset;
pub mod clone;
pub mod commit;
pub mod completions;
pub mod config;
pub mod conflicts;
pub mod deinit;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod init;
pub mod log;
pub mod overview;
pub mod pending;
pub mod policy;
pub mod publish;
pub mod pull;
pub mod push;
pub mod rebuild;
pub mod resolve;
pub mod restore;
pub mod revert;
pub mod scope;
pub mod serve;
pub mod show;
pub mod stash;
pub mod status;
pub mod sync;
pub mod tombstones;
pub mod verify;
pub mod watch;

use crate::arguments::Command;
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;

/// Has each command that is named run itself.
macro_rules! each_runs {
    ($command:expr, $session:expr; $($name:ident)*) => {
        match $command { $(Command::$name(c) => c.run($session),)* }
    };
}

/// Runs the command that was typed.
pub fn run(command: &Option<Command>, session: &mut Session) -> Result<Exit> {
    let Some(command) = command else {
        return overview::run(session);
    };
    each_runs! {
        command, session;
        Init Deinit Status Diff Log Serve Show Blame Commit Begin Restore Revert Stash Publish Clone Push Pull Sync Watch
        Conflicts Resolve Pending Tombstones Verify Audit Rebuild Policy Backup Bundle Changeset Config Scope Doctor Demo
        Completions
    }
}

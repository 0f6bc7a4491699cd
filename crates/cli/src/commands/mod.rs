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
pub mod login;
pub mod logout;
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
pub mod trust;
pub mod verify;
pub mod watch;

use crate::arguments::Command;
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;

/// Runs the command that was typed.
pub fn run(command: &Option<Command>, session: &mut Session) -> Result<Exit> {
    let Some(command) = command else {
        return overview::run(session);
    };
    match command {
        Command::Init(c) => c.run(session),
        Command::Deinit(c) => c.run(session),
        Command::Status(c) => c.run(session),
        Command::Diff(c) => c.run(session),
        Command::Log(c) => c.run(session),
        Command::Login(c) => c.run(session),
        Command::Logout(c) => c.run(session),
        Command::Serve(c) => c.run(session),
        Command::Trust(c) => c.run(session),
        Command::Show(c) => c.run(session),
        Command::Blame(c) => c.run(session),
        Command::Commit(c) => c.run(session),
        Command::Begin(c) => c.run(session),
        Command::Restore(c) => c.run(session),
        Command::Revert(c) => c.run(session),
        Command::Stash(c) => c.run(session),
        Command::Publish(c) => c.run(session),
        Command::Clone(c) => c.run(session),
        Command::Push(c) => c.run(session),
        Command::Pull(c) => c.run(session),
        Command::Sync(c) => c.run(session),
        Command::Watch(c) => c.run(session),
        Command::Conflicts(c) => c.run(session),
        Command::Resolve(c) => c.run(session),
        Command::Pending(c) => c.run(session),
        Command::Tombstones(c) => c.run(session),
        Command::Verify(c) => c.run(session),
        Command::Audit(c) => c.run(session),
        Command::Rebuild(c) => c.run(session),
        Command::Policy(c) => c.run(session),
        Command::Backup(c) => c.run(session),
        Command::Bundle(c) => c.run(session),
        Command::Changeset(c) => c.run(session),
        Command::Config(c) => c.run(session),
        Command::Scope(c) => c.run(session),
        Command::Doctor(c) => c.run(session),
        Command::Demo(c) => c.run(session),
        Command::Completions(c) => c.run(session),
    }
}

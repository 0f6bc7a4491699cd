//! One file per command: it reads what was typed, calls one use case, shows the outcome.
pub mod accept;
pub mod access;
pub mod answer;
pub mod audit;
pub mod backup;
pub mod begin;
pub mod blame;
pub mod bundle;
pub mod changeset;
pub mod clone;
pub mod comment;
pub mod commit;
pub mod completions;
pub mod config;
pub mod conflicts;
pub mod datasets;
pub mod deinit;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod feed;
pub mod gates;
pub mod init;
pub mod log;
pub mod login;
pub mod logout;
pub mod merge;
pub mod notices;
pub mod overview;
pub mod pending;
pub mod policy;
pub mod proposals;
pub mod propose;
pub mod publish;
pub mod pull;
pub mod push;
pub mod rebuild;
pub mod resolve;
pub mod restore;
pub mod revert;
pub mod review;
pub mod scope;
pub mod serve;
pub mod show;
pub mod staging;
pub mod stash;
pub mod status;
pub mod sync;
pub mod tombstones;
pub mod trust;
pub mod verify;
pub mod vote;
pub mod watch;
pub mod webhook;
pub mod withdraw;

use crate::arguments::Command;
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;

/// Runs the command that was typed.
pub fn run(command: &Option<Command>, session: &mut Session) -> Result<Exit> {
    macro_rules! each {
        ($($name:ident)*) => {
            match command {
                None => overview::run(session),
                $(Some(Command::$name(c)) => c.run(session),)*
            }
        };
    }
    each! {
        Init Deinit Status Diff Log Notices Access Datasets Login Logout Serve Trust Feed Webhook Show Blame Commit Begin Restore Revert Stash
        Publish Clone Push Pull Sync
        Watch Propose Proposals Review Vote Comment Gates Answer Accept Merge Withdraw Reject Reopen Staging Conflicts Resolve Pending Tombstones Verify Audit Rebuild Policy Backup Bundle Changeset Config Scope
        Doctor Demo Completions
    }
}

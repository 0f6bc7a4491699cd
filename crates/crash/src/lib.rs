//! Crash points: every state that the end of a process or of the power can leave of canonical scripts, and every error of a
//! disk in them.
//!
//! Invariant: what is judged was made by the real library on real SQLite files; only the disk under SQLite is ours.
//! Deliberately absent: crashes between renames and folders that are made past SQLite, which are taken to be on the disk.
mod faults;
pub mod play;
pub mod scripts;
pub mod stage;
pub mod states;
mod summary;

use play::{Effort, Play, Tally};
use scripts::Script;

/// Everything, but for crashes of the recovery.
pub const FULL: Effort = Effort { cuts: usize::MAX, faults: usize::MAX, deep: 0 };

/// What the tests play.
pub const SHORT: Effort = Effort { cuts: 60, faults: 4, deep: 2 };

/// Plays one script.
pub fn run(script: Script, effort: Effort) -> Tally {
    match Play::new(script) {
        Ok(mut play) => {
            play.cut(effort);
            play.fail_disk(effort);
            play.tally
        }
        Err(why) => Tally { failures: vec![why], ..Tally::default() },
    }
}

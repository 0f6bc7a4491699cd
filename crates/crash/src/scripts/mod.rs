//! The canonical scripts: a folder that is prepared once, and one thing that is done in it.
//!
//! Invariant: what is done can be repeated, and says so with an answer where it is done already.
mod alone;
mod answering;
mod keeping;
mod receiving;
mod reviewing;
mod sending;
mod worlds;

use crate::stage::Stage;
use mainstem::Result;

/// One script.
#[derive(Clone, Copy)]
pub struct Script {
    /// Its name.
    pub name: &'static str,
    /// The journal mode of the programs' databases.
    pub journal: &'static str,
    /// Makes the folder.
    pub prepare: fn(&Stage) -> Result<()>,
    /// What is under test.
    pub act: fn(&Stage) -> Result<()>,
    /// Codes of the errors by which a repetition says that it is done already.
    pub answers: &'static [&'static str],
    /// What a crash leaves is before or after: there is one transaction.
    pub is_atomic: bool,
    /// The folder holds what verify reports until the script has run: writes that capture has not seen, or a primary that was
    /// put back to before what replicas hold.
    pub is_beyond_verify: bool,
}

/// A script in which several transactions follow each other.
const fn steps(name: &'static str, journal: &'static str, prepare: fn(&Stage) -> Result<()>, act: fn(&Stage) -> Result<()>) -> Script {
    Script { name, journal, prepare, act, answers: &[], is_atomic: false, is_beyond_verify: false }
}

/// A script that is one transaction.
const fn atomic(name: &'static str, journal: &'static str, prepare: fn(&Stage) -> Result<()>, act: fn(&Stage) -> Result<()>) -> Script {
    Script { is_atomic: true, ..steps(name, journal, prepare, act) }
}

impl Script {
    const fn answering(self, answers: &'static [&'static str]) -> Script {
        Script { answers, ..self }
    }
    const fn beyond_verify(self) -> Script {
        Script { is_beyond_verify: true, ..self }
    }
}

/// Every script.
pub fn all() -> Vec<Script> {
    [alone::SCRIPTS, answering::SCRIPTS, keeping::SCRIPTS, sending::SCRIPTS, receiving::SCRIPTS, reviewing::SCRIPTS].concat()
}

//! A run written down in two parts: what programs do, and when that happens and what goes wrong meanwhile. Everything
//! random was decided when a tape was made, so that a part of it can be left out and the rest stays as it is.
//!
//! Invariant: a tape's text read back is the same tape.
mod text;

use mainstem::core::value::Value;

/// A value to bind, short enough to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// It itself.
    Value(Value),
    /// Many bytes: the word, then filling.
    Long {
        /// Text, or else a blob.
        is_text: bool,
        /// How many bytes.
        bytes: usize,
        /// What it begins with.
        word: String,
    },
}

/// A statement and what is bound to it, so that a program prepares it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// With `?1`, `?2` and so on.
    pub sql: String,
    /// Their values.
    pub values: Vec<Datum>,
}

/// How a program's connection is set up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// `PRAGMA recursive_triggers`.
    pub is_recursive: bool,
    /// `PRAGMA trusted_schema = OFF`.
    pub is_distrustful: bool,
    /// Triggers switched off: capture sees nothing.
    pub is_blind: bool,
}

/// What one program does on one file in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The copy; none for the primary's own file.
    pub who: Option<usize>,
    /// How it connects.
    pub manner: Manner,
    /// What it says.
    pub statements: Vec<Statement>,
}

/// What happens to one call of a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The request never arrives.
    Request,
    /// It has its effect, and the answer never arrives.
    Answer,
    /// It arrives twice.
    Double,
}

/// What goes wrong with one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Something of it is lost, or it arrives twice.
    Lost(Loss),
    /// A push, or the word of where a copy stands, arrives after so many other calls, and its sender hears nothing.
    Late(usize),
    /// A pull is answered with what one before it was answered.
    Stale,
    /// It is slow: something else happens before it arrives.
    Before(Box<Event>),
    /// Its answer is slow: something else happens before it is heard.
    After(Box<Event>),
}

impl Trick {
    /// True where the call has its effect first.
    pub(crate) fn is_after(&self) -> bool {
        matches!(self, Trick::Lost(Loss::Answer) | Trick::After(_))
    }
}

/// A call, and what goes wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Its number, from zero.
    pub at: usize,
    /// How.
    pub what: Trick,
}

/// How a pull's answers are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Each of them twice.
    Twice,
    /// The one before once more, after each.
    Again,
    /// The second without the first.
    Gap,
    /// Without its last items.
    Truncated,
}

/// What is offered, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offering {
    /// What waits, as the proposal that it belongs to.
    Fitting,
    /// What waits, as a new proposal.
    New,
    /// Also what could be pushed.
    Everything,
}

/// What is done to a proposal at the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handling {
    /// A vote for it, on what merging does now.
    Approve,
    /// A vote against it.
    Refuse,
    /// A merge, with conflicts open.
    Merge,
    /// A merge, whatever the votes are.
    Force,
    /// It is rejected.
    Reject,
    /// It is withdrawn at the primary alone.
    Withdraw,
    /// It is open again.
    Reopen,
    /// Those rows of it are accepted whose bit is set, by their place (modulo 64).
    Part(u64),
    /// Every open conflict is answered so.
    Answer(usize),
}

/// What a clock does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockFault {
    /// It jumps by so many milliseconds.
    Jump(i64),
    /// It stands still.
    Freeze,
    /// It goes on, and gains so many milliseconds in a million.
    Drift(i64),
    /// It is right.
    Right,
}

/// What the disk does while something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// The process ends; what was written stays.
    Kill,
    /// The power goes: what was not synced is kept, lost or torn.
    Power,
    /// One operation fails.
    Once,
    /// That one and all after it fail, until the end of what happens.
    Lasting,
    /// The disk is full.
    Full,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The workload's session of that number runs.
    Run(usize),
    /// Commits, with a title where true.
    Commit(usize, bool),
    /// Pushes.
    Push(usize),
    /// Pulls.
    Pull(usize),
    /// Pushes and pulls until nothing is left.
    Sync(usize),
    /// Syncs while the so-and-so-many-th call of the primary goes wrong.
    Wire(usize, usize, Loss),
    /// Syncs while calls of the primary go wrong.
    Line(usize, Vec<Trouble>),
    /// Copies are cut off; where true, they are heard and hear nothing.
    Cut(Vec<usize>, bool),
    /// Nobody is cut off any more.
    Mend,
    /// The primary's process ends and begins again: what it held in memory is gone.
    Restart,
    /// A backup of the primary is made.
    Backup,
    /// What a copy of a part asks for changes.
    Ask(usize, String),
    /// What a copy of a part may see changes.
    Permit(usize, String),
    /// What the actor of a copy of a part may do changes.
    Role(usize, Role),
    /// The actor of a copy of a part tries everything.
    Probe(usize),
    /// The primary is put back to the backup; where true, as `backup restore` does it, else by its file alone.
    Return(bool),
    /// Receives answers of that many bytes, oddly delivered.
    Deliver(usize, usize, Delivery),
    /// Receives this many of the smallest possible pulls, then hears no more.
    Some(usize, usize),
    /// Puts a table back; to the base version where true.
    Restore(usize, String, bool),
    /// Answers the open conflict at that position (modulo their number) with that choice.
    Resolve(usize, usize, usize),
    /// Takes back a version: the one that the copy stands on, or so many before it.
    Revert(usize, usize),
    /// Puts working changes aside.
    Stash(usize),
    /// Lays the last ones on again.
    Unstash(usize),
    /// Copies a replica's file; both go on.
    Copy(usize),
    /// Keeps a replica's file.
    Keep(usize),
    /// Writes what was kept over the replica's file.
    Rewind(usize),
    /// Puts what was kept in the replica's place, as another file.
    Swap(usize),
    /// A new replica from the primary.
    Clone,
    /// The dataset's policy changes.
    Policy(String),
    /// Compares a replica's rows with what capture believes.
    Verify(usize),
    /// Somebody of another dataset asks the primary.
    Stranger,
    /// The primary forgets what it may.
    Cleanup,
    /// Offers the second unsent changeset before the first.
    Disorder(usize),
    /// Pushes, and the first request is lost.
    Unheard(usize),
    /// Offers what waits for review while calls of the primary go wrong.
    Propose(usize, Offering, Vec<Trouble>),
    /// The actor of a copy does something to the proposal at that position (modulo their number), twice where true.
    Review(usize, usize, Handling, bool),
    /// Takes back what was proposed from a copy: the proposal at that position.
    TakeBack(usize, usize),
    /// A machine's clock goes wrong; the primary's where none.
    Clock(Option<usize>, ClockFault),
    /// Time passes, in milliseconds.
    Wait(u64),
    /// Something happens, and the disk fails at the so-and-so-many-th operation of it.
    Disk(DiskFault, u64, Box<Event>),
}

/// What stands before the first event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Statements that make and fill the tables.
    pub schema: Vec<Statement>,
    /// Keys and values of the policy.
    pub policy: Vec<(String, String)>,
    /// How many copies there are at first.
    pub copies: usize,
    /// True where every program keeps foreign keys.
    pub keeps_links: bool,
    /// True where keys never move, so that values can be followed row by row.
    pub is_still: bool,
    /// UTF-16, where the first file is.
    pub is_wide_text: bool,
    /// True where the disk is watched, so that it can fail.
    pub has_disk: bool,
    /// The copies' journal modes, in turn.
    pub journals: Vec<String>,
    /// How far the copies' clocks are off at first, in milliseconds.
    pub offsets: Vec<i64>,
    /// Copies that hold a part.
    pub parts: Vec<Part>,
}

/// A copy of a part; scopes are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The copy.
    pub who: usize,
    /// What it asks for.
    pub asked: String,
    /// What it may see.
    pub permitted: String,
}

/// What somebody is on the dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nobody: not even that it is there may be known.
    Nobody,
    /// Reads.
    Viewer,
    /// Reads and writes.
    Contributor,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tape {
    /// What randomness at run time comes from: identities, write ids.
    pub seed: u64,
    /// What stands before the first event.
    pub setup: Setup,
    /// What programs do.
    pub workload: Vec<Session>,
    /// When, and what goes wrong.
    pub schedule: Vec<Event>,
}

impl Event {
    /// The events in it, and it itself.
    pub(crate) fn all_mut(&mut self, visit: &mut dyn FnMut(&mut Event)) {
        match self {
            Event::Disk(_, _, inner) => inner.all_mut(visit),
            Event::Line(_, troubles) | Event::Propose(_, _, troubles) => {
                for trouble in troubles {
                    if let Trick::Before(inner) | Trick::After(inner) = &mut trouble.what {
                        inner.all_mut(visit);
                    }
                }
            }
            _ => {}
        }
        visit(self);
    }
}

impl Tape {
    /// True where some table needs review at some time.
    pub(crate) fn has_review(&self) -> bool {
        let is_of_review = |text: &str| text.contains("review");
        self.setup.policy.iter().any(|(key, value)| is_of_review(key) || is_of_review(value))
            || self.schedule.iter().any(|event| matches!(event, Event::Policy(text) if is_of_review(text)))
    }
}

impl Datum {
    /// The value to bind.
    pub fn value(&self) -> Value {
        match self {
            Datum::Value(value) => value.clone(),
            Datum::Long { is_text, bytes, word } => {
                let mut content = word.clone().into_bytes();
                content.resize((*bytes).max(word.len()), b'.');
                if *is_text { Value::Text(content) } else { Value::Blob(content) }
            }
        }
    }
}

impl Statement {
    /// One without values.
    pub fn plain(sql: impl Into<String>) -> Statement {
        Statement { sql: sql.into(), values: Vec::new() }
    }
}

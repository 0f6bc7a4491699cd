//! A run written down: everything random is decided here, so that a step can be left out and the rest stays as it is.
use std::fmt;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// A program's statements on a replica, in one transaction each unless they say BEGIN themselves.
    Sql(usize, Vec<String>),
    /// Statements straight on the primary's file.
    Direct(Vec<String>),
    Commit(usize, bool),
    Push(usize),
    Pull(usize),
    Sync(usize),
    /// Receives this many of the smallest possible pulls, then hears no more.
    Some(usize, usize),
    /// Puts a table back; to the base version where true.
    Restore(usize, String, bool),
    /// Answers the open conflict at that position (modulo their number) with that choice.
    Resolve(usize, usize, usize),
    /// Copies a replica's file; both go on.
    Copy(usize),
    /// Keeps a replica's file.
    Keep(usize),
    /// Puts the kept file back in the replica's place.
    Rewind(usize),
    /// A new replica from the primary.
    Clone,
    /// The dataset's policy changes.
    Policy(String),
    /// Time passes.
    Wait(u64),
}

/// A whole run.
#[derive(Clone, Debug)]
pub struct Tape {
    pub seed: u64,
    /// Statements that make and fill the tables.
    pub schema: Vec<String>,
    pub policy: Vec<(String, String)>,
    /// How many replicas there are at first.
    pub replicas: usize,
    /// True where every program keeps foreign keys.
    pub keeps_links: bool,
    pub steps: Vec<Step>,
}

impl fmt::Display for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "tape of seed {}: {} replicas, foreign_keys {}", self.seed, self.replicas, self.keeps_links)?;
        for sql in &self.schema {
            writeln!(f, "  {sql};")?;
        }
        for (key, value) in &self.policy {
            writeln!(f, "  policy {key} = {value}")?;
        }
        for step in &self.steps {
            writeln!(f, "  {step:?}")?;
        }
        Ok(())
    }
}

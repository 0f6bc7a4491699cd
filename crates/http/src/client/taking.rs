//! Takes a snapshot over a line that may break: where it breaks, it goes on after what came.
//!
//! Invariant: what comes is pieces of one snapshot; where the primary stands elsewhere by now, that is an error with the code
//! `moved_on`, and whoever wants it begins anew.
use crate::wire::frame::broken;
use crate::wire::resume::LEFT_OUT;
use mainstem::core::ErrorKind;
use mainstem::core::value::Row;
use mainstem::error::{Error, Result};
use mainstem::primary::{Had, SnapshotSink, SnapshotStart};
use std::time::Duration;

/// How often in a row it is asked again without anything more coming.
const IN_VAIN_MAX: u32 = 5;
/// The pause before it is asked again, twice as long after each time in vain.
const PAUSE: Duration = Duration::from_millis(250);

/// A snapshot that is being taken.
pub(super) struct Taking<'s> {
    sink: &'s mut dyn SnapshotSink,
    /// What is had, from before or by now.
    had: Option<Had>,
    /// How it began.
    start: Option<Vec<u8>>,
    /// What came in this answer: whether its beginning did, and pieces that were had already and are to be passed over.
    is_begun: bool,
    again: u64,
    in_vain: u32,
    /// True once it was the sink that failed, which asking again does not mend.
    is_refused: bool,
}

impl<'s> Taking<'s> {
    pub fn new(sink: &'s mut dyn SnapshotSink) -> Self {
        Taking { had: sink.had(), sink, start: None, is_begun: false, again: 0, in_vain: 0, is_refused: false }
    }

    /// What is had, before it is asked for again.
    pub fn had(&mut self) -> Option<Had> {
        self.is_begun = false;
        self.had
    }

    /// Takes one frame. `heard` reads it.
    pub fn take(&mut self, frame: Vec<u8>, begin: &dyn Fn(&[u8]) -> Result<SnapshotStart>, rows: Rows<'_>) -> Result<()> {
        if !self.is_begun {
            self.is_begun = true;
            return self.begin(frame, begin);
        }
        let (table, rows) = rows(&frame)?;
        let Some(had) = self.had.as_mut().filter(|_| self.start.is_some()) else { return Err(broken("rows come before what they are of")) };
        if table == LEFT_OUT {
            self.again = 0;
            return Ok(());
        }
        if self.again > 0 {
            self.again -= 1;
            return Ok(());
        }
        self.sink.rows(table, &rows).inspect_err(|_| self.is_refused = true)?;
        had.pieces += 1;
        self.in_vain = 0;
        Ok(())
    }

    fn begin(&mut self, frame: Vec<u8>, begin: &dyn Fn(&[u8]) -> Result<SnapshotStart>) -> Result<()> {
        if let Some(before) = &self.start {
            // Unless it says that it leaves out what is had, all comes again.
            self.again = self.had.map_or(0, |had| had.pieces);
            return if *before == frame { Ok(()) } else { Err(moved_on()) };
        }
        let start = begin(&frame)?;
        self.sink.begin(&start).inspect_err(|_| self.is_refused = true)?;
        let pieces = Had::of(self.had, &start.hash);
        (self.start, self.had, self.again) = (Some(frame), Some(Had { hash: start.hash, pieces }), pieces);
        Ok(())
    }

    /// How long to wait before it is asked again, where that may help.
    pub fn pause(&mut self, failed: &Error) -> Option<Duration> {
        let is_passing = failed.kind == ErrorKind::Unavailable && failed.code != MOVED_ON && !self.is_refused;
        let pause = PAUSE * 2_u32.saturating_pow(self.in_vain);
        self.in_vain += 1;
        (is_passing && self.start.is_some() && self.in_vain <= IN_VAIN_MAX).then_some(pause)
    }

    pub fn is_begun(&self) -> bool {
        self.start.is_some()
    }
}

/// Reads a frame with rows.
pub(super) type Rows<'r> = &'r dyn Fn(&[u8]) -> Result<(usize, Vec<Row>)>;

const MOVED_ON: &str = "moved_on";

fn moved_on() -> Error {
    Error::new(ErrorKind::Unavailable, MOVED_ON, "the line broke, and others have written meanwhile, so that the copy begins anew")
        .hint("run the same command again")
}

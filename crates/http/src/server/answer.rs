//! Answers one call of the replica protocol: reads its arguments, asks the primary, writes what it says.
//!
//! Deliberately absent: sockets, and who may ask. By then the request is whole and was allowed.
mod review;

use crate::client::WAIT_MS_MAX;
use crate::spool::{Spool, SpoolPlace};
use crate::wire::call::Call;
use crate::wire::frame::{Bounds, FrameReader, FrameWriter};
use crate::wire::resume::LEFT_OUT;
use crate::wire::{Bytes, Wire};
use mainstem::audit::Finding;
use mainstem::author::Author;
use mainstem::core::ErrorKind;
use mainstem::core::change::{Change, Front, Shape};
use mainstem::core::format::page;
use mainstem::core::schema::Schema;
use mainstem::core::value::{Key, Row};
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::ledger::Head;
use mainstem::local::Founding;
use mainstem::primary::{Acquaintance, Had, Pages, Primary, SnapshotSink, SnapshotStart};
use std::time::Duration;

/// Rows in a frame.
const ROWS_AT_ONCE: usize = 1_000;
/// The most bytes that a pull or a list of events is answered with, whatever was asked for.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A push of more bytes is looked through before its turn.
const LARGE_BYTES: u64 = 64 * 1024;

type Asked = FrameReader<Spool>;
type Reply = FrameWriter<Spool>;

/// A call that came whole.
pub struct Request {
    /// Which.
    pub call: Call,
    /// Its body.
    pub body: Spool,
    /// What it may unfold to.
    pub bounds: Bounds,
    /// Where its answer is kept until it is sent.
    pub place: SpoolPlace,
    /// What is had of a snapshot already.
    pub had: Option<Had>,
    /// The key of the request, where it has one.
    pub key: Option<u128>,
}

impl Request {
    /// Asks the primary and gives back the whole answer.
    pub fn answer(mut self, primary: &mut dyn Primary, author: &Author<'_>) -> Result<Spool> {
        self.body.rewind()?;
        let asked = FrameReader::within(self.body, self.bounds);
        let mut reply = FrameWriter::new(Spool::at(&self.place, u64::MAX))?;
        if self.call == Call::Snapshot {
            arguments::<()>(asked)?;
            primary.snapshot(&mut Sent { reply: &mut reply, had: self.had })?;
            last(&mut reply, &())?;
        } else {
            answer(self.call, self.key, asked, primary, author, &mut reply)?;
        }
        reply.end()
    }

    /// Asks for what follows a cursor, which is of nobody in particular.
    pub fn pull(mut self, primary: &mut dyn Primary) -> Result<Spool> {
        self.body.rewind()?;
        let mut reply = FrameWriter::new(Spool::at(&self.place, u64::MAX))?;
        pull(FrameReader::within(self.body, self.bounds), primary, &mut reply)?;
        reply.end()
    }

    /// The request, where it is a large push read through once before anybody's turn is taken for it: one that is no good costs
    /// nobody theirs.
    pub fn looked_through(mut self) -> Result<Request> {
        self.body.rewind()?;
        let mut asked = FrameReader::within(self.body, self.bounds);
        let (_, front): (Acquaintance, Front) = understood(Wire::from_bytes("a push", &asked.wanted()?))?;
        let mut pages = Pushing { asked: Some(asked), shapes: front.shapes, rows: 0 };
        while pages.next()?.is_some() {}
        self.body = pages.asked.ok_or_else(|| Error::internal("a push was lost"))?.into_inner();
        Ok(self)
    }
    /// True where that is worth its while.
    pub fn is_large_push(&self) -> bool {
        self.call == Call::Push && self.body.len() > LARGE_BYTES
    }

    /// What a wait knows, and how long it waits at most.
    pub fn wait(mut self) -> Result<(Head, Duration)> {
        self.body.rewind()?;
        let (known, timeout_ms): (Head, u64) = arguments(FrameReader::within(self.body, self.bounds))?;
        Ok((known, Duration::from_millis(timeout_ms.min(WAIT_MS_MAX))))
    }

    /// Founds the dataset that it holds, in an actor's name.
    pub fn found(mut self, datasets: &dyn Datasets, name: &str, actor: &str, datasets_max: u64) -> Result<Spool> {
        if datasets.names()?.len() as u64 >= datasets_max {
            return Err(Error::new(ErrorKind::Conflict, "too_many", format!("the server has {datasets_max} datasets and takes no more")));
        }
        self.body.rewind()?;
        let mut asked = FrameReader::within(self.body, self.bounds);
        let ((_, _, policy), schema, lineage): ((String, String, String), Schema, u128) =
            understood(Wire::from_bytes("a dataset", &asked.wanted()?))?;
        let founding = Founding { dataset: name, actor, schema: &schema, policy: &policy, lineage };
        datasets.found(name, &founding, &mut |take| {
            while let Some(frame) = asked.frame()? {
                let (table, rows): (usize, Vec<Row>) = understood(Wire::from_bytes("rows", &frame))?;
                let columns = schema.tables.get(table).map(|table| table.columns.len());
                if rows.iter().any(|row| Some(row.len()) != columns) {
                    return Err(Error::invalid("a row has other columns than its table"));
                }
                rows.iter().try_for_each(|row| take(table, row))?;
            }
            Ok(())
        })?;
        one(&())
    }
}

/// An answer of one thing.
pub fn one(result: &impl Wire) -> Result<Spool> {
    let mut reply = FrameWriter::new(Spool::new(u64::MAX))?;
    reply.frame(&result.to_bytes())?;
    reply.end()
}

/// What a request holds that nobody can read is its sender's mistake, not damage here.
fn understood<T>(read: std::result::Result<T, mainstem::core::Error>) -> Result<T> {
    read.map_err(|e| Error::invalid(e.to_string()))
}

fn arguments<A: Wire>(mut asked: Asked) -> Result<A> {
    let arguments = understood(A::from_bytes("a request", &asked.wanted()?))?;
    asked.finish()?;
    Ok(arguments)
}

fn answer(call: Call, key: Option<u128>, asked: Asked, primary: &mut dyn Primary, author: &Author<'_>, reply: &mut Reply) -> Result<()> {
    match call {
        Call::Describe | Call::Examine | Call::Chronicle | Call::Replicas | Call::Schema => {
            arguments::<()>(asked)?;
            tell(call, primary, reply)
        }
        Call::Push => push(asked, primary, author, reply),
        Call::Pull => pull(asked, primary, reply),
        Call::FindWrite => last(reply, &primary.find_write(arguments(asked)?)?),
        Call::VersionHash => last(reply, &primary.version_hash(arguments(asked)?)?),
        Call::Version => last(reply, &primary.version(arguments(asked)?)?),
        Call::Page => {
            let (version, page) = arguments(asked)?;
            last(reply, &primary.page(version, page)?.map(Bytes))
        }
        Call::Rows => {
            let (table, version): (String, u64) = arguments(asked)?;
            rows(&table, version, primary, reply)
        }
        Call::RowsOf => {
            let (table, keys, version): (String, Vec<Key>, u64) = arguments(asked)?;
            all(reply, &primary.rows_of(&table, &keys, version)?)
        }
        Call::RowHistory => {
            let (from, limit) = arguments(asked)?;
            last(reply, &primary.row_history(&from, limit)?)
        }
        Call::Touches => {
            let (row, after) = arguments(asked)?;
            last(reply, &primary.touches(&row, after)?)
        }
        Call::Blame => last(reply, &primary.blame(&arguments(asked)?)?),
        Call::Events => {
            let (after, bytes_max) = arguments(asked)?;
            all(reply, &primary.events(after, ANSWER_BYTES_MAX.min(bytes_max))?)
        }
        Call::Conflicts => all(reply, &primary.conflicts(arguments(asked)?)?),
        Call::BeginEpoch => {
            let (known, _): (_, String) = arguments(asked)?;
            last(reply, &primary.begin_epoch(&known, author.name())?)
        }
        Call::SetPolicy => {
            let (text, _): (String, String) = arguments(asked)?;
            last(reply, &primary.set_policy(&text, author.name())?)
        }
        Call::Seen => {
            let (known, seen) = arguments(asked)?;
            let seen = author.seen(&known, seen)?;
            last(reply, &primary.seen(&known, &seen)?)
        }
        Call::Tombstones => {
            let wanted = arguments(asked)?;
            primary.tombstones(&wanted, &mut |tombstone| reply.frame(&tombstone.to_bytes()))?;
            last(reply, &())
        }
        Call::DeletedSince => {
            let (table, keys, after): (String, Vec<Key>, u64) = arguments(asked)?;
            all(reply, &primary.deleted_since(&table, &keys, after)?)
        }
        Call::Cleanup => {
            let (_, rehearsal): (String, _) = arguments(asked)?;
            last(reply, &primary.cleanup(author.name(), rehearsal)?)
        }
        Call::Found | Call::Wait | Call::Snapshot => Err(Error::internal("this call is answered elsewhere")),
        of_proposals => review::answer(of_proposals, key, asked, primary, author, reply),
    }
}

/// Calls without arguments.
fn tell(call: Call, primary: &mut dyn Primary, reply: &mut Reply) -> Result<()> {
    match call {
        Call::Describe => last(reply, &primary.describe()?),
        Call::Chronicle => last(reply, &primary.chronicle()?),
        Call::Schema => last(reply, &primary.schema()?),
        Call::Replicas => all(reply, &primary.replicas()?),
        _ => {
            let rows = primary.examine(&mut |finding: Finding| reply.frame(&finding.to_bytes()))?;
            last(reply, &rows)
        }
    }
}

fn last(reply: &mut Reply, result: &impl Wire) -> Result<()> {
    reply.frame(&result.to_bytes())
}

fn all(reply: &mut Reply, items: &[impl Wire]) -> Result<()> {
    items.iter().try_for_each(|item| reply.frame(&item.to_bytes()))?;
    last(reply, &())
}

struct Sent<'r> {
    reply: &'r mut Reply,
    had: Option<Had>,
}

impl SnapshotSink for Sent<'_> {
    fn had(&self) -> Option<Had> {
        self.had
    }
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        self.reply.frame(&start.to_bytes())?;
        match Had::of(self.had, &start.hash) {
            0 => Ok(()),
            _ => self.reply.frame(&(LEFT_OUT, Vec::<Row>::new()).to_bytes()),
        }
    }
    fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        self.reply.frame(&(table, rows.to_vec()).to_bytes())
    }
}

fn rows(table: &str, version: u64, primary: &mut dyn Primary, reply: &mut Reply) -> Result<()> {
    let mut some: (Vec<String>, Vec<Row>) = Default::default();
    primary.rows(table, version, &mut |columns, row| {
        if some.1.len() == ROWS_AT_ONCE {
            reply.frame(&some.to_bytes())?;
            some.1.clear();
        }
        if some.0.is_empty() {
            some.0 = columns.to_vec();
        }
        some.1.push(row.clone());
        Ok(())
    })?;
    reply.frame(&some.to_bytes())?;
    last(reply, &())
}

fn pull(asked: Asked, primary: &mut dyn Primary, reply: &mut Reply) -> Result<()> {
    let (known, from, bytes_max) = arguments(asked)?;
    last(reply, &primary.pull(&known, from, ANSWER_BYTES_MAX.min(bytes_max))?)
}

fn push(mut asked: Asked, primary: &mut dyn Primary, author: &Author<'_>, reply: &mut Reply) -> Result<()> {
    let (known, front): (Acquaintance, Front) = understood(Wire::from_bytes("a push", &asked.wanted()?))?;
    let front = author.front(&known, front, primary)?;
    let mut pages = Pushing { asked: Some(asked), shapes: front.shapes.clone(), rows: 0 };
    last(reply, &primary.push(&known, &front, &mut pages)?)
}

/// The pages of a push, as often as they are wanted.
struct Pushing {
    asked: Option<Asked>,
    shapes: Vec<Shape>,
    rows: u64,
}

impl Pages for Pushing {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let asked = self.asked.as_mut().ok_or_else(|| Error::internal("a push was lost"))?;
        let rows_max = asked.bounds().rows_max;
        let Some(bytes) = asked.frame()? else { return Ok(None) };
        let changes = understood(page::decode(&bytes, &self.shapes))?;
        self.rows += changes.len() as u64;
        if self.rows > rows_max {
            return Err(Error::new(ErrorKind::Invalid, "too_large", format!("one push changes at most {rows_max} rows"))
                .hint("mainstem commit more often"));
        }
        Ok(Some(changes))
    }
    fn rewind(&mut self) -> Result<()> {
        let asked = self.asked.take().ok_or_else(|| Error::internal("a push was lost"))?;
        let bounds = asked.bounds();
        let mut body = asked.into_inner();
        body.rewind()?;
        self.rows = 0;
        let asked = self.asked.insert(FrameReader::within(body, bounds));
        asked.wanted().map(drop)
    }
}

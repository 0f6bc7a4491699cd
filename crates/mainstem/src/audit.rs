//! Whether a primary's history is whole: every event and page against its hash, what is folded from them against what
//! is stored, and the head that a replica remembers against the chain.
//!
//! Invariant: nothing the primary says of its history is believed but bytes, and hashes of them that are computed here.
//! Deliberately absent: mending. What is folded can be folded again; events and pages come back from a backup only.
use crate::body::Digests;
use crate::error::{Error, Result};
use crate::primary::{Acquaintance, Primary};
use crate::store::Transaction;
use mainstem_core::digest::Body;
use mainstem_core::event::{Digest, Event, Version};
use mainstem_core::format::{event, page};

/// About how many bytes of events are asked for at once.
const EVENTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// One event of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its place, from 1.
    pub position: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its hash, as the primary has it.
    pub hash: Digest,
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An event, or its place in the chain.
    Event,
    /// A page of a version.
    Page,
    /// The rows that are stored.
    Rows,
    /// What is folded from events and pages.
    Projection,
    /// A head that somebody remembers.
    Head,
}

impl Subject {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Event => "event",
            Subject::Page => "page",
            Subject::Rows => "rows",
            Subject::Projection => "projection",
            Subject::Head => "head",
        }
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// The event's place, where it is about one.
    pub position: Option<u64>,
    /// The version, where it is about one.
    pub version: Option<u64>,
    /// What is wrong, in words.
    pub what: String,
}

/// Takes each finding.
pub type Findings<'a> = &'a mut dyn FnMut(Finding) -> Result<()>;

/// How one projection differed from what events and pages say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differing {
    /// The projection.
    pub projection: String,
    /// Its rows that are missing.
    pub missing: u64,
    /// Its rows that should not be there.
    pub extra: u64,
}

/// What a chain amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many events it has.
    pub events: u64,
    /// The latest version.
    pub version: u64,
    /// The hash of the last event.
    pub head: Digest,
    /// Pages read.
    pub pages: u64,
    /// Where the head that was asked for is.
    pub head_found: Option<u64>,
}

/// What the chain is compared with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered<'a> {
    /// What a replica knows of its primary.
    pub known: Option<&'a Acquaintance>,
    /// The hash of an event that somebody wrote down.
    pub head: Option<Digest>,
}

struct Walk<'a, 'f> {
    remembered: Remembered<'a>,
    findings: Findings<'f>,
    chain: Chain,
    /// The remembered version's hash, as it is in this chain.
    known_hash: Option<Digest>,
    /// The epoch so far, and how it began where by a restore.
    epoch: u128,
    restored: Option<String>,
    /// Versions that lack a page, each with its event's place, until an event says that they were collected.
    lacking: Vec<(u64, u64)>,
}

/// Checks the chain from its first event to its head, the pages of every version, and the heads that are remembered.
pub fn verify_chain(
    primary: &mut dyn Primary,
    remembered: Remembered<'_>,
    findings: Findings<'_>,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Chain> {
    let mut walk = Walk { remembered, findings, chain: Chain::default(), known_hash: None, epoch: 0, restored: None, lacking: Vec::new() };
    loop {
        let links = primary.events(walk.chain.events, EVENTS_BYTES_MAX)?;
        if links.is_empty() {
            break;
        }
        for link in &links {
            walk.link(primary, link)?;
            progress("events checked", walk.chain.events, 0);
        }
    }
    for (position, version) in std::mem::take(&mut walk.lacking) {
        walk.say(Subject::Page, Some(position), Some(version), format!("a page of version {version} is missing"))?;
    }
    walk.compare_heads()?;
    Ok(walk.chain)
}

impl Walk<'_, '_> {
    fn say(&mut self, subject: Subject, position: Option<u64>, version: Option<u64>, what: String) -> Result<()> {
        (self.findings)(Finding { subject, position, version, what })
    }

    fn link(&mut self, primary: &mut dyn Primary, link: &Link) -> Result<()> {
        let expected = self.chain.events + 1;
        if link.position != expected {
            self.say(Subject::Event, Some(expected), None, format!("event {expected} is missing; the next is {}", link.position))?;
        }
        let (before, position) = (self.chain.head, Some(link.position));
        (self.chain.events, self.chain.head) = (link.position, link.hash);
        if self.remembered.head == Some(link.hash) {
            self.chain.head_found = position;
        }
        let is_chained = event::chain(&before, &link.bytes) == link.hash;
        if !is_chained {
            let what = format!("event {} is not what its hash says, or does not follow the event before it", link.position);
            self.say(Subject::Event, position, None, what)?;
        }
        match event::decode(&link.bytes) {
            Ok(Event::Version(version)) => self.version(primary, link, &version),
            Ok(Event::Genesis(genesis)) if link.position == 1 => {
                self.epoch = genesis.epoch;
                match self.remembered.known {
                    Some(known) if known.lineage != genesis.lineage => {
                        self.say(Subject::Head, position, None, "the primary holds another dataset than this replica's".into())
                    }
                    _ => Ok(()),
                }
            }
            Ok(Event::Genesis(_)) => self.say(Subject::Event, position, None, format!("event {} begins a dataset again", link.position)),
            Ok(Event::Restored(restored)) => {
                self.epoch = restored.epoch;
                self.restored =
                    Some(format!("{} restored the primary at version {} from {}", restored.actor, restored.version, restored.from));
                Ok(())
            }
            Ok(Event::Collected(collected)) => {
                self.lacking.retain(|(_, version)| *version > collected.horizon);
                Ok(())
            }
            Ok(_) if link.position == 1 => {
                self.say(Subject::Event, position, None, "the first event is not the dataset's beginning".into())
            }
            Ok(_) => Ok(()),
            Err(e) => self.say(Subject::Event, position, None, format!("event {} cannot be read: {e}", link.position)),
        }
    }

    fn version(&mut self, primary: &mut dyn Primary, link: &Link, version: &Version) -> Result<()> {
        let (number, position) = (version.version, Some(link.position));
        if number != self.chain.version + 1 {
            let what = format!("version {number} follows version {}", self.chain.version);
            self.say(Subject::Event, position, Some(number), what)?;
        }
        if version.header.base_version >= number {
            let what = format!("version {number} says that it was made on version {}", version.header.base_version);
            self.say(Subject::Event, position, Some(number), what)?;
        }
        self.chain.version = number;
        if self.remembered.known.is_some_and(|known| known.version == number) {
            self.known_hash = Some(link.hash);
        }
        let (mut body, mut count) = (Body::default(), 0);
        for at in 0..version.pages {
            let bytes = match primary.page(number, at) {
                Err(e) if e.code == "behind_horizon" => None,
                other => other?,
            };
            let Some(bytes) = bytes else {
                self.lacking.push((link.position, number));
                return Ok(());
            };
            self.chain.pages += 1;
            body.add(&bytes);
            match page::decode(&bytes, &version.shapes) {
                Ok(changes) => count += changes.len() as u64,
                Err(e) => self.say(Subject::Page, position, Some(number), format!("page {at} of version {number} cannot be read: {e}"))?,
            }
        }
        if version.pages > 0 && body.digest() != version.body {
            self.say(Subject::Page, position, Some(number), format!("the pages of version {number} are not those it was accepted with"))?;
        } else if count != version.count {
            let what = format!("version {number} says that it has {} changes, its pages have {count}", version.count);
            self.say(Subject::Page, position, Some(number), what)?;
        }
        Ok(())
    }

    /// A chain that was cut or made anew is whole in itself; only who saw it before can tell.
    fn compare_heads(&mut self) -> Result<()> {
        if let Some(known) = self.remembered.known {
            let (seen, version) = (known.version, self.chain.version);
            let what = match self.known_hash {
                Some(hash) if hash == known.hash => None,
                Some(_) => Some(format!("version {seen} is not the one this replica holds: the history was rewritten at or before it")),
                None => Some(format!("this replica holds version {seen}, the primary ends at version {version}: its tail was cut")),
            };
            let restored = self.restored.take().filter(|_| self.epoch != known.epoch);
            let what = what.map(|what| restored.map_or_else(|| what.clone(), |restored| format!("{what} ({restored})")));
            if let Some(what) = what {
                self.say(Subject::Head, None, Some(seen), what)?;
            }
        }
        if self.remembered.head.is_some() && self.chain.head_found.is_none() {
            self.say(Subject::Head, None, None, "no event of the chain has the hash that was given".into())?;
        }
        Ok(())
    }
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The chain.
    pub chain: Chain,
    /// Rows compared; none where the chain is broken, so that there is nothing to compare them with.
    pub rows: Option<u64>,
}

/// Checks the chain and, where it is whole, what is stored against it.
pub fn verify(
    primary: &mut dyn Primary,
    remembered: Remembered<'_>,
    findings: Findings<'_>,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Audit> {
    let mut is_broken = false;
    let mut watch = |finding: Finding| {
        is_broken |= matches!(finding.subject, Subject::Event | Subject::Page);
        findings(finding)
    };
    let chain = verify_chain(primary, remembered, &mut watch, progress)?;
    let rows = if is_broken { None } else { Some(primary.examine(findings)?) };
    Ok(Audit { chain, rows })
}

/// The events after a position, in at most about `bytes_max` bytes. A position without an event is for the reader to see.
pub fn links(tx: &mut dyn Transaction, after: u64, bytes_max: usize) -> Result<Vec<Link>> {
    let (mut links, mut bytes_there) = (Vec::new(), 0);
    for position in after + 1..=tx.head()?.events {
        if bytes_there >= bytes_max && !links.is_empty() {
            break;
        }
        let Some((bytes, hash)) = tx.event(position)? else { continue };
        bytes_there += bytes.len();
        links.push(Link { position, bytes, hash });
    }
    Ok(links)
}

/// Compares the stored rows with the digests that the latest version carries. Rows of the first version that nothing
/// changed since are in no page, so that this alone tells whether they are what they were. Returns how many rows there are.
pub fn check_rows(tx: &mut dyn Transaction, findings: Findings<'_>) -> Result<u64> {
    let head = tx.head()?.version;
    let version = tx.version(head)?.ok_or_else(|| Error::corrupt("the head version is missing"))?;
    let names: Vec<String> = tx.schema().tables.iter().map(|table| table.name.clone()).collect();
    let mut stored = Digests::new(&tx.schema(), &[]);
    stored.recount(tx, &names)?;
    let stored = stored.list();
    let mut say = |what: String| findings(Finding { subject: Subject::Rows, position: None, version: Some(head), what });
    for told in &version.tables {
        match stored.iter().find(|digest| digest.table.eq_ignore_ascii_case(&told.table)) {
            None => say(format!("table {} is missing", told.table))?,
            Some(found) if (found.rows, found.sum) != (told.rows, told.sum) => {
                let counts = format!("{} rows are stored, {} were accepted", found.rows, told.rows);
                say(format!("the rows of {} are not those of version {head} ({counts})", told.table))?;
            }
            Some(_) => {}
        }
    }
    let is_told = |name: &str| version.tables.iter().any(|told| told.table.eq_ignore_ascii_case(name));
    for extra in stored.iter().filter(|digest| !is_told(&digest.table)) {
        say(format!("table {} is in no version", extra.table))?;
    }
    Ok(stored.iter().map(|digest| digest.rows).sum())
}

/// Reports how projections differ.
pub fn report(differing: &[Differing], findings: Findings<'_>) -> Result<()> {
    for Differing { projection, missing, extra } in differing {
        let what = format!("{projection} is not what the events say: {missing} of its rows are missing, {extra} should not be there");
        findings(Finding { subject: Subject::Projection, position: None, version: None, what })?;
    }
    Ok(())
}

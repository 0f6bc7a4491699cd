//! Bundles: what a push and a pull would bring, carried in a file instead.
//!
//! Invariant: a file is verified to its end before anything of it is applied; applying it again changes nothing.
use crate::changeset_source::{file as open_file, naming};
use crate::output::note;
use crate::plain_text::count;
use crate::wiring::{Session, output_file};
use mainstem::changeset_file::{self, Bundle, BundleHeader, BundleKind, read_bundle, write_bundle};
use mainstem::ledger::Head;
use mainstem::primary::{Acquaintance, Cursor, Item, Primary, Pull, Pushed, SnapshotSink, SnapshotStart};
use mainstem::proposing::Proposing;
use mainstem::replica::{Replica, Standing};
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::event::{Digest, Event};
use mainstem_core::format::event;
use mainstem_core::value::Row;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// About how many bytes are taken or given at once.
const BYTES_AT_ONCE: usize = 4 << 20;

/// What a bundle carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Changesets written, or accepted by the primary.
    pub changesets: u64,
    /// Versions written, or received by the replica.
    pub versions: u64,
    /// Row changes in them.
    pub rows: u64,
    /// Changesets or versions that were there already.
    pub already: u64,
    /// Conflicts found.
    pub conflicts: u64,
    /// The version reached.
    pub version: u64,
}

/// What a bundle says of itself, once all of it is known to be sound.
pub fn header_of(path: &Path) -> Result<BundleHeader> {
    let contents = changeset_file::check(&mut open_file(path)?).map_err(|e| naming(path, e))?;
    if !contents.is_bundle {
        let message = format!("{} is one changeset, not a bundle", path.display());
        return Err(Error::invalid(message).hint("mainstem changeset import FILE"));
    }
    Ok(open(path)?.header)
}

fn open(path: &Path) -> Result<Bundle<'static>> {
    read_bundle(BufReader::new(open_file(path)?)).map_err(|e| naming(path, e))
}

fn known_of(standing: &Standing) -> Result<Acquaintance> {
    standing.known.ok_or_else(|| {
        let message = format!("{} was not published, so no primary would take a bundle of it", standing.dataset);
        Error::new(ErrorKind::Conflict, "not_published", message).hint("mainstem publish FOLDER")
    })
}

/// Writes the replica's unsent changesets, the working changes among them.
pub fn create_changesets(session: &Session, path: &Path) -> Result<Carried> {
    let mut opened = session.replica()?;
    let known = known_of(&opened.standing)?;
    opened.replica.commit(&session.actor(&opened.standing)?, None, "")?;
    let fronts = opened.replica.unsent()?;
    let kept: u64 = opened.replica.kept()?.iter().map(|kept| kept.front.count).sum();
    if kept > 0 {
        let changes = count(kept, "change is", "changes are");
        note(format!("{changes} kept for review and not in the bundle: they are proposed from this copy"));
    }
    let mut carried = Carried { version: known.version, ..Carried::default() };
    if fronts.is_empty() {
        return Ok(carried);
    }
    let header = BundleHeader {
        kind: BundleKind::Unsent,
        lineage: known.lineage,
        epoch: known.epoch,
        dataset: opened.standing.dataset.clone(),
        head: Head { events: 0, hash: known.hash, version: known.version },
        ..BundleHeader::default()
    };
    into_file(path, |out| {
        let mut bundle = write_bundle(out, &header)?;
        for front in &fronts {
            bundle.changeset(front, opened.replica.pages(front.header.write_id)?.as_mut())?;
            carried.changesets += 1;
            carried.rows += front.count;
        }
        bundle.finish()
    })?;
    Ok(carried)
}

/// Writes beside the file and then takes its name, so that a stick never carries half a bundle under a whole one's name.
fn into_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let failed = |e: std::io::Error| {
        let message = format!("{} cannot be written: {e}", path.display());
        Error::new(ErrorKind::Unavailable, "output", message).because(e)
    };
    if crate::wiring::is_named_like_a_database(path) {
        let message = format!("{} is named like a database; the bundle would replace it", path.display());
        return Err(Error::invalid(message).hint("mainstem bundle create FILE.bundle"));
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let file = output_file(&part)?;
    let mut out = BufWriter::new(&file);
    let written = write(&mut out).and_then(|()| out.flush().map_err(failed));
    drop(out);
    let placed = written.and_then(|()| file.sync_all().map_err(failed)).and_then(|()| std::fs::rename(&part, path).map_err(failed));
    if placed.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    placed
}

/// Writes a primary's versions after `since`.
pub fn create_versions(session: &Session, path: &Path, since: u64, from: Option<&str>) -> Result<Carried> {
    let mut primary = match from {
        Some(address) => session.primary_at(address)?,
        None => session.whole_primary_of(&session.replica()?.standing)?,
    };
    let start = introduction(primary.as_mut())?;
    let head = start.description.head;
    if since > head.version {
        let message = format!("{} has no version {since}; its latest is {}", start.description.dataset, head.version);
        return Err(Error::not_found(message).hint(format!("mainstem bundle create FILE --since {}", head.version)));
    }
    // A part of the versions would be no history to whoever is given the bundle.
    let scope = Digest::default();
    let known =
        Acquaintance { lineage: start.description.lineage, epoch: start.description.epoch, version: head.version, hash: start.hash, scope };
    let from = Cursor { version: since + 1, page: 0 };
    let header = BundleHeader {
        kind: BundleKind::Versions,
        lineage: known.lineage,
        epoch: known.epoch,
        dataset: start.description.dataset,
        from,
        next: Cursor { version: head.version + 1, page: 0 },
        head,
        policy: start.description.policy,
    };
    let mut carried = Carried { versions: head.version - since, version: head.version, ..Carried::default() };
    if carried.versions > 0 {
        into_file(path, |out| write_versions(primary.as_mut(), &known, &header, out, &mut carried))?;
    }
    Ok(carried)
}

fn write_versions(
    primary: &mut dyn Primary,
    known: &Acquaintance,
    header: &BundleHeader,
    out: &mut dyn Write,
    carried: &mut Carried,
) -> Result<()> {
    let mut bundle = write_bundle(out, header)?;
    let mut at = header.from;
    while at.version < header.next.version {
        let pull = primary.pull(known, at, BYTES_AT_ONCE)?;
        for item in pull.items {
            if let Some(version) = version_of(&item)? {
                // Versions that came after the header was written stay for the next bundle.
                if version.version >= header.next.version {
                    return bundle.finish();
                }
                carried.rows += version.count;
            }
            bundle.item(&item)?;
        }
        at = pull.next;
    }
    bundle.finish()
}

fn version_of(item: &Item) -> Result<Option<mainstem_core::event::Version>> {
    let Item::Version(bytes, _) = item else {
        return Ok(None);
    };
    match event::decode(bytes)? {
        Event::Version(version) => Ok(Some(version)),
        _ => Err(Error::corrupt("a version of the bundle is another event")),
    }
}

/// What a primary says first when a replica is made, without the rows.
fn introduction(primary: &mut dyn Primary) -> Result<SnapshotStart> {
    const ENOUGH: &str = "enough";
    struct First(Option<SnapshotStart>);
    impl SnapshotSink for First {
        fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
            self.0 = Some(start.clone());
            Err(Error::new(ErrorKind::Unavailable, ENOUGH, "only the beginning was wanted"))
        }
        fn rows(&mut self, _: usize, _: &[Row]) -> Result<()> {
            Ok(())
        }
    }
    let mut first = First(None);
    match primary.snapshot(&mut first) {
        Err(e) if e.code != ENOUGH => Err(e),
        _ => first.0.ok_or_else(|| Error::corrupt("the primary did not say what it is")),
    }
}

/// Brings changesets to a primary.
pub fn apply_changesets(session: &Session, path: &Path, to: Option<&str>) -> Result<Carried> {
    let mut primary = match to {
        Some(address) => session.primary_at(address)?,
        None => session.whole_primary_of(&session.replica()?.standing)?,
    };
    let mut bundle = open(path)?;
    let header = bundle.header.clone();
    let (head, scope) = (header.head, Digest::default());
    let known = Acquaintance { lineage: header.lineage, epoch: header.epoch, version: head.version, hash: head.hash, scope };
    let mut carried = Carried::default();
    while let Some(front) = bundle.changeset()? {
        let answer = primary.push(&known, &front, &mut bundle)?;
        note_answer(&mut carried, &front, &answer)?;
    }
    Ok(carried)
}

fn note_answer(carried: &mut Carried, front: &Front, answer: &Pushed) -> Result<()> {
    let sequence = front.header.sequence;
    match answer {
        Pushed::Accepted { version, conflicts, .. } => {
            carried.changesets += 1;
            carried.rows += front.count;
            carried.conflicts += conflicts;
            carried.version = *version;
            Ok(())
        }
        Pushed::Already { version } => {
            carried.already += 1;
            carried.version = carried.version.max(*version);
            Ok(())
        }
        Pushed::Gap { expected } => {
            let replica = front.header.replica.short();
            let missing = match sequence {
                s if s > expected + 1 => format!("changesets {expected} to {}", s - 1),
                _ => format!("changeset {expected}"),
            };
            let message = format!("{missing} of replica {replica} must come first and is not in this bundle");
            Err(Error::new(ErrorKind::Conflict, "bundle_gap", message)
                .hint("apply the earlier bundle, or make a new one: mainstem bundle create FILE"))
        }
        Pushed::Reused => {
            let message = format!("changeset {sequence} of this replica was another one before: two copies of its file exist");
            Err(Error::new(ErrorKind::Conflict, "reused", message).hint("mainstem sync gives the copy an identity of its own"))
        }
        Pushed::Outside { rows } => {
            let table = rows.first().map_or("", |(table, _)| table.as_str());
            let message = format!("changeset {sequence} writes rows of {table} that this copy does not hold");
            Err(Error::new(ErrorKind::Denied, "outside_scope", message)
                .hint("mainstem bundle apply FILE --to ADDRESS, or apply it beside a whole copy"))
        }
    }
}

/// Brings versions to the replica.
pub fn apply_versions(session: &Session, path: &Path) -> Result<Carried> {
    let mut opened = session.replica()?;
    let mut bundle = open(path)?;
    let header = bundle.header.clone();
    check_belongs(&header, &known_of(&opened.standing)?, &opened.standing.dataset)?;
    let at = opened.replica.cursor()?;
    if header.from.version > at.version {
        let message = format!("versions {} to {} must come first", at.version, header.from.version - 1);
        let hint = format!("mainstem bundle create FILE --since {}", at.version.saturating_sub(1));
        return Err(Error::new(ErrorKind::Conflict, "bundle_gap", message).hint(hint));
    }
    let actor = session.actor(&opened.standing)?;
    opened.replica.lock(&actor)?;
    opened.replica.commit(&actor, None, "")?;
    let mut carried = Carried { version: at.version.saturating_sub(1), ..Carried::default() };
    let mut unheld = Unheld::after(at);
    let mut pull = empty_pull(&header, at);
    let mut bytes = 0;
    while let Some(item) = bundle.item()? {
        let Some(size) = unheld.size_if_new(&item)? else {
            continue;
        };
        bytes += size;
        pull.items.push(item);
        if let (true, Some(next)) = (bytes >= BYTES_AT_ONCE, unheld.boundary()) {
            pull.next = next;
            give(&mut opened.replica, std::mem::replace(&mut pull, empty_pull(&header, next)), &mut carried)?;
            bytes = 0;
        }
    }
    carried.already = unheld.already;
    pull.next = header.next;
    pull.is_last = true;
    if header.next.version > at.version {
        give(&mut opened.replica, pull, &mut carried)?;
    }
    Ok(carried)
}

fn empty_pull(header: &BundleHeader, next: Cursor) -> Pull {
    let (policy, scope) = (header.policy.clone(), Digest::default());
    Pull { from: next, items: Vec::new(), next, is_last: false, policy, head: header.head, scope }
}

fn give(replica: &mut dyn Replica, pull: Pull, carried: &mut Carried) -> Result<()> {
    let received = replica.receive(&pull)?;
    carried.versions += received.versions;
    carried.rows += received.changes;
    carried.version = received.version;
    Ok(())
}

fn check_belongs(header: &BundleHeader, known: &Acquaintance, dataset: &str) -> Result<()> {
    if header.lineage != known.lineage {
        let message = format!("the bundle is of another dataset ({}) than this replica ({dataset})", header.dataset);
        return Err(Error::new(ErrorKind::Conflict, "other_lineage", message).hint("mainstem --db OTHER.db bundle apply FILE"));
    }
    if header.epoch != known.epoch {
        let message = format!("the primary of {dataset} was restored from an older copy since this replica saw it");
        return Err(Error::new(ErrorKind::Conflict, "other_epoch", message).hint("mainstem clone ADDRESS NEW.db"));
    }
    Ok(())
}

/// Passes over what the replica holds already.
struct Unheld {
    /// What the replica wants next.
    wanted: Cursor,
    /// What comes next in the bundle.
    at: Cursor,
    /// How many pages the version being read has.
    pages: u64,
    /// Versions passed over.
    already: u64,
    /// True after a version's event, whose first page belongs to it.
    is_open: bool,
}

impl Unheld {
    fn after(wanted: Cursor) -> Self {
        Unheld { wanted, at: Cursor::default(), pages: 0, already: 0, is_open: false }
    }
    /// The item's size where the replica does not hold it.
    fn size_if_new(&mut self, item: &Item) -> Result<Option<usize>> {
        let is_new = |at: Cursor, wanted: Cursor| (at.version, at.page) >= (wanted.version, wanted.page);
        Ok(match item {
            Item::Version(bytes, _) => {
                let version = version_of(item)?.ok_or_else(|| Error::internal("a version that is none"))?;
                self.at = Cursor { version: version.version, page: 0 };
                self.pages = version.pages;
                self.is_open = version.pages > 0;
                self.already += u64::from(self.at.version < self.wanted.version);
                is_new(self.at, self.wanted).then_some(bytes.len())
            }
            Item::Page(bytes) => {
                let found = is_new(self.at, self.wanted).then_some(bytes.len());
                self.at.page += 1;
                self.is_open = false;
                found
            }
            Item::Event(bytes, _) => Some(bytes.len()),
        })
    }
    /// Where the next piece would begin; none in the middle of what must come together.
    fn boundary(&self) -> Option<Cursor> {
        let is_whole = self.at.page >= self.pages;
        let next = if is_whole { Cursor { version: self.at.version + 1, page: 0 } } else { self.at };
        (!self.is_open).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstem_core::event::Version;

    fn version(number: u64, pages: u64) -> Item {
        let event = Event::Version(Version { version: number, pages, ..Version::default() });
        Item::Version(event::encode(&event), [0; 32])
    }

    #[test]
    fn what_is_held_is_passed_over_and_pieces_end_where_a_pull_may() {
        let page = || Item::Page(vec![1, 2, 3]);
        let mut unheld = Unheld::after(Cursor { version: 3, page: 1 });
        let items = [version(2, 1), page(), version(3, 2), page(), page(), version(4, 0), version(5, 1), page()];
        let seen: Vec<_> = items
            .iter()
            .map(|item| (unheld.size_if_new(item).expect("sound").is_some(), unheld.boundary().map(|c| (c.version, c.page))))
            .collect();
        let expected = [
            (false, None),
            (false, Some((3, 0))),
            (false, None),
            (false, Some((3, 1))),
            (true, Some((4, 0))),
            (true, Some((5, 0))),
            (true, None),
            (true, Some((6, 0))),
        ];
        assert_eq!(seen, expected);
        assert_eq!(unheld.already, 1);
    }

    #[test]
    fn a_gap_names_what_is_missing() {
        let mut front = Front::default();
        front.header.sequence = 7;
        let mut carried = Carried::default();
        let e = note_answer(&mut carried, &front, &Pushed::Gap { expected: 4 }).expect_err("a gap");
        assert_eq!((e.kind, e.code), (ErrorKind::Conflict, "bundle_gap"));
        assert!(e.message.starts_with("changesets 4 to 6 of replica"), "{}", e.message);
        note_answer(&mut carried, &front, &Pushed::Already { version: 9 }).expect("harmless");
        assert_eq!((carried.already, carried.version), (1, 9));
    }
}

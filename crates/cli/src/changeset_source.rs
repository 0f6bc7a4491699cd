//! Row changes of a changeset from where they are: a primary's version, a file, or memory.
use crate::output::note;
use crate::plain_text::count;
use crate::wiring::Session;
use mainstem::changeset_file;
use mainstem::changeset_json;
use mainstem::changeset_session::{self, Form};
use mainstem::primary::{Pages, Primary};
use mainstem::replica::Replica;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Changeset, Front};
use mainstem_core::event::Version;
use mainstem_core::format::page;
use mainstem_core::schema::Table;
use mainstem_core::stamp::Time;
use mainstem_core::value::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// The pages of an accepted version, from its primary.
pub struct VersionPages {
    primary: Box<dyn Primary>,
    version: Version,
    at: u64,
}

impl VersionPages {
    /// The pages of that version.
    pub fn new(primary: Box<dyn Primary>, version: Version) -> Self {
        VersionPages { primary, version, at: 0 }
    }
}

impl Pages for VersionPages {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        if self.at == self.version.pages {
            return Ok(None);
        }
        let (number, at) = (self.version.version, self.at);
        let bytes = self.primary.page(number, at)?;
        let bytes = bytes.ok_or_else(|| Error::corrupt(format!("page {at} of version {number} is missing on the primary")))?;
        self.at += 1;
        Ok(Some(page::decode(&bytes, &self.version.shapes)?))
    }
    fn rewind(&mut self) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// The front of an accepted version, as a changeset has it.
pub fn front_of(version: &Version) -> Front {
    Front {
        header: version.header.clone(),
        schema: version.schema.clone(),
        shapes: version.shapes.clone(),
        resolutions: version.resolved.clone(),
        count: version.count,
        ..Front::default()
    }
}

/// A changeset in memory, as one page.
pub struct MemoryPages {
    changes: Vec<Change>,
    is_given: bool,
}

impl MemoryPages {
    /// The changes as one page.
    pub fn new(changes: Vec<Change>) -> Self {
        MemoryPages { changes, is_given: false }
    }
}

impl Pages for MemoryPages {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let is_given = std::mem::replace(&mut self.is_given, true);
        Ok((!is_given && !self.changes.is_empty()).then(|| self.changes.clone()))
    }
    fn rewind(&mut self) -> Result<()> {
        self.is_given = false;
        Ok(())
    }
}

/// Opens a changeset file of any kind, once all of it is known to be sound. The database of the session is looked at only
/// for a file in the format of SQLite's session extension.
pub fn open(session: &Session, path: &Path) -> Result<(Front, Box<dyn Pages>)> {
    let begins = beginning(path)?;
    let whole = if begins.trim_ascii_start().first() == Some(&b'{') {
        Some(changeset_json::import(&all(path)?).map_err(|e| naming(path, e))?)
    } else if Form::of(&begins).is_some() {
        Some(from_others(session, path)?)
    } else {
        None
    };
    if let Some(changeset) = whole {
        return Ok((changeset.front, Box::new(MemoryPages::new(changeset.changes))));
    }
    let mut input = BufReader::new(file(path)?);
    changeset_file::check(&mut input).map_err(|e| naming(path, e))?;
    let (front, pages) = changeset_file::read(input).map_err(|e| naming(path, e))?;
    Ok((front, Box::new(pages)))
}

/// Reads a whole changeset file into memory.
pub fn read(session: &Session, path: &Path) -> Result<Changeset> {
    let (front, mut pages) = open(session, path)?;
    let mut changes = Vec::new();
    while let Some(page) = pages.next()? {
        changes.extend(page);
    }
    Ok(Changeset { front, changes })
}

/// Opens a file for reading. Never a database: those are opened through SQLite only.
pub fn file(path: &Path) -> Result<File> {
    if crate::wiring::is_named_like_a_database(path) || (path.exists() && crate::wiring::is_tracked(path)) {
        let message = format!("{} is a database, not a changeset file", path.display());
        return Err(Error::invalid(message).hint("mainstem changeset export ID -o FILE.msc"));
    }
    File::open(path).map_err(|e| unreadable(path, e))
}

fn unreadable(path: &Path, e: std::io::Error) -> Error {
    let message = format!("{} cannot be read: {e}", path.display());
    match e.kind() {
        std::io::ErrorKind::NotFound => Error::not_found(format!("there is no file {}", path.display())).hint("ls -l").because(e),
        _ => Error::new(ErrorKind::Unavailable, "file_unreadable", message).because(e),
    }
}

fn beginning(path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    file(path)?.take(64).read_to_end(&mut start).map_err(|e| unreadable(path, e))?;
    Ok(start)
}

fn all(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file(path)?.read_to_end(&mut bytes).map_err(|e| unreadable(path, e))?;
    Ok(bytes)
}

/// A changeset or patchset of the session extension, as work of now on the tables that are tracked here.
fn from_others(session: &Session, path: &Path) -> Result<Changeset> {
    let mut opened = session.replica()?;
    let schema = opened.replica.schema()?;
    let at = Time::from_ms(session.around.now_ms());
    let mut present = |table: &Table, keys: &BTreeSet<Key>| {
        let mut found = BTreeMap::new();
        opened.replica.rows(&table.name, &mut |_, row| {
            let key = table.key_of(row);
            if keys.contains(&key) {
                found.insert(key, row.clone());
            }
            Ok(())
        })?;
        Ok(found)
    };
    let imported = changeset_session::import(&all(path)?, &schema, at, &mut present).map_err(|e| naming(path, e))?;
    if imported.form == Form::Patchset {
        note("a patchset does not say what was there before: it is taken as edits of the rows that are here now");
    }
    if imported.gone > 0 {
        note(format!(
            "{} that it deletes {} gone already",
            count(imported.gone, "row", "rows"),
            if imported.gone == 1 { "is" } else { "are" }
        ));
    }
    let mut changeset = imported.changeset;
    let header = &mut changeset.front.header;
    header.lineage = opened.standing.known.as_ref().map_or(0, |k| k.lineage);
    header.base_version = opened.standing.base_version;
    (header.actor, header.at) = (session.actor(&opened.standing)?, at);
    Ok(changeset)
}

/// The error with the file's name, which a reader of bytes does not know.
pub fn naming(path: &Path, e: Error) -> Error {
    Error { message: format!("{}: {}", path.display(), e.message), ..e }
}

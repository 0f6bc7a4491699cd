//! What a folder's databases say, read by plain SQLite: all of it, to tell states apart, and what people see of it.
//!
//! Invariant: reading recovers a database as any program would, so it is done on copies.
use mainstem_disk::Image;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::path::Path;

/// What all databases of a folder say, as one number for each.
pub type Key = Vec<(String, u64)>;

/// Looks at states on copies of their files, each content once.
pub struct Looking {
    folder: tempfile::TempDir,
    seen: HashMap<u64, Result<u64, String>>,
}

const JOURNALS: [&str; 2] = ["-wal", "-journal"];

/// Beside a primary lies what was found of proposals, which a crash may take: whoever opens it damaged makes it anew.
const LOSABLE: &str = ".found";

fn is_database(name: &str) -> bool {
    !JOURNALS.iter().any(|end| name.ends_with(end)) && !name.ends_with("-mainstem-lock") && !name.contains(LOSABLE)
}

/// A number for the bytes of a database and its journals.
fn bytes_of(image: &Image, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.bytes(name).hash(&mut hasher);
    for end in JOURNALS {
        image.bytes(&format!("{name}{end}")).hash(&mut hasher);
    }
    hasher.finish()
}

/// A number for all bytes of a state.
pub fn fingerprint(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    for (name, _, bytes) in image.files() {
        (name, bytes).hash(&mut hasher);
    }
    hasher.finish()
}

impl Looking {
    /// Nothing seen yet.
    pub fn new() -> std::io::Result<Looking> {
        Ok(Looking { folder: crate::stage::scratch()?, seen: HashMap::new() })
    }

    /// What a state's databases say once they are recovered; an error where one is damaged.
    pub fn key(&mut self, image: &Image) -> Result<Key, String> {
        let mut key = Key::new();
        for (name, _, bytes) in image.files().filter(|f| is_database(f.0)) {
            let number = bytes_of(image, name);
            let said = match self.seen.get(&number) {
                Some(said) => said.clone(),
                None => {
                    let path = self.folder.path().join("look.db");
                    let put = |end: &str, bytes: &[u8]| std::fs::write(path.with_file_name(format!("look.db{end}")), bytes);
                    crate::stage::clear(self.folder.path()).and_then(|()| put("", bytes)).map_err(|e| e.to_string())?;
                    for end in JOURNALS {
                        if let Some(bytes) = image.bytes(&format!("{name}{end}")) {
                            put(end, bytes).map_err(|e| e.to_string())?;
                        }
                    }
                    let said = said_by(&path);
                    self.seen.insert(number, said.clone());
                    said
                }
            };
            key.push((name.to_string(), said.map_err(|why| format!("{name}: {why}"))?));
        }
        Ok(key)
    }
}

fn said_by(path: &Path) -> Result<u64, String> {
    let text = everything(path).map_err(|e| e.to_string())?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    Ok(hasher.finish())
}

/// What a primary has heard of where its replicas stand. It may be behind: whoever cannot be heard now is heard the next time.
const HEARD: &str = "mainstem_replica";

/// The whole content of a database as text, but for what differs from run to run: the time of captured operations, and
/// where the file is; and for [`HEARD`].
pub fn everything(path: &Path) -> Result<String, rusqlite::Error> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let state: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    let mut text = format!("integrity_check: {state}\n");
    if state != "ok" {
        return Err(rusqlite::Error::InvalidColumnName(text));
    }
    let mut tables = db.prepare("SELECT name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")?;
    let tables: Vec<(String, String)> = tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (name, sql) in tables {
        let _ = writeln!(text, "-- {name}: {sql}");
        if name == HEARD {
            continue;
        }
        let words: Vec<String> = sql.split_whitespace().take(2).map(str::to_uppercase).collect();
        if words == ["CREATE", "TABLE"] {
            table(&db, &name, &|column| name == "mainstem_log" && column == "at", &mut text)?;
        }
    }
    Ok(text)
}

/// What people see of a database: the rows of their own tables.
pub fn rows(path: &Path) -> Result<String, rusqlite::Error> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let sql = "SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE TABLE%' AND name NOT LIKE 'mainstem\\_%' ESCAPE '\\' \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '%\\_fts\\_%' ESCAPE '\\' ORDER BY name";
    let mut names = db.prepare(sql)?;
    let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut text = String::new();
    for name in names {
        let _ = writeln!(text, "-- {name}");
        table(&db, &name, &|_| false, &mut text)?;
    }
    Ok(text)
}

fn table(db: &Connection, name: &str, is_hidden: &dyn Fn(&str) -> bool, text: &mut String) -> Result<(), rusqlite::Error> {
    let mut statement = db.prepare(&format!("SELECT * FROM \"{name}\""))?;
    let mut columns: Vec<(usize, String)> = statement.column_names().map(str::to_string).enumerate().collect();
    columns.sort_by(|a, b| a.1.cmp(&b.1));
    let mut lines = Vec::new();
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        let mut line = String::new();
        for (at, column) in columns.iter().filter(|c| !is_hidden(&c.1)) {
            let _ = match row.get_ref(*at)? {
                ValueRef::Text(bytes) => write!(line, "{column}='{}' ", String::from_utf8_lossy(bytes)),
                other => write!(line, "{column}={other:?} "),
            };
        }
        if !(name == "mainstem_meta" && line.contains("name='place'")) {
            lines.push(line);
        }
    }
    lines.sort_unstable();
    lines.iter().for_each(|line| text.extend([line, "\n"]));
    Ok(())
}

//! Puts the pieces together: the only place that makes surroundings and opens replicas and primaries.
//!
//! Invariant: a file is looked at through SQLite only, and only where its name and size suggest a database.
use crate::arguments::Global;
use crate::credentials;
use crate::known_servers;
use crate::output::{self, Output};
use crate::plain_text::shell_word;
use crate::progress::Bar;
use mainstem::datasets::Place;
use mainstem::primary::Primary;
use mainstem::replica::{Replica, Standing};
use mainstem::review::{By, Everybody};
use mainstem::scoped::Scoped;
use mainstem::watch;
use mainstem::wiring::{Around, RealSurroundings};
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::scope::Scope;
use mainstem_http::HttpPrimary;
use mainstem_http::client::{HttpPlace, Patience};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::primary::FolderPlace;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One run of the program.
pub struct Session {
    /// What was said before or after the command.
    pub global: Global,
    /// Where results go.
    pub out: Output,
    /// Time and randomness.
    pub around: Around,
}

/// A replica, opened, and where it stands.
pub struct Opened {
    /// The replica.
    pub replica: SqliteReplica,
    /// Its file.
    pub path: PathBuf,
    /// Who it is and where it stood when it was opened.
    pub standing: Standing,
}

impl Session {
    /// A session of this process.
    pub fn new(global: Global) -> Self {
        let mut out = Output::standard(global.json);
        known_servers::settle(&global);
        // What the environment names, it goes on naming.
        if let Some(db) = global.db.as_ref().filter(|db| std::env::var_os("MAINSTEM_DB").is_none_or(|named| named != db.as_os_str())) {
            out.name_database(db);
        }
        Session { global, out, around: Arc::new(RealSurroundings) }
    }
    /// The replica's file: `--db`, `MAINSTEM_DB`, or the one tracked database in the current folder.
    pub fn db_path(&self) -> Result<PathBuf> {
        match &self.global.db {
            Some(path) if path.as_os_str().is_empty() => Err(Error::invalid("the path of the database is empty")),
            Some(path) => Ok(path.clone()),
            None => the_one_tracked(Path::new(".")),
        }
    }
    /// Has suggestions name that database, unless it is found without a name.
    pub fn name_where_needed(&mut self, path: &Path) {
        let is_found = self.global.db.is_none() && the_one_tracked(Path::new(".")).is_ok_and(|only| is_same_file(&only, path));
        if !is_found {
            self.out.name_database(path);
        }
    }
    /// Opens the replica and passes on what it has to say.
    pub fn replica(&self) -> Result<Opened> {
        self.replica_at(&self.db_path()?)
    }
    /// Opens the replica in that file.
    pub fn replica_at(&self, path: &Path) -> Result<Opened> {
        let mut replica = SqliteReplica::open(path, self.around.clone())?;
        let standing = replica.standing()?;
        for notice in &standing.notices {
            output::note(notice);
        }
        Ok(Opened { replica, path: path.to_path_buf(), standing })
    }
    /// Opens the primary at an address.
    pub fn primary_at(&self, address: &str) -> Result<Box<dyn Primary>> {
        open_primary(address, self.around.clone(), Patience::default())
    }
    /// Opens the primary that the replica belongs to, as far as the replica asks for it.
    pub fn primary_of(&self, standing: &Standing) -> Result<Box<dyn Primary>> {
        primary_of(standing, self.around.clone(), Patience::default())
    }
    /// Opens all of the primary that the replica belongs to.
    pub fn whole_primary_of(&self, standing: &Standing) -> Result<Box<dyn Primary>> {
        whole_primary_of(standing, self.around.clone(), Patience::default())
    }
    /// Who acts on that replica.
    pub fn actor(&self, standing: &Standing) -> Result<String> {
        let configured = self.global.actor.clone().or_else(|| standing.actor.clone());
        actor_name(configured.or_else(system_user))
    }
    /// The same as a primary hears it, with a key for what this command asks of it: sent again, it is not done again. One for
    /// each thing that is done.
    pub fn by<'a>(&self, actor: &'a str) -> By<'a> {
        By { actor, token: None, people: &Everybody, request: Some(self.around.random()) }
    }
    /// Who acts in a command that needs no replica: as the replica says where there is one.
    pub fn actor_anywhere(&self) -> Result<String> {
        match (&self.global.actor, self.db_path()) {
            (None, Ok(path)) => self.actor(&self.replica_at(&path)?.standing),
            (named, _) => actor_name(named.clone().or_else(system_user)),
        }
    }
    /// The actor that was named for this run, checked.
    pub fn named_actor(&self) -> Result<Option<String>> {
        self.global.actor.clone().map(|name| actor_name(Some(name))).transpose()
    }
    /// A progress bar for this run.
    pub fn bar(&self) -> Bar {
        Bar::new()
    }
}

/// Checks a person's name: it is shown in lists, so it is one line and not empty.
pub fn actor_name(name: Option<String>) -> Result<String> {
    let hint = "mainstem config actor NAME";
    let Some(name) = name else {
        return Err(Error::invalid("nobody is named as the actor, and the system's user has no name").hint(hint));
    };
    let trimmed = name.trim();
    if trimmed.is_empty() || trimmed.chars().any(char::is_control) || trimmed.len() > 256 {
        let shown = output::one_line(&name);
        return Err(Error::invalid(format!("the actor's name '{shown}' is empty, too long or not one line")).hint(hint));
    }
    Ok(trimmed.to_string())
}

fn system_user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()))
        .or_else(|| rustix::process::getuid().is_root().then(|| "root".to_string()))
}

/// Where a primary is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An embedded primary in a folder.
    Folder(PathBuf),
    /// A dataset on a server.
    Server(mainstem_http::address::Address),
}

impl Address {
    /// Reads an address as typed. A relative folder is taken from the current one.
    pub fn parse(typed: &str) -> Result<Self> {
        let supported = "mainstem help publish";
        if typed.is_empty() {
            return Err(Error::invalid("the address is empty").hint(supported));
        }
        if let Some((scheme, _)) = typed.split_once("://")
            && !scheme.contains(['/', '.'])
        {
            if matches!(scheme, "http" | "https") {
                return mainstem_http::address::Address::parse(typed).map(Address::Server);
            }
            let message = format!("{scheme}:// addresses are not supported; a primary is a folder, or http(s)://HOST/DATASET");
            return Err(Error::new(ErrorKind::Invalid, "unsupported_address", message).hint(supported));
        }
        let path = std::path::absolute(typed).map_err(|e| Error::invalid(format!("the address {typed} cannot be used: {e}")).because(e))?;
        Ok(Address::Folder(path))
    }
    /// The address as a replica remembers it, whatever folder it is used from.
    pub fn remembered(&self) -> Result<String> {
        match self {
            Address::Server(address) => Ok(address.to_string()),
            Address::Folder(path) => path
                .to_str()
                .map(str::to_string)
                .ok_or_else(|| Error::invalid(format!("the path {} is not valid UTF-8, so it cannot be remembered", path.display()))),
        }
    }
    /// The folder of a primary on this machine, for what only its owner may do.
    pub fn folder(&self) -> Result<&Path> {
        match self {
            Address::Folder(path) => Ok(path),
            Address::Server(address) => {
                let message = format!("{address} is on a server; that can be done where the server runs");
                Err(Error::new(ErrorKind::Invalid, "unsupported_address", message))
            }
        }
    }
    /// The place, to make or open a primary at.
    pub fn place(&self, around: Around) -> Result<Box<dyn Place + '_>> {
        Ok(match self {
            Address::Folder(path) => Box::new(FolderPlace::new(path, around)),
            Address::Server(address) => {
                let token = credentials::token_for(&address.server())?;
                let trust = known_servers::trust_with(address, token.as_deref());
                Box::new(HttpPlace::new(address.clone(), token, Patience::default()).trusting(trust))
            }
        })
    }
}

/// Where the primary is that a replica belongs to.
pub fn remote_of(standing: &Standing) -> Result<&str> {
    let none = || Error::new(ErrorKind::Invalid, "no_primary", format!("{} has no primary yet", standing.dataset));
    standing.remote.as_deref().ok_or_else(|| none().hint("mainstem publish FOLDER"))
}

/// Opens the primary that a replica belongs to, as far as the replica asks for it.
pub fn primary_of(standing: &Standing, around: Around, patience: Patience) -> Result<Box<dyn Primary>> {
    open_remote(standing, &standing.scope, around, patience)
}

/// Opens all of the primary that a replica belongs to.
pub fn whole_primary_of(standing: &Standing, around: Around, patience: Patience) -> Result<Box<dyn Primary>> {
    open_remote(standing, &Scope::everything(), around, patience)
}

fn open_remote(standing: &Standing, scope: &Scope, around: Around, patience: Patience) -> Result<Box<dyn Primary>> {
    open_part(remote_of(standing)?, scope, around, patience).map_err(|e| match e.code {
        "no_primary" => e.hint("mainstem config remote FOLDER, where it was moved"),
        _ => e,
    })
}

/// How long to wait before a primary that cannot be heard is asked again.
pub fn patience(address: &str) -> watch::Patience {
    match Address::parse(address) {
        Ok(Address::Folder(_)) => watch::Patience::near(),
        _ => watch::Patience::default(),
    }
}

/// Opens the primary at an address; `patience` is for a server's answers.
pub fn open_primary(address: &str, around: Around, patience: Patience) -> Result<Box<dyn Primary>> {
    open_part(address, &Scope::everything(), around, patience)
}

/// Opens the primary at an address as somebody sees it who asks for a part.
pub fn open_part(address: &str, scope: &Scope, around: Around, patience: Patience) -> Result<Box<dyn Primary>> {
    match Address::parse(address)? {
        Address::Folder(folder) => {
            let primary = mainstem_sqlite::open_primary(&folder, around)?;
            let is_whole = scope.is_everything();
            Ok(if is_whole { primary } else { Box::new(Scoped::new(primary, scope.clone(), Scope::everything())) })
        }
        Address::Server(address) => {
            let token = credentials::token_for(&address.server())?;
            let trust = known_servers::trust_with(&address, token.as_deref());
            Ok(Box::new(HttpPrimary::new(address, token, patience)?.trusting(trust).asking(scope)))
        }
    }
}

const DATABASE_ENDINGS: [&str; 7] = ["db", "db3", "sqlite", "sqlite3", "s3db", "gpkg", "sqlitedb"];

/// True where a file's name suggests a SQLite database.
pub fn is_named_like_a_database(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    DATABASE_ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// Makes a file for output, replacing one that is there, but never a database.
pub fn output_file(path: &Path) -> Result<std::fs::File> {
    let is_database = is_named_like_a_database(path) || (path.exists() && is_tracked(path));
    if is_database {
        let message = format!("{} is named like a database; the output would replace it", path.display());
        return Err(Error::invalid(message).hint("give another name with -o"));
    }
    std::fs::File::create(path).map_err(|e| {
        let message = format!("{} cannot be written: {e}", path.display());
        Error::new(ErrorKind::Unavailable, "output", message).because(e)
    })
}

/// Says so where locks may not hold on a database's disk (J4). A place that cannot be looked at says so itself, in time.
pub fn warn_of_place(database: &Path) {
    if let Ok(Some(warning)) = mainstem_sqlite::connection::place_warning(database) {
        crate::output::note(warning);
    }
}

/// Files in a folder whose name and size suggest a SQLite database.
fn candidates(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable =
        |e: std::io::Error| Error::new(ErrorKind::Unavailable, "folder", format!("the current folder cannot be listed: {e}")).because(e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if is_named_like_a_database(&path) && std::fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() >= 512) {
            found.push(path.strip_prefix(".").unwrap_or(&path).to_path_buf());
        }
    }
    found.sort();
    Ok(found)
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// The tracked databases in a folder.
pub fn tracked_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = candidates(folder)?;
    found.retain(|path| is_tracked(path));
    if found.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "no_database", format!("no tracked database is in {}", folder.display()))
            .hint("mainstem init app.db"));
    }
    Ok(found)
}

fn the_one_tracked(folder: &Path) -> Result<PathBuf> {
    let candidates = candidates(folder)?;
    let tracked: Vec<&PathBuf> = candidates.iter().filter(|path| is_tracked(path)).collect();
    match (tracked.as_slice(), candidates.as_slice()) {
        ([only], _) => Ok(only.to_path_buf()),
        ([], []) => Err(Error::new(ErrorKind::NotFound, "no_database", "no database is in this folder")
            .hint("mainstem init app.db, or name one with --db PATH")),
        ([], some) => Err(Error::new(
            ErrorKind::Invalid,
            "not_tracked",
            format!("no database in this folder is tracked (there is {})", listed(some.iter())),
        )
        .hint(format!("mainstem init {}", shell_word(&some[0].display().to_string())))),
        (several, _) => Err(Error::new(
            ErrorKind::Invalid,
            "ambiguous_database",
            format!("several tracked databases are in this folder: {}", listed(several.iter().copied())),
        )
        .hint(format!("mainstem --db {} status", shell_word(&several[0].display().to_string())))),
    }
}

fn listed<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> String {
    let names: Vec<String> = paths.map(|p| p.display().to_string()).collect();
    let shown = names.len().min(8);
    let rest = if names.len() > shown { format!(" and {} more", names.len() - shown) } else { String::new() };
    names[..shown].join(", ") + &rest
}

/// True where the file is a replica. A file that cannot be read as one is not a candidate.
pub fn is_tracked(path: &Path) -> bool {
    let Ok(db) = mainstem_sqlite::connection::open_user_read_only(path) else {
        return false;
    };
    db.query_row("SELECT count(*) FROM sqlite_master WHERE name = 'mainstem_meta'", [], |row| row.get(0)).is_ok_and(|n: i64| n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_folder_or_refused_by_name() {
        let Address::Folder(folder) = Address::parse("some/where").expect("a folder") else { panic!("no folder") };
        assert!(folder.is_absolute() && folder.ends_with("some/where"));
        assert!(matches!(Address::parse("http://host/x"), Ok(Address::Server(_))));
        for scheme in ["s3", "git+ssh"] {
            let e = Address::parse(&format!("{scheme}://host/x")).expect_err("no such scheme yet");
            assert_eq!((e.kind, e.code), (ErrorKind::Invalid, "unsupported_address"));
            assert!(e.message.contains(scheme) && e.message.contains("folder"), "{}", e.message);
        }
        assert!(Address::parse("").is_err());
        assert!(Address::parse("./odd://name").is_ok());
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(actor_name(Some(" ann ".into())).expect("a name"), "ann");
        assert_eq!(actor_name(Some("Åse 🎵".into())).expect("a name"), "Åse 🎵");
        for wrong in [None, Some(String::new()), Some("  ".into()), Some("a\nb".into()), Some("x".repeat(300))] {
            assert!(actor_name(wrong).is_err());
        }
    }

    #[test]
    fn only_likely_files_are_candidates() {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, size: usize| std::fs::write(folder.path().join(name), vec![b'x'; size]).expect("written");
        put("a.db", 4096);
        put("small.db", 10);
        put("notes.txt", 4096);
        put("B.SQLITE", 512);
        std::fs::create_dir(folder.path().join("folder.db")).expect("made");
        let found = candidates(folder.path()).expect("listed");
        let names: Vec<_> = found.iter().filter_map(|p| p.file_name()?.to_str()).collect();
        assert_eq!(names, ["B.SQLITE", "a.db"]);
        let e = the_one_tracked(folder.path()).expect_err("none is tracked");
        assert_eq!(e.code, "not_tracked");
        assert!(e.message.contains("a.db"), "{}", e.message);
    }

    #[test]
    fn an_empty_folder_says_how_to_begin() {
        let folder = tempfile::tempdir().expect("a folder");
        let e = the_one_tracked(folder.path()).expect_err("nothing there");
        assert_eq!((e.kind, e.code), (ErrorKind::NotFound, "no_database"));
        assert!(e.hint.expect("a hint").contains("mainstem init"));
    }
}

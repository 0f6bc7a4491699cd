//! The stage on which `demo` plays: it shows a command, then runs exactly that command.
//!
//! Invariant: what is shown as `mainstem …` runs through the same parser and the same commands as if it was typed; what
//! is shown as `sqlite3 …` runs as plain SQL on the file, with the triggers of the file, as any program would.
use crate::arguments::{Cli, Global};
use crate::commands;
use crate::json::conflict_id;
use crate::output::Paint;
use crate::plain_text::{self, Extent, name, shell_word};
use crate::wiring::Session;
use clap::Parser;
use mainstem::replica::Replica;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::value::Value;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::path::{Path, PathBuf};

/// Where the story plays.
pub struct Stage<'a> {
    session: &'a mut Session,
    folder: PathBuf,
    shown: String,
}

impl<'a> Stage<'a> {
    /// Makes the folder. It must not exist, so that nothing of anybody's is overwritten.
    pub fn build(session: &'a mut Session, folder: &Path) -> Result<Self> {
        let shown = folder
            .to_str()
            .map(str::to_string)
            .ok_or_else(|| Error::invalid(format!("the path {} is not valid UTF-8", folder.display())))?;
        std::fs::create_dir(folder).map_err(|e| {
            if e.kind() == std::io::ErrorKind::AlreadyExists {
                let message = format!("{shown} exists already; the demo overwrites nothing");
                return Error::new(ErrorKind::Conflict, "exists", message).hint("mainstem demo --dir another-folder");
            }
            let message = format!("the folder {shown} cannot be made: {e}");
            Error::new(ErrorKind::Unavailable, "folder", message).because(e)
        })?;
        session.out.line("A story in four chapters. Every command below is run as it is shown.")?;
        Ok(Stage { session, folder: folder.to_path_buf(), shown })
    }
    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str) -> Result<()> {
        let title = self.session.out.paint(Paint::Heading, title);
        self.session.out.line(format_args!("\n{title}"))
    }
    /// Says something between commands.
    pub fn say(&mut self, text: &str) -> Result<()> {
        self.session.out.line(format_args!("\n{text}"))
    }
    /// Shows a mainstem command and runs it. `{}` stands for the folder.
    pub fn mainstem(&mut self, words: &[&str]) -> Result<()> {
        let words: Vec<String> = words.iter().map(|w| w.replace("{}", &self.shown)).collect();
        let typed: Vec<String> = words.iter().map(|w| shell_word(w)).collect();
        self.prompt(&format!("mainstem {}", typed.join(" ")))?;
        let mut cli = Cli::try_parse_from(std::iter::once("mainstem".to_string()).chain(words.iter().cloned()))
            .map_err(|e| Error::internal(format!("the demo typed what cannot be read: {e}")))?;
        // The reader's own environment must not take a part in the story.
        if !words.iter().any(|w| w == "--as") {
            cli.global.actor = None;
        }
        if !words.iter().any(|w| w == "--db") {
            cli.global.db = None;
        }
        self.session.out.flush()?;
        let mut inner = Session::new(Global { json: false, ..cli.global });
        commands::run(&cli.command, &mut inner)?;
        inner.out.flush()
    }
    /// Shows SQL as it would be typed for the sqlite3 shell, and runs it.
    pub fn sql(&mut self, file: &str, sql: &str) -> Result<()> {
        self.prompt_sql(file, sql)?;
        self.sql_quietly(file, sql)
    }
    /// Runs SQL as any program would.
    pub fn sql_quietly(&mut self, file: &str, sql: &str) -> Result<()> {
        self.connect(file)?.execute_batch(sql).map_err(failed)
    }
    /// Shows a query, runs it, and shows its rows.
    pub fn query(&mut self, file: &str, sql: &str) -> Result<()> {
        self.prompt_sql(file, &sql.split_whitespace().collect::<Vec<_>>().join(" "))?;
        let db = self.connect(file)?;
        let mut statement = db.prepare(sql).map_err(failed)?;
        let columns = statement.column_count();
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let cells = (0..columns).map(|i| row.get_ref(i).map(cell));
            let cells = cells.collect::<rusqlite::Result<Vec<_>>>().map_err(failed)?;
            self.session.out.line(cells.join("|"))?;
        }
        Ok(())
    }
    /// The id of the first open conflict.
    pub fn first_conflict(&mut self, file: &str) -> Result<String> {
        let mut opened = self.session.replica_at(&self.folder.join(file))?;
        let open = opened.replica.conflicts(true)?;
        let first = open.first().ok_or_else(|| Error::internal("the story has no conflict"))?;
        Ok(conflict_id(first.id))
    }
    /// Says what can be tried next.
    pub fn farewell(&mut self) -> Result<()> {
        self.chapter("The files are yours to play with. Try:")?;
        let at = shell_word(&self.shown);
        let commands = [
            format!("sqlite3 {at}/ann.db \"UPDATE recipe SET serves = 8 WHERE id = 3;\""),
            format!("mainstem --db {at}/ann.db diff"),
            format!("mainstem --db {at}/ann.db sync"),
            format!("mainstem --db {at}/ben.db log"),
            format!("mainstem --db {at}/ben.db conflicts --state all"),
        ];
        commands.iter().try_for_each(|c| self.session.out.line(format_args!("  {c}")))
    }
    fn prompt(&mut self, command: &str) -> Result<()> {
        let command = self.session.out.paint(Paint::Quiet, format!("$ {}", name(command)));
        self.session.out.line(command)
    }
    fn prompt_sql(&mut self, file: &str, sql: &str) -> Result<()> {
        let path = shell_word(&format!("{}/{file}", self.shown));
        self.prompt(&format!("sqlite3 {path} \"{sql}\""))
    }
    fn connect(&self, file: &str) -> Result<Connection> {
        let db = Connection::open(self.folder.join(file)).map_err(failed)?;
        db.execute_batch("PRAGMA foreign_keys = ON").map_err(failed)?;
        Ok(db)
    }
}

fn failed(e: rusqlite::Error) -> Error {
    Error::internal(format!("the demo's SQL failed: {e}")).because(e)
}

/// A value as the sqlite3 shell prints it.
fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Text(bytes) => plain_text::name(&String::from_utf8_lossy(bytes)),
        ValueRef::Integer(i) => i.to_string(),
        ValueRef::Real(r) => plain_text::real(r),
        ValueRef::Blob(bytes) => plain_text::value(&Value::Blob(bytes.to_vec()), Extent::Short),
    }
}

//! Runs what is typed in a session and writes down what is said.
use crate::settle::settle;
use rusqlite::types::ValueRef;
use std::cell::RefCell;
use std::process::{Command, Stdio};

/// A folder of its own to type in.
pub struct Prompt {
    folder: tempfile::TempDir,
    conflict: RefCell<Option<String>>,
}

impl Prompt {
    pub fn new() -> Self {
        Prompt { folder: tempfile::tempdir().expect("a temporary folder"), conflict: RefCell::new(None) }
    }

    /// Runs every command of a session and gives the session as it went.
    pub fn play(&self, script: &str) -> String {
        let mut played = String::new();
        let mut is_head = true;
        for line in script.lines() {
            let Some(typed) = line.strip_prefix("$ ") else {
                if is_head {
                    played.push_str(line);
                    played.push('\n');
                }
                continue;
            };
            is_head = false;
            played.push_str(line);
            played.push('\n');
            played.push_str(&self.run(typed));
        }
        played
    }

    fn run(&self, typed: &str) -> String {
        let mut words = words(typed);
        if let Some(id) = self.conflict.borrow().as_ref() {
            words.iter_mut().for_each(|w| *w = w.replace("{conflict}", id));
        }
        let (program, arguments) = words.split_first().expect("a command");
        let said = match program.as_str() {
            "mainstem" => self.mainstem(arguments),
            "sqlite3" => self.sql(&arguments[0], &arguments[1]),
            "write" => self.write(&arguments[0], &arguments[1]),
            "move" => self.rename(&arguments[0], &arguments[1]),
            other => panic!("a session knows mainstem, sqlite3, write and move, not {other}"),
        };
        if let Some(id) = said.split(|c: char| !c.is_ascii_hexdigit()).find(|w| w.len() == 16) {
            self.conflict.borrow_mut().get_or_insert(id.to_string());
        }
        let folder = self.folder.path().canonicalize().expect("the folder is there");
        settle(&said.replace(folder.to_str().expect("a UTF-8 path"), "<dir>"))
    }

    fn mainstem(&self, arguments: &[String]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_mainstem"))
            .args(arguments)
            .current_dir(self.folder.path().canonicalize().expect("the folder is there"))
            .env_remove("MAINSTEM_DB")
            .env_remove("MAINSTEM_ACTOR")
            .env_remove("VISUAL")
            .env("USER", "somebody")
            .env("EDITOR", "true")
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        let mut said = String::from_utf8(output.stdout).expect("standard output is UTF-8");
        said.push_str(&String::from_utf8(output.stderr).expect("standard error is UTF-8"));
        match output.status.code() {
            Some(0) => said,
            Some(code) => format!("{said}[exit {code}]\n"),
            None => format!("{said}[killed]\n"),
        }
    }

    /// Any program that writes SQL.
    fn sql(&self, file: &str, sql: &str) -> String {
        let db = rusqlite::Connection::open(self.folder.path().join(file)).expect("a database");
        db.execute_batch("PRAGMA foreign_keys = ON").expect("a pragma");
        if !sql.trim_start().to_ascii_uppercase().starts_with("SELECT") {
            db.execute_batch(sql).expect("SQL");
            return String::new();
        }
        let mut statement = db.prepare(sql).expect("SQL");
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect("rows");
        let mut said = String::new();
        while let Some(row) = rows.next().expect("a row") {
            let cells: Vec<String> = (0..columns).map(|i| cell(row.get_ref(i).expect("a value"))).collect();
            said += &format!("{}\n", cells.join("|"));
        }
        said
    }

    fn rename(&self, from: &str, to: &str) -> String {
        std::fs::rename(self.folder.path().join(from), self.folder.path().join(to)).expect("moved");
        String::new()
    }

    fn write(&self, file: &str, text: &str) -> String {
        std::fs::write(self.folder.path().join(file), text.repeat(600)).expect("written");
        String::new()
    }
}

fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(i) => i.to_string(),
        ValueRef::Real(r) => format!("{r:?}"),
        ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned(),
        ValueRef::Blob(b) => format!("{b:02x?}"),
    }
}

/// Words as a shell splits them, with single and double quotes.
fn words(typed: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for c in typed.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => found.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    found.extend(word);
    found
}

#[test]
fn words_are_split_as_a_shell_does() {
    assert_eq!(words("a 'b c' \"d 'e'\" ''"), ["a", "b c", "d 'e'", ""]);
}

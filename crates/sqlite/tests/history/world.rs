//! A primary and its replicas under one seed, worked on by plain SQL, tables and columns included.
use mainstem::core::ErrorKind;
use mainstem::core::value::{Row, Value};
use mainstem::local::Large;
use mainstem::primary::Primary;
use mainstem::replica::{Answering, Replica};
use mainstem::sync;
use mainstem::wiring::{Around, Surroundings};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::primary::PRIMARY_FILE;
use mainstem_sqlite::replica::InitOptions;
use mainstem_sqlite::tables::read_row;
use mainstem_testkit::surroundings::Seeded;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub const START: &str = "
    CREATE TABLE person(id INTEGER PRIMARY KEY, boss INTEGER REFERENCES person(id), name TEXT, age);
    CREATE TABLE team(id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT UNIQUE, lead INTEGER REFERENCES person(id) ON DELETE SET NULL, points INTEGER);
    CREATE TABLE tag(code TEXT, n INTEGER, note, PRIMARY KEY(code, n)) WITHOUT ROWID;
    INSERT INTO person VALUES (1, NULL, 'Ann', 30), (2, 1, 'Ben', 31.5), (3, 1, 'Cat', NULL), (4, 2, 'Dan', x'00ff');
    INSERT INTO team VALUES (1, 'red', 1, 10), (2, 'blue', 2, 20);
    INSERT INTO tag VALUES ('a', 1, 'one'), ('a', 2, ''), ('b', 1, NULL);
";

/// Rows by table, each by column name.
pub type Rows = BTreeMap<String, Vec<BTreeMap<String, Value>>>;

/// Throws that a seed decides.
pub struct Dice(Arc<Seeded>);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(Seeded::new(seed, 0))
    }
    pub fn below(&self, n: usize) -> usize {
        (self.0.random() % n as u128) as usize
    }
    pub fn of<'a, T>(&self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

pub fn quiet(_: &str, _: u64, _: u64) {}

/// A primary and replicas.
pub struct World {
    pub folder: tempfile::TempDir,
    around: Around,
    replicas: usize,
}

impl World {
    /// Publishes `sql` and clones it.
    pub fn new(seed: u64, sql: &str, replicas: usize) -> World {
        let folder = tempfile::tempdir().unwrap();
        let world = World { folder, around: Seeded::new(seed, 1_800_000_000_000), replicas };
        let path = world.path(0);
        let db = Connection::open(&path).unwrap();
        db.execute_batch(sql).unwrap();
        drop(db);
        let options = InitOptions { actor: Some("a0".into()), ..InitOptions::default() };
        SqliteReplica::init(&path, &options, world.around.clone(), &mut quiet).unwrap();
        world.replica(0).publish(&world.primary_folder(), Some("world"), "a0", &mut quiet).unwrap();
        for who in 1..replicas {
            let (address, actor) = (world.primary_folder(), format!("a{who}"));
            let around = world.around.clone();
            SqliteReplica::clone_from(
                &mut *world.primary(),
                &address.to_string_lossy(),
                &world.path(who),
                Some(&actor),
                around,
                &mut quiet,
            )
            .unwrap();
        }
        world
    }
    /// The same primary once more, without replicas.
    pub fn copied(&self) -> World {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("primary")).unwrap();
        let copy = World { folder, around: self.around.clone(), replicas: 0 };
        let db = Connection::open(self.primary_file()).unwrap();
        db.execute("VACUUM INTO ?1", [copy.primary_file().to_string_lossy()]).unwrap();
        copy
    }
    fn path(&self, who: usize) -> PathBuf {
        self.folder.path().join(format!("replica{who}.db"))
    }
    pub fn primary_folder(&self) -> PathBuf {
        self.folder.path().join("primary")
    }
    pub fn primary_file(&self) -> PathBuf {
        self.primary_folder().join(PRIMARY_FILE)
    }
    pub fn primary(&self) -> Box<dyn Primary> {
        mainstem_sqlite::open_primary(&self.primary_folder(), self.around.clone()).unwrap()
    }
    /// The same, to which other proposals are large.
    pub fn primary_with(&self, large: Large) -> Box<dyn Primary> {
        let primary = mainstem_sqlite::primary::open_local(&self.primary_folder(), self.around.clone()).unwrap();
        Box::new(primary.with_large(large))
    }
    pub fn replica(&self, who: usize) -> SqliteReplica {
        SqliteReplica::open(&self.path(who), self.around.clone()).unwrap()
    }
    /// Runs SQL as another program would; what fails changes nothing.
    pub fn try_sql(&self, who: Option<usize>, sql: &str) -> bool {
        let path = who.map_or_else(|| self.primary_file(), |who| self.path(who));
        let db = Connection::open(path).unwrap();
        db.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        db.execute_batch(sql).is_ok()
    }
    /// Runs SQL on a replica.
    pub fn sql(&self, who: usize, sql: &str) {
        assert!(self.try_sql(Some(who), sql), "{sql}");
    }
    /// Commits under a title and pushes, then pulls.
    pub fn send(&self, who: usize, title: &str) {
        self.replica(who).commit(&format!("a{who}"), Some(title), "").unwrap();
        self.sync(who);
    }
    /// Syncs; refusals that are answers are none of our business here.
    pub fn sync(&self, who: usize) {
        let (mut replica, mut primary) = (self.replica(who), self.primary());
        if let Err(e) = sync::sync(&mut replica, &mut *primary, &format!("a{who}"), &mut quiet) {
            assert!(matches!(e.kind, ErrorKind::Conflict | ErrorKind::Invalid) && e.code != "drift", "{} {e}", e.code);
        }
    }
    pub fn sync_all(&self) {
        for _ in 0..2 {
            (0..self.replicas).for_each(|who| self.sync(who));
        }
    }
    pub fn head(&self) -> u64 {
        self.primary().describe().unwrap().head.version
    }
    /// The rows that are in the primary's tables.
    pub fn stored(&self) -> Rows {
        let db = Connection::open(self.primary_file()).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'mainstem\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let mut names = db.prepare(sql).unwrap();
        let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        let mut all = Rows::new();
        for name in names {
            let mut statement = db.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
            let columns: Vec<String> = statement.column_names().map(ToString::to_string).collect();
            let mut found = statement.query([]).unwrap();
            while let Some(row) = found.next().unwrap() {
                all.entry(name.clone()).or_default().push(columns.iter().cloned().zip(read_row(row).unwrap()).collect());
            }
        }
        all.values_mut().for_each(|rows| rows.sort_unstable());
        all
    }

    /// Something that people do, or programs.
    pub fn step(&self, dice: &Dice) {
        let who = dice.below(self.replicas);
        match dice.below(40) {
            0..=27 => drop(self.try_sql(Some(who), &self.edit(dice, who))),
            28 | 29 => drop(self.try_sql(None, &self.edit(dice, who))),
            30 => {
                // What schema steps do to each other while people are apart is another test's matter.
                self.sync_all();
                self.try_sql(Some(who), &self.schema_step(dice, who, true));
                self.sync_all();
            }
            31 if dice.below(3) == 0 => {
                self.sync_all();
                self.try_sql(None, &self.schema_step(dice, who, false));
                self.sync_all();
            }
            32 => self.answer(who),
            _ => self.sync(who),
        }
    }

    /// Something that people do to rows.
    pub fn step_of_rows(&self, dice: &Dice) {
        let who = dice.below(self.replicas);
        match dice.below(12) {
            0..=7 => drop(self.try_sql(Some(who), &self.edit(dice, who))),
            8 => self.answer(who),
            _ => self.sync(who),
        }
    }

    fn answer(&self, who: usize) {
        let mut replica = self.replica(who);
        let Some(conflict) = replica.conflicts(true).unwrap().into_iter().next() else { return };
        let answering = Answering { choice: mainstem::core::change::Choice::Ours, value: None };
        let _ = replica.resolve(&format!("a{who}"), &[(conflict.id, answering)]);
    }

    fn tables(&self, who: usize) -> Vec<(String, Vec<(String, bool)>)> {
        let schema = self.replica(who).schema().unwrap();
        let columns = |table: &mainstem::core::schema::Table| {
            table.columns.iter().enumerate().map(|(at, column)| (column.name.clone(), table.key.contains(&at))).collect()
        };
        schema.tables.iter().map(|table| (table.name.clone(), columns(table))).collect()
    }

    fn edit(&self, dice: &Dice, who: usize) -> String {
        let tables = self.tables(who);
        let (table, columns) = dice.of(&tables);
        let value = |name: &str| match name {
            "id" | "n" | "boss" | "lead" => (*dice.of(&["1", "2", "3", "4", "5", "6", "NULL"])).to_string(),
            "code" | "label" => (*dice.of(&["'a'", "'b'", "'c'", "'red'"])).to_string(),
            _ => (*dice.of(&["NULL", "1", "1.0", "-0.0", "''", "'x'", "'1'", "x'00'", "9223372036854775807", "'n'||abs(random()%9)"]))
                .to_string(),
        };
        let keyed: Vec<String> =
            columns.iter().filter(|(_, is_key)| *is_key).map(|(name, _)| format!("\"{name}\" = {}", value(name))).collect();
        let row = keyed.join(" AND ");
        match dice.below(10) {
            0..=2 => {
                let names: Vec<String> = columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                let values: Vec<String> = columns.iter().map(|(name, _)| value(name)).collect();
                let verb = dice.of(&["INSERT", "INSERT OR REPLACE"]);
                format!("{verb} INTO \"{table}\"({}) VALUES ({})", names.join(", "), values.join(", "))
            }
            3 => format!("DELETE FROM \"{table}\" WHERE {row}"),
            4 => format!(
                "DELETE FROM \"{table}\" WHERE {row}; INSERT OR IGNORE INTO \"{table}\"({0}) VALUES ({1})",
                columns[0].0,
                value(&columns[0].0)
            ),
            _ => {
                let (name, _) = dice.of(columns);
                format!("UPDATE \"{table}\" SET \"{name}\" = {} WHERE {row}", value(name))
            }
        }
    }

    fn schema_step(&self, dice: &Dice, who: usize, may_drop: bool) -> String {
        let tables = self.tables(who);
        let (table, columns) = dice.of(&tables);
        let free: Vec<&String> = columns
            .iter()
            .map(|(name, _)| name)
            .filter(|name| ["note", "age", "points"].contains(&name.as_str()) || name.starts_with('e'))
            .collect();
        let some = free.first().map_or("note", |name| name.as_str());
        match dice.below(if may_drop { 8 } else { 4 }) {
            0 => format!("ALTER TABLE \"{table}\" ADD COLUMN e{} TEXT", dice.below(4)),
            1 => format!("ALTER TABLE \"{table}\" ADD COLUMN e{} DEFAULT 7", dice.below(4)),
            2 => format!("ALTER TABLE \"{table}\" RENAME COLUMN \"{some}\" TO e{}", dice.below(6)),
            3 => format!("ALTER TABLE \"{table}\" RENAME TO {}", dice.of(&["tag", "label_of", "mark"])),
            4 | 5 => format!("ALTER TABLE \"{table}\" DROP COLUMN \"{some}\""),
            6 => format!("ALTER TABLE \"{table}\" DROP COLUMN \"{some}\"; ALTER TABLE \"{table}\" RENAME TO mark"),
            _ if table != "person" && table != "team" => {
                let other = if table == "tag" { "mark" } else { "tag" };
                format!("DROP TABLE \"{table}\"; CREATE TABLE {other}(code TEXT PRIMARY KEY, note)")
            }
            _ => format!("ALTER TABLE \"{table}\" ADD COLUMN e9 INTEGER DEFAULT -1; UPDATE \"{table}\" SET e9 = 5"),
        }
    }
}

/// A row by column name.
pub fn named(names: &[String], row: &Row) -> BTreeMap<String, Value> {
    names.iter().cloned().zip(row.iter().cloned()).collect()
}

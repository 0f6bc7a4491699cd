//! Folders that scripts begin with.
use crate::stage::Stage;
use mainstem::Result;

/// People and notes about them: numbers and names as keys, a link, a unique value, a rule.
const TABLES: &str = "
    CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE, age INTEGER CHECK (age IS NULL OR age >= 0));
    CREATE TABLE note (id TEXT PRIMARY KEY, person INTEGER REFERENCES person(id), body TEXT);
    INSERT INTO person VALUES (1, 'Ada', 'ada@example.org', 36), (2, 'Bo', 'bo@example.org', NULL), (3, 'Cy', NULL, 7);
    INSERT INTO note VALUES ('a', 1, 'the first note'), ('b', 2, NULL), ('c', 1, x'00ff');
    WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
    INSERT INTO note SELECT 'n' || i, 3, 'a note that is long enough to fill a page together with the others, number ' || i FROM n;
";

/// A search index over the notes, kept by the program's own triggers.
const INDEX: &str = "
    CREATE VIRTUAL TABLE note_fts USING fts5(body, content = 'note');
    INSERT INTO note_fts(note_fts) VALUES ('rebuild');
    CREATE TRIGGER note_added AFTER INSERT ON note BEGIN INSERT INTO note_fts(rowid, body) VALUES (new.rowid, new.body); END;
";

/// One untracked database.
pub fn plain(stage: &Stage) -> Result<()> {
    stage.make("a.db", TABLES)
}

/// One tracked database.
pub fn tracked(stage: &Stage) -> Result<()> {
    plain(stage)?;
    stage.init("a.db")
}

/// One tracked database with work in it.
pub fn edited(stage: &Stage) -> Result<()> {
    tracked(stage)?;
    stage.app("a.db", EDITS)
}

/// A primary and one replica.
pub fn published(stage: &Stage) -> Result<()> {
    tracked(stage)?;
    stage.publish("a.db")
}

/// A primary and two replicas that are equal.
pub fn team(stage: &Stage) -> Result<()> {
    published(stage)?;
    stage.clone_to("b.db")
}

/// Two replicas whose conflicts a person answers.
pub fn manual(stage: &Stage) -> Result<()> {
    tracked(stage)?;
    stage.replica("a.db")?.set_policy("strategy = \"manual\"")?;
    stage.publish("a.db")?;
    stage.clone_to("b.db")
}

/// Two replicas with a search index.
pub fn searched(stage: &Stage) -> Result<()> {
    stage.make("a.db", &format!("{TABLES}{INDEX}"))?;
    stage.init("a.db")?;
    stage.publish("a.db")?;
    stage.clone_to("b.db")
}

/// Work of every kind.
pub const EDITS: &str = "
    UPDATE person SET name = 'Ada L.', age = 37 WHERE id = 1;
    INSERT INTO person VALUES (4, 'Di', 'di@example.org', 50);
    INSERT INTO note VALUES ('d', 4, 'a new note');
    UPDATE note SET body = 'longer' WHERE id IN ('b', 'n11', 'n12');
    DELETE FROM note WHERE id IN ('c', 'n20');
";

/// Work on other rows and cells.
pub const OTHERS: &str = "
    UPDATE person SET email = 'bo@example.net' WHERE id = 2;
    UPDATE person SET age = 8 WHERE id = 3;
    INSERT INTO note VALUES ('e', 2, 'from elsewhere');
    DELETE FROM note WHERE id = 'n30';
";

/// Work on the same cells, and on what [`EDITS`] deletes.
pub const AGAINST: &str = "
    UPDATE person SET name = 'Ada Lovelace' WHERE id = 1;
    UPDATE note SET body = 'kept' WHERE id = 'c';
    UPDATE note SET body = 'shorter' WHERE id = 'n11';
";

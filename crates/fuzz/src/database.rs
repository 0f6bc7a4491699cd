//! What decodes is given to a small real database: refused, with everything as it was, or taken, with everything whole.
use crate::stage::{Stage, acquaintance, on_stage, quiet, refused};
use crate::typed::Page;
use crate::{part, parts};
use mainstem::changeset_session::{self, Form};
use mainstem::ledger::Head;
use mainstem::primary::{Cursor, Item, Pull};
use mainstem::replica::{Replica, Since};
use mainstem::sync;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Change, Edit, Front};
use mainstem_core::digest::Body;
use mainstem_core::event::Event;
use mainstem_core::format::{event, front, page};
use mainstem_core::schema::Table;
use mainstem_core::stamp::Time;
use mainstem_core::value::{Key, Row};
use mainstem_sqlite::SqliteReplica;
use std::collections::{BTreeMap, BTreeSet};

/// A changeset out of bytes: flags, a front, a page. What a primary looks at before anything else is put right, unless a
/// flag says no, so that more than the first check is tried.
fn changeset(bytes: &[u8], replica: &mut SqliteReplica) -> Option<(Front, Vec<Change>)> {
    let (&flags, rest) = bytes.split_first()?;
    let (head, body) = part(rest);
    let mut front = front::decode(head).ok()?;
    let changes = page::decode(body, &front.shapes).ok()?;
    let standing = replica.standing().expect("it can be read");
    let header = &mut front.header;
    if flags & 1 == 0 {
        header.lineage = acquaintance(&standing).lineage;
        header.base_version = 1 + u64::from(flags >> 4 & 1);
    }
    if flags & 2 == 0 {
        header.sequence = 1;
    }
    if flags & 4 == 0 {
        front.count = changes.len() as u64;
    }
    Some((front, changes))
}

/// Imports a changeset, then sends what came of it.
pub fn import(bytes: &[u8]) {
    on_stage(|stage| {
        let mut replica = stage.replica();
        let Some((front, changes)) = changeset(bytes, &mut replica) else { return };
        take(stage, replica, &front, changes);
    });
}

/// The same from the session extension's bytes.
pub fn import_session(bytes: &[u8]) {
    on_stage(|stage| {
        let mut replica = stage.replica();
        let schema = replica.schema().expect("it can be read");
        let present = &mut |table: &Table, keys: &BTreeSet<Key>| {
            let mut found: BTreeMap<Key, Row> = BTreeMap::new();
            replica.rows(&table.name, &mut |_, row| {
                found.insert(table.key_of(row), row.clone());
                Ok(())
            })?;
            found.retain(|key, _| keys.contains(key));
            Ok(found)
        };
        if let Some(read) = refused(changeset_session::import(bytes, &schema, Time::from_ms(9), present)) {
            take(stage, replica, &read.changeset.front, read.changeset.changes);
        }
    });
}

fn take(stage: &Stage, mut replica: SqliteReplica, front: &Front, changes: Vec<Change>) {
    let before = stage.rows("a.db");
    if refused(replica.import(front, &mut Page(changes, false))).is_none() {
        assert_eq!(stage.rows("a.db"), before, "refused, and as it was");
        return;
    }
    stage.assert_sound("a.db");
    let verified = replica.verify(None, &mut quiet).expect("it can be read");
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    captured(stage, &mut replica);
    exchange(stage, replica);
}

/// I-30: the rows of the base and the net changes are the rows that are there.
fn captured(stage: &Stage, replica: &mut SqliteReplica) {
    if !replica.schema_steps().expect("it can be read").is_empty() {
        return;
    }
    let schema = replica.schema().expect("it can be read");
    let mut expected = BTreeMap::new();
    let mut primary = stage.primary();
    for table in &schema.tables {
        let rows: &mut BTreeMap<Key, Row> = expected.entry(table.name.clone()).or_default();
        let keep = &mut |_: &[String], row: &Row| {
            rows.insert(table.key_of(row), row.clone());
            Ok(())
        };
        primary.rows(&table.name, 1, keep).expect("it can be read");
    }
    let visit = &mut |shape: &mainstem_core::change::Shape, change: &Change| {
        let rows = expected.get_mut(&shape.table).expect("it is tracked");
        match &change.edit {
            Edit::Insert(row) => assert_eq!(rows.insert(change.key.clone(), row.clone()), None, "{}", shape.table),
            Edit::Delete(row) => assert_eq!(rows.remove(&change.key).as_ref(), Some(row), "{}", shape.table),
            Edit::Update(cells) => {
                let row = rows.get_mut(&change.key).expect("what is updated is there");
                for cell in cells {
                    assert_eq!(row[cell.column], cell.before, "{} {:?}", shape.table, change.key);
                    row[cell.column] = cell.after.clone();
                }
            }
        }
        Ok(())
    };
    replica.changes(Since::Base, visit).expect("it can be read");
    let now = stage.rows("a.db");
    for (table, rows) in expected {
        let mut rows: Vec<Row> = rows.into_values().collect();
        rows.sort();
        assert_eq!(now.get(&table), Some(&rows), "{table}: base and net changes");
    }
}

/// Sends and receives until all is one, or until somebody is asked.
fn exchange(stage: &Stage, mut replica: SqliteReplica) {
    let mut primary = stage.primary();
    for _ in 0..2 {
        if let Err(e) = sync::sync(&mut replica, &mut *primary, "ann", &mut quiet) {
            let is_apart = matches!(e.kind, ErrorKind::Internal | ErrorKind::Corrupt) || e.code == "drift";
            assert!(!is_apart, "one of the two is not what the other says: {e:?}");
            break;
        }
        let verified = replica.verify(Some(&mut *primary), &mut quiet).expect("it can be read");
        assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    }
    drop((replica, primary));
    stage.assert_sound("a.db");
    stage.assert_sound("primary/primary.db");
}

/// Offers a changeset to the primary; then the replica, which has work of its own, comes to it.
pub fn push(bytes: &[u8]) {
    on_stage(|stage| {
        let mut replica = stage.replica();
        let Some((front, changes)) = changeset(bytes, &mut replica) else { return };
        let known = acquaintance(&replica.standing().expect("it can be read"));
        let before = stage.rows("primary/primary.db");
        let mut primary = stage.primary();
        let pushed = refused(primary.push(&known, &front, &mut Page(changes, false)));
        drop(primary);
        stage.assert_sound("primary/primary.db");
        if pushed.is_none() {
            assert_eq!(stage.rows("primary/primary.db"), before, "refused, and as it was");
        }
        exchange(stage, replica);
    });
}

/// A version as a pull brings it, with the numbers, hash and digest that let it in: taken, or refused with everything as it was.
pub fn receive(bytes: &[u8]) {
    let (event, page) = part(bytes);
    let Ok(Event::Version(mut version)) = event::decode(event) else { return };
    let Ok(changes) = page::decode(page, &version.shapes) else { return };
    on_stage(|stage| {
        let mut replica = stage.replica();
        let known = acquaintance(&replica.standing().expect("it can be read"));
        version.version = known.version + 1;
        (version.count, version.pages) = (changes.len() as u64, u64::from(!changes.is_empty()));
        let mut body = Body::default();
        if version.pages > 0 {
            body.add(page);
        }
        version.body = body.digest();
        version.header.lineage = known.lineage;
        let event = event::encode(&Event::Version(version.clone()));
        let hash = event::chain(&known.hash, &event);
        let mut items = vec![Item::Version(event, hash)];
        items.extend((version.pages > 0).then(|| Item::Page(page.to_vec())));
        let next = Cursor { version: version.version + 1, page: 0 };
        let head = Head { events: 9, hash, version: version.version };
        let before = stage.rows("a.db");
        let from = Cursor { version: version.version, page: 0 };
        let pull = Pull { items, from, next, is_last: true, policy: String::new(), head, scope: [0; 32] };
        if refused(replica.receive(&pull)).is_none() {
            assert_eq!(stage.rows("a.db"), before, "refused, and as it was");
        }
        drop(replica);
        stage.assert_whole("a.db");
    });
}

/// The version that the replica on the stage has not seen yet.
pub fn version_seeds() -> Vec<Vec<u8>> {
    on_stage(|stage| {
        let mut replica = stage.replica();
        let known = acquaintance(&replica.standing().expect("it can be read"));
        let from = replica.cursor().expect("it can be read");
        let pull = stage.primary().pull(&known, from, usize::MAX).expect("there is a version");
        let (mut event, mut page) = (Vec::new(), Vec::new());
        for item in pull.items {
            match item {
                Item::Version(bytes, _) => event = bytes,
                Item::Page(bytes) => page = bytes,
                Item::Event(..) => {}
            }
        }
        vec![parts(&[&event, &page])]
    })
}

const EDITS: [&str; 12] = [
    "UPDATE t SET a = 5, c = NULL WHERE k = 2; UPDATE child SET n = n + 1 WHERE k = 2",
    "DELETE FROM t WHERE k = 1",
    "INSERT INTO t VALUES(9, 'nine', 'z', 9, x'ff'); INSERT INTO child VALUES(9, 9, 9); INSERT INTO child(k, t) VALUES(10, 1)",
    "UPDATE t SET b = NULL WHERE k = 1; UPDATE t SET b = 'u' WHERE k = 2; UPDATE t SET b = 'v' WHERE k = 1",
    "UPDATE keys SET k = 'C' WHERE k = 'c'; INSERT INTO keys(k, v) VALUES('d', 0.5); INSERT INTO pair VALUES('p', 'q', 'd')",
    "DELETE FROM pair; DELETE FROM keys WHERE k = 'b'; UPDATE keys SET v = -0.0 WHERE k = 'a'",
    "UPDATE t SET k = 30 WHERE k = 3; UPDATE child SET t = 30 WHERE k = 4",
    "ALTER TABLE t ADD COLUMN e DEFAULT 7; UPDATE t SET e = 8 WHERE k = 2; CREATE INDEX by_e ON t(e)",
    "ALTER TABLE child RENAME COLUMN n TO number; UPDATE child SET number = 5 WHERE k = 4; CREATE VIEW v AS SELECT number FROM child",
    "CREATE TABLE more(k INTEGER PRIMARY KEY, t REFERENCES t(k), x CHECK (x > 0)); INSERT INTO more VALUES(1, 1, 1)",
    "DROP TABLE pair; CREATE TRIGGER w AFTER UPDATE ON t BEGIN DELETE FROM child WHERE t = NEW.k AND n = 99; END",
    "ALTER TABLE t DROP COLUMN d; ALTER TABLE keys RENAME TO names; UPDATE names SET v = 4 WHERE k = 'a'",
];

/// Each of the edits as a changeset, made on the stage after its own work was committed.
fn edits<T>(tell: impl Fn(&mut SqliteReplica) -> Vec<T>) -> Vec<T> {
    let all = EDITS.iter().flat_map(|sql| {
        on_stage(|stage| {
            let mut replica = stage.replica();
            refused(replica.commit("ann", None, "")).expect("it can be closed");
            stage.app("a.db").execute_batch(sql).unwrap_or_else(|e| panic!("{e}: {sql}"));
            drop(replica);
            tell(&mut stage.replica())
        })
    });
    all.collect()
}

pub fn changeset_seeds() -> Vec<Vec<u8>> {
    edits(|replica| {
        let Some(closed) = refused(replica.commit("ann", None, "")).flatten() else { return Vec::new() };
        let mut pages = replica.pages(closed.header.write_id).expect("it was closed");
        let mut changes = Vec::new();
        while let Some(page) = pages.next().expect("it can be read") {
            changes.extend(page);
        }
        let body = page::encode(&closed.shapes, &changes);
        [0u8, 16].map(|flags| parts_after(flags, &front::encode(&closed), &body)).to_vec()
    })
}

fn parts_after(flags: u8, front: &[u8], page: &[u8]) -> Vec<u8> {
    [&[flags][..], &parts(&[front, page])].concat()
}

pub fn session_seeds() -> Vec<Vec<u8>> {
    edits(|replica| {
        let mut whole = mainstem_core::change::Changeset::default();
        let visit = &mut |shape: &mainstem_core::change::Shape, change: &Change| {
            whole.front.shapes.push(shape.clone());
            whole.changes.push(Change { table: whole.front.shapes.len() - 1, ..change.clone() });
            Ok(())
        };
        replica.changes(Since::Commit, visit).expect("it can be read");
        let written = [Form::Changeset, Form::Patchset].map(|form| {
            let mut bytes = Vec::new();
            changeset_session::export(form, &whole.front.shapes, &mut Page(whole.changes.clone(), false), &mut bytes).expect("memory");
            bytes
        });
        written.into_iter().filter(|bytes| !bytes.is_empty()).collect()
    })
}

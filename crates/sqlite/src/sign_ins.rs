//! Where people are signed in with browsers, in a file of its own: who loses it signs in again.
use crate::connection;
use crate::errors::{Explain, display_name};
use crate::registry::{SERVER_FILE, own};
use mainstem::core::ErrorKind;
use mainstem::core::account::ActorId;
use mainstem::core::event::Digest;
use mainstem::core::stamp::Time;
use mainstem::error::{Error, Result};
use mainstem::sign_in::{SignIn, SignInStore};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS mainstem_sign_in(id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, token INTEGER NOT NULL,
    actor INTEGER NOT NULL, browser TEXT NOT NULL, began_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS mainstem_sign_in_of ON mainstem_sign_in(actor, id);
";
const COLUMNS: &str = "id, digest, token, actor, browser, began_ms, seen_ms";

/// The sign-ins in a server's folder.
pub struct SqliteSignIns(Mutex<Connection>);

impl SqliteSignIns {
    /// Opens them, and makes the file where it is not there.
    pub fn open(folder: &Path) -> Result<SqliteSignIns> {
        // No dataset has a name that begins like this.
        let file = folder.join(format!("{SERVER_FILE}.browsers"));
        own(&file).map_err(|e| {
            Error::new(ErrorKind::Unavailable, "read_only", format!("{} cannot be made for its owner only: {e}", display_name(&file)))
                .because(e)
        })?;
        let db = connection::open_primary(&file, true)?;
        db.execute_batch(TABLE).on(&db)?;
        Ok(SqliteSignIns(Mutex::new(db)))
    }
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sign_in(row: &Row<'_>) -> rusqlite::Result<SignIn> {
    let number = |column: usize| row.get::<_, i64>(column).map(|number| number as u64);
    Ok(SignIn {
        id: number(0)?,
        digest: row.get(1)?,
        token: number(2)?,
        actor: number(3)?,
        browser: row.get(4)?,
        began_at: Time::from_ms(number(5)?),
        seen_at: Time::from_ms(number(6)?),
    })
}

impl SignInStore for SqliteSignIns {
    fn add(&self, sign_in: &SignIn) -> Result<u64> {
        let db = self.db();
        let sql = "INSERT INTO mainstem_sign_in(digest, token, actor, browser, began_ms, seen_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let SignIn { digest, token, actor, browser, began_at, seen_at, .. } = sign_in;
        let row = params![digest, *token as i64, *actor as i64, browser, began_at.ms() as i64, seen_at.ms() as i64];
        db.prepare_cached(sql).on(&db)?.execute(row).on(&db)?;
        Ok(db.last_insert_rowid() as u64)
    }
    fn find(&self, digest: &Digest) -> Result<Option<SignIn>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM mainstem_sign_in WHERE digest = ?1")).on(&db)?;
        statement.query_row([digest], sign_in).optional().on(&db)
    }
    fn of_actor(&self, actor: ActorId) -> Result<Vec<SignIn>> {
        let db = self.db();
        let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM mainstem_sign_in WHERE actor = ?1 ORDER BY id")).on(&db)?;
        let rows = statement.query_map([actor as i64], sign_in).on(&db)?;
        rows.collect::<rusqlite::Result<_>>().on(&db)
    }
    fn seen(&self, id: u64, at: Time) -> Result<()> {
        let db = self.db();
        db.execute("UPDATE mainstem_sign_in SET seen_ms = ?2 WHERE id = ?1", [id as i64, at.ms() as i64]).on(&db).map(drop)
    }
    fn end(&self, id: u64) -> Result<bool> {
        let db = self.db();
        Ok(db.execute("DELETE FROM mainstem_sign_in WHERE id = ?1", [id as i64]).on(&db)? > 0)
    }
    fn sweep(&self, began: Time, seen: Time) -> Result<()> {
        let db = self.db();
        let sql = "DELETE FROM mainstem_sign_in WHERE began_ms < ?1 OR seen_ms < ?2";
        db.execute(sql, [began.ms() as i64, seen.ms() as i64]).on(&db).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(digest: u8, actor: ActorId, ms: u64) -> SignIn {
        let at = Time::from_ms(ms);
        SignIn { id: 0, digest: [digest; 32], token: 7, actor, browser: "Firefox".into(), began_at: at, seen_at: at }
    }

    #[test]
    fn sign_ins_are_kept_found_and_forgotten() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteSignIns::open(folder.path()).expect("made");
        let first = store.add(&of(1, 10, 100)).expect("kept");
        let second = store.add(&of(2, 10, 200)).expect("kept");
        store.add(&of(3, 11, 300)).expect("kept");
        let other = SqliteSignIns::open(folder.path()).expect("opened by another");
        let found = other.find(&[2; 32]).expect("asked").expect("known");
        assert_eq!(found, SignIn { id: second, ..of(2, 10, 200) });
        assert_eq!(other.of_actor(10).expect("asked").iter().map(|each| each.id).collect::<Vec<_>>(), [first, second]);
        store.seen(first, Time::from_ms(900)).expect("noted");
        store.sweep(Time::from_ms(150), Time::from_ms(250)).expect("swept");
        assert!(store.of_actor(10).expect("asked").is_empty() && store.find(&[3; 32]).expect("asked").is_some());
        assert!(!store.end(first).expect("asked"));
    }
}

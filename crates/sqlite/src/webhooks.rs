//! A server's webhooks in a file of their own.
//!
//! Invariant: the file is for its owner only: it holds the keys that deliveries are signed with.
use crate::connection;
use crate::errors::{Explain, display_name};
use crate::registry::own;
use mainstem::core::ErrorKind;
use mainstem::core::stamp::Time;
use mainstem::error::{Error, Result};
use mainstem::feed::{DeadLetter, Offset, SigningKey, Webhook, WebhookStore};
use rusqlite::{Connection, Row, params};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file in a server's folder.
pub const WEBHOOKS_FILE: &str = "webhooks.db";

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS mainstem_webhook(id INTEGER PRIMARY KEY, ordinal INTEGER NOT NULL, dataset TEXT NOT NULL, url TEXT NOT NULL,
    key BLOB NOT NULL, told TEXT NOT NULL, created_by TEXT NOT NULL, created_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS mainstem_dead_letter(id INTEGER PRIMARY KEY AUTOINCREMENT, webhook INTEGER NOT NULL, after TEXT NOT NULL,
    through TEXT NOT NULL, events INTEGER NOT NULL, attempts INTEGER NOT NULL, why TEXT NOT NULL, at INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS mainstem_dead_letter_of ON mainstem_dead_letter(webhook, id);
";

/// The webhooks in a server's folder.
pub struct SqliteWebhooks(Mutex<Connection>);

impl SqliteWebhooks {
    /// Opens them, and makes the file where it is not there.
    pub fn open(folder: &Path) -> Result<SqliteWebhooks> {
        let file = folder.join(WEBHOOKS_FILE);
        own(&file).map_err(|e| {
            Error::new(ErrorKind::Unavailable, "read_only", format!("{} cannot be made for its owner only: {e}", display_name(&file)))
                .because(e)
        })?;
        let db = connection::open_primary(&file, true)?;
        db.execute_batch(TABLES).on(&db)?;
        Ok(SqliteWebhooks(Mutex::new(db)))
    }
    fn db(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work` in one transaction.
fn whole<T>(db: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    connection::begin_write(db)?;
    let done = work().and_then(|done| connection::commit(db).map(|()| done));
    done.inspect_err(|_| connection::roll_back(db))
}

/// What cannot be read as it was written.
fn damaged(what: &str) -> Error {
    Error::corrupt(format!("{what} in {WEBHOOKS_FILE} is damaged"))
}

fn webhook(db: &Connection, row: &Row<'_>) -> Result<Webhook> {
    let key: Vec<u8> = row.get(3).on(db)?;
    Ok(Webhook {
        id: row.get::<_, i64>(0).on(db)? as u64,
        dataset: row.get(1).on(db)?,
        url: row.get(2).on(db)?,
        key: SigningKey(key.try_into().map_err(|_| damaged("a key"))?),
        offset: offset(&row.get::<_, String>(4).on(db)?)?,
        created_by: row.get(5).on(db)?,
        created_at: Time(row.get::<_, i64>(6).on(db)? as u64),
    })
}

fn offset(text: &str) -> Result<Offset> {
    text.parse().map_err(|_| damaged("an offset"))
}

impl WebhookStore for SqliteWebhooks {
    fn webhooks(&self) -> Result<Vec<Webhook>> {
        let db = self.db();
        let sql = "SELECT id, dataset, url, key, told, created_by, created_at FROM mainstem_webhook ORDER BY ordinal";
        let mut statement = db.prepare_cached(sql).on(&db)?;
        let mut rows = statement.query([]).on(&db)?;
        let mut webhooks = Vec::new();
        while let Some(row) = rows.next().on(&db)? {
            webhooks.push(webhook(&db, row)?);
        }
        Ok(webhooks)
    }

    fn add(&self, webhook: &Webhook) -> Result<()> {
        let db = self.db();
        let sql = "INSERT INTO mainstem_webhook SELECT ?1, ifnull(max(ordinal), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM mainstem_webhook";
        let Webhook { id, dataset, url, key, offset, created_by, created_at } = webhook;
        let row = params![*id as i64, dataset, url, key.0, offset.to_string(), created_by, created_at.0 as i64];
        db.execute(sql, row).on(&db).map(drop)
    }

    fn remove(&self, id: u64) -> Result<bool> {
        let db = self.db();
        whole(&db, || {
            db.execute("DELETE FROM mainstem_dead_letter WHERE webhook = ?1", [id as i64]).on(&db)?;
            Ok(db.execute("DELETE FROM mainstem_webhook WHERE id = ?1", [id as i64]).on(&db)? > 0)
        })
    }

    fn told(&self, id: u64, offset: &Offset) -> Result<()> {
        let db = self.db();
        move_on(&db, id, offset)
    }

    fn bury(&self, letter: &DeadLetter) -> Result<()> {
        let db = self.db();
        whole(&db, || {
            let sql =
                "INSERT INTO mainstem_dead_letter(webhook, after, through, events, attempts, why, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let DeadLetter { webhook, after, through, events, attempts, why, at, .. } = letter;
            let (after, through_text) = (after.to_string(), through.to_string());
            db.execute(sql, params![*webhook as i64, after, through_text, *events as i64, *attempts as i64, why, at.0 as i64]).on(&db)?;
            move_on(&db, *webhook, through)
        })
    }

    fn dead_letters(&self, webhook: u64, after: u64, limit: usize) -> Result<Vec<DeadLetter>> {
        let db = self.db();
        let sql = "SELECT id, after, through, events, attempts, why, at FROM mainstem_dead_letter WHERE webhook = ?1 AND id > ?2 ORDER BY id LIMIT ?3";
        let mut statement = db.prepare_cached(sql).on(&db)?;
        let mut rows = statement.query(params![webhook as i64, after as i64, limit as i64]).on(&db)?;
        let mut letters = Vec::new();
        while let Some(row) = rows.next().on(&db)? {
            let number = |column: usize| row.get::<_, i64>(column).on(&db).map(|number| number as u64);
            let place = |column: usize| row.get::<_, String>(column).on(&db).and_then(|text| offset(&text));
            letters.push(DeadLetter {
                id: number(0)?,
                webhook,
                after: place(1)?,
                through: place(2)?,
                events: number(3)?,
                attempts: number(4)?,
                why: row.get(5).on(&db)?,
                at: Time(number(6)?),
            });
        }
        Ok(letters)
    }

    fn forget(&self, webhook: u64, letter: u64) -> Result<bool> {
        let db = self.db();
        let sql = "DELETE FROM mainstem_dead_letter WHERE webhook = ?1 AND id = ?2";
        Ok(db.execute(sql, params![webhook as i64, letter as i64]).on(&db)? > 0)
    }
}

fn move_on(db: &Connection, id: u64, offset: &Offset) -> Result<()> {
    let sql = "UPDATE mainstem_webhook SET told = ?2 WHERE id = ?1";
    db.prepare_cached(sql).on(db)?.execute(params![id as i64, offset.to_string()]).on(db).map(drop)
}

//! How a version is folded into the projections that stand beside the events.
use super::{SqliteLedger, number};
use crate::errors::Explain;
use mainstem::core::change::{Change, Resolution, Shape};
use mainstem::core::conflict::{Answer, Conflict};
use mainstem::core::event::{Event, Version};
use mainstem::core::format;
use mainstem::core::schema::SchemaChange;
use mainstem::ledger::{Head, Ledger};
use mainstem::{Error, Result};

impl SqliteLedger<'_> {
    /// Refuses a version out of order, or one whose pages are not all there.
    pub(super) fn check_next(&mut self, head: &Head, version: &Version) -> Result<()> {
        if version.version != head.version + 1 {
            let (next, found) = (head.version + 1, version.version);
            return Err(Error::internal(format!("the next version is {next}, not {found}")));
        }
        let sql = "SELECT count(*), coalesce(max(page) + 1, 0) FROM mainstem_page WHERE version = ?1";
        let counted = self.one(sql, [number(version.version)?], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let pages = number(version.pages)?;
        match counted == Some((pages, pages)) {
            true => Ok(()),
            false => Err(Error::internal(format!("version {} does not have its {pages} pages", version.version))),
        }
    }

    /// Folds an event that was just appended.
    pub(super) fn fold_event(&mut self, position: i64, event: &Event) -> Result<()> {
        match event {
            Event::Version(version) => self.fold(version),
            Event::Policy(policy) => {
                self.run("INSERT INTO mainstem_policy(position, text) VALUES (?1, ?2)", (position, &policy.text)).map(drop)
            }
            Event::Collected(collected) => self.collect(position, collected),
            Event::Restored(_) => self.run("INSERT INTO mainstem_epoch(position) VALUES (?1)", [position]).map(drop),
            Event::Review(reviewing) => self.fold_review(position, reviewing),
            Event::Genesis(_) => Ok(()),
        }
    }

    /// Notes which rows a page tells of.
    pub(super) fn note_touches(&mut self, version: u64, page: u64, shapes: &[Shape], changes: &[Change]) -> Result<()> {
        let (version, page) = (number(version)?, number(page)?);
        let ids = shapes.iter().map(|shape| self.name(&shape.table)).collect::<Result<Vec<_>>>()?;
        let sql = "INSERT INTO mainstem_touch(table_id, key, version, page, slot) VALUES (?1, ?2, ?3, ?4, ?5)";
        let connection = self.connection;
        let mut insert = connection.prepare_cached(sql).on(connection)?;
        for (slot, change) in changes.iter().enumerate() {
            let id = ids.get(change.table).ok_or_else(|| Error::internal("a change refers to no shape"))?;
            let key = format::row::encode_key(&change.key);
            insert.execute((id, key, version, page, slot as i64)).on(connection)?;
        }
        self.bury(version, page, &ids, changes)
    }

    /// Folds a version.
    fn fold(&mut self, version: &Version) -> Result<()> {
        let numbered = number(version.version)?;
        let header = &version.header;
        let replica = header.replica.0.to_be_bytes();
        let insert = "INSERT INTO mainstem_write(write_id, version) VALUES (?1, ?2)";
        self.run(insert, (header.write_id.to_be_bytes(), numbered))?;
        for write_id in &version.stands_for {
            let also = "INSERT OR IGNORE INTO mainstem_write(write_id, version) VALUES (?1, ?2)";
            self.run(also, (write_id.to_be_bytes(), numbered))?;
        }
        let highest = "INSERT INTO mainstem_sequence(replica, sequence) VALUES (?1, ?2) \
                       ON CONFLICT(replica) DO UPDATE SET sequence = max(sequence, excluded.sequence)";
        self.run(highest, (replica, number(header.sequence)?))?;
        if !version.schema.is_empty() {
            self.run("INSERT INTO mainstem_step(version) VALUES (?1)", [numbered])?;
            (0..version.schema.len()).try_for_each(|at| self.fold_step(numbered, &version.schema[at..]))?;
        }
        if !version.renumbered.is_empty() {
            let insert = "INSERT INTO mainstem_renumbered(replica, version) VALUES (?1, ?2)";
            self.run(insert, (replica, numbered))?;
        }
        version.conflicts.iter().try_for_each(|conflict| self.fold_conflict(conflict))?;
        version.resolved.iter().try_for_each(|resolution| self.fold_resolution(resolution))?;
        self.fold_waiting(numbered, version)?;
        self.fold_acceptance(version)?;
        self.fold_sent(version)?;
        if let Some(reviewed) = &version.review {
            self.fold_merge(numbered, reviewed)?;
        }
        self.run("DELETE FROM mainstem_digest", [])?;
        for digest in &version.tables {
            let insert = "INSERT INTO mainstem_digest(table_name, rows, sum) VALUES (?1, ?2, ?3)";
            self.run(insert, (&digest.table, number(digest.rows)?, digest.sum))?;
        }
        Ok(())
    }

    /// Moves what was touched under a name before the first of these steps: to the new name, or aside. The version's own
    /// pages use the names as they are after its steps, but for what a later drop takes away: that is told before, and
    /// follows a rename unless a later step makes a table of the old name.
    fn fold_step(&mut self, version: i64, steps: &[SchemaChange]) -> Result<()> {
        let (step, later) = steps.split_first().ok_or_else(|| Error::internal("there is no step to fold"))?;
        let (from, to) = match step {
            SchemaChange::RenameTable { from, to } if from.eq_ignore_ascii_case(to) => {
                return Ok(());
            }
            SchemaChange::RenameTable { from, to } => (from, Some(to)),
            SchemaChange::DropTable { name } => (name, None),
            _ => return Ok(()),
        };
        let is_told_before = to.is_some() && !later.iter().any(|step| is_made(step, from));
        let Some(from) = self.find_name(from)? else {
            return Ok(());
        };
        let to = match to {
            Some(name) => {
                let to = self.name(name)?;
                self.rename_tombstones(from, to, version)?;
                to
            }
            None => {
                self.run("INSERT INTO mainstem_name(name) VALUES (NULL)", [])?;
                self.connection.last_insert_rowid()
            }
        };
        let sql = "UPDATE mainstem_touch SET table_id = ?2 WHERE table_id = ?1 AND version < ?3";
        self.run(sql, (from, to, version + i64::from(is_told_before))).map(drop)
    }

    fn fold_conflict(&mut self, conflict: &Conflict) -> Result<()> {
        // A conflict that comes back after it was answered is the newest again.
        self.run("DELETE FROM mainstem_conflict WHERE id = ?1", [conflict.id as i64])?;
        let insert = "INSERT INTO mainstem_conflict(place, id, is_open, body) \
                      VALUES ((SELECT coalesce(max(place), 0) + 1 FROM mainstem_conflict), ?1, ?2, ?3)";
        let body = format::conflict::encode(conflict);
        self.run(insert, (conflict.id as i64, conflict.is_open(), body)).map(drop)
    }

    fn fold_resolution(&mut self, resolution: &Resolution) -> Result<()> {
        let Some(mut conflict) = self.conflict(resolution.conflict)? else {
            return Err(Error::internal(format!("there is no conflict {} to answer", resolution.conflict)));
        };
        let actor = Some(resolution.actor.clone());
        conflict.answer = Some(Answer { choice: resolution.choice, actor, at: resolution.at });
        let body = format::conflict::encode(&conflict);
        let update = "UPDATE mainstem_conflict SET is_open = 0, body = ?2 WHERE id = ?1";
        self.run(update, (conflict.id as i64, body)).map(drop)
    }

    fn fold_waiting(&mut self, version: i64, folded: &Version) -> Result<()> {
        for (write_id, table, key) in &folded.released {
            let sql = "DELETE FROM mainstem_waiting WHERE write_id = ?1 AND table_name = ?2 AND key = ?3";
            self.run(sql, (write_id.to_be_bytes(), table, format::row::encode_key(key)))?;
        }
        for (slot, waiting) in folded.waiting.iter().enumerate() {
            let sql = "INSERT INTO mainstem_waiting(version, slot, write_id, table_name, key) VALUES (?1, ?2, ?3, ?4, ?5)";
            let (write_id, key) = (folded.header.write_id.to_be_bytes(), format::row::encode_key(&waiting.key));
            self.run(sql, (version, slot as i64, write_id, &waiting.table, key))?;
        }
        Ok(())
    }
}

/// True where a step makes a table of that name.
fn is_made(step: &SchemaChange, name: &str) -> bool {
    match step {
        SchemaChange::CreateTable { table } => table.name.eq_ignore_ascii_case(name),
        SchemaChange::RenameTable { to, .. } => to.eq_ignore_ascii_case(name),
        _ => false,
    }
}

//! What foreign keys say about edits that Mainstem itself makes: the rows that point to a row that goes follow as the
//! schema's ON DELETE and ON UPDATE say, or the edit is refused.
//!
//! Invariant: no edit leaves a link without its row that had one before, and none makes a row whose parent is missing.
use super::edit::LocalEdit;
use super::ground::ReplicaGround;
use crate::errors::{Explain, is_refusal};
use mainstem::core::ErrorKind;
use mainstem::core::schema::{ForeignKey, Schema};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::lane::constant_default;
use mainstem::rebase::parent_of;
use mainstem::tables::Tables;
use rusqlite::Connection;
use std::collections::{BTreeMap, VecDeque};

/// Edits, with what they make other rows do.
struct Following<'g, 'c> {
    ground: &'g mut ReplicaGround<'c>,
    schema: std::sync::Arc<Schema>,
    edits: Vec<LocalEdit>,
    /// Edits whose row's children were not looked at yet.
    left: VecDeque<usize>,
    /// True where rows that point to a row that goes may be edited, too.
    may_follow: bool,
}

/// The edits and those that follow from them.
pub fn follow(ground: &mut ReplicaGround<'_>, edits: Vec<LocalEdit>, may_follow: bool) -> Result<Vec<LocalEdit>> {
    let schema = ground.schema();
    let left = (0..edits.len()).collect();
    let mut following = Following { ground, schema, edits, left, may_follow };
    while let Some(next) = following.left.pop_front() {
        following.one(next)?;
    }
    if may_follow {
        following.every_parent_is_there()?;
    }
    Ok(following.edits)
}

/// Refuses rows that would come back without the parent that was deleted with them. Other parents that are not there were
/// not there before either.
pub fn refuse_orphans(schema: &Schema, edits: &[LocalEdit], gone: &[(String, Row)]) -> Result<()> {
    for edit in edits {
        let Some(after) = &edit.after else { continue };
        for link in &schema.tables[edit.table].foreign_keys {
            let Some((parent, columns)) = parent_of(schema, link) else { continue };
            let wanted = values(after, &link.columns);
            let is_same = edit.before.as_ref().is_some_and(|b| values(b, &link.columns) == wanted);
            let is_it = |(table, row): &(String, Row)| *table == schema.tables[parent].name && values(row, &columns) == wanted;
            if !is_same && gone.iter().any(is_it) {
                let message = format!("rows of {} point to rows of {} that were deleted too", schema.tables[edit.table].name, link.parent);
                return Err(
                    Error::new(ErrorKind::Conflict, "missing_parent", message).hint(format!("mainstem restore {} first", link.parent))
                );
            }
        }
    }
    Ok(())
}

/// True where rows other than one child, or the row itself, point to a row.
pub fn is_pointed_to(ground: &mut ReplicaGround<'_>, table: usize, row: &Row, but_table: usize, but: &Row) -> Result<bool> {
    let schema = ground.schema();
    for (child, there) in schema.tables.iter().enumerate() {
        for link in &there.foreign_keys {
            let Some((parent, columns)) = parent_of(&schema, link) else { continue };
            let wanted = values(row, &columns);
            if parent != table || wanted.iter().any(Value::is_null) {
                continue;
            }
            let found = ground.find(child, &link.columns, &wanted, 3)?;
            let is_other = |r: &Row| (child, r) != (table, row) && (child, r) != (but_table, but);
            if found.iter().any(is_other) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn values(row: &Row, columns: &[usize]) -> Vec<Value> {
    columns.iter().map(|&c| row[c].clone()).collect()
}

impl Following<'_, '_> {
    /// What one edit makes of the rows that point to its row as it was.
    fn one(&mut self, at: usize) -> Result<()> {
        let schema = self.schema.clone();
        let (table, Some(before), after) = (self.edits[at].table, self.edits[at].before.clone(), self.edits[at].after.clone()) else {
            return Ok(());
        };
        for (child, there) in schema.tables.iter().enumerate() {
            for link in &there.foreign_keys {
                let Some((parent, columns)) = parent_of(&schema, link) else { continue };
                let wanted = values(&before, &columns);
                let is_same = after.as_ref().is_some_and(|a| values(a, &columns) == wanted);
                if parent != table || is_same || wanted.iter().any(Value::is_null) || self.is_there(table, &columns, &wanted)? {
                    continue;
                }
                for row in self.ground.find(child, &link.columns, &wanted, usize::MAX)? {
                    self.child_follows(child, row, link, &wanted, after.as_ref().map(|a| values(a, &columns)))?;
                }
            }
        }
        Ok(())
    }

    /// True where a row with these values is there once all edits are done.
    fn is_there(&mut self, table: usize, columns: &[usize], wanted: &[Value]) -> Result<bool> {
        if self.edits.iter().any(|e| e.table == table && e.after.as_ref().is_some_and(|row| values(row, columns) == wanted)) {
            return Ok(true);
        }
        let found = self.ground.find(table, columns, wanted, usize::MAX)?;
        Ok(found.iter().any(|row| self.edited(table, row).is_none()))
    }

    /// The edit of a row, where there is one.
    fn edited(&self, table: usize, row: &Row) -> Option<usize> {
        let key: Key = self.schema.tables[table].key_of(row);
        self.edits.iter().position(|e| e.table == table && e.before.as_ref().is_some_and(|b| self.schema.tables[table].key_of(b) == key))
    }

    fn child_follows(&mut self, child: usize, row: Row, link: &ForeignKey, wanted: &[Value], moved: Option<Vec<Value>>) -> Result<()> {
        let known = self.edited(child, &row);
        let Some(now) = known.map_or(Some(row.clone()), |at| self.edits[at].after.clone()) else { return Ok(()) };
        let points_to = values(&now, &link.columns);
        if points_to != wanted && points_to != values(&row, &link.columns) {
            return Ok(());
        }
        let table = &self.schema.tables[child];
        let action = if moved.is_some() { &link.on_update } else { &link.on_delete };
        let cells = match (self.may_follow, action.to_ascii_uppercase().as_str(), moved) {
            (true, "CASCADE", Some(moved)) => Some(moved),
            (true, "CASCADE", None) => None,
            (true, "SET NULL", _) => Some(vec![Value::Null; wanted.len()]),
            (true, "SET DEFAULT", _) => Some(link.columns.iter().map(|&c| constant_default(table.columns[c].default.as_deref())).collect()),
            _ => return Err(held(&link.parent, &table.name)),
        };
        let after = cells.map(|cells| {
            let mut after = now;
            for (&column, value) in link.columns.iter().zip(cells) {
                after[column] = value;
            }
            after
        });
        match known {
            Some(at) => {
                self.edits[at].after = after;
                self.left.push_back(at);
            }
            None => {
                self.left.push_back(self.edits.len());
                self.edits.push(LocalEdit { table: child, before: Some(row), after });
            }
        }
        Ok(())
    }

    fn every_parent_is_there(&mut self) -> Result<()> {
        let schema = self.schema.clone();
        for at in 0..self.edits.len() {
            let (table, Some(after)) = (self.edits[at].table, self.edits[at].after.clone()) else { continue };
            for link in &schema.tables[table].foreign_keys {
                let Some((parent, columns)) = parent_of(&schema, link) else { continue };
                let wanted = values(&after, &link.columns);
                let is_same = self.edits[at].before.as_ref().is_some_and(|b| values(b, &link.columns) == wanted);
                if is_same || wanted.iter().any(Value::is_null) || self.is_there(parent, &columns, &wanted)? {
                    continue;
                }
                let message = format!("the row of {} points to a row of {} that is not there", schema.tables[table].name, link.parent);
                return Err(Error::new(ErrorKind::Conflict, "missing_parent", message)
                    .hint(format!("insert the row of {} again, then the same command", link.parent)));
            }
        }
        Ok(())
    }
}

/// How many rows of each tracked table point nowhere, by child and parent. A link whose parent has no index for it, which SQLite
/// cannot look at, is left out.
pub fn dangling(db: &Connection, schema: &Schema) -> Result<BTreeMap<(String, String), u64>> {
    let mut found = BTreeMap::new();
    for table in schema.tables.iter().filter(|table| !table.foreign_keys.is_empty()) {
        let mut check = db.prepare_cached("SELECT parent, count(*) FROM pragma_foreign_key_check(?1) GROUP BY parent").on(db)?;
        let parents = check.query_map([&table.name], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
        match parents.and_then(Iterator::collect::<rusqlite::Result<Vec<(String, i64)>>>) {
            Err(error) if is_refusal(&error) => {}
            parents => {
                let counted = |(parent, count): (String, i64)| ((table.name.clone(), parent), count.unsigned_abs());
                found.extend(parents.on(db)?.into_iter().map(counted));
            }
        }
    }
    Ok(found)
}

/// Refuses what left more rows pointing nowhere than there were.
pub fn refuse_dangling(db: &Connection, schema: &Schema, before: &BTreeMap<(String, String), u64>) -> Result<()> {
    let now = dangling(db, schema)?;
    match now.iter().find(|(link, count)| before.get(*link).is_none_or(|known| known < *count)) {
        Some(((child, parent), _)) => Err(held(parent, child)),
        None => Ok(()),
    }
}

fn held(parent: &str, child: &str) -> Error {
    Error::new(ErrorKind::Conflict, "has_children", format!("rows of {child} point to the row of {parent} that would go"))
        .hint(format!("delete those rows of {child} or point them elsewhere, then the same command"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_is_cut_short_is_no_answer() {
        let mut db = Connection::open_in_memory().expect("memory");
        let declared = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p); \
                        CREATE TABLE odd (id INTEGER PRIMARY KEY, c REFERENCES c(p)); \
                        PRAGMA foreign_keys = OFF; INSERT INTO c VALUES (1, 7), (2, 8); INSERT INTO odd VALUES (1, 1)";
        db.execute_batch(declared).expect("plain tables");
        let schema = crate::schema::read(&db).expect("plain tables").schema;
        let told = BTreeMap::from([(("c".to_owned(), "p".to_owned()), 2)]);
        let cut_short = crate::errors::cut_short(&mut db, |db| {
            if let Ok(found) = dangling(db, &schema) {
                assert_eq!(found, told);
            }
        });
        assert!(cut_short > 10, "{cut_short}");
    }
}

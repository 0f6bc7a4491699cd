//! Says in schema steps how one schema became another.
//!
//! Invariant: steps are proven before they are given: run on the old declarations in a database in memory, they lead to
//! the new declarations word for word. What they cannot reach is a rebuild.
use super::registry::Seen;
use crate::derived::Virtual;
use crate::errors::Explain;
use crate::schema;
use crate::sql::{first_bracket, quote, words};
use mainstem::core::schema::{Object, Schema, SchemaChange, Table};
use mainstem::{Error, Result};
use rusqlite::Connection;

/// What is known to have become of an old table.
pub(super) struct Fate {
    /// Its old name.
    pub from: String,
    /// Its name now; none where it was dropped.
    pub to: Option<String>,
    /// Its old columns with their names now, where that is known; a name that the table has no more was dropped.
    pub columns: Option<Vec<(String, String)>>,
}

/// The old declarations, alive.
pub(super) struct Rehearsal {
    conn: Connection,
    steps: Vec<SchemaChange>,
}

impl Rehearsal {
    /// Makes the old schema in memory.
    pub fn new(old: &[Seen]) -> Result<Self> {
        let conn = Connection::open_in_memory().map_err(|e| Error::internal("no database in memory").because(e))?;
        crate::connection::triggers_off(&conn)?;
        conn.execute_batch("PRAGMA foreign_keys = OFF").on(&conn)?;
        for sql in in_order(old) {
            // What only the app's SQLite can declare is left out; its tables then count as rebuilt.
            let _ = conn.execute_batch(sql);
        }
        Ok(Rehearsal { conn, steps: Vec::new() })
    }

    /// The steps from the old schema to `new`. `tracked` tells whether a table of that name counts.
    pub fn steps(mut self, new: &Schema, fates: &[Fate], is_tracked: &dyn Fn(&str) -> bool) -> Result<Vec<SchemaChange>> {
        let all = schema::read(&self.conn)?;
        let old = all.clone().tracked(&|name| fates.iter().any(|f| f.from.eq_ignore_ascii_case(name)));
        let is_alone = |o: &&Object| !old.objects.contains(o);
        let untold: Vec<String> = all.schema.objects.iter().filter(is_alone).map(|o| o.name.clone()).collect();
        for object in &old.objects {
            if !new.objects.iter().any(|o| o.name.eq_ignore_ascii_case(&object.name) && o.kind == object.kind) {
                self.take(drop_sql(object), SchemaChange::DropObject { kind: object.kind.clone(), name: object.name.clone() });
            }
        }
        for fate in fates.iter().filter(|f| f.to.is_none()) {
            self.take(format!("DROP TABLE {}", quote(&fate.from)), SchemaChange::DropTable { name: fate.from.clone() });
        }
        self.rename_tables(fates);
        for fate in fates {
            if let Some(table) = fate.to.as_deref().and_then(|to| new.table(to)) {
                self.table(table, fate)?;
            }
        }
        for table in new.tables.iter().filter(|t| is_tracked(&t.name)) {
            let is_old = fates.iter().any(|f| f.to.as_deref().is_some_and(|to| to.eq_ignore_ascii_case(&table.name)));
            if !is_old {
                // A table of that name that could not be tracked may be there.
                let _ = self.conn.execute_batch(&format!("DROP TABLE IF EXISTS {}; {}", quote(&table.name), table.sql));
                self.steps.push(SchemaChange::CreateTable { table: table.clone() });
            }
        }
        self.objects(new, &untold)?;
        Ok(self.steps)
    }

    /// Notes a step and follows it in memory, as far as the memory knows the thing.
    fn take(&mut self, sql: String, step: SchemaChange) {
        let _ = self.conn.execute_batch(&sql);
        self.steps.push(step);
    }

    /// Renames in an order in which no name is taken; a cycle goes through a name of its own.
    fn rename_tables(&mut self, fates: &[Fate]) {
        let moved = |f: &Fate| f.to.clone().filter(|to| *to != f.from).map(|to| (f.from.clone(), to));
        for (from, to) in in_free_order(fates.iter().filter_map(moved).collect()) {
            self.take(format!("ALTER TABLE {} RENAME TO {}", quote(&from), quote(&to)), SchemaChange::RenameTable { from, to });
        }
    }

    fn table(&mut self, new: &Table, fate: &Fate) -> Result<()> {
        let before = schema::read(&self.conn)?.schema;
        let Some(old) = before.table(&new.name) else {
            let table = new.clone();
            self.steps.push(SchemaChange::Rebuild { before_sql: String::new(), table });
            return Ok(());
        };
        if is_same_sql(&old.sql, &new.sql) {
            return Ok(());
        }
        let name = quote(&new.name);
        self.conn.execute_batch("SAVEPOINT attempt").on(&self.conn)?;
        let attempt = column_steps(old, new, fate);
        let done = attempt.iter().try_for_each(|step| match column_sql(&name, step) {
            Some(sql) => self.conn.execute_batch(&sql),
            None => Ok(()),
        });
        let reached = schema::read(&self.conn)?.schema;
        if done.is_ok() && reached.table(&new.name).is_some_and(|t| is_same_sql(&t.sql, &new.sql)) {
            self.conn.execute_batch("RELEASE attempt").on(&self.conn)?;
            self.steps.extend(attempt);
            return Ok(());
        }
        self.conn.execute_batch("ROLLBACK TO attempt; RELEASE attempt").on(&self.conn)?;
        self.steps.push(SchemaChange::Rebuild { before_sql: old.sql.clone(), table: new.clone() });
        // Its indexes and triggers go with it and are compared as made again.
        let _ = self.conn.execute_batch(&format!("DROP TABLE {name}; {}", new.sql));
        Ok(())
    }

    /// Puts what is not reached, or was there before but could not be told: it needed a table that was not tracked.
    fn objects(&mut self, new: &Schema, untold: &[String]) -> Result<()> {
        let mut reached = schema::read(&self.conn)?.schema;
        reached.objects.retain(|o| !untold.contains(&o.name));
        for object in &new.objects {
            let same = |o: &&Object| o.kind == object.kind && o.name == object.name;
            if !reached.objects.iter().find(same).is_some_and(|o| is_same_sql(&o.sql, &object.sql)) {
                self.steps.push(SchemaChange::PutObject { object: object.clone() });
            }
        }
        Ok(())
    }
}

fn drop_sql(object: &Object) -> String {
    let kind = if object.kind == "virtual" { "table" } else { &object.kind };
    format!("DROP {kind} {}", quote(&object.name))
}

/// The statements that make a schema, in an order in which they can be run. After VACUUM, SQLite itself lists what is
/// inside virtual tables before them.
pub(super) fn in_order(seen: &[Seen]) -> Vec<&str> {
    let is_virtual = |s: &&Seen| s.sql.as_deref().is_some_and(|sql| Virtual::declared(sql).is_ok());
    let virtuals: Vec<&Seen> = seen.iter().filter(is_virtual).collect();
    let is_inside = |s: &Seen| virtuals.iter().any(|v| s.name.strip_prefix(&v.name).is_some_and(|rest| rest.starts_with('_')));
    let plain = |kind: &'static str| seen.iter().filter(move |s| s.kind == kind && !is_virtual(s));
    let tables = plain("table").filter(|s| !is_inside(s)).chain(virtuals.iter().copied()).chain(plain("table").filter(|s| is_inside(s)));
    let others = plain("index").chain(plain("view")).chain(plain("trigger"));
    tables.chain(others).filter_map(|s| s.sql.as_deref()).collect()
}

/// Renames one after the other so that each new name is free by then.
fn in_free_order(mut wanted: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut ordered = Vec::new();
    while !wanted.is_empty() {
        let is_free = |to: &str| !wanted.iter().any(|(from, _)| from.eq_ignore_ascii_case(to));
        let next = wanted.iter().position(|(from, to)| is_free(to) || from.eq_ignore_ascii_case(to));
        match next {
            Some(next) => ordered.push(wanted.remove(next)),
            None => {
                let aside = format!("{}_moving", wanted[0].0);
                ordered.push((std::mem::replace(&mut wanted[0].0, aside.clone()), aside));
            }
        }
    }
    ordered
}

/// Renames, drops and additions that would lead from the old columns to the new ones.
fn column_steps(old: &Table, new: &Table, fate: &Fate) -> Vec<SchemaChange> {
    let table = || new.name.clone();
    let same = |name: &str| (name.to_string(), name.to_string());
    let known = fate.columns.clone().unwrap_or_else(|| old.columns.iter().map(|c| same(&c.name)).collect());
    let mut steps = Vec::new();
    let is_kept = |now: &str| new.column(now).is_some();
    let dropped = known.iter().filter(|(_, now)| !is_kept(now));
    steps.extend(dropped.map(|(from, _)| SchemaChange::DropColumn { table: table(), column: from.clone() }));
    let renamed = known.iter().filter(|(from, now)| is_kept(now) && from != now).cloned().collect();
    let renamed = in_free_order(renamed).into_iter();
    steps.extend(renamed.map(|(from, to)| SchemaChange::RenameColumn { table: table(), from, to }));
    for column in &new.columns {
        if known.iter().any(|(_, now)| now.eq_ignore_ascii_case(&column.name)) {
            continue;
        }
        if let Some(definition) = definition(&new.sql, &column.name) {
            steps.push(SchemaChange::AddColumn { table: table(), column: column.clone(), definition });
        }
    }
    steps
}

fn column_sql(table: &str, step: &SchemaChange) -> Option<String> {
    match step {
        SchemaChange::DropColumn { column, .. } => Some(format!("ALTER TABLE {table} DROP COLUMN {}", quote(column))),
        SchemaChange::RenameColumn { from, to, .. } => Some(format!("ALTER TABLE {table} RENAME COLUMN {} TO {}", quote(from), quote(to))),
        SchemaChange::AddColumn { definition, .. } => Some(format!("ALTER TABLE {table} ADD COLUMN {definition}")),
        _ => None,
    }
}

/// A column's definition in a CREATE TABLE statement, name included.
pub(super) fn definition(sql: &str, column: &str) -> Option<String> {
    let parts = first_bracket(sql).ok()?.parts;
    parts.into_iter().find_map(|(start, end)| {
        let text = &sql[start..end];
        let all = words(text).ok()?;
        let (first, last) = (all.first()?, all.last()?);
        let is_it = first.name(text).is_some_and(|n| n.eq_ignore_ascii_case(column));
        is_it.then(|| text[first.start..last.end].to_string())
    })
}

/// True where two statements have the same words, whatever the spaces, comments and quotes around names.
pub(super) fn is_same_sql(a: &str, b: &str) -> bool {
    let normal = |sql: &str| -> Option<Vec<(bool, String)>> {
        let all = words(sql).ok()?;
        let word = |w: &crate::sql::Word| {
            let is_text = w.kind == crate::sql::WordKind::Text;
            let text = w.name(sql).unwrap_or_else(|| sql[w.start..w.end].to_string());
            (is_text, text)
        };
        Some(all.iter().map(word).collect())
    };
    a == b || normal(a).is_some_and(|a| normal(b).is_some_and(|b| a == b))
}

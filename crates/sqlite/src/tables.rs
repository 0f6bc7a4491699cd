//! The current rows of a SQLite file, inside a transaction that the caller has begun with triggers and foreign keys off.
//!
//! Invariant: a key finds a row only where every value is the same to the bit, though SQLite compares with the key's
//! collation and affinity. A row that differs by those only is a rival, not the row.
//! Invariant: nothing here ever replaces a row to make room for another: an explicit OR ABORT overrides the schema's
//! own conflict clauses. Generated columns are never written.
use crate::errors::{Explain, code_of, message_of, name_of};
use crate::plan::Plan;
use crate::sql::{quote, quote_all};
use crate::sweep::Sweeping;
use crate::unique::UniqueIndex;
use mainstem::core::ErrorKind;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Schema, SchemaChange, Table};
use mainstem::core::value::{Key, Row, Value};
use mainstem::tables::{Tables, Wrote};
use mainstem::{Error, Result};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement, ffi};
use std::sync::Arc;

/// Reads the schema of a connection again, after it was altered.
pub type ReadSchema<'c> = Box<dyn Fn(&Connection) -> Result<Schema> + 'c>;

/// Current rows on a connection, through statements that are prepared once.
pub struct SqliteTables<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) schema: Arc<Schema>,
    read_schema: ReadSchema<'c>,
    plans: Vec<Option<Plan<'c>>>,
    pub(crate) sweeping: Sweeping,
}

impl<'c> SqliteTables<'c> {
    /// Rows on a connection whose caller has begun a transaction with triggers off.
    pub fn new(connection: &'c Connection, schema: Arc<Schema>, read_schema: ReadSchema<'c>) -> Self {
        let plans = schema.tables.iter().map(|_| None).collect();
        SqliteTables { connection, schema, read_schema, plans, sweeping: Sweeping::default() }
    }

    /// Forgets what is prepared and reads the schema again.
    pub(crate) fn schema_changed(&mut self) -> Result<()> {
        self.plans.clear();
        self.sweeping = Sweeping::default();
        self.schema = Arc::new((self.read_schema)(self.connection)?);
        self.plans.resize_with(self.schema.tables.len(), || None);
        Ok(())
    }

    /// Lets go of every prepared statement, since one that is open keeps a table from being dropped.
    pub(crate) fn forget_statements(&mut self) {
        self.plans.iter_mut().for_each(|plan| *plan = None);
    }

    pub(crate) fn plan(&mut self, position: usize) -> Result<(&mut Plan<'c>, Arc<Schema>)> {
        let schema = self.schema.clone();
        let known = schema.tables.get(position);
        let table = known.ok_or_else(|| Error::internal(format!("there is no table number {position}")))?;
        if self.plans[position].is_none() {
            self.plans[position] = Some(Plan::new(self.connection, table)?);
        }
        let plan = self.plans[position].as_mut().expect("it was made above");
        Ok((plan, schema))
    }

    /// The row of that key, whose class and bytes are then known to be those asked for.
    fn exact(&mut self, table: usize, key: &Key) -> Result<Option<Row>> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        let table = &schema.tables[table];
        check_length(table, "key", key.len(), table.key.len())?;
        if key.iter().any(Value::is_null) {
            return Ok(None);
        }
        bind(&mut plan.get, key.iter()).on(connection)?;
        plan.forget_found();
        let has_number = plan.writes_by_number();
        let mut rows = plan.get.raw_query();
        while let Some(found) = rows.next().on(connection)? {
            let mut row = read_row(found).on(connection)?;
            let number = if has_number { row.pop().and_then(|number| number.as_integer()) } else { None };
            if table.key.iter().zip(key).all(|(&i, value)| row[i] == *value || planted::look_alike(Bug::C6, &row[i], value)) {
                drop(rows);
                plan.note_found(key, number);
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

impl Tables for SqliteTables<'_> {
    fn schema(&self) -> Arc<Schema> {
        self.schema.clone()
    }

    fn get(&mut self, table: usize, key: &Key) -> Result<Option<Row>> {
        self.exact(table, key)
    }

    fn insert(&mut self, table: usize, row: &Row) -> Result<Wrote> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        let table = &schema.tables[table];
        check_length(table, "row", row.len(), table.columns.len())?;
        check_key(table, row)?;
        plan.forget_found();
        let statement = match &mut plan.insert {
            Some(statement) => statement,
            none => {
                let names = quote_all(table.columns.iter().map(|c| c.name.as_str()));
                let places = vec!["?"; table.columns.len()].join(", ");
                let instead = if planted::is(Bug::C8) { "REPLACE" } else { "ABORT" };
                let sql = format!("INSERT OR {instead} INTO {} ({names}) VALUES ({places})", quote(&table.name));
                none.insert(connection.prepare_cached(&sql).on(connection)?)
            }
        };
        bind(statement, row.iter()).on(connection)?;
        wrote(connection, statement.raw_execute())
    }

    fn update(&mut self, table: usize, before: &Row, row: &Row) -> Result<Wrote> {
        let connection = self.connection;
        let position = table;
        let (plan, schema) = self.plan(table)?;
        let table = &schema.tables[table];
        check_length(table, "row", before.len(), table.columns.len())?;
        check_length(table, "row", row.len(), table.columns.len())?;
        if table.key.iter().any(|&i| row[i] != before[i]) {
            return Err(Error::internal(format!("an update of {} would change the row's key", table.name)));
        }
        let key = || table.key.iter().map(|&i| &before[i]);
        let mut number = plan.take_found(key());
        let is_known = number.is_some() || (!plan.writes_by_number() && plan.is_exact(table, key()));
        if !is_known {
            if self.exact(position, &table.key_of(before))?.is_none() {
                return Err(gone(table));
            }
            number = self.plan(position)?.0.take_found(key());
        }
        let changed: Vec<usize> = (0..row.len()).filter(|&i| row[i] != before[i]).collect();
        if changed.is_empty() {
            return Ok(Wrote::Done);
        }
        let (plan, _) = self.plan(position)?;
        let statement = plan.update(connection, table, &changed)?;
        let number = number.map(Value::Integer);
        let keys = key().filter(|_| number.is_none());
        bind(statement, number.iter().chain(keys).chain(changed.iter().map(|&i| &row[i]))).on(connection)?;
        match statement.raw_execute() {
            Ok(0) => Err(gone(table)),
            outcome => wrote(connection, outcome),
        }
    }

    fn delete(&mut self, table: usize, key: &Key) -> Result<()> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        let known = &schema.tables[table];
        check_length(known, "key", key.len(), known.key.len())?;
        if !plan.is_exact(known, key.iter()) && self.exact(table, key)?.is_none() {
            return Err(gone(known));
        }
        let (plan, _) = self.plan(table)?;
        plan.forget_found();
        let statement = match &mut plan.delete {
            Some(statement) => statement,
            none => {
                let sql = format!("DELETE FROM {} WHERE {}", quote(&known.name), plan.by_key);
                none.insert(connection.prepare_cached(&sql).on(connection)?)
            }
        };
        bind(statement, key.iter()).on(connection)?;
        match statement.raw_execute().on(connection)? {
            1 => Ok(()),
            0 => Err(gone(known)),
            n => Err(Error::internal(format!("one key of {} stands for {n} rows", known.name))),
        }
    }

    fn find(&mut self, table: usize, columns: &[usize], values: &[Value], limit: usize) -> Result<Vec<Row>> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        let table = &schema.tables[table];
        check_length(table, "search", values.len(), columns.len())?;
        if columns.is_empty() || columns.iter().any(|&i| i >= table.columns.len()) {
            return Err(Error::internal(format!("a search in {} names no column of it", table.name)));
        }
        if values.iter().any(Value::is_null) {
            return Ok(Vec::new());
        }
        let statement = plan.find(connection, &schema, table, columns)?;
        let limit = Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
        bind(statement, values.iter().chain([&limit])).on(connection)?;
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next().on(connection)? {
            found.push(read_row(row).on(connection)?);
        }
        Ok(found)
    }

    fn rivals(&mut self, table: usize, row: &Row) -> Result<Vec<Row>> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        let table = &schema.tables[table];
        check_length(table, "row", row.len(), table.columns.len())?;
        let own = table.key_of(row);
        let indexes = match &mut plan.unique {
            Some(indexes) => indexes,
            none => none.insert(UniqueIndex::all(connection, table, &plan.select)?),
        };
        let mut rivals: Vec<Row> = Vec::new();
        for index in indexes {
            for rival in index.holders(connection, table, row)? {
                if table.key_of(&rival) != own && !rivals.contains(&rival) {
                    rivals.push(rival);
                }
            }
        }
        Ok(rivals)
    }

    fn scan(&mut self, table: usize, visit: &mut dyn FnMut(&Row) -> Result<()>) -> Result<()> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        let table = &schema.tables[table];
        let key = quote_all(table.key.iter().map(|&i| table.columns[i].name.as_str()));
        let sql = format!("{}{} ORDER BY {key}", plan.select, crate::capture::keyed(table));
        let mut statement = connection.prepare_cached(&sql).on(connection)?;
        let mut rows = statement.query([]).on(connection)?;
        while let Some(row) = rows.next().on(connection)? {
            visit(&read_row(row).on(connection)?)?;
        }
        Ok(())
    }

    fn stored_form(&mut self, table: usize, row: &Row) -> Result<Row> {
        crate::form::stored(self.connection, &self.schema.tables[table], row)
    }

    fn next_number(&mut self, table: usize) -> Result<i64> {
        let connection = self.connection;
        let (plan, schema) = self.plan(table)?;
        let table = &schema.tables[table];
        if !table.is_numbered {
            return Err(Error::internal(format!("{} has no row numbers", table.name)));
        }
        let remembers = table.is_autoincrement && !planted::is(Bug::C9);
        let statement = match &mut plan.next {
            Some(statement) => statement,
            none => {
                let (number, name) = (quote(&table.columns[table.key[0]].name), quote(&table.name));
                let highest = format!("SELECT max({number}) AS n FROM {name}");
                let sql = match remembers {
                    true => {
                        format!("SELECT max(n) FROM ({highest} UNION ALL SELECT CAST(seq AS INTEGER) FROM sqlite_sequence WHERE name = ?1)")
                    }
                    false => highest,
                };
                none.insert(connection.prepare_cached(&sql).on(connection)?)
            }
        };
        if remembers {
            statement.raw_bind_parameter(1, &table.name).on(connection)?;
        }
        let mut rows = statement.raw_query();
        let row = rows.next().on(connection)?.expect("an aggregate gives one row");
        let highest = row.get::<_, Option<i64>>(0).on(connection)?.unwrap_or(0).max(0);
        highest.checked_add(1).ok_or_else(|| {
            Error::new(ErrorKind::Conflict, "numbers_exhausted", format!("{} has used its highest row number", table.name)).hint(format!(
                "give the row numbered {} of {} a lower number",
                i64::MAX,
                table.name
            ))
        })
    }

    fn alter(&mut self, step: &SchemaChange) -> Result<()> {
        crate::alter::alter(self, step)
    }
}

/// Binds values from the first place on.
pub(crate) fn bind<'v>(statement: &mut Statement<'_>, values: impl Iterator<Item = &'v Value>) -> rusqlite::Result<()> {
    for (n, value) in values.enumerate() {
        statement.raw_bind_parameter(n + 1, sql_value(value))?;
    }
    Ok(())
}

/// A value as SQLite takes it.
pub fn sql_value(value: &Value) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(match value {
        Value::Null => ValueRef::Null,
        Value::Integer(i) => ValueRef::Integer(*i),
        Value::Real(r) => ValueRef::Real(*r),
        Value::Text(bytes) => ValueRef::Text(bytes),
        Value::Blob(bytes) => ValueRef::Blob(bytes),
    })
}

/// A value as SQLite gives it.
pub fn value_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Text(bytes) => Value::Text(bytes.to_vec()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Every column of a result row.
pub fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let columns = row.as_ref().column_count();
    // Collecting results would not know the length before and grow step by step.
    let mut values = Row::with_capacity(columns);
    for i in 0..columns {
        values.push(value_of(row.get_ref(i)?));
    }
    Ok(values)
}

/// What became of a write that SQLite did or refused.
pub(crate) fn wrote(connection: &Connection, outcome: rusqlite::Result<usize>) -> Result<Wrote> {
    let error = match outcome {
        Ok(_) => return Ok(Wrote::Done),
        Err(error) => error,
    };
    let Some(code) = code_of(&error).map(|e| e.extended_code) else {
        return Err(error).on(connection);
    };
    let said = message_of(&error).unwrap_or("a constraint");
    let (rule, names) = said.split_once(" constraint failed: ").unwrap_or(("", said));
    let broken = || Ok(Wrote::Constraint(format!("{rule} {names}").trim_start().to_string()));
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            Ok(Wrote::Unique(names.to_string()))
        }
        // An expression of a CHECK, an index or a generated column may fail instead of saying no.
        ffi::SQLITE_ERROR | ffi::SQLITE_MISMATCH => broken(),
        code if code & 0xff == ffi::SQLITE_CONSTRAINT => broken(),
        _ => Err(error).on(connection),
    }
}

fn check_length(table: &Table, what: &str, found: usize, expected: usize) -> Result<()> {
    match found == expected {
        true => Ok(()),
        false => Err(Error::internal(format!("a {what} of {} has {found} values instead of {expected}", table.name))),
    }
}

fn check_key(table: &Table, row: &Row) -> Result<()> {
    let values = || table.key.iter().map(|&i| &row[i]);
    if values().any(Value::is_null) {
        return Err(Error::invalid(format!("a row of {} has NULL in its key", table.name)));
    }
    if table.is_numbered && values().any(|v| v.as_integer().is_none()) {
        return Err(Error::invalid(format!("a row number of {} is not an integer", table.name)));
    }
    Ok(())
}

fn gone(table: &Table) -> Error {
    Error::new(ErrorKind::Conflict, "row_gone", format!("{} has no row of that key", table.name))
}

impl std::fmt::Debug for SqliteTables<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the tables of {}", name_of(self.connection))
    }
}

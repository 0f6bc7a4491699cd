//! Questions about the rows in an open transaction, asked in SQL that may be anybody's.
//!
//! The connection has one authorizer and one progress handler for its whole life, since a transaction cannot install them;
//! they do nothing but while a question is asked.
//! Invariant: while it is, a statement reads the dataset's tables and views and calls functions from a list, and nothing
//! else; it ends when its time is over. Afterwards everything is as before, however it ended.
//! Invariant: what takes time in the product of two texts is done to short ones only, for nothing can end a function.
use crate::errors::{Explain, code_of, message_of, name_of};
use crate::sql::{quote, quote_all};
use crate::tables::read_row;
use mainstem::core::ErrorKind;
use mainstem::core::schema::{Schema, Table};
use mainstem::store::{Answered, Limits, Question, VisitAnswer};
use mainstem::wiring::Around;
use mainstem::{Error, Result};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Steps of SQLite's machine between two looks at the clock.
const STEPS_PER_LOOK: i32 = 64;
/// The longest value that somebody's SQL may have in its hands.
const VALUE_BYTES_MAX: i32 = 1_000_000;
/// The same where it calls one of [`PRODUCTS`], and how often it may name one.
const FACTOR_BYTES_MAX: i32 = 16 * 1024;
const PRODUCTS_MAX: usize = 16;

/// What somebody's SQL is held to; the widest table raises the number of columns.
const LIMITS: [(Limit, i32); 11] = [
    (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 100_000),
    (Limit::SQLITE_LIMIT_COLUMN, 100),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 20),
    (Limit::SQLITE_LIMIT_VDBE_OP, 25_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
    (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 10),
    (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
];

/// Functions whose time is the product of the lengths of two texts.
const PRODUCTS: &str = " instr json_patch ltrim replace rtrim trim ";
/// Functions that see nothing but their arguments and the time.
const FUNCTIONS: &str = " -> ->> abs avg char coalesce concat concat_ws count cume_dist current_date current_time current_timestamp date \
    datetime dense_rank first_value format glob group_concat hex if ifnull iif json json_array json_array_length json_error_position \
    json_extract json_group_array json_group_object json_insert json_object json_pretty json_quote json_remove json_replace json_set \
    json_type json_valid julianday lag last_value lead length like likelihood likely lower max min nth_value ntile nullif octet_length \
    percent_rank printf quote rank round row_number sign soundex strftime string_agg substr substring sum time timediff total typeof \
    unhex unicode unixepoch unlikely upper ";
/// What gives the parts of a JSON text as rows.
const JSON_TABLES: [&str; 2] = ["json_each", "json_tree"];

/// Watches over the statements of a connection while a question is asked.
pub(crate) struct Sentinel(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_on: AtomicBool,
    watch: Mutex<Option<Watch>>,
}

struct Watch {
    /// Lower-case names of what may be read.
    tables: HashSet<String>,
    /// Lower-case names of everything else that has one in the file, and of SQLite's modules.
    hidden: HashSet<String>,
    own: HashSet<String>,
    products: usize,
    refused: Option<String>,
    around: Around,
    begun_ms: u64,
    time_ms: u64,
    is_late: bool,
}

impl Shared {
    fn watch(&self) -> MutexGuard<'_, Option<Watch>> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sentinel {
    /// Installs it on a connection.
    pub(crate) fn on(connection: &mut Connection) -> Result<Sentinel> {
        let shared = Arc::new(Shared::default());
        let asked = shared.clone();
        let authorize = move |context: AuthContext<'_>| match asked.is_on.load(Ordering::Relaxed) {
            false => Authorization::Allow,
            true => asked.watch().as_mut().map_or(Authorization::Deny, |watch| watch.authorize(&context)),
        };
        connection.authorizer(Some(authorize)).on(connection)?;
        let asked = shared.clone();
        let is_over = move || asked.is_on.load(Ordering::Relaxed) && asked.watch().as_mut().is_none_or(Watch::is_over);
        connection.progress_handler(STEPS_PER_LOOK, Some(is_over)).on(connection)?;
        Ok(Sentinel(shared))
    }

    /// Asks a question. See [`mainstem::store::Transaction::ask`].
    pub(crate) fn ask(
        &self,
        connection: &Connection,
        schema: &Schema,
        question: &Question<'_>,
        limits: &Limits,
        visit: VisitAnswer<'_>,
    ) -> Result<Answered> {
        let watch = Watch::new(connection, schema, limits)?;
        let answered = {
            let on_duty = OnDuty::begin(&self.0, watch);
            let lowered = match question {
                Question::Sql(_) => Some(Lowered::new(connection, schema)?),
                _ => None,
            };
            let sql = match question {
                Question::Sql(sql) => sql.to_string(),
                Question::Sharing { table, columns } => sharing(of(schema, *table)?, columns),
                Question::Orphans { table, columns, parent, parent_columns } => {
                    orphans(of(schema, *table)?, columns, of(schema, *parent)?, parent_columns)
                }
            };
            answer(connection, &on_duty, lowered.as_ref(), &sql, limits.rows_max, visit)
        };
        if connection.is_autocommit() {
            // The disk failed, and SQLite has rolled everything back by itself.
            let undone =
                || Error::new(ErrorKind::Unavailable, "disk_failed", format!("{}: the transaction was undone", name_of(connection)));
            return Err(answered.err().filter(|e| e.kind != ErrorKind::Invalid).unwrap_or_else(undone));
        }
        answered
    }
}

fn of(schema: &Schema, position: usize) -> Result<&Table> {
    schema.tables.get(position).ok_or_else(|| Error::internal(format!("there is no table number {position}")))
}

fn answer(
    connection: &Connection,
    on_duty: &OnDuty<'_>,
    lowered: Option<&Lowered<'_>>,
    sql: &str,
    rows_max: u64,
    visit: VisitAnswer<'_>,
) -> Result<Answered> {
    let mut statement = match connection.prepare(sql) {
        Ok(statement) => statement,
        Err(e) => return on_duty.explained(connection, e),
    };
    if statement.column_count() == 0 || !statement.readonly() || statement.is_explain() != 0 {
        return Err(Error::invalid("a query is one SELECT"));
    }
    if statement.parameter_count() > 0 {
        return Err(Error::invalid("a query has no parameters: nobody would fill them in"));
    }
    if let Some(lowered) = lowered.filter(|_| on_duty.has_products()) {
        lowered.shorten()?;
    }
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = match statement.query([]) {
        Ok(rows) => rows,
        Err(e) => return on_duty.explained(connection, e),
    };
    let mut count = 0;
    loop {
        match rows.next() {
            Ok(None) => return Ok(Answered::Whole),
            Ok(Some(_)) if count == rows_max => return Ok(Answered::TooManyRows),
            Ok(Some(row)) => visit(&names, &read_row(row).on(connection)?)?,
            Err(e) => return on_duty.explained(connection, e),
        }
        count += 1;
    }
}

/// Ordered by what they share, so that the rows of a group are shown together.
fn sharing(table: &Table, columns: &[usize]) -> String {
    let shared = named("", table, columns);
    let are_there: Vec<String> = columns.iter().map(|&at| format!("{} IS NOT NULL", quote(&table.columns[at].name))).collect();
    let key = named("", table, &table.key);
    // Without a row number the two would be columns of one name twice, which is no matter.
    format!(
        "SELECT {key}, {shared} FROM {name} WHERE ({shared}) IN (SELECT {shared} FROM {name} WHERE {are_there} GROUP BY {shared} \
         HAVING count(*) > 1) ORDER BY {shared}, {key}",
        name = quote(&table.name),
        are_there = are_there.join(" AND "),
    )
}

/// A join and no subquery, so that SQLite makes an index once where the parent has none.
fn orphans(table: &Table, columns: &[usize], parent: &Table, parent_columns: &[usize]) -> String {
    let (mut links, mut are_there) = (Vec::new(), Vec::new());
    for (&from, &to) in columns.iter().zip(parent_columns) {
        let from = quote(&table.columns[from].name);
        links.push(format!("parent.{} = child.{from}", quote(&parent.columns[to].name)));
        are_there.push(format!("child.{from} IS NOT NULL"));
    }
    let first = parent_columns.first().map(|&at| quote(&parent.columns[at].name)).unwrap_or_default();
    format!(
        "SELECT {key}, {shown} FROM {name} AS child LEFT JOIN {parent} AS parent ON {links} WHERE {are_there} AND parent.{first} IS NULL \
         ORDER BY {key}",
        key = named("child.", table, &table.key),
        shown = named("child.", table, columns),
        name = quote(&table.name),
        parent = quote(&parent.name),
        links = links.join(" AND "),
        are_there = are_there.join(" AND "),
    )
}

fn named(prefix: &str, table: &Table, columns: &[usize]) -> String {
    let names = columns.iter().map(|&at| table.columns[at].name.as_str());
    if prefix.is_empty() { quote_all(names) } else { names.map(|name| format!("{prefix}{}", quote(name))).collect::<Vec<_>>().join(", ") }
}

/// The watch is on as long as this lives.
struct OnDuty<'s>(&'s Shared);

impl<'s> OnDuty<'s> {
    fn begin(shared: &'s Shared, watch: Watch) -> Self {
        *shared.watch() = Some(watch);
        shared.is_on.store(true, Ordering::Relaxed);
        OnDuty(shared)
    }

    fn has_products(&self) -> bool {
        self.0.watch().as_ref().is_some_and(|watch| watch.products > 0)
    }

    /// What is the question's fault is said to be; what is the disk's stays an error of the disk.
    fn explained(&self, connection: &Connection, error: rusqlite::Error) -> Result<Answered> {
        let (is_late, refused, has_products) = match self.0.watch().as_mut() {
            Some(watch) => (watch.is_late, watch.refused.take(), watch.products > 0),
            None => (false, None, false),
        };
        let Some(code) = code_of(&error).map(|e| e.code) else { return Err(error).on(connection) };
        let said = message_of(&error).unwrap_or("SQLite gave no reason").replace(char::is_control, " ");
        match code {
            ErrorCode::OperationInterrupted if is_late => Ok(Answered::OutOfTime),
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::DiskFull
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::OperationInterrupted
            | ErrorCode::OutOfMemory
            | ErrorCode::SystemIoFailure => Err(error).on(connection),
            ErrorCode::TooBig => {
                let most = if has_products { FACTOR_BYTES_MAX } else { VALUE_BYTES_MAX };
                Err(Error::invalid(format!("{said}: here a value has at most {most} bytes")).because(error))
            }
            _ => Err(Error::invalid(refused.unwrap_or(said)).because(error)),
        }
    }
}

impl Drop for OnDuty<'_> {
    fn drop(&mut self) {
        self.0.is_on.store(false, Ordering::Relaxed);
        *self.0.watch() = None;
    }
}

impl Watch {
    fn new(connection: &Connection, schema: &Schema, limits: &Limits) -> Result<Watch> {
        let views = schema.objects.iter().filter(|object| object.kind == "view").map(|object| &object.name);
        let tables: HashSet<String> = schema.tables.iter().map(|t| &t.name).chain(views).map(|name| name.to_ascii_lowercase()).collect();
        let names = |sql: &str| -> Result<HashSet<String>> {
            let mut statement = connection.prepare_cached(sql).on(connection)?;
            let names = statement.query_map([], |row| row.get::<_, String>(0)).on(connection)?;
            names.map(|name| name.map(|name| name.to_ascii_lowercase())).collect::<rusqlite::Result<_>>().on(connection)
        };
        let own = names("SELECT name FROM sqlite_schema UNION SELECT name FROM sqlite_temp_schema")?;
        let mut hidden = names("SELECT name FROM pragma_module_list")?;
        hidden.extend(own.difference(&tables).cloned());
        let around = limits.around.clone();
        let begun_ms = around.now_ms();
        let time_ms = limits.time_ms;
        Ok(Watch { tables, hidden, own, products: 0, refused: None, around, begun_ms, time_ms, is_late: false })
    }

    fn is_over(&mut self) -> bool {
        self.is_late |= self.around.now_ms().saturating_sub(self.begun_ms) > self.time_ms;
        self.is_late
    }

    fn authorize(&mut self, context: &AuthContext<'_>) -> Authorization {
        let refused = match context.action {
            AuthAction::Select | AuthAction::Recursive => None,
            AuthAction::Read { table_name, column_name } => {
                let may = self.may_read(&table_name.to_ascii_lowercase(), column_name, context.database_name);
                (!may).then(|| format!("a query reads the dataset's tables alone, and not {table_name}"))
            }
            AuthAction::Function { function_name } => self.call(&function_name.to_ascii_lowercase()),
            _ => Some("a query is one SELECT".to_owned()),
        };
        if refused.is_none() {
            return Authorization::Allow;
        }
        self.refused = self.refused.take().or(refused);
        Authorization::Deny
    }

    /// A table of which only the rows are counted, like a subquery that has a name, is told of without a column.
    fn may_read(&self, table: &str, column: &str, database: Option<&str>) -> bool {
        let is_subquery = || column.is_empty() && database.is_none() && !self.hidden.contains(table) && !is_reserved(table);
        let is_json = JSON_TABLES.contains(&table) && !self.own.contains(table);
        // A table in the temporary database by the name of one of the dataset's is that one's copy.
        matches!(database, None | Some("main" | "temp")) && (self.tables.contains(table) || is_json) || is_subquery()
    }

    fn call(&mut self, function: &str) -> Option<String> {
        let is_in = |list: &str| list.split_whitespace().any(|name| name == function);
        if is_in(PRODUCTS) {
            self.products += 1;
            let is_over = self.products > PRODUCTS_MAX;
            return is_over.then(|| format!("a query may call{PRODUCTS}{PRODUCTS_MAX} times in all"));
        }
        (!is_in(FUNCTIONS)).then(|| format!("a query may not call {function}"))
    }
}

fn is_reserved(name: &str) -> bool {
    name.starts_with("pragma_") || crate::sql::is_internal(name)
}

/// Limits that are lowered as long as this lives.
struct Lowered<'c> {
    connection: &'c Connection,
    before: Vec<(Limit, i32)>,
}

impl<'c> Lowered<'c> {
    fn new(connection: &'c Connection, schema: &Schema) -> Result<Self> {
        let mut lowered = Lowered { connection, before: Vec::new() };
        let widest = schema.tables.iter().map(|table| table.columns.len()).max().unwrap_or(0) as i32;
        for (limit, most) in LIMITS {
            let most = if matches!(limit, Limit::SQLITE_LIMIT_COLUMN) { most.max(widest) } else { most };
            let before = connection.limit(limit).on(connection)?;
            lowered.before.push((limit, before));
            connection.set_limit(limit, most.min(before)).on(connection)?;
        }
        Ok(lowered)
    }

    fn shorten(&self) -> Result<()> {
        self.connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, FACTOR_BYTES_MAX).on(self.connection).map(|_| ())
    }
}

impl Drop for Lowered<'_> {
    fn drop(&mut self) {
        for (limit, before) in self.before.drain(..) {
            // It was set before, so it can be set again.
            self.connection.set_limit(limit, before).expect("a limit that was there can be put back");
        }
    }
}

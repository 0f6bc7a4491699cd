//! Schema steps on a SQLite file, each whole or not at all.
//!
//! Invariant: SQL that came with a step makes the one object the step names, or the step is refused and undone: it must
//! read as one plain CREATE statement, and afterwards `sqlite_schema` must differ by that object alone.
//! Invariant: a step keeps the rows, and the user's indexes, triggers and views by their text. Mainstem's own triggers
//! on a table whose columns go or are declared anew are removed; whoever installed them installs them again.
use crate::connection::QuotedLiterals;
use crate::derived::{Virtual, is_expendable, is_keyless};
use crate::errors::{Explain, code_of, message_of};
use crate::sql::{Created, created, quote, quote_all, user_name, with_column};
use crate::tables::SqliteTables;
use mainstem::core::ErrorKind;
use mainstem::core::schema::{Object, SchemaChange};
use mainstem::{Error, Result};
use rusqlite::Connection;
use rusqlite::config::DbConfig;

/// The name a table has while the one that replaces it is filled.
const OLD: &str = "mainstem_rebuilt";

/// What a column of `table_xinfo` is when it is generated; such columns are never written.
const NOT_GENERATED: i64 = 0;

/// Applies one step and reads the schema again.
pub(crate) fn alter(tables: &mut SqliteTables<'_>, step: &SchemaChange) -> Result<()> {
    tables.forget_statements();
    let connection = tables.connection;
    let allowed = QuotedLiterals::allow(connection)?;
    connection.execute_batch("SAVEPOINT mainstem_alter").on(connection)?;
    let done = apply(connection, step).and_then(|()| tables.schema_changed());
    if done.is_err() {
        if connection.is_autocommit() {
            // The disk failed, and SQLite has rolled everything back by itself: that failure is the one to tell.
            return done;
        }
        connection.execute_batch("ROLLBACK TO mainstem_alter").on(connection)?;
    }
    connection.execute_batch("RELEASE mainstem_alter").on(connection)?;
    drop(allowed);
    if done.is_err() {
        tables.schema_changed()?;
    }
    done
}

fn apply(connection: &Connection, step: &SchemaChange) -> Result<()> {
    match step {
        SchemaChange::CreateTable { table } => {
            make_room(connection, &table.name)?;
            create(connection, "table", &table.name, &table.name, &table.sql)
        }
        SchemaChange::DropTable { name } => {
            existing(connection, name)?;
            run(connection, &format!("DROP TABLE {}", quote(name)), name)
        }
        SchemaChange::RenameTable { from, to } => rename_table(connection, from, to),
        SchemaChange::AddColumn { table, column, definition } => add_column(connection, table, user_column(&column.name)?, definition),
        SchemaChange::DropColumn { table, column } => {
            existing(connection, table)?;
            drop_own_triggers(connection, table)?;
            let sql = format!("ALTER TABLE {} DROP COLUMN {}", quote(table), quote(user_column(column)?));
            run(connection, &sql, table)
        }
        SchemaChange::RenameColumn { table, from, to } => {
            existing(connection, table)?;
            let (from, to) = (quote(user_column(from)?), quote(user_column(to)?));
            run(connection, &format!("ALTER TABLE {} RENAME COLUMN {from} TO {to}", quote(table)), table)
        }
        SchemaChange::Rebuild { table, .. } => {
            existing(connection, &table.name)?;
            rebuild(connection, &table.name, &table.sql)
        }
        SchemaChange::PutObject { object } => put_object(connection, object),
        SchemaChange::DropObject { kind, name } => drop_object(connection, kind, name),
    }
}

fn rename_table(connection: &Connection, from: &str, to: &str) -> Result<()> {
    existing(connection, from)?;
    user_name(to)?;
    let rename = |from: &str, to: &str| run(connection, &format!("ALTER TABLE {} RENAME TO {}", quote(from), quote(to)), from);
    if from.eq_ignore_ascii_case(to) {
        // SQLite calls a name that differs by case only taken.
        rename(from, OLD)?;
        return rename(OLD, to);
    }
    rename(from, to)
}

fn add_column(connection: &Connection, table: &str, column: &str, definition: &str) -> Result<()> {
    let sql = existing(connection, table)?;
    let before = column_names(connection, table)?;
    let added = connection.execute(&format!("ALTER TABLE {} ADD COLUMN {definition}", quote(table)), []);
    if let Err(error) = added {
        // SQLite adds no column with a default it would have to compute, nor one that is unique; a rebuild does.
        let refused = code_of(&error).is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_ERROR);
        if !refused {
            return Err(error).on(connection);
        }
        rebuild(connection, table, &with_column(&sql, definition)?)?;
    }
    let after = column_names(connection, table)?;
    let is_as_told =
        after.len() == before.len() + 1 && after[..before.len()] == before[..] && after[before.len()].eq_ignore_ascii_case(column);
    match is_as_told {
        true => Ok(()),
        false => Err(Error::invalid(format!("the definition of column {column:?} of {table} adds something else"))),
    }
}

/// Declares a table anew and keeps its rows, matched by column name: the old one steps aside under another name, so
/// that the new declaration is stored word for word and links to the table stay as they are.
fn rebuild(connection: &Connection, name: &str, sql: &str) -> Result<()> {
    let kept = attached(connection, name)?;
    let sequence = sequence(connection, name)?;
    set_legacy_rename(connection, true)?;
    let renamed = run(connection, &format!("ALTER TABLE {} RENAME TO {}", quote(name), quote(OLD)), name);
    set_legacy_rename(connection, false)?;
    renamed?;
    create(connection, "table", name, name, sql)?;
    let there = column_names(connection, OLD)?;
    let stored = stored_columns(connection, name)?;
    let both: Vec<&str> = stored.iter().filter(|c| there.iter().any(|t| t.eq_ignore_ascii_case(c))).map(String::as_str).collect();
    if !both.is_empty() {
        let columns = quote_all(both);
        let copy = format!("INSERT OR ABORT INTO {} ({columns}) SELECT {columns} FROM {}", quote(name), quote(OLD));
        run(connection, &copy, name)?;
    }
    run(connection, &format!("DROP TABLE {}", quote(OLD)), name)?;
    if let Some(sequence) = sequence {
        keep_sequence(connection, name, sequence)?;
    }
    for sql in kept {
        run(connection, &sql, name)?;
    }
    Ok(())
}

fn set_legacy_rename(connection: &Connection, is_on: bool) -> Result<()> {
    // Without it a rename rewrites the links and views that name the table, which must go on naming it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, is_on).on(connection).map(drop)
}

/// The SQL of the user's indexes and triggers on a table, in creation order.
fn attached(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let sql = "SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND type IN ('index', 'trigger') \
               AND sql IS NOT NULL AND name NOT LIKE 'mainstem\\_%' ESCAPE '\\' ORDER BY rowid";
    let mut statement = connection.prepare(sql).on(connection)?;
    let rows = statement.query_map([table], |row| row.get(0)).on(connection)?;
    rows.collect::<rusqlite::Result<_>>().on(connection)
}

fn drop_own_triggers(connection: &Connection, table: &str) -> Result<()> {
    let sql = "SELECT name FROM sqlite_schema WHERE tbl_name = ?1 COLLATE NOCASE AND type = 'trigger' \
               AND name LIKE 'mainstem\\_%' ESCAPE '\\'";
    let mut statement = connection.prepare(sql).on(connection)?;
    let rows = statement.query_map([table], |row| row.get::<_, String>(0)).on(connection)?;
    let names: Vec<String> = rows.collect::<rusqlite::Result<_>>().on(connection)?;
    drop(statement);
    names.iter().try_for_each(|name| run(connection, &format!("DROP TRIGGER {}", quote(name)), table))
}

/// The highest number an AUTOINCREMENT table ever gave.
fn sequence(connection: &Connection, table: &str) -> Result<Option<i64>> {
    let is_there: bool =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'", [], |row| row.get(0)).on(connection)?;
    if !is_there {
        return Ok(None);
    }
    let sql = "SELECT max(CAST(seq AS INTEGER)) FROM sqlite_sequence WHERE name = ?1 COLLATE NOCASE";
    connection.query_row(sql, [table], |row| row.get(0)).on(connection)
}

fn keep_sequence(connection: &Connection, table: &str, sequence: i64) -> Result<()> {
    let declared = declared(connection, "table", table)?.map(|d| d.1).unwrap_or_default();
    let words = crate::sql::words(&declared)?;
    if !words.iter().any(|w| w.is(&declared, "autoincrement")) {
        return Ok(());
    }
    let update = "UPDATE sqlite_sequence SET seq = max(CAST(seq AS INTEGER), ?2) WHERE name = ?1";
    let insert = "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)";
    if connection.execute(update, (table, sequence)).on(connection)? == 0 {
        connection.execute(insert, (table, sequence)).on(connection)?;
    }
    Ok(())
}

fn put_object(connection: &Connection, object: &Object) -> Result<()> {
    match object.kind.as_str() {
        "virtual" => put_virtual(connection, object),
        "table" => put_keyless(connection, object),
        "index" | "view" | "trigger" => {
            drop_object(connection, &object.kind, &object.name)?;
            create(connection, &object.kind, &object.name, &object.table, &object.sql)
        }
        kind => Err(unknown_kind(kind)),
    }
}

/// Makes a virtual table. One with other SQL makes way where that loses nothing.
fn put_virtual(connection: &Connection, object: &Object) -> Result<()> {
    user_name(&object.name)?;
    let made = Virtual::declared(&object.sql)?;
    if !made.name.eq_ignore_ascii_case(&object.name) || !object.table.eq_ignore_ascii_case(&object.name) {
        return Err(Error::invalid(format!("the statement for virtual table {} makes {}", object.name, made.name)));
    }
    if let Some((_, there)) = declared(connection, "table", &object.name)? {
        if there == object.sql {
            return Ok(());
        }
        if Virtual::declared(&there).is_err() || !is_expendable(connection, &object.name, &there)? {
            return Err(in_the_way(&object.name));
        }
        run(connection, &format!("DROP TABLE {}", quote(&object.name)), &object.name)?;
    }
    let before = visible_objects(connection)?;
    run(connection, &object.sql, &object.name)?;
    let is_there = declared(connection, "table", &object.name)?.is_some();
    match is_there && visible_objects(connection)? == before + 1 {
        true => Ok(()),
        false => Err(Error::invalid(format!("the statement for virtual table {} makes something else", object.name))),
    }
}

/// Makes a table without a key, or declares one anew that keeps its rows.
fn put_keyless(connection: &Connection, object: &Object) -> Result<()> {
    let name = &object.name;
    match declared(connection, "table", name)? {
        Some((_, there)) if there == object.sql => return Ok(()),
        Some((_, there)) if is_plain(&there) && is_keyless(connection, name)? => rebuild(connection, name, &object.sql)?,
        Some(_) => return Err(Error::new(ErrorKind::Conflict, "schema_refused", format!("there is a tracked table {name} already"))),
        None => create(connection, "table", name, &object.table, &object.sql)?,
    }
    match is_keyless(connection, name)? {
        true => Ok(()),
        false => Err(Error::invalid(format!("table {name} has a key, so it cannot come as a declaration alone"))),
    }
}

fn is_plain(sql: &str) -> bool {
    created(sql).is_ok()
}

/// Lets a tracked table have the name of one without a key, where that one is empty.
fn make_room(connection: &Connection, name: &str) -> Result<()> {
    let Some((_, there)) = declared(connection, "table", user_name(name)?)? else { return Ok(()) };
    if is_plain(&there) && is_keyless(connection, name)? {
        if !is_expendable(connection, name, &there)? {
            return Err(in_the_way(name));
        }
        run(connection, &format!("DROP TABLE {}", quote(name)), name)?;
    }
    Ok(())
}

fn in_the_way(name: &str) -> Error {
    let message = format!("table {name} here holds contents that never travelled, and stands in the way of the new one");
    let sql = format!("DROP TABLE {}", quote(name));
    Error::new(ErrorKind::Conflict, "schema_refused", message)
        .hint(format!("run your program's migration on this copy too, or copy what you need, then: sqlite3 FILE '{sql}'"))
}

fn unknown_kind(kind: &str) -> Error {
    Error::invalid(format!("there is no kind of object called {kind:?}"))
}

fn drop_object(connection: &Connection, kind: &str, name: &str) -> Result<()> {
    user_name(name)?;
    let kind = match kind {
        "index" => "INDEX",
        "view" => "VIEW",
        "trigger" => "TRIGGER",
        "table" | "virtual" => return drop_declared(connection, kind, name),
        _ => return Err(unknown_kind(kind)),
    };
    // It may be gone already with the table it belonged to.
    run(connection, &format!("DROP {kind} IF EXISTS {}", quote(name)), name)
}

/// Drops a table of which only the declaration travelled. One that holds contents of this copy's own stays.
fn drop_declared(connection: &Connection, kind: &str, name: &str) -> Result<()> {
    let Some((_, there)) = declared(connection, "table", name)? else { return Ok(()) };
    let is_it = match kind {
        "virtual" => Virtual::declared(&there).is_ok(),
        _ => is_plain(&there) && is_keyless(connection, name)?,
    };
    if !is_it {
        return Err(Error::invalid(format!("{name} is a table of another kind")));
    }
    match is_expendable(connection, name, &there)? {
        true => run(connection, &format!("DROP TABLE {}", quote(name)), name),
        false => Ok(()),
    }
}

/// Runs a CREATE statement that came from elsewhere, if it makes what it should and nothing more.
fn create(connection: &Connection, kind: &str, name: &str, table: &str, sql: &str) -> Result<()> {
    user_name(name)?;
    user_name(table)?;
    let Created { kind: made, name: named, .. } = created(sql)?;
    if made != kind || !named.eq_ignore_ascii_case(name) {
        return Err(Error::invalid(format!("the statement for {kind} {name} makes {made} {named}")));
    }
    let before = objects(connection)?;
    run(connection, sql, name)?;
    let after = objects(connection)?;
    let belongs = declared(connection, kind, name)?.is_some_and(|(to, _)| to.eq_ignore_ascii_case(table));
    match belongs && after == before + 1 {
        true => Ok(()),
        false => Err(Error::invalid(format!("the statement for {kind} {name} makes something else"))),
    }
}

/// How many objects there are, but those that SQLite makes by itself.
fn objects(connection: &Connection) -> Result<i64> {
    let sql = "SELECT (SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\') \
               + (SELECT count(*) FROM sqlite_temp_schema)";
    connection.query_row(sql, [], |row| row.get(0)).on(connection)
}

/// The same without what virtual tables keep inside.
fn visible_objects(connection: &Connection) -> Result<i64> {
    let sql = "SELECT count(*) FROM pragma_table_list WHERE type = 'shadow'";
    let shadows: i64 = connection.query_row(sql, [], |row| row.get(0)).on(connection)?;
    Ok(objects(connection)? - shadows)
}

/// The table an object belongs to and its SQL.
fn declared(connection: &Connection, kind: &str, name: &str) -> Result<Option<(String, String)>> {
    let sql = "SELECT tbl_name, sql FROM sqlite_schema WHERE type = ?1 AND name = ?2 COLLATE NOCASE";
    let mut statement = connection.prepare_cached(sql).on(connection)?;
    let mut rows = statement.query((kind, name)).on(connection)?;
    match rows.next().on(connection)? {
        Some(row) => Ok(Some((row.get(0).on(connection)?, row.get(1).on(connection)?))),
        None => Ok(None),
    }
}

/// The SQL of a table of the user's that must be there.
fn existing(connection: &Connection, table: &str) -> Result<String> {
    user_name(table)?;
    let found = declared(connection, "table", table)?;
    found.map(|d| d.1).ok_or_else(|| Error::not_found(format!("there is no table {table:?}")))
}

fn user_column(name: &str) -> Result<&str> {
    match name.is_empty() || name.contains('\0') {
        true => Err(Error::invalid(format!("{name:?} cannot be a name in SQLite"))),
        false => Ok(name),
    }
}

fn column_names(connection: &Connection, table: &str) -> Result<Vec<String>> {
    names(connection, "SELECT name FROM pragma_table_xinfo(?1) ORDER BY cid", table)
}

fn stored_columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = {NOT_GENERATED} ORDER BY cid");
    names(connection, &sql, table)
}

fn names(connection: &Connection, sql: &str, table: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare(sql).on(connection)?;
    let rows = statement.query_map([table], |row| row.get(0)).on(connection)?;
    rows.collect::<rusqlite::Result<_>>().on(connection)
}

/// Runs one statement of a step; what SQLite says against it stands against the step.
fn run(connection: &Connection, sql: &str, name: &str) -> Result<()> {
    let failed = match connection.execute(sql, []) {
        Ok(_) => return Ok(()),
        Err(rusqlite::Error::MultipleStatement) => {
            return Err(Error::invalid(format!("the declaration of {name} holds more than one statement")));
        }
        Err(error) => error,
    };
    let code = code_of(&failed).map(|e| e.code);
    match code {
        Some(rusqlite::ErrorCode::Unknown | rusqlite::ErrorCode::ConstraintViolation) => {
            let said = message_of(&failed).unwrap_or("no reason given").replace(char::is_control, " ");
            Err(Error::new(ErrorKind::Conflict, "schema_refused", format!("{name} cannot be changed so: {said}")).because(failed))
        }
        _ => Err(failed).on(connection),
    }
}

//! Virtual tables that travel: which modules, what each is made from, and how a search index is made again from rows.
//!
//! Invariant: only a declaration travels, never an index. What can be made again from rows is; the rest is empty on
//! other copies and is named to the user.
//! Invariant: a virtual table of any other module, or one that this SQLite cannot open, is refused by name.
use crate::connection::one;
use crate::errors::{Explain, is_refusal, message_of};
use crate::sql::{first_bracket, is_internal, quote, user_name, words};
use mainstem::{Error, Result};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeSet;

const SEARCH: &[&str] = &["fts3", "fts4", "fts5"];
const AREAS: &[&str] = &["rtree", "rtree_i32"];

/// Where a virtual table has its contents from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A search index over this table or view, which can be made again from it.
    From(String),
    /// It is the only place where they are.
    Own,
    /// A search index that keeps no text, and so cannot say what it was made from.
    Unkept,
}

/// The declaration of a virtual table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Virtual {
    pub name: String,
    pub content: Content,
    module: String,
}

impl Virtual {
    /// Reads a CREATE VIRTUAL TABLE statement as `sqlite_schema` holds it. Refuses every other statement and module.
    pub fn declared(sql: &str) -> Result<Virtual> {
        let all = words(sql)?;
        let refuse = |why: &str| Error::invalid(format!("not the declaration of a virtual table that travels ({why})"));
        let is = |at: usize, keyword: &str| all.get(at).is_some_and(|w| w.is(sql, keyword));
        if !(is(0, "create") && is(1, "virtual") && is(2, "table") && is(4, "using")) {
            return Err(refuse("it is not CREATE VIRTUAL TABLE name USING module"));
        }
        let name_at = |at: usize| all.get(at).and_then(|w| w.name(sql));
        let (name, module) = (name_at(3), name_at(5).map(|m| m.to_ascii_lowercase()));
        let (Some(name), Some(module)) = (name, module) else { return Err(refuse("it has no name")) };
        if !SEARCH.iter().chain(AREAS).any(|known| *known == module) {
            return Err(refuse(&format!("its module is {module}")));
        }
        let mut arguments = Vec::new();
        if all.len() > 6 {
            let bracket = first_bracket(sql)?;
            if all.last().map(|w| w.start) != Some(bracket.close) {
                return Err(refuse("something follows its arguments"));
            }
            arguments = bracket.parts.into_iter().map(|(start, end)| &sql[start..end]).collect();
        }
        // What it keeps inside goes by its name, an underscore and more.
        user_name(&format!("{name}_"))?;
        let content = content(&module, &arguments)?;
        if let Content::From(source) = &content {
            user_name(source)?;
        }
        Ok(Virtual { name, content, module })
    }

    /// Why its contents do not travel, and what to do about that; nothing where that is as it should be.
    pub fn told(&self) -> (String, String) {
        let is_area = AREAS.contains(&self.module.as_str());
        let (why, hint) = match &self.content {
            Content::From(source) => {
                return (format!("it is a search index of {source}, made again on every copy from the rows there"), String::new());
            }
            Content::Own if is_area => {
                let hint = "fill it again from a tracked table on every copy, after each sync that brings rows";
                ("it is an R-Tree; its entries do not travel, and it is empty on other copies", hint)
            }
            Content::Own => {
                let hint = "declare it with content='TABLE', so that it is made again on every copy, or fill it there yourself";
                ("it is a search index with its own content, which does not travel; it is empty on other copies", hint)
            }
            Content::Unkept => {
                let hint = "declare it with content='TABLE'; as it is, deleting an entry that was never made in this copy fails";
                ("it is a search index without content, which cannot be made again; it is empty on other copies", hint)
            }
        };
        (why.into(), hint.into())
    }
}

/// What the arguments say of the contents. FTS5 takes every beginning of an option's name for it.
fn content(module: &str, arguments: &[&str]) -> Result<Content> {
    if !["fts4", "fts5"].contains(&module) {
        return Ok(Content::Own);
    }
    for text in arguments {
        let all = words(text)?;
        let key = all.first().and_then(|w| w.name(text)).unwrap_or_default().to_ascii_lowercase();
        let is_content = key == "content" || (module == "fts5" && !key.is_empty() && "content".starts_with(&key));
        if !is_content || all.get(1).is_none_or(|w| &text[w.start..w.end] != "=") {
            continue;
        }
        let value = all.get(2).and_then(|w| w.name(text));
        return match value {
            Some(value) if all.len() == 3 && value.is_empty() => Ok(Content::Unkept),
            Some(value) if all.len() == 3 => Ok(Content::From(value)),
            _ => Err(Error::invalid("the content of a search index is not named plainly")),
        };
    }
    Ok(Content::Own)
}

/// Why a virtual table of the user's cannot travel at all; none where it can.
pub(crate) fn refusal(conn: &Connection, name: &str, sql: &str) -> Result<Option<(String, String)>> {
    if Virtual::declared(sql).is_err() {
        let hint = "let your program make it on every copy; only fts3, fts4, fts5 and rtree travel";
        return Ok(Some(("it is a virtual table, which no trigger can watch".into(), hint.into())));
    }
    let failed = match conn.prepare(&format!("SELECT * FROM main.{}", quote(name))) {
        Err(error) if is_refusal(&error) => error,
        opened => return opened.on(conn).map(|_| None),
    };
    let said = message_of(&failed).unwrap_or("no reason given");
    let hint = "let your program make it on every copy";
    Ok(Some((format!("SQLite alone cannot open this virtual table: {said}"), hint.into())))
}

/// The virtual tables of a file that travel.
fn all(conn: &Connection) -> Result<Vec<Virtual>> {
    let sql = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND rootpage = 0 AND sql IS NOT NULL ORDER BY rowid";
    let mut statement = conn.prepare_cached(sql).on(conn)?;
    let rows = statement.query_map([], |r| r.get::<_, String>(0)).on(conn)?;
    let declared: Vec<String> = rows.collect::<rusqlite::Result<_>>().on(conn)?;
    Ok(declared.iter().filter_map(|sql| Virtual::declared(sql).ok()).collect())
}

/// Which search indexes to make again.
pub(crate) enum Stale<'a> {
    /// All of them.
    All,
    /// Those over these tables (in lower case), those over views, and those that are named themselves.
    Of(&'a BTreeSet<String>),
}

/// Makes search indexes again from the rows they are over, inside the caller's transaction.
///
/// Returns those that SQLite would not make again, with its reason: an app's broken index must not hold up its rows.
pub(crate) fn rebuild(conn: &Connection, stale: &Stale<'_>) -> Result<Vec<(String, String)>> {
    let mut failed = Vec::new();
    for index in all(conn)? {
        let Content::From(source) = &index.content else { continue };
        let sql = "SELECT type FROM main.sqlite_schema WHERE name = ?1 COLLATE NOCASE AND type IN ('table', 'view')";
        let kind: Option<String> = one(conn, sql, [source], |r| r.get(0)).optional().on(conn)?;
        // Without its source there is nothing to make it from, and nothing that a search in it could show.
        let Some(kind) = kind else { continue };
        let is_stale = match stale {
            Stale::All => true,
            Stale::Of(tables) => [source, &index.name].iter().any(|n| tables.contains(&n.to_ascii_lowercase())) || kind == "view",
        };
        if is_stale && let Err(why) = rebuild_one(conn, &index.name)? {
            failed.push((index.name, why));
        }
    }
    Ok(failed)
}

fn rebuild_one(conn: &Connection, name: &str) -> Result<std::result::Result<(), String>> {
    let name = quote(name);
    conn.execute_batch("SAVEPOINT mainstem_rebuild").on(conn)?;
    let done = conn.execute(&format!("INSERT INTO main.{name}({name}) VALUES('rebuild')"), []);
    let outcome = match done {
        Ok(_) => Ok(()),
        Err(error) => {
            if !is_refusal(&error) {
                return Err(error).on(conn);
            }
            conn.execute_batch("ROLLBACK TO mainstem_rebuild").on(conn)?;
            Err(message_of(&error).unwrap_or("no reason given").replace(char::is_control, " "))
        }
    };
    conn.execute_batch("RELEASE mainstem_rebuild").on(conn)?;
    Ok(outcome)
}

/// True where dropping a table loses nothing: it is empty, or can be made again from rows.
pub(crate) fn is_expendable(conn: &Connection, name: &str, sql: &str) -> Result<bool> {
    if Virtual::declared(sql).is_ok_and(|v| matches!(v.content, Content::From(_))) {
        return Ok(true);
    }
    let found = conn.prepare(&format!("SELECT 1 FROM main.{} LIMIT 1", quote(name)));
    match found.and_then(|mut statement| statement.exists([])) {
        // One that this SQLite cannot read may hold anything.
        Err(error) if is_refusal(&error) => Ok(false),
        has_rows => has_rows.on(conn).map(|has_rows| !has_rows),
    }
}

/// True for a table without a key, which travels as a declaration only.
pub(crate) fn is_keyless(conn: &Connection, name: &str) -> Result<bool> {
    let sql = "SELECT count(*) = 0 FROM pragma_table_info(?1, 'main') WHERE pk > 0";
    let has_no_key: bool = one(conn, sql, [name], |r| r.get(0)).on(conn)?;
    Ok(has_no_key && !is_internal(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_of(sql: &str) -> Content {
        Virtual::declared(sql).map(|v| v.content).expect(sql)
    }

    #[test]
    fn contents_are_read_from_the_arguments() {
        let from = |name: &str| Content::From(name.into());
        assert_eq!(content_of("CREATE VIRTUAL TABLE x USING fts5(a, b, content='no te', content_rowid='id')"), from("no te"));
        assert_eq!(content_of("CREATE VIRTUAL TABLE \"x\" USING FTS5(a, content_rowid=id, Content = note)"), from("note"));
        assert_eq!(content_of("CREATE VIRTUAL TABLE x USING fts5(a, c=note)"), from("note"));
        assert_eq!(content_of("CREATE VIRTUAL TABLE x USING fts4(content=\"note\", a)"), from("note"));
        assert_eq!(content_of("CREATE VIRTUAL TABLE x USING fts5(a, content='')"), Content::Unkept);
        assert_eq!(content_of("CREATE VIRTUAL TABLE x USING fts5(content, body)"), Content::Own);
        assert_eq!(content_of("CREATE VIRTUAL TABLE x USING fts3"), Content::Own);
        assert_eq!(content_of("CREATE VIRTUAL TABLE x USING rtree(id, x0, x1)"), Content::Own);
    }

    #[test]
    fn other_statements_and_modules_are_refused() {
        for sql in [
            "CREATE TABLE x (a)",
            "CREATE VIRTUAL TABLE x USING csv(filename='f')",
            "CREATE VIRTUAL TABLE IF NOT EXISTS x USING fts5(a)",
            "CREATE VIRTUAL TABLE main.x USING fts5(a)",
            "CREATE VIRTUAL TABLE x USING fts5(a); DROP TABLE y",
            "CREATE VIRTUAL TABLE x USING fts5(a, content='mainstem_event')",
            "CREATE VIRTUAL TABLE x USING fts5(a, content=a b)",
            "CREATE VIRTUAL TABLE Mainstem USING fts5(a)",
            "CREATE VIRTUAL TABLE x USING fts5(a",
            "CREATE VIRTUAL TABLE x USING",
        ] {
            assert!(Virtual::declared(sql).is_err(), "{sql}");
        }
    }
}

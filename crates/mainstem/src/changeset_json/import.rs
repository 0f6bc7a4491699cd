//! Reads a changeset from JSON.
use super::time_text::parse_time;
use super::tree::{Json, Members};
use super::value::value_from_json;
use super::{FORMAT, VERSION};
use crate::error::{Error, Result};
use mainstem_core::change::{Cell, Change, Changeset, Choice, Edit, Front, Header, Resolution, Shape};
use mainstem_core::format::{front, page};
use mainstem_core::schema::{Column, ForeignKey, Object, SchemaChange, Table};
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::value::Value;
use std::collections::HashMap;

/// Positions by name; the first where one is there twice.
type Names<'a> = HashMap<&'a str, usize>;

fn names<'a>(all: impl IntoIterator<Item = &'a String>) -> Names<'a> {
    let mut names = Names::new();
    for (position, name) in all.into_iter().enumerate() {
        names.entry(name).or_insert(position);
    }
    names
}

/// The shapes, and where to find their tables and columns.
struct Shapes<'a> {
    all: &'a [Shape],
    tables: Names<'a>,
    columns: Vec<Names<'a>>,
}

/// Reads a changeset that [`super::export`] wrote, perhaps with edits by hand since. Everything is checked as if it came
/// as bytes. What is refused is [`mainstem_core::ErrorKind::Invalid`] and says which change it is in.
pub fn import(bytes: &[u8]) -> Result<Changeset> {
    let json = Json::parse(bytes).map_err(|e| Error::invalid(format!("the changeset is not JSON: {e}")))?;
    let mut m = Members::of("the changeset", json)?;
    if m.text("format")? != FORMAT {
        return Err(m.error(format!("\"format\" is not {FORMAT:?}")));
    }
    let version = m.count("version")?;
    if version != VERSION {
        return Err(m.error(format!("its version {version} is not one that this program reads ({VERSION})")));
    }
    let front = Front {
        header: header(m.take("header")?)?,
        schema: each(m.list("schema")?, step)?,
        shapes: each(m.list("shapes")?, shape)?,
        resolutions: each(m.list("resolutions")?, resolution)?,
        count: m.count("count")?,
        ..Front::default()
    };
    let invalid = |e: mainstem_core::Error| Error::invalid(e.to_string());
    // The decoder's checks are the only ones: whatever passes here is what would pass as bytes.
    let front = front::decode(&front::encode(&front)).map_err(invalid)?;
    let shapes = Shapes {
        all: &front.shapes,
        tables: names(front.shapes.iter().map(|s| &s.table)),
        columns: front.shapes.iter().map(|s| names(&s.columns)).collect(),
    };
    let mut changes = Vec::new();
    for (number, json) in (1..).zip(m.list("changes")?) {
        let one = change(&shapes, format!("change {number}"), json)?;
        page::check(&front.shapes, &one).map_err(|e| Error::invalid(format!("change {number}: {e}")))?;
        changes.push(one);
    }
    if changes.len() as u64 != front.count {
        return Err(m.error(format!("\"count\" is {} and there are {} changes", front.count, changes.len())));
    }
    m.finish()?;
    Ok(Changeset { front, changes })
}

fn each<T>(items: Vec<Json>, read: impl Fn(Json) -> Result<T>) -> Result<Vec<T>> {
    items.into_iter().map(read).collect()
}

fn wide(m: &mut Members, name: &str) -> Result<u128> {
    let digits = m.text(name)?;
    ReplicaId::parse(&digits).map(|id| id.0).ok_or_else(|| m.error(format!("{name:?} is not 32 hexadecimal digits")))
}

fn time(m: &Members, name: &str, json: Json) -> Result<Time> {
    let time = if let Json::Text(text) = &json { parse_time(text) } else { None };
    time.ok_or_else(|| m.error(format!("{name:?} is not a time like 2026-08-04T10:00:00.123Z")))
}

fn at(m: &mut Members) -> Result<Time> {
    let json = m.take("at")?;
    time(m, "at", json)
}

fn header(json: Json) -> Result<Header> {
    let mut m = Members::of("the header", json)?;
    let header = Header {
        write_id: wide(&mut m, "write_id")?,
        lineage: wide(&mut m, "lineage")?,
        replica: ReplicaId(wide(&mut m, "replica")?),
        sequence: m.count("sequence")?,
        base_version: m.count("base_version")?,
        actor: m.text("actor")?,
        title: m.optional_text("title")?,
        description: m.text("description")?,
        at: at(&mut m)?,
        ..Header::default()
    };
    m.finish().map(|()| header)
}

fn resolution(json: Json) -> Result<Resolution> {
    let mut m = Members::of("a resolution", json)?;
    let (conflict, name) = (m.count("conflict")?, m.text("choice")?);
    let choices = [Choice::Ours, Choice::Theirs, Choice::Base, Choice::Value, Choice::Merged];
    let choice = choices.into_iter().find(|c| c.name() == name);
    let choice = choice.ok_or_else(|| m.error(format!("{name:?} is no choice")))?;
    let resolution = Resolution { conflict, choice, actor: m.text("actor")?, at: at(&mut m)? };
    m.finish().map(|()| resolution)
}

fn position(m: &Members, columns: &Names<'_>, name: &str) -> Result<usize> {
    columns.get(name).copied().ok_or_else(|| m.error(format!("there is no column {name:?}")))
}

fn positions(m: &mut Members, member: &str, columns: &Names<'_>) -> Result<Vec<usize>> {
    let names = m.texts(member)?;
    names.iter().map(|name| position(m, columns, name)).collect()
}

fn shape(json: Json) -> Result<Shape> {
    let mut m = Members::of("a shape", json)?;
    let (table, columns) = (m.text("table")?, m.texts("columns")?);
    let key = positions(&mut m, "key", &names(&columns))?;
    let is_numbered = m.flag("is_numbered")?;
    let highest = match m.optional("highest").map(value_from_json) {
        None => None,
        Some(Ok(Value::Integer(highest))) => Some(highest),
        Some(_) => return Err(m.error("\"highest\" is not an integer")),
    };
    m.finish()?;
    Ok(Shape { table, columns, key, is_numbered, highest })
}

fn change(shapes: &Shapes<'_>, what: String, json: Json) -> Result<Change> {
    let mut m = Members::of(what, json)?;
    let name = m.text("table")?;
    let table = match m.optional("shape") {
        Some(Json::Integer(i)) => usize::try_from(i).ok().filter(|&i| shapes.all.get(i).is_some_and(|s| s.table == name)),
        Some(_) => None,
        None => shapes.tables.get(name.as_str()).copied(),
    };
    let table = table.ok_or_else(|| m.error(format!("there is no shape of a table {name:?}")))?;
    let shape = &shapes.all[table];
    let key_columns = || shape.key.iter().map(|&i| &shape.columns[i]);
    let kind = m.text("kind")?;
    let json = m.take("key")?;
    let key = values(&m, "key", key_columns(), json)?;
    let moved_from = match m.optional("moved_from") {
        None => None,
        Some(json) => Some(values(&m, "moved_from", key_columns(), json)?),
    };
    let at = at(&mut m)?;
    let edit = match kind.as_str() {
        "update" => {
            let json = m.take("cells")?;
            Edit::Update(cells(&m, &shapes.columns[table], at, json)?)
        }
        "insert" | "delete" => {
            let json = m.take("row")?;
            let row = values(&m, "row", shape.columns.iter(), json)?;
            if kind == "insert" { Edit::Insert(row) } else { Edit::Delete(row) }
        }
        other => return Err(m.error(format!("{other:?} is no kind of change"))),
    };
    m.finish()?;
    Ok(Change { table, key, edit, at, moved_from })
}

/// The values of `columns`, from an object that has exactly those names, in any order.
fn values<'a>(m: &Members, what: &str, columns: impl Iterator<Item = &'a String>, json: Json) -> Result<Vec<Value>> {
    let members = Members::of(format!("{what:?}"), json).map_err(|e| m.error(e))?.into_members();
    let mut by_name: HashMap<String, Json> = members.into_iter().collect();
    let mut values = Vec::with_capacity(by_name.len());
    for name in columns {
        let json = by_name.remove(name).ok_or_else(|| m.error(format!("{what:?} lacks {name:?}")))?;
        values.push(value_from_json(json).map_err(|e| m.error(format!("{name:?}: {e}")))?);
    }
    match by_name.keys().min() {
        None => Ok(values),
        Some(name) => Err(m.error(format!("{what:?} has no column {name:?}"))),
    }
}

fn cells(m: &Members, columns: &Names<'_>, row_at: Time, json: Json) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for (name, json) in Members::of("\"cells\"", json).map_err(|e| m.error(e))?.into_members() {
        let column = position(m, columns, &name)?;
        cells.push(cell(column, &name, row_at, json).map_err(|e| m.error(e))?);
    }
    Ok(cells)
}

fn cell(column: usize, name: &str, row_at: Time, json: Json) -> Result<Cell> {
    let mut m = Members::of(format!("{name:?}"), json)?;
    let mut side = |which: &str| {
        let json = m.take(which)?;
        value_from_json(json).map_err(|e| m.error(format!("{which:?}: {e}")))
    };
    let (before, after) = (side("before")?, side("after")?);
    let at = match m.optional("at") {
        None => row_at,
        Some(json) => time(&m, "at", json)?,
    };
    m.finish()?;
    Ok(Cell { column, before, after, at })
}

fn step(json: Json) -> Result<SchemaChange> {
    let mut m = Members::of("a schema step", json)?;
    let kind = m.text("step")?;
    let step = match kind.as_str() {
        "create_table" => SchemaChange::CreateTable { table: table(m.take("table")?)? },
        "drop_table" => SchemaChange::DropTable { name: m.text("name")? },
        "rename_table" => SchemaChange::RenameTable { from: m.text("from")?, to: m.text("to")? },
        "add_column" => {
            SchemaChange::AddColumn { table: m.text("table")?, column: column(m.take("column")?)?, definition: m.text("definition")? }
        }
        "drop_column" => SchemaChange::DropColumn { table: m.text("table")?, column: m.text("column")? },
        "rename_column" => SchemaChange::RenameColumn { table: m.text("table")?, from: m.text("from")?, to: m.text("to")? },
        "rebuild" => SchemaChange::Rebuild { before_sql: m.text("before_sql")?, table: table(m.take("table")?)? },
        "put_object" => SchemaChange::PutObject { object: object(m.take("object")?)? },
        "drop_object" => SchemaChange::DropObject { kind: m.text("kind")?, name: m.text("name")? },
        other => return Err(m.error(format!("{other:?} is no kind of step"))),
    };
    m.finish().map(|()| step)
}

fn object(json: Json) -> Result<Object> {
    let mut m = Members::of("an object of the schema", json)?;
    let object = Object { kind: m.text("kind")?, name: m.text("name")?, table: m.text("table")?, sql: m.text("sql")? };
    m.finish().map(|()| object)
}

fn column(json: Json) -> Result<Column> {
    let mut m = Members::of("a column", json)?;
    let column = Column {
        name: m.text("name")?,
        declared_type: m.text("type")?,
        not_null: m.flag("not_null")?,
        default: m.optional_text("default")?,
        collation: m.optional_text("collation")?,
    };
    m.finish().map(|()| column)
}

fn table(json: Json) -> Result<Table> {
    let mut m = Members::of("a table", json)?;
    let name = m.text("name")?;
    let columns = each(m.list("columns")?, column)?;
    let names = names(columns.iter().map(|c| &c.name));
    let table = Table {
        name,
        key: positions(&mut m, "key", &names)?,
        is_numbered: m.flag("is_numbered")?,
        is_autoincrement: m.flag("is_autoincrement")?,
        is_without_rowid: m.flag("is_without_rowid")?,
        foreign_keys: each(m.list("foreign_keys")?, |json| foreign_key(&names, json))?,
        sql: m.text("sql")?,
        columns: Vec::new(),
    };
    m.finish()?;
    Ok(Table { columns, ..table })
}

fn foreign_key(names: &Names<'_>, json: Json) -> Result<ForeignKey> {
    let mut m = Members::of("a foreign key", json)?;
    let link = ForeignKey {
        columns: positions(&mut m, "columns", names)?,
        parent: m.text("parent")?,
        parent_columns: m.texts("parent_columns")?,
        on_delete: m.text("on_delete")?,
        on_update: m.text("on_update")?,
    };
    m.finish().map(|()| link)
}

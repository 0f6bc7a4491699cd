//! Hostile names and values through all four forms, and the SQL form run by SQLite itself.
use super::as_sql::{identifier, literal, statement};
use super::*;
use mainstem_core::change::Cell;
use mainstem_core::stamp::Time;
use rusqlite::Connection;
use rusqlite::types::ValueRef;

fn hostile_values() -> Vec<Value> {
    let texts =
        ["", "it's", "'; DROP TABLE t; --", "a\0b", "a\r\nb", "line\nline", "\x1b[31m", "<script>alert(1)</script>", "日本🎵", ".quit"];
    let mut values: Vec<Value> = texts.iter().map(Value::text).collect();
    values.extend([
        Value::Null,
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Integer((1 << 53) + 1),
        Value::Real(0.1),
        Value::Real(-0.0),
        Value::Real(1.0),
        Value::Real(f64::MAX),
        Value::Real(5e-324),
        Value::Real(f64::INFINITY),
        Value::Real(f64::NEG_INFINITY),
        Value::Text(vec![0xff, 0x41, 0x00]),
        Value::Blob(vec![]),
        Value::Blob(vec![0, 1, 0xff]),
        Value::Blob(b"it's".to_vec()),
    ]);
    values
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Integer(i),
        ValueRef::Real(r) => Value::Real(r),
        ValueRef::Text(t) => Value::Text(t.to_vec()),
        ValueRef::Blob(b) => Value::Blob(b.to_vec()),
    }
}

fn shape(table: &str, columns: &[&str]) -> Shape {
    let columns = columns.iter().map(|c| c.to_string()).collect();
    Shape { table: table.into(), columns, key: vec![0], ..Shape::default() }
}

fn changed(key: Value, edit: Edit) -> Change {
    Change { table: 0, key: vec![key], edit, at: Time::default(), moved_from: None }
}

fn cell(column: usize, before: Value, after: Value) -> Cell {
    Cell { column, before, after, at: Time::default() }
}

fn render(rendering: &mut dyn Rendering, changes: &[(Shape, Change)]) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut out = Output::to(Box::new(file.reopen().expect("the same file")), false);
    rendering.begin(&mut out).expect("written");
    for (shape, change) in changes {
        rendering.change(&mut out, shape, change).expect("written");
    }
    rendering.end(&mut out).expect("written");
    out.flush().expect("written");
    std::fs::read_to_string(file.path()).expect("valid UTF-8")
}

#[test]
fn every_literal_gives_its_value_back() {
    let db = Connection::open_in_memory().expect("a database");
    for value in hostile_values() {
        let sql = format!("SELECT {}", literal(&value));
        let back = db.query_row(&sql, [], |row| Ok(read(row.get_ref(0)?))).expect(&sql);
        assert_eq!(back, value, "{sql}");
    }
}

#[test]
fn statements_stay_inside_their_quotes() {
    let db = Connection::open_in_memory().expect("a database");
    let (table, column) = ("t\"; DROP TABLE keep; --", "c]`'\"\n🎵");
    let make = format!("CREATE TABLE {} (k, {}, PRIMARY KEY (k)) ", identifier(table), identifier(column));
    db.execute_batch(&format!("CREATE TABLE keep(a); {make};")).expect("made");
    let shape = shape(table, &["k", column]);
    for value in hostile_values().into_iter().filter(|v| !v.is_null()) {
        let row = vec![value.clone(), value.clone()];
        let insert = changed(value.clone(), Edit::Insert(row.clone()));
        let update = changed(value.clone(), Edit::Update(vec![cell(1, value.clone(), Value::Integer(7))]));
        db.execute_batch(&statement(&shape, &insert)).expect("inserted");
        db.execute_batch(&statement(&shape, &update)).expect("updated");
        let count: i64 = db
            .query_row(&format!("SELECT count(*) FROM {} WHERE {} = 7", identifier(table), identifier(column)), [], |r| r.get(0))
            .expect("counted");
        assert_eq!(count, 1, "{value:?}");
        db.execute_batch(&statement(&shape, &changed(value, Edit::Delete(row)))).expect("deleted");
    }
    let left: i64 = db.query_row(&format!("SELECT count(*) FROM {}", identifier(table)), [], |r| r.get(0)).expect("counted");
    assert_eq!(left, 0);
    db.execute_batch("SELECT * FROM keep").expect("the other table is still there");
}

#[test]
fn a_page_holds_no_markup_but_its_own() {
    let name = "<img src=x onerror=alert(1)>\"'";
    let shape = shape(name, &["k", name]);
    let mut changes = Vec::new();
    for value in hostile_values() {
        let key = if value.is_null() { Value::Integer(0) } else { value.clone() };
        changes.push((shape.clone(), changed(key.clone(), Edit::Insert(vec![key.clone(), value.clone()]))));
        changes.push((shape.clone(), changed(key, Edit::Update(vec![cell(1, value, Value::text(name))]))));
    }
    let page = render(&mut AsHtml::new(name), &changes);
    let own = [
        "!doctype", "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "article", "table", "thead", "tr", "th", "td", "p",
        "ins", "del",
    ];
    for tag in page.split('<').skip(1) {
        let tag = tag.trim_start_matches('/').split([' ', '>']).next().expect("split gives at least one");
        assert!(own.contains(&tag), "<{tag}> is not ours");
    }
    assert!(!page.contains('\x1b') && !page.contains('\0'));
}

#[test]
fn text_shows_rows_and_cells() {
    let shape = shape("recipe", &["id", "title", "note"]);
    let long = "Boil the potatoes for twenty minutes, then peel them while they are hot and add salt.";
    let changes = [
        (shape.clone(), changed(3.into(), Edit::Delete(vec![3.into(), "Old".into(), Value::Null]))),
        (shape.clone(), changed(4.into(), Edit::Insert(vec![4.into(), "New".into(), Value::Null]))),
        (
            shape.clone(),
            changed(
                1.into(),
                Edit::Update(vec![
                    cell(1, Value::text("1"), Value::Integer(1)),
                    cell(2, Value::text(long), Value::text(long.replace("twenty", "thirty"))),
                ]),
            ),
        ),
    ];
    let expected = "\
- recipe 3
    id: 3
    title: 'Old'
+ recipe 4
    id: 4
    title: 'New'
~ recipe 1
    title: '1' → 1
    note: 'Boil the potatoes for [-twenty-]{+thirty+} minutes, then peel them while … '
";
    assert_eq!(render(&mut AsText, &changes), expected);
}

#[test]
fn json_is_one_list() {
    let shape = shape("t", &["k", "v"]);
    let changes: Vec<_> = hostile_values()
        .into_iter()
        .map(|v| (shape.clone(), changed(1.into(), Edit::Update(vec![cell(1, v, Value::Integer(1))]))))
        .collect();
    let text = render(&mut AsJson::default(), &changes);
    let list: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a JSON list");
    assert_eq!(list.len(), changes.len());
}

#[test]
fn a_filter_keeps_the_rows_asked_for() {
    let shape = shape("Artist", &["id", "v"]);
    let change = changed(276.into(), Edit::Insert(vec![276.into(), Value::Null]));
    let filter = |table: &str, key: Option<&str>| RowFilter { table: Some(table.into()), key: key.map(|k| KeyArgument(k.into())) };
    assert!(filter("artist", None).keeps(&shape, &change).expect("fits"));
    assert!(filter("artist", Some("276")).keeps(&shape, &change).expect("fits"));
    assert!(!filter("artist", Some("27")).keeps(&shape, &change).expect("fits"));
    assert!(!filter("album", None).keeps(&shape, &change).expect("fits"));
}

//! Changes of rows as pages show them, for versions, rows and proposals alike.
use mainstem::changeset_json::value_to_json;
use mainstem::core::change::{Change, Edit, Shape};
use mainstem::core::value::Key;
use mainstem_pages::address::{asked, path};
use mainstem_pages::cell::ShownCell;
use mainstem_pages::change::{Kind, ShownChange, ShownKey};
use mainstem_pages::value::{Room, ShownValue};

/// A key as an address says it, and as the row's page reads it.
pub fn key_text(key: &Key) -> String {
    serde_json::Value::from(key.iter().map(value_to_json).collect::<Vec<_>>()).to_string()
}

/// Where a row's page is, at a version or now.
pub fn row_path(dataset: &str, table: &str, key: &Key, at: Option<String>) -> String {
    asked(&path(&["datasets", dataset, "tables", table, "row"]), &[("key", Some(key_text(key))), ("at", at)])
}

/// A key with the names of its columns.
pub fn key_of(columns: &[String], key: &Key) -> ShownKey {
    let names = columns.iter().cloned().chain(std::iter::repeat(String::new()));
    ShownKey { parts: names.zip(key).map(|(name, value)| (name, ShownValue::new(value, Room::Cell))).collect() }
}

/// A change, whose columns a shape names.
pub fn shown_change(dataset: &str, shape: &Shape, change: &Change) -> ShownChange {
    let columns: Vec<String> = shape.key.iter().map(|&at| shape.columns[at].clone()).collect();
    let pairs = |row| shape.columns.iter().zip(row);
    let (kind, cells) = match &change.edit {
        Edit::Insert(row) => (Kind::Added, pairs(row).map(|(name, value)| ShownCell::new(name, None, Some(value), Room::Cell)).collect()),
        Edit::Delete(row) => (Kind::Removed, pairs(row).map(|(name, value)| ShownCell::new(name, Some(value), None, Room::Cell)).collect()),
        Edit::Update(cells) => {
            let shown =
                cells.iter().map(|cell| ShownCell::new(&shape.columns[cell.column], Some(&cell.before), Some(&cell.after), Room::Cell));
            (Kind::Changed, shown.collect())
        }
    };
    ShownChange {
        table: shape.table.clone(),
        key: key_of(&columns, &change.key),
        to: Some(row_path(dataset, &shape.table, &change.key, None)),
        kind,
        moved_from: change.moved_from.as_ref().map(|key| key_of(&columns, key)),
        cells,
    }
}

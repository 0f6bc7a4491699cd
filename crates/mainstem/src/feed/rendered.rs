//! An event as JSON: one shape for every sink. docs/feed.md describes it; programs rely on it.
//!
//! Invariant: a name, once released, stays, and values come back to the bit (`crate::changeset_json` has the rule).
use super::{FeedEvent, RowEvent, What};
use crate::changeset_json::{time_text, value_to_json};
use mainstem_core::change::{Edit, Shape};
use mainstem_core::schema::SchemaChange;
use mainstem_core::value::Value;
use serde_json::{Map, Value as Json, json};

/// The event as JSON.
pub fn to_json(event: &FeedEvent) -> Json {
    let (version, header) = (&event.version, &event.version.header);
    let mut shown = json!({ "offset": event.offset.to_string(), "kind": event.kind(), "version": version.version });
    let detail = match (&event.what, event.shape()) {
        (What::Row(row), Some(shape)) => row_detail(shape, row),
        (What::Row(_), None) => Map::new(),
        (What::Schema(step), _) => schema_detail(step),
        (What::Resolved(answer), _) => object(json!({
            "conflict": conflict_id(answer.conflict),
            "choice": answer.choice.name(),
            "resolved_by": answer.actor,
            "written_at": time_text(answer.at),
        })),
    };
    let provenance = json!({
        "author": header.actor,
        "replica": header.replica.to_string(),
        "changeset": { "write_id": format!("{:032x}", header.write_id), "title": header.title, "at": time_text(header.at) },
        "accepted_at": time_text(version.accepted_at),
    });
    for (name, value) in detail.into_iter().chain(object(provenance)) {
        shown[name] = value;
    }
    shown
}

fn object(json: Json) -> Map<String, Json> {
    if let Json::Object(object) = json { object } else { Map::new() }
}

fn conflict_id(id: u64) -> String {
    format!("{id:016x}")
}

fn named<'a>(columns: impl Iterator<Item = &'a String>, values: &[Value]) -> Json {
    Json::Object(columns.zip(values).map(|(column, value)| (column.clone(), value_to_json(value))).collect())
}

fn row_detail(shape: &Shape, row: &RowEvent) -> Map<String, Json> {
    let change = &row.change;
    let key = |key: &[Value]| named(shape.key.iter().map(|&at| &shape.columns[at]), key);
    let (before, after) = match &change.edit {
        Edit::Insert(image) => (Json::Null, named(shape.columns.iter(), image)),
        Edit::Delete(image) => (named(shape.columns.iter(), image), Json::Null),
        Edit::Update(cells) => {
            let side = |pick: fn(&mainstem_core::change::Cell) -> &Value| {
                Json::Object(cells.iter().map(|cell| (shape.columns[cell.column].clone(), value_to_json(pick(cell)))).collect())
            };
            (side(|cell| &cell.before), side(|cell| &cell.after))
        }
    };
    let mut shown = object(json!({
        "table": shape.table, "key": key(&change.key), "before": before, "after": after, "written_at": time_text(change.at),
    }));
    if let Some(from) = &change.moved_from {
        shown.insert("moved_from".into(), key(from));
    }
    if let Some(from) = row.renumbered_from {
        shown.insert("renumbered_from".into(), from.into());
    }
    if row.is_released {
        shown.insert("released".into(), true.into());
    }
    if !row.conflicts.is_empty() {
        shown.insert("conflicts".into(), row.conflicts.iter().map(|&id| conflict_id(id)).collect());
    }
    shown
}

/// A step by its name, the table it is about, and what is needed to follow it.
fn schema_detail(step: &SchemaChange) -> Map<String, Json> {
    object(match step {
        SchemaChange::CreateTable { table } => json!({ "step": "create_table", "table": table.name, "sql": table.sql }),
        SchemaChange::DropTable { name } => json!({ "step": "drop_table", "table": name }),
        SchemaChange::RenameTable { from, to } => json!({ "step": "rename_table", "table": from, "to": to }),
        SchemaChange::AddColumn { table, column, definition } => {
            json!({ "step": "add_column", "table": table, "column": column.name, "sql": definition })
        }
        SchemaChange::DropColumn { table, column } => json!({ "step": "drop_column", "table": table, "column": column }),
        SchemaChange::RenameColumn { table, from, to } => {
            json!({ "step": "rename_column", "table": table, "column": from, "to": to })
        }
        SchemaChange::Rebuild { table, .. } => json!({ "step": "rebuild", "table": table.name, "sql": table.sql }),
        SchemaChange::PutObject { object } => {
            json!({ "step": "put_object", "object": object.kind, "name": object.name, "table": object.table, "sql": object.sql })
        }
        SchemaChange::DropObject { kind, name } => json!({ "step": "drop_object", "object": kind, "name": name }),
    })
}

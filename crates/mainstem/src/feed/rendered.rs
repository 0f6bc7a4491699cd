//! An event as JSON: one shape for every sink. docs/feed.md describes it; programs rely on it.
//!
//! Invariant: a name, once released, stays, and values come back to the bit (`crate::changeset_json` has the rule).
use super::{FeedEvent, RowEvent, What};
use crate::changeset_json::{time_text, value_to_json};
use mainstem_core::conflict::Image;
use mainstem_core::schema::SchemaChange;
use serde_json::{Map, Value as Json, json};

/// The event as JSON.
pub fn to_json(event: &FeedEvent) -> Json {
    let origin = &event.origin;
    let detail = match &event.what {
        What::Row(row) => row_detail(row),
        What::Schema(step) => schema_detail(step),
        What::Resolved(answer) => json!({
            "conflict": conflict_id(answer.conflict),
            "choice": answer.choice.name(),
            "resolved_by": answer.actor,
            "written_at": time_text(answer.at),
        }),
    };
    let changeset = origin.changeset.as_ref().map(
        |changeset| json!({ "write_id": format!("{:032x}", changeset.write_id), "title": changeset.title, "at": time_text(changeset.at) }),
    );
    let mut shown = json!({ "offset": event.offset.to_string(), "kind": event.kind(), "version": origin.version });
    let provenance = json!({
        "author": origin.author,
        "replica": origin.replica.to_string(),
        "changeset": changeset,
        "accepted_at": origin.accepted_at.map(time_text),
    });
    let review = origin
        .review
        .as_ref()
        .map_or(Json::Null, |review| json!({ "proposal": review.proposal, "approvers": review.approvers, "merged_by": review.merged_by }));
    for (name, value) in object(detail).into_iter().chain(object(provenance)).chain(object(review)) {
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

fn image(image: &Image) -> Json {
    Json::Object(image.iter().map(|(column, value)| (column.clone(), value_to_json(value))).collect())
}

fn row_detail(row: &RowEvent) -> Json {
    let mut shown = json!({
        "table": row.table,
        "key": image(&row.key),
        "before": row.before.as_ref().map(image),
        "after": row.after.as_ref().map(image),
        "written_at": time_text(row.at),
    });
    if let Some(from) = &row.moved_from {
        shown["moved_from"] = image(from);
    }
    if let Some(from) = row.renumbered_from {
        shown["renumbered_from"] = from.into();
    }
    if row.is_released {
        shown["released"] = true.into();
    }
    if !row.conflicts.is_empty() {
        shown["conflicts"] = row.conflicts.iter().map(|&id| conflict_id(id)).collect();
    }
    shown
}

/// A step by its name, the table it is about, and what is needed to follow it.
fn schema_detail(step: &SchemaChange) -> Json {
    match step {
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
    }
}

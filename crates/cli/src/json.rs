//! The JSON shapes that `--json` gives. docs/commands.md describes them; scripts rely on them.
//!
//! Invariant: a name, once released, stays; integers are exact; a real always has a dot or an exponent.
use crate::plain_text::{hex, moment_ms};
use mainstem_core::change::{Change, Edit, Front, Header, Shape};
use mainstem_core::conflict::{Claim, Conflict, Side};
use mainstem_core::event::{Renumbered, Version};
use mainstem_core::stamp::Time;
use mainstem_core::value::{Key, Row, Value};
use mainstem_sqlite::replica::RefusedTable;
use serde_json::{Map, Value as Json, json};

/// A value: null, number, string, `{"blob": hex}`, `{"text_hex": hex}`, `{"real": "inf"}`.
pub fn value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(i) => Json::from(*i),
        Value::Real(r) if r.is_finite() => Json::from(*r),
        Value::Real(r) => json!({ "real": if *r > 0.0 { "inf" } else { "-inf" } }),
        Value::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Json::from(text),
            Err(_) => json!({ "text_hex": hex(bytes) }),
        },
        Value::Blob(bytes) => json!({ "blob": hex(bytes) }),
    }
}

/// Values by column name.
pub fn named<'a>(columns: impl IntoIterator<Item = &'a str>, values: &[Value]) -> Json {
    let pairs = columns.into_iter().zip(values);
    Json::Object(pairs.map(|(c, v)| (c.to_string(), value(v))).collect::<Map<_, _>>())
}

/// A change's key by column name.
pub fn key(shape: &Shape, key: &Key) -> Json {
    named(key_columns(shape), key)
}

/// The tables whose rows do not travel: `table`, `reason`, `advice`.
pub fn refused(refused: &[RefusedTable]) -> Vec<Json> {
    refused.iter().map(|(table, why, advice)| json!({ "table": table, "reason": why, "advice": advice })).collect()
}

/// The names of a shape's key columns.
pub fn key_columns(shape: &Shape) -> Vec<&str> {
    shape.key.iter().map(|&i| shape.columns[i].as_str()).collect()
}

/// One row's change: `table`, `key`, `kind`, `cells`.
pub fn change(shape: &Shape, change: &Change) -> Json {
    let mut shown = json!({
        "table": shape.table,
        "key": key(shape, &change.key),
        "kind": change.edit.name(),
        "cells": cells(shape, &change.edit),
    });
    if let Some(from) = &change.moved_from {
        shown["moved_from"] = key(shape, from);
    }
    shown
}

fn cells(shape: &Shape, edit: &Edit) -> Vec<Json> {
    let row = |row: &Row, is_after: bool| -> Vec<Json> {
        let pairs = shape.columns.iter().zip(row);
        pairs.map(|(c, v)| if is_after { cell(c, &Value::Null, v) } else { cell(c, v, &Value::Null) }).collect()
    };
    match edit {
        Edit::Insert(image) => row(image, true),
        Edit::Delete(image) => row(image, false),
        Edit::Update(cells) => cells.iter().map(|c| cell(&shape.columns[c.column], &c.before, &c.after)).collect(),
    }
}

fn cell(column: &str, before: &Value, after: &Value) -> Json {
    json!({ "column": column, "before": value(before), "after": value(after) })
}

/// A moment, as `2026-11-20T07:26:10.000Z`.
pub fn moment(time: Time) -> Json {
    Json::from(moment_ms(time.ms()))
}

/// 128 bits as 32 hexadecimal digits.
pub fn bits(bits: u128) -> String {
    format!("{bits:032x}")
}

/// A conflict's id as 16 hexadecimal digits: as a number it would lose digits in many JSON readers.
pub fn conflict_id(id: u64) -> String {
    format!("{id:016x}")
}

/// Who made a changeset, where, when, and on which version.
pub fn header(header: &Header) -> Json {
    json!({
        "write_id": bits(header.write_id),
        "replica": header.replica.to_string(),
        "sequence": header.sequence,
        "base_version": header.base_version,
        "actor": header.actor,
        "title": header.title,
        "description": header.description,
        "at": moment(header.at),
    })
}

/// A changeset that was not sent yet.
pub fn unsent(front: &Front) -> Json {
    let mut shown = header(&front.header);
    shown["id"] = Json::from(format!("u{}", front.header.sequence));
    shown["version"] = Json::Null;
    shown["changes"] = Json::from(front.count);
    shown["schema_steps"] = Json::from(front.schema.len());
    shown["resolutions"] = Json::from(front.resolutions.len());
    shown
}

/// An accepted version.
pub fn version(version: &Version) -> Json {
    let mut shown = header(&version.header);
    shown["id"] = Json::from(version.version.to_string());
    shown["version"] = Json::from(version.version);
    shown["accepted_at"] = moment(version.accepted_at);
    shown["changes"] = Json::from(version.count);
    shown["schema_steps"] = Json::from(version.schema.len());
    shown["conflicts"] = Json::from(version.conflicts.len());
    shown["resolutions"] = Json::from(version.resolved.len());
    shown["renumbered"] = version.renumbered.iter().map(renumbered).collect();
    shown["waiting"] = Json::from(version.waiting.len());
    shown["review"] = version.review.as_ref().map(crate::review_view::reviewed).into();
    shown
}

fn renumbered(r: &Renumbered) -> Json {
    json!({ "table": r.table, "from": r.from, "to": r.to })
}

/// A conflict; `columns` are the names of its table's key.
pub fn conflict(conflict: &Conflict, columns: &[String]) -> Json {
    let winner = conflict.answer.as_ref().map(|a| a.choice.name());
    json!({
        "id": conflict_id(conflict.id),
        "table": conflict.table,
        "key": named(columns.iter().map(String::as_str), &conflict.key),
        "column": conflict.column,
        "kind": conflict.kind.name(),
        "base": claim(&conflict.base),
        "ours": claim(&conflict.ours.claim),
        "theirs": claim(&conflict.theirs.claim),
        "strategy": conflict.strategy,
        "state": if conflict.is_open() { "open" } else { "resolved" },
        "ours_by": side(&conflict.ours),
        "theirs_by": side(&conflict.theirs),
        "version": conflict.version,
        "detail": conflict.detail,
        "winner": winner,
        "resolved_by": conflict.answer.as_ref().map(|a| a.actor.clone()),
        "resolved_at": conflict.answer.as_ref().map(|a| moment(a.at)),
    })
}

/// A cell's value, a row as an object, or null for a row that is not there.
fn claim(claim: &Claim) -> Json {
    match claim {
        Claim::Cell(v) => value(v),
        Claim::Row(None) => Json::Null,
        Claim::Row(Some(image)) => Json::Object(image.iter().map(|(c, v)| (c.clone(), value(v))).collect()),
    }
}

fn side(side: &Side) -> Json {
    json!({ "actor": side.actor, "replica": side.stamp.replica.to_string(), "at": moment(side.stamp.time) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_type_and_bits() {
        let shown = [
            (Value::Null, "null"),
            (Value::Integer(i64::MIN), "-9223372036854775808"),
            (Value::Integer((1 << 53) + 1), "9007199254740993"),
            (Value::Real(1.0), "1.0"),
            (Value::Real(-0.0), "-0.0"),
            (Value::Real(1e300), "1e+300"),
            (Value::Real(0.1), "0.1"),
            (Value::Real(f64::INFINITY), r#"{"real":"inf"}"#),
            (Value::Real(f64::NEG_INFINITY), r#"{"real":"-inf"}"#),
            (Value::text("a\"\0\n"), r#""a\"\u0000\n""#),
            (Value::Text(vec![0xff, 0x41]), r#"{"text_hex":"ff41"}"#),
            (Value::Blob(vec![0, 255]), r#"{"blob":"00ff"}"#),
            (Value::Blob(vec![]), r#"{"blob":""}"#),
        ];
        for (given, expected) in shown {
            assert_eq!(value(&given).to_string(), expected);
        }
    }

    #[test]
    fn reals_come_back_to_the_bit_and_never_as_integers() {
        for bits in [1u64, 0x7fef_ffff_ffff_ffff, 0x3fb9_9999_9999_999a, 0x4340_0000_0000_0001, 0xc1e0_0000_0020_0000] {
            let text = value(&Value::Real(f64::from_bits(bits))).to_string();
            assert!(text.contains(['.', 'e']), "{text}");
            let back: Json = serde_json::from_str(&text).expect("a JSON number");
            assert_eq!(back.as_f64().map(f64::to_bits), Some(bits), "{text}");
        }
    }

    #[test]
    fn a_change_has_the_fixed_names() {
        let shape = Shape {
            table: "order details".into(),
            columns: vec!["n".into(), "order".into(), "line".into()],
            key: vec![1, 2],
            ..Shape::default()
        };
        let cell = mainstem_core::change::Cell { column: 0, before: Value::Null, after: Value::Integer(2), at: Time::default() };
        let update = Change {
            table: 0,
            key: vec![Value::Integer(1), Value::text("a")],
            edit: Edit::Update(vec![cell]),
            at: Time::default(),
            moved_from: None,
        };
        assert_eq!(
            change(&shape, &update).to_string(),
            r#"{"table":"order details","key":{"order":1,"line":"a"},"kind":"update","cells":[{"column":"n","before":null,"after":2}]}"#
        );
    }
}

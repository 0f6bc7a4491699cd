//! Round trips, totality and the kept bytes of version 1.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::page::SpanEdit;
use super::samples::{self, fixed};
use super::{Reader, Writer, conflict, event, front, page, row, schema, value};
use crate::change::{Change, Edit, Shape};
use crate::error::{Error, Result};
use crate::stamp::Time;
use crate::value::Value;
use alloc::string::{String, ToString};
use alloc::{format, vec, vec::Vec};
use proptest::collection::vec as many;
use proptest::prelude::*;

/// Decodes with every decoder; what comes out does not matter, that something does.
fn decode_all(bytes: &[u8]) {
    let _ = value::decode(bytes);
    let _ = row::decode_row(bytes);
    let _ = row::decode_key(bytes);
    let _ = schema::decode(bytes);
    let _ = schema::decode_change(bytes);
    let _ = front::decode(bytes);
    let _ = conflict::decode(bytes);
    let _ = event::decode(bytes);
    let _ = page::decode(bytes, &fixed::shapes());
}

/// Cuts and flips valid bytes everywhere. What a decoder of canonical bytes accepts encodes to the same bytes.
fn torture(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<()>) {
    for length in 0..bytes.len() {
        let _ = decode(&bytes[..length]);
    }
    let mut flipped = bytes.to_vec();
    for position in 0..bytes.len() {
        for bits in [0x01, 0x80, 0xff, 0x10] {
            flipped[position] ^= bits;
            if let Err(e) = decode(&flipped) {
                assert!(matches!(e, Error::Corrupt { .. }));
            }
            flipped[position] ^= bits;
        }
    }
}

/// What is found where it lies is what is taken out, and both refuse the same pages.
fn spans_agree(bytes: &[u8], shapes: &[Shape]) {
    let values = |range: &core::ops::Range<usize>| {
        let mut r = Reader::new("values", &bytes[range.clone()]);
        let mut values = Vec::new();
        while !r.is_empty() {
            values.push(value::read(&mut r).unwrap());
        }
        values
    };
    let Ok(changes) = page::decode(bytes, shapes) else {
        assert!(page::spans(bytes, shapes).is_err());
        return;
    };
    let found = page::spans(bytes, shapes).unwrap();
    assert_eq!(found.changes.len(), changes.len());
    for (span, change) in found.changes.iter().zip(&changes) {
        assert_eq!(span.table, change.table);
        match (&span.edit, &change.edit) {
            (SpanEdit::Insert(at), Edit::Insert(row)) | (SpanEdit::Delete(at), Edit::Delete(row)) => assert_eq!(values(at), *row),
            (SpanEdit::Update { key, cells: at }, Edit::Update(cells)) => {
                assert_eq!(values(key), change.key);
                let found: Vec<_> = found.cells[at.clone()].iter().map(|c| (c.column, values(&c.before), values(&c.after))).collect();
                let cells: Vec<_> = cells.iter().map(|c| (c.column, vec![c.before.clone()], vec![c.after.clone()])).collect();
                assert_eq!(found, cells);
            }
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn values_and_rows_come_back(values in many(samples::value(), 0..8)) {
        prop_assert_eq!(&row::decode_row(&row::encode_row(&values)).unwrap(), &values);
        prop_assert_eq!(&row::decode_key(&row::encode_key(&values)).unwrap(), &values);
        for v in &values {
            prop_assert_eq!(&value::decode(&value::encode(v)).unwrap(), v);
        }
    }

    #[test]
    fn keys_are_injective(a in many(samples::value(), 0..4), b in many(samples::value(), 0..4)) {
        prop_assert_eq!(a == b, row::encode_key(&a) == row::encode_key(&b));
    }

    #[test]
    fn what_decodes_as_a_row_has_no_other_spelling(bytes in many(any::<u8>(), 0..40)) {
        let mut versioned = vec![1];
        versioned.extend(bytes);
        if let Ok(values) = row::decode_row(&versioned) {
            prop_assert_eq!(row::encode_row(&values), versioned);
        }
    }

    #[test]
    fn pages_come_back((shapes, changes) in samples::page()) {
        let bytes = page::encode(&shapes, &changes);
        spans_agree(&bytes, &shapes);
        prop_assert_eq!(page::decode(&bytes, &shapes).unwrap(), changes);
    }

    #[test]
    fn fronts_come_back(front in samples::front()) {
        prop_assert_eq!(front::decode(&front::encode(&front)).unwrap(), front);
    }

    #[test]
    fn schemas_come_back(schema in samples::schema(), step in samples::step()) {
        prop_assert_eq!(schema::decode(&schema::encode(&schema)).unwrap(), schema);
        prop_assert_eq!(schema::decode_change(&schema::encode_change(&step)).unwrap(), step);
    }

    #[test]
    fn conflicts_come_back(conflict in samples::conflict()) {
        prop_assert_eq!(conflict::decode(&conflict::encode(&conflict)).unwrap(), conflict);
    }

    #[test]
    fn events_come_back(event in samples::event()) {
        prop_assert_eq!(event::decode(&event::encode(&event)).unwrap(), event);
    }

    #[test]
    fn any_bytes_decode_to_something_or_an_error(bytes in many(any::<u8>(), 0..200)) {
        decode_all(&bytes);
        let mut versioned = vec![1];
        versioned.extend(bytes);
        decode_all(&versioned);
    }

    #[test]
    fn damaged_bytes_decode_to_something_or_an_error(
        (shapes, changes) in samples::page(),
        flips in many((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = page::encode(&shapes, &changes);
        for (at, bits) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        spans_agree(&bytes, &shapes);
        if let Ok(changes) = page::decode(&bytes, &shapes) {
            prop_assert_eq!(page::decode(&page::encode(&shapes, &changes), &shapes).unwrap(), changes);
        }
    }
}

#[test]
fn every_cut_and_flip_of_every_encoding_is_total() {
    torture(&row::encode_row(&fixed::values()), |b| row::decode_row(b).map(drop));
    torture(&page::encode(&fixed::shapes(), &fixed::changes()), |b| page::decode(b, &fixed::shapes()).map(drop));
    torture(&front::encode(&fixed::front()), |b| front::decode(b).map(drop));
    torture(&schema::encode(&fixed::schema()), |b| schema::decode(b).map(drop));
    for event in fixed::events() {
        torture(&event::encode(&event), |b| event::decode(b).map(drop));
    }
    for conflict in fixed::conflicts() {
        torture(&conflict::encode(&conflict), |b| conflict::decode(b).map(drop));
    }
}

#[test]
fn counts_and_lengths_beyond_the_input_are_refused_at_once() {
    let huge = |tail: &[u8]| {
        let mut bytes = vec![1];
        bytes.extend_from_slice(tail);
        bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        bytes
    };
    assert!(row::decode_row(&huge(&[0x03])).is_err());
    assert!(row::decode_row(&huge(&[0x04])).is_err());
    assert!(page::decode(&huge(&[0x00]), &fixed::shapes()).is_err());
    assert!(front::decode(&huge(&[0x02, 0x0b])).is_err());
    assert!(event::decode(&huge(&[0x02, 0x09, 0x0b])).is_err());
    let wide = Shape { columns: (0..30_000).map(|i| format!("c{i}")).collect(), key: vec![0], ..Shape::default() };
    assert!(page::decode(&[1, 0, 3, 0, 0, 0, 0, 0, 0], &[wide]).is_err());
}

#[test]
fn a_small_page_cannot_unfold_to_many_changes() {
    let shape = Shape { columns: vec!["a".into()], key: vec![0], ..Shape::default() };
    let mut w = Writer::versioned();
    w.varint(0);
    w.varint(page::CHANGES_MAX as u64 + 1);
    w.fixed(&vec![0; 4 * page::CHANGES_MAX]);
    assert!(page::decode(&w.0, &[shape]).unwrap_err().to_string().contains("a run of 65537 changes"));
}

#[test]
fn small_bytes_cannot_unfold_to_long_lists() {
    let front = |tag: u64, count: u64| {
        let mut w = Writer::versioned();
        w.field(tag, |w| {
            w.varint(count);
            w.fixed(&vec![0; count as usize]);
        });
        front::decode(&w.0).map(drop).unwrap_err().to_string()
    };
    assert!(front(3, super::FEW_MAX + 1).contains("a list of 65537 is over 65536"));
    assert!(front(4, 1_000_000).contains("1000000 things cannot follow in 1000000 bytes"));
}

#[test]
fn numbers_have_one_spelling() {
    let read = |bytes: &[u8]| Reader::new("number", bytes).varint();
    assert_eq!(read(&[0x80, 0x01]), Ok(128));
    assert!(read(&[0x80, 0x00]).is_err());
    assert!(read(&[0xff; 11]).is_err());
    assert!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]).is_err());
    for number in [0, 1, 127, 128, 16_383, 16_384, u64::MAX] {
        let mut w = Writer::default();
        w.varint(number);
        assert_eq!(read(&w.0), Ok(number));
    }
    for number in [0, -1, 1, i64::MIN, i64::MAX] {
        let mut w = Writer::default();
        w.signed(number);
        assert_eq!(Reader::new("number", &w.0).signed(), Ok(number));
    }
}

#[test]
fn one_and_one_point_zero_and_their_texts_are_five_keys() {
    let keys = [Value::Integer(1), Value::Real(1.0), Value::text("1"), Value::Blob(b"1".to_vec()), Value::Null];
    let mut encoded: Vec<_> = keys.iter().map(|k| row::encode_key(core::slice::from_ref(k))).collect();
    encoded.sort();
    encoded.dedup();
    assert_eq!(encoded.len(), 5);
    assert_ne!(row::encode_key(&[Value::Real(0.0)]), row::encode_key(&[Value::Real(-0.0)]));
}

#[test]
fn nan_is_null_and_is_refused_in_bytes() {
    assert_eq!(value::decode(&value::encode(&Value::Real(f64::NAN))), Ok(Value::Null));
    assert!(value::decode(&[1, 1, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]).is_err());
}

#[test]
fn a_later_writers_fields_are_skipped() {
    let known = front::encode(&fixed::front());
    let mut w = Writer(known.clone());
    w.field(90, |w| w.fixed(b"from the future"));
    assert_eq!(front::decode(&w.0), Ok(fixed::front()));
    for event in fixed::events() {
        let mut w = Writer(event::encode(&event));
        w.field(90, |w| w.fixed(b"from the future"));
        assert_eq!(event::decode(&w.0), Ok(event));
    }
    let mut w = Writer(known);
    w.field(5, |w| w.varint(1));
    assert!(front::decode(&w.0).is_err(), "a field twice");
}

#[test]
fn a_later_version_is_named() {
    let mut bytes = front::encode(&fixed::front());
    bytes[0] = 2;
    let why = front::decode(&bytes).unwrap_err().to_string();
    assert_eq!(why, "changeset front is damaged: its format version 2 is newer than this program reads (1)");
}

#[test]
fn a_row_of_six_short_columns_takes_at_most_sixty_bytes() {
    let shape = Shape {
        table: "person".into(),
        columns: ["id", "name", "email", "age", "weight", "note"].map(String::from).to_vec(),
        key: vec![0],
        ..Shape::default()
    };
    let changes: Vec<Change> = (0..1000)
        .map(|i| {
            let id = Value::text(format!("p{i:08}"));
            let row = vec![
                id.clone(),
                Value::text("Anna Larsson"),
                Value::text("anna@example.org"),
                Value::Integer(41),
                Value::Real(61.5),
                Value::Null,
            ];
            Change { table: 0, key: vec![id], edit: Edit::Insert(row), at: Time(9 << 40 | i), moved_from: None }
        })
        .collect();
    let length = page::encode(&[shape], &changes).len();
    assert!(length <= 60 * 1000, "{length}");
}

#[test]
fn changes_that_break_their_shape_are_refused() {
    let shapes = fixed::shapes();
    let good = fixed::changes();
    let broken = |edit: &dyn Fn(&mut Change), from: usize| {
        let mut change = good[from].clone();
        edit(&mut change);
        page::check(&shapes, &change).expect_err("it is broken").to_string()
    };
    let with_cells = |c: &mut Change, edit: &dyn Fn(&mut Vec<crate::change::Cell>)| {
        if let Edit::Update(cells) = &mut c.edit {
            edit(cells);
        }
    };
    let cases: [(String, &str); 11] = [
        (broken(&|c| c.table = 2, 0), "it names table 2 of 2"),
        (broken(&|c| c.edit = Edit::Insert(vec![]), 1), "has 0 of 3 columns"),
        (broken(&|c| c.key = vec![Value::Integer(77)], 1), "another key"),
        (broken(&|c| c.key = vec![Value::text("1")], 4), "has no number"),
        (broken(&|c| c.key.truncate(1), 5), "a key of 1 of 2 values"),
        (broken(&|c| with_cells(c, &|cells| cells.clear()), 4), "changes nothing"),
        (broken(&|c| with_cells(c, &|cells| cells[0].column = 3), 4), "names column 3 of 3"),
        (broken(&|c| with_cells(c, &|cells| cells[0].column = 0), 4), "of its key"),
        (broken(&|c| with_cells(c, &|cells| cells[0].column = 1), 4), "twice"),
        (broken(&|c| with_cells(c, &|cells| cells[0].at.0 += 1), 4), "later than its row"),
        (broken(&|c| c.moved_from = Some(vec![]), 1), "another length"),
    ];
    for (why, expected) in cases {
        assert!(why.contains(expected), "{why} should say {expected}");
    }
    good.iter().for_each(|c| page::check(&shapes, c).unwrap());
}

#[test]
fn shapes_that_cannot_be_indexed_are_refused() {
    type Breaking = fn(&mut Shape);
    let cases: [(Breaking, &str); 4] = [
        (|s| s.key = vec![3], "beyond"),
        (|s| s.columns[1] = "ID".into(), "the column id twice"),
        (|s| s.key = vec![0, 1], "numbered"),
        (|s| (s.is_numbered, s.key) = (false, vec![0, 0]), "twice"),
    ];
    for (edit, expected) in cases {
        let mut front = fixed::front();
        edit(&mut front.shapes[0]);
        let why = front::decode(&front::encode(&front)).unwrap_err().to_string();
        assert!(why.contains(expected), "{why} should say {expected}");
        assert!(front::check_shape(&front.shapes[0]).is_err());
    }
}

#[test]
fn the_chain_covers_all_before() {
    let first = event::chain(&[0; 32], b"a");
    assert_ne!(first, event::chain(&[0; 32], b"b"));
    assert_ne!(event::chain(&first, b"b"), event::chain(&[0; 32], b"b"));
    assert_eq!(hex(&first), KEPT_CHAIN);
}

const KEPT_CHAIN: &str = "ffb4d8f057bb572620a88dccaf6ba543168011ff7726befb91d5303113723f0c";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The bytes kept since version 1. A difference means that files out there could not be read.
fn kept<T: PartialEq + core::fmt::Debug>(kept: &str, fixed: &T, encoded: Vec<u8>, decode: impl Fn(&[u8]) -> Result<T>) {
    let kept: String = kept.split_whitespace().collect();
    assert_eq!(kept, hex(&encoded));
    let bytes: Vec<u8> = (0..kept.len()).step_by(2).map(|i| u8::from_str_radix(&kept[i..i + 2], 16).expect("fixtures are hex")).collect();
    assert_eq!(decode(&bytes).as_ref(), Ok(fixed));
}

/// What came to version 1 with restored primaries. An earlier program skips these fields.
#[test]
fn the_bytes_of_what_is_offered_again_are_kept() {
    let (front, restored) = fixed::again();
    kept(include_str!("../../fixtures/format-1/again.hex"), &front, front::encode(&front), front::decode);
    kept(include_str!("../../fixtures/format-1/restored.hex"), &restored, event::encode(&restored), event::decode);
    torture(&front::encode(&front), |b| front::decode(b).map(drop));
    torture(&event::encode(&restored), |b| event::decode(b).map(drop));
}

/// What came to version 1 with numbers that changed before they were heard of. An earlier program skips these fields.
#[test]
fn the_bytes_of_rows_renumbered_here_are_kept() {
    let (front, version) = fixed::renumbered_here();
    kept(include_str!("../../fixtures/format-1/renumbered-here.hex"), &front, front::encode(&front), front::decode);
    kept(include_str!("../../fixtures/format-1/renumbered-version.hex"), &version, event::encode(&version), event::decode);
    torture(&front::encode(&front), |b| front::decode(b).map(drop));
    torture(&event::encode(&version), |b| event::decode(b).map(drop));
}

/// What came to version 1 with rows that an author's copy did not show. An earlier program skips this field.
#[test]
fn the_bytes_of_hidden_rows_are_kept() {
    let front = fixed::hidden();
    kept(include_str!("../../fixtures/format-1/hidden.hex"), &front, front::encode(&front), front::decode);
    torture(&front::encode(&front), |b| front::decode(b).map(drop));
}

#[test]
fn the_bytes_of_version_1_are_kept() {
    let values = fixed::values();
    kept(include_str!("../../fixtures/format-1/row.hex"), &values, row::encode_row(&values), row::decode_row);
    let (shapes, changes) = (fixed::shapes(), fixed::changes());
    kept(include_str!("../../fixtures/format-1/page.hex"), &changes, page::encode(&shapes, &changes), |b| page::decode(b, &shapes));
    let front = fixed::front();
    kept(include_str!("../../fixtures/format-1/front.hex"), &front, front::encode(&front), front::decode);
    let schema = fixed::schema();
    kept(include_str!("../../fixtures/format-1/schema.hex"), &schema, schema::encode(&schema), schema::decode);
    let events = [
        include_str!("../../fixtures/format-1/genesis.hex"),
        include_str!("../../fixtures/format-1/version.hex"),
        include_str!("../../fixtures/format-1/policy.hex"),
        include_str!("../../fixtures/format-1/collected.hex"),
    ];
    for (text, event) in events.into_iter().zip(fixed::events()) {
        kept(text, &event, event::encode(&event), event::decode);
    }
    let conflict = fixed::conflicts().pop().expect("there are some");
    let text = include_str!("../../fixtures/format-1/conflict.hex");
    kept(text, &conflict, conflict::encode(&conflict), conflict::decode);
}

//! Decoders: any bytes give a value or a refusal, and what was read is written and read again as the same.
use crate::{from_hex, part, parts};
use mainstem::changeset_file::{self, BundleKind};
use mainstem::primary::Pages;
use mainstem_core::ErrorKind;
use mainstem_core::change::{Front, Shape};
use mainstem_core::digest::Body;
use mainstem_core::event::Event;
use mainstem_core::format;
use mainstem_core::gate::{GateResult, Outcome, Sample, Severity};
use std::fmt::Debug;
use std::io::Cursor;

type Decoded<T> = mainstem_core::Result<T>;

/// A refusal says that the bytes are damaged, never that we are.
fn again<T: PartialEq + Debug>(bytes: &[u8], decode: impl Fn(&[u8]) -> Decoded<T>, encode: impl Fn(&T) -> Vec<u8>) -> Option<T> {
    match decode(bytes) {
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
            None
        }
        Ok(value) => {
            let written = encode(&value);
            assert_eq!(decode(&written).as_ref(), Ok(&value), "written and read again");
            Some(value)
        }
    }
}

/// A value, a key and a row.
pub fn row(bytes: &[u8]) {
    again(bytes, format::value::decode, format::value::encode);
    if let Some(key) = again(bytes, format::row::decode_key, |key| format::row::encode_key(key)) {
        assert_eq!(format::row::encode_key(&key), bytes, "a key has one spelling, for it is looked up by its bytes");
    }
    again(bytes, format::row::decode_row, |row| format::row::encode_row(row));
}

pub fn row_seeds() -> Vec<Vec<u8>> {
    let row = from_hex(include_str!("../../core/fixtures/format-1/row.hex"));
    let values = format::row::decode_row(&row).expect("a fixture");
    values.iter().map(format::value::encode).chain([row, format::row::encode_key(&values)]).collect()
}

fn kept_front() -> Vec<u8> {
    from_hex(include_str!("../../core/fixtures/format-1/front.hex"))
}

/// The shapes that the kept page is of.
fn kept_shapes() -> Vec<Shape> {
    format::front::decode(&kept_front()).expect("a fixture").shapes
}

/// A front, and a page of its shapes.
pub fn page(bytes: &[u8]) {
    let (front, page) = part(bytes);
    let shapes = format::front::decode(front).map_or_else(|_| kept_shapes(), |front| front.shapes);
    if let Some(changes) = again(page, |b| format::page::decode(b, &shapes), |changes| format::page::encode(&shapes, changes)) {
        changes.iter().for_each(|change| format::page::check(&shapes, change).expect("what decodes agrees with its shapes"));
    }
}

pub fn page_seeds() -> Vec<Vec<u8>> {
    let page = from_hex(include_str!("../../core/fixtures/format-1/page.hex"));
    vec![parts(&[b"", &page]), parts(&[&kept_front(), &page])]
}

pub fn front(bytes: &[u8]) {
    again(bytes, format::front::decode, format::front::encode);
}

pub fn front_seeds() -> Vec<Vec<u8>> {
    vec![kept_front(), format::front::encode(&Front::default())]
}

pub fn event(bytes: &[u8]) {
    again(bytes, format::event::decode, format::event::encode);
}

pub fn event_seeds() -> Vec<Vec<u8>> {
    let genesis = include_str!("../../core/fixtures/format-1/genesis.hex");
    let version = include_str!("../../core/fixtures/format-1/version.hex");
    let collected = include_str!("../../core/fixtures/format-1/collected.hex");
    [genesis, version, include_str!("../../core/fixtures/format-1/policy.hex"), collected].map(from_hex).to_vec()
}

/// A schema, and a step of one.
pub fn schema(bytes: &[u8]) {
    again(bytes, format::schema::decode, format::schema::encode);
    again(bytes, format::schema::decode_change, format::schema::encode_change);
}

pub fn schema_seeds() -> Vec<Vec<u8>> {
    let steps = format::front::decode(&kept_front()).expect("a fixture").schema;
    let schema = from_hex(include_str!("../../core/fixtures/format-1/schema.hex"));
    steps.iter().map(format::schema::encode_change).chain([schema]).collect()
}

pub fn conflict(bytes: &[u8]) {
    again(bytes, format::conflict::decode, format::conflict::encode);
}

pub fn conflict_seeds() -> Vec<Vec<u8>> {
    vec![from_hex(include_str!("../../core/fixtures/format-1/conflict.hex"))]
}

/// What came of gates.
pub fn gates(bytes: &[u8]) {
    again(bytes, format::gate::decode, |results| format::gate::encode(results));
}

pub fn gates_seeds() -> Vec<Vec<u8>> {
    let sample = Sample::new("product", &[7.into()], [("price", &(-0.5).into()), ("note", &"too dear".into())].into_iter());
    let outcomes = [
        Outcome::Passed,
        Outcome::Failed { rows: 3, samples: vec![sample] },
        Outcome::Broke { why: "there is no table product".to_string() },
    ];
    let result = |outcome| GateResult { gate: "price".to_string(), severity: Severity::Warn, outcome };
    vec![format::gate::encode(&outcomes.map(result))]
}

/// The session extension's format. It says what is in it in one way, but for lengths that are spelled too long.
pub fn session(bytes: &[u8]) {
    use format::session::{decode, encode};
    again(bytes, decode, |(form, runs)| encode(*form, runs));
}

/// A changeset file or bundle as it lies on a disk.
pub fn file(bytes: &[u8]) {
    read_file(bytes);
}

/// What was checked can be read to its end, and what is refused is called damaged.
fn read_file(bytes: &[u8]) {
    let read = read_all(bytes);
    match changeset_file::check(&mut Cursor::new(bytes)) {
        Ok(contents) => {
            let changes = read.expect("it was checked");
            assert!(contents.is_bundle || contents.changes == changes);
        }
        Err(e) => assert!(e.kind == ErrorKind::Corrupt, "{e:?}"),
    }
    if let Err(e) = read_all(bytes) {
        assert_eq!(e.kind, ErrorKind::Corrupt, "{e:?}");
    }
}

fn read_all(bytes: &[u8]) -> mainstem::Result<u64> {
    if !bytes.starts_with(b"mainstem bundle") {
        let (_, mut pages) = changeset_file::read(Cursor::new(bytes))?;
        let changes = drain(&mut pages)?;
        pages.rewind()?;
        assert_eq!(drain(&mut pages).expect("it was read before"), changes);
        return Ok(changes);
    }
    let mut bundle = changeset_file::read_bundle(Cursor::new(bytes))?;
    let mut changes = 0;
    if bundle.header.kind == BundleKind::Unsent {
        while bundle.changeset()?.is_some() {
            changes += drain(&mut bundle)?;
        }
    }
    while bundle.item()?.is_some() {}
    Ok(changes)
}

fn drain(pages: &mut dyn Pages) -> mainstem::Result<u64> {
    let mut changes = 0;
    while let Some(page) = pages.next()? {
        changes += page.len() as u64;
    }
    Ok(changes)
}

pub fn file_seeds() -> Vec<Vec<u8>> {
    let files: [&[u8]; 3] = [
        include_bytes!("../../mainstem/fixtures/format-1/changeset.msc"),
        include_bytes!("../../mainstem/fixtures/format-1/unsent.msb"),
        include_bytes!("../../mainstem/fixtures/format-1/versions.msb"),
    ];
    files.map(<[u8]>::to_vec).to_vec()
}

const MAGICS: [&[u8; 20]; 2] = [b"mainstem changeset\r\n", b"mainstem bundle   \r\n"];
const PAGE: u8 = 3;
const END: u8 = 7;

/// Frames with any contents under a right end, so that the digest keeps nothing from what lies behind it.
pub fn frames(bytes: &[u8]) {
    let Some((&magic, mut rest)) = bytes.split_first() else { return };
    let mut out = [&MAGICS[usize::from(magic) % 2][..], &[1]].concat();
    let frame = |out: &mut Vec<u8>, kind: u8, body: &[u8]| {
        out.extend([kind, 0]);
        out.extend((body.len() as u32).to_be_bytes());
        out.extend((body.len() as u32).to_be_bytes());
        out.extend_from_slice(body);
    };
    let (mut things, mut plain, mut changes, mut shapes) = (0u64, 0u64, 0u64, Vec::new());
    while let Some((&kind, after)) = rest.split_first() {
        let (body, after) = part(after);
        let kind = kind % END;
        frame(&mut out, kind, body);
        if let Ok(front) = format::front::decode(body) {
            shapes = front.shapes;
        }
        if kind == PAGE {
            changes += format::page::decode(body, &shapes).map_or(0, |changes| changes.len() as u64);
        }
        (things, plain, rest) = (things + 1, plain + body.len() as u64, after);
    }
    let counts = [things, changes, plain].map(u64::to_be_bytes).concat();
    frame(&mut out, END, &counts);
    let digest = blake3::hash(&out);
    out.extend_from_slice(digest.as_bytes());
    read_file(&out);
}

/// The kept files taken apart again.
pub fn frames_seeds() -> Vec<Vec<u8>> {
    let framed = |magic: u8, things: &[(u8, Vec<u8>)]| {
        let mut bytes = vec![magic];
        for (kind, body) in things {
            bytes.push(*kind);
            bytes.extend(parts(&[body, b""]));
        }
        bytes
    };
    let page = from_hex(include_str!("../../core/fixtures/format-1/page.hex"));
    let mut one = format::front::decode(&kept_front()).expect("a fixture");
    one.count = 6;
    let front = format::front::encode(&one);
    let mut version = event_seeds().iter().find_map(|bytes| match format::event::decode(bytes) {
        Ok(Event::Version(version)) => Some(version),
        _ => None,
    });
    let version = version.as_mut().expect("a fixture is one");
    let mut body = Body::default();
    body.add(&page);
    version.body = body.digest();
    let version = [vec![0; 32], format::event::encode(&Event::Version(version.clone()))].concat();
    vec![
        framed(0, &[(2, front.clone()), (PAGE, page.clone())]),
        framed(1, &[(1, vec![1]), (2, front.clone()), (PAGE, page.clone()), (2, front)]),
        framed(1, &[(1, vec![1, 1, 1, 1]), (4, version), (PAGE, page)]),
    ]
}

//! Files come back, files that were cut or altered do not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use super::samples::{self, Given, drain};
use super::*;
use crate::ledger::Head;
use crate::primary::{Cursor, Item};
use mainstem_core::ErrorKind;
use mainstem_core::change::Changeset;
use mainstem_core::event::{Event, PolicySet, Version};
use mainstem_core::format::event;
use mainstem_core::stamp::Time;
use mainstem_core::value::Value;
use proptest::prelude::*;
use std::io::Cursor as Bytes;

fn file(changeset: &Changeset, a_page: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, &changeset.front, &mut Given::of(&changeset.changes, a_page)).unwrap();
    bytes
}

fn changeset(bytes: &[u8]) -> Result<Changeset> {
    check(&mut Bytes::new(bytes))?;
    let (front, mut pages) = read(Bytes::new(bytes))?;
    Ok(Changeset { front, changes: drain(&mut pages)? })
}

/// A ledger's first events and pages, as a pull brings them.
fn items() -> Vec<Item> {
    let Changeset { front, changes } = samples::fixed();
    let mut body = Body::default();
    let pages: Vec<Vec<u8>> = changes.chunks(3).map(|part| page::encode(&front.shapes, part)).collect();
    pages.iter().for_each(|bytes| body.add(bytes));
    let version = event::encode(&Event::Version(Version {
        version: 1,
        header: front.header,
        shapes: front.shapes,
        count: 4,
        pages: 2,
        body: body.digest(),
        ..Version::default()
    }));
    let policy = event::encode(&Event::Policy(PolicySet { text: "x".into(), actor: "bo".into(), at: Time(3) }));
    let first = event::chain(&[0; 32], &version);
    let second = event::chain(&first, &policy);
    let mut items = vec![Item::Version(version, first)];
    items.extend(pages.into_iter().map(Item::Page));
    items.push(Item::Event(policy, second));
    items
}

fn header(kind: BundleKind) -> BundleHeader {
    BundleHeader {
        kind,
        lineage: 1,
        epoch: 2,
        dataset: "people".into(),
        from: Cursor { version: 3, page: 4 },
        next: Cursor { version: 5, page: 6 },
        head: Head { events: 7, hash: [8; 32], version: 9 },
        policy: "[dataset]\n".into(),
    }
}

fn unsent_bundle() -> Vec<u8> {
    let (mut bytes, one) = (Vec::new(), samples::fixed());
    let mut bundle = write_bundle(&mut bytes, &header(BundleKind::Unsent)).unwrap();
    for _ in 0..2 {
        bundle.changeset(&one.front, &mut Given::of(&one.changes, 3)).unwrap();
    }
    bundle.finish().unwrap();
    bytes
}

fn versions_bundle(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut bundle = write_bundle(&mut bytes, &header(BundleKind::Versions)).unwrap();
    items.iter().for_each(|item| bundle.item(item).unwrap());
    bundle.finish().unwrap();
    bytes
}

/// Cuts the file at every byte, and alters each byte.
fn torture(bytes: &[u8]) {
    check(&mut Bytes::new(bytes)).unwrap();
    let refused = |bytes: &[u8], what: &str, at: usize| {
        let e = check(&mut Bytes::new(bytes)).expect_err(&format!("{what} at {at}"));
        assert_eq!((e.kind, e.code), (ErrorKind::Corrupt, "damaged_file"), "{what} at {at}: {e}");
    };
    for length in 0..bytes.len() {
        refused(&bytes[..length], "cut", length);
    }
    let mut altered = bytes.to_vec();
    for at in 0..bytes.len() {
        for bits in [0x01, 0x80, 0xff] {
            altered[at] ^= bits;
            refused(&altered, "altered", at);
            altered[at] ^= bits;
        }
    }
    altered.push(0);
    refused(&altered, "continued", bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn changesets_come_back(given in samples::changeset(), a_page in 1usize..5) {
        prop_assert_eq!(changeset(&file(&given, a_page)).unwrap(), given);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), is_begun: bool) {
        let mut file = if is_begun { b"mainstem changeset\r\n\x01".to_vec() } else { vec![] };
        file.extend(bytes);
        prop_assert!(check(&mut Bytes::new(&file)).is_err());
    }
}

#[test]
fn a_file_cut_or_altered_anywhere_is_refused() {
    torture(&file(&samples::fixed(), 3));
}

#[test]
fn a_bundle_cut_or_altered_anywhere_is_refused() {
    torture(&unsent_bundle());
    torture(&versions_bundle(&items()));
}

#[test]
fn the_reader_alone_finds_a_damaged_end() {
    let mut bytes = file(&samples::fixed(), 3);
    *bytes.last_mut().unwrap() ^= 1;
    let (_, mut pages) = read(Bytes::new(&bytes[..])).unwrap();
    assert!(drain(&mut pages).unwrap_err().message.contains("its digest is not that of its contents"));
}

#[test]
fn pages_are_read_again_after_going_back() {
    let (bytes, one) = (file(&samples::fixed(), 1), samples::fixed());
    let (_, mut pages) = read(Bytes::new(&bytes[..])).unwrap();
    assert_eq!(pages.next().unwrap().unwrap(), one.changes[..1]);
    for _ in 0..2 {
        pages.rewind().unwrap();
        assert_eq!(drain(&mut pages).unwrap(), one.changes);
    }
}

#[test]
fn check_says_what_is_there_and_goes_back() {
    let mut input = Bytes::new([b"before".to_vec(), file(&samples::fixed(), 3)].concat());
    input.set_position(6);
    let contents = check(&mut input).unwrap();
    assert_eq!((contents.is_bundle, contents.changesets, contents.changes), (false, 1, 4));
    assert_eq!(input.position(), 6);
    let contents = check(&mut Bytes::new(unsent_bundle())).unwrap();
    assert_eq!((contents.is_bundle, contents.changesets, contents.changes), (true, 2, 8));
    let contents = check(&mut Bytes::new(versions_bundle(&items()))).unwrap();
    assert_eq!((contents.is_bundle, contents.changesets, contents.changes), (true, 1, 4));
}

#[test]
fn a_bundle_of_changesets_comes_back() {
    let (bytes, one) = (unsent_bundle(), samples::fixed());
    let mut bundle = read_bundle(Bytes::new(&bytes[..])).unwrap();
    assert_eq!(bundle.header, header(BundleKind::Unsent));
    assert_eq!(bundle.changeset().unwrap(), Some(one.front.clone()));
    assert_eq!(drain(&mut bundle).unwrap(), one.changes);
    bundle.rewind().unwrap();
    assert_eq!(drain(&mut bundle).unwrap(), one.changes);
    assert_eq!(bundle.changeset().unwrap(), Some(one.front));
    assert_eq!(bundle.changeset().unwrap(), None, "pages not taken are passed over");
    assert!(bundle.item().unwrap().is_none());
    assert!(read(Bytes::new(&bytes[..])).is_err(), "a bundle is not one changeset");
}

#[test]
fn a_bundle_of_versions_comes_back() {
    let bytes = versions_bundle(&items());
    let mut bundle = read_bundle(Bytes::new(&bytes[..])).unwrap();
    assert_eq!(bundle.header, header(BundleKind::Versions));
    for item in items() {
        assert_eq!(format!("{:?}", bundle.item().unwrap()), format!("{:?}", Some(item)));
    }
    assert!(bundle.item().unwrap().is_none());
    assert!(bundle.changeset().unwrap().is_none());
}

#[test]
fn a_bundle_of_versions_that_do_not_fit_together_is_refused() {
    let without = |at: usize| {
        let mut items = items();
        items.remove(at);
        check(&mut Bytes::new(versions_bundle(&items))).unwrap_err().message
    };
    assert!(without(0).contains("a page belongs to no version"));
    assert!(without(1).contains("version 1 has not the pages it names"));
    assert!(without(2).contains("version 1 has not the pages it names"));
    let mut items = items();
    if let Some(Item::Event(_, hash)) = items.last_mut() {
        hash[0] ^= 1;
    }
    assert!(check(&mut Bytes::new(versions_bundle(&items))).unwrap_err().message.contains("not one chain"));
}

#[test]
fn large_rows_take_several_frames_and_come_back() {
    let mut given = samples::fixed();
    let mut noise = blake3::Hasher::new().finalize_xof();
    for size in [FRAME_BYTES_MAX - 100, FRAME_BYTES_MAX, 2 * FRAME_BYTES_MAX + 5] {
        let mut random = vec![0; size];
        noise.fill(&mut random);
        for blob in [random, vec![0; size]] {
            let mut one = given.changes[1].clone();
            if let Edit::Insert(row) = &mut one.edit {
                row[2] = Value::Blob(blob);
            }
            given.changes.push(one);
        }
    }
    given.front.count = given.changes.len() as u64;
    assert!(changeset(&file(&given, 100)).unwrap() == given);
}

#[test]
fn a_frame_that_unfolds_too_far_is_refused() {
    let mut bytes = b"mainstem changeset\r\n\x01".to_vec();
    let packed = zstd::bulk::compress(&vec![0; FRAME_BYTES_MAX], 19).unwrap();
    bytes.extend([3, 1]);
    bytes.extend((FRAME_BYTES_MAX as u32).to_be_bytes());
    bytes.extend((packed.len() as u32).to_be_bytes());
    bytes.extend(packed);
    let why = check(&mut Bytes::new(&bytes)).unwrap_err().message;
    assert!(why.contains("says it holds 8388608"), "{why}");
    bytes.truncate(21);
    bytes.extend([2, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert!(check(&mut Bytes::new(&bytes)).unwrap_err().message.contains("says it holds 4294967295"));
}

#[test]
fn a_changeset_that_is_not_what_its_front_says_is_not_written() {
    let mut given = samples::fixed();
    given.front.count = 5;
    let e = write(&mut Vec::new(), &given.front, &mut Given::of(&given.changes, 3)).unwrap_err();
    assert_eq!(e.message, "a changeset of 5 changes has 4");
    given.front.count = 4;
    given.changes[0].table = 9;
    assert!(write(&mut Vec::new(), &given.front, &mut Given::of(&given.changes, 3)).is_err());
}

#[test]
fn the_file_of_version_1_is_still_read() {
    let kept = include_bytes!("../../fixtures/format-1/changeset.msc");
    assert_eq!(changeset(kept).unwrap(), samples::fixed());
    let kept = include_bytes!("../../fixtures/format-1/unsent.msb");
    assert_eq!(check(&mut Bytes::new(kept)).unwrap().changesets, 2);
    let kept = include_bytes!("../../fixtures/format-1/versions.msb");
    assert_eq!(check(&mut Bytes::new(kept)).unwrap().changesets, 1);
}

//! Three-way text merges as a table, and the laws they keep.
use super::diff::diff;
use super::{Merged, merge};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use proptest::prelude::*;

/// The conflict of a table row.
const CLASH: &str = "<overlap>";

fn shown(merged: Merged) -> String {
    match merged {
        Merged::Clean(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Merged::Overlapping(overlaps) => {
            assert!(!overlaps.is_empty());
            CLASH.into()
        }
    }
}

#[track_caller]
fn check(base: &str, ours: &str, theirs: &str, expect: &str) {
    let bytes = |text: &str| text.as_bytes().to_vec();
    assert_eq!(shown(merge(&bytes(base), &bytes(ours), &bytes(theirs))), expect);
    assert_eq!(shown(merge(&bytes(base), &bytes(theirs), &bytes(ours))), expect, "swapped");
}

#[test]
fn edits_apart_are_both_taken() {
    check("", "", "", "");
    check("one two three", "one two three", "one 2 three", "one 2 three");
    check("one two three", "ONE two three", "one two THREE", "ONE two THREE");
    check("one two three", "one three", "one two three four", "one three four");
    check("a\nb\nc\nd\n", "a\nB\nc\nd\n", "a\nb\nc\nD\n", "a\nB\nc\nD\n");
    check("a\nb\nc\n", "x\na\nb\nc\n", "a\nb\nc\ny\n", "x\na\nb\nc\ny\n");
    check("teh quick brwon fox", "the quick brwon fox", "teh quick brown fox", "the quick brown fox");
    check("colour", "color", "colours", "colors");
}

#[test]
fn edits_that_touch_are_both_taken() {
    check("abcd", "Xcd", "abY", "XY");
    check("one two", "1 two", "one 2", "1 2");
    check("ab", "xab", "b", "xb");
    check("keep this", "keep", "keep this, please", "keep, please");
}

#[test]
fn edits_of_one_place_overlap() {
    check("word", "ward", "wird", CLASH);
    check("", "ours", "theirs", CLASH);
    check("list:", "list: a", "list: b", CLASH);
    check("a\nb\nc\n", "a\nc\n", "a\nb2\nc\n", CLASH);
    check("one two three", "one three", "one 2 three", CLASH);
    check("delete me", "", "delete me now", " now");
}

#[test]
fn one_edit_made_by_both_is_one() {
    check("a b c", "a B c", "a B c", "a B c");
    check("a b c d e", "a B c d E", "a B c D e", "a B c D E");
    check("1\n2\n3\n4\n5\n", "1\nX\n3\n4\nfive\n", "1\nX\n3\nfour\n5\n", "1\nX\n3\nfour\nfive\n");
}

#[test]
fn numbers_and_characters_are_whole() {
    check("10", "100", "20", CLASH);
    check("price 10 EUR", "price 100 EUR", "price 10 USD", "price 100 USD");
    check("é", "è", "ũ", CLASH);
    check("né", "nè", "ne", CLASH);
    check("日本", "日木", "目本", "目木");
}

#[test]
fn bytes_that_are_not_text_are_bytes() {
    let merged = merge(b"\xff\x80 a b", b"\xff\x81 a b", b"\xff\x80 a c");
    assert_eq!(merged, Merged::Clean(b"\xff\x81 a c".to_vec()));
    let Merged::Overlapping(overlaps) = merge(b"\x80", b"\x81", b"\x82") else { panic!("no overlap") };
    assert_eq!((overlaps[0].base.clone(), overlaps[0].ours.clone(), overlaps[0].theirs.clone()), (0..1, 0..1, 0..1));
}

#[test]
fn overlaps_say_where() {
    let (base, ours, theirs) = ("aa one bb two cc", "aa 1 bb two cc", "aa eins bb zwei cc");
    let Merged::Overlapping(overlaps) = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes()) else { panic!("no overlap") };
    let [only] = &overlaps[..] else { panic!("one overlap") };
    assert_eq!((&base[only.base.clone()], &ours[only.ours.clone()]), ("one", "1"));
    assert_eq!(&theirs[only.theirs.clone()], "eins");
}

#[test]
fn a_moved_block_and_a_far_edit_find_each_other() {
    let lines = |range: core::ops::Range<usize>| range.map(|i| format!("line number {i} of the text\n")).collect::<String>();
    let base = format!("{}{}{}", lines(0..300), lines(300..600), lines(600..900));
    let ours = format!("{}{}", lines(0..300), lines(600..900));
    let theirs = base.replace("number 899 ", "number 899 b ");
    check(&base, &ours, &theirs, &ours.replace("number 899 ", "number 899 b "));
    let inserted: String = (0..400).map(|i| format!("a new line {i}\n")).collect();
    let ours = format!("{}{}{}", lines(0..300), inserted, lines(300..900));
    check(&base, &ours, &theirs, &ours.replace("number 899 ", "number 899 b "));
}

#[test]
fn one_very_long_line_is_merged_by_words() {
    let base: String = (0..20_000).map(|i| format!("w{i} ")).collect();
    let ours = base.replace("w100 ", "w100 hello ").replace("w15000 ", "");
    let theirs = base.replace("w7000 ", "seven ").replace("w19999 ", "w19999 end ");
    let expect = ours.replace("w7000 ", "seven ").replace("w19999 ", "w19999 end ");
    check(&base, &ours, &theirs, &expect);
}

fn patched(base: &[u8], side: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut at = 0;
    for hunk in diff(base, side) {
        assert!(hunk.base.start >= at && (text.is_empty() || hunk.base.start > at), "hunks in order, apart");
        text.extend_from_slice(&base[at..hunk.base.start]);
        text.extend_from_slice(&side[hunk.side]);
        at = hunk.base.end;
    }
    text.extend_from_slice(&base[at..]);
    text
}

fn swapped(merged: Merged) -> Merged {
    match merged {
        Merged::Overlapping(mut overlaps) => {
            for overlap in &mut overlaps {
                core::mem::swap(&mut overlap.ours, &mut overlap.theirs);
            }
            Merged::Overlapping(overlaps)
        }
        clean => clean,
    }
}

/// Few letters, so that texts have much in common by chance; digits, blanks, and parts of characters.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(&b"aab1 2\n\n.\xc3\xa9\xa8\x80"[..]);
    prop::collection::vec(byte, 0..40)
}

/// A text and what two people made of it: edits at random places.
fn edited() -> impl Strategy<Value = [Vec<u8>; 3]> {
    let words = prop::sample::select(&["alpha ", "beta ", "gamma, ", "12 ", "\n", "delta\n", "é"][..]);
    let base = prop::collection::vec(words.clone(), 0..60);
    let edit = (any::<prop::sample::Index>(), 0..3usize, prop::collection::vec(words, 0..3));
    let edits = prop::collection::vec(edit, 0..5);
    (base, edits.clone(), edits).prop_map(|(base, ours, theirs)| {
        let apply = |edits: &[(prop::sample::Index, usize, Vec<&'static str>)]| {
            let mut parts = base.clone();
            for (at, gone, put) in edits {
                let at = at.index(parts.len() + 1);
                let end = (at + gone).min(parts.len());
                parts.splice(at..end, put.iter().copied());
            }
            parts.concat().into_bytes()
        };
        [base.concat().into_bytes(), apply(&ours), apply(&theirs)]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_diff_makes_the_side_of_the_base(base in bytes(), side in bytes()) {
        prop_assert_eq!(patched(&base, &side), side);
    }

    #[test]
    fn one_sided_edits_are_taken_whole(base in bytes(), side in bytes()) {
        prop_assert_eq!(merge(&base, &side, &base), Merged::Clean(side.clone()));
        prop_assert_eq!(merge(&base, &base, &side), Merged::Clean(side.clone()));
        prop_assert_eq!(merge(&base, &side, &side), Merged::Clean(side));
    }

    #[test]
    fn sides_may_be_swapped(base in bytes(), ours in bytes(), theirs in bytes()) {
        prop_assert_eq!(merge(&base, &ours, &theirs), swapped(merge(&base, &theirs, &ours)));
    }

    #[test]
    fn edits_may_be_swapped_and_keep_characters([base, ours, theirs] in edited()) {
        prop_assert_eq!(&patched(&base, &ours), &ours);
        let merged = merge(&base, &ours, &theirs);
        if let Merged::Clean(text) = &merged {
            prop_assert!(core::str::from_utf8(text).is_ok());
            // What is merged already stays: merging either side in again changes nothing.
            prop_assert_eq!(merge(&ours, text, &ours), Merged::Clean(text.clone()));
        }
        prop_assert_eq!(merged, swapped(merge(&base, &theirs, &ours)));
    }

    /// Whole distinct lines added and removed: none that a side has and the other did not remove is lost.
    #[test]
    fn no_line_is_lost(
        gone in prop::collection::vec((any::<bool>(), any::<bool>()), 1..40),
        added in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..6),
    ) {
        let base: Vec<String> = (0..gone.len()).map(|i| format!("the base has line {i}\n")).collect();
        let side = |is_ours: bool| {
            let mut lines = Vec::new();
            for (i, line) in base.iter().enumerate() {
                for (n, _) in added.iter().enumerate().filter(|(_, (at, by_ours))| *by_ours == is_ours && at.index(base.len()) == i) {
                    lines.push(format!("added {n} by {is_ours}\n"));
                }
                if !(if is_ours { gone[i].0 } else { gone[i].1 }) {
                    lines.push(line.clone());
                }
            }
            lines
        };
        let (ours, theirs) = (side(true), side(false));
        let merged = merge(base.concat().as_bytes(), ours.concat().as_bytes(), theirs.concat().as_bytes());
        if let Merged::Clean(text) = merged {
            let text = String::from_utf8(text).expect("only valid text went in");
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            lines.sort_unstable();
            let mut wanted: Vec<&str> = Vec::new();
            for (side, other) in [(&ours, &theirs), (&theirs, &ours)] {
                wanted.extend(side.iter().filter(|l| other.contains(l) || !base.contains(l)).map(String::as_str));
            }
            wanted.sort_unstable();
            wanted.dedup();
            prop_assert_eq!(lines, wanted);
        }
    }
}

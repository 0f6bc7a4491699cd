//! Every known hazard has a test that exists, or says why not yet.
use super::{assert_none, read, root};
use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = "docs/proof/hazards.md";

/// How many each part of the list has.
const NUMBERED: &[(char, u32)] =
    &[('A', 18), ('B', 14), ('C', 10), ('D', 9), ('E', 12), ('F', 10), ('G', 9), ('H', 7), ('I', 10), ('J', 12)];

/// The rows of the page's tables whose first cell is a hazard's number, before and after the heading "Not yet".
fn rows() -> (BTreeMap<String, Vec<String>>, BTreeMap<String, String>) {
    let text = read(PAGE);
    let (covered, open) = text.split_once("## Not yet").expect("the page ends with what is not covered yet");
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect::<Vec<_>>();
    let is_row = |line: &&str| line.starts_with("| ") && line.as_bytes().get(3).is_some_and(u8::is_ascii_digit);
    let tests = |cell: &str| cell.split('`').skip(1).step_by(2).map(String::from).collect();
    let covered = covered.lines().filter(is_row).map(cells).map(|c| (c[0].clone(), tests(&c[2]))).collect();
    let open = open.lines().filter(is_row).map(cells).map(|c| (c[0].clone(), c[1].clone())).collect();
    (covered, open)
}

/// True where `crate/file::test` is a function in the tests or the source of that crate.
fn is_there(name: &str) -> bool {
    let Some((place, test)) = name.split_once("::") else { return false };
    let Some((part, file)) = place.split_once('/') else { return false };
    ["tests", "src"].iter().any(|folder| {
        let path = format!("crates/{part}/{folder}/{file}.rs");
        root().join(&path).is_file() && read(&path).contains(&format!("fn {test}("))
    })
}

#[test]
fn every_hazard_has_a_test_that_is_there() {
    let (covered, open) = rows();
    let wanted: BTreeSet<String> = NUMBERED.iter().flat_map(|(part, last)| (1..=*last).map(move |n| format!("{part}{n}"))).collect();
    assert_none("hazards that are not on the page", wanted.iter().filter(|id| !covered.contains_key(*id)).cloned().collect());
    let bare = covered.iter().filter(|(id, tests)| tests.is_empty() && !open.contains_key(*id));
    assert_none("hazards with neither a test nor a reason", bare.map(|(id, _)| id.clone()).collect());
    let spent = open.keys().filter(|id| covered.get(*id).is_none_or(|tests| !tests.is_empty()));
    assert_none("reasons that are not needed any more", spent.cloned().collect());
    let missing = covered.iter().flat_map(|(id, tests)| tests.iter().filter(|t| !is_there(t)).map(move |t| format!("{id}: {t}")));
    assert_none("tests that are not there", missing.collect());
}

/// Two builds of SQLite in one process do not see each other's locks (J2).
#[test]
fn there_is_one_sqlite() {
    let lock = read("Cargo.lock");
    assert_eq!(lock.matches("name = \"libsqlite3-sys\"").count(), 1);
    for other in ["sqlite3-sys", "sqlite3-src", "limbo", "turso"] {
        assert!(!lock.contains(&format!("name = \"{other}\"")), "{other} is another SQLite");
    }
}

//! `mainstem demo`: the first command of the README, and what it leaves to play with.
use crate::desk::{Desk, finish};

#[test]
fn the_demo_runs_and_leaves_files_that_work() {
    let desk = Desk::new();
    let told = desk.ok(&["demo", "--dir", "story"]);
    for word in ["conflict", "sync"] {
        assert!(told.to_lowercase().contains(word), "the story speaks of {word}: {told}");
    }
    let found = finish(desk.command("find").args(["story", "-name", "*.db", "-not", "-name", "primary.db"])).out;
    let copies: Vec<&str> = found.lines().collect();
    assert!(copies.len() >= 2, "two people's copies are left: {found}{told}");
    for copy in &copies {
        desk.assert_sound(copy);
        let status = desk.run(&["--db", copy, "--as", "visitor", "status", "--json"]);
        assert_eq!(status.code, 0, "{status:?}");
        assert_eq!(status.json()["conflicts_open"], 0, "the story ends with the conflict answered");
        let synced = desk.run(&["--db", copy, "--as", "visitor", "sync", "--json"]);
        assert_eq!(synced.code, 0, "{synced:?}");
    }
    assert_eq!(desk.rows(copies[0]), desk.rows(copies[1]), "both came together");
}

#[test]
fn the_demo_does_not_write_over_something() {
    let desk = Desk::new();
    desk.ok(&["demo"]);
    let said = desk.run(&["demo"]);
    if said.code != 0 {
        said.refuses(5, "mainstem-demo");
    }
    desk.ok(&["demo", "--dir", "another"]);
}

//! `mainstem demo`: the first command of the README, and what it leaves to play with.
use crate::desk::Desk;

#[test]
fn the_demo_runs_and_leaves_files_that_work() {
    let desk = Desk::new();
    let told = desk.ok(&["demo"]);
    for word in ["conflict", "sync"] {
        assert!(
            told.to_lowercase().contains(word),
            "the story speaks of {word}: {told}"
        );
    }
    let listed = crate::desk::finish(
        desk.command("find")
            .args([".", "-name", "*.db", "-o", "-name", "*.sqlite"]),
    )
    .out;
    let inside: Vec<&str> = listed
        .lines()
        .filter(|l| !l.ends_with("primary.db"))
        .collect();
    let from_story = || {
        told.split_whitespace()
            .map(|w| w.trim_matches(['\'', '"', '`', ',', '.', ')', '(']))
            .filter(|w| w.ends_with(".db") && w.starts_with('/'))
    };
    let files: Vec<String> = if inside.is_empty() {
        from_story().map(String::from).collect()
    } else {
        inside.iter().map(|s| s.to_string()).collect()
    };
    assert!(
        files.len() >= 2,
        "two people's copies are left: {listed}{told}"
    );
    for file in &files {
        desk.assert_sound(file);
        let status = desk.run(&["--db", file, "--as", "visitor", "status", "--json"]);
        assert_eq!(status.code, 0, "{status:?}");
        assert_eq!(
            status.json()["conflicts_open"],
            0,
            "the story ends with the conflict answered"
        );
        let synced = desk.run(&["--db", file, "--as", "visitor", "sync", "--json"]);
        assert_eq!(synced.code, 0, "{synced:?}");
    }
}

#[test]
fn the_demo_runs_twice() {
    let desk = Desk::new();
    desk.ok(&["demo"]);
    let again = desk.run(&["demo"]);
    assert!(
        again.code == 0 || again.err.contains("hint"),
        "it works again or says what to do: {again:?}"
    );
}

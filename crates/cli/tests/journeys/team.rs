//! Two or more people with a copy each and one primary, and what must hold when they have come together.
use crate::desk::{Desk, Said};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Where the primary is, from the desk.
pub const PRIMARY: &str = "shared-primary";
/// The primary's one file.
pub const PRIMARY_DB: &str = "shared-primary/primary.db";

/// One person's copy.
pub struct Member<'a> {
    /// The folder it lies in.
    pub desk: &'a Desk,
    /// The database file.
    pub db: String,
    /// Who edits it.
    pub actor: String,
}

/// What `sync --json` said.
#[derive(Debug)]
pub struct Synced {
    pub pushed: i64,
    pub pulled: i64,
    pub code: i32,
}

impl<'a> Member<'a> {
    /// A person with a file that is there already.
    pub fn new(desk: &'a Desk, actor: &str, db: &str) -> Member<'a> {
        Member { desk, db: db.to_string(), actor: actor.to_string() }
    }
    fn full<'b>(&'b self, args: &[&'b str]) -> Vec<&'b str> {
        [&["--db", self.db.as_str(), "--as", self.actor.as_str()], args].concat()
    }
    /// The command, not started.
    pub fn program(&self, args: &[&str]) -> std::process::Command {
        self.desk.program(&self.full(args))
    }
    /// Runs a command on this copy.
    pub fn run(&self, args: &[&str]) -> Said {
        self.desk.run(&self.full(args))
    }
    /// Runs a command that must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        self.desk.ok(&self.full(args))
    }
    /// Runs a reading command with `--json`.
    pub fn json(&self, args: &[&str]) -> Json {
        let said = self.run(&[args, &["--json"]].concat());
        assert!(said.code == 0 || said.code == 5, "{args:?}: {said:?}");
        said.json()
    }
    /// Runs a reading command with `--json` whatever its exit code.
    pub fn json_of_failing(&self, args: &[&str]) -> Json {
        self.run(&[args, &["--json"]].concat()).json()
    }
    /// Runs SQL in the plain shell.
    pub fn sql(&self, sql: &str) -> String {
        self.desk.sql(&self.db, sql)
    }
    /// One sync, which may leave open conflicts.
    pub fn sync(&self) -> Synced {
        let said = self.run(&["sync", "--json"]);
        assert!(said.code == 0 || said.code == 5, "sync of {}: {said:?}", self.db);
        let all = said.json();
        let number = |name: &str| all[name].as_i64().unwrap_or_else(|| panic!("{name} in {all}"));
        Synced { pushed: number("pushed"), pulled: number("pulled"), code: said.code }
    }
    /// All conflicts, open and answered.
    pub fn conflicts(&self) -> Vec<Json> {
        let list = self.json(&["conflicts", "--state", "all"]);
        list.as_array().unwrap_or_else(|| panic!("a list: {list}")).clone()
    }
    /// The open ones.
    pub fn open_conflicts(&self) -> Vec<Json> {
        self.conflicts().into_iter().filter(|c| c["state"] == "open").collect()
    }
    /// What `status --json` says.
    pub fn status(&self) -> Json {
        self.json(&["status"])
    }
    /// Everything that is kept anywhere: rows and conflicts.
    pub fn everything(&self) -> String {
        format!("{}\n{}", self.desk.rows(&self.db), Json::from(self.conflicts()))
    }
}

/// Starts tracking `db`, publishes it, and gives each further person a clone.
pub fn found<'a>(desk: &'a Desk, db: &str, actors: &[&str], init: &[&str]) -> Vec<Member<'a>> {
    let first = Member::new(desk, actors[0], db);
    desk.ok(&[&["--as", actors[0], "init", db], init].concat());
    first.ok(&["publish", PRIMARY]);
    let mut members = vec![first];
    for actor in &actors[1..] {
        let file = format!("{actor}.db");
        desk.ok(&["--as", actor, "clone", PRIMARY, &file]);
        members.push(Member::new(desk, actor, &file));
    }
    members
}

/// The same, from SQL.
pub fn found_from_sql<'a>(desk: &'a Desk, sql: &str, actors: &[&str]) -> Vec<Member<'a>> {
    let file = format!("{}.db", actors[0]);
    desk.sql(&file, sql);
    found(desk, &file, actors, &[])
}

/// Syncs in the order given until nothing moves.
pub fn until_quiet(members: &[&Member<'_>]) {
    for _ in 0..8 {
        let moved: i64 = members.iter().map(|m| m.sync()).map(|s| s.pushed + s.pulled).sum();
        if moved == 0 {
            return;
        }
    }
    panic!("still moving after eight rounds");
}

/// Asserts that all copies and the primary are one: rows, digests, conflicts, soundness, quiet.
pub fn assert_together(members: &[&Member<'_>]) {
    assert_together_but(members, &[]);
}

/// The same where some tables are not tracked.
pub fn assert_together_but(members: &[&Member<'_>], left_out: &[&str]) {
    let first = members[0];
    let desk = first.desk;
    let rows = desk.rows_without(PRIMARY_DB, left_out);
    desk.assert_sound(PRIMARY_DB);
    let mut digests = BTreeSet::new();
    for member in members {
        assert_same(&desk.rows_without(&member.db, left_out), &rows, &format!("{} and the primary", member.db));
        desk.assert_sound(&member.db);
        let verified = member.json(&["verify"]);
        assert_eq!(verified["ok"], true, "{}: {verified}", member.db);
        assert_eq!(verified["differences"].as_array().map(Vec::len), Some(0), "{verified}");
        digests.insert(verified["digest"].as_str().expect("a digest").to_string());
        assert_eq!(by_id(member), by_id(first), "conflicts of {}", member.db);
        let status = member.status();
        assert_eq!(status["changes"].as_array().map(Vec::len), Some(0), "{status}");
        let again = member.sync();
        assert_eq!((again.pushed, again.pulled), (0, 0), "no echo: {again:?}");
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}

fn by_id(member: &Member<'_>) -> Vec<Json> {
    let mut all = member.conflicts();
    all.sort_by_key(|c| c["id"].to_string());
    all
}

/// Lines in order, where some were replaced.
pub fn sorted(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Asserts equal lines, and shows only the ones that differ.
pub fn assert_same(left: &str, right: &str, what: &str) {
    if left == right {
        return;
    }
    let (l, r): (BTreeSet<&str>, BTreeSet<&str>) = (left.lines().collect(), right.lines().collect());
    let show = |a: &BTreeSet<&str>, b: &BTreeSet<&str>| {
        a.difference(b).take(20).map(|s| s.chars().take(300).collect::<String>()).collect::<Vec<_>>().join("\n  ")
    };
    panic!("{what} differ\nonly left:\n  {}\nonly right:\n  {}", show(&l, &r), show(&r, &l));
}

/// Asserts that each written value is in the rows or in the conflicts of each copy.
pub fn assert_nothing_lost(members: &[&Member<'_>], written: &[&str]) {
    for member in members {
        let all = member.everything();
        for value in written {
            assert!(all.contains(value), "{value:?} is neither in the rows nor in the conflicts of {}", member.db);
        }
    }
}

/// Conflicts in a form that two runs and both directions share: ids, stamps and sides' names left out.
pub fn comparable_conflicts(member: &Member<'_>) -> Vec<String> {
    let mut all: Vec<String> = member
        .conflicts()
        .iter()
        .map(|c| {
            let kind = match c["kind"].as_str().expect("a kind") {
                "delete_update" | "update_delete" => "delete against update",
                kind => kind,
            };
            let mut sides = [plain(&c["ours"]), plain(&c["theirs"])];
            sides.sort();
            format!("{} {} {kind} {} {sides:?} {}", c["table"], c["column"], plain(&c["base"]), c["state"])
        })
        .collect();
    all.sort();
    all
}

/// A cell's value; of a row only that it is one, since its key may have been renumbered.
fn plain(side: &Json) -> String {
    match side {
        Json::Object(row) => format!("row of {}", row.len()),
        value => value.to_string(),
    }
}

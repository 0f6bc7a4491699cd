//! A proposal from its author's shell to everybody's copies and back again, with two reviewers at their browsers: the real
//! program serves, syncs, watches and is typed at; what people look at is a real chromium.
//!
//! Nothing is waited for but that it is so. How long the copies took is printed, and asserted by nobody.
use crate::desk::Desk;
use crate::people::{Person, Serving, token_in};
use crate::watch::{Watching, until};
use mainstem_browser::{Browser, Page, checks};
use serde_json::Value as Json;
use std::time::Instant;

const KITCHEN: &str = "
    CREATE TABLE recipe (id INTEGER PRIMARY KEY, name TEXT NOT NULL, minutes INTEGER);
    CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT);
    INSERT INTO recipe VALUES (1, 'Soup', 30), (2, 'Bread', 90);
    INSERT INTO note VALUES (1, 'hello');
";
const TIMED: &str = r#"{ rule = "not-null", table = "recipe", column = "minutes" }"#;
const NAMES: [&str; 4] = ["ann", "bo", "cy", "eve"];

/// Everybody, with a copy and a token for a browser each. Ann owns the dataset, bo and cy review, eve proposes.
struct Kitchen<'d> {
    desk: &'d Desk,
    server: Serving,
    people: Vec<Person<'d>>,
}

impl<'d> Kitchen<'d> {
    fn begin(desk: &'d Desk) -> Kitchen<'d> {
        let server = Serving::begin(desk, &[]);
        let kitchen = Kitchen { desk, server, people: NAMES.iter().map(|name| Person { desk, name }).collect() };
        let setup = kitchen.server.setup.clone().expect("nobody administers it yet");
        assert_eq!(kitchen.person("ann").login(&kitchen.server, &setup).code, 0);
        desk.sql("ann.db", KITCHEN);
        kitchen.ok("ann", &["init", "ann.db"]);
        kitchen.ok("ann", &["publish", &kitchen.server.dataset()]);
        kitchen.ok("ann", &["policy", "set", "recipe.mode", "review"]);
        kitchen.ok("ann", &["policy", "set", "gates.timed", TIMED]);
        for (name, role) in [("bo", "reviewer"), ("cy", "reviewer"), ("eve", "contributor")] {
            let invited = kitchen.person("ann").json(&["access", "invite", &kitchen.server.dataset(), name, "--role", role]);
            assert_eq!(kitchen.person(name).login(&kitchen.server, &token_in(&invited)).code, 0);
            kitchen.person(name).ok(&["clone", &kitchen.server.dataset(), &db(name)]);
        }
        kitchen
    }
    fn person(&self, name: &str) -> &Person<'d> {
        self.people.iter().find(|person| person.name == name).expect("one of them")
    }
    /// Types a command, about one's own copy.
    fn ok(&self, name: &str, args: &[&str]) -> String {
        self.person(name).ok(&[&["--db", &db(name)], args].concat())
    }
    fn json(&self, name: &str, args: &[&str]) -> Json {
        self.person(name).json(&[&["--db", &db(name)], args].concat())
    }
    fn sql(&self, name: &str, sql: &str) -> String {
        self.desk.sql(&db(name), sql)
    }
    /// A page in which somebody is signed in, with a token that they made for it.
    fn page(&self, browser: &Browser, name: &str) -> Page {
        let page = browser.page();
        page.go(&format!("{}/sign-in", self.server.address));
        page.fill("Token", &token_in(&self.person(name).json(&["access", "token", &self.server.address, "--label", "browser"])));
        page.follow("Sign in");
        page
    }
    fn at(&self, path: &str) -> String {
        format!("{}/datasets/recipes{path}", self.server.address)
    }
    fn watch(&self, name: &str) -> Watching {
        let mut command = self.desk.program(&["--db", &db(name), "watch"]);
        command.env("XDG_CONFIG_HOME", self.person(name).config());
        let mut watching = Watching::of(command);
        watching.until("watching, in sync");
        watching
    }
    /// Merges on the page that asks whether one is sure, and waits until the copies that are watched have it. How long both took
    /// is told, and is nobody's assertion.
    #[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "how long people wait is measured and told")]
    fn merge(&self, page: &Page, recipes: &str) {
        let began = Instant::now();
        page.follow("Merge it now");
        let answered = began.elapsed().as_millis();
        for name in ["bo", "cy"] {
            until("the watched copies have it", || self.sql(name, "SELECT * FROM recipe ORDER BY id;") == recipes);
        }
        println!("merged and shown after {answered} ms; both watched copies had it after {} ms", began.elapsed().as_millis());
    }
}

fn db(name: &str) -> String {
    format!("{name}.db")
}

fn says(page: &Page, all: &[&str]) {
    for told in all {
        assert!(page.says(told), "{told:?} is not in {}", page.text());
    }
}

/// Votes on what the page shows.
fn vote(page: &Page, word: &str, why: &str) {
    page.fill("Your vote, and why", why);
    page.follow(word);
    says(page, &["Your vote is in."]);
}

/// Notes that the document is this one, so that one can tell whether it was loaded again.
fn mark(page: &Page) {
    page.evaluate("window.isTheSame = true");
}

fn assert_not_loaded_again(page: &Page) {
    assert_eq!(page.evaluate("window.isTheSame === true"), true, "it came by itself, without loading the page again");
}

#[test]
fn a_proposal_goes_all_the_way_and_is_taken_back_later() {
    let desk = Desk::new();
    let kitchen = Kitchen::begin(&desk);
    let browser = Browser::start();
    let (ann, bo) = (kitchen.page(&browser, "ann"), kitchen.page(&browser, "bo"));
    let watched = ["bo", "cy"].map(|name| kitchen.watch(name));

    appears_and_is_discussed(&kitchen, &ann, &bo);
    is_revised_and_merged(&kitchen, &ann, &bo);
    is_blamed_on_whoever_approved_it(&kitchen, &bo);
    overtaken_by_another(&kitchen);
    is_taken_back(&kitchen, &ann, &bo);

    is_signed_out_from_the_terminal(&kitchen, &ann);

    for watching in watched {
        assert_eq!(watching.end("-TERM").code, 0);
    }
    kitchen.ok("ann", &["sync"]);
    kitchen.ok("eve", &["sync"]);
    for name in NAMES {
        assert_eq!(kitchen.sql(name, "SELECT * FROM recipe ORDER BY id;"), "1|Soup|32\n2|Bread|90\n", "{name}");
    }
    assert_eq!(kitchen.json("ann", &["audit", "verify"])["ok"], true);
    assert_eq!(browser.outside(), [] as [&str; 0]);
}

/// Where one is signed in is listed in a terminal, and ended there.
fn is_signed_out_from_the_terminal(kitchen: &Kitchen<'_>, ann: &Page) {
    let (person, server) = (kitchen.person("ann"), kitchen.server.address.as_str());
    let listed = person.json(&["access", "browsers", server]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert!(person.ok(&["access", "browsers", server]).contains("Chrome"), "what it calls itself");
    person.ok(&["access", "sign-out", server, &listed[0]["id"].to_string()]);
    assert_eq!(person.json(&["access", "browsers", server]).to_string(), "[]");
    ann.reload();
    assert!(ann.address().contains("/sign-in"), "{}", ann.address());
}

/// Eve edits with nobody near, and proposes: it is there for both reviewers at once. They talk about a cell, and one votes.
fn appears_and_is_discussed(kitchen: &Kitchen<'_>, ann: &Page, bo: &Page) {
    for page in [ann, bo] {
        page.go(&kitchen.at("/proposals"));
        says(page, &["No proposal is open."]);
        mark(page);
    }
    kitchen.sql("eve", "UPDATE recipe SET name = 'Tomato soup', minutes = 35 WHERE id = 1; INSERT INTO recipe VALUES (3, 'Cake', NULL);");
    kitchen.ok("eve", &["propose", "-m", "Tomatoes"]);
    let told = kitchen.ok("bo", &["notices"]);
    assert!(told.contains("Proposal 1 waits for your vote: Tomatoes"), "{told}");
    assert_eq!(kitchen.ok("eve", &["notices"]), "nothing waits for you\n");
    for page in [ann, bo] {
        page.until_says("Tomatoes");
        says(page, &["offered by eve", "waits for your vote"]);
        assert_not_loaded_again(page);
        page.follow("Tomatoes");
        says(page, &["2 more approvals are needed", "blocks timed", "30", "35", "Cake"]);
        checks::assert_good(page);
        mark(page);
    }
    ann.press("Comment on this row: recipe 1");
    ann.choose("About", "minutes");
    ann.fill("Comment", "Why longer?");
    ann.follow("Comment on the row");
    bo.until_says("Why longer?");
    mark(ann);
    kitchen.ok("eve", &["comment", "1", "--reply", "1", "-m", "The tomatoes were raw."]);
    for page in [ann, bo] {
        page.until_says("The tomatoes were raw.");
        assert_not_loaded_again(page);
    }
    vote(ann, "Approve", "Then so be it");
    bo.until_says("Then so be it");
    // What is still to be mended is said before anybody merges.
    bo.follow("Merge…");
    says(bo, &["What stands in the way", "1 more approval is needed", "The gate timed does not pass"]);
    assert_eq!(bo.count("main button"), 0, "{}", bo.text());
    bo.follow("Back to the proposal");
}

/// One edit mends what the gate found, and the vote that was there counts no more: it was on something else.
fn is_revised_and_merged(kitchen: &Kitchen<'_>, ann: &Page, bo: &Page) {
    mark(ann);
    mark(bo);
    kitchen.sql("eve", "UPDATE recipe SET minutes = 60 WHERE id = 3;");
    assert_eq!(kitchen.json("eve", &["propose"])["revision"], 2);
    ann.until_says("Since your vote");
    assert_not_loaded_again(ann);
    says(ann, &["does not count", "merging would do something else by now", "2 more approvals are needed", "passes timed"]);
    let since = ann.evaluate("document.getElementById('since').innerText");
    let since = since.as_str().expect("a text");
    assert!(since.contains("minutes") && since.contains("60"), "{since}");
    assert!(!since.contains("soup") && !since.contains("Cake"), "only what is different since: {since}");
    assert_eq!([ann.count("#since article"), ann.count("#since article dd")], [1, 1]);
    checks::assert_good(ann);
    vote(ann, "Approve", "");
    bo.until_says("approves ann");
    bo.until_says("1 more approval is needed");
    vote(bo, "Approve", "Tasted it");
    says(bo, &["The votes suffice."]);
    bo.follow("Merge…");
    says(bo, &["becomes version 2 of recipes", "Approved by ann, bo", "recipe: 1 row added, 1 row changed (2 cells)"]);
    checks::assert_good(bo);

    kitchen.merge(bo, "1|Tomato soup|35\n2|Bread|90\n3|Cake|60\n");
    says(bo, &["It is merged.", "version 2", "Merged by bo"]);
    ann.until_says("Merged by bo");
    let synced = kitchen.json("eve", &["sync"]);
    assert_eq!(synced["merged_proposals"].to_string(), "[1]", "{synced}");
}

/// Who wrote a cell, in which proposal, and who approved that: on the row's page as in the terminal.
fn is_blamed_on_whoever_approved_it(kitchen: &Kitchen<'_>, bo: &Page) {
    let reviewed = "proposal 1, approved by ann, bo, merged by bo";
    let told = kitchen.ok("cy", &["blame", "recipe", "1", "minutes"]);
    assert!(told.contains("version 2") && told.contains("eve") && told.contains(reviewed), "{told}");
    let cell = kitchen.json("cy", &["blame", "recipe", "1", "minutes"])["cells"][0]["review"].clone();
    assert_eq!((cell["proposal"].as_u64(), cell["approved_by"].to_string()), (Some(1), r#"["ann","bo"]"#.into()));
    bo.go(&kitchen.at("/tables/recipe"));
    bo.follow("css:tbody tr:first-child a");
    says(bo, &["eve", "version 2", reviewed]);
    checks::assert_good(bo);
    bo.follow("version 2");
    says(bo, &[reviewed]);
}

/// Much later one of the cells is written again: by another proposal, from the command line alone.
fn overtaken_by_another(kitchen: &Kitchen<'_>) {
    kitchen.sql("eve", "UPDATE recipe SET minutes = 40 WHERE id = 1;");
    kitchen.ok("eve", &["propose", "-m", "Longer still"]);
    for name in ["ann", "cy"] {
        kitchen.ok(name, &["vote", "2", "approve"]);
    }
    kitchen.ok("cy", &["merge", "2"]);
}

/// And the first one is taken back, from its version's page: one conflict, answered by a value that nobody had.
fn is_taken_back(kitchen: &Kitchen<'_>, ann: &Page, bo: &Page) {
    bo.go(&kitchen.at("/versions/2"));
    checks::assert_good(bo);
    bo.fill("Why", "Nobody liked the tomatoes");
    bo.follow("Propose to take it back");
    says(bo, &["has conflicts", "Nobody liked the tomatoes", "both changed this cell"]);
    assert!(bo.address().contains("/proposals/3"), "{}", bo.address());
    assert_eq!(bo.count("#conflicts fieldset"), 1, "{}", bo.text());
    checks::assert_good(bo);
    bo.fill("The other value", "32");
    bo.follow("Answer it");
    says(bo, &["The conflicts are answered", "2 revisions", "Soup", "32", "deleted"]);
    assert_eq!(bo.count("#conflicts fieldset"), 0);
    ann.go(&kitchen.at("/proposals/3"));
    vote(ann, "Approve", "They were awful");
    kitchen.ok("cy", &["vote", "3", "approve"]);
    ann.until_says("The votes suffice.");
    ann.follow("Merge…");

    kitchen.merge(ann, "1|Soup|32\n2|Bread|90\n");
    says(ann, &["It is merged.", "version 4"]);
}

//! Hostile texts in every place where a person may write, and every page with them looked at (T19, T20).
use crate::crawl::crawl;
use crate::house::House;
use crate::payloads::{BROKEN, INVISIBLE, payloads, trojans};
use mainstem::accounts::Wish;
use mainstem::core::proposal::{Anchor, Ballot, Remark, Word};
use mainstem::core::value::Value;
use mainstem::primary::Primary;
use mainstem::proposing::Target;
use mainstem::replica::Replica;
use mainstem::review::{By, Deed, Everybody, Review};
use mainstem_browser::{Browser, Page, checks};
use mainstem_traffic::ADMINISTRATOR;
use rusqlite::Connection;

/// Writes every payload as a row's key and as a value of every kind.
const INSERT: &str = "INSERT INTO cell(key, said, any, bytes) VALUES (?1, ?1, ?1, CAST(?1 AS BLOB))";

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Tables and columns with hostile names: each payload names one of both, where SQLite can hold it.
fn name_tables(db: &Connection) -> usize {
    let names: Vec<String> = payloads().into_iter().filter(|name| !name.contains('\0')).collect();
    let mut made = 0;
    for (number, name) in names.iter().enumerate() {
        let column = &names[(number + 1) % names.len()];
        let sql = format!("CREATE TABLE {} (id INTEGER PRIMARY KEY, {} TEXT)", quoted(name), quoted(column));
        made += usize::from(db.execute_batch(&sql).is_ok());
    }
    made
}

/// A dataset of hostile values and keys, with a hostile title to each changeset, with a conflict and a tombstone of each.
fn fill_cells(house: &House) {
    let db = house.open("cells.db");
    db.execute_batch("CREATE TABLE cell(key TEXT PRIMARY KEY, said TEXT, any, bytes BLOB) WITHOUT ROWID; CREATE TABLE gone(id INTEGER PRIMARY KEY, said TEXT); BEGIN;")
        .expect("tables");
    for text in texts() {
        db.execute(INSERT, [&text]).expect("a row");
        db.execute("INSERT INTO gone(said) VALUES (?1)", [&text]).expect("a row");
    }
    for bytes in BROKEN {
        db.execute("INSERT INTO cell(key, said) VALUES (CAST(?1 AS TEXT), CAST(?1 AS TEXT))", [bytes]).expect("a row");
    }
    db.execute_batch("COMMIT").expect("all of it");
    house.publish("cells.db", "cells");
    let told: String = payloads().iter().filter(|text| !text.chars().any(char::is_control)).map(|text| format!("# {text}\n")).collect();
    house.served.primary("cells").set_policy(&format!("strategy = \"manual\"\n{told}"), ADMINISTRATOR).expect("a policy");
    house.clone_to("cells", "other.db", ADMINISTRATOR);
    house.sql("cells.db", "UPDATE cell SET said = 'ours ' || said; DELETE FROM gone;");
    house.sql("other.db", "UPDATE cell SET said = 'theirs ' || said;");
    for text in titles() {
        house.sql("cells.db", "INSERT INTO gone(said) VALUES ('x')");
        house.replica(&house.file("cells.db")).commit(ADMINISTRATOR, Some(&text), &text).expect("a changeset");
    }
    house.sync("cells.db", "cells", ADMINISTRATOR);
    house.sync("other.db", "cells", ADMINISTRATOR);
    house.sync("cells.db", "cells", ADMINISTRATOR);
}

/// Every text that is written into cells.
fn texts() -> Vec<String> {
    payloads().into_iter().chain(trojans().into_iter().map(|(_, text)| text)).collect()
}

/// A tenth of them: each is a version of its own.
fn titles() -> Vec<String> {
    payloads().into_iter().step_by(10).collect()
}

/// Actors with hostile names, each with a token of a hostile label, where those are allowed; the others are refused in words.
fn name_people(house: &House) -> usize {
    let registrar = house.served.registrar();
    let mut named = 0;
    for text in payloads() {
        let label = Wish { label: text.clone(), ..Wish::default() };
        match registrar.add_actor(1, &text) {
            Ok(actor) => {
                named += 1;
                registrar.create_token(1, actor, label).expect("what may be a name may be a label");
            }
            Err(refused) => assert!(!refused.message.contains(&text) || text.len() < 100, "{refused:?}"),
        }
    }
    named
}

/// A dataset with proposals: many by their titles, one with every text in it and said about it, one with a conflict in each row.
fn fill_proposals(house: &House) {
    const AUTHOR: &str = "<img src=x onerror=alert(1)>";
    let db = house.open("base.db");
    db.execute_batch("CREATE TABLE cell(key TEXT PRIMARY KEY, said TEXT, any, bytes BLOB) WITHOUT ROWID; BEGIN").expect("a table");
    for text in payloads() {
        db.execute(INSERT, [&text]).expect("a row");
    }
    db.execute_batch("COMMIT").expect("all of it");
    house.publish("base.db", "proposed");
    house.served.primary("proposed").set_policy("strategy = \"manual\"", ADMINISTRATOR).expect("a policy");
    for (file, who) in [("titles.db", "\"><script>alert(2)</script>"), ("all.db", AUTHOR), ("clash.db", "{{7*7}}")] {
        house.clone_to("proposed", file, who);
    }
    for (number, title) in titles().iter().filter(|title| !title.trim().is_empty()).enumerate() {
        let made = house.open("titles.db").execute("INSERT INTO cell(key, said) VALUES (?1, ?2)", (format!("new {number}"), title));
        assert_eq!(made.expect("a row"), 1);
        house.propose_as("titles.db", "proposed", "\"><script>alert(2)</script>", title, Target::New);
    }
    house.sql(
        "all.db",
        "UPDATE cell SET said = 'new ' || said, any = bytes, bytes = NULL; INSERT INTO cell(key, said) SELECT 'x' || key, key FROM cell;",
    );
    let id = house.propose("all.db", "proposed", AUTHOR, "<svg onload=alert(3)>");
    talk(house, id);
    house.sql("clash.db", "UPDATE cell SET said = 'here ' || said; DELETE FROM cell WHERE key LIKE '<img%';");
    house.propose("clash.db", "proposed", "{{7*7}}", "=HYPERLINK(\"http://hostile.example\")");
    house.sql("base.db", "UPDATE cell SET said = 'there ' || said;");
    house.sync("base.db", "proposed", ADMINISTRATOR);
}

/// Says each text of the proposal, a row or a cell, and gives one as the reason of a vote.
fn talk(house: &House, id: u64) {
    let mut primary = house.served.primary("proposed");
    let by = By { actor: ADMINISTRATOR, token: None, people: &Everybody, request: None };
    for (number, text) in payloads().into_iter().filter(|text| !text.trim().is_empty()).enumerate() {
        let key = vec![Value::text(&text)];
        let anchor = match number % 3 {
            0 => Anchor::Whole,
            1 => Anchor::Row("cell".into(), key),
            _ => Anchor::Cell("cell".into(), key, "said".into()),
        };
        let remark = Remark { anchor, reply_to: (number % 7 == 6).then_some(1), revision: 1, text };
        primary.act(id, &Deed::Comment(remark), by).expect("it is said");
    }
    let judged = primary.proposal(id, by).expect("asked").expect("a proposal");
    let assessment = judged.assessment.expect("it is open");
    let comment = payloads().join("\n");
    let ballot = Ballot { revision: assessment.revision, digest: assessment.digest, word: Word::Approve, comment };
    primary.act(id, &Deed::Vote(ballot), by).expect("a vote");
}

/// Hostile proposals and what is said of them.
#[test]
fn hostile_proposals_do_nothing_on_any_page() {
    let house = House::begin();
    fill_proposals(&house);
    let browser = Browser::start();
    let page = browser.page();
    house.sign_in(&page, house.served.token().expect("a token").as_str());
    let all = house.at("/datasets/proposed/proposals");
    let visited = crawl(&page, &[all], 5, &mut |page| {
        checks::assert_quiet(page);
        checks::assert_no_sideways(page);
        assert_marked(page);
        page.forget();
    });
    assert!(visited.len() > 6, "{visited:#?}");
    assert_eq!(browser.outside(), [] as [&str; 0]);
}

/// Everything hostile, looked at by somebody who may see it all.
#[test]
fn hostile_texts_do_nothing_on_any_page() {
    let house = House::begin();
    fill_cells(&house);
    let named = name_people(&house);
    assert!(named > 200, "{named} people");
    let browser = Browser::start();
    let page = browser.page();
    house.sign_in(&page, house.served.token().expect("a token").as_str());
    crawl(&page, &[house.at("/"), house.at("/api")], 4, &mut |page| {
        checks::assert_quiet(page);
        checks::assert_no_sideways(page);
        assert_marked(page);
        page.forget();
    });
    assert_eq!(browser.outside(), [] as [&str; 0]);
}

/// Hostile names of tables and columns, each on pages of its own.
#[test]
fn hostile_names_do_nothing_on_any_page() {
    let house = House::begin();
    let db = house.open("names.db");
    db.execute_batch("BEGIN").expect("a transaction");
    let made = name_tables(&db);
    assert!(made > 290, "{made} tables");
    db.execute_batch("COMMIT").expect("all of it");
    drop(db);
    house.publish("names.db", "names");
    let browser = Browser::start();
    let page = browser.page();
    house.sign_in(&page, house.served.token().expect("a token").as_str());
    crawl(&page, &[house.at("/")], 6, &mut |page| {
        checks::assert_quiet(page);
        checks::assert_no_sideways(page);
        assert_marked(page);
        page.forget();
    });
    assert_eq!(browser.outside(), [] as [&str; 0]);
}

/// Asserts that nothing on a page is invisible, or turns what stands beside it, outside of fields and what hides its own direction.
fn assert_marked(page: &Page) {
    let unseen: String = INVISIBLE.iter().filter(|mark| !matches!(mark, '\u{0}' | '\u{a0}')).collect();
    let script = format!(
        "(() => {{ const unseen = new Set({unseen}); const found = [];
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {{
            const text = walker.currentNode;
            if (text.parentElement.closest('textarea, script, style, title')) continue;
            const mark = [...text.data].find(letter => unseen.has(letter));
            if (mark) found.push('U+' + mark.codePointAt(0).toString(16) + ' in ' + text.parentElement.outerHTML.slice(0, 160));
          }}
          return found.slice(0, 5); }})()",
        unseen = serde_json::json!(unseen)
    );
    let found = page.evaluate(&script);
    assert_eq!(found, serde_json::json!([]), "{}", page.address());
}

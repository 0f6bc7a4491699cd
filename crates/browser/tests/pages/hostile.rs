//! Hostile texts in every place where a person may write, and every page with them looked at (T19, T20).
use crate::crawl::crawl;
use crate::house::House;
use crate::payloads::{BROKEN, payloads, trojans};
use mainstem::accounts::Wish;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem_browser::{Browser, checks};
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
    crawl(&page, &[house.at("/"), house.at("/api")], 6, &mut |page| {
        checks::assert_quiet(page);
        checks::assert_no_sideways(page);
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
    crawl(&page, &[house.at("/")], 12, &mut |page| {
        checks::assert_quiet(page);
        checks::assert_no_sideways(page);
        page.forget();
    });
    assert_eq!(browser.outside(), [] as [&str; 0]);
}

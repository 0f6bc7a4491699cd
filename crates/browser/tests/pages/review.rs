//! A proposal in two reviewers' browsers, from when it appears until the replicas have it.
use crate::house::House;
use mainstem::core::authority::Role;
use mainstem::primary::Primary;
use mainstem_browser::{Browser, Page, checks};
use mainstem_traffic::ADMINISTRATOR;

const START: &str = "CREATE TABLE article(id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, told TEXT);
    CREATE TABLE tag(code TEXT PRIMARY KEY, word TEXT);
    INSERT INTO article(name, price, told) VALUES ('Tea', 4.5, 'green tea from Uji, picked in May'), ('Cup', 12, NULL), ('Pot', 38.9, 'holds a litre');
    INSERT INTO tag VALUES ('new', 'just in'), ('old', 'going');";

const EDITS: &str = "UPDATE article SET price = 5, told = 'green tea from Uji, picked in June' WHERE id = 1;
    INSERT INTO article(id, name, price) VALUES (4, 'Tray', 20);
    DELETE FROM tag WHERE code = 'old';";

const POLICY: &str = r#"strategy = "manual"
[gates.cheap]
rule = "range"
table = "article"
column = "price"
max = 100
[gates.told]
rule = "not-null"
rows = "changed"
table = "article"
column = "told"
"#;

/// A server with a dataset, its author's copy with edits, and two reviewers.
pub fn furnished() -> (House, [String; 2]) {
    let house = House::begin();
    house.sql("shop.db", START);
    house.publish("shop.db", "shop");
    house.served.primary("shop").set_policy(POLICY, ADMINISTRATOR).expect("a policy");
    house.clone_to("shop", "eve.db", "eve");
    house.sql("eve.db", EDITS);
    let reviewers = ["ann", "bo"].map(|who| house.token_of(who, "shop", Role::Owner));
    (house, reviewers)
}

pub fn vote(page: &Page, word: &str, why: &str) {
    page.fill("Your vote, and why", why);
    page.follow(word);
}

#[test]
fn two_reviewers_look_discuss_vote_and_merge() {
    let (house, [ann, bo]) = furnished();
    let browser = Browser::start();
    let (first, second) = (browser.page(), browser.page());
    house.sign_in(&first, &ann);
    house.sign_in(&second, &bo);
    first.go(&house.at("/datasets/shop/proposals"));
    assert!(first.says("No proposal is open."), "{}", first.text());
    let id = house.propose("eve.db", "shop", "eve", "Prices of May");
    // It appears by itself.
    first.until_says("Prices of May");
    assert!(first.says("waits for your vote"), "{}", first.text());
    checks::assert_good(&first);
    first.follow("Prices of May");
    for told in ["4.5", "5.0", "May", "June", "Tray", "added", "deleted", "changes 3 rows in 2 tables", "2 more approvals are needed"] {
        assert!(first.says(told), "{told}: {}", first.text());
    }
    assert!(first.says("passes cheap") && first.says("blocks told"), "{}", first.text());
    vote(&first, "Approve", "Fine with me");
    assert!(first.says("Your vote is in.") && first.says("1 more approval is needed") && first.says("Fine with me"), "{}", first.text());
    // Another talks about a cell; the author mends it and what the gate found, and the first vote counts no more.
    second.go(&house.at(&format!("/datasets/shop/proposals/{id}")));
    second.press("Comment on this row: article 1");
    second.choose("About", "price");
    second.fill("Comment", "Is that with tax?");
    second.follow("Comment on the row");
    assert!(second.says("Is that with tax?"), "{}", second.text());
    first.until_says("Is that with tax?");
    let stale = second.evaluate("document.querySelector('#verdict input[name=digest]').value");
    house.sql("eve.db", "UPDATE article SET price = 5.35 WHERE id = 1; UPDATE article SET told = 'of oak' WHERE id = 4;");
    assert_eq!(house.propose("eve.db", "shop", "eve", "Prices of May, with tax"), id);
    // What is still on the screen cannot be voted on: nobody has seen what it is by now.
    second.fill("Your vote, and why", "I saw the old one");
    let digest = format!("document.querySelector('#verdict input[name=digest]').value = {stale}");
    second.evaluate(&digest);
    second.follow("Approve");
    assert!(second.says("would do something else by now"), "{}", second.text());
    first.until_says("Since your vote");
    for told in ["merging would do something else by now", "2 more approvals are needed", "Since your vote", "otherwise by now", "5.35"] {
        assert!(first.says(told), "{told}: {}", first.text());
    }
    assert!(first.says("passes told"), "{}", first.text());
    checks::assert_good(&first);
    vote(&first, "Approve", "With tax, yes");
    second.go(&house.at(&format!("/datasets/shop/proposals/{id}")));
    vote(&second, "Approve", "");
    assert!(second.says("The votes suffice."), "{}", second.text());
    second.follow("Merge…");
    for told in ["becomes version 2 of shop", "Approved by ann, bo", "article: 1 row added, 1 row changed (2 cells)"] {
        assert!(second.says(told), "{told}: {}", second.text());
    }
    checks::assert_good(&second);
    second.follow("Merge it now");
    first.until_says("Merged by bo");
    assert!(second.says("It is merged.") && second.says("version 2") && second.says("Merged by bo"), "{}", second.text());
    checks::assert_good(&second);
    for (file, who) in [("shop.db", ADMINISTRATOR), ("eve.db", "eve")] {
        house.sync(file, "shop", who);
        let price: f64 = house.open(file).query_row("SELECT price FROM article WHERE id = 1", [], |row| row.get(0)).expect("a price");
        assert_eq!(price, 5.35, "{file}");
    }
    assert_eq!(browser.outside(), [] as [&str; 0]);
}

/// How many rows the large proposal changes: `MAINSTEM_REVIEW_ROWS`, or enough for every day.
fn rows() -> u64 {
    std::env::var("MAINSTEM_REVIEW_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(2_000)
}

#[test]
fn a_large_proposal_is_summarised_first_and_shown_in_parts() {
    let rows = rows();
    let house = House::begin();
    house.sql(
        "large.db",
        "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL); CREATE TABLE few(id INTEGER PRIMARY KEY, x TEXT);",
    );
    let fill = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO item SELECT i, 'item ' || i, i * 1.5 FROM n; INSERT INTO few VALUES (1, 'a');"
    );
    house.sql("large.db", &fill);
    house.publish("large.db", "large");
    house.clone_to("large", "eve.db", "eve");
    house.sql("eve.db", "UPDATE item SET price = price + 1; UPDATE few SET x = 'b';");
    let id = house.propose("eve.db", "large", "eve", "Everything costs more");
    let browser = Browser::start();
    let page = browser.page();
    house.sign_in(&page, &house.token_of("ann", "large", Role::Owner));
    let paint = "(performance.getEntriesByName('first-contentful-paint')[0] ?? { startTime: -1 }).startTime";
    for view in ["first", "again"] {
        page.go(&house.at(&format!("/datasets/large/proposals/{id}")));
        page.until(&format!("{paint} > 0"));
        println!("{view} view of {rows} rows: painted after {} ms", page.evaluate(paint));
    }
    let shown = |rows: u64| page.evaluate(&format!("{rows}..toLocaleString('en')")).as_str().expect("a number").to_string();
    assert!(page.says(&format!("changes {} rows in 2 tables", shown(rows + 1))), "{}", page.text());
    assert_eq!(page.count("#changes article"), 50);
    assert!(page.says("of which 50 are on this page"), "{}", page.text());
    page.follow("Next");
    assert!(page.says(&format!("51 to 100 of {}", shown(rows + 1))), "{}", page.text());
    page.follow("Back");
    assert!(page.says(&format!("1 to 50 of {}", shown(rows + 1))), "{}", page.text());
    page.follow("few");
    assert_eq!(page.count("#changes article"), 1);
    checks::assert_good(&page);
}

#[test]
fn conflicts_are_answered_and_a_part_is_taken_where_they_are_shown() {
    let (house, [ann, bo]) = furnished();
    let id = house.propose("eve.db", "shop", "eve", "Prices of May");
    house.sql("shop.db", "UPDATE article SET price = 4.9 WHERE id = 1");
    house.sync("shop.db", "shop", ADMINISTRATOR);
    let browser = Browser::start();
    let page = browser.page();
    house.sign_in(&page, &ann);
    page.go(&house.at(&format!("/datasets/shop/proposals/{id}")));
    assert!(page.says("has conflicts") && page.says("both changed this cell"), "{}", page.text());
    checks::assert_good(&page);
    page.press("What is there now, written by owner");
    page.follow("Answer it");
    assert!(page.says("The conflicts are answered") && page.says("2 revisions"), "{}", page.text());
    assert!(page.says("changes 3 rows") && !page.says("5.0"), "{}", page.text());
    // Only the row of another table: the rest is a proposal of its own.
    page.evaluate("document.querySelector('input[name=row][value*=\\'\"tag\"\\']').click()");
    page.follow("Keep only the ticked rows and cells");
    assert!(page.says("the rest is a proposal of its own") && page.says("changes 1 row in 1 table"), "{}", page.text());
    page.follow("Proposals");
    assert_eq!(page.count(".proposals li"), 2, "{}", page.text());
    page.follow(&format!("css:a[href$='/proposals/{}']", id + 1));
    assert!(page.says("a part of proposal 1") || page.says("changes 2 rows"), "{}", page.text());
    // Closed and opened again, by one who may.
    page.fill("Why", "The list is from last year");
    page.follow("Close as rejected");
    assert!(page.says("Rejected by ann: The list is from last year"), "{}", page.text());
    checks::assert_good(&page);
    let other = browser.page();
    house.sign_in(&other, &bo);
    other.go(&house.at("/datasets/shop/proposals?state=closed"));
    assert_eq!(other.count(".proposals li"), 1, "{}", other.text());
    page.fill("Why", "It is not");
    page.follow("Open again");
    other.until("document.querySelectorAll('.proposals li').length === 0");
    other.follow("Waiting for my vote");
    assert_eq!(other.count(".proposals li"), 2, "{}", other.text());
    other.fill("Offered by", "nobody");
    other.follow("Show");
    assert!(other.says("No proposal waits for your vote."), "{}", other.text());
    checks::assert_good(&other);
}

#[test]
fn everything_works_without_scripts() {
    let (house, [ann, bo]) = furnished();
    house.served.primary("shop").set_policy("", ADMINISTRATOR).expect("a policy");
    let id = house.propose("eve.db", "shop", "eve", "Prices of May");
    let browser = Browser::start();
    for (token, word) in [(&ann, "approves ann"), (&bo, "approves bo")] {
        let page = browser.page();
        page.scripts(false);
        house.sign_in(&page, token);
        page.go(&house.at(&format!("/datasets/shop/proposals/{id}")));
        page.follow("Approve");
        assert!(page.says(word), "{}", page.text());
        page.follow("Merge…");
        if word.ends_with("bo") {
            page.follow("Merge it now");
            assert!(page.says("It is merged."), "{}", page.text());
        }
    }
}

#[test]
fn a_conflict_takes_another_value_and_a_part_takes_single_cells() {
    let (house, [ann, _]) = furnished();
    let id = house.propose("eve.db", "shop", "eve", "Prices of May");
    house.sql("shop.db", "UPDATE article SET price = 4.9 WHERE id = 1");
    house.sync("shop.db", "shop", ADMINISTRATOR);
    let browser = Browser::start();
    let page = browser.page();
    house.sign_in(&page, &ann);
    page.go(&house.at(&format!("/datasets/shop/proposals/{id}")));
    // What is typed is chosen with it.
    page.fill("The other value", "4.95");
    page.follow("Answer it");
    assert!(page.says("The conflicts are answered") && page.says("4.95"), "{}", page.text());
    // One cell of two: the other one is a proposal of its own, with the other rows.
    page.press("Keep only some cells of article 1");
    page.press("told");
    checks::assert_good(&page);
    page.follow("Keep only the ticked rows and cells");
    assert!(page.says("the rest is a proposal of its own") && page.says("changes 1 row in 1 table"), "{}", page.text());
    assert!(page.says("June") && !page.says("4.95"), "{}", page.text());
    page.go(&house.at(&format!("/datasets/shop/proposals/{}", id + 1)));
    assert!(page.says("4.95") && !page.says("June") && page.says("Tray"), "{}", page.text());
}

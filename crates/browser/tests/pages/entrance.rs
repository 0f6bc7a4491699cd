//! Coming in, going out, and what is the same on every page.
use crate::crawl::{crawl, page_routes};
use crate::house::House;
use mainstem::core::authority::Role;
use mainstem::primary::Primary;
use mainstem_browser::{Browser, checks};
use mainstem_traffic::ADMINISTRATOR;

/// What no link leads to: the files that all pages ask for, the way in for whoever is out, and the news for open pages.
const UNLINKED: &[&str] = &["/assets/{asset}", "/sign-in", "/live", "/datasets/{dataset}/live"];

/// A dataset with a bit of everything.
fn furnish(house: &House) {
    house.sql(
        "shop.db",
        "CREATE TABLE article(id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, told TEXT);
         CREATE TABLE tag(code TEXT PRIMARY KEY, picture BLOB);
         INSERT INTO article(name, price, told) VALUES ('Tea', 4.5, 'green, from Uji'), ('Cup', 12, NULL), ('Pot', 38.9, 'holds a litre');
         INSERT INTO tag VALUES ('new', x'00ff'), ('old', NULL);",
    );
    house.publish("shop.db", "shop");
    house.served.primary("shop").set_policy("strategy = \"manual\"", ADMINISTRATOR).expect("a policy");
    house.clone_to("shop", "copy.db", ADMINISTRATOR);
    house.sql("copy.db", "UPDATE article SET price = 5 WHERE id = 1; DELETE FROM tag WHERE code = 'old';");
    house.sync("copy.db", "shop", ADMINISTRATOR);
    // One proposal to merge, and one that meets what was accepted since.
    house.clone_to("shop", "eve.db", "eve");
    house.sql("eve.db", "UPDATE article SET told = 'holds two litres' WHERE id = 3; INSERT INTO tag VALUES ('sale', x'01');");
    house.propose("eve.db", "shop", "eve", "A larger pot");
    house.clone_to("shop", "flo.db", "flo");
    house.sql("flo.db", "UPDATE article SET name = 'Mug' WHERE id = 2; DELETE FROM tag WHERE code = 'new';");
    house.propose("flo.db", "shop", "flo", "Mugs");
    house.sql("copy.db", "UPDATE article SET name = 'Beaker' WHERE id = 2;");
    house.sync("copy.db", "shop", ADMINISTRATOR);
}

#[test]
fn every_page_is_good() {
    let house = House::begin();
    furnish(&house);
    let browser = Browser::start();
    let page = browser.page();
    page.go(&house.at("/"));
    assert!(page.address().contains("/sign-in"), "{}", page.address());
    checks::assert_good(&page);
    house.sign_in(&page, &house.served.token().expect("a token"));
    let visited = crawl(&page, &[house.at("/"), house.at("/api")], 1, &mut |page| {
        checks::assert_good(page);
        page.forget();
    });
    let missed: Vec<String> =
        page_routes().into_iter().filter(|route| !visited.contains_key(route) && !UNLINKED.contains(&&**route)).collect();
    assert!(missed.is_empty(), "no link leads to {missed:?}");
    page.go(&house.at("/nothing/of/that/name"));
    checks::assert_accessible(&page);
    assert!(page.says("There is nothing here"), "{}", page.text());
    assert_eq!(browser.outside(), [] as [&str; 0]);
}

#[test]
fn one_comes_in_by_keyboard_goes_out_and_is_out() {
    let house = House::begin();
    furnish(&house);
    let token = house.token_of("bo", "shop", Role::Viewer);
    let browser = Browser::start();
    let page = browser.page();
    page.go(&house.at("/?after=s"));
    // The field gets the focus by itself: one types and sends.
    page.until("document.activeElement?.id === 'token'");
    page.write("mainstem_wrong");
    page.loading("sending", || page.key("Enter"));
    page.until_says("Not done");
    assert!(page.address().ends_with("/sign-in"), "no token is in an address: {}", page.address());
    page.fill("Token", &token);
    page.loading("sending", || page.key("Enter"));
    assert_eq!(page.address(), house.at("/?after=s"), "one comes where one wanted to go");
    assert!(page.says("shop"), "{}", page.text());
    for cookie in page.cookies() {
        assert_eq!((&cookie["httpOnly"], cookie["value"] == token), (&true.into(), false), "{cookie}");
    }
    // Somebody else's browser knows nothing of it.
    let other = browser.page();
    other.go(&house.at("/"));
    assert!(other.address().contains("/sign-in"));
    page.press("bo");
    page.follow("Sign out");
    page.go(&house.at("/"));
    assert!(page.address().contains("/sign-in"));
    assert!(page.seen().dialogs.is_empty());
}

#[test]
fn light_and_dark_are_as_one_chooses() {
    let house = House::begin();
    let browser = Browser::start();
    let page = browser.page();
    house.sign_in(&page, &house.served.token().expect("a token"));
    let ground = "getComputedStyle(document.body).backgroundColor";
    page.dark(true);
    let dark = page.evaluate(ground);
    page.dark(false);
    let light = page.evaluate(ground);
    assert_ne!(dark, light);
    page.press("owner");
    page.loading("choosing", || page.choose("Colours", "Dark"));
    assert_eq!(page.evaluate(ground), dark, "chosen against what the system says");
    page.press("owner");
    page.loading("choosing", || page.choose("Colours", "As the system"));
    assert_eq!(page.evaluate(ground), light);
}

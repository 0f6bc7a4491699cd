//! Browsers at a server: who is signed in, for how long, and what no other site can make them do (T1, T2, T19, T21, T22).
use mainstem::accounts::Wish;
use mainstem::core::account::Fact;
use mainstem::core::authority::Role;
use mainstem::core::conflict::Conflict;
use mainstem::local::Large;
use mainstem::primary::Primary;
use mainstem::proposing::{self, Asked};
use mainstem::sync;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use mainstem_traffic::plain::{Came, Plain, ask};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A table for each of the columns v and n with `strategy = 'manual'`, as a form says it.
const POLICY: &str =
    "%5Btables.item.columns.v%5D%0D%0Astrategy+%3D+%27manual%27%0D%0A%5Btables.item.columns.n%5D%0D%0Astrategy+%3D+%27manual%27";
const HERE: &str = "Sec-Fetch-Site: same-origin\r\n";

struct World {
    folder: TempDir,
    served: Served,
}

impl World {
    /// A server with one dataset, in which names and values are as hostile as they may be.
    fn new() -> World {
        World::with_large(Large::default())
    }

    fn with_large(large: Large) -> World {
        let folder = tempfile::tempdir().expect("a folder");
        let around = Seeded::around(11);
        let served = Served::with_large(large, &folder.path().join("data"), around.clone());
        let path = folder.path().join("ada.db");
        sql(
            &path,
            "CREATE TABLE item (id INTEGER PRIMARY KEY, v, n INTEGER);
             INSERT INTO item VALUES (1, 'a', 1), (2, 'b', 2), (3, '<script>alert(1)</script>', 3);
             CREATE TABLE \"<img src=x onerror=alert(1)>\" (\"\"\"><script>\" TEXT PRIMARY KEY, w);
             INSERT INTO \"<img src=x onerror=alert(1)>\" VALUES ('''\"><svg onload=alert(1)>', 'x');",
        );
        let options = InitOptions { actor: Some("ada".into()), ..InitOptions::default() };
        SqliteReplica::init(&path, &options, around.clone(), &mut |_, _, _| {}).expect("tracked");
        let mut replica = SqliteReplica::open(&path, around).expect("it opens");
        replica.publish_at(&mut served.place("notes"), Some("notes"), "ada", &mut |_, _, _| {}).expect("published");
        World { folder, served }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sync(&self, name: &str) {
        // Two with one seed would give their changesets one name.
        let seed = name.bytes().map(u64::from).sum();
        let mut replica = SqliteReplica::open(&self.path(name), Seeded::around(seed)).expect("it opens");
        sync::sync(&mut replica, &mut self.served.primary("notes"), "ada", &mut |_, _, _| {}).expect("synced");
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Came {
        let (port, length) = (self.served.socket().port(), body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        ask(self.served.socket(), head.as_bytes()).unwrap_or_else(|| panic!("no answer: {head}"))
    }

    fn form(&self, path: &str, headers: &str, body: &str) -> Came {
        self.send("POST", path, &format!("{headers}Content-Type: application/x-www-form-urlencoded\r\n"), body)
    }

    /// Signs in; answers the cookie that came.
    fn sign_in(&self, token: &str) -> Option<String> {
        let came = self.form("/sign-in", HERE, &format!("token={token}&next=%2Fnotices"));
        let cookie = came.header("set-cookie")?.to_string();
        assert_eq!((came.status, came.header("location")), (303, Some("/notices")));
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax") && cookie.contains("; Path=/;"), "{cookie}");
        Some(cookie.split(';').next().expect("a pair").to_string())
    }

    fn browser(&self, token: &str) -> Browser<'_> {
        let cookie = self.sign_in(token).expect("a good token");
        let mut browser = Browser { world: self, cookie, form_key: String::new() };
        let page = text(&browser.get("/notices"));
        let key = page.split_once("name=\"form_key\" value=\"").and_then(|(_, rest)| rest.split_once('"')).expect("a form").0;
        browser.form_key = key.to_string();
        browser
    }
}

struct Browser<'a> {
    world: &'a World,
    cookie: String,
    form_key: String,
}

impl Browser<'_> {
    fn get(&self, path: &str) -> Came {
        self.world.send("GET", path, &format!("Cookie: {}\r\n", self.cookie), "")
    }
    fn post(&self, path: &str, fields: &str) -> Came {
        self.world.form(path, &format!("{HERE}Cookie: {}\r\n", self.cookie), &format!("form_key={}&{fields}", self.form_key))
    }
    fn is_in(&self) -> bool {
        let came = self.get("/notices");
        assert!(came.status == 200 || is_led_away(&came), "{came:?}");
        came.status == 200
    }
}

fn sql(path: &Path, text: &str) {
    Connection::open(path).expect("it opens").execute_batch(text).expect("it runs");
}

fn text(came: &Came) -> String {
    String::from_utf8_lossy(&came.body).into_owned()
}

fn is_led_away(came: &Came) -> bool {
    came.status == 303 && came.header("location").is_some_and(|to| to.starts_with("/sign-in"))
}

/// Of a proposal that takes a while to look at, the page is there at once, and shows what merging does when somebody has found it.
/// The list for programs waits for nothing either, and says what it does not know.
#[test]
fn the_list_of_large_proposals_waits_for_nothing() {
    let world = World::with_large(Large { beside_from: 0, at_once_max: 0, shared_from: 0, ..Large::default() });
    let path = world.path("ada.db");
    sql(&path, "UPDATE item SET v = 'changed', n = 7");
    let mut replica = SqliteReplica::open(&path, Seeded::around(5)).expect("it opens");
    let asked = Asked { title: Some("All of them".into()), has_everything: true, ..Asked::default() };
    proposing::propose(&mut replica, &mut world.served.primary("notes"), "ada", &asked, &mut |_, _, _| {}).expect("offered");
    let token = format!("Authorization: Bearer {}\r\n", world.served.token().expect("a token"));
    let list = || text(&world.send("GET", "/api/v1/datasets/notes/proposals", &token, ""));
    let listed = list();
    assert!(listed.contains("\"is_found\":false"), "{listed}");
    assert!((0..100_000).any(|_| list().contains("\"is_found\":true")), "it is found in the end");
}

/// A double click sends a form twice; the same said again from the page as it is then is another comment.
#[test]
fn a_comment_that_is_sent_twice_is_said_once() {
    let world = World::with_large(Large::default());
    let path = world.path("ada.db");
    sql(&path, "UPDATE item SET v = 'changed'");
    let mut replica = SqliteReplica::open(&path, Seeded::around(5)).expect("it opens");
    let asked = Asked { title: Some("Some".into()), has_everything: true, ..Asked::default() };
    proposing::propose(&mut replica, &mut world.served.primary("notes"), "ada", &asked, &mut |_, _, _| {}).expect("offered");
    let token = world.served.token().expect("a token");
    let browser = world.browser(&token);
    let say = |after: u64| {
        assert!(text(&browser.get("/datasets/notes/proposals/1")).contains(&format!("name=\"after\" value=\"{after}\"")));
        let sent = [(); 2].map(|()| browser.post("/datasets/notes/proposals/1/comments", &format!("after={after}&text=Why%3F")));
        for came in sent {
            assert!(came.header("location").is_some_and(|to| to.ends_with(&format!("#comment-{}", after + 1))), "{came:?}");
        }
    };
    say(0);
    say(1);
    let page = text(&browser.get("/datasets/notes/proposals/1"));
    assert!(page.contains("id=\"comment-2\"") && !page.contains("id=\"comment-3\""), "{page}");
}

#[test]
fn the_page_of_a_large_proposal_waits_for_nothing() {
    let world = World::with_large(Large { beside_from: 0, at_once_max: 0, shared_from: 0, ..Large::default() });
    let path = world.path("ada.db");
    sql(&path, "UPDATE item SET v = 'changed', n = 7; INSERT INTO item VALUES (9, 'new', 1)");
    let mut replica = SqliteReplica::open(&path, Seeded::around(5)).expect("it opens");
    let asked = Asked { title: Some("All of them".into()), has_everything: true, ..Asked::default() };
    proposing::propose(&mut replica, &mut world.served.primary("notes"), "ada", &asked, &mut |_, _, _| {}).expect("offered");
    let token = world.served.token().expect("a token");
    let browser = world.browser(&token);
    let page = text(&browser.get("/datasets/notes/proposals/1"));
    for told in ["4 rows in 1 table", "is being found out", "changed", "One may vote as soon as"] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert!(!page.contains("name=\"digest\""), "nobody votes on what is not known");
    let found = (0..100_000).map(|_| text(&browser.get("/datasets/notes/proposals/1"))).find(|page| !page.contains("is being found out"));
    let page = found.expect("it is found in the end");
    assert!(page.contains("Merged now, onto version 1, it changes 4 rows") && page.contains("name=\"digest\""), "{page}");
    assert!(text(&browser.get("/datasets/notes/proposals")).contains("All of them"));
}

#[test]
fn one_signs_in_with_a_token_and_it_is_told_to_nobody() {
    let world = World::new();
    let token = world.served.token().expect("a token");
    for wrong in ["", "mainstem_", "x", &token[..token.len() - 1], "mainstem_00000000000000000000000000000000ffffffff"] {
        let came = world.form("/sign-in", HERE, &format!("token={wrong}"));
        assert_eq!((came.status, came.header("set-cookie")), (200, None), "{wrong}");
        assert!(text(&came).contains("unknown, has expired or was revoked") && !text(&came).contains("mainstem_0000"), "{wrong}");
    }
    let browser = world.browser(&token);
    for path in ["/", "/notices", "/account/tokens", "/account/browsers", "/datasets/notes", "/nothing"] {
        let came = browser.get(path);
        assert!(!text(&came).contains(&token) && !came.head.contains(&token), "{path}");
        let key = browser.cookie.split_once('=').expect("a pair").1;
        assert!(!text(&came).contains(key), "{path}");
    }
    let away = world.send("GET", "/datasets/notes?x=1", "", "");
    assert_eq!(away.header("location"), Some("/sign-in?next=%2Fdatasets%2Fnotes%3Fx%3D1"));
    for elsewhere in ["https://evil.example/", "//evil.example", "/\\evil.example", "evil"] {
        let came = world.form("/sign-in", HERE, &format!("token={token}&next={elsewhere}"));
        assert_eq!(came.header("location"), Some("/"), "{elsewhere}");
    }
}

#[test]
fn the_first_administrator_is_made_in_a_browser() {
    let world = World::new();
    let setup = world.served.registrar().create_setup_token().expect("a token");
    let good = world.served.token().expect("a token");
    for wrong in ["mainstem_setup_x", good.as_str(), ""] {
        let came = world.form("/set-up", HERE, &format!("token={wrong}&name=eve"));
        assert_eq!((came.status, came.header("set-cookie")), (200, None), "{wrong}");
    }
    let (body, foreign) = (format!("token={}&name=eve", setup.reveal()), "Sec-Fetch-Site: cross-site\r\n");
    assert_eq!(world.form("/set-up", foreign, &body).status, 403);
    let came = world.form("/set-up", HERE, &body);
    assert!(came.status == 200 && came.header("set-cookie").is_some(), "{came:?}");
    // The setup token is used up: without another one nobody would come in again once this sign-in ends.
    let page = text(&came);
    let shown = page.split_once("class=\"secret\">").and_then(|(_, rest)| rest.split_once('<')).expect("a token is shown").0;
    assert_eq!(world.form("/sign-in", HERE, &format!("token={shown}")).status, 303);
    assert!(world.served.registrar().accounts().named("eve").is_some_and(|eve| eve.is_administrator));
    let again = world.form("/set-up", HERE, &format!("token={}&name=mallory", setup.reveal()));
    assert_eq!((again.status, again.header("set-cookie")), (200, None));
}

#[test]
fn cookies_are_for_pages_and_tokens_for_programs() {
    let world = World::new();
    let token = world.served.token().expect("a token");
    let browser = world.browser(&token);
    let bearer = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(world.send("GET", "/api/v1/me", &bearer, "").status, 200);
    assert_eq!(browser.get("/api/v1/me").status, 401);
    assert!(is_led_away(&world.send("GET", "/notices", &bearer, "")));
    let form = world.form("/api/v1/tokens", &bearer, "label=x");
    assert_eq!(form.status, 415, "a form is nothing for programs");
}

#[test]
fn no_other_site_can_send_a_form() {
    let world = World::new();
    let browser = world.browser(&world.served.token().expect("a token"));
    let other = world.browser(&world.served.token().expect("a token"));
    let (cookie, key) = (format!("Cookie: {}\r\n", browser.cookie), format!("form_key={}", browser.form_key));
    let actors = || world.served.registrar().accounts().actors().count();
    let before = actors();
    let origin = |origin: &str| format!("{cookie}Origin: {origin}\r\n");
    let form = "application/x-www-form-urlencoded";
    let port = world.served.socket().port();
    for (headers, body, media) in [
        (format!("{cookie}{HERE}"), "name=eve".to_string(), form),
        (format!("{cookie}{HERE}"), "name=eve&form_key=".to_string(), form),
        (format!("{cookie}{HERE}"), format!("name=eve&form_key={}", other.form_key), form),
        (format!("{cookie}{HERE}"), format!("name=eve&{key}&{key}"), form),
        (cookie.clone(), format!("name=eve&{key}"), form),
        (format!("{cookie}Sec-Fetch-Site: cross-site\r\n"), format!("name=eve&{key}"), form),
        (format!("{cookie}Sec-Fetch-Site: same-site\r\n"), format!("name=eve&{key}"), form),
        (format!("{cookie}Sec-Fetch-Site: none\r\n"), format!("name=eve&{key}"), form),
        (origin("https://evil.example"), format!("name=eve&{key}"), form),
        (origin("null"), format!("name=eve&{key}"), form),
        (origin(&format!("http://localhost:{}", port ^ 1)), format!("name=eve&{key}"), form),
        (format!("{}{HERE}", origin("https://evil.example")), format!("name=eve&{key}"), form),
        (format!("{cookie}{HERE}"), format!("name=eve&{key}"), "text/plain"),
        (format!("{cookie}{HERE}"), format!("{{\"name\":\"eve\",\"{key}\":\"\"}}"), "application/json"),
        (format!("{cookie}{HERE}"), format!("name=eve&is_administrator=true&{key}"), form),
    ] {
        let came = world.send("POST", "/people", &format!("{headers}Content-Type: {media}\r\n"), &body);
        assert!(matches!(came.status, 400 | 403 | 415), "{headers} {body}: {}", came.status);
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let came = world.send(method, &format!("/people?name=eve&{key}"), &format!("{cookie}{HERE}"), "");
        assert!(came.status >= 400, "{method}: {}", came.status);
    }
    assert_eq!(actors(), before);
    let good = origin(&format!("http://localhost:{port}"));
    assert_eq!(world.form("/people", &good, &format!("name=eve&{key}")).status, 303);
    assert_eq!(actors(), before + 1);
    // Not even signing in: somebody else's account is a trap as well.
    let token = world.served.token().expect("a token");
    let came = world.form("/sign-in", "Sec-Fetch-Site: cross-site\r\n", &format!("token={token}"));
    assert_eq!((came.status, came.header("set-cookie")), (403, None));
}

#[test]
fn a_sign_in_ends_with_its_token_its_actor_and_when_one_wants() {
    let world = World::new();
    let registrar = world.served.registrar();
    let token = world.served.token_of("ben", "notes", Role::Viewer);
    let actor = registrar.accounts().named("ben").expect("added").id;
    let (id, second) = registrar.create_token(1, actor, Wish::default()).expect("a token");
    let [first, second, third] = [token.reveal(), second.reveal(), token.reveal()].map(|token| world.browser(token));
    assert!(first.is_in() && second.is_in() && third.is_in());
    registrar.change(1, |_| Ok(vec![Fact::TokenRevoked(id)])).expect("revoked");
    assert!(first.is_in() && !second.is_in() && third.is_in());
    assert_eq!(third.post("/sign-out", "").status, 303);
    assert!(first.is_in() && !third.is_in());
    // One's own browsers are listed and ended; nobody else's.
    let fourth = world.browser(token.reveal());
    let owner = world.browser(&world.served.token().expect("a token"));
    let ends = |browser: &Browser<'_>| -> Vec<String> {
        let page = text(&browser.get("/account/browsers"));
        page.split("action=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .filter(|to| to.ends_with("/end"))
            .map(String::from)
            .collect()
    };
    let (own, others) = (ends(&first), ends(&owner));
    assert_eq!((own.len(), others.len()), (2, 1));
    assert_eq!(first.post(&others[0], "").status, 404);
    assert!(owner.is_in());
    assert_eq!(first.post(&own[0], "").status, 303, "the one seen last is listed first");
    assert_eq!([first.is_in(), fourth.is_in()].iter().filter(|is_in| **is_in).count(), 1);
    let fifth = world.browser(token.reveal());
    let bearer = format!("Authorization: Bearer {}\r\n", token.reveal());
    let listed = world.send("GET", "/api/v1/browsers", &bearer, "").json();
    let ids: Vec<u64> = listed.as_array().expect("a list").iter().map(|each| each["id"].as_u64().expect("a number")).collect();
    assert_eq!(ids.len(), 2, "programs see the same");
    let oldest = ids.iter().min().expect("one");
    assert_eq!(world.send("DELETE", &format!("/api/v1/browsers/{oldest}"), &bearer, "").status, 200);
    assert!(!first.is_in() && !fourth.is_in() && fifth.is_in());
    registrar.change(1, |_| Ok(vec![Fact::ActorDisabled { actor, is_disabled: true }])).expect("disabled");
    assert!(!first.is_in() && !fourth.is_in() && !fifth.is_in());
    assert_eq!(fifth.get("/datasets/notes").header("location"), Some("/sign-in?next=%2Fdatasets%2Fnotes"));
}

#[test]
fn pages_keep_to_themselves() {
    let world = World::new();
    let browser = world.browser(&world.served.token().expect("a token"));
    let icon = text(&browser.get("/")).split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a file").to_string();
    for path in ["/", "/sign-in", "/datasets/notes", "/datasets/nothing", "/people/none", "/no/such/path", &icon] {
        let headers = format!("Cookie: {}\r\nAccept: text/html\r\n", browser.cookie);
        let came = world.send("GET", path, &headers, "");
        let policy = came.header("content-security-policy").unwrap_or_else(|| panic!("{path} has no policy: {came:?}"));
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "form-action 'self'",
        ] {
            assert!(policy.contains(part), "{path}: {part}");
        }
        assert!(!policy.contains("unsafe"), "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(came.header(name), Some(value), "{path}");
        }
        let is_file = path.starts_with("/assets/");
        assert_eq!(came.header("cache-control") == Some("no-store"), !is_file, "{path}");
    }
    let came = world.send("GET", "/notes", "Accept: text/html\r\n", "");
    assert_eq!(came.header("location"), Some("/datasets/notes"), "the address that replicas know");
    for (host, status) in [("evil.example", 403), ("localhost", 200), ("127.0.0.1", 200)] {
        let head = format!("GET /sign-in HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        assert_eq!(ask(world.served.socket(), head.as_bytes()).expect("an answer").status, status, "{host}");
    }
}

#[test]
fn hostile_names_and_values_are_text() {
    let world = World::new();
    let browser = world.browser(&world.served.token().expect("a token"));
    let odd = "%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E";
    for path in [
        "/datasets/notes".to_string(),
        "/datasets/notes/tables/item".to_string(),
        format!("/datasets/notes/tables/{odd}"),
        format!("/datasets/notes/tables/{odd}/row?key=%5B%22%27%5C%22%3E%3Csvg%20onload%3Dalert%281%29%3E%22%5D"),
        "/datasets/notes/versions/1".to_string(),
        format!("/datasets/notes/conflicts?table={odd}&kind=%22%3E%3Cscript%3E"),
        format!("/datasets/notes/deleted?actor={odd}"),
        format!("/datasets/notes/tables/%22%3E{odd}"),
        format!("/sign-in?next=/%22%3E{odd}"),
    ] {
        let came = browser.get(&path);
        let page = text(&came);
        assert!(came.status < 500, "{path}: {}", came.status);
        for mark in ["<img src=x", "<svg ", "<script>", "alert(1)\"", "\"><"] {
            let ours = page.replace("\"></script>", "").replace("\"><", "\" ><");
            assert!(mark == "\"><" || !ours.contains(mark), "{path} has {mark}");
        }
    }
}

#[test]
fn an_open_page_hears_of_news_until_its_sign_in_ends() {
    let world = World::new();
    let token = world.served.token_of("ben", "notes", Role::Viewer);
    let browser = world.browser(token.reveal());
    let listen = |path: &str| {
        let mut line = Plain::to(world.served.socket());
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: {}\r\n\r\n", browser.cookie);
        line.send(head.as_bytes()).expect("sent");
        let came = line.answer().expect("it begins");
        assert_eq!((came.status, came.header("content-type")), (200, Some("text/event-stream")));
        line
    };
    let (mut one, mut all) = (listen("/datasets/notes/live"), listen("/live"));
    sql(&world.path("ada.db"), "UPDATE item SET v = 'c' WHERE id = 1");
    world.sync("ada.db");
    assert!(one.reads_until("event: changed") && all.reads_until("event: changed"));
    let id = world.served.registrar().identity(&token).expect("known").token;
    world.served.registrar().change(1, |_| Ok(vec![Fact::TokenRevoked(id)])).expect("revoked");
    assert!(one.reads_until("event: end") && all.reads_until("event: end"));
    assert!(one.is_closed() && all.is_closed());
}

#[test]
fn conflicts_are_answered_and_rows_put_back_in_place() {
    let world = World::new();
    let around = Seeded::around(5);
    let start = world.path("ada.db");
    let mut primary = world.served.primary("notes");
    let copy = world.path("ben.db");
    let address = world.served.address("notes").to_string();
    SqliteReplica::clone_from(&mut primary, &address, &copy, Some("ben"), around, &mut |_, _, _| {}).expect("cloned");
    let owner = world.browser(&world.served.token().expect("a token"));
    let wrong = owner.post("/datasets/notes/policy", "policy=nonsense+%3D");
    assert!(wrong.status == 200 && text(&wrong).contains("role=\"alert\"") && text(&wrong).contains("nonsense ="));
    assert_eq!(owner.post("/datasets/notes/policy", &format!("policy={POLICY}")).status, 303);
    sql(&start, "UPDATE item SET v = 'ours', n = 10 WHERE id = 1; UPDATE item SET v = 'ours' WHERE id = 2; DELETE FROM item WHERE id = 3");
    sql(&copy, "UPDATE item SET v = 'theirs', n = 20 WHERE id = 1; UPDATE item SET v = 'theirs' WHERE id = 2");
    world.sync("ada.db");
    world.sync("ben.db");
    let open = |primary: &mut dyn Primary| primary.conflicts(true).expect("listed");
    let all = open(&mut primary);
    assert_eq!(all.len(), 3);
    let id = |conflict: &Conflict| format!("{:016x}", conflict.id);
    let find = |key: i64, column: &str| {
        let is_it = |c: &&Conflict| c.key[0].as_integer() == Some(key) && c.column.as_deref() == Some(column);
        id(all.iter().find(is_it).expect("found"))
    };
    let reader = world.browser(world.served.token_of("ben", "notes", Role::Viewer).reveal());
    assert_eq!(reader.post("/datasets/notes/conflicts", &format!("conflict={}&choice=ours", find(1, "v"))).status, 403);
    assert!(!text(&reader.get("/datasets/notes/conflicts")).contains("Take what came in"));
    assert!(text(&owner.get("/datasets/notes/conflicts")).contains("Take what came in"));
    let value = format!("conflict={}&choice=value&value=15", find(1, "n"));
    assert_eq!(owner.post("/datasets/notes/conflicts", &value).status, 303);
    let both = format!("conflict={}&conflict={}&choice=ours", find(1, "v"), find(2, "v"));
    let came = owner.post("/datasets/notes/conflicts", &both);
    assert_eq!((came.status, came.header("location")), (303, Some("/datasets/notes/conflicts?done=answered")));
    assert!(open(&mut primary).is_empty());
    assert_eq!(owner.post("/datasets/notes/conflicts", &both).status, 409, "they are answered");
    let deleted = text(&owner.get("/datasets/notes/deleted"));
    let tombstone = deleted.split_once("name=\"tombstone\" value=\"").and_then(|(_, rest)| rest.split('"').next()).expect("a tombstone");
    assert_eq!(owner.post("/datasets/notes/deleted/restore", &format!("tombstone={tombstone}")).status, 303);
    assert_eq!(owner.post("/datasets/notes/deleted/restore", &format!("tombstone={tombstone}")).status, 409, "it is there");
    // Every copy has the same, and knows whose word it was.
    for name in ["ada.db", "ben.db"] {
        world.sync(name);
        let db = Connection::open(world.path(name)).expect("it opens");
        let mut statement = db.prepare("SELECT id, v, n FROM item ORDER BY id").expect("it parses");
        let rows: Vec<(i64, String, i64)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .expect("read")
            .map(|row| row.expect("a row"))
            .collect();
        let expected = [(1, "theirs".into(), 15), (2, "theirs".into(), 2), (3, "<script>alert(1)</script>".into(), 3)];
        assert_eq!(rows, expected, "{name}");
    }
    let head = primary.describe().expect("described").head.version;
    let last = primary.version(head).expect("read").expect("there");
    assert_eq!((last.header.actor.as_str(), last.header.title.as_deref()), ("owner", Some("Puts 1 row back")));
}

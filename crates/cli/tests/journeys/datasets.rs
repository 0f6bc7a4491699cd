//! Running the datasets of a server: what is listed, archived, exported, backed up, restored and deleted.
use crate::desk::Desk;
use crate::people::{Person, Serving, token_in};

const START: &str = "CREATE TABLE recipe (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO recipe VALUES (1, 'bread'), (2, 'soup');";

/// Webhooks may be on this machine.
const NEAR: &[&str] = &["--webhook-network", "127.0.0.0/8"];

/// A server with one dataset, its administrator ann with `ann.db`, and ben, who contributes, with `ben.db`.
fn begun(desk: &Desk) -> (Serving, Person<'_>, Person<'_>) {
    let server = Serving::begin(desk, NEAR);
    let (ann, ben) = (Person { desk, name: "ann" }, Person { desk, name: "ben" });
    desk.sql("ann.db", START);
    ann.ok(&["init", "ann.db"]);
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("a setup token")).code, 0);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    let token = token_in(&ann.json(&["access", "invite", &server.dataset(), "ben"]));
    assert_eq!(ben.login(&server, &token).code, 0);
    ben.ok(&["clone", &server.dataset(), "ben.db"]);
    (server, ann, ben)
}

#[test]
fn what_is_archived_is_read_and_not_written_and_only_then_deleted() {
    let desk = Desk::new();
    let (server, ann, ben) = begun(&desk);
    let (address, all) = (server.dataset(), server.address.clone());
    let listed = |person: &Person<'_>, more: &[&str]| {
        let listed = person.json(&[&["datasets", "list", &all], more].concat());
        listed.as_array().expect("a list").iter().map(|dataset| dataset["name"].as_str().expect("a name").to_string()).collect::<Vec<_>>()
    };
    assert_eq!((listed(&ann, &[]), listed(&ben, &[])), (vec!["recipes".to_string()], vec!["recipes".to_string()]));
    ben.run(&["datasets", "archive", &address]).refuses(3, "may not say how");
    ann.run(&["datasets", "delete", &address, "--confirm", "recipes"]).refuses(5, "not archived");
    ann.ok(&["datasets", "archive", &address]);
    assert_eq!((listed(&ben, &[]), listed(&ben, &["--all"])), (vec![], vec!["recipes".to_string()]));

    // It takes no changes, and they wait where they are.
    desk.sql("ben.db", "UPDATE recipe SET name = 'rye bread' WHERE id = 1;");
    ben.run(&["sync", "--db", "ben.db"]).refuses(5, "archived");
    ben.ok(&["pull", "--db", "ben.db"]);
    ben.ok(&["clone", &address, "another.db"]);
    ann.ok(&["datasets", "unarchive", &address]);
    ben.ok(&["sync", "--db", "ben.db"]);
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.sql("ann.db", "SELECT name FROM recipe WHERE id = 1;").trim(), "rye bread");

    ann.ok(&["datasets", "archive", &address]);
    ann.run(&["datasets", "delete", &address, "--confirm", "recipe"]).refuses(2, "not the name");
    ann.ok(&["datasets", "delete", &address, "--confirm", "recipes"]);
    assert_eq!(listed(&ann, &["--all"]), Vec::<String>::new());
    ben.run(&["sync", "--db", "ben.db"]).refuses(4, "recipes");

    // Whoever takes the name again gives nobody a role by it.
    desk.sql("new.db", START);
    ann.ok(&["init", "new.db"]);
    ann.ok(&["publish", &address, "--db", "new.db", "--dataset", "recipes"]);
    assert_eq!(listed(&ben, &["--all"]), Vec::<String>::new());
    assert_eq!(ann.json(&["access", "roles", &address]).as_array().map(Vec::len), Some(0));
}

#[test]
fn a_backup_is_made_exported_and_restored_while_the_server_runs() {
    let desk = Desk::new();
    let (server, ann, ben) = begun(&desk);
    let address = server.dataset();
    let before = ann.json(&["datasets", "backup", &address]);
    let name = before["backup"].as_str().expect("a name").to_string();
    desk.sql("ben.db", "INSERT INTO recipe VALUES (3, 'stew');");
    ben.ok(&["sync", "--db", "ben.db"]);
    ben.run(&["datasets", "export", &address, "stolen.backup"]).refuses(3, "may not say how");
    assert!(!desk.path("stolen.backup").exists());

    // What is exported is a whole primary, for whoever wants to run it.
    ann.ok(&["datasets", "export", &address, "recipes.backup"]);
    ann.run(&["datasets", "export", &address, "recipes.backup"]).refuses(5, "exists already");
    ann.ok(&["backup", "restore", "recipes.backup", "elsewhere"]);
    ann.ok(&["audit", "verify", "elsewhere"]);
    ann.ok(&["clone", "elsewhere", "own.db"]);
    assert_eq!(desk.sql("own.db", "SELECT count(*) FROM recipe;").trim(), "3");

    // A restored dataset has lost ben's row, and ben brings it back.
    ann.run(&["datasets", "restore", &address, "none"]).refuses(4, "no backup none");
    let restored = ann.json(&["datasets", "restore", &address, &name]);
    assert_ne!(restored["epoch"], before["epoch"]);
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.sql("ann.db", "SELECT count(*) FROM recipe;").trim(), "2");
    ben.ok(&["sync", "--db", "ben.db"]);
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.rows("ann.db"), desk.rows("ben.db"));
    assert_eq!(desk.sql("ann.db", "SELECT name FROM recipe WHERE id = 3;").trim(), "stew");
    ann.ok(&["audit", "verify", "data/recipes"]);
    assert_eq!(ann.json(&["datasets", "backups", &address]).as_array().map(Vec::len), Some(2), "and what was replaced");
    assert!(ann.ok(&["datasets", "backups", &address]).contains(&name));
}

#[test]
fn a_whole_server_is_backed_up_while_it_runs_and_put_back_after_its_disk_died() {
    let desk = Desk::new();
    let (server, ann, ben) = begun(&desk);
    ann.ok(&["webhook", "add", &server.dataset(), "http://127.0.0.1:9/told"]);
    let made = ann.json(&["backup", "create", "data", "kept"]);
    let kinds: Vec<&str> = made.as_array().expect("a list").iter().map(|one| one["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["accounts", "webhooks", "primary"]);
    for one in made.as_array().expect("a list") {
        use std::os::unix::fs::PermissionsExt;
        let file = desk.path(one["file"].as_str().expect("a file"));
        assert_eq!(std::fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    assert_eq!(ann.json(&["backup", "list", "kept"]).as_array().map(Vec::len), Some(3));
    // What came later is lost with the disk, and comes back from whoever has it.
    desk.sql("ben.db", "INSERT INTO recipe VALUES (3, 'stew');");
    ben.ok(&["sync", "--db", "ben.db"]);
    let accounts = made[0]["file"].as_str().expect("a file").to_string();
    ann.run(&["backup", "restore", &accounts, "data", "--force"]).refuses(6, "in use");
    let address = server.address.clone();
    drop(server);
    std::fs::remove_dir_all(desk.path("data")).expect("it is gone");
    for one in made.as_array().expect("a list") {
        let folder = if one["kind"] == "primary" { "data/recipes" } else { "data" };
        ann.ok(&["backup", "restore", one["file"].as_str().expect("a file"), folder]);
    }
    let server = Serving::begin_at(&desk, address.trim_start_matches("http://"), NEAR);
    assert_eq!(server.setup, None, "who administers it is known");
    assert_eq!(ann.json(&["access", "whoami", &server.address])["is_administrator"], true);
    assert_eq!(ann.json(&["webhook", "list", &server.dataset()])["items"].as_array().map(Vec::len), Some(1));
    ben.ok(&["sync", "--db", "ben.db"]);
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.sql("ann.db", "SELECT name FROM recipe WHERE id = 3;").trim(), "stew");
    ann.ok(&["audit", "verify", "data/recipes"]);
    // Another is not taken for it: a byte that differs is no backup any more.
    let file = desk.path(&accounts);
    let mut bytes = std::fs::read(&file).expect("it is there");
    let at = bytes.windows(3).position(|part| part == b"ben").expect("a name is in it");
    bytes[at] = b'k';
    std::fs::write(&file, bytes).expect("written");
    ann.run(&["backup", "restore", &accounts, "elsewhere"]).refuses(7, "is not what it was");
    assert!(!desk.path("elsewhere/server.db").exists());
}

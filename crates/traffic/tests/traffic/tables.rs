//! People with a role on some tables alone: they see these, and hear of the rest what they would of nothing (T40, I7).
use mainstem::core::ErrorKind;
use mainstem::core::account::Fact;
use mainstem::core::authority::Role;
use mainstem::core::scope::Scope;
use mainstem::error::Error;
use mainstem::primary::Primary;
use mainstem::replica::Replica;
use mainstem::sync::{self, Report};
use mainstem::token::Secret;
use mainstem::wiring::Around;
use mainstem_http::client::HttpPrimary;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::{CloneOptions, InitOptions};
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::plain::{Came, ask};
use mainstem_traffic::{Following, Served};
use rusqlite::Connection;
use serde_json::Value as Json;
use std::path::PathBuf;
use tempfile::TempDir;

fn quiet(_: &str, _: u64, _: u64) {}

const START: &str = "
    CREATE TABLE recipe (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE step (id INTEGER PRIMARY KEY, recipe INTEGER REFERENCES recipe, what TEXT);
    CREATE TABLE salary (id INTEGER PRIMARY KEY, who TEXT);
    CREATE VIEW paid AS SELECT who FROM salary;
    INSERT INTO recipe VALUES (1, 'bread'), (2, 'soup');
    INSERT INTO step VALUES (1, 1, 'knead');
    INSERT INTO salary VALUES (1, 'topsecret');";

struct Kitchen {
    folder: TempDir,
    around: Around,
    served: Served,
}

/// Somebody with a token and a copy.
struct Member<'k> {
    kitchen: &'k Kitchen,
    name: &'static str,
    token: Secret,
}

impl Kitchen {
    fn new() -> Kitchen {
        let folder = tempfile::tempdir().expect("a folder");
        let around = Seeded::around(3);
        let served = Served::begin(&folder.path().join("data"), around.clone());
        let kitchen = Kitchen { folder, around, served };
        let file = kitchen.file("owner");
        Connection::open(&file).expect("it opens").execute_batch(START).expect("it runs");
        SqliteReplica::init(&file, &InitOptions::default(), kitchen.around.clone(), &mut quiet).expect("tracked");
        let mut replica = SqliteReplica::open(&file, kitchen.around.clone()).expect("it opens");
        replica.publish_at(&mut kitchen.served.place("kitchen"), Some("kitchen"), "owner", &mut quiet).expect("published");
        let policy = "# about salaries\n[tables.salary]\ndeletes = \"manual\"\n[tables.step.columns.what]\nstrategy = \"manual\"\n";
        kitchen.served.primary("kitchen").set_policy(policy, "owner").expect("a policy");
        kitchen
    }
    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }
    fn owner(&self) -> Member<'_> {
        let token = Secret::parse(&self.served.token().expect("a token")).expect("one");
        Member { kitchen: self, name: "owner", token }
    }
    /// An actor with a role on each of these tables, and none on the dataset.
    fn member(&self, name: &'static str, roles: &[(&str, Role)]) -> Member<'_> {
        let token = self.served.token_of(name, "elsewhere", Role::Viewer);
        let member = Member { kitchen: self, name, token };
        roles.iter().for_each(|(table, role)| member.set_role(Some(table), Some(*role)));
        member
    }
}

impl Member<'_> {
    fn set_role(&self, table: Option<&str>, role: Option<Role>) {
        let registrar = self.kitchen.served.registrar();
        let actor = registrar.accounts().named(self.name).expect("added").id;
        let fact = Fact::RoleSet { actor, dataset: "kitchen".into(), table: table.map(Into::into), role };
        registrar.change(1, |_| Ok(vec![fact.clone()])).expect("a role");
    }
    fn primary(&self) -> HttpPrimary {
        self.kitchen.served.primary_as("kitchen", Some(self.token.reveal().to_string()))
    }
    fn clone_all(&self) -> Result<(), Error> {
        let address = self.kitchen.served.address("kitchen").to_string();
        let wanted = CloneOptions { address: &address, actor: Some(self.name), scope: &Scope::everything() };
        let file = self.kitchen.file(self.name);
        SqliteReplica::clone_part(&mut self.primary(), &wanted, &file, self.kitchen.around.clone(), &mut quiet).map(drop)
    }
    fn replica(&self) -> SqliteReplica {
        SqliteReplica::open(&self.kitchen.file(self.name), self.kitchen.around.clone()).expect("it opens")
    }
    fn sync(&self) -> Result<Report, Error> {
        sync::sync(&mut self.replica(), &mut self.primary(), self.name, &mut quiet)
    }
    /// SQL as a program runs it that does not enforce links.
    fn sql(&self, sql: &str) {
        let connection = Connection::open(self.kitchen.file(self.name)).expect("it opens");
        connection.execute_batch(&format!("PRAGMA foreign_keys = off; {sql}")).expect(sql);
    }
    fn value(&self, sql: &str) -> String {
        Connection::open(self.kitchen.file(self.name)).expect("it opens").query_row(sql, [], |row| row.get(0)).expect(sql)
    }
    /// The app's tables.
    fn tables(&self) -> String {
        self.value(
            "SELECT coalesce(group_concat(name), '') FROM (SELECT name FROM sqlite_master WHERE type IN ('table', 'view')
             AND name NOT LIKE 'mainstem%' AND name NOT LIKE 'sqlite%' ORDER BY name)",
        )
    }
    fn get(&self, path: &str) -> Came {
        let request = format!(
            "GET /api/v1/datasets{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
            self.token.reveal()
        );
        ask(self.kitchen.served.socket(), request.as_bytes()).expect("an answer")
    }
    fn verified(&self) {
        let verified = self.replica().verify(Some(&mut self.primary()), &mut quiet).expect("it is compared");
        assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    }
}

#[test]
fn a_role_on_a_table_alone_is_a_copy_of_that_table() {
    let kitchen = Kitchen::new();
    let (owner, ben) = (kitchen.owner(), kitchen.member("ben", &[("STEP", Role::Contributor)]));
    ben.clone_all().expect("a clone");
    // What it refers to is declared, with nothing in it.
    assert_eq!(ben.tables(), "recipe,step");
    assert_eq!(ben.value("SELECT group_concat(what) || (SELECT count(*) FROM recipe) FROM step"), "knead0");
    owner.sql("UPDATE salary SET who = 'topsecret 2'; INSERT INTO step VALUES (2, 1, 'bake'); INSERT INTO recipe VALUES (3, 'topsecret')");
    ben.sql("INSERT INTO step VALUES (2, 1, 'cool')");
    ben.sync().expect("sent");
    owner.sync().expect("sent");
    ben.sync().expect("received");
    let steps = "SELECT group_concat(what) FROM (SELECT what FROM step ORDER BY what)";
    assert_eq!((ben.value(steps), owner.value(steps)), ("bake,cool,knead".into(), "bake,cool,knead".into()));
    ben.verified();
    let kept = std::fs::read(kitchen.file("ben")).expect("it is there");
    for word in ["topsecret", "salar", "paid"] {
        assert!(!kept.windows(word.len()).any(|bytes| bytes == word.as_bytes()), "{word} was sent");
    }
    // The rows of other tables and the tables themselves are not his to write: his copy keeps what he wrote.
    ben.sql("INSERT INTO recipe VALUES (9, 'mine'); UPDATE step SET what = 'cool down' WHERE what = 'cool'");
    let report = ben.sync().expect("the rest is sent");
    assert_eq!((report.set_aside, report.pushed_changes), (1, 1), "{report:?}");
    owner.sync().expect("received");
    assert_eq!(owner.value("SELECT count(*) || (SELECT group_concat(what) FROM step WHERE what LIKE 'cool%') FROM recipe"), "3cool down");
    ben.sql("ALTER TABLE step ADD COLUMN minutes INTEGER");
    let refused = ben.sync().expect_err("a schema is for whoever sees all of it");
    assert_eq!((refused.kind, refused.code), (ErrorKind::Denied, "forbidden"));
}

#[test]
fn what_may_only_be_read_is_not_written_in_part_either() {
    let kitchen = Kitchen::new();
    let owner = kitchen.owner();
    let ben = kitchen.member("ben", &[("step", Role::Contributor), ("recipe", Role::Viewer)]);
    ben.clone_all().expect("a clone");
    assert_eq!(ben.tables(), "recipe,step");
    let head = |member: &Member<'_>| member.primary().describe().expect("he reads").head;
    let before = head(&owner);
    ben.sql("UPDATE recipe SET name = 'cake' WHERE id = 1; INSERT INTO step VALUES (2, 2, 'stir')");
    let refused = ben.sync().expect_err("recipes are only read");
    assert_eq!((refused.kind, refused.code), (ErrorKind::Denied, "forbidden"));
    assert!(refused.message.contains("table recipe"), "{refused}");
    assert_eq!(head(&owner), before, "nothing of it was taken");
    assert_eq!(ben.value("SELECT name FROM recipe WHERE id = 1"), "cake", "and nothing of it is lost");
    ben.sql("UPDATE recipe SET name = 'bread' WHERE id = 1");
    ben.set_role(Some("recipe"), Some(Role::Contributor));
    ben.sync().expect("sent");
    owner.sync().expect("received");
    assert_eq!(owner.value("SELECT name || (SELECT what FROM step WHERE id = 2) FROM recipe WHERE id = 1"), "breadstir");
}

#[test]
fn i7_a_role_comes_and_goes_and_no_edit_is_lost() {
    let kitchen = Kitchen::new();
    let (owner, ben) = (kitchen.owner(), kitchen.member("ben", &[("step", Role::Contributor)]));
    ben.clone_all().expect("a clone");
    // Granted: rows come that are older than all he holds.
    ben.set_role(Some("salary"), Some(Role::Contributor));
    assert!(ben.sync().expect("a sync").is_reseeded);
    assert_eq!((ben.tables().as_str(), ben.value("SELECT who FROM salary").as_str()), ("paid,recipe,salary,step", "topsecret"));
    // Revoked while he is away and works.
    ben.sql("UPDATE salary SET who = 'unsent'; INSERT INTO step VALUES (2, 2, 'boil')");
    ben.set_role(Some("salary"), None);
    let report = ben.sync().expect("a sync");
    assert_eq!((report.set_aside, report.pushed_changes, report.is_reseeded), (1, 1, true), "{report:?}");
    assert_eq!(ben.tables(), "recipe,step");
    assert_eq!(ben.replica().stashes().expect("what was set aside").len(), 1);
    ben.verified();
    owner.sync().expect("received");
    assert_eq!(owner.value("SELECT who || (SELECT what FROM step WHERE id = 2) FROM salary"), "topsecretboil");
    // Under another name it is the same table.
    owner.sql("DROP VIEW paid; ALTER TABLE step RENAME TO stage");
    owner.sync().expect("sent");
    ben.sync().expect("received");
    ben.sql("INSERT INTO stage VALUES (3, 1, 'rest')");
    assert_eq!(ben.sync().expect("sent").pushed_changes, 1);
    ben.verified();
    // Without any role there is no such dataset, and all that he has stays his.
    ben.set_role(Some("step"), None);
    ben.sql("INSERT INTO stage VALUES (4, 1, 'eat')");
    assert_eq!(ben.sync().expect_err("it is gone").code, "no_primary");
    ben.set_role(Some("step"), Some(Role::Contributor));
    assert_eq!(ben.sync().expect("sent").pushed_changes, 1);
    owner.sync().expect("received");
    assert_eq!(owner.value("SELECT group_concat(what) FROM (SELECT what FROM stage ORDER BY id)"), "knead,boil,rest,eat");
    // The whole is a role on the dataset.
    ben.set_role(None, Some(Role::Viewer));
    ben.sync().expect("received");
    assert_eq!(ben.value("SELECT name FROM recipe WHERE id = 2"), "soup");
}

/// What an answer says, with the name of what was asked for taken out.
fn said(came: &Came, name: &str) -> (u16, String) {
    let mut body = came.json();
    body.as_object_mut().map(|body| body.remove("request_id"));
    (came.status, body.to_string().replace(name, "NAME"))
}

#[test]
fn in_json_a_hidden_table_is_no_table() {
    let kitchen = Kitchen::new();
    let (owner, ben) = (kitchen.owner(), kitchen.member("ben", &[("step", Role::Viewer)]));
    let stranger = kitchen.member("eve", &[]);
    let edit = "UPDATE salary SET who = 'topsecret 2'; DELETE FROM salary WHERE id = 1; INSERT INTO salary VALUES (2, 'topsecret 3')";
    owner.sql(edit);
    owner.replica().commit("owner", Some("about salaries"), "").expect("a changeset");
    owner.sync().expect("sent");
    owner.sql("UPDATE step SET what = 'knead well'; DELETE FROM salary; CREATE VIEW poor AS SELECT 1 AS one FROM salary");
    owner.sync().expect("sent");
    for path in ["", "/policy", "/versions", "/versions/2", "/versions/2/changes", "/versions/3", "/versions/3/changes"]
        .into_iter()
        .chain(["/conflicts", "/tombstones", "/feed", "/tables/step/rows", "/tables/step/history?key=1", "/tables/step/blame?key=1"])
    {
        let came = ben.get(&format!("/kitchen{path}"));
        assert_eq!(came.status, 200, "{path}: {}", came.json());
        let text = came.json().to_string();
        for word in ["salar", "topsecret", "paid", "poor"] {
            assert!(!text.contains(word), "{path}: {text}");
        }
        let (hidden, absent) = (stranger.get(&format!("/kitchen{path}")), stranger.get(&format!("/nosuch{path}")));
        assert_eq!(said(&hidden, "kitchen"), said(&absent, "nosuch"), "{path}");
    }
    for path in ["rows", "rows?at=1", "history?key=1", "blame?key=1"] {
        let [hidden, absent] = ["salary", "nosuch"].map(|table| said(&ben.get(&format!("/kitchen/tables/{table}/{path}")), table));
        assert_eq!(hidden, absent, "{path}");
    }
    let listed = ben.get("").json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    let kinds: Vec<Json> = ben.get("/kitchen/feed?from=1").json()["items"].as_array().expect("a list").clone();
    assert_eq!(kinds.iter().map(|event| event["after"]["what"].as_str()).collect::<Vec<_>>(), [Some("knead well")]);
    for path in ["/export", "/backups", "/roles", "/webhooks"] {
        let came = ben.get(&format!("/kitchen{path}"));
        assert_eq!((came.status, came.code().as_str()), (403, "forbidden"), "{path}");
    }
}

#[test]
fn a_stream_ends_where_another_part_begins() {
    let kitchen = Kitchen::new();
    let (owner, ben) = (kitchen.owner(), kitchen.member("ben", &[("step", Role::Viewer)]));
    let authorization = format!("Authorization: Bearer {}\r\n", ben.token.reveal());
    let path = "/api/v1/datasets/kitchen/feed?from=1&follow=true";
    let mut following = Following::begin(kitchen.served.socket(), path, &format!("{authorization}Accept: application/x-ndjson\r\n"));
    owner.sql("UPDATE salary SET who = 'topsecret 2'; UPDATE step SET what = 'fold' WHERE id = 1");
    owner.sync().expect("sent");
    let told = following.said().expect("a line");
    assert!(told.contains("fold") && !told.contains("topsecret"), "{told}");
    ben.set_role(Some("salary"), Some(Role::Viewer));
    owner.sql("UPDATE salary SET who = 'topsecret 3'");
    owner.sync().expect("sent");
    let told = following.said().expect("a line");
    assert!(told.contains("other_scope") && !told.contains("topsecret"), "{told}");
}

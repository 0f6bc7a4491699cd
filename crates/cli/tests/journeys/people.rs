//! Several people and a server: who they are, what they may do, and what happens to their work when that ends.
use crate::desk::{Desk, Said, feed, finish};
use serde_json::Value as Json;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

const START: &str = "
    CREATE TABLE recipe (id INTEGER PRIMARY KEY, name TEXT, minutes INTEGER);
    CREATE TABLE step (id INTEGER PRIMARY KEY, recipe INTEGER REFERENCES recipe, text TEXT);
    INSERT INTO recipe VALUES (1, 'bread', 90), (2, 'soup', 40);
    INSERT INTO step VALUES (1, 1, 'knead');
";

/// A server that ends with its value. What it logs is in a file of the desk.
pub struct Serving {
    /// The program.
    pub child: Child,
    /// The server's.
    pub address: String,
    /// What the first administrator is made by.
    pub setup: Option<String>,
}

impl Serving {
    /// Begins on a free port.
    pub fn begin(desk: &Desk, more: &[&str]) -> Serving {
        Serving::begin_at(desk, "127.0.0.1:0", more)
    }
    /// Begins on that port.
    pub fn begin_at(desk: &Desk, listen: &str, more: &[&str]) -> Serving {
        let log = std::fs::File::options().create(true).append(true).open(desk.path("server.log")).expect("a file");
        let args = [&["serve", "--data", "data", "--listen", listen, "--json"], more].concat();
        let mut child = desk.program(&args).stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let said: Json = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        let address = format!("http://{}", said["listening"].as_str().expect("where it listens"));
        Serving { child, address, setup: said["setup_token"].as_str().map(str::to_string) }
    }
    /// The address of its dataset.
    pub fn dataset(&self) -> String {
        format!("{}/recipes", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

/// Somebody with a configuration of their own.
pub struct Person<'d> {
    /// Where they work.
    pub desk: &'d Desk,
    /// What they are called.
    pub name: &'static str,
}

impl Person<'_> {
    /// Where their settings are.
    pub fn config(&self) -> PathBuf {
        self.desk.path(&format!("{}-config", self.name))
    }
    /// Runs a command.
    pub fn run(&self, args: &[&str]) -> Said {
        finish(self.desk.program(args).env("XDG_CONFIG_HOME", self.config()))
    }
    /// Runs a command that must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, 0, "{}: mainstem {}: {said:?}", self.name, args.join(" "));
        said.out
    }
    /// The same, for its JSON.
    pub fn json(&self, args: &[&str]) -> Json {
        let out = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }
    /// Logs in.
    pub fn login(&self, server: &Serving, token: &str) -> Said {
        let mut command = self.desk.program(&["login", &server.address, "--as", self.name]);
        feed(command.env("XDG_CONFIG_HOME", self.config()), format!("{token}\n").as_bytes())
    }
}

/// The token that was created.
pub fn token_in(created: &Json) -> String {
    created["token"].as_str().expect("a token").to_string()
}

/// Every file below a folder that holds a text.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).expect("readable").windows(text.len()).any(|part| part == text.as_bytes()) {
            found.push(path);
        }
    }
    found
}

#[test]
fn people_are_let_in_and_shut_out_and_no_work_is_lost() {
    let desk = Desk::new();
    let server = Serving::begin(&desk, &[]);
    let setup = server.setup.clone().expect("nobody administers it yet");
    let (ann, ben) = (Person { desk: &desk, name: "ann" }, Person { desk: &desk, name: "ben" });
    desk.sql("ann.db", START);
    ann.ok(&["init", "ann.db"]);

    // Without a token nothing is told, and with a mistyped one nothing is sent.
    ann.run(&["publish", &server.dataset(), "--db", "ann.db"]).refuses(3, "token");
    ann.login(&server, &setup[1..]).refuses(2, "no token");
    assert_eq!(ann.login(&server, &setup).code, 0);
    let again = ben.login(&server, &setup);
    again.refuses(3, "unknown, has expired or was revoked");
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);

    let invited = ann.json(&["access", "invite", &server.dataset(), "ben"]);
    let first = token_in(&invited);
    assert_eq!(ben.login(&server, &first).code, 0);
    ben.ok(&["clone", &server.dataset(), "ben.db"]);
    desk.sql("ben.db", "UPDATE recipe SET minutes = 30 WHERE id = 2;");
    // Whatever he calls himself here, he is who his token says.
    ben.ok(&["sync", "--db", "ben.db", "--as", "ann"]);
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.sql("ann.db", "SELECT minutes FROM recipe WHERE id = 2;").trim(), "30");
    let blamed = ann.ok(&["blame", "recipe", "2", "--db", "ann.db"]);
    assert!(blamed.lines().any(|line| line.contains("minutes") && line.contains("ben")), "{blamed}");

    let id = invited["id"].to_string();
    ann.ok(&["access", "revoke", &server.address, &id]);
    desk.sql("ben.db", "UPDATE recipe SET name = 'rye bread' WHERE id = 1; INSERT INTO step VALUES (9, 2, 'simmer');");
    let before = desk.rows("ben.db");
    ben.run(&["sync", "--db", "ben.db"]).refuses(3, "token");
    assert_eq!(desk.rows("ben.db"), before);

    let second = token_in(&ann.json(&["access", "invite", &server.dataset(), "ben"]));
    assert_eq!(ben.login(&server, &second).code, 0);
    ben.ok(&["sync", "--db", "ben.db"]);
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.rows("ann.db"), desk.rows("ben.db"));
    assert_eq!(desk.sql("ann.db", "SELECT name FROM recipe WHERE id = 1;").trim(), "rye bread");

    // After all that, each token is where it is kept for its owner, and nowhere else: not in the server's files, not in its log.
    drop(server);
    for (token, kept_by) in [(&setup, None), (&first, None), (&second, Some(&ben))] {
        let kept: Vec<PathBuf> = kept_by.iter().map(|person| person.config().join("mainstem/tokens.json")).collect();
        assert_eq!(files_with(desk.path("").as_path(), token), kept, "{token}");
        // The random part alone is as good as the whole.
        assert_eq!(files_with(desk.path("").as_path(), &token[token.len() - 40..]), kept);
    }
    assert_eq!(files_with(&desk.path("data"), "mainstem_setup_"), Vec::<PathBuf>::new());
}

#[test]
fn roles_say_what_may_be_done_and_by_which_table() {
    let desk = Desk::new();
    let server = Serving::begin(&desk, &[]);
    let (ann, ben) = (Person { desk: &desk, name: "ann" }, Person { desk: &desk, name: "ben" });
    desk.sql("ann.db", START);
    ann.ok(&["init", "ann.db"]);
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("a setup token")).code, 0);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    let token = token_in(&ann.json(&["access", "invite", &server.dataset(), "ben", "--role", "viewer"]));
    assert_eq!(ben.login(&server, &token).code, 0);
    ben.ok(&["clone", &server.dataset(), "ben.db"]);
    ben.ok(&["sync", "--db", "ben.db"]);

    // A viewer's edits stay with him until he may send them.
    desk.sql("ben.db", "INSERT INTO step VALUES (2, 1, 'bake');");
    ben.run(&["sync", "--db", "ben.db"]).refuses(3, "may not push");
    ben.ok(&["pull", "--db", "ben.db"]);
    ann.ok(&["access", "grant", &server.dataset(), "ben", "contributor", "--table", "STEP"]);
    ben.ok(&["sync", "--db", "ben.db"]);
    desk.sql("ben.db", "UPDATE recipe SET minutes = 1 WHERE id = 1;");
    ben.run(&["sync", "--db", "ben.db"]).refuses(3, "table recipe");
    desk.sql("ben.db", "UPDATE recipe SET minutes = 90 WHERE id = 1; CREATE TABLE mine (id INTEGER PRIMARY KEY);");
    ben.run(&["sync", "--db", "ben.db"]).refuses(3, "may not push");
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.sql("ann.db", "SELECT text FROM step WHERE id = 2;").trim(), "bake");
    assert_eq!(desk.sql("ann.db", "SELECT minutes FROM recipe WHERE id = 1;").trim(), "90");

    // What is an owner's or an administrator's to do is not his.
    ben.run(&["access", "roles", &server.dataset()]).refuses(3, "may not");
    ben.run(&["access", "actors", &server.address]).refuses(3, "may not");
    ben.run(&["clone", &format!("{}/secrets", server.address), "x.db"]).refuses(4, "secrets");
    ann.run(&["access", "demote", &server.address, "ann"]).refuses(5, "nobody would be left");
    ann.run(&["access", "add", &server.address, "Ben"]).refuses(5, "another actor's");
    let me = ben.json(&["access", "whoami", &server.address]);
    assert_eq!((me["actor"].as_str(), me["is_administrator"].as_bool()), (Some("ben"), Some(false)));
    // It says who gave whom what.
    let log = ann.ok(&["access", "log", &server.address]);
    assert!(log.lines().any(|line| line.contains("ann") && line.contains("role set ben contributor recipes STEP")), "{log}");
}

#[test]
fn a_role_on_a_table_alone_is_that_table() {
    let desk = Desk::new();
    let server = Serving::begin(&desk, &[]);
    let (ann, ben) = (Person { desk: &desk, name: "ann" }, Person { desk: &desk, name: "ben" });
    desk.sql("ann.db", START);
    ann.ok(&["init", "ann.db"]);
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("a setup token")).code, 0);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    let token = token_in(&ann.json(&["access", "invite", &server.dataset(), "ben"]));
    assert_eq!(ben.login(&server, &token).code, 0);
    ann.ok(&["access", "withdraw", &server.dataset(), "ben"]);
    ben.run(&["clone", &server.dataset(), "ben.db"]).refuses(4, "no dataset recipes");
    ann.ok(&["access", "grant", &server.dataset(), "ben", "contributor", "--table", "recipe"]);
    ben.ok(&["clone", &server.dataset(), "ben.db"]);
    assert_eq!(desk.rows("ben.db"), desk.rows_without("ann.db", &["step"]));
    desk.sql("ben.db", "UPDATE recipe SET minutes = 30 WHERE id = 2;");
    desk.sql("ann.db", "UPDATE step SET text = 'topsecret'; INSERT INTO recipe VALUES (3, 'cake', 50);");
    for person in [&ann, &ben, &ann] {
        person.ok(&["sync", "--db", &format!("{}.db", person.name)]);
    }
    assert_eq!(desk.rows("ben.db"), desk.rows_without("ann.db", &["step"]));
    assert_eq!(ben.json(&["verify", "--db", "ben.db"])["ok"], true);
    let told = ben.ok(&["feed", &server.dataset(), "--from", "1"]);
    assert!(told.contains("cake") && !told.contains("topsecret"), "{told}");
    // What he is shown more, comes; what he wrote where he may not any more, stays with him.
    ann.ok(&["access", "grant", &server.dataset(), "ben", "contributor", "--table", "step"]);
    ben.ok(&["sync", "--db", "ben.db"]);
    assert_eq!(desk.rows("ben.db"), desk.rows("ann.db"));
    desk.sql("ben.db", "UPDATE step SET text = 'knead it'; UPDATE recipe SET minutes = 31 WHERE id = 2;");
    ann.ok(&["access", "withdraw", &server.dataset(), "ben", "--table", "step"]);
    let said = ben.ok(&["sync", "--db", "ben.db"]);
    assert!(said.contains("stash"), "{said}");
    assert!(ben.ok(&["stash", "list", "--db", "ben.db"]).contains("outside what this copy may see"));
    ann.ok(&["sync", "--db", "ann.db"]);
    assert_eq!(desk.sql("ann.db", "SELECT text, minutes FROM step JOIN recipe ON recipe.id = 2;").trim(), "topsecret|31");
    assert_eq!(desk.rows("ben.db"), desk.rows_without("ann.db", &["step"]));
}

#[test]
fn whoever_logs_in_anew_goes_on_with_the_same_copy() {
    let desk = Desk::new();
    let server = Serving::begin(&desk, &[]);
    let ann = Person { desk: &desk, name: "ann" };
    desk.sql("ann.db", START);
    ann.ok(&["init", "ann.db"]);
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("a setup token")).code, 0);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    desk.sql("ann.db", "UPDATE recipe SET minutes = 91 WHERE id = 1;");
    ann.ok(&["sync", "--db", "ann.db"]);
    // She leaves the administrator's account for one of her own: the copy is registered to that one from here on.
    let token = token_in(&ann.json(&["access", "invite", &server.dataset(), "anna"]));
    assert_eq!(ann.login(&server, &token).code, 0);
    desk.sql("ann.db", "UPDATE recipe SET minutes = 92 WHERE id = 1;");
    ann.ok(&["sync", "--db", "ann.db"]);
    let replicas = ann.json(&["access", "replicas", &server.address]);
    assert_eq!(replicas.as_array().map(Vec::len), Some(1), "{replicas}");
    let replica = replicas[0]["replica"].as_str().expect("a name").to_string();
    // A copy that was lost is shut out, whatever token it has.
    ann.ok(&["access", "shut", &server.address, &replica]);
    desk.sql("ann.db", "UPDATE recipe SET minutes = 93 WHERE id = 1;");
    ann.run(&["sync", "--db", "ann.db"]).refuses(3, "shut out");
    ann.ok(&["logout", &server.address]);
    ann.run(&["access", "whoami", &server.address]).refuses(3, "token");
    assert!(ann.login(&server, &token).code == 3, "logging out revokes the token");
    // Nobody can log in as an administrator any more, except through whoever runs the server.
    drop(server);
    let server = Serving::begin(&desk, &["--setup-token"]);
    assert_eq!(Person { desk: &desk, name: "eve" }.login(&server, server.setup.as_deref().expect("asked for")).code, 0);
    drop(server);
    assert_eq!(Serving::begin(&desk, &[]).setup, None, "it is set up");
}

#[test]
fn what_one_token_did_is_listed_and_taken_back_at_once() {
    let desk = Desk::new();
    let server = Serving::begin(&desk, &[]);
    let (ann, ben) = (Person { desk: &desk, name: "ann" }, Person { desk: &desk, name: "ben" });
    desk.sql("ann.db", START);
    ann.ok(&["init", "ann.db"]);
    assert_eq!(ann.login(&server, server.setup.as_deref().expect("a setup token")).code, 0);
    ann.ok(&["publish", &server.dataset(), "--db", "ann.db", "--dataset", "recipes"]);
    ann.ok(&["access", "invite", &server.dataset(), "ben"]);
    let robot = token_in(&ann.json(&["access", "token", &server.address, "--for", "ben", "--label", "robot"]));
    let before = desk.rows("ann.db");

    assert_eq!(ben.login(&server, &robot).code, 0);
    ben.ok(&["clone", &server.dataset(), "ben.db"]);
    for sql in [
        "UPDATE recipe SET minutes = 30 WHERE id = 2",
        "UPDATE recipe SET minutes = 31 WHERE id = 2; INSERT INTO step VALUES (9, 2, 'simmer')",
    ] {
        desk.sql("ben.db", &format!("{sql};"));
        ben.ok(&["sync", "--db", "ben.db"]);
    }
    desk.sql("ben.db", "UPDATE recipe SET name = 'by robot' WHERE id = 1;");
    let id = ben.json(&["propose", "--db", "ben.db", "-m", "a name"])["proposal"].to_string();
    ann.ok(&["merge", &id, "--force", "--db", "ann.db"]);
    ben.ok(&["sync", "--db", "ben.db"]);
    desk.sql("ben.db", "UPDATE recipe SET name = 'left open' WHERE id = 2;");
    let open = ben.json(&["propose", "--db", "ben.db", "-m", "another name"])["proposal"].to_string();
    ann.ok(&["sync", "--db", "ann.db"]);
    desk.sql("ann.db", "UPDATE recipe SET name = 'by ann' WHERE id = 1;");
    ann.ok(&["sync", "--db", "ann.db"]);

    let did = ann.json(&["log", "--token", "robot", "--db", "ann.db"]);
    let events: Vec<&str> = did.as_array().expect("a list").iter().map(|deed| deed["act"].as_str().unwrap_or("version")).collect();
    assert_eq!(events, ["revise", "version", "revise", "version", "version"], "{did}");
    assert_eq!(ann.json(&["log", "--token", "robot", "--actor", "ann", "--db", "ann.db"]).to_string(), "[]");
    ann.run(&["revert", "--token", "nobody", "--db", "ann.db"]).refuses(4, "no version and no open proposal came with a token");
    let would = ann.json(&["revert", "--token", "robot", "--dry-run", "--db", "ann.db"]);
    let said = ann.ok(&["revert", "--token", "robot", "--dry-run", "--db", "ann.db"]);
    assert!(said.contains(&format!("proposal {open} is open; --withdraw closes it as well")), "{said}");
    let done = ann.json(&["revert", "--token", "robot", "--withdraw", "--db", "ann.db"]);
    let state = |list: &Json| [list[0]["proposal"].to_string(), list[0]["state"].as_str().expect("a state").to_owned()];
    assert_eq!((state(&would), state(&done)), ([open.clone(), "open".to_owned()], [open.clone(), "withdrawn".to_owned()]));
    let reverts = |list: &Json| list.as_array().expect("a list")[1..].iter().map(|one| one["reverts"].to_string()).collect::<Vec<_>>();
    assert_eq!((reverts(&would), reverts(&done).len()), (reverts(&done), 3));
    let conflicts = |at: usize| done[at + 1]["conflicts"].as_array().expect("a list").len();
    assert_eq!([conflicts(0), conflicts(1), conflicts(2)], [1, 0, 0], "what ann wrote since stays, and is said: {done}");
    assert_eq!(desk.sql("ann.db", "SELECT name FROM recipe WHERE id = 1;").trim(), "by ann");
    desk.sql("ann.db", "UPDATE recipe SET name = 'bread' WHERE id = 1;");
    assert_eq!(ann.run(&["sync", "--db", "ann.db"]).code, 5, "the conflict is open");
    ben.ok(&["sync", "--db", "ben.db"]);
    ben.ok(&["withdraw", &open, "--undo", "--db", "ben.db"]);
    assert_eq!(desk.rows("ben.db"), desk.rows("ann.db"));
    assert_eq!(desk.rows("ann.db"), before);
}

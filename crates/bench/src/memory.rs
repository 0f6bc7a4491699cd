//! The most memory that a command holds, each in a process of its own.
use crate::capturing::TABLE;
use crate::figures::Figure;
use crate::gauge::memory_mib_max;
use crate::pair::{self, quiet};
use mainstem::replica::{Replica, Since};
use mainstem::sync;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use std::path::Path;
use std::process::Command;

/// What is measured, in an order in which each finds what it needs.
const VERBS: [&str; 12] =
    ["init", "publish", "clone", "commit", "status", "diff", "push", "pull", "hear", "verify", "verify_unsent", "direct"];

/// Half of the rows get new cells, a quarter go, an eighth get another key, the rest stay; an eighth comes.
fn edits(rows: i64) -> String {
    format!(
        "BEGIN;
         UPDATE t SET a = 'changed ' || b, b = b + 1 WHERE CAST(substr(k, 5) AS INTEGER) % 8 < 4;
         DELETE FROM t WHERE CAST(substr(k, 5) AS INTEGER) % 8 IN (4, 5);
         UPDATE t SET k = k || '-moved' WHERE CAST(substr(k, 5) AS INTEGER) % 8 = 6;
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {} - 1)
         INSERT INTO t SELECT printf('key-%08d-new', i), 'name ' || i, i, i * 0.5, 'some text ' || i, i % 10 FROM n;
         COMMIT",
        rows / 8
    )
}

/// Runs one command in this process and says what it held.
pub fn run(verb: &str, folder: &Path) {
    let (a, b) = (folder.join("a.db"), folder.join("b.db"));
    match verb {
        "init" => drop(SqliteReplica::init(&a, &InitOptions::default(), pair::around(), &mut quiet).expect("a plain table")),
        "publish" => drop(pair::replica(&a).publish(&pair::primary_folder(folder), None, "ada", &mut quiet).expect("an empty folder")),
        "clone" => pair::clone(folder, "b.db"),
        "commit" => drop(pair::replica(&a).commit("ada", Some("all at once"), "").expect("there is work").expect("there is work")),
        "status" => pair::replica(&a).changes(Since::Base, &mut |_, _| Ok(())).expect("it can be read"),
        "diff" => pair::replica(&b).changes(Since::Commit, &mut |_, _| Ok(())).expect("it can be read"),
        "push" => drop(sync::push(&mut pair::replica(&a), &mut *pair::primary(folder), "ada", &mut quiet).expect("a primary")),
        "pull" => drop(sync::pull(&mut pair::replica(&b), &mut *pair::primary(folder), "bob", &mut quiet).expect("a primary")),
        "hear" => drop(sync::pull(&mut pair::replica(&a), &mut *pair::primary(folder), "ada", &mut quiet).expect("a primary")),
        "verify" => drop(pair::digest(folder, "b.db")),
        "verify_unsent" => drop(pair::digest(folder, "a.db")),
        "direct" => drop(pair::primary(folder).describe().expect("it can be read")),
        _ => panic!("there is nothing to measure in {verb}"),
    }
    println!("{:.1}", memory_mib_max());
}

fn held(verb: &str, folder: &Path) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let done = Command::new(program).arg("--held").arg(verb).arg(folder).output().expect("it can be run again");
    assert!(done.status.success(), "{verb}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number")
}

/// What each verb held, in MiB, for a table of that many rows of which seven eighths change.
pub fn measure(rows: i64, wanted: &[&'static str]) -> Vec<(&'static str, f64)> {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let folder = folder.path();
    let user = |name: &str, sql: &str| pair::user(&folder.join(name)).execute_batch(sql).expect("plain statements");
    user("a.db", &format!("{TABLE}; {}", crate::capturing::fill(rows)));
    let mut found = Vec::new();
    for verb in VERBS {
        match verb {
            "commit" => user("a.db", &edits(rows)),
            "verify_unsent" if wanted.contains(&verb) => user("a.db", "UPDATE t SET e = e + 1"),
            "direct" if wanted.contains(&verb) => user("primary/primary.db", "UPDATE t SET e = e + 2"),
            _ => {}
        }
        let is_needed = ["init", "publish", "clone", "commit", "push", "pull", "hear"].contains(&verb);
        if is_needed || wanted.contains(&verb) {
            let mib = held(verb, folder);
            if wanted.contains(&verb) {
                eprintln!("{verb} of {rows} rows: {mib} MiB");
                found.push((verb, mib));
            }
        }
        if verb == "hear" {
            let digests = ["a.db", "b.db"].map(|name| pair::digest(folder, name));
            assert_eq!(digests, [pair::primary_digest(folder); 2]);
        }
    }
    found
}

/// The push of a million changed rows.
pub fn figures() -> Vec<Figure> {
    let rows = 1_142_858;
    let found = measure(rows, &["push", "pull"]);
    found
        .into_iter()
        .map(|(verb, mib)| Figure::new(format!("peak memory of the {verb} of 1,000,000 changed rows, a process of its own"), mib, " MiB"))
        .collect()
}

/// Every verb at several sizes, as a table of its own.
pub fn matrix(sizes: &[i64]) {
    println!("{:<14} {}", "MiB held", sizes.iter().map(|n| format!("{n:>12}")).collect::<String>());
    let columns: Vec<Vec<(&str, f64)>> = sizes.iter().map(|&rows| measure(rows, &VERBS)).collect();
    for (at, verb) in VERBS.iter().enumerate() {
        println!("{verb:<14} {}", columns.iter().map(|c| format!("{:>12.1}", c[at].1)).collect::<String>());
    }
}

//! F11: what `status` and `diff` take in process where one row changed, whatever the table's size.
use crate::capturing::{TABLE, fill};
use crate::figures::Figure;
use crate::gauge::{Cost, cost, median};
use crate::pair::{self, quiet};
use crate::session;
use mainstem::replica::{Replica, Since};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::InitOptions;
use std::path::Path;

const RUNS: usize = 21;

/// What the command asks for, from opening the file on.
fn status(path: &Path) -> usize {
    let mut replica = pair::replica(path);
    let mut seen = 0;
    replica.standing().expect("it can be read");
    replica
        .changes(Since::Commit, &mut |_, _| {
            seen += 1;
            Ok(())
        })
        .expect("it can be read");
    assert!(replica.schema_steps().expect("it can be read").is_empty() && !replica.needs_reconcile().expect("it can be read"));
    seen
}

fn diff(path: &Path) -> usize {
    let mut replica = pair::replica(path);
    let mut seen = 0;
    replica
        .changes(Since::Base, &mut |_, _| {
            seen += 1;
            Ok(())
        })
        .expect("it can be read");
    seen
}

fn milliseconds(path: &Path, look: fn(&Path) -> usize) -> Cost {
    let runs: Vec<Cost> = (0..RUNS)
        .map(|_| {
            let (took, seen) = cost(|| look(path));
            assert_eq!(seen, 1, "one row changed");
            took
        })
        .collect();
    median(&runs).each(1.0, 1e3)
}

/// F11 at three sizes, beside the session extension, which has to read both files where it did not see the write.
pub fn figures(folder: &Path) -> Vec<Figure> {
    let mut figures = Vec::new();
    for (rows, told) in [(10_000, "10,000"), (100_000, "100,000"), (1_000_000, "1,000,000")] {
        let (path, before) = (folder.join("look.db"), folder.join("before.db"));
        pair::remove(folder, "look.db");
        pair::remove(folder, "before.db");
        pair::user(&path).execute_batch(&format!("{TABLE}; {}", fill(rows))).expect("new rows");
        std::fs::copy(&path, &before).expect("there is room");
        SqliteReplica::init(&path, &InitOptions::default(), pair::around(), &mut quiet).expect("a plain table can be tracked");
        let user = pair::user(&path);
        user.execute_batch("UPDATE t SET b = -1 WHERE k = 'key-00004711'").expect("it is there");
        let (compared, changes) = cost(|| session::compare(&user, &before, "t"));
        assert!(changes > 0);
        for (name, look) in [("status", status as fn(&Path) -> usize), ("diff", diff)] {
            let took = milliseconds(&path, look);
            let figure = Figure::at_most(format!("F11 {name} of one row among {told}, in process"), 5.0, took.cpu, " ms").wall(took.wall);
            figures.push(figure.peer("sqlite3session_diff of both files", compared.cpu * 1e3));
        }
    }
    figures
}

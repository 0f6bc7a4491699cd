//! F6's way without a server: 100,000 rows from one replica through an embedded primary to another, durability on.
use crate::capturing::{TABLE, fill};
use crate::figures::{Figure, Peer};
use crate::gauge::{Cost, cost, median};
use crate::pair::{self, quiet};
use crate::peers;
use mainstem::primary::Pushed;
use mainstem::replica::Replica;
use mainstem::sync::{self, Report};
use rusqlite::Connection;
use std::path::Path;

/// Rows that change.
pub const ROWS: i64 = 100_000;
/// F13's part that exists.
pub const ACCEPTED: &str = "F13 without proposals: the primary merges 100,000 updates onto a head that moved on";
const RUNS: usize = 5;

/// What each leg takes.
#[derive(Default)]
struct Legs {
    /// Closing the changeset and pushing it.
    push: Cost,
    /// The other replica takes it.
    pull: Cost,
    /// The sender hears that it was accepted.
    acknowledgement: Cost,
}

fn push(folder: &Path, name: &str) -> Report {
    let mut replica = pair::replica(&folder.join(name));
    sync::push(&mut replica, &mut *pair::primary(folder), name, &mut quiet).expect("the primary is there")
}

fn pull(folder: &Path, name: &str) -> Report {
    let mut replica = pair::replica(&folder.join(name));
    sync::pull(&mut replica, &mut *pair::primary(folder), name, &mut quiet).expect("the primary is there")
}

/// One way of a change that touches every row, verified at the end.
fn way(base: &str, edit: &str) -> Legs {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let folder = folder.path();
    pair::found(folder, base);
    pair::user(&folder.join("a.db")).execute_batch(edit).expect("plain statements");
    let (pushing, pushed) = cost(|| push(folder, "a.db"));
    let (pulling, pulled) = cost(|| pull(folder, "b.db"));
    let (acknowledging, _) = cost(|| pull(folder, "a.db"));
    assert_eq!((pushed.pushed_changes, pulled.pulled_changes), (ROWS as u64, ROWS as u64));
    assert_eq!(pair::digest(folder, "a.db"), pair::digest(folder, "b.db"));
    Legs { push: pushing, pull: pulling, acknowledgement: acknowledging }
}

fn middle(legs: &[Legs]) -> Legs {
    let of = |leg: fn(&Legs) -> Cost| median(&legs.iter().map(leg).collect::<Vec<_>>());
    Legs { push: of(|l| l.push), pull: of(|l| l.pull), acknowledgement: of(|l| l.acknowledgement) }
}

/// Bytes in the primary's pages.
fn sent(folder: &Path) -> f64 {
    let conn = Connection::open(pair::primary_folder(folder).join("primary.db")).expect("it was published");
    conn.query_row("SELECT sum(length(body)) FROM mainstem_page", [], |r| r.get(0)).expect("pages")
}

fn bytes_a_row() -> f64 {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    pair::found(folder.path(), TABLE);
    pair::user(&folder.path().join("a.db")).execute_batch(&fill(ROWS)).expect("new rows");
    push(folder.path(), "a.db");
    sent(folder.path()) / ROWS as f64
}

/// Clones a primary that holds all the rows.
fn first_clone() -> Cost {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    pair::found(folder.path(), &format!("{TABLE}; {}", fill(ROWS)));
    let (seconds, ()) = cost(|| pair::clone(folder.path(), "c.db"));
    assert_eq!(pair::digest(folder.path(), "a.db"), pair::digest(folder.path(), "c.db"));
    seconds
}

/// Two replicas change the same rows, then both sync until neither has anything left.
fn both(first: &str, second: &str) -> (Cost, u64) {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let folder = folder.path();
    pair::found(folder, &format!("{TABLE}; {}", fill(ROWS)));
    pair::user(&folder.join("a.db")).execute_batch(first).expect("plain statements");
    pair::user(&folder.join("b.db")).execute_batch(second).expect("plain statements");
    let (seconds, conflicts) = cost(|| {
        let mut conflicts = 0;
        for name in ["a.db", "b.db", "a.db"] {
            let mut replica = pair::replica(&folder.join(name));
            conflicts += sync::sync(&mut replica, &mut *pair::primary(folder), name, &mut quiet).expect("the primary is there").conflicts;
        }
        conflicts
    });
    assert_eq!(pair::digest(folder, "a.db"), pair::digest(folder, "b.db"));
    (seconds, conflicts)
}

/// The ways by rows and the first clone.
pub fn figures() -> Vec<Figure> {
    let filled = format!("{TABLE}; {}", fill(ROWS));
    let (mut inserts, mut updates, mut clones) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        inserts.push(way(TABLE, &fill(ROWS)));
        updates.push(way(&filled, "UPDATE t SET b = b + 1000000"));
        clones.push(first_clone());
    }
    let mut figures = Vec::new();
    let mut by_rows = Cost::default();
    for (what, legs) in [("inserts", middle(&inserts)), ("one-cell updates", middle(&updates))] {
        let total = legs.push + legs.pull;
        if what == "inserts" {
            by_rows = total;
        }
        let detail = format!("push {:.2} s and pull {:.2} s", legs.push.cpu, legs.pull.cpu);
        figures.push(Figure::at_most(format!("F6 without a server, 100,000 {what}"), 1.1, total.cpu, " s").wall(total.wall).detail(detail));
        let heard = legs.acknowledgement;
        figures.push(Figure::new(format!("… and the sender hears of it ({what})"), heard.cpu, " s").wall(heard.wall));
    }
    figures.push(Figure::at_most("F6 bytes a row in the pages that are sent (inserts)", 110.0, bytes_a_row(), " B"));
    let cloned = median(&clones);
    let ratio = cloned / by_rows;
    figures.push(
        Figure::at_most("F7 first clone of 100,000 rows beside the way of inserts", 0.30, ratio.cpu, "×")
            .detail(format!("{:.2} s", cloned.cpu))
            .wall(ratio.wall),
    );
    figures
}

/// F6 of a document database, once: it takes most of a minute.
pub fn documents(figures: &mut [Figure]) -> Option<String> {
    match peers::documents(ROWS) {
        Ok((cpu, _)) => {
            let figure = figures.iter_mut().find(|f| f.name.contains("100,000 inserts")).expect("it was measured");
            figure.peers.push(Peer { name: "PouchDB over HTTP (one run)".into(), measured: cpu });
            None
        }
        Err(why) => Some(format!("PouchDB was not measured: {why}.")),
    }
}

/// F13's apply part: what the primary needs to merge 100,000 changes onto a head that moved on, validation included.
fn accepting() -> Cost {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let folder = folder.path();
    pair::found(folder, &format!("{TABLE}; {}", fill(ROWS)));
    pair::user(&folder.join("b.db")).execute_batch("UPDATE t SET d = 'meanwhile' WHERE e = 3").expect("plain statements");
    push(folder, "b.db");
    pair::user(&folder.join("a.db")).execute_batch("UPDATE t SET b = b + 1000000").expect("plain statements");
    let mut replica = pair::replica(&folder.join("a.db"));
    let front = replica.commit("ada", None, "").expect("there is work").expect("there is work");
    let known = replica.standing().expect("it can be read").known.expect("it was published");
    let mut pages = replica.pages(front.header.write_id).expect("it was just closed");
    let mut primary = pair::primary(folder);
    let (took, pushed) = cost(|| primary.push(&known, &front, &mut *pages).expect("the primary is there"));
    assert!(matches!(pushed, Pushed::Accepted { conflicts: 0, .. }), "{pushed:?}");
    took
}

/// Two replicas on the same rows.
pub fn merging() -> Vec<Figure> {
    let mut figures = Vec::new();
    let merged = (0..RUNS).map(|_| {
        let (seconds, conflicts) = both("UPDATE t SET b = b + 1000000", "UPDATE t SET a = a || ' changed'");
        assert_eq!(conflicts, 0);
        seconds
    });
    let merged = median(&merged.collect::<Vec<_>>());
    figures.push(Figure::new("two replicas change other cells of the same 100,000 rows, both sync", merged.cpu, " s").wall(merged.wall));
    let (clashing, conflicts) = both("UPDATE t SET b = b + 1000000", "UPDATE t SET b = b + 2000000");
    assert_eq!(conflicts, ROWS as u64);
    let told = "two replicas change the same cell of 100,000 rows, both sync (one run)";
    figures.push(Figure::new(told, clashing.cpu, " s").wall(clashing.wall));
    let accepted = median(&(0..RUNS).map(|_| accepting()).collect::<Vec<_>>());
    figures.push(Figure::new(ACCEPTED, accepted.cpu, " s").wall(accepted.wall));
    figures
}

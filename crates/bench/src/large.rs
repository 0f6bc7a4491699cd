//! A proposal of as many rows as asked for, step by step: offered, looked at, compared with its next revision, merged; and as many
//! rows pushed. Each step is told when it is done, with what others waited meanwhile.
use crate::gauge::{Cost, cost, memory_mib_max};
use crate::pair::{self, quiet};
use mainstem::core::proposal::{Ballot, MergeWish, Word};
use mainstem::primary::Primary;
use mainstem::proposing::{self, Apart, Asked, Content, Draft, Proposing};
use mainstem::replica::Replica;
use mainstem::review::{By, Deed, Everybody};
use mainstem::sync;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn by(actor: &str) -> By<'_> {
    By { actor, token: None, request: None, people: &Everybody }
}

fn tell(what: &str, cost: Cost) {
    println!("{:>8.2} s ({:.2} s of a core, {:.0} MiB at most so far)  {what}", cost.wall, cost.cpu, memory_mib_max());
}

fn step<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (took, done) = cost(work);
    tell(what, took);
    done
}

/// The longest that somebody waited for the write lock of the primary while `work` ran.
fn waiting<T>(folder: &Path, work: impl FnOnce() -> T) -> (f64, T) {
    let is_over = Arc::new(AtomicBool::new(false));
    let (over, file) = (is_over.clone(), pair::primary_folder(folder).join("primary.db"));
    let other = std::thread::spawn(move || {
        let conn = Connection::open(file).expect("it was published");
        conn.busy_timeout(Duration::from_secs(3_600)).expect("a plain setting");
        let mut longest: f64 = 0.0;
        while !over.load(Ordering::Relaxed) {
            let took = cost(|| conn.execute_batch("BEGIN IMMEDIATE; ROLLBACK").expect("it waits")).0;
            longest = longest.max(took.wall);
            std::thread::yield_now();
        }
        longest
    });
    let done = work();
    is_over.store(true, Ordering::Relaxed);
    (other.join().expect("it only waits"), done)
}

fn vote(primary: &mut dyn Primary, id: u64, actor: &str) {
    let found = primary.proposal(id, by(actor)).expect("the primary is there").expect("it was offered").assessment.expect("it is open");
    let ballot = Ballot { revision: found.revision, digest: found.digest, word: Word::Approve, comment: String::new() };
    primary.act(id, &Deed::Vote(ballot), by(actor)).expect("it is what was looked at");
}

fn asked() -> Asked {
    Asked { title: Some("everything".into()), has_everything: true, ..Asked::default() }
}

/// Offers the work of a replica, each part of that by itself.
fn offer(folder: &Path) -> u64 {
    let mut replica = pair::replica(&folder.join("a.db"));
    step("the edits are closed as a changeset", || replica.commit("ada", Some("everything"), "").expect("there is work"));
    step("they are set apart", || replica.set_apart(Apart::Everything).expect("there is work"));
    let again = step("other proposals' rows are looked for in them", || replica.edited_again().expect("it can be read"));
    let of = again.first().map_or(Content::Waiting, |id| Content::Revised(*id));
    let draft = Draft { of, actor: "ada".into(), title: Some("everything".into()), ..Draft::default() };
    step("the offer is drawn up", || replica.draw_up(&draft).expect("there is work"));
    let mut primary = pair::primary(folder);
    let offered = || proposing::propose(&mut replica, &mut *primary, "ada", &asked(), &mut quiet).expect("the primary is there");
    step("it is offered", offered).proposal
}

/// Runs all steps.
pub fn run(rows: i64) {
    let folder = tempfile::tempdir().expect("a place for temporary files");
    let folder = folder.path();
    pair::found(
        folder,
        &format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL, d TEXT, e INTEGER);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO t SELECT i, 'name ' || i, i, i * 0.5, 'some text ' || i, i % 10 FROM n"
        ),
    );
    step("every row is edited", || {
        pair::user(&folder.join("a.db")).execute_batch("UPDATE t SET b = b + 1000000").expect("plain statements")
    });
    let id = offer(folder);
    let mut first = pair::primary(folder);
    let judged = |primary: &mut dyn Primary| primary.proposal(id, by("bo")).expect("the primary is there").expect("it was offered");
    step("what was offered is told", || first.proposal_at_once(id, by("bo")).expect("the primary is there"));
    let (waited, found) = waiting(folder, || step("it is looked at for the first time", || judged(&mut *first)));
    println!("{waited:>8.2} s another writer waited meanwhile at most");
    let digest = found.assessment.expect("it is open").digest;
    step("its first page is read", || first.shown_page(id, &digest, 0).expect("the primary is there").expect("it was found"));
    step("it is looked at again", || judged(&mut *first));
    step("it is looked at by another process", || judged(&mut *pair::primary(folder)));
    vote(&mut *first, id, "bo");
    let few = "UPDATE t SET b = b + 1 WHERE id % 100000 = 0; INSERT INTO t(a) VALUES ('one more')";
    pair::user(&folder.join("a.db")).execute_batch(few).expect("plain statements");
    assert_eq!(offer(folder), id, "its next revision");
    let differing = step("its two revisions are compared", || first.differing(id, 1, 2).expect("the primary is there"));
    println!("           {differing:?}");
    step("it is looked at for the first time", || judged(&mut *first));
    vote(&mut *first, id, "bo");
    vote(&mut *first, id, "cy");
    step("it is merged", || first.merge(id, &MergeWish::new(7), by("bo")).expect("it is approved"));
    let mut other = pair::replica(&folder.join("b.db"));
    step("another copy receives it", || sync::pull(&mut other, &mut *first, "bob", &mut quiet).expect("the primary is there"));
    pair::user(&folder.join("b.db")).execute_batch("UPDATE t SET b = b + 1").expect("plain statements");
    step("as many rows are pushed", || sync::push(&mut other, &mut *first, "bob", &mut quiet).expect("the primary is there"));
}

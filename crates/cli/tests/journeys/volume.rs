//! Many changed rows, pushed and pulled with memory bounded by a page. `MAINSTEM_BIG=1` makes it a million, a
//! greater number that many.
use crate::desk::{Desk, volume};
use crate::team::*;

/// Runs a command and prints the most memory it held, in KiB.
const MEASURE: &str = "
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
if done.returncode: sys.exit('%d: %s' % (done.returncode, done.stderr.decode()))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";

fn most_kib(member: &Member<'_>, args: &[&str]) -> u64 {
    let program = env!("CARGO_BIN_EXE_mainstem");
    let all = [&[program, "--db", &member.db, "--as", &member.actor], args].concat();
    member.desk.python(MEASURE, &all).trim().parse().expect("a number")
}

/// Most memory of the push and the pull of so many changed rows.
fn push_and_pull(rows: u64) -> (u64, u64) {
    let desk = Desk::new();
    let sql = format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, a TEXT, b INTEGER, c REAL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO t SELECT i, 'key ' || i, 'some words to carry ' || i, i * 7, i / 3.0 FROM n;"
    );
    let members = found_from_sql(&desk, &sql, &["ada", "bob"]);
    members[0].sql(&format!(
        "UPDATE t SET a = 'changed ' || id, b = b + 1 WHERE id % 4 < 2; DELETE FROM t WHERE id % 4 = 2; INSERT INTO t SELECT id + {rows}, k, a, b, c FROM t WHERE id % 4 = 3;
         UPDATE t SET c = c + 1 WHERE id <= {rows} AND id % 4 = 3;"
    ));
    let push = most_kib(&members[0], &["push"]);
    let pull = most_kib(&members[1], &["pull"]);
    until_quiet(&[&members[0], &members[1]]);
    let count = |m: &Member<'_>| m.sql("SELECT count(*), sum(b), sum(length(a)), total(c) FROM t;");
    assert_eq!(count(&members[0]), count(&members[1]));
    assert_eq!(members[0].json(&["verify"])["digest"], members[1].json(&["verify"])["digest"]);
    (push, pull)
}

#[test]
fn memory_does_not_grow_with_the_rows() {
    let many = match volume("MAINSTEM_BIG", 0) {
        0 => 50_000,
        1 => 1_000_000,
        rows => rows,
    };
    let few = 5_000;
    let (few_push, few_pull) = push_and_pull(few);
    let (push, pull) = push_and_pull(many);
    eprintln!("{few} rows: push {few_push} KiB, pull {few_pull} KiB; {many} rows: push {push} KiB, pull {pull} KiB");
    // What may grow is bounded by constants: the page caches of both files (32 MiB each), what condensing holds (64 MiB) and
    // settles (as much again), and some slack.
    // Holding the changes themselves would need half a KiB each.
    let bound = (3 * 64 + 16) * 1024;
    for (verb, most, little) in [("push", push, few_push), ("pull", pull, few_pull)] {
        assert!(most < little + bound, "{verb} of {many} rows took {most} KiB, of {few} rows {little} KiB");
    }
}

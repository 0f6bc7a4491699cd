//! What few seeds have beside their common work: a table of many columns, a queue of ten thousand changes, versions taken back.
//!
//! Invariant: it is thrown by dice of its own and laid behind what the tape is without it, so that no other seed changes.
use crate::dice::Dice;
use crate::tape::{Datum, Event, Manner, Session, Statement, Tape};
use mainstem::core::value::Value;

/// Rows that one statement of a large queue writes.
pub(crate) const QUEUE: usize = 10_000;

/// Columns from which on a table counts as one of many.
pub(crate) const COLUMNS_MANY: usize = 100;

/// Columns that a tracked table may have.
const COLUMNS_MAX: usize = 1_900;

/// The first word used here: no tape without rarities comes so far.
const FIRST_WORD: u64 = 1_000_000;

/// Lays a seed's rarities behind its tape, where it has any.
pub(crate) fn lay_behind(tape: &mut Tape) {
    let dice = Dice::new(tape.seed, 5);
    let mut word = FIRST_WORD;
    if dice.one_in(32) {
        many_columns(tape, &dice, &mut word);
    }
    if dice.one_in(256) {
        large_queue(tape, &dice);
    }
    if dice.one_in(12) {
        for _ in 0..dice.between(1, 3) {
            let who = dice.below(tape.setup.copies);
            if dice.one_in(2) {
                tape.schedule.push(Event::Sync(who));
            }
            tape.schedule.push(Event::Revert(who, if dice.one_in(2) { 0 } else { dice.below(4) }));
            travel(tape, &dice);
        }
    }
}

fn session(tape: &mut Tape, who: usize, statements: Vec<Statement>) {
    tape.schedule.push(Event::Run(tape.workload.len()));
    tape.workload.push(Session { who: Some(who), manner: Manner::default(), statements });
}

fn travel(tape: &mut Tape, dice: &Dice) {
    let who = dice.below(tape.setup.copies);
    tape.schedule.push(match dice.below(5) {
        0 => Event::Push(who),
        1 => Event::Pull(who),
        2 => Event::Commit(who, dice.one_in(2)),
        _ => Event::Sync(who),
    });
}

fn integer(n: usize) -> Datum {
    Datum::Value(Value::Integer(n as i64))
}

fn many_columns(tape: &mut Tape, dice: &Dice, word: &mut u64) {
    let count = *dice.of(&[120, 120, 300, 300, 700, COLUMNS_MAX - 1]);
    let columns: Vec<String> = (0..count).map(|n| format!("c{n}")).collect();
    tape.setup.schema.push(Statement::plain(format!("CREATE TABLE wide(id INTEGER PRIMARY KEY, {})", columns.join(", "))));
    for _ in 0..dice.between(4, 10) {
        let who = dice.below(tape.setup.copies);
        let statements = (0..dice.between(1, 4)).map(|_| {
            let id = integer(dice.between(1, 4));
            let first = dice.below(count - 1);
            let (one, two) = (first, dice.between(first + 1, count - 1));
            let mut text = || {
                *word += 1;
                Datum::Value(Value::text(format!("w{word}.")))
            };
            match dice.below(6) {
                0 => Statement { sql: "DELETE FROM wide WHERE id = ?1".into(), values: vec![id] },
                1 | 2 => Statement {
                    sql: format!("INSERT OR IGNORE INTO wide(id, c{one}, c{two}) VALUES (?1, ?2, ?3)"),
                    values: vec![id, text(), text()],
                },
                _ => Statement { sql: format!("UPDATE wide SET c{one} = ?2, c{two} = ?3 WHERE id = ?1"), values: vec![id, text(), text()] },
            }
        });
        let statements = statements.collect();
        session(tape, who, statements);
        travel(tape, dice);
    }
}

fn large_queue(tape: &mut Tape, dice: &Dice) {
    tape.setup.schema.push(Statement::plain("CREATE TABLE bulk(id INTEGER PRIMARY KEY, n INTEGER)"));
    let rows = "WITH RECURSIVE i(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM i WHERE x < ?1) \
                INSERT INTO bulk(id, n) SELECT x, x % 7 FROM i";
    session(tape, 0, vec![Statement { sql: rows.into(), values: vec![integer(QUEUE)] }]);
    tape.schedule.extend([Event::Sync(0), Event::Sync(1)]);
    let later = ["UPDATE bulk SET n = n + 10", "UPDATE bulk SET n = 70 WHERE id % 50 = 0", "DELETE FROM bulk WHERE id % 60 = 1"];
    for who in [0, 1] {
        session(tape, who, vec![Statement::plain(*dice.of(&later)), Statement::plain(*dice.of(&later))]);
    }
    tape.schedule.extend([Event::Sync(1), Event::Sync(0)]);
}

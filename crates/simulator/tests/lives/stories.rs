//! Stories that once went wrong, each as a tape that is judged as any other.
use simulator::run::run;
use simulator::tape::{Delivery, Event, Manner, Session, Setup, Statement, Tape};
use simulator::world::World;

const FAMILY: &str = "CREATE TABLE team(id INTEGER PRIMARY KEY, label TEXT UNIQUE);
    CREATE TABLE task(id INTEGER PRIMARY KEY, team INTEGER REFERENCES team(id) ON DELETE CASCADE, title TEXT);
    CREATE TABLE note(id INTEGER PRIMARY KEY, task INTEGER REFERENCES task(id) ON DELETE CASCADE, body TEXT);
    INSERT INTO team VALUES (1, 'u1'), (2, 'u2');
    INSERT INTO task VALUES (1, 1, 'w1.'), (2, 2, 'w2.');
    INSERT INTO note VALUES (1, 1, 'w3.')";
const STOCK: &str = "CREATE TABLE item(id INTEGER PRIMARY KEY, sku TEXT, UNIQUE(id, sku));
    CREATE TABLE stock(id INTEGER PRIMARY KEY, item INTEGER, sku TEXT, FOREIGN KEY(item, sku) REFERENCES item(id, sku));
    INSERT INTO item VALUES (1, 'a')";
const TAGS: &str = "CREATE TABLE tag(code TEXT PRIMARY KEY, note TEXT); INSERT INTO tag VALUES ('a', 'w1.')";

fn statements(text: &str) -> Vec<Statement> {
    text.split(';').map(|sql| Statement::plain(sql.trim())).collect()
}

/// A story in the making.
#[derive(Clone)]
struct Story(Tape);

impl Story {
    fn new(schema: &str, policy: &[(&str, &str)]) -> Story {
        let policy = policy.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let setup = Setup { schema: statements(schema), policy, copies: 3, keeps_links: true, ..Setup::default() };
        Story(Tape { seed: 1, setup, ..Tape::default() })
    }
    fn says(mut self, who: Option<usize>, text: &str, manner: Manner) -> Story {
        self.0.schedule.push(Event::Run(self.0.workload.len()));
        self.0.workload.push(Session { who, manner, statements: statements(text) });
        self
    }
    /// A program on a copy says so.
    fn sql(self, who: usize, text: &str) -> Story {
        self.says(Some(who), text, Manner::default())
    }
    /// The same with triggers off.
    fn blind(self, who: usize, text: &str) -> Story {
        self.says(Some(who), text, Manner { is_blind: true, ..Manner::default() })
    }
    /// A program on the primary's own file.
    fn direct(self, text: &str) -> Story {
        self.says(None, text, Manner::default())
    }
    fn then(mut self, events: impl IntoIterator<Item = Event>) -> Story {
        self.0.schedule.extend(events);
        self
    }
    fn ends_well(&self) {
        if let Some(wrong) = run(&self.0).wrong {
            panic!("{wrong}\n{}", self.0);
        }
    }
    /// Everybody comes in one order and in the other.
    fn ends_well_both_ways(&self) {
        for order in [[0, 1, 2], [2, 1, 0]] {
            self.clone().then(order.map(Event::Sync)).ends_well();
        }
    }
    /// How many rows the tables of the first copy have in the end.
    fn rows(&self, tables: &[&str]) -> Vec<usize> {
        let mut world = World::begin(&self.0).unwrap();
        for event in &self.0.schedule {
            world.step(&self.0, event).unwrap();
        }
        let image = world.rows_of(0).unwrap();
        tables.iter().map(|table| image[*table].rows.len()).collect()
    }
}

#[test]
fn an_edited_child_keeps_its_deleted_family() {
    for deletes in ["manual", "delete-wins", "update-wins", "last-write-wins"] {
        for table in ["team.deletes", "note.deletes", "deletes"] {
            let story = Story::new(FAMILY, &[(table, deletes)]);
            story.sql(0, "DELETE FROM team WHERE id = 1").sql(1, "UPDATE note SET body = 'w10.' WHERE id = 1").ends_well_both_ways();
        }
    }
}

#[test]
fn a_deleted_parent_whose_unique_value_is_taken_comes_back_or_its_child_waits() {
    Story::new(FAMILY, &[])
        .sql(0, "DELETE FROM team WHERE id = 1; INSERT INTO team VALUES (7, 'u1')")
        .sql(1, "INSERT INTO task VALUES (9, 1, 'w10.')")
        .ends_well_both_ways();
    // The parent was displaced by an earlier row with its unique value, before its author made a child of it.
    Story::new(FAMILY, &[])
        .sql(0, "INSERT INTO team VALUES (7, 'u7')")
        .sql(2, "INSERT INTO team VALUES (8, 'u7')")
        .then([Event::Push(2), Event::Sync(0)])
        .sql(2, "INSERT INTO task VALUES (9, 8, 'w10.')")
        .ends_well_both_ways();
}

#[test]
fn a_parent_keeps_the_columns_that_new_children_name() {
    for first in ["UPDATE item SET sku = 'b' WHERE id = 1", "DELETE FROM item WHERE id = 1"] {
        Story::new(STOCK, &[]).sql(0, first).sql(1, "INSERT INTO stock VALUES (1, 1, 'a')").ends_well_both_ways();
    }
}

#[test]
fn a_row_that_moves_onto_another_is_a_clash_and_no_crash() {
    let (moves, comes) = ("UPDATE tag SET code = 'b' WHERE code = 'a'", "INSERT INTO tag VALUES ('b', 'w10.')");
    Story::new(TAGS, &[]).sql(0, moves).then([Event::Wait(9)]).sql(1, comes).ends_well_both_ways();
    Story::new(TAGS, &[]).sql(1, comes).then([Event::Wait(9)]).sql(0, moves).ends_well_both_ways();
}

/// Every answer to every conflict of a story ends with clean links on all copies.
#[test]
fn answers_keep_links_whole() {
    let stories = [
        ["DELETE FROM task WHERE id = 1", "UPDATE task SET title = 'w10.' WHERE id = 1"],
        ["DELETE FROM team WHERE id = 1", "INSERT INTO task VALUES (9, 1, 'w10.')"],
        ["DELETE FROM team WHERE id = 1", "UPDATE note SET body = 'w10.' WHERE id = 1"],
        ["INSERT INTO team VALUES (8, 'u8')", "INSERT INTO team VALUES (9, 'u8'); INSERT INTO task VALUES (9, 9, 'w10.')"],
    ];
    for [one, other] in stories {
        for order in [[0, 1], [1, 0]] {
            for answers in [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2]] {
                let mut story = Story::new(FAMILY, &[]).sql(0, one).sql(1, other);
                story = story.then([Event::Sync(order[0]), Event::Sync(order[1]), Event::Sync(0), Event::Sync(2)]);
                for (at, answer) in answers.into_iter().enumerate() {
                    story = story.then([Event::Resolve(2 * at, 0, answer), Event::Sync(2 * at), Event::Sync(2)]);
                }
                story.ends_well();
            }
        }
    }
}

/// A deletion that is let stand takes the child, and the parent that was kept for it.
#[test]
fn the_parent_goes_with_the_last_child_it_was_kept_for() {
    let story = Story::new(FAMILY, &[])
        .sql(0, "DELETE FROM team WHERE id = 2")
        .sql(1, "INSERT INTO task VALUES (9, 2, 'w10.')")
        // Ours is the deletion: it came in last.
        .then([Event::Sync(1), Event::Sync(0), Event::Resolve(0, 0, 0)]);
    assert_eq!(story.rows(&["team", "task"]), [1, 1]);
}

/// What a cascade took does not come back without its parent; with it, it does.
#[test]
fn a_table_is_not_restored_without_its_parents() {
    let restore = |table: &str| Event::Restore(0, table.to_owned(), false);
    let story = Story::new(FAMILY, &[]).sql(0, "DELETE FROM task WHERE id = 1").then([restore("note")]);
    story.ends_well();
    assert_eq!(story.then([restore("task"), restore("note")]).rows(&["task", "note"]), [2, 1]);
}

#[test]
fn a_column_added_after_a_commit_is_no_drift() {
    Story::new(TAGS, &[])
        .sql(2, "INSERT INTO tag VALUES ('c', 'w9.')")
        .then([Event::Commit(2, false)])
        .sql(2, "ALTER TABLE tag ADD COLUMN more INTEGER DEFAULT 7")
        .sql(0, "UPDATE tag SET note = 'w75.' WHERE code = 'a'")
        .then([Event::Push(0), Event::Pull(2)])
        .ends_well();
}

/// An answer that comes twice, late, after a gap or cut short changes nothing.
#[test]
fn answers_that_are_not_what_comes_next_are_passed_over() {
    for how in [Delivery::Twice, Delivery::Again, Delivery::Gap, Delivery::Truncated] {
        for bytes in [1, 100_000] {
            let mut story = Story::new(TAGS, &[]);
            for (at, code) in ["b", "c", "d"].iter().enumerate() {
                story = story.sql(0, &format!("INSERT INTO tag VALUES ('{code}', 'w{}.')", at + 10)).then([Event::Push(0)]);
            }
            story.then([Event::Deliver(1, bytes, how), Event::Sync(1)]).ends_well();
        }
    }
}

/// A row with NULL in its key stays where it is, and is no reason to compare a table at each push.
#[test]
fn a_row_without_a_key_stays_at_home() {
    let schema = "CREATE TABLE loose(k PRIMARY KEY, v); INSERT INTO loose VALUES (1, 'w1.')";
    Story::new(schema, &[])
        .sql(1, "INSERT INTO loose VALUES (NULL, 'x'), (2, 'w2.')")
        .direct("INSERT INTO loose VALUES (8, 'w8.')")
        .then([Event::Sync(1), Event::Sync(0)])
        .ends_well();
}

/// What was written straight in the primary and is no version yet is no part of the version before it.
#[test]
fn a_comparison_does_not_see_what_is_no_version_yet() {
    Story::new(TAGS, &[])
        .blind(1, "INSERT INTO tag VALUES ('c', 'w9.')")
        .sql(1, "UPDATE tag SET note = 'w10.' WHERE code = 'a'")
        .direct("INSERT INTO tag VALUES ('b', 'w11.')")
        .then([Event::Sync(1)])
        .ends_well();
}

#[test]
fn a_row_that_came_unseen_and_was_seen_to_go_is_no_drift() {
    let schema = "CREATE TABLE item(id INTEGER PRIMARY KEY, body TEXT); INSERT INTO item VALUES (1, 'w1.'), (2, 'w2.')";
    Story::new(schema, &[])
        .sql(0, "UPDATE item SET body = 'w3.' WHERE id = 1")
        .blind(1, "UPDATE item SET id = 3 WHERE id = 2")
        .sql(1, "UPDATE item SET id = 15 WHERE id = 3")
        .then([Event::Sync(0), Event::Sync(1)])
        .ends_well();
}

/// A primary whose clock was ahead once still takes what comes after what it stamped then.
#[test]
fn a_primary_whose_clock_ran_ahead_poisons_nobody() {
    use simulator::tape::ClockFault;
    Story::new(TAGS, &[])
        .then([Event::Clock(None, ClockFault::Jump(400 * 86_400_000))])
        .sql(0, "UPDATE tag SET note = 'w2.' WHERE code = 'a'")
        .then([Event::Sync(0), Event::Clock(None, ClockFault::Right), Event::Sync(1)])
        .sql(1, "UPDATE tag SET note = 'w3.' WHERE code = 'a'")
        .then([Event::Sync(1)])
        .ends_well();
}

/// A deletion that wins takes the new child, and that one's new child: both are kept in conflicts.
#[test]
fn a_deletion_that_wins_forgets_no_grandchild() {
    let schema = "CREATE TABLE person(id INTEGER PRIMARY KEY, boss INTEGER REFERENCES person(id), name TEXT);
        INSERT INTO person VALUES (10, NULL, 'w1.')";
    for order in [[0, 2], [2, 0]] {
        Story::new(schema, &[("person.deletes", "delete-wins")])
            .sql(0, "INSERT INTO person VALUES (16, 10, 'w2.'); INSERT INTO person VALUES (17, 16, 'w3.')")
            .sql(2, "DELETE FROM person WHERE id = 10")
            .then(order.map(Event::Sync))
            .ends_well();
    }
}

/// An unseen insert that a later write was seen to change is still an insert.
#[test]
fn a_row_that_came_unseen_and_was_seen_to_change_is_no_drift() {
    let schema = "CREATE TABLE tag(code TEXT PRIMARY KEY COLLATE NOCASE, note TEXT)";
    Story::new(schema, &[])
        .sql(1, "INSERT INTO tag VALUES ('a', 'w1.')")
        .then([Event::Push(1)])
        .blind(0, "INSERT INTO tag VALUES ('A', 'w2.')")
        .sql(0, "UPDATE tag SET note = 'w3.' WHERE code = 'A'")
        .then([Event::Sync(0)])
        .ends_well();
}

/// Two rows want one key that only differs in case; one of them gets another key, and both stay.
#[test]
fn a_clash_of_keys_is_answered_with_another_key() {
    let schema = "CREATE TABLE tag(code TEXT PRIMARY KEY COLLATE NOCASE, note TEXT); INSERT INTO tag VALUES ('a', 'w1.')";
    let story = Story::new(schema, &[])
        .sql(0, "REPLACE INTO tag VALUES ('A', 'w2.')")
        .direct("UPDATE tag SET note = 'w3.'")
        .then([Event::Sync(0)])
        .sql(0, "REPLACE INTO tag VALUES ('A', 'w4.')")
        .then([Event::Resolve(0, 0, 4)]);
    story.ends_well_both_ways();
}

/// A row that waits for its parent gets in where the parent does, though only over the row that had its unique value.
#[test]
fn a_child_gets_in_with_a_parent_that_wins_a_clash() {
    let schema = "CREATE TABLE place(code TEXT PRIMARY KEY, u TEXT UNIQUE);
        CREATE TABLE visit(id INTEGER PRIMARY KEY, place TEXT REFERENCES place(code), body TEXT)";
    let story = Story::new(schema, &[])
        .sql(0, "INSERT INTO place VALUES ('b', 'u'); INSERT INTO visit VALUES (1, 'b', 'w1.')")
        .then([Event::Wait(5000)])
        .direct("INSERT INTO place VALUES ('a', 'u')")
        .then([Event::Pull(0)]);
    assert_eq!(story.rows(&["place", "visit"]), [1, 1]);
    story.sql(0, "REPLACE INTO place VALUES ('c', 'u')").ends_well();
}

/// A deletion that wins takes a child with it: all that was written into that one is kept in conflicts.
#[test]
fn a_deletion_that_wins_forgets_no_later_write() {
    let schema = "CREATE TABLE place(code TEXT PRIMARY KEY);
        CREATE TABLE visit(id INTEGER PRIMARY KEY, place TEXT REFERENCES place(code), body TEXT);
        INSERT INTO place VALUES ('a')";
    for order in [[0, 1], [1, 0]] {
        Story::new(schema, &[("place.deletes", "delete-wins")])
            .sql(1, "DELETE FROM place")
            .sql(0, "INSERT INTO visit VALUES (9, 'a', 'w1.')")
            .then([Event::Commit(0, false)])
            .sql(0, "UPDATE visit SET body = body || 'w2.'")
            .then(order.map(Event::Sync))
            .ends_well();
    }
}

/// A file that is copied has two authors from then on: what one takes away before it was sent, the other may keep.
#[test]
fn a_copied_file_keeps_what_the_other_takes_away() {
    Story::new(TAGS, &[])
        .sql(2, "INSERT INTO tag VALUES ('c', 'w9.')")
        .then([Event::Copy(2)])
        .sql(2, "DELETE FROM tag WHERE code = 'c'")
        .ends_well();
}

/// A row that gets another number does not get that of a row in a changeset that is still to be sent.
#[test]
fn renumbering_spares_the_numbers_of_later_changesets() {
    let commit = || [Event::Commit(2, false)];
    let story = Story::new("CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT)", &[])
        .sql(2, "INSERT INTO person VALUES (4, 'w1.')")
        .then(commit())
        .sql(2, "UPDATE person SET name = 'w1. w2.' WHERE id = 4; INSERT INTO person VALUES (2, 'w3.')")
        .then(commit())
        .sql(0, "INSERT INTO person VALUES (2, 'w4.')")
        .then([Event::Push(0), Event::Pull(2)])
        .sql(1, "INSERT INTO person VALUES (4, 'w5.')")
        .then([Event::Push(1), Event::Pull(2), Event::Sync(2), Event::Sync(0)]);
    story.ends_well();
    assert_eq!(story.rows(&["person"]), [4]);
}

//! Stories that once went wrong, each as a tape that is judged as any other.
use crate::tape::{Step, Tape};
use crate::world::{World, run};

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

fn sql(who: usize, text: &str) -> Step {
    Step::Sql(who, vec![text.to_owned()])
}

fn tape(schema: &str, policy: &[(&str, &str)], steps: Vec<Step>) -> Tape {
    let policy = policy.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Tape { seed: 1, schema: vec![schema.to_owned()], policy, replicas: 3, keeps_links: true, steps }
}

/// The steps, then everybody comes in one order and in the other.
fn told(schema: &str, policy: &[(&str, &str)], steps: &[Step]) {
    for order in [[0, 1, 2], [2, 1, 0]] {
        let steps = steps.iter().cloned().chain(order.map(Step::Sync)).collect();
        let tape = tape(schema, policy, steps);
        run(&tape).unwrap_or_else(|why| panic!("{why}\n{tape}"));
    }
}

#[test]
fn an_edited_child_keeps_its_deleted_family() {
    let steps = [sql(0, "DELETE FROM team WHERE id = 1"), sql(1, "UPDATE note SET body = 'w10.' WHERE id = 1")];
    for deletes in ["manual", "delete-wins", "update-wins", "last-write-wins"] {
        for table in ["team.deletes", "note.deletes", "deletes"] {
            told(FAMILY, &[(table, deletes)], &steps);
        }
    }
}

#[test]
fn a_deleted_parent_whose_unique_value_is_taken_comes_back_or_its_child_waits() {
    let steps = [
        Step::Sql(0, vec!["DELETE FROM team WHERE id = 1".into(), "INSERT INTO team VALUES (7, 'u1')".into()]),
        sql(1, "INSERT INTO task VALUES (9, 1, 'w10.')"),
    ];
    told(FAMILY, &[], &steps);
    // The parent was displaced by an earlier row with its unique value, before its author made a child of it.
    let steps = [
        sql(0, "INSERT INTO team VALUES (7, 'u7')"),
        sql(2, "INSERT INTO team VALUES (8, 'u7')"),
        Step::Push(2),
        Step::Sync(0),
        sql(2, "INSERT INTO task VALUES (9, 8, 'w10.')"),
    ];
    told(FAMILY, &[], &steps);
}

#[test]
fn a_parent_keeps_the_columns_that_new_children_name() {
    let steps = [sql(0, "UPDATE item SET sku = 'b' WHERE id = 1"), sql(1, "INSERT INTO stock VALUES (1, 1, 'a')")];
    told(STOCK, &[], &steps);
    let steps = [sql(0, "DELETE FROM item WHERE id = 1"), sql(1, "INSERT INTO stock VALUES (1, 1, 'a')")];
    told(STOCK, &[], &steps);
}

#[test]
fn a_row_that_moves_onto_another_is_a_clash_and_no_crash() {
    let steps = [sql(0, "UPDATE tag SET code = 'b' WHERE code = 'a'"), Step::Wait(9), sql(1, "INSERT INTO tag VALUES ('b', 'w10.')")];
    told(TAGS, &[], &steps);
    let steps = [sql(1, "INSERT INTO tag VALUES ('b', 'w10.')"), Step::Wait(9), sql(0, "UPDATE tag SET code = 'b' WHERE code = 'a'")];
    told(TAGS, &[], &steps);
}

/// Every answer to every conflict of a story ends with clean links on all copies.
#[test]
fn answers_keep_links_whole() {
    let stories = [
        [sql(0, "DELETE FROM task WHERE id = 1"), sql(1, "UPDATE task SET title = 'w10.' WHERE id = 1")],
        [sql(0, "DELETE FROM team WHERE id = 1"), sql(1, "INSERT INTO task VALUES (9, 1, 'w10.')")],
        [sql(0, "DELETE FROM team WHERE id = 1"), sql(1, "UPDATE note SET body = 'w10.' WHERE id = 1")],
        [sql(0, "INSERT INTO team VALUES (8, 'u8')"), sql(1, "INSERT INTO team VALUES (9, 'u8'); INSERT INTO task VALUES (9, 9, 'w10.')")],
    ];
    for story in &stories {
        for order in [[0, 1], [1, 0]] {
            for answers in [[0, 0], [0, 1], [1, 0], [1, 1], [2, 2]] {
                let mut steps: Vec<Step> = story.to_vec();
                steps.extend([Step::Sync(order[0]), Step::Sync(order[1]), Step::Sync(0), Step::Sync(2)]);
                for (at, answer) in answers.into_iter().enumerate() {
                    steps.extend([Step::Resolve(2 * at, 0, answer), Step::Sync(2 * at), Step::Sync(2)]);
                }
                let tape = tape(FAMILY, &[], steps);
                run(&tape).unwrap_or_else(|why| panic!("{why}\n{tape}"));
            }
        }
    }
}

/// A deletion that is let stand takes the child, and the parent that was kept for it.
#[test]
fn the_parent_goes_with_the_last_child_it_was_kept_for() {
    let steps = vec![
        sql(0, "DELETE FROM team WHERE id = 2"),
        sql(1, "INSERT INTO task VALUES (9, 2, 'w10.')"),
        Step::Sync(1),
        Step::Sync(0),
        // Ours is the deletion: it came in last.
        Step::Resolve(0, 0, 0),
    ];
    let tape = tape(FAMILY, &[], steps);
    let mut world = World::begin(&tape);
    for step in &tape.steps {
        world.step(step).unwrap();
    }
    let rows = crate::copies::rows(&world.copies[0].path);
    assert_eq!((rows["team"].len(), rows["task"].len()), (1, 1), "{rows:?}");
}

/// What a cascade took does not come back without its parent; with it, it does.
#[test]
fn a_table_is_not_restored_without_its_parents() {
    let restore = |table: &str| Step::Restore(0, table.to_owned(), false);
    let steps = vec![sql(0, "DELETE FROM task WHERE id = 1"), restore("note")];
    run(&tape(FAMILY, &[], steps.clone())).unwrap();
    let tape = tape(FAMILY, &[], steps.into_iter().chain([restore("task"), restore("note")]).collect());
    let mut world = World::begin(&tape);
    for step in &tape.steps {
        world.step(step).unwrap();
    }
    let rows = crate::copies::rows(&world.copies[0].path);
    assert_eq!((rows["task"].len(), rows["note"].len()), (2, 1), "{rows:?}");
}

#[test]
fn a_column_added_after_a_commit_is_no_drift() {
    let steps = vec![
        sql(2, "INSERT INTO tag VALUES ('c', 'w9.')"),
        Step::Commit(2, false),
        sql(2, "ALTER TABLE tag ADD COLUMN more INTEGER DEFAULT 7"),
        sql(0, "UPDATE tag SET note = 'w75.' WHERE code = 'a'"),
        Step::Push(0),
        Step::Pull(2),
    ];
    run(&tape(TAGS, &[], steps)).unwrap();
}

//! How concurrent edits of a cell combine, by the policy of the dataset.
use crate::desk::Desk;
use crate::team::*;

const TABLE: &str = "
    CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER, tags TEXT, body TEXT, seen INTEGER, price REAL);
    INSERT INTO item VALUES (1, 'chair', 10, '[\"oak\",\"old\"]', 'The quick brown fox jumps over the lazy dog.', 100, 5.0),
                            (2, 'table', 20, '[\"pine\"]', 'One line.', 200, 6.0);
";

/// What two concurrent edits of one cell become under a policy, in both orders.
fn combine(policy: &[(&str, &str)], ada: &str, bob: &str) -> (Vec<String>, Vec<usize>) {
    let mut rows = Vec::new();
    let mut open = Vec::new();
    for order in [[0, 1], [1, 0]] {
        let desk = Desk::new();
        let members = found_from_sql(&desk, TABLE, &["ada", "bob"]);
        let pair = [&members[0], &members[1]];
        for (key, value) in policy {
            pair[0].ok(&["policy", "set", key, value]);
        }
        until_quiet(&pair);
        pair[0].sql(ada);
        pair[1].sql(bob);
        until_quiet(&[pair[order[0]], pair[order[1]]]);
        assert_together(&pair);
        rows.push(pair[0].sql("SELECT * FROM item ORDER BY id;"));
        open.push(pair[0].open_conflicts().len());
    }
    assert_eq!(rows[0], rows[1], "both orders give the same rows under {policy:?}");
    assert_eq!(open[0], open[1], "and the same open conflicts");
    (rows, open)
}

#[test]
fn last_write_wins_and_keeps_the_other() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, TABLE, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("UPDATE item SET name = 'stool' WHERE id = 1;");
    pair[1].sql("UPDATE item SET name = 'bench' WHERE id = 1;");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT name FROM item WHERE id = 1;"), "bench\n");
    assert_nothing_lost(&pair, &["stool", "bench", "chair"]);
    assert_eq!(pair[0].open_conflicts().len(), 0, "the strategy answered");
    assert_eq!(pair[0].sync().code, 0);
}

#[test]
fn the_later_write_wins_even_when_it_comes_first() {
    let (rows, _) = combine(&[], "UPDATE item SET name = 'stool' WHERE id = 1;", "UPDATE item SET name = 'bench' WHERE id = 1;");
    assert!(rows[0].starts_with("1|bench|"), "{rows:?}");
}

#[test]
fn counters_add() {
    let policy = [("item.stock.strategy", "counter")];
    let (rows, open) = combine(&policy, "UPDATE item SET stock = stock + 5;", "UPDATE item SET stock = stock - 3;");
    assert!(rows[0].contains("1|chair|12|") && rows[0].contains("2|table|22|"), "{rows:?}");
    assert_eq!(open, [0, 0]);
}

#[test]
fn sets_unite() {
    let policy = [("item.tags.strategy", "set")];
    let ada = "UPDATE item SET tags = '[\"oak\",\"old\",\"carved\"]' WHERE id = 1;";
    let bob = "UPDATE item SET tags = '[\"old\",\"painted\"]' WHERE id = 1;";
    let (rows, open) = combine(&policy, ada, bob);
    for (word, is_there) in [("carved", true), ("painted", true), ("old", true), ("oak", false)] {
        assert_eq!(rows[0].contains(word), is_there, "{word}: {rows:?}");
    }
    assert_eq!(open, [0, 0]);
}

#[test]
fn texts_merge_inside_the_cell() {
    let policy = [("item.body.strategy", "text")];
    let ada = "UPDATE item SET body = 'The slow brown fox jumps over the lazy dog.' WHERE id = 1;";
    let bob = "UPDATE item SET body = 'The quick brown fox jumps over the sleeping dog.' WHERE id = 1;";
    let (rows, open) = combine(&policy, ada, bob);
    assert!(rows[0].contains("The slow brown fox jumps over the sleeping dog."), "{rows:?}");
    assert_eq!(open, [0, 0]);
}

#[test]
fn the_greater_and_the_smaller_win() {
    let policy = [("item.seen.strategy", "max"), ("item.price.strategy", "min")];
    let (rows, open) =
        combine(&policy, "UPDATE item SET seen = 300, price = 4.5 WHERE id = 1;", "UPDATE item SET seen = 250, price = 4.75 WHERE id = 1;");
    assert!(rows[0].contains("|300|4.5\n"), "{rows:?}");
    assert_eq!(open, [0, 0]);
}

#[test]
fn manual_keeps_the_conflict_for_a_person() {
    let policy = [("item.name.strategy", "manual")];
    let (_, open) = combine_manual(&policy);
    assert_eq!(open, 1);
}

/// Under `manual` the cell of whoever came first stands until somebody answers, so only one order is looked at.
fn combine_manual(policy: &[(&str, &str)]) -> (String, usize) {
    let desk = Desk::new();
    let members = found_from_sql(&desk, TABLE, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    for (key, value) in policy {
        pair[0].ok(&["policy", "set", key, value]);
    }
    until_quiet(&pair);
    pair[0].sql("UPDATE item SET name = 'stool', price = 7.5 WHERE id = 1;");
    pair[1].sql("UPDATE item SET name = 'bench', stock = 11 WHERE id = 1;");
    assert_eq!(pair[0].sync().code, 0);
    let clashing = pair[1].run(&["sync"]);
    assert_eq!(clashing.code, 5, "a sync that leaves open conflicts: {clashing:?}");
    assert!((clashing.out + &clashing.err).contains("conflict"), "and it says so");
    until_quiet(&pair);
    assert_together(&pair);
    assert_nothing_lost(&pair, &["stool", "bench", "chair"]);
    let row = pair[0].sql("SELECT price, stock FROM item WHERE id = 1;");
    assert_eq!(row, "7.5|11\n", "the conflict does not block the rest of the row");
    (row, pair[0].open_conflicts().len())
}

#[test]
fn a_strategy_for_the_whole_dataset_and_a_column_that_differs() {
    let policy = [("strategy", "manual"), ("item.stock.strategy", "counter")];
    let (rows, open) = combine(
        &policy,
        "UPDATE item SET stock = stock + 1, name = 'same' WHERE id = 2;",
        "UPDATE item SET stock = stock + 1, name = 'same' WHERE id = 2;",
    );
    assert!(rows[0].contains("2|same|22|"), "both counted, and writing the same name is no conflict: {rows:?}");
    assert_eq!(open, [0, 0]);
}

#[test]
fn deletes_win_where_the_policy_says_so() {
    let ada = "DELETE FROM item WHERE id = 1;";
    let bob = "UPDATE item SET name = 'revived' WHERE id = 1;";
    let (rows, _) = combine(&[("deletes", "delete-wins")], ada, bob);
    assert!(!rows[0].contains("1|"), "{rows:?}");
    let (rows, _) = combine(&[("deletes", "update-wins")], ada, bob);
    assert!(rows[0].starts_with("1|revived|10|"), "{rows:?}");
    // The later of the two, which is Bob's update.
    let (rows, _) = combine(&[("deletes", "last-write-wins")], ada, bob);
    assert!(rows[0].starts_with("1|revived|10|"), "{rows:?}");
    let (_, open) = combine(&[("deletes", "manual")], ada, bob);
    assert_eq!(open, [1, 1]);
}

#[test]
fn a_table_in_review_takes_no_push_and_the_change_is_kept() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, TABLE, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].ok(&["policy", "set", "item.mode", "review"]);
    until_quiet(&pair);
    pair[1].sql("UPDATE item SET name = 'waits for review' WHERE id = 1;");
    for verb in ["push", "sync"] {
        let said = pair[1].ok(&[verb]);
        assert!(said.contains("1 change in item waits for review") && said.contains("propose"), "{said}");
    }
    let kept = &pair[1].json(&["status"])["kept_for_review"];
    assert_eq!(kept.as_array().map(Vec::len), Some(1), "{kept}");
    assert_eq!(pair[1].sql("SELECT name FROM item WHERE id = 1;"), "waits for review\n");
    assert_eq!(pair[0].sql("SELECT name FROM item WHERE id = 1;"), "chair\n");
    assert_eq!(desk.sql(PRIMARY_DB, "SELECT name FROM item WHERE id = 1;"), "chair\n");
    // The change is still there to be sent when the policy allows it.
    pair[0].ok(&["policy", "set", "item.mode", "direct"]);
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT name FROM item WHERE id = 1;"), "waits for review\n");
}

#[test]
fn columns_that_tell_when_are_proposed_as_max() {
    let desk = Desk::new();
    let sql = "CREATE TABLE note (id INTEGER PRIMARY KEY, body TEXT, title TEXT, updated_at TEXT);
               INSERT INTO note VALUES (1, 'b', 't', '2026-01-01T00:00:00Z');";
    let members = found_from_sql(&desk, sql, &["ada", "bob"]);
    let pair = [&members[0], &members[1]];
    pair[0].sql("UPDATE note SET body = 'B', updated_at = '2026-03-03T00:00:00Z';");
    pair[1].sql("UPDATE note SET title = 'T', updated_at = '2026-02-02T00:00:00Z';");
    until_quiet(&pair);
    assert_together(&pair);
    assert_eq!(pair[0].sql("SELECT * FROM note;"), "1|B|T|2026-03-03T00:00:00Z\n");
    assert!(pair[0].open_conflicts().is_empty());
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    let desk = Desk::new();
    let members = found_from_sql(&desk, TABLE, &["ada"]);
    members[0].run(&["policy", "set", "item.name.strategy", "coin-toss"]).refuses(2, "coin-toss");
    let shown = members[0].json(&["policy", "show"]);
    assert!(!shown.to_string().contains("coin-toss"));
}

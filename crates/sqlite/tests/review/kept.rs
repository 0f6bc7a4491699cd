//! What is kept back, drawn up, and left over, case by case.
use crate::team::{self, Team, quiet};
use mainstem::core::proposal::MergeWish;
use mainstem::core::value::Value;
use mainstem::proposing::{self, Apart, Asked, Mark, Proposing};
use mainstem::replica::Replica;
use mainstem::review::{By, Everybody};

fn asked(title: &str) -> Asked {
    Asked { title: Some(title.into()), ..Asked::default() }
}

fn propose(team: &Team, name: &str) -> u64 {
    proposing::propose(&mut team.open(name), &mut *team.primary(), name, &asked("t"), &mut quiet).unwrap().proposal
}

fn merge(team: &Team, id: u64) {
    let wish = MergeWish { force: true, ..MergeWish::new(u128::from(id)) };
    team.primary().merge(id, &wish, By { actor: "zoe", token: None, people: &Everybody, request: None }).unwrap();
}

fn reviewed(policy: &str) -> Team {
    let team = Team::new(&["ada", "bob"]);
    team.primary().set_policy(policy, "admin").unwrap();
    team.sync("ada");
    team.sync("bob");
    team
}

const TASKS: &str = "[tables.task]\nmode = \"review\"\n";
const LISTS: &str = "[tables.list]\nmode = \"review\"\n";

#[test]
fn many_commits_are_one_change_of_each_row() {
    let team = reviewed(TASKS);
    for n in 0..5 {
        team.sql("ada", &format!("UPDATE task SET what = 'v{n}' WHERE id = 1; UPDATE word SET note = 'v{n}' WHERE w = 'a'"));
        team.commit("ada", "more");
    }
    let mut ada = team.open("ada");
    assert_eq!(ada.set_apart(Apart::Reviewed).unwrap(), 5);
    let numbers: Vec<u64> = ada.unsent().unwrap().iter().map(|front| front.header.sequence).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    drop(ada);
    propose(&team, "ada");
    let kept = team.open("ada").kept().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!((kept[0].front.count, kept[0].front.header.sequence), (1, 0));
    assert_eq!(team.value("ada", "SELECT what FROM task WHERE id = 1"), "v4");
}

#[test]
fn a_row_that_needs_a_kept_row_is_kept_with_it() {
    let team = reviewed(LISTS);
    team.sql("ada", "INSERT INTO list VALUES (7, 'new'); INSERT INTO task(id, list, what) VALUES (10, 7, 'in new'), (11, 1, 'in old')");
    let report = team.sync("ada");
    assert_eq!(report.waiting_for_review, [("list".to_owned(), 1), ("task".to_owned(), 1)]);
    assert_eq!(report.pushed_changes, 1);
    team.sql("ada", "UPDATE task SET list = 7 WHERE id = 11");
    assert_eq!(team.sync("ada").waiting_for_review, [("list".to_owned(), 1), ("task".to_owned(), 2)]);
    merge(&team, propose(&team, "ada"));
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", "SELECT group_concat(id) FROM task WHERE list = 7"), "10,11");
}

#[test]
fn what_the_merged_version_leaves_out_waits() {
    let team = reviewed(TASKS);
    team.sql(
        "ada",
        "UPDATE task SET what = 'ours', done = 9 WHERE id = 1; UPDATE task SET what = 'ours' WHERE id = 2; DELETE FROM task WHERE id = 3",
    );
    team.sql("ada", "INSERT INTO task(id, list, what) VALUES (8, 1, 'eight'), (9, 1, 'nine')");
    let id = propose(&team, "ada");
    // Another revises it, with one cell, another word, and one of the new rows.
    let mut primary = team.primary();
    let by = By { actor: "bob", token: None, people: &Everybody, request: None };
    let proposal = primary.proposal(id, by).unwrap().unwrap().proposal;
    let front = proposal.head().front.clone();
    let body = primary.staged_page(id, 1, 0).unwrap().unwrap();
    let mut changes = mainstem::core::format::page::decode(&body, &front.shapes).unwrap();
    changes.retain(|change| [Value::Integer(1), Value::Integer(2), Value::Integer(8)].contains(&change.key[0]));
    for change in &mut changes {
        if let mainstem::core::change::Edit::Update(cells) = &mut change.edit {
            cells.retain(|cell| front.shapes[0].columns[cell.column] == "what");
            cells[0].after = Value::text(if change.key[0] == Value::Integer(2) { "theirs" } else { "ours" });
        }
    }
    let mut narrowed = front.clone();
    (narrowed.header.write_id, narrowed.count) = (99, changes.len() as u64);
    struct Memory(Option<Vec<mainstem::core::change::Change>>);
    impl mainstem::primary::Pages for Memory {
        fn next(&mut self) -> mainstem::Result<Option<Vec<mainstem::core::change::Change>>> {
            Ok(self.0.take())
        }
        fn rewind(&mut self) -> mainstem::Result<()> {
            Ok(())
        }
    }
    let known = team.open("ada").standing().unwrap().known.unwrap();
    let reviewed = mainstem::review::Part { front: &narrowed, pages: &mut Memory(Some(changes)) };
    primary.propose(&known, mainstem::review::Offer { revises: Some(id), reviewed, direct: None }, by).unwrap();
    merge(&team, id);
    let report = team.sync("ada");
    assert_eq!(report.waiting_for_review, [("task".to_owned(), 3)], "a cell, a deletion, a row");
    let all = "SELECT group_concat(id || what || done) FROM (SELECT * FROM task ORDER BY id)";
    assert_eq!(team.value("ada", all), "1ours9,2theirs0,8eight0,9nine0");
    assert_eq!(team.value("primary/primary", all), "1ours0,2theirs0,3write0,8eight0");
    merge(&team, propose(&team, "ada"));
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", all), "1ours9,2theirs0,8eight0,9nine0");
}

#[test]
fn a_merged_proposal_whose_answer_was_lost_is_recognised() {
    let team = reviewed(TASKS);
    team.sql("ada", "UPDATE task SET what = 'ours' WHERE id = 1");
    let mut primary = team.primary();
    let mut line = mainstem_testkit::between::Between::new(&mut *primary, |moment| match moment {
        mainstem_testkit::between::Moment::After("propose") => {
            Err(mainstem::Error::new(mainstem::core::ErrorKind::Unavailable, "line", "the answer is lost"))
        }
        _ => Ok(mainstem_testkit::between::Turn::Once),
    });
    proposing::propose(&mut team.open("ada"), &mut line, "ada", &asked("t"), &mut quiet).unwrap_err();
    drop(line);
    assert_eq!(team.open("ada").kept().unwrap()[0].mark, Mark::Waiting);
    team.sql("ada", "UPDATE task SET what = 'again' WHERE id = 1");
    merge(&team, 1);
    team.sync("ada");
    assert_eq!(team.sync("ada").waiting_for_review, [("task".to_owned(), 1)]);
    assert_eq!(team.value("ada", "SELECT what FROM task WHERE id = 1"), "again");
    merge(&team, propose(&team, "ada"));
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.open("ada").kept().unwrap().len(), 0);
}

#[test]
fn an_offer_without_an_answer_outlives_the_version_that_it_was_made_on() {
    let team = reviewed(TASKS);
    let copy = team.copy_primary("copy");
    team.sql("bob", "UPDATE task SET what = 'first' WHERE id = 1");
    merge(&team, propose(&team, "bob"));
    team.sync("ada");
    team.sql("ada", "UPDATE task SET what = 'ours' WHERE id = 2");
    let mut primary = team.primary();
    let mut line = mainstem_testkit::between::Between::new(&mut *primary, |moment| match moment {
        mainstem_testkit::between::Moment::Before("propose") => {
            Err(mainstem::Error::new(mainstem::core::ErrorKind::Unavailable, "line", "the request is lost"))
        }
        _ => Ok(mainstem_testkit::between::Turn::Once),
    });
    proposing::propose(&mut team.open("ada"), &mut line, "ada", &asked("t"), &mut quiet).unwrap_err();
    drop(line);
    drop(primary);
    team.restore(&copy);
    team.sync("ada");
    assert_eq!(team.open("ada").kept().unwrap().iter().filter(|kept| kept.mark.is_open()).count(), 1);
    for id in [1, propose(&team, "ada")] {
        merge(&team, id);
    }
    team.sync("bob");
    if team.open("bob").kept().unwrap().iter().any(|kept| kept.mark.is_waiting()) {
        merge(&team, propose(&team, "bob"));
    }
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", "SELECT group_concat(what) FROM (SELECT what FROM task ORDER BY id)"), "first,ours,write");
}

#[test]
fn a_copy_that_begins_again_knows_what_was_merged_by_parts() {
    let team = reviewed(TASKS);
    team.sql("ada", "UPDATE task SET what = 'one' WHERE id = 1; UPDATE task SET what = 'two' WHERE id = 2");
    let id = propose(&team, "ada");
    let only = mainstem::review::Chosen { table: "task".into(), key: Some(vec![Value::Integer(1)]), columns: Vec::new() };
    let rest = team.primary().accept_part(id, &[only], By { actor: "bob", token: None, people: &Everybody, request: None }).unwrap();
    merge(&team, id);
    merge(&team, rest.unwrap());
    team.edit("bob", "UPDATE list SET name = 'later'");
    // While a proposal was open, history was kept for it.
    team.forget("mode = \"review\"\n");
    let report = team.sync("ada");
    assert!(report.is_reseeded);
    assert!(team.open("ada").kept().unwrap().is_empty());
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT group_concat(what) FROM (SELECT what FROM task ORDER BY id)"), "one,two,write");
}

#[test]
fn the_rest_of_a_divided_proposal_may_be_merged_first() {
    for is_divided_again in [false, true] {
        let team = reviewed(TASKS);
        let all = [1, 2, 3].map(|id| format!("UPDATE task SET what = 'ours {id}' WHERE id = {id}")).join("; ");
        team.sql("ada", &all);
        let id = propose(&team, "ada");
        let by = By { actor: "bob", token: None, request: None, people: &Everybody };
        let only = |id: i64| mainstem::review::Chosen { table: "task".into(), key: Some(vec![Value::Integer(id)]), columns: Vec::new() };
        let rest = team.primary().accept_part(id, &[only(1)], by).unwrap().unwrap();
        let last = if is_divided_again { team.primary().accept_part(rest, &[only(2)], by).unwrap() } else { None };
        last.into_iter().chain([rest]).for_each(|id| merge(&team, id));
        team.sync("bob");
        team.sql("bob", "UPDATE task SET what = 'later' WHERE id > 1");
        merge(&team, propose(&team, "bob"));
        merge(&team, id);
        assert_eq!(team.sync("ada").waiting_for_review, []);
        assert!(team.open("ada").kept().unwrap().is_empty());
        team.settle(&["ada", "bob"]);
        team.assert_one(&["ada", "bob"]);
        assert_eq!(team.value("ada", "SELECT group_concat(what) FROM (SELECT what FROM task ORDER BY id)"), "ours 1,later,later");
    }
}

#[test]
fn rows_that_the_primary_adds_up_wait_and_nothing_else_does() {
    let team = reviewed("review_above = 3\n");
    team.sql("ada", "INSERT INTO task(id, list, what) VALUES (20, 1, 'a'), (21, 1, 'b')");
    assert_eq!(team.sync("ada").pushed_changes, 2);
    // The same rows again are no others; bob is another person.
    team.sql("ada", "UPDATE task SET what = 'aa' WHERE id = 20");
    assert_eq!(team.sync("ada").pushed_changes, 1);
    team.sql("bob", "INSERT INTO task(id, list, what) VALUES (30, 1, 'a'), (31, 1, 'b'), (32, 1, 'c')");
    assert_eq!(team.sync("bob").pushed_changes, 3);
    team.sql("ada", "INSERT INTO task(id, list, what) VALUES (22, 1, 'c'), (23, 1, 'd')");
    let report = team.sync("ada");
    assert_eq!((report.pushed, report.waiting_for_review), (0, vec![("task".to_owned(), 2)]));
    // It is not tried again with every sync, and what may go, goes.
    team.sql("ada", "UPDATE task SET what = 'ab' WHERE id = 21");
    let report = team.sync("ada");
    assert_eq!((report.pushed_changes, report.waiting_for_review), (1, vec![("task".to_owned(), 2)]));
    let id = propose(&team, "ada");
    merge(&team, id);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(
        team.value("bob", "SELECT group_concat(id) FROM (SELECT id FROM task WHERE id BETWEEN 20 AND 29 ORDER BY id)"),
        "20,21,22,23"
    );
    // Another policy lets go what was never offered.
    team.sql("ada", "INSERT INTO task(id, list, what) VALUES (24, 1, 'e'), (25, 1, 'f')");
    assert_eq!(team.sync("ada").waiting_for_review, [("task".to_owned(), 2)]);
    team.primary().set_policy("review_above = 30\n", "admin").unwrap();
    team.sync("ada");
    let report = team.sync("ada");
    assert_eq!(report.waiting_for_review, []);
    assert_eq!(team.value("primary/primary", "SELECT count(*) FROM task WHERE id IN (24, 25)"), "2");
}

#[test]
fn an_offer_goes_without_what_would_go_along_by_review_only() {
    let team = reviewed("review_above = 2\n[tables.list]\nmode = \"review\"\n");
    team.sql("ada", "UPDATE word SET note = 'x' WHERE w = 'a'; UPDATE task SET what = 'x' WHERE id = 1");
    assert_eq!(team.sync("ada").pushed_changes, 2);
    team.sql("ada", "INSERT INTO list VALUES (7, 'new'); UPDATE task SET what = 'y' WHERE id = 2");
    let id = propose(&team, "ada");
    assert_eq!(team.open("ada").kept().unwrap().len(), 1);
    merge(&team, id);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", "SELECT what FROM task WHERE id = 2"), "y");
}

#[test]
fn an_index_of_a_reviewed_table_comes_and_goes_by_review() {
    let team = reviewed(TASKS);
    let indexes = "SELECT coalesce(group_concat(name), '') FROM (SELECT name FROM sqlite_schema WHERE name LIKE 'by%' ORDER BY name)";
    team.sql("ada", "CREATE INDEX by_what ON task(what); CREATE INDEX by_note ON word(note)");
    // Steps of one commit go together.
    team.sync("ada");
    assert_eq!(team.value("primary/primary", indexes), "");
    merge(&team, propose(&team, "ada"));
    team.settle(&["ada", "bob"]);
    assert_eq!(team.value("bob", indexes), "by_note,by_what");
    team.sql("bob", "DROP INDEX by_note");
    team.sync("bob");
    assert_eq!(team.value("primary/primary", indexes), "by_what", "the other table's goes straight");
    // Nobody but the primary knows whose it was.
    team.sql("bob", "DROP INDEX by_what");
    team.sync("bob");
    team.sync("bob");
    assert_eq!(team.value("primary/primary", indexes), "by_what");
    merge(&team, propose(&team, "bob"));
    team.settle(&["ada", "bob"]);
    assert_eq!(team.value("ada", indexes), "");
    team.assert_one(&["ada", "bob"]);
}

#[test]
fn who_revises_a_proposal_that_others_divide_offers_all_of_it() {
    for is_rest_merged in [false, true] {
        let team = reviewed(TASKS);
        team.sql(
            "ada",
            "INSERT INTO task(id, list, what) VALUES (8, 1, 'eight'), (9, 1, 'nine'); UPDATE task SET what = 'ours' WHERE id = 1",
        );
        let id = propose(&team, "ada");
        let by = By { actor: "bob", token: None, request: None, people: &Everybody };
        let only = mainstem::review::Chosen { table: "task".into(), key: Some(vec![Value::Integer(1)]), columns: Vec::new() };
        let rest = team.primary().accept_part(id, &[only], by).unwrap().unwrap();
        if is_rest_merged {
            merge(&team, rest);
        }
        team.sql("ada", "DELETE FROM task WHERE id = 8; UPDATE task SET what = 'nine again' WHERE id = 9");
        assert_eq!(propose(&team, "ada"), id);
        let stages = mainstem::core::proposal::Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
        let wanted = mainstem::ledger::ProposalsWanted { stages, limit: 10, ..Default::default() };
        assert_eq!(team.primary().proposals(&wanted).unwrap(), [id], "the rest is in what was revised");
        merge(&team, id);
        team.settle(&["ada", "bob"]);
        team.assert_one(&["ada", "bob"]);
        assert_eq!(team.open("ada").kept().unwrap().len(), 0);
        let all = "SELECT group_concat(id || what) FROM (SELECT id, what FROM task ORDER BY id)";
        assert_eq!(team.value("bob", all), "1ours,2cook,3write,9nine again");
    }
}

#[test]
fn more_rows_than_may_go_without_need_review() {
    let team = reviewed("review_above = 2\n");
    team.sql("ada", "UPDATE word SET note = 'all'");
    let report = team.sync("ada");
    assert_eq!((report.pushed, report.waiting_for_review), (0, vec![("word".to_owned(), 3)]));
    team.sql("ada", "UPDATE task SET what = 'few' WHERE id = 1");
    assert_eq!(team.sync("ada").pushed, 1);
}

/// All words of all conflicts.
fn told(team: &Team) -> String {
    team.primary().conflicts(false).unwrap().iter().map(|c| format!("{:?} {:?}", c.ours.claim, c.theirs.claim)).collect()
}

fn has(told: &str, word: &str) -> bool {
    told.contains(&format!("{:?}", word.as_bytes()))
}

fn merge_as_it_is(team: &Team, id: u64) {
    let wish = MergeWish { force: true, skip_conflicts: true, ..MergeWish::new(u128::from(id)) };
    team.primary().merge(id, &wish, By { actor: "zoe", token: None, people: &Everybody, request: None }).unwrap();
}

/// Ada's work waits, bob's is merged, ada hears of it, works on, and offers what she has. Conflicts in the end.
fn worked_on(first: &str, others: &str, then: &str) -> (Team, String) {
    let team = reviewed("mode = \"review\"\n");
    let is_ada_first = !first.starts_with("later: ");
    let by_ada = |sql: &str| {
        team.sql("ada", sql);
        team.sync("ada");
    };
    if is_ada_first {
        by_ada(first);
    }
    team.sql("bob", others);
    let id = propose(&team, "bob");
    if !is_ada_first {
        by_ada(first.trim_start_matches("later: "));
    }
    merge_as_it_is(&team, id);
    team.sync("ada");
    by_ada(then);
    let rows = team::rows(&team.path("ada"));
    merge_as_it_is(&team, propose(&team, "ada"));
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team::rows(&team.path("bob")), rows, "what ada saw when she offered it");
    let told = told(&team);
    (team, told)
}

#[test]
fn a_value_that_lost_before_it_was_written_over_is_in_a_conflict() {
    let (team, told) = worked_on(
        "UPDATE task SET what = 'ours', done = 3 WHERE id = 1",
        "UPDATE task SET what = 'theirs' WHERE id = 1",
        "UPDATE task SET what = 'again' WHERE id = 1",
    );
    assert_eq!(team.value("bob", "SELECT what || done FROM task WHERE id = 1"), "again3");
    assert!(has(&told, "ours"), "{told}");
}

#[test]
fn a_row_that_is_deleted_after_its_edit_won_is_gone() {
    let (team, told) = worked_on(
        "later: UPDATE task SET what = 'ours' WHERE id = 1",
        "UPDATE task SET what = 'theirs' WHERE id = 1",
        "DELETE FROM task WHERE id = 1",
    );
    assert_eq!(team.value("bob", "SELECT count(*) FROM task WHERE id = 1"), "0");
    assert!(has(&told, "theirs"), "{told}");
}

#[test]
fn a_row_that_is_deleted_after_its_edit_lost_is_gone() {
    let (team, told) = worked_on(
        "UPDATE task SET what = 'ours' WHERE id = 1",
        "UPDATE task SET what = 'theirs' WHERE id = 1",
        "DELETE FROM task WHERE id = 1",
    );
    assert_eq!(team.value("bob", "SELECT count(*) FROM task WHERE id = 1"), "0");
    assert!(has(&told, "ours"), "{told}");
}

#[test]
fn a_new_row_that_another_has_made_too_is_deleted_as_it_was_seen() {
    for first in ["", "later: "] {
        let ours = format!("{first}INSERT INTO word VALUES ('k', 10, 'ours')");
        let (team, told) = worked_on(&ours, "INSERT INTO word VALUES ('k', 10, 'theirs')", "DELETE FROM word WHERE w = 'k'");
        assert_eq!(team.value("bob", "SELECT count(*) FROM word WHERE w = 'k'"), "0");
        assert!(has(&told, "ours") && has(&told, "theirs"), "{told}");
    }
}

#[test]
fn a_new_row_that_another_has_made_too_is_edited_as_it_was_seen() {
    for (first, note) in [("", "ours"), ("later: ", "theirs")] {
        let ours = format!("{first}INSERT INTO word VALUES ('k', 10, 'ours')");
        let (team, told) = worked_on(&ours, "INSERT INTO word VALUES ('k', 10, 'theirs')", "UPDATE word SET n = 11 WHERE w = 'k'");
        assert_eq!(team.value("bob", "SELECT n || note FROM word WHERE w = 'k'"), format!("11{note}"));
        assert!(has(&told, "ours") && has(&told, "theirs"), "{told}");
    }
}

#[test]
fn a_row_that_lost_unique_values_again_and_again_is_in_conflicts() {
    for others in ["a", "x"] {
        let team = reviewed("mode = \"review\"\n");
        for (number, ours) in [(10, "first"), (20, "second")] {
            team.sql("bob", &format!("INSERT INTO word VALUES ('{others}{number}', {number}, 'theirs')"));
            let id = propose(&team, "bob");
            // What lost is not in ada's file, so that she can make it anew.
            team.sql("ada", &format!("INSERT INTO word VALUES ('m', {number}, '{ours}')"));
            team.sync("ada");
            merge_as_it_is(&team, id);
            team.sync("ada");
            assert_eq!(team.value("ada", "SELECT count(*) FROM word WHERE w = 'm'"), "0");
        }
        merge_as_it_is(&team, propose(&team, "ada"));
        team.settle(&["ada", "bob"]);
        team.assert_one(&["ada", "bob"]);
        assert!(has(&told(&team), "first") && has(&told(&team), "second"), "{}", told(&team));
    }
}

#[test]
fn a_value_that_lost_is_told_of_though_the_offer_is_taken_back_and_laid_on_again() {
    for has_edited_again in [false, true] {
        let team = reviewed("mode = \"review\"\n");
        team.sql("ada", "UPDATE task SET what = 'ours' WHERE id = 1");
        team.sync("ada");
        team.edit("bob", "UPDATE task SET what = 'theirs' WHERE id = 1");
        merge_as_it_is(&team, propose(&team, "bob"));
        team.sync("ada");
        team.sql("ada", "UPDATE task SET what = 'again' WHERE id = 1");
        let id = propose(&team, "ada");
        if has_edited_again {
            team.sql("ada", "UPDATE task SET what = 'and again' WHERE id = 1");
            team.sync("ada");
        }
        let withdrawn = mainstem::core::proposal::Decision { stage: mainstem::core::proposal::Stage::Withdrawn, reason: "no".into() };
        let by = By { actor: "ada", token: None, people: &Everybody, request: None };
        team.primary().act(id, &mainstem::review::Deed::Decide(withdrawn), by).unwrap();
        let mut ada = team.open("ada");
        ada.take_back(id).unwrap();
        assert_eq!(team.value("ada", "SELECT what FROM task WHERE id = 1"), "theirs");
        for stash in ada.stashes().unwrap() {
            ada.unstash(&stash).unwrap();
        }
        drop(ada);
        team.sync("ada");
        merge_as_it_is(&team, propose(&team, "ada"));
        team.settle(&["ada", "bob"]);
        team.assert_one(&["ada", "bob"]);
        assert_eq!(team.value("bob", "SELECT what FROM task WHERE id = 1"), if has_edited_again { "and again" } else { "again" });
        assert!(has(&told(&team), "ours"), "{}", told(&team));
    }
}

#[test]
fn rows_follow_a_number_that_moves_while_an_offer_has_no_answer() {
    let team = reviewed("mode = \"review\"\n");
    team.sql("ada", "INSERT INTO list VALUES (3, 'ours')");
    let mut primary = team.primary();
    let mut line = mainstem_testkit::between::Between::new(&mut *primary, |moment| match moment {
        mainstem_testkit::between::Moment::After("propose") => {
            Err(mainstem::Error::new(mainstem::core::ErrorKind::Unavailable, "line", "the answer is lost"))
        }
        _ => Ok(mainstem_testkit::between::Turn::Once),
    });
    proposing::propose(&mut team.open("ada"), &mut line, "ada", &asked("t"), &mut quiet).unwrap_err();
    drop(line);
    drop(primary);
    team.sql("ada", "INSERT INTO task(id, list, what) VALUES (4, 3, 'in ours')");
    team.sql("bob", "INSERT INTO list VALUES (3, 'theirs')");
    merge_as_it_is(&team, propose(&team, "bob"));
    team.sync("ada");
    let names = "SELECT list.name FROM task JOIN list ON list.id = task.list WHERE what = 'in ours'";
    assert_eq!(team.value("ada", names), "ours");
    team.sync("bob");
    team.sql("bob", "INSERT INTO list VALUES (4, 'theirs, too')");
    merge_as_it_is(&team, propose(&team, "bob"));
    team.sync("ada");
    assert_eq!(team.value("ada", names), "ours");
    merge_as_it_is(&team, 1);
    team.sync("ada");
    assert_eq!(team.value("ada", names), "ours");
    merge_as_it_is(&team, propose(&team, "ada"));
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", names), "ours");
}

#[test]
fn a_conflict_that_an_offer_brings_along_is_answered_like_those_that_its_merge_finds() {
    let team = reviewed("mode = \"review\"\n[tables.task]\nmode = \"review\"\nstrategy = \"manual\"\n");
    team.sql("ada", "UPDATE task SET what = 'ours' WHERE id = 1");
    team.sync("ada");
    team.edit("bob", "UPDATE task SET what = 'theirs' WHERE id = 1");
    merge_as_it_is(&team, propose(&team, "bob"));
    team.sync("ada");
    team.sql("ada", "UPDATE task SET what = 'again' WHERE id = 1");
    let id = propose(&team, "ada");
    let by = By { actor: "zoe", token: None, people: &Everybody, request: None };
    let open = |team: &Team| -> Vec<u64> {
        let assessment = team.primary().proposal(id, by).unwrap().unwrap().assessment.unwrap();
        assessment.outcome.conflicts.iter().filter(|conflict| conflict.is_open()).map(|conflict| conflict.id).collect()
    };
    let found = open(&team);
    assert_eq!(found.len(), 1);
    let ours = mainstem::replica::Answering { choice: mainstem::core::change::Choice::Ours, value: None };
    team.primary().answer(id, &[(found[0], ours)], by).unwrap();
    assert!(open(&team).is_empty());
    merge(&team, id);
    team.settle(&["ada", "bob"]);
    team.assert_one(&["ada", "bob"]);
    assert_eq!(team.value("bob", "SELECT what FROM task WHERE id = 1"), "ours");
    assert!(has(&told(&team), "ours"), "{}", told(&team));
}

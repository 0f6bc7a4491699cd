//! Row decisions as a table, and the laws: order of arrival, idempotence, nothing lost.
use super::{Decision, Ours, Theirs, Touch, Verdict, decide, is_plain};
use crate::change::{Cell, Change, Choice, Edit, Shape};
use crate::conflict::{Claim, Conflict, ConflictKind, Side};
use crate::policy::{Deletes, Policy, Setting};
use crate::stamp::{ReplicaId, Stamp, Time};
use crate::strategy::Strategy;
use crate::value::{Row, Value};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use proptest::prelude::*;
use proptest::strategy::Strategy as _;

const PRIMARY: ReplicaId = ReplicaId(9);

fn shape(is_numbered: bool) -> Shape {
    let columns = ["id", "a", "b", "rank"].map(String::from).to_vec();
    Shape { table: "t".into(), columns, key: vec![0], is_numbered, highest: None }
}

fn row(a: impl Into<Value>, b: impl Into<Value>) -> Row {
    vec!["k".into(), a.into(), b.into(), Value::Null]
}

/// A change by one replica, and when.
#[derive(Clone, Debug)]
struct Act {
    replica: u128,
    at: u64,
    edit: Edit,
}

fn act(replica: u128, at: u64, edit: Edit) -> Act {
    Act { replica, at, edit }
}

fn insert(row: Row) -> Edit {
    Edit::Insert(row)
}

fn delete(row: Row) -> Edit {
    Edit::Delete(row)
}

/// The cells by which two rows differ, written at `at`.
fn update(at: u64, before: &Row, after: &Row) -> Edit {
    let pairs = before.iter().zip(after).enumerate().filter(|(_, (before, after))| before != after);
    let cell =
        |(column, (before, after)): (usize, (&Value, &Value))| Cell { column, before: before.clone(), after: after.clone(), at: Time(at) };
    Edit::Update(pairs.map(cell).collect())
}

impl Act {
    fn change(&self) -> Change {
        Change { table: 0, key: vec!["k".into()], edit: self.edit.clone(), at: Time(self.at), moved_from: None }
    }
    fn actor(&self) -> String {
        format!("actor{}", self.replica)
    }
    fn touch(&self, version: u64) -> Touch {
        let replica = ReplicaId(self.replica);
        Touch { version, replica, actor: self.actor().into(), shape: shape(false).into(), change: self.change(), was: [].into() }
    }
    fn meets(&self, policy: &Policy, row: Option<&Row>, touches: &[Touch], is_numbered: bool) -> Decision {
        let (shape, change) = (shape(is_numbered), self.change());
        let ours = Ours { shape: &shape, change: &change, replica: ReplicaId(self.replica), actor: &self.actor() };
        decide(policy, &ours, &Theirs { row, touches, primary: PRIMARY }, 7)
    }
}

fn policy(lines: &[(&str, &str)]) -> Policy {
    let mut policy = Policy::default();
    for (key, value) in lines {
        let parts: Vec<&str> = key.split('.').collect();
        let (last, path) = parts.split_last().expect("a key has a part");
        policy.set(path, last, &Setting::from(*value)).expect("the test's policy is valid");
    }
    policy
}

/// What holds after a verdict.
fn after(row: Option<&Row>, verdict: &Verdict) -> Option<Row> {
    match verdict {
        Verdict::Keep => row.cloned(),
        Verdict::Insert(made) => {
            assert!(row.is_none(), "an insert finds no row");
            Some(made.clone())
        }
        Verdict::Update(made) => {
            assert!(row.is_some_and(|row| row != made), "an update changes a row");
            Some(made.clone())
        }
        Verdict::Delete => {
            assert!(row.is_some(), "a delete finds a row");
            None
        }
        Verdict::Renumber => panic!("renumbered"),
    }
}

/// Both acts in this order on a base: the row and the conflicts.
fn arrive(policy: &Policy, base: Option<&Row>, first: &Act, second: &Act) -> (Option<Row>, Vec<Conflict>) {
    let plain = first.meets(policy, base, &[], false);
    assert!(plain.conflicts.is_empty(), "the first meets nobody");
    let there = after(base, &plain.verdict);
    let decision = second.meets(policy, there.as_ref(), &[first.touch(1)], false);
    (after(there.as_ref(), &decision.verdict), decision.conflicts)
}

/// A conflict without direction: sides by stamp, the two names of delete against update as one.
fn normal(mut conflict: Conflict) -> Conflict {
    if conflict.kind == ConflictKind::DeleteUpdate {
        conflict.kind = ConflictKind::UpdateDelete;
    }
    if conflict.ours.stamp > conflict.theirs.stamp {
        core::mem::swap(&mut conflict.ours, &mut conflict.theirs);
        if let Some(answer) = &mut conflict.answer {
            answer.choice = match answer.choice {
                Choice::Ours => Choice::Theirs,
                Choice::Theirs => Choice::Ours,
                same => same,
            };
        }
    }
    conflict
}

/// Checks both orders of arrival: the row, and each conflict as `kind column open|early|late|merged`.
#[track_caller]
fn check(policy: &Policy, base: Option<Row>, early: Act, late: Act, expect: Option<Row>, conflicts: &[&str]) {
    assert!(early.at < late.at);
    for is_swapped in [false, true] {
        let (first, second) = if is_swapped { (&late, &early) } else { (&early, &late) };
        let (row, found) = arrive(policy, base.as_ref(), first, second);
        assert_eq!(row, expect, "swapped: {is_swapped}");
        let shown: Vec<String> = found.into_iter().map(normal).map(|conflict| shown(&conflict)).collect();
        assert_eq!(shown, conflicts, "swapped: {is_swapped}");
    }
}

fn shown(conflict: &Conflict) -> String {
    assert_eq!((conflict.version, conflict.table.as_str()), (7, "t"));
    let state = match conflict.answer.as_ref().map(|answer| answer.choice) {
        None => "open",
        Some(Choice::Ours) => "early",
        Some(Choice::Theirs) => "late",
        Some(_) => "merged",
    };
    format!("{} {} {state}", conflict.kind.name(), conflict.column.as_deref().unwrap_or("row"))
}

#[test]
fn cells_merge_apart_and_by_strategy() {
    let base = row(1, 2);
    let upto = |at, a: i64, b: i64| update(at, &row(1, 2), &row(a, b));
    let pair = |policy: &Policy, ours: Edit, theirs: Edit, expect: Row, conflicts: &[&str]| {
        check(policy, Some(base.clone()), act(1, 5, ours), act(2, 6, theirs), Some(expect), conflicts);
    };
    let lww = Policy::default();
    pair(&lww, upto(5, 7, 2), upto(6, 1, 8), row(7, 8), &[]);
    pair(&lww, upto(5, 7, 2), upto(6, 7, 2), row(7, 2), &[]);
    pair(&lww, upto(5, 7, 8), upto(6, 9, 2), row(9, 8), &["update_update a late"]);
    let own = policy(&[("strategy", "manual"), ("T.A.strategy", "counter")]);
    pair(&own, upto(5, 7, 8), upto(6, 9, 9), row(15, 8), &["update_update b open"]);
    pair(&own, upto(5, 7, 2), upto(6, 7, 2), row(13, 2), &[]);
}

#[test]
fn the_priority_column_ranks_rows() {
    let by_column = policy(&[("t.strategy", "priority"), ("t.priority_column", "RANK")]);
    let base = vec!["k".into(), 1.into(), 2.into(), 5.into()];
    let made = |a: i64, rank: i64| vec!["k".into(), a.into(), 2.into(), rank.into()];
    let early = act(1, 5, update(5, &base, &made(7, 6)));
    let late = act(2, 6, update(6, &base, &made(8, 5)));
    check(&by_column, Some(base.clone()), early, late, Some(made(7, 6)), &["update_update a early"]);
    let mut by_actor = policy(&[("strategy", "priority"), ("priority_actors", "actor1=3")]);
    let (early, late) = (act(1, 5, update(5, &base, &made(7, 5))), act(2, 6, update(6, &base, &made(8, 5))));
    check(&by_actor, Some(base.clone()), early.clone(), late.clone(), Some(made(7, 5)), &["update_update a early"]);
    let id = format!("{}=4", ReplicaId(2));
    by_actor.set::<&str>(&[], "priority_replicas", &Setting::Text(id)).expect("a replica's id");
    check(&by_actor, Some(base.clone()), early, late, Some(made(8, 5)), &["update_update a late"]);
}

#[test]
fn a_strict_table_keeps_whole_rows() {
    let strict = policy(&[("t.strategy", "strict"), ("t.deletes", "delete-wins")]);
    let base = row(1, 2);
    let early = act(1, 5, update(5, &base, &row(7, 2)));
    let late = act(2, 6, update(6, &base, &row(1, 8)));
    check(&strict, Some(base.clone()), early.clone(), late, Some(row(7, 2)), &["update_update row open"]);
    let same = act(2, 6, update(6, &base, &row(7, 2)));
    check(&strict, Some(base.clone()), early.clone(), same, Some(row(7, 2)), &[]);
    let gone = act(2, 6, delete(base.clone()));
    check(&strict, Some(base.clone()), early, gone, Some(row(7, 2)), &["update_delete row open"]);
}

#[test]
fn creations_of_one_key_conflict() {
    let (early, late) = (act(1, 5, insert(row(1, 1))), act(2, 6, insert(row(2, 2))));
    check(&Policy::default(), None, early.clone(), late.clone(), Some(row(1, 1)), &["create_create row open"]);
    let same = act(2, 6, insert(row(1, 1)));
    check(&Policy::default(), None, early.clone(), same, Some(row(1, 1)), &[]);
    let numbered = late.meets(&Policy::default(), Some(&row(1, 1)), &[early.touch(1)], true);
    assert_eq!(numbered, Verdict::Renumber.into());
    let again = early.meets(&Policy::default(), Some(&row(1, 1)), &[early.touch(1)], true);
    assert_eq!(again, Verdict::Keep.into());
}

#[test]
fn deletes_meet_updates_by_rule() {
    let base = row(1, 2);
    let kept = Some(row(7, 2));
    let edit = |at| act(1, at, update(at, &base, &row(7, 2)));
    let gone = |at| act(2, at, delete(base.clone()));
    let meet = |rule: &str, early: Act, late: Act, expect: Option<Row>, state: &str| {
        let policy = policy(&[("deletes", rule)]);
        check(&policy, Some(base.clone()), early, late, expect, &[&format!("update_delete row {state}")]);
    };
    meet("manual", edit(5), gone(6), kept.clone(), "open");
    meet("manual", gone(5), edit(6), kept.clone(), "open");
    meet("update-wins", edit(5), gone(6), kept.clone(), "early");
    meet("delete-wins", edit(5), gone(6), None, "late");
    meet("delete-wins", gone(5), edit(6), None, "early");
    meet("last-write-wins", edit(5), gone(6), None, "late");
    meet("last-write-wins", gone(5), edit(6), kept, "late");
    check(&Policy::default(), Some(base.clone()), gone(5), act(3, 6, delete(base.clone())), None, &[]);
}

#[test]
fn an_update_of_a_row_nobody_knows_is_kept_in_sight() {
    let base = row(1, 2);
    let decision = act(1, 5, update(5, &base, &row(7, 2))).meets(&Policy::default(), None, &[], false);
    assert_eq!(decision.verdict, Verdict::Keep);
    let [conflict] = &decision.conflicts[..] else { panic!("one conflict") };
    assert!(conflict.is_open());
    let image = |value: i64| vec![("id".to_string(), Value::text("k")), ("a".to_string(), value.into())];
    assert_eq!(conflict.ours.claim, Claim::Row(Some(image(7))));
    assert_eq!(conflict.base, Claim::Row(Some(image(1))));
    assert_eq!(conflict.theirs.claim, Claim::Row(None));
}

/// HAZARDS H4, I-62.
#[test]
fn a_row_made_again_gets_no_cell_of_the_earlier_one() {
    let (base, again) = (row(1, 2), row(5, 6));
    let touches = [act(2, 6, delete(base.clone())).touch(1), act(2, 7, insert(again.clone())).touch(2)];
    for rule in Deletes::ALL {
        let policy = policy(&[("deletes", rule.name())]);
        let edit = act(1, 9, update(9, &base, &row(7, 2)));
        let decision = edit.meets(&policy, Some(&again), &touches, false);
        assert_eq!(decision.verdict, Verdict::Keep);
        let [conflict] = &decision.conflicts[..] else { panic!("one conflict") };
        assert_eq!((shown(conflict).as_str(), conflict.strategy.as_str()), ("update_delete row open", "manual"));
        let image = |row: Row| Claim::Row(Some(super::row::image(&shape(false), &row)));
        assert_eq!((&conflict.base, &conflict.ours.claim), (&image(base.clone()), &image(row(7, 2))));
        assert_eq!(conflict.theirs.claim, image(again.clone()));
        let gone = act(1, 9, delete(base.clone())).meets(&policy, Some(&again), &touches, false);
        assert_eq!(gone.verdict, Verdict::Keep);
        assert_eq!(shown(&gone.conflicts[0]), "delete_update row open");
    }
    // Ours made it again itself, in a changeset before: it is the same row.
    let own = [act(1, 6, delete(base)).touch(1), act(1, 7, insert(again.clone())).touch(2)];
    let edit = act(1, 9, update(9, &again, &row(7, 6)));
    assert_eq!(edit.meets(&Policy::default(), Some(&again), &own, false), Verdict::Update(row(7, 6)).into());
}

#[test]
fn what_others_deleted_is_not_added_again_by_a_copy_that_missed_it() {
    let policy = policy(&[]);
    let (gone, other) = (row(1, 1), row(1, 2));
    let touches = [act(1, 10, insert(gone.clone())).touch(4), act(1, 20, delete(gone.clone())).touch(5)];
    let same = act(2, 30, insert(gone.clone()));
    let theirs_end = |decision: &Decision| {
        let conflict = decision.conflicts.first()?;
        Some((conflict.kind, conflict.is_open(), conflict.theirs.claim == Claim::Row(None), conflict.theirs.stamp.time.0))
    };
    let open = Some((ConflictKind::UpdateDelete, true, true, 20));
    for is_numbered in [false, true] {
        let decision = same.meets(&policy, None, &touches, is_numbered);
        assert_eq!((&decision.verdict, theirs_end(&decision)), (&Verdict::Keep, open), "the row stays gone");
    }
    let decision = act(2, 30, insert(other.clone())).meets(&policy, None, &touches, false);
    assert_eq!((&decision.verdict, theirs_end(&decision)), (&Verdict::Insert(other.clone()), open), "no row comes back unseen");
    let decision = act(2, 30, insert(other.clone())).meets(&policy, None, &touches, true);
    assert_eq!(decision, Verdict::Insert(other).into(), "a number that was free is another row's");
    let own = [act(2, 20, delete(gone.clone())).touch(5)];
    assert_eq!(same.meets(&policy, None, &own, false), Verdict::Insert(gone.clone()).into(), "who deleted it knows");
    assert_eq!(same.meets(&policy, None, &[], false), Verdict::Insert(gone).into(), "who heard of it adds it on purpose");
}

#[test]
fn what_ours_sent_before_is_not_the_other_side() {
    let base = row(1, 2);
    let own = act(1, 5, update(5, &base, &row(7, 2))).touch(2);
    let other = act(2, 6, update(6, &base, &row(1, 8))).touch(1);
    let strict = policy(&[("strategy", "strict")]);
    let edit = act(1, 7, update(7, &row(7, 2), &row(9, 2)));
    let alone = edit.meets(&strict, Some(&row(7, 2)), core::slice::from_ref(&own), false);
    assert_eq!(alone, Verdict::Update(row(9, 2)).into());
    let both = edit.meets(&strict, Some(&row(7, 8)), &[other.clone(), own.clone()], false);
    assert_eq!(both.verdict, Verdict::Keep);
    assert_eq!(both.conflicts[0].theirs.actor, "actor2");
    let gone = act(1, 7, delete(row(7, 2))).meets(&Policy::default(), Some(&row(7, 8)), &[other, own], false);
    assert_eq!((gone.verdict, gone.conflicts[0].theirs.stamp), (Verdict::Keep, Stamp { time: Time(6), replica: ReplicaId(2) }));
}

/// A deletion of ours was kept back where ours was made, and holds here: that is nobody else's word against ours.
#[test]
fn an_edit_of_a_row_that_ours_deleted_before_is_no_conflict_with_oneself() {
    let (base, other) = (row(1, 2), row(5, 6));
    let edit = act(1, 9, update(9, &base, &row(1, 7)));
    let gone = act(1, 5, delete(base.clone())).touch(3);
    for rule in Deletes::ALL {
        let policy = policy(&[("deletes", rule.name())]);
        let decide = |touches: &[Touch]| edit.meets(&policy, None, touches, false);
        assert_eq!(decide(core::slice::from_ref(&gone)), Verdict::Insert(row(1, 7)).into());
        // Others wrote into the row meanwhile, and it went as they left it.
        let seen = act(2, 4, update(4, &base, &row(3, 2))).touch(2);
        let decision = decide(&[seen, act(1, 5, delete(row(3, 2))).touch(3)]);
        assert_eq!(decision, Verdict::Insert(row(3, 7)).into());
        // Another row had the key meanwhile, and only that one went by ours' own hand.
        let theirs = act(2, 6, delete(base.clone())).touch(2);
        let own = [act(1, 7, insert(other.clone())).touch(3), act(1, 8, delete(other.clone())).touch(4)];
        let [made, unmade] = &own;
        let decision = decide(&[theirs, made.clone(), unmade.clone()]);
        assert_eq!(decision.conflicts.len(), 1);
        assert_eq!((decision.conflicts[0].theirs.actor.as_str(), &decision.conflicts[0].strategy[..]), ("actor2", rule.name()));
        assert_eq!(decision.conflicts[0].base, Claim::Row(Some(super::row::image(&shape(false), &base))));
        // Nobody knows the row that was edited: it keeps what is known of it, and takes nothing of the other's.
        let decision = decide(&own);
        assert_eq!((&decision.verdict, decision.conflicts[0].theirs.stamp), (&Verdict::Keep, Stamp::default()));
        // What waited for its parent while ours deleted the row is over.
        assert_eq!(decide(&[act(1, 10, delete(base.clone())).touch(3)]), Verdict::Keep.into());
        let decision = decide(&[act(1, 10, delete(other.clone())).touch(3)]);
        assert_eq!((&decision.verdict, decision.conflicts.len()), (&Verdict::Keep, 1));
    }
}

#[test]
fn plain_changes_need_no_touches() {
    let base = row(1, 2);
    let plain = |edit: Edit, row: Option<&Row>| {
        let (shape, change) = (shape(false), act(1, 5, edit).change());
        is_plain(&Ours { shape: &shape, change: &change, replica: ReplicaId(1), actor: "" }, row)
    };
    assert!(plain(insert(base.clone()), None));
    assert!(!plain(insert(base.clone()), Some(&base)));
    assert!(plain(update(5, &base, &row(7, 2)), Some(&row(1, 9))));
    assert!(!plain(update(5, &base, &row(7, 2)), Some(&row(3, 2))));
    assert!(!plain(update(5, &base, &row(7, 2)), None));
    assert!(plain(delete(base.clone()), Some(&base)));
    assert!(!plain(delete(base.clone()), Some(&row(1, 3))));
    assert!(!plain(delete(base), None));
}

fn cell() -> impl proptest::strategy::Strategy<Value = Value> {
    prop_oneof![(0..4i64).prop_map(Value::Integer), "[ab,]{0,3}".prop_map(Value::text), "\\[[0-3]\\]".prop_map(Value::text)]
}

fn rows() -> impl proptest::strategy::Strategy<Value = Row> {
    (cell(), cell(), 0..3i64).prop_map(|(a, b, rank)| vec!["k".into(), a, b, rank.into()])
}

fn policies() -> impl proptest::strategy::Strategy<Value = Policy> {
    let strategy = || prop::sample::select(Strategy::ALL.to_vec()).prop_map(Strategy::name);
    let deletes = prop::sample::select(Deletes::ALL.to_vec()).prop_map(Deletes::name);
    (strategy(), prop::option::of(strategy()), deletes, any::<bool>()).prop_map(|(table, column, deletes, is_ranked)| {
        let mut lines = vec![("t.strategy", table), ("deletes", deletes), ("priority_actors", "actor2=1")];
        lines.extend(column.map(|name| ("t.a.strategy", name)));
        lines.extend(is_ranked.then_some(("t.priority_column", "rank")));
        policy(&lines)
    })
}

/// Two concurrent acts on one base: inserts where there is none, else an update to a row, or a delete.
fn meetings() -> impl proptest::strategy::Strategy<Value = (Option<Row>, [Act; 2])> {
    let target = || prop::option::weighted(0.8, rows());
    let replicas = prop::sample::select(vec![[1, 2], [2, 1], [1, 9], [9, 1]]);
    (prop::option::weighted(0.8, rows()), target(), target(), rows(), replicas, [0..3u64, 0..3u64]).prop_map(
        |(base, x, y, spare, replicas, at)| {
            let make = |i: usize, to: Option<Row>| {
                let edit = match (&base, to) {
                    (None, to) => insert(to.unwrap_or(spare.clone())),
                    (Some(base), None) => delete(base.clone()),
                    (Some(base), Some(to)) => update(at[i], base, &to),
                };
                act(replicas[i], at[i], edit)
            };
            (base.clone(), [make(0, x), make(1, y)])
        },
    )
}

fn is_nothing(act: &Act) -> bool {
    matches!(&act.edit, Edit::Update(cells) if cells.is_empty())
}

fn claims(conflict: &Conflict) -> Vec<Value> {
    let of = |side: &Side| match &side.claim {
        Claim::Cell(value) => vec![value.clone()],
        Claim::Row(image) => image.iter().flatten().map(|(_, value)| value.clone()).collect(),
    };
    [of(&conflict.ours), of(&conflict.theirs)].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_order_of_arrival_does_not_matter(policy in policies(), (base, [x, y]) in meetings()) {
        prop_assume!(!is_nothing(&x) && !is_nothing(&y));
        let (one, one_conflicts) = arrive(&policy, base.as_ref(), &x, &y);
        let (other, other_conflicts) = arrive(&policy, base.as_ref(), &y, &x);
        prop_assert_eq!(one, other);
        let normal = |found: Vec<Conflict>| found.into_iter().map(normal).collect::<Vec<_>>();
        prop_assert_eq!(normal(one_conflicts), normal(other_conflicts));
    }

    #[test]
    fn what_was_merged_can_be_merged_again(policy in policies(), (base, [x, y]) in meetings()) {
        prop_assume!(!is_nothing(&x) && !is_nothing(&y));
        let combines = [policy.column("t", "a"), policy.column("t", "b")].iter().any(|rule| rule.strategy.combines());
        if combines {
            // Their own tests say what a second merge does.
            return Ok(());
        }
        let plain = x.meets(&policy, base.as_ref(), &[], false);
        let there = after(base.as_ref(), &plain.verdict);
        let first = y.meets(&policy, there.as_ref(), &[x.touch(1)], false);
        let merged = after(there.as_ref(), &first.verdict);
        // What the ledger remembers of the second version is the row's difference.
        let difference = match (&there, &merged) {
            (Some(before), Some(after)) => update(y.at, before, after),
            (None, Some(made)) => insert(made.clone()),
            (Some(gone), None) => delete(gone.clone()),
            (None, None) => Edit::Update(Vec::new()),
        };
        let mut touches = vec![x.touch(1)];
        touches.extend(Some(act(y.replica, y.at, difference)).filter(|act| !is_nothing(act)).map(|act| act.touch(2)));
        let again = y.meets(&policy, merged.as_ref(), &touches, false);
        prop_assert_eq!(after(merged.as_ref(), &again.verdict), merged);
    }

    #[test]
    fn nothing_is_lost_and_nothing_invented(policy in policies(), (base, [x, y]) in meetings()) {
        prop_assume!(!is_nothing(&x) && !is_nothing(&y));
        let (row, conflicts) = arrive(&policy, base.as_ref(), &x, &y);
        let known: Vec<Value> = conflicts.iter().flat_map(claims).collect();
        for act in [&x, &y] {
            let written: Vec<(usize, Value)> = match &act.edit {
                Edit::Insert(row) => row.iter().cloned().enumerate().collect(),
                Edit::Update(cells) => cells.iter().map(|cell| (cell.column, cell.after.clone())).collect(),
                Edit::Delete(_) => Vec::new(),
            };
            for (column, value) in written {
                let holds = row.as_ref().is_some_and(|row| row[column] == value);
                let combines = policy.column("t", &shape(false).columns[column]).strategy.combines();
                prop_assert!(holds || combines || known.contains(&value), "{value:?} is lost");
            }
        }
        let sources: Vec<Option<Row>> = [&x, &y].map(|act| after(base.as_ref(), &act.meets(&policy, base.as_ref(), &[], false).verdict)).to_vec();
        for (column, value) in row.iter().flatten().enumerate() {
            let combines = policy.column("t", &shape(false).columns[column]).strategy.combines();
            let is_known = base.iter().chain(sources.iter().flatten()).any(|source| source[column] == *value);
            prop_assert!(combines || is_known, "{value:?} is invented");
        }
    }

    /// HAZARDS G6: three concurrent edits give one row in every order of arrival. Edits differ or leave a cell alone:
    /// of two equal edits only the first is remembered, so a third may meet either's stamp.
    #[test]
    fn three_edits_give_one_row_in_every_order(
        strategy in prop::sample::select(vec![
            Strategy::LastWriteWins, Strategy::Priority, Strategy::PrimaryWins, Strategy::ReplicaWins,
            Strategy::Manual, Strategy::Counter, Strategy::Max, Strategy::Min,
        ]),
        base in (0..9i64, 0..9i64),
        targets in prop::array::uniform3((0..9i64, 0..9i64, 0..3u64)),
    ) {
        let policy = policy(&[("strategy", strategy.name()), ("priority_actors", "actor2=1")]);
        let base = row(base.0, base.1);
        let acts: Vec<Act> = [(1, 10), (2, 20), (9, 30)]
            .into_iter()
            .zip(targets)
            .map(|((replica, apart), (a, b, at))| {
                let value = |target: i64, column: usize| if target < 3 { base[column].clone() } else { (target + apart).into() };
                act(replica, at, update(at, &base, &row(value(a, 1), value(b, 2))))
            })
            .collect();
        let arrived = |order: [usize; 3]| {
            let (mut there, mut touches) = (base.clone(), Vec::new());
            for (version, act) in order.iter().map(|&i| &acts[i]).filter(|act| !is_nothing(act)).enumerate() {
                let decision = act.meets(&policy, Some(&there), &touches, false);
                let merged = after(Some(&there), &decision.verdict).expect("an update keeps the row");
                let effect = Act { edit: update(act.at, &there, &merged), ..act.clone() };
                if !is_nothing(&effect) {
                    touches.push(effect.touch(version as u64));
                }
                there = merged;
            }
            there
        };
        let first = arrived([0, 1, 2]);
        for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            prop_assert_eq!(&arrived(order), &first);
        }
    }
}

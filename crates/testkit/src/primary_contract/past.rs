//! What a primary tells of the past: rows at a version, what happened to a row, who wrote each cell, and its events as one chain.
use super::{Found, KnownAs, Offer, delete, first_rows, fresh, insert, known, rename, row, update};
use mainstem::audit::{self, Remembered};
use mainstem::core::ErrorKind;
use mainstem::core::value::Value;
use mainstem::error::Error;
use mainstem::history::RowPlace;
use mainstem::primary::Primary;

pub(super) fn the_past_is_told(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    let start = primary.describe().expect("an answer");
    let known = known(&mut *primary);
    let first =
        Offer::new(&start, 7, 1, vec![rename("a", "apple", "apfel", 1), delete(row("b", "bean", 2), 2), insert(row("d", "dill", 4), 3)]);
    first.push(&mut *primary, &known).expect("an answer");
    let second = Offer::new(&primary.describe().expect("an answer"), 8, 1, vec![update("a", 2, Value::Integer(1), Value::Integer(9), 4)]);
    second.push(&mut *primary, &known).expect("an answer");
    let at = |primary: &mut dyn Primary, version: u64| {
        let mut rows = Vec::new();
        primary.rows("item", version, &mut |names, row| {
            assert_eq!(names, ["id", "name", "stock"]);
            rows.push(row.clone());
            Ok(())
        })?;
        rows.sort_unstable();
        Ok::<_, Error>(rows)
    };
    assert_eq!(at(&mut *primary, 1).expect("an answer"), first_rows());
    assert_eq!(at(&mut *primary, 2).expect("an answer"), [row("a", "apfel", 1), row("c", "cress", 3), row("d", "dill", 4)]);
    assert_eq!(at(&mut *primary, 3).expect("an answer")[0], row("a", "apfel", 9));
    assert_eq!(at(&mut *primary, 4).expect_err("a refusal").kind, ErrorKind::NotFound);
    let place = |id: &str, version: u64| RowPlace { table: "item".into(), key: vec![Value::text(id)], version };
    // One thing at a time is the same as all at once, newest first.
    let mut next = Some(place("a", 3));
    let mut told = Vec::new();
    while let Some(from) = next {
        let part = primary.row_history(&from, 1).expect("an answer");
        told.extend(part.happenings.iter().map(|one| (one.version, one.header.actor.clone())));
        assert_eq!(part.next.is_none(), part.published.is_some());
        next = part.next;
    }
    let named = |said: &str| known_as.unwrap_or(said).to_string();
    assert_eq!(told, [(3, named("actor 8")), (2, named("actor 7"))]);
    assert_eq!(primary.touches(&place("a", 3), 1).expect("an answer").iter().map(|t| t.version).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(primary.touches(&place("a", 2), 2).expect("an answer"), []);
    let blame = primary.blame(&place("a", 3)).expect("an answer");
    let origins: Vec<(u64, &str)> = blame.cells.iter().map(|cell| (cell.origin.version, cell.origin.rule.name())).collect();
    assert_eq!(origins, [(1, "published"), (2, "written"), (3, "written")]);
    assert_eq!(primary.blame(&place("a", 2)).expect("an answer").cells[2].origin.version, 1, "a later version is not known yet");
    assert_eq!(primary.blame(&place("b", 3)).expect("an answer").gone.map(|gone| gone.deletion.version), Some(2));
    assert_eq!(primary.blame(&place("b", 1)).expect("an answer").cells[1].value, Value::text("bean"));
    assert_eq!(primary.blame(&place("z", 3)).expect_err("a refusal").kind, ErrorKind::NotFound);
    assert_eq!(primary.chronicle().expect("an answer").at(3).table("ITEM").expect("the table").column_names(), ["id", "name", "stock"]);
}

pub(super) fn events_are_one_chain(found: Found<'_>) {
    let mut primary = fresh(found);
    let start = primary.describe().expect("an answer");
    let known = known(&mut *primary);
    for number in 1..4 {
        let offer =
            Offer::new(&primary.describe().expect("an answer"), 7, number, vec![insert(row(&format!("n{number}"), "new", 1), number)]);
        offer.push(&mut *primary, &known).expect("an answer");
    }
    let all = primary.events(0, usize::MAX).expect("an answer");
    let mut one_by_one = Vec::new();
    while let Some(link) = primary.events(one_by_one.len() as u64, 1).expect("an answer").into_iter().next() {
        one_by_one.push(link);
    }
    assert_eq!(one_by_one, all);
    assert_eq!(all.len() as u64, start.head.events + 3);
    let mut findings = Vec::new();
    let remembered = Remembered { known: Some(&known), head: Some(all[1].hash) };
    let take = &mut |finding| {
        findings.push(finding);
        Ok(())
    };
    let told = audit::verify(&mut *primary, remembered, take, &mut |_, _, _| {}).expect("an answer");
    assert_eq!(findings, []);
    assert_eq!((told.chain.version, told.chain.head_found, told.rows), (4, Some(2), Some(6)));
    assert_eq!(told.chain.head, primary.describe().expect("an answer").head.hash);
}

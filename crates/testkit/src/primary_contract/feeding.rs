//! The feed of a primary: every change once, in order, from any place on, in pieces of any size.
use super::{Found, KnownAs, MADE_AT_MS, Offer, at, delete, first_rows, fresh, insert, known, rename, row, update, version_of};
use mainstem::changeset_json::time_text;
use mainstem::core::ErrorKind;
use mainstem::core::change::Change;
use mainstem::core::stamp::Time;
use mainstem::core::value::Value;
use mainstem::feed::{self, Batch, Offset};
use mainstem::primary::Primary;
use serde_json::Value as Json;

/// Everything after an offset, read `most` at a time.
fn all_after(primary: &mut dyn Primary, from: Offset, most: usize) -> Vec<Json> {
    let mut told = Vec::new();
    let mut at = from;
    loop {
        let (Batch { events, next, is_last }, _) = feed::read(primary, &at, most).expect("a batch");
        assert!(events.len() <= most);
        assert!(events.windows(2).all(|pair| pair[0].offset < pair[1].offset), "in order");
        told.extend(events.iter().map(feed::to_json));
        assert!(is_last || next > at.in_epoch(next.epoch.expect("what is handed out names its epoch")), "it goes on");
        at = next;
        if is_last {
            return told;
        }
    }
}

fn grown(primary: &mut dyn Primary) {
    let known = known(primary);
    let start = primary.describe().expect("a description");
    let mut first = Offer::new(&start, 7, 1, vec![delete(row("b", "bean", 2), 1), rename("a", "apple", "apfel", 2)]);
    first.front.header.title = Some("spring".into());
    version_of(first.push(primary, &known));
    let many: Vec<Change> = (0..40).map(|n| insert(row(&format!("n{n:02}"), "new", n), 3)).collect();
    let second = Offer::new(&primary.describe().expect("a description"), 7, 2, many);
    version_of(second.push(primary, &known));
    let third =
        Offer::new(&primary.describe().expect("a description"), 8, 1, vec![update("c", 2, Value::Integer(3), Value::Integer(4), 5)]);
    version_of(third.push(primary, &known));
}

pub(super) fn the_feed_goes_on_from_any_place(found: Found<'_>) {
    let mut primary = fresh(found);
    grown(&mut *primary);
    let all = all_after(&mut *primary, Offset::START, feed::BATCH_MAX);
    let kinds: Vec<&str> = all.iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!((all.len(), &kinds[..3], kinds[42]), (43, &["deleted", "updated", "created"][..], "updated"));
    for most in [1, 7, 100] {
        assert_eq!(all_after(&mut *primary, Offset::START, most), all, "{most} at a time");
    }
    for (had, event) in all.iter().enumerate().step_by(6) {
        let from: Offset = event["offset"].as_str().expect("an offset").parse().expect("it can be read");
        assert_eq!(all_after(&mut *primary, from, 7), all[had + 1..], "from {from} on");
    }
    assert_eq!(all_after(&mut *primary, Offset::after(2), 9), all[2..]);
    let now = feed::now(&primary.describe().expect("a description"));
    assert_eq!(all_after(&mut *primary, now, 9), Vec::<Json>::new());
}

pub(super) fn an_event_says_where_it_comes_from(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    grown(&mut *primary);
    let all = all_after(&mut *primary, Offset::START, feed::BATCH_MAX);
    let mark = Offset::mark(primary.describe().expect("a description").epoch);
    let deleted = &all[0];
    assert_eq!(deleted["offset"], format!("2.1@{mark:08x}"));
    assert_eq!((&deleted["table"], &deleted["key"]["id"], &deleted["before"]["name"]), (&"item".into(), &"b".into(), &"bean".into()));
    assert!(deleted["after"].is_null());
    let updated = &all[1];
    assert_eq!((updated["before"].to_string(), updated["after"].to_string()), (r#"{"name":"apple"}"#.into(), r#"{"name":"apfel"}"#.into()));
    assert_eq!((&updated["author"], &updated["changeset"]["title"]), (&known_as.unwrap_or("actor 7").into(), &"spring".into()));
    assert_eq!((&updated["version"], &updated["written_at"]), (&2.into(), &time_text(at(2)).into()));
    assert_eq!(updated["changeset"]["at"], time_text(Time::from_ms(MADE_AT_MS + 1_000_000)));
    assert_eq!(all[2]["after"]["stock"], 0);
    assert_eq!(first_rows().len(), 3, "the rows of version 1 are no events");
}

pub(super) fn a_feed_that_cannot_go_on_says_where_it_can(found: Found<'_>) {
    let mut primary = fresh(found);
    grown(&mut *primary);
    let mark = Offset::mark(primary.describe().expect("a description").epoch);
    let refused = |primary: &mut dyn Primary, from: Offset| {
        let refusal = feed::read(primary, &from, 9).expect_err("a refusal");
        (refusal.kind, refusal.code)
    };
    assert_eq!(refused(&mut *primary, Offset::after(5)), (ErrorKind::Conflict, "ahead"));
    assert_eq!(refused(&mut *primary, Offset::after(2).in_epoch(mark ^ 1)), (ErrorKind::Conflict, "other_epoch"));
    primary.set_policy(super::forgetting::NOTHING_IS_KEPT, "owner").expect("a policy");
    assert_eq!(primary.cleanup("owner", mainstem::cleanup::Rehearsal::Real).expect("a cleanup").collected.horizon, 4);
    assert_eq!(refused(&mut *primary, Offset::START), (ErrorKind::Conflict, "behind_horizon"));
    assert!(feed::read(&mut *primary, &Offset::after(4), 9).expect("an answer").0.is_last);
}

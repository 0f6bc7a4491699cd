//! What a primary remembers of deletions, what it may forget, and what it says to who comes too late.
use super::{Found, KnownAs, Offer, at, delete, fresh, known, pull_all, rename, row, version_of};
use mainstem::cleanup::Rehearsal;
use mainstem::core::stamp::ReplicaId;
use mainstem::core::value::{Row, Value};
use mainstem::error::Error;
use mainstem::primary::{Cursor, Primary, Pushed, Seen};
use mainstem::tombstones::{State, Tombstone, Wanted, Why};

fn tombstones(primary: &mut dyn Primary, wanted: &Wanted) -> Vec<Tombstone> {
    let mut found = Vec::new();
    let mut take = |tombstone: &Tombstone| {
        found.push(tombstone.clone());
        Ok(())
    };
    primary.tombstones(wanted, &mut take).expect("a list");
    found
}

pub(super) fn a_deletion_leaves_a_tombstone(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let mut offer = Offer::new(&described, 7, 1, vec![delete(row("b", "bean", 2), 1), delete(row("a", "apple", 1), 2)]);
    offer.front.header.title = Some("out of season".into());
    version_of(offer.push(primary.as_mut(), &known));
    let all = tombstones(primary.as_mut(), &Wanted::default());
    let ids: Vec<String> = all.iter().filter_map(|t| Some(t.id?.to_string())).collect();
    assert_eq!(ids, ["2.1", "2.2"]);
    let first = &all[0];
    assert_eq!((first.table.as_str(), &first.key, first.actor.as_str()), ("item", &vec![Value::text("b")], known_as.unwrap_or("actor 7")));
    assert_eq!(first.image.iter().map(|(_, value)| value.clone()).collect::<Row>(), row("b", "bean", 2), "its last image");
    assert_eq!(first.why, Why::Changeset { title: Some("out of season".into()), description: String::new() });
    assert_eq!((first.at, first.state, first.is_there), (at(1), State::Living, false));
    assert!(first.expires.is_some_and(|end| end > first.accepted_at), "90 days, where the policy does not say");
    let one = Wanted { key: Some(vec![Value::text("a")]), ..Wanted::default() };
    assert_eq!(tombstones(primary.as_mut(), &one), all[1..]);
    assert_eq!(tombstones(primary.as_mut(), &Wanted { actor: Some("nobody".into()), ..Wanted::default() }), []);
}

/// Every life is over at once: what is kept is kept for a replica.
pub(super) const NOTHING_IS_KEPT: &str = "tombstones = 0\nhistory = 0\nreplicas = \"forever\"\n";

pub(super) fn a_cleanup_waits_for_every_replica(found: Found<'_>) {
    let mut primary = fresh(found);
    primary.set_policy(NOTHING_IS_KEPT, "owner").expect("a policy");
    let early = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    version_of(Offer::new(&described, 7, 1, vec![delete(row("b", "bean", 2), 1)]).push(primary.as_mut(), &early));
    let late = known(primary.as_mut());
    let seen = |replica, version| Seen { replica: ReplicaId(replica), actor: format!("actor {replica}"), version };
    primary.seen(&late, &seen(7, 2)).expect("heard");
    primary.seen(&early, &seen(8, 1)).expect("heard");
    let versions: Vec<(u128, u64)> = primary.replicas().expect("a list").iter().map(|r| (r.seen.replica.0, r.seen.version)).collect();
    assert_eq!(versions.len(), 2, "{versions:?}");
    let held = primary.cleanup("owner", Rehearsal::Real).expect("a cleanup");
    assert!(held.is_nothing(), "one has not heard of the deletion: {held:?}");
    assert_eq!(held.holding.iter().map(|h| (h.replica.seen.replica.0, h.tombstones)).collect::<Vec<_>>(), [(8, 1)]);
    assert_eq!(tombstones(primary.as_mut(), &Wanted::default())[0].state, State::Held);
    primary.seen(&late, &seen(8, 2)).expect("heard");
    let digests = primary.describe().expect("a description").tables;
    let events = primary.describe().expect("a description").head.events;
    let tried = primary.cleanup("owner", Rehearsal::DryRun).expect("a dry run");
    assert_eq!(primary.describe().expect("a description").head.events, events, "a dry run changes nothing");
    assert_eq!(tombstones(primary.as_mut(), &Wanted::default())[0].state, State::Expired);
    let mut done = primary.cleanup("owner", Rehearsal::Real).expect("a cleanup");
    done.collected.at = tried.collected.at;
    done.collected.tombstones[0].until = tried.collected.tombstones[0].until;
    assert_eq!(done, tried, "a dry run says what the real one does");
    assert_eq!((done.collected.tombstones[0].count, done.collected.horizon), (1, 2));
    assert_eq!(tombstones(primary.as_mut(), &Wanted::default()), []);
    let after = primary.describe().expect("a description");
    assert_eq!((after.head.events, after.head.version, after.tables), (events + 1, 2, digests), "one event, no version, no digest");
    assert!(primary.cleanup("owner", Rehearsal::Real).expect("a cleanup").is_nothing(), "once is enough");
}

pub(super) fn what_is_behind_the_horizon_is_told_so(found: Found<'_>) {
    let mut primary = fresh(found);
    primary.set_policy(NOTHING_IS_KEPT, "owner").expect("a policy");
    let early = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let offer = Offer::new(&described, 7, 1, vec![delete(row("b", "bean", 2), 1)]);
    version_of(offer.push(primary.as_mut(), &early));
    let late = known(primary.as_mut());
    assert_eq!(primary.cleanup("owner", Rehearsal::Real).expect("a cleanup").collected.horizon, 2);
    assert_eq!(primary.describe().expect("a description").horizon, 2);
    let told = |error: Error| assert_eq!((error.kind, error.code), (mainstem::core::ErrorKind::Conflict, "behind_horizon"));
    let from = |version| Cursor { version, page: 0 };
    told(primary.pull(&early, from(2), 1_000).expect_err("it is told"));
    told(primary.pull(&late, from(2), 1_000).expect_err("who asks for what is gone is told"));
    let stale = Offer::new(&described, 8, 1, vec![rename("a", "apple", "x", 1)]);
    told(stale.push(primary.as_mut(), &early).expect_err("it is told"));
    told(stale.push(primary.as_mut(), &late).expect_err("a changeset made before the horizon, too"));
    told(primary.seen(&early, &Seen { replica: ReplicaId(8), actor: "a".into(), version: 1 }).expect_err("it is told"));
    told(primary.rows("item", 1, &mut |_, _| Ok(())).expect_err("rows of then are not known"));
    told(primary.page(2, 0).expect_err("its pages are gone"));
    assert_eq!(offer.push(primary.as_mut(), &early).expect("an answer"), Pushed::Already { version: 2 }, "recognised all the same");
    assert!(primary.version(2).expect("an answer").is_some(), "events stay");
    assert!(primary.pull(&late, from(3), 1_000).expect("a pull").is_last);
    let described = primary.describe().expect("a description");
    version_of(Offer::new(&described, 8, 1, vec![rename("a", "apple", "x", 1)]).push(primary.as_mut(), &late));
    assert_eq!(pull_all(primary.as_mut(), &late, 1_000).len(), 1, "and what comes after goes on");
}

//! A merge whose process ends in the middle: it is shown as merging, and whoever asks next goes on.
use super::review::{assessed, by, judged, offer, vote};
use super::world::{START, World};
use mainstem::core::event::Event;
use mainstem::core::format::event;
use mainstem::core::proposal::{MergeWish, Word};
use mainstem::core::vote::Voter;
use mainstem::review::{By, Everybody, People, Privilege, State};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whoever asks it too often is gone.
struct Mortal(Cell<u32>);

impl People for Mortal {
    fn voter(&self, actor: &str, table: &str) -> Voter {
        match self.0.get().checked_sub(1) {
            Some(left) => self.0.set(left),
            None => panic!("the process ends here"),
        }
        Everybody.voter(actor, table)
    }
    fn has(&self, _: &str, _: Privilege) -> bool {
        true
    }
    fn actors(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Whether events tell of merges that began, and of versions from proposals.
fn told(world: &World) -> (usize, usize) {
    let links = world.primary().events(0, usize::MAX).unwrap();
    let events: Vec<Event> = links.iter().map(|link| event::decode(&link.bytes).unwrap()).collect();
    let begun = |event: &&Event| matches!(event, Event::Review(it) if matches!(it.act, mainstem::core::proposal::Act::BeginMerge(_)));
    let merged = |event: &&Event| matches!(event, Event::Version(version) if version.review.is_some());
    (events.iter().filter(begun).count(), events.iter().filter(merged).count())
}

#[test]
fn n8_a_merge_that_was_interrupted_is_shown_as_merging_and_anybodys_next_goes_on() {
    let world = World::new(11, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    let (before, head) = (world.stored(), world.head());
    let mut asked = 0;
    let interrupted = loop {
        let people = Mortal(Cell::new(asked));
        let by = By { actor: "bo", token: None, people: &people, request: None };
        let mut primary = world.primary();
        let ended = catch_unwind(AssertUnwindSafe(|| primary.merge(1, &MergeWish::new(5), by)));
        assert!(ended.is_err(), "it ended before anybody saw it merging");
        drop(primary);
        assert_eq!((world.stored(), world.head()), (before.clone(), head), "nothing is between");
        if told(&world).0 > 0 {
            break judged(&world, 1);
        }
        assert_eq!(judged(&world, 1).state(), State::Approved);
        asked += 1;
    };
    assert_eq!(interrupted.state(), State::Merging);
    let (who, since, _) = interrupted.proposal.merge.unwrap();
    assert!(who == "bo" && since >= interrupted.proposal.at);
    // Votes can be given and counted meanwhile, and somebody else goes on.
    assert_eq!(interrupted.tally.counted.len(), 2);
    assert_eq!(assessed(&world, 1).conflicts_open(), 0);
    let merged = world.primary().merge(1, &MergeWish::new(6), by("di")).unwrap();
    assert!(!merged.is_repeated);
    let again = world.primary().merge(1, &MergeWish::new(5), by("bo")).unwrap();
    assert_eq!((again.version, again.commit, again.is_repeated), (merged.version, merged.commit, true), "the first one asks again");
    assert_eq!((told(&world).1, judged(&world, 1).state()), (1, State::Merged));
}

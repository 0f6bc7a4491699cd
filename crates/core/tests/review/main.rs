//! Random histories of review, of which the fold of events and the tally must say what a model says that is slow, simple,
//! and written from docs/review.md alone.
//!
//! 20,000 histories with every test run. A million, which takes a minute or two:
//! `MAINSTEM_HISTORIES=1000000 cargo nextest run --cargo-profile simulate -p mainstem-core --test review --no-capture`;
//! `MAINSTEM_SEED=N` begins with another, and with `MAINSTEM_HISTORIES=1` plays that one again.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]
mod history;
mod model;

use history::World;
use mainstem_core::proposal::Vote;
use mainstem_core::stamp::Time;
use mainstem_core::vote::{Ask, Tally, Verdict, WhyNot, tally};
use std::collections::{BTreeMap, BTreeSet};

/// What the code under test says of a world.
fn told(world: &World) -> Tally {
    let (offerer, offered_at, revision) = world.proposal.revisions.last().unwrap();
    assert!(revision.authors.contains(offerer));
    tally(
        &world.policy,
        &Ask {
            tables: &world.tables,
            revision: world.proposal.revisions.len() as u64,
            digest: &history::digest(world.result),
            authors: &revision.authors,
            votes: &world.proposal.votes,
            actors: &world.actors(),
            offered_at: *offered_at,
            now: Time::from_ms(world.now_ms),
            voter: &|actor, table| world.voter(actor, table),
        },
    )
}

/// How often what was seen.
#[derive(Default)]
struct Seen {
    looks: u64,
    closed: u64,
    verdicts: [u64; 3],
    whys: BTreeMap<WhyNot, u64>,
}

fn look(seed: u64, world: &World, seen: &mut Seen) {
    let tally = told(world);
    let wanted = model::judge(world);
    let account = |vote: &Vote| world.account(&vote.actor).unwrap();
    let counted: BTreeSet<usize> = tally.counted.iter().map(account).collect();
    let is_open = world.proposal.stage.is_open();
    assert_eq!(
        (tally.verdict, &counted, is_open),
        (wanted.verdict, &wanted.counted, wanted.is_open),
        "seed {seed}: {world:#?}\n{tally:#?}"
    );
    assert_eq!(tally.missing.is_empty(), tally.verdict == Verdict::Approved, "seed {seed}: {world:#?}\n{tally:#?}");
    seen.looks += 1;
    seen.closed += u64::from(!is_open);
    seen.verdicts[tally.verdict as usize] += 1;
    for (_, why) in &tally.passed_over {
        *seen.whys.entry(*why).or_default() += 1;
    }
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
#[expect(clippy::print_stdout, reason = "what a long run reached is what it is for")]
fn fold_and_tally_say_what_the_rules_say() {
    let (first, histories) = (number("MAINSTEM_SEED", 1), number("MAINSTEM_HISTORIES", 20_000));
    let mut seen = Seen::default();
    for seed in first..first + histories {
        let mut world = World::new(seed);
        let steps = world.random.below(26);
        for _ in 0..steps {
            world.step();
            if world.random.below(4) == 0 {
                look(seed, &world, &mut seen);
            }
        }
        look(seed, &world, &mut seen);
    }
    let Seen { looks, closed, verdicts: [waiting, approved, rejected], whys } = seen;
    println!(
        "{histories} histories, looked at {looks} times: {approved} approved, {waiting} waiting, {rejected} rejected; {closed} closed; {whys:?}"
    );
    if histories >= 20_000 {
        for (what, times) in [("approved", approved), ("waiting", waiting), ("rejected", rejected), ("closed", closed)] {
            assert!(times > looks / 50, "hardly ever {what}: {times} of {looks}");
        }
        assert!(whys.len() == 7 && whys.values().all(|times| *times > looks / 200), "{whys:?}");
    }
}

//! The keeper by tables, and in a small world with random commits, outages, refusals and moves.
use super::backoff::{PASSING_MS_MAX, REFUSED_MS_MAX};
use super::*;
use proptest::prelude::*;

fn trouble(kind: ErrorKind, code: &'static str) -> Trouble {
    Trouble { kind, code, message: code.into(), hint: None }
}

fn offline() -> Trouble {
    trouble(ErrorKind::Unavailable, "unreachable")
}

fn head(version: u64) -> Head {
    Head { events: version + 1, hash: [version as u8; 32], version }
}

fn synced(version: u64, has_moved: bool, has_work: bool) -> Event {
    Event::Synced(Synced { held: head(version).hash, has_moved, has_work })
}

/// A keeper whose first sync is over, at rest at 10 s and holding version 1.
fn at_rest() -> Keeper {
    let mut keeper = Keeper::new(0);
    assert!(keeper.step(0, Event::Tick, 0).is_sync);
    let orders = keeper.step(100, synced(1, false, false), 0);
    assert_eq!((orders.is_sync, orders.wait_until_ms), (false, None));
    assert_eq!(orders.report, Some(State::Watching));
    assert_eq!(keeper.step(10_000, Event::Heard(head(1)), 0), Orders::default());
    keeper
}

/// Steps at moments; for each whether a sync was ordered, and until when it waits.
fn play(keeper: &mut Keeper, script: Vec<(u64, Event, bool, Option<u64>)>) {
    for (at, event, is_sync, wait_until_ms) in script {
        let what = format!("{event:?} at {at}");
        let orders = keeper.step(at, event, 0);
        assert_eq!((orders.is_sync, orders.wait_until_ms), (is_sync, wait_until_ms), "{what}");
    }
}

#[test]
fn a_commit_and_news_lead_to_one_sync_each() {
    play(
        &mut at_rest(),
        vec![
            (19_910, Event::Committed, false, Some(20_060)),
            (20_010, Event::Committed, false, Some(20_160)),
            (20_160, Event::Tick, true, None),
            // Our own push is heard of before and after the sync is over.
            (20_180, Event::Heard(head(2)), false, None),
            (20_200, synced(2, true, false), false, None),
            (20_201, Event::Heard(head(2)), false, None),
        ],
    );
    let mut keeper = at_rest();
    assert!(keeper.step(30_000, Event::Heard(head(3)), 0).is_sync, "news are fetched");
    play(&mut keeper, vec![(30_100, synced(3, true, false), false, None), (40_000, Event::Tick, false, None)]);
}

#[test]
fn a_program_that_writes_on_is_waited_for_a_while() {
    let mut keeper = at_rest();
    let due_ms: Vec<Option<u64>> =
        (0..8).map(|n| keeper.step(20_000 + n * 100, Event::Committed, 0).wait_until_ms).take_while(Option::is_some).collect();
    assert_eq!(due_ms, [150, 250, 350, 450, 550, 600].map(|ms| Some(20_000 + ms)));
    // What is wanted sooner for another reason is not put off.
    let mut keeper = at_rest();
    let heard = keeper.step(20_000, Event::Heard(head(2)), 40).wait_until_ms;
    assert_eq!((heard, keeper.step(20_010, Event::Committed, 0).wait_until_ms), (Some(20_040), Some(20_040)));
}

#[test]
fn what_is_written_during_a_sync_goes_with_the_next() {
    for is_seen_by_the_sync in [false, true] {
        play(
            &mut at_rest(),
            vec![
                (19_910, Event::Committed, false, Some(20_060)),
                (20_060, Event::Tick, true, None),
                (20_070, if is_seen_by_the_sync { Event::Tick } else { Event::Committed }, false, None),
                (20_100, synced(2, true, is_seen_by_the_sync), false, Some(20_260)),
                (20_260, Event::Tick, true, None),
                (20_300, synced(3, true, false), false, None),
            ],
        );
    }
}

#[test]
fn an_event_that_is_no_version_is_fetched_once() {
    let policy = Head { events: 3, hash: [77; 32], version: 1 };
    let mut keeper = at_rest();
    assert!(keeper.step(20_000, Event::Heard(policy), 0).is_sync);
    play(&mut keeper, vec![(20_100, synced(1, false, false), false, None), (20_200, Event::Heard(policy), false, None)]);
}

#[test]
fn waits_grow_and_end_when_the_primary_is_heard_again() {
    let mut keeper = at_rest();
    assert_eq!(keeper.step(15_000, Event::Unheard(offline()), 0).report, Some(State::Offline(offline())));
    play(
        &mut keeper,
        vec![
            (19_910, Event::Committed, false, Some(20_060)),
            (20_060, Event::Tick, true, None),
            (20_100, Event::Failed(offline()), false, Some(20_350)),
            // Nobody hurries it: not the user's commits.
            (20_110, Event::Committed, false, Some(20_350)),
            (20_350, Event::Tick, true, None),
            (20_400, Event::Failed(offline()), false, Some(20_900)),
            (20_900, Event::Tick, true, None),
            (20_950, Event::Failed(offline()), false, Some(21_950)),
        ],
    );
    assert!(keeper.step(21_000, Event::Heard(head(1)), 0).is_sync, "at once when it is back");
    play(&mut keeper, vec![(21_010, Event::Failed(offline()), false, Some(23_010)), (23_010, Event::Tick, true, None)]);
    assert_eq!(keeper.step(23_100, synced(2, true, false), 0).report, Some(State::Watching));
}

#[test]
fn a_refusal_is_shown_and_retried_slowly() {
    for (kind, code) in [
        (ErrorKind::Denied, "unauthenticated"),
        (ErrorKind::Conflict, "other_lineage"),
        (ErrorKind::Invalid, "clock_skew"),
        (ErrorKind::Corrupt, "corrupt"),
        (ErrorKind::NotFound, "no_dataset"),
        (ErrorKind::Internal, "internal"),
    ] {
        let mut keeper = at_rest();
        play(&mut keeper, vec![(19_910, Event::Committed, false, Some(20_060)), (20_060, Event::Tick, true, None)]);
        let orders = keeper.step(20_100, Event::Failed(trouble(kind, code)), 0);
        assert_eq!(orders.report, Some(State::Blocked(trouble(kind, code))));
        assert_eq!(orders.wait_until_ms, Some(27_600));
        let mut attempts = 0;
        for second in 21..3_600 {
            // A user who goes on working, a primary that goes on moving.
            for event in [Event::Committed, Event::Heard(head(second))] {
                if keeper.step(second * 1000, event, 0).is_sync {
                    attempts += 1;
                    keeper.step(second * 1000, Event::Failed(trouble(kind, code)), 0);
                }
            }
        }
        assert!((5..20).contains(&attempts), "{attempts} attempts in an hour");
    }
}

#[test]
fn a_sync_by_hand_is_no_failure() {
    let mut keeper = at_rest();
    play(&mut keeper, vec![(19_910, Event::Committed, false, Some(20_060)), (20_060, Event::Tick, true, None)]);
    let orders = keeper.step(20_070, Event::Failed(trouble(ErrorKind::Unavailable, "sync_locked")), 0);
    assert_eq!((orders.report, orders.wait_until_ms), (None, Some(20_570)));
    play(&mut keeper, vec![(20_570, Event::Tick, true, None), (20_600, synced(2, false, false), false, None)]);
}

#[test]
fn a_file_that_is_gone_is_left_alone_until_it_is_back() {
    let gone = trouble(ErrorKind::Unavailable, "moved");
    let mut keeper = at_rest();
    assert_eq!(keeper.step(20_000, Event::Gone(gone.clone()), 0).report, Some(State::Gone(gone)));
    play(
        &mut keeper,
        vec![
            (20_010, Event::Committed, false, None),
            (30_000, Event::Heard(head(9)), false, None),
            (40_000, Event::Woke, false, None),
            (50_000, Event::Back, true, None),
        ],
    );
}

#[test]
fn a_machine_that_wakes_syncs_at_once() {
    let mut keeper = at_rest();
    play(&mut keeper, vec![(20_000, Event::Woke, true, None), (20_010, Event::Failed(offline()), false, Some(20_260))]);
    play(&mut keeper, vec![(20_020, Event::Woke, true, None), (20_030, synced(1, false, false), false, None)]);
}

#[test]
fn a_sync_that_moves_nothing_is_not_repeated_at_full_speed() {
    let mut keeper = at_rest();
    keeper.step(20_000, Event::Committed, 0);
    let (mut now, mut syncs) = (20_000, 0);
    while now < 620_000 {
        let orders = keeper.step(now, Event::Tick, 0);
        syncs += u32::from(orders.is_sync);
        now = if orders.is_sync {
            keeper.step(now + 10, synced(1, false, true), 0).wait_until_ms.expect("there is work")
        } else {
            orders.wait_until_ms.expect("there is work")
        };
    }
    assert!((30..80).contains(&syncs), "{syncs} syncs in ten minutes");
}

/// What happens in the world, beside the keeper.
#[derive(Clone, Copy, Debug)]
enum Stroke {
    Commit,
    OthersPush,
    Policy,
    Cut,
    Heal,
    Refuse,
    Allow,
    MoveAway,
    PutBack,
    Sleep,
}

fn stroke() -> impl Strategy<Value = Stroke> {
    use Stroke::*;
    prop_oneof![
        6 => Just(Commit), 4 => Just(OthersPush), 1 => Just(Policy), 1 => Just(Cut), 2 => Just(Heal),
        1 => Just(Refuse), 2 => Just(Allow), 1 => Just(MoveAway), 2 => Just(PutBack), 1 => Just(Sleep),
    ]
}

/// A replica, its primary and what lies between them.
struct World {
    keeper: Keeper,
    now_ms: u64,
    dice: u64,
    head: Head,
    held: u64,
    unsent: u64,
    is_cut: bool,
    is_refused: bool,
    is_away: bool,
    told: Option<Head>,
    ear_due_ms: Option<u64>,
    patience: Patience,
    sync_ends_ms: Option<u64>,
    exchange: Option<(Head, bool)>,
    orders: Orders,
    syncs: u64,
}

impl World {
    fn new(dice: u64) -> World {
        let mut world = World {
            keeper: Keeper::new(0),
            now_ms: 0,
            dice,
            head: head(1),
            held: 0,
            unsent: 0,
            is_cut: false,
            is_refused: false,
            is_away: false,
            told: None,
            ear_due_ms: Some(0),
            patience: Patience::default(),
            sync_ends_ms: None,
            exchange: None,
            orders: Orders::default(),
            syncs: 0,
        };
        world.step(Event::Tick);
        world
    }
    fn random(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }
    fn step(&mut self, event: Event) {
        let random = self.random();
        self.orders = self.keeper.step(self.now_ms, event, random);
        if self.orders.is_sync {
            assert!(self.sync_ends_ms.is_none() && !self.is_away, "one sync at a time, and none of a file that is gone");
            self.syncs += 1;
            self.sync_ends_ms = Some(self.now_ms + 1 + self.random() % 400);
            self.exchange = (!self.is_cut && !self.is_refused).then(|| self.exchange());
        }
        let has_work = self.unsent > 0 || self.held < self.head.version && self.told == Some(self.head);
        let is_served = self.sync_ends_ms.is_some() || self.orders.wait_until_ms.is_some() || self.is_away;
        assert!(!has_work || is_served, "there is work, and no moment is set for it");
    }
    fn listen(&mut self) {
        self.ear_due_ms = None;
        if self.is_cut {
            self.told = None;
            self.ear_due_ms = Some(
                self.now_ms + {
                    let random = self.random();
                    self.patience.after(&offline(), random)
                },
            );
            self.step(Event::Unheard(offline()));
        } else if self.told != Some(self.head) {
            self.patience.reset();
            self.told = Some(self.head);
            self.step(Event::Heard(self.head));
        }
    }
    fn append(&mut self, version: u64) {
        self.head = Head { events: self.head.events + 1, hash: head(self.head.events).hash, version };
        if self.told.is_some() {
            self.ear_due_ms = Some(self.now_ms + 1);
        }
    }
    /// Sends and receives, as the replica and the primary are when a sync begins: what comes later is not in it.
    fn exchange(&mut self) -> (Head, bool) {
        let has_moved = self.unsent > 0 || self.held < self.head.version;
        if self.unsent > 0 {
            self.append(self.head.version + 1);
            self.unsent = 0;
        }
        (self.head, has_moved)
    }
    fn end_sync(&mut self) {
        self.sync_ends_ms = None;
        let event = match (self.is_away, self.is_cut, self.exchange.take()) {
            (true, ..) => Event::Failed(trouble(ErrorKind::Unavailable, "moved")),
            (_, true, _) => Event::Failed(offline()),
            (_, _, None) => Event::Failed(trouble(ErrorKind::Denied, "forbidden")),
            (_, _, Some((head, has_moved))) => {
                self.held = head.version;
                // Some commits come between what the sync sent and its last look.
                self.unsent += u64::from(has_moved && self.random().is_multiple_of(4));
                Event::Synced(Synced { held: head.hash, has_moved, has_work: self.unsent > 0 })
            }
        };
        self.step(event);
    }
    /// Lets time pass up to a moment.
    fn until(&mut self, end_ms: u64) {
        loop {
            let next = [self.sync_ends_ms, self.ear_due_ms, self.orders.wait_until_ms].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end_ms) else { break };
            self.now_ms = self.now_ms.max(next);
            if self.sync_ends_ms == Some(next) {
                self.end_sync();
            } else if self.ear_due_ms == Some(next) {
                self.listen();
            } else {
                self.step(Event::Tick);
            }
        }
        self.now_ms = self.now_ms.max(end_ms);
    }
    fn strike(&mut self, stroke: Stroke) {
        match stroke {
            Stroke::Commit => {
                self.unsent += 1;
                self.step(Event::Committed);
            }
            Stroke::OthersPush => self.append(self.head.version + 1),
            Stroke::Policy => self.append(self.head.version),
            Stroke::Cut => {
                self.is_cut = true;
                self.ear_due_ms = Some(self.now_ms);
            }
            Stroke::Heal => self.is_cut = false,
            Stroke::Refuse => self.is_refused = true,
            Stroke::Allow => self.is_refused = false,
            Stroke::MoveAway if !self.is_away => {
                self.is_away = true;
                self.step(Event::Gone(trouble(ErrorKind::Unavailable, "moved")));
            }
            Stroke::PutBack if self.is_away => {
                self.is_away = false;
                self.step(Event::Back);
            }
            Stroke::MoveAway | Stroke::PutBack => {}
            Stroke::Sleep => {
                self.now_ms += 3_600_000;
                self.step(Event::Woke);
            }
        }
    }
}

proptest! {
    #[test]
    fn everything_arrives_and_then_there_is_silence(
        dice in any::<u64>(),
        strokes in prop::collection::vec((stroke(), prop_oneof![0..50_u64, 0..2_000_u64, 0..120_000_u64]), 0..60),
    ) {
        let mut world = World::new(dice);
        for (stroke, pause_ms) in &strokes {
            world.strike(*stroke);
            let end_ms = world.now_ms + pause_ms;
            world.until(end_ms);
        }
        let (began_ms, was_refused) = (world.now_ms, world.is_refused || matches!(world.keeper.reported, State::Blocked(_)));
        let allowed = world.syncs_allowed(began_ms, strokes.len() as u64);
        prop_assert!(world.syncs <= allowed, "{} syncs, {allowed} are plenty", world.syncs);
        for stroke in [Stroke::Heal, Stroke::Allow, Stroke::PutBack] {
            world.strike(stroke);
        }
        // Thirty seconds after the net is whole again; a refusal is not retried that soon.
        let patience_ms = if was_refused { REFUSED_MS_MAX + 30_000 } else { 30_000 };
        world.until(began_ms + patience_ms);
        prop_assert_eq!((world.unsent, world.held), (0, world.head.version), "everything arrived");
        prop_assert_eq!(world.keeper.reported.clone(), State::Watching);
        let syncs = world.syncs;
        world.until(began_ms + 100 * 3_600_000);
        prop_assert_eq!(world.syncs, syncs, "silence");
        prop_assert_eq!(world.orders.wait_until_ms, None);
    }
}

impl World {
    /// How many syncs there may have been: a few for each thing that happened, and attempts during outages.
    fn syncs_allowed(&self, now_ms: u64, strokes: u64) -> u64 {
        10 + 4 * strokes + now_ms / (PASSING_MS_MAX / 2)
    }
}

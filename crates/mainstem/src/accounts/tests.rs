//! Accounts in use: first start, tokens, changes that exclude each other, a chain that was meddled with.
use super::*;
use crate::registry::MemoryRegistry;
use crate::wiring::Surroundings;
use std::sync::atomic::{AtomicU64, Ordering};

struct Clock(AtomicU64);

impl Surroundings for Clock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
    fn random(&self) -> u128 {
        crate::wiring::RealSurroundings.random()
    }
}

/// One registry that several registrars use, as several processes would.
struct Shared(Arc<MemoryRegistry>);

impl Registry for Shared {
    fn after(&self, position: u64) -> Result<Vec<Kept>> {
        self.0.after(position)
    }
    fn append(&self, position: u64, events: &[Kept]) -> Result<bool> {
        self.0.append(position, events)
    }
}

fn opened(registry: &Arc<MemoryRegistry>) -> Registrar {
    Registrar::open(Box::new(Shared(registry.clone())), Arc::new(Clock(AtomicU64::new(1_000)))).expect("a whole chain")
}

fn set_up(registrar: &Registrar) -> Identity {
    let setup = registrar.create_setup_token().expect("a token");
    let (_, secret) = registrar.set_up(&setup, "ann", "first").expect("an administrator");
    registrar.identity(&secret).expect("her token")
}

#[test]
fn the_setup_token_makes_one_administrator() {
    let registry = Arc::default();
    let registrar = opened(&registry);
    let earlier = registrar.create_setup_token().expect("a token");
    let setup = registrar.create_setup_token().expect("another");
    assert_eq!(registrar.set_up(&earlier, "eve", "").expect_err("replaced").code, "unauthenticated");
    assert!(registrar.identity(&setup).is_none(), "it lets nobody in");
    let (_, secret) = registrar.set_up(&setup, "ann", "first").expect("an administrator");
    assert_eq!(registrar.set_up(&setup, "eve", "").expect_err("used").code, "unauthenticated");
    let caller = registrar.identity(&secret).expect("her token");
    assert!(caller.name == "ann" && caller.authority.is_administrator);
    assert_eq!(opened(&registry).identity(&secret), Some(caller), "after a restart");
}

#[test]
fn a_token_ends_at_once() {
    let registrar = opened(&Arc::default());
    let ann = set_up(&registrar);
    let wish = Wish { expires_at: Some(Time::from_ms(2_000)), ..Wish::default() };
    let (id, secret) = registrar.create_token(ann.actor, ann.actor, wish).expect("a token");
    let caller = registrar.identity(&secret).expect("it is good");
    registrar.change(ann.actor, |_| Ok(vec![Fact::TokenRevoked(id)])).expect("revoked");
    assert!(registrar.identity(&secret).is_none() && registrar.renewed(&caller).is_none());

    let clock = Arc::new(Clock(AtomicU64::new(1_000)));
    let registrar = Registrar::open(Box::new(MemoryRegistry::default()), clock.clone()).expect("new");
    let ann = set_up(&registrar);
    let wish = Wish { expires_at: Some(Time::from_ms(2_000)), ..Wish::default() };
    let (_, secret) = registrar.create_token(ann.actor, ann.actor, wish).expect("a token");
    clock.0.store(1_999, Ordering::SeqCst);
    assert!(registrar.identity(&secret).is_some());
    clock.0.store(2_000, Ordering::SeqCst);
    assert!(registrar.identity(&secret).is_none());
}

#[test]
fn of_two_administrators_who_remove_each_other_one_remains() {
    for round in 0..100 {
        let registry: Arc<MemoryRegistry> = Arc::default();
        let (one, other) = (opened(&registry), opened(&registry));
        let ann = set_up(&one).actor;
        let ben = one.add_actor(ann, "ben").expect("added");
        let make = |actor, is_administrator| Fact::Administrator { actor, is_administrator };
        one.change(ann, |_| Ok(vec![make(ben, true)])).expect("a second administrator");
        let removed = std::thread::scope(|scope| {
            let first = scope.spawn(|| one.change(ann, |_| Ok(vec![make(ben, false)])));
            let second = scope.spawn(|| other.change(ben, |_| Ok(vec![make(ann, false)])));
            [first, second].map(|thread| thread.join().expect("no panic"))
        });
        let lost: Vec<&str> = removed.iter().filter_map(|done| done.as_ref().err().map(|e| e.code)).collect();
        assert_eq!(lost, ["last_administrator"], "round {round}");
        let left = opened(&registry).accounts().actors().filter(|a| a.is_administrator).count();
        assert_eq!(left, 1, "round {round}");
    }
}

#[test]
fn a_replica_is_whose_it_was_first() {
    let registrar = opened(&Arc::default());
    let ann = set_up(&registrar);
    let ben = registrar.add_actor(ann.actor, "ben").expect("added");
    let (_, secret) = registrar.create_token(ann.actor, ben, Wish::default()).expect("a token");
    let ben = registrar.identity(&secret).expect("his token");
    registrar.admit(&ann, ReplicaId(5), "recipes").expect("hers");
    let events = registrar.events(0).expect("events").len();
    registrar.admit(&ann, ReplicaId(5), "recipes").expect("still hers");
    assert_eq!(registrar.events(0).expect("events").len(), events, "nothing new to say");
    assert_eq!(registrar.admit(&ben, ReplicaId(5), "recipes").expect_err("not his").code, "others_replica");
    registrar.change(ann.actor, |_| Ok(vec![Fact::ReplicaRevoked(ReplicaId(5))])).expect("revoked");
    assert_eq!(registrar.admit(&ann, ReplicaId(5), "recipes").expect_err("shut out").code, "replica_revoked");
}

#[test]
fn a_chain_that_was_meddled_with_is_refused() {
    let registry: Arc<MemoryRegistry> = Arc::default();
    let registrar = opened(&registry);
    let ann = set_up(&registrar);
    registrar.add_actor(ann.actor, "ben").expect("added");
    let whole = registry.after(0).expect("kept");
    let broken = |events: Vec<Kept>| {
        let meddled = Arc::new(MemoryRegistry::default());
        meddled.append(0, &events).expect("in memory");
        Registrar::open(Box::new(Shared(meddled)), Arc::new(Clock(AtomicU64::new(0)))).err().map(|e| e.code)
    };
    assert_eq!(broken(whole.clone()), None);
    for at in 0..whole.len() {
        let mut dropped = whole.clone();
        dropped.remove(at);
        // The last ones may be missing: that is found by who remembers the head.
        assert_eq!(broken(dropped).is_some(), at + 1 < whole.len(), "dropped {at}");
        let mut flipped = whole.clone();
        *flipped[at].bytes.last_mut().expect("bytes") ^= 1;
        assert_eq!(broken(flipped), Some("broken_chain"), "flipped {at}");
        if at > 0 {
            let mut swapped = whole.clone();
            swapped.swap(at - 1, at);
            assert_eq!(broken(swapped), Some("broken_chain"), "swapped {at}");
        }
    }
}

//! How many there are of each: connections of an address, requests of a token.
//!
//! Invariant: memory for those that are there now, and for no others.
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Whom something is counted for: an actor; where that is not known yet a token, or an address where there is none. Made with a
/// secret of this process, so that nobody can choose theirs to be another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller(pub u64);

tokio::task_local! {
    static ASKING: Caller;
}

impl Caller {
    /// Runs a request in this caller's name: what it shares with others while it works is counted for them.
    pub async fn asks<T>(self, request: impl Future<Output = T>) -> T {
        ASKING.scope(self, request).await
    }
    /// Whose request is being answered here; none for what the server does by itself.
    pub fn current() -> Option<Caller> {
        ASKING.try_with(|caller| *caller).ok()
    }
}

/// Makes callers.
#[derive(Clone, Debug, Default)]
pub struct Callers(RandomState);

impl Callers {
    /// Whoever shows that.
    pub fn of(&self, shown: &(impl Hash + ?Sized)) -> Caller {
        Caller(self.0.hash_one(shown))
    }
    /// Whoever is at that address: of IPv6 the first half, for the rest is chosen freely.
    pub fn at(&self, address: IpAddr) -> Caller {
        match address.to_canonical() {
            IpAddr::V4(four) => self.of(&four.octets()),
            IpAddr::V6(six) => self.of(&six.segments()[..4]),
        }
    }
}

/// Counts.
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    all: u64,
    each: HashMap<Caller, u64>,
}

/// Why one more is too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowded {
    /// There are too many in all.
    InAll,
    /// There are too many of this one.
    OfOne,
}

impl Counts {
    /// Counts one more until the answer is dropped.
    pub fn enter(&self, caller: Caller, all_max: u64, each_max: u64) -> Result<Entered, Crowded> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.all >= all_max {
            return Err(Crowded::InAll);
        }
        let each = counted.each.entry(caller).or_default();
        if *each >= each_max {
            if *each == 0 {
                counted.each.remove(&caller);
            }
            return Err(Crowded::OfOne);
        }
        *each += 1;
        counted.all += 1;
        Ok(Entered { counts: self.clone(), caller })
    }
    /// How many there are.
    pub fn all(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

/// One that is counted.
#[derive(Debug)]
pub struct Entered {
    counts: Counts,
    caller: Caller,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut counted = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.all -= 1;
        if let Some(each) = counted.each.get_mut(&self.caller) {
            *each -= 1;
            if *each == 0 {
                counted.each.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cannot_take_the_places_of_all() {
        let (counts, ann, ben) = (Counts::default(), Caller(1), Caller(2));
        let mut held: Vec<Entered> = (0..2).map(|_| counts.enter(ann, 4, 2).expect("room")).collect();
        assert_eq!(counts.enter(ann, 4, 2).expect_err("two are hers"), Crowded::OfOne);
        held.extend((0..2).map(|_| counts.enter(ben, 4, 2).expect("room")));
        assert_eq!(counts.enter(Caller(3), 4, 2).expect_err("full"), Crowded::InAll);
        drop(held);
        assert_eq!(counts.all(), 0);
        assert!(counts.0.lock().expect("sound").each.is_empty());
    }

    #[test]
    fn neighbours_in_one_network_are_one() {
        let callers = Callers::default();
        let at = |text: &str| callers.at(text.parse().expect("an address"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1:2:3"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.2"), at("192.0.2.1"));
    }
}

//! How often somebody may ask: a bucket each that fills again with time.
//!
//! Invariant: constant memory, however many strangers come. Where buckets run out, the fullest one of a few is given up: it
//! belongs to somebody who has hardly asked for anything.
use super::counting::Caller;
use std::sync::{Mutex, PoisonError};

const GROUPS: usize = 1_024;
const IN_GROUP: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    owner: Option<u64>,
    /// Thousandths of a request.
    level: u64,
    at_ms: u64,
}

/// The buckets of all.
#[derive(Debug)]
pub struct Rates {
    groups: Vec<Mutex<[Bucket; IN_GROUP]>>,
    each_second: u64,
    burst: u64,
}

impl Rates {
    /// Buckets that hold so many requests and get so many a second.
    pub fn new(each_second: u64, burst: u64) -> Self {
        Rates { groups: (0..GROUPS).map(|_| Mutex::default()).collect(), each_second: each_second.max(1), burst: burst.max(1) }
    }
    /// Takes one request out of somebody's bucket, or says after how many milliseconds there is one.
    pub fn take(&self, caller: Caller, now_ms: u64) -> Result<(), u64> {
        let group = &self.groups[(caller.0 % GROUPS as u64) as usize];
        let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
        for bucket in group.iter_mut() {
            let gained = now_ms.saturating_sub(bucket.at_ms).saturating_mul(self.each_second);
            bucket.level = bucket.level.saturating_add(gained).min(self.burst * 1_000);
            bucket.at_ms = now_ms;
        }
        let own = group.iter().position(|bucket| bucket.owner == Some(caller.0));
        let place = own.unwrap_or_else(|| {
            let fullest = (0..IN_GROUP).max_by_key(|&i| (group[i].owner.is_none(), group[i].level)).unwrap_or(0);
            group[fullest] = Bucket { owner: Some(caller.0), level: self.burst * 1_000, at_ms: now_ms };
            fullest
        });
        let bucket = &mut group[place];
        match bucket.level.checked_sub(1_000) {
            Some(left) => {
                bucket.level = left;
                Ok(())
            }
            None => Err((1_000 - bucket.level).div_ceil(self.each_second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_so_many_a_second() {
        let rates = Rates::new(10, 3);
        let ann = Caller(5);
        assert_eq!([0, 0, 0, 0].map(|now| rates.take(ann, now)), [Ok(()), Ok(()), Ok(()), Err(100)]);
        assert_eq!(rates.take(ann, 60), Err(40));
        assert_eq!(rates.take(ann, 100), Ok(()));
        assert_eq!(rates.take(Caller(6), 100), Ok(()), "others have their own");
        // After a long pause there is one burst and no more.
        assert_eq!([1_000_000; 4].map(|now| rates.take(ann, now).is_ok()), [true, true, true, false]);
    }

    #[test]
    fn whoever_asks_most_keeps_a_bucket_among_strangers() {
        let rates = Rates::new(1, 2);
        let greedy = Caller(0);
        assert!(rates.take(greedy, 0).is_ok() && rates.take(greedy, 0).is_ok() && rates.take(greedy, 0).is_err());
        for stranger in 1..1_000 {
            assert!(rates.take(Caller(stranger * GROUPS as u64), 0).is_ok());
        }
        assert!(rates.take(greedy, 0).is_err());
    }
}

//! Whether more than one caller asks something of a server just now.
use super::counting::Caller;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long somebody counts as there after they asked.
const THERE: Duration = Duration::from_secs(1);

/// Those who asked lately, as far as that is to be known.
#[derive(Default)]
pub struct Company(Mutex<Lately>);

#[derive(Default)]
struct Lately {
    last: Option<Caller>,
    /// When somebody asked who was not the one before.
    changed: Option<Instant>,
}

impl Company {
    /// Notes that somebody asks; true where somebody else did lately. What the server does by itself counts for nobody.
    pub fn with(&self, caller: Option<Caller>, now: Instant) -> bool {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if caller.is_some() && lately.last != caller {
            if lately.last.is_some() {
                lately.changed = Some(now);
            }
            lately.last = caller;
        }
        lately.changed.is_some_and(|changed| now.duration_since(changed) < THERE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_is_alone_again_once_nobody_else_has_asked_for_a_while() {
        let (company, ann, ben, begin) = (Company::default(), Some(Caller(1)), Some(Caller(2)), Instant::now());
        let at = |caller, ms| company.with(caller, begin + Duration::from_millis(ms));
        assert!(!at(ann, 0) && !at(ann, 1) && !at(None, 2), "nobody else is there");
        assert!(at(ben, 10) && at(ann, 11) && at(ann, 1_010));
        assert!(!at(ann, 1_011));
    }
}

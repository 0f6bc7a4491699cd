//! Where people are signed in with a browser: each is as good as the token that began it, and ends with it.
//!
//! Invariant: only the digest of what a browser shows is kept, so a copy of the server's files signs nobody in.
use crate::error::Result;
use crate::wiring::Around;
use mainstem_core::account::{ActorId, TokenId};
use mainstem_core::event::Digest;
use mainstem_core::stamp::Time;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How long one is signed in, whatever one does.
pub const LASTS_MS: u64 = 7 * 24 * 3_600_000;
/// How long one is signed in without doing anything.
pub const IDLE_MS: u64 = 24 * 3_600_000;
/// How exactly it is noted when a browser was seen.
const SEEN_EACH_MS: u64 = 60_000;
/// How many browsers an actor is signed in with; the one seen longest ago makes room.
const EACH_MAX: usize = 50;
/// Characters of what a browser calls itself.
const BROWSER_CHARACTERS_MAX: usize = 200;
/// Hexadecimal digits of what a browser shows.
const KEY_DIGITS: usize = 64;

/// What a browser shows to be known again: 256 random bits. Its text is to be had from [`BrowserKey::reveal`] alone.
#[derive(Clone, PartialEq, Eq)]
pub struct BrowserKey(String);

impl BrowserKey {
    fn new(around: &Around) -> BrowserKey {
        BrowserKey(format!("{:032x}{:032x}", around.random(), around.random()))
    }
    /// Reads what a browser sent; none for what never was one.
    pub fn parse(shown: &str) -> Option<BrowserKey> {
        let is_one = shown.len() == KEY_DIGITS && shown.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_one.then(|| BrowserKey(shown.to_string()))
    }
    /// The text, to be sent to the browser.
    pub fn reveal(&self) -> &str {
        &self.0
    }
    fn digest(&self) -> Digest {
        self.derived(b"mainstem browser")
    }
    /// What each form that was made for this browser says: who does not know the key cannot know it, and it does not tell
    /// the key.
    pub fn form_key(&self) -> String {
        self.derived(b"mainstem form")[..16].iter().map(|byte| format!("{byte:02x}")).collect()
    }
    fn derived(&self, purpose: &[u8]) -> Digest {
        Sha256::new().chain_update(purpose).chain_update([0]).chain_update(&self.0).finalize().into()
    }
}

impl fmt::Debug for BrowserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a browser's key")
    }
}

/// A browser in which somebody is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Its number.
    pub id: u64,
    /// The digest of what the browser shows.
    pub digest: Digest,
    /// The token that began it.
    pub token: TokenId,
    /// Whose that is.
    pub actor: ActorId,
    /// What the browser calls itself.
    pub browser: String,
    /// When it began.
    pub began_at: Time,
    /// When the browser was last seen, to the minute.
    pub seen_at: Time,
}

impl SignIn {
    /// When it ends, should the browser not be seen again.
    pub fn ends_at(&self) -> Time {
        Time::from_ms((self.began_at.ms() + LASTS_MS).min(self.seen_at.ms() + IDLE_MS))
    }
}

/// Where sign-ins are kept. Safe to call from many threads and processes at once.
pub trait SignInStore: Send + Sync {
    /// Adds one, and answers the number that it gives it.
    fn add(&self, sign_in: &SignIn) -> Result<u64>;
    /// The one of that digest.
    fn find(&self, digest: &Digest) -> Result<Option<SignIn>>;
    /// Those of an actor, in the order in which they began.
    fn of_actor(&self, actor: ActorId) -> Result<Vec<SignIn>>;
    /// Notes when a browser was seen.
    fn seen(&self, id: u64, at: Time) -> Result<()>;
    /// Ends one. False where there is none of that number.
    fn end(&self, id: u64) -> Result<bool>;
    /// Forgets those that began or were last seen before these times.
    fn sweep(&self, began: Time, seen: Time) -> Result<()>;
}

/// The sign-ins of a server.
pub struct SignIns {
    store: Box<dyn SignInStore>,
    around: Around,
}

impl SignIns {
    /// Those that a store keeps.
    pub fn new(store: Box<dyn SignInStore>, around: Around) -> SignIns {
        SignIns { store, around }
    }
    fn now(&self) -> Time {
        Time::from_ms(self.around.now_ms())
    }

    /// Signs an actor in with a token that is theirs. Returns what the browser is to show.
    pub fn begin(&self, actor: ActorId, token: TokenId, browser: &str) -> Result<BrowserKey> {
        let (key, now) = (BrowserKey::new(&self.around), self.now());
        let before = |ms: u64| Time::from_ms(now.ms().saturating_sub(ms));
        self.store.sweep(before(LASTS_MS), before(IDLE_MS))?;
        let mut others = self.store.of_actor(actor)?;
        others.sort_by_key(|other| other.seen_at);
        for oldest in others.iter().take((others.len() + 1).saturating_sub(EACH_MAX)) {
            self.store.end(oldest.id)?;
        }
        let browser = browser.chars().filter(|c| !c.is_control()).take(BROWSER_CHARACTERS_MAX).collect();
        let sign_in = SignIn { id: 0, digest: key.digest(), token, actor, browser, began_at: now, seen_at: now };
        self.store.add(&sign_in)?;
        Ok(key)
    }

    /// The sign-in of a browser; none where it has ended. Whether its token is still good, the accounts say.
    pub fn find(&self, key: &BrowserKey) -> Result<Option<SignIn>> {
        let now = self.now();
        let Some(found) = self.store.find(&key.digest())?.filter(|found| now < found.ends_at()) else { return Ok(None) };
        if now.ms() >= found.seen_at.ms() + SEEN_EACH_MS {
            self.store.seen(found.id, now)?;
        }
        Ok(Some(found))
    }

    /// Where an actor is signed in, seen last first.
    pub fn of_actor(&self, actor: ActorId) -> Result<Vec<SignIn>> {
        let now = self.now();
        let mut all = self.store.of_actor(actor)?;
        all.retain(|each| now < each.ends_at());
        all.sort_by_key(|each| std::cmp::Reverse((each.seen_at, each.id)));
        Ok(all)
    }

    /// Ends one. False where there is none of that number.
    pub fn end(&self, id: u64) -> Result<bool> {
        self.store.end(id)
    }
}

/// Sign-ins in memory, for tests.
#[derive(Debug, Default)]
pub struct MemorySignIns(Mutex<Vec<SignIn>>);

impl MemorySignIns {
    fn all<T>(&self, work: impl FnOnce(&mut Vec<SignIn>) -> T) -> Result<T> {
        Ok(work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl SignInStore for MemorySignIns {
    fn add(&self, sign_in: &SignIn) -> Result<u64> {
        self.all(|all| {
            let id = all.last().map_or(0, |last| last.id) + 1;
            all.push(SignIn { id, ..sign_in.clone() });
            id
        })
    }
    fn find(&self, digest: &Digest) -> Result<Option<SignIn>> {
        self.all(|all| all.iter().find(|each| each.digest == *digest).cloned())
    }
    fn of_actor(&self, actor: ActorId) -> Result<Vec<SignIn>> {
        self.all(|all| all.iter().filter(|each| each.actor == actor).cloned().collect())
    }
    fn seen(&self, id: u64, at: Time) -> Result<()> {
        self.all(|all| all.iter_mut().filter(|each| each.id == id).for_each(|each| each.seen_at = at))
    }
    fn end(&self, id: u64) -> Result<bool> {
        self.all(|all| {
            let before = all.len();
            all.retain(|each| each.id != id);
            all.len() < before
        })
    }
    fn sweep(&self, began: Time, seen: Time) -> Result<()> {
        self.all(|all| all.retain(|each| each.began_at >= began && each.seen_at >= seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wiring::{RealSurroundings, Surroundings};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

    struct Watch(AtomicU64);
    impl Surroundings for Watch {
        fn now_ms(&self) -> u64 {
            self.0.load(SeqCst)
        }
        fn random(&self) -> u128 {
            RealSurroundings.random()
        }
    }

    fn begun() -> (SignIns, Arc<Watch>) {
        let watch = Arc::new(Watch(AtomicU64::new(1_800_000_000_000)));
        (SignIns::new(Box::new(MemorySignIns::default()), watch.clone()), watch)
    }

    #[test]
    fn a_browser_is_known_until_it_is_idle_or_its_time_is_over() {
        let (all, watch) = begun();
        let key = all.begin(1, 2, "A browser\r\n").expect("signed in");
        let again = BrowserKey::parse(key.reveal()).expect("what was sent comes back");
        let known = |at: &str| all.find(&again).expect(at).is_some();
        assert_eq!(all.find(&again).expect("kept").expect("known").browser, "A browser");
        for day in 0..6 {
            watch.0.fetch_add(IDLE_MS - 1, SeqCst);
            assert!(known("in use"), "day {day}");
        }
        watch.0.fetch_add(IDLE_MS, SeqCst);
        assert!(!known("over"));
        let key = all.begin(1, 2, "").expect("signed in");
        watch.0.fetch_add(IDLE_MS, SeqCst);
        assert!(all.find(&key).expect("kept").is_none() && all.of_actor(1).expect("kept").is_empty());
    }

    #[test]
    fn what_is_kept_and_what_forms_say_do_not_tell_the_key() {
        let (all, _) = begun();
        let (key, other) = (all.begin(1, 2, "").expect("signed in"), all.begin(1, 2, "").expect("signed in"));
        let kept = format!("{:?}", all.of_actor(1).expect("kept"));
        assert!(!kept.contains(key.reveal()) && !key.reveal().contains(&key.form_key()));
        assert!(key.form_key() != other.form_key() && key != other);
        assert_eq!(format!("{key:?}"), "a browser's key");
        for wrong in ["", "x", &key.reveal()[1..], &key.reveal().replace(|c: char| c.is_ascii_digit(), "G")] {
            assert!(BrowserKey::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_one_seen_longest_ago_makes_room() {
        let (all, watch) = begun();
        let keys: Vec<BrowserKey> = (0..=EACH_MAX)
            .map(|_| {
                watch.0.fetch_add(SEEN_EACH_MS, SeqCst);
                all.begin(1, 2, "").expect("signed in")
            })
            .collect();
        let known: Vec<bool> = keys.iter().map(|key| all.find(key).expect("kept").is_some()).collect();
        assert!(!known[0] && known[1..].iter().all(|is_known| *is_known));
        let id = all.of_actor(1).expect("kept")[0].id;
        assert!(all.end(id).expect("ended") && !all.end(id).expect("once"));
    }
}

//! Tokens as text: how one is made, recognised and turned into the digest that is kept of it.
//!
//! Invariant: only the digest is kept, so neither a copy of a server's files nor a backup lets anybody in.
use crate::wiring::Surroundings;
use mainstem_core::event::Digest;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// What every token begins with, so that scanners of code and logs find one that was left there.
pub const PREFIX: &str = "mainstem_";
/// What the token begins with by which a server's first administrator is made.
pub const SETUP_PREFIX: &str = "mainstem_setup_";
/// Hexadecimal digits of randomness.
const SECRET_DIGITS: usize = 32;
/// Hexadecimal digits that tell a mistyped token from an unknown one.
const CHECK_DIGITS: usize = 8;

/// A token's text: prefix, 128 random bits and a check, all in hexadecimal.
///
/// Its text is to be had from [`Secret::reveal`] alone, so that it comes into no message by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one.
    pub fn new(around: &dyn Surroundings, is_setup: bool) -> Secret {
        let prefix = if is_setup { SETUP_PREFIX } else { PREFIX };
        let body = format!("{prefix}{:032x}", around.random());
        let check = check_of(&body);
        Secret(body + &check)
    }
    /// Reads what somebody sent or typed. None for what is no token at all, be it mistyped.
    pub fn parse(typed: &str) -> Option<Secret> {
        let rest = typed.strip_prefix(SETUP_PREFIX).or_else(|| typed.strip_prefix(PREFIX))?;
        let is_hexadecimal = rest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if rest.len() != SECRET_DIGITS + CHECK_DIGITS || !is_hexadecimal {
            return None;
        }
        let (body, check) = typed.split_at(typed.len() - CHECK_DIGITS);
        (check_of(body) == check).then(|| Secret(typed.to_string()))
    }
    /// The text, to be shown once or sent.
    pub fn reveal(&self) -> &str {
        &self.0
    }
    /// What is kept of it, and what it is found by. That takes the same time whatever is sent: finding a digest tells of
    /// the digest alone, and that says nothing of any text.
    pub fn digest(&self) -> Digest {
        Sha256::digest(self.0.as_bytes()).into()
    }
    /// True for the one by which the first administrator is made.
    pub fn is_setup(&self) -> bool {
        self.0.starts_with(SETUP_PREFIX)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }
}

fn check_of(body: &str) -> String {
    let digest = Sha256::digest(body.as_bytes());
    digest[..CHECK_DIGITS / 2].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wiring::RealSurroundings;

    #[test]
    fn a_token_is_read_as_it_was_made_and_not_otherwise() {
        for is_setup in [false, true] {
            let secret = Secret::new(&RealSurroundings, is_setup);
            let text = secret.reveal();
            assert!(Secret::parse(text) == Some(secret.clone()) && secret.is_setup() == is_setup);
            for at in 0..text.len() {
                let mut wrong = text.as_bytes().to_vec();
                wrong[at] = if wrong[at] == b'0' { b'1' } else { b'0' };
                assert_eq!(Secret::parse(std::str::from_utf8(&wrong).expect("ASCII")), None, "digit {at}");
            }
            assert_eq!(Secret::parse(&text.to_uppercase()), None);
            assert_eq!(Secret::parse(&text[..text.len() - 1]), None);
            assert_ne!(Secret::new(&RealSurroundings, is_setup), secret);
        }
    }

    #[test]
    fn a_token_is_not_in_what_is_printed_of_it() {
        let secret = Secret::new(&RealSurroundings, false);
        assert!(!format!("{secret:?}").contains(secret.reveal()));
        assert_ne!(secret.digest(), Secret::new(&RealSurroundings, false).digest());
    }
}

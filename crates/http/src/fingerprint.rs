//! What a certificate is recognised by: the SHA-256 of its bytes.
use mainstem::error::{Error, Result};
use sha2::{Digest, Sha256};
use std::fmt;

/// A certificate's fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(certificate: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate).into())
    }
    /// Reads one as it is shown here (`sha256:…`) or by other tools (`AB:CD:…`).
    pub fn parse(typed: &str) -> Result<Fingerprint> {
        let wrong =
            || Error::invalid(format!("{typed} is no fingerprint")).hint("sha256: and 64 hexadecimal digits, as mainstem serve prints it");
        let lower = typed.trim().to_ascii_lowercase();
        let digits: Vec<u8> = lower.strip_prefix("sha256:").unwrap_or(&lower).bytes().filter(|byte| *byte != b':').collect();
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Fingerprint(bytes))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_read_as_it_is_shown_here_or_elsewhere() {
        let one = Fingerprint::of(b"certificate");
        let shown = one.to_string();
        assert_eq!(Fingerprint::parse(&shown).expect("as shown"), one);
        let pairs: Vec<&str> =
            shown.as_bytes()["sha256:".len()..].chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII")).collect();
        assert_eq!(Fingerprint::parse(&pairs.join(":").to_uppercase()).expect("as openssl shows it"), one);
        for wrong in ["", "sha256:", "sha256:00", "md5:00", &shown[..shown.len() - 1], &format!("{shown}0"), "é"] {
            assert!(Fingerprint::parse(wrong).is_err(), "{wrong}");
        }
    }
}

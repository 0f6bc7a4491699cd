//! The key of a request, as a header: asked again with the same key, an act is not done again and answers the same.
//!
//! Invariant: a header that is no key is refused; nothing is done without the key that was meant.
use hyper::header::HeaderMap;
use mainstem::core::digest;
use mainstem::error::{Error, Result};

/// The header.
pub const KEY: &str = "idempotency-key";
/// The longest key.
const KEY_BYTES_MAX: usize = 255;

/// A key as the header holds it.
pub fn put(key: u128) -> String {
    format!("{key:032x}")
}

/// The key that a request has: 32 hexadecimal digits are it, any other text stands for one. None where it has none.
pub fn get(headers: &HeaderMap) -> Result<Option<u128>> {
    let unfit = || Error::invalid(format!("the header {KEY} is one text of 1 to {KEY_BYTES_MAX} visible characters"));
    let mut keys = headers.get_all(KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| (1..=KEY_BYTES_MAX).contains(&text.len()) && keys.next().is_none()).ok_or_else(unfit)?;
    let is_plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let (true, Ok(key)) = (is_plain, u128::from_str_radix(text, 16)) {
        return Ok(Some(key));
    }
    let digest = digest::of("mainstem request key 1", &[text.as_bytes()]);
    Ok(Some(digest[..16].iter().fold(0, |key, byte| key << 8 | u128::from(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_as_it_was_sent_and_any_text_is_one() {
        let mut headers = HeaderMap::new();
        assert_eq!(get(&headers).expect("none"), None);
        for key in [0, 7, u128::MAX] {
            headers.insert(KEY, put(key).parse().expect("a header"));
            assert_eq!(get(&headers).expect("a key"), Some(key));
        }
        let mut keys = Vec::new();
        for text in ["8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9325", "x", &"z".repeat(255)] {
            headers.insert(KEY, text.parse().expect("a header"));
            keys.push(get(&headers).expect(text).expect("a key"));
            assert_eq!(get(&headers).expect(text), keys.last().copied(), "the same text is the same key");
        }
        keys.dedup();
        assert_eq!(keys.len(), 4);
        headers.append(KEY, "y".parse().expect("a header"));
        assert!(get(&headers).is_err(), "two keys are none");
        for unfit in ["", &"z".repeat(256), "é"] {
            headers.insert(KEY, hyper::header::HeaderValue::from_bytes(unfit.as_bytes()).expect("a header"));
            assert!(get(&headers).is_err(), "{unfit}");
        }
    }
}

//! How a snapshot whose line broke goes on: the one that asks again says in a header which version it was of and how many pieces it
//! has. Where the primary still stands on that version, it says so and leaves these out; else the snapshot is another one.
use hyper::header::HeaderMap;
use mainstem::core::event::Digest;
use mainstem::error::{Error, Result};
use mainstem::primary::Had;

/// The header.
pub const RESUME: &str = "mainstem-resume";

/// The table of no row: what follows is what comes after the pieces that were had.
pub const LEFT_OUT: usize = usize::MAX;

/// What is had, as a header holds it.
pub fn put(had: &Had) -> String {
    let hash: String = had.hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}:{}", had.pieces)
}

/// What whoever asks has already; none where they begin.
pub fn get(headers: &HeaderMap) -> Result<Option<Had>> {
    let Some(header) = headers.get(RESUME) else { return Ok(None) };
    let unreadable = || Error::invalid(format!("the header {RESUME} cannot be read"));
    let shown = header.to_str().map_err(|_| unreadable())?;
    let (hash, pieces) = shown.split_once(':').filter(|(hash, _)| hash.len() == 64 && hash.is_ascii()).ok_or_else(unreadable)?;
    let mut had = Had { hash: Digest::default(), pieces: pieces.parse().map_err(|_| unreadable())? };
    for (at, byte) in had.hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hash[at * 2..at * 2 + 2], 16).map_err(|_| unreadable())?;
    }
    Ok(Some(had))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_had_comes_as_it_was_sent() {
        let had = Had { hash: std::array::from_fn(|at| at as u8 * 7), pieces: 1_234 };
        let mut headers = HeaderMap::new();
        assert_eq!(get(&headers).expect("nothing"), None);
        headers.insert(RESUME, put(&had).parse().expect("a header"));
        assert_eq!(get(&headers).expect("something"), Some(had));
        for wrong in ["", ":", "00:1", &put(&had).replace(':', ""), &put(&had).replace("1234", "-1"), &"zz".repeat(32).to_string()] {
            headers.insert(RESUME, wrong.parse().expect("a header"));
            assert!(get(&headers).is_err(), "{wrong}");
        }
    }
}

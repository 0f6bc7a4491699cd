//! What a replica asks for, as it says so with each call: a header with the scope's text.
//!
//! Invariant: a header that cannot be read is refused; nobody is shown more than was asked for.
use hyper::header::HeaderMap;
use mainstem::core::scope::Scope;
use mainstem::error::{Error, Result};

/// The header.
pub const SCOPE: &str = "mainstem-scope";

/// The text of a scope as a header may hold it: bytes that are no visible ASCII as `%` and two digits.
pub fn put(scope: &Scope) -> String {
    let mut shown = String::new();
    for byte in scope.to_string().bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => shown.push(byte as char),
            _ => shown += &format!("%{byte:02X}"),
        }
    }
    shown
}

/// What a call asks for; everything where it does not say.
pub fn get(headers: &HeaderMap) -> Result<Scope> {
    let Some(header) = headers.get(SCOPE) else { return Ok(Scope::everything()) };
    let unreadable = || Error::invalid(format!("the header {SCOPE} cannot be read"));
    let shown = header.to_str().map_err(|_| unreadable())?;
    let mut parts = shown.split('%');
    let mut text = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let digits = part.get(..2).ok_or_else(unreadable)?;
        text.push(u8::from_str_radix(digits, 16).map_err(|_| unreadable())?);
        text.extend(&part.as_bytes()[2..]);
    }
    Ok(String::from_utf8(text).map_err(|_| unreadable())?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_comes_as_it_was_sent() {
        for text in ["*", "", "a", "a: x = 1\n\"Größe %41\": y = '100 % é' and z = x'00ff'"] {
            let scope: Scope = text.parse().expect(text);
            let mut headers = HeaderMap::new();
            headers.insert(SCOPE, put(&scope).parse().expect("a header"));
            assert_eq!(get(&headers).expect(text), scope);
        }
        assert!(get(&HeaderMap::new()).expect("everything").is_everything());
        for wrong in ["a: x = ", "%4", "%zz", "a%ff", "%+1"] {
            let mut headers = HeaderMap::new();
            headers.insert(SCOPE, wrong.parse().expect("a header"));
            assert!(get(&headers).is_err(), "{wrong}");
        }
    }
}

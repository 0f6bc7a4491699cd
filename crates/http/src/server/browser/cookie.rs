//! The cookies of pages: which browser this is, and whether it is light or dark.
//!
//! Invariant: what signs somebody in is for no script, for no other site, and over an encrypted line for no other name (T21).
use crate::server::door::Line;
use hyper::header::{self, HeaderMap, HeaderValue};
use mainstem::error::{Error, Result};
use mainstem::sign_in::{BrowserKey, LASTS_MS};
use mainstem_pages::frame::Theme;

/// The cookie of the choice of colours.
pub const THEME: &str = "mainstem-theme";
const YEAR_S: u64 = 365 * 24 * 3_600;

/// The name of the cookie that says which browser this is. Cookies are shared by the ports of a machine, so that the port is
/// in the name where no prefix keeps others from writing it.
pub fn name(line: Line, port: u16) -> String {
    if line == Line::Secret { "__Host-mainstem".to_string() } else { format!("mainstem-{port}") }
}

/// What a request shows in the cookie of that name; none where it shows two, of which one is somebody else's.
pub fn shown<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found =
        all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('=')).filter(|(known, _)| *known == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

/// Makes a browser known.
pub fn key_cookie(line: Line, port: u16, key: &BrowserKey) -> Result<HeaderValue> {
    set(line, &name(line, port), key.reveal(), LASTS_MS / 1_000, "; HttpOnly")
}

/// Makes a browser unknown again.
pub fn ended_cookie(line: Line, port: u16) -> Result<HeaderValue> {
    set(line, &name(line, port), "", 0, "; HttpOnly")
}

/// Remembers a choice of colours.
pub fn theme_cookie(line: Line, theme: Theme) -> Result<HeaderValue> {
    set(line, THEME, theme.name(), YEAR_S, "; HttpOnly")
}

fn set(line: Line, name: &str, value: &str, seconds: u64, more: &str) -> Result<HeaderValue> {
    let secure = if line == Line::Secret { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; SameSite=Lax{secure}{more}");
    HeaderValue::from_str(&text).map_err(|e| Error::internal("a cookie cannot be written").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name_and_only_once() {
        let of = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().expect("a value"));
            }
            shown(&headers, "mainstem-7430").map(ToString::to_string)
        };
        assert_eq!(of(&["a=b; mainstem-7430=k; c=d"]).as_deref(), Some("k"));
        assert_eq!(of(&["a=b", "mainstem-7430=k"]).as_deref(), Some("k"));
        for none in [&["mainstem-74300=k"][..], &["xmainstem-7430=k"], &["mainstem-7430"], &[], &["mainstem-7430=k; mainstem-7430=l"]] {
            assert_eq!(of(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_key_is_for_this_server_and_no_script() {
        let key = BrowserKey::parse(&"0".repeat(64)).expect("a key");
        let text = |line| key_cookie(line, 7430, &key).expect("a cookie").to_str().expect("text").to_string();
        let secret = text(Line::Secret);
        assert!(secret.starts_with("__Host-mainstem=") && secret.contains("; Secure") && secret.contains("; HttpOnly"));
        assert!(secret.contains("; Path=/;") && secret.contains("SameSite=Lax") && !secret.contains("Domain"));
        assert!(text(Line::Near).starts_with("mainstem-7430=") && !text(Line::Near).contains("Secure"));
    }
}

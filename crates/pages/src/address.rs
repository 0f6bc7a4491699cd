//! Paths of pages, with names in them that may be anything.

/// A path of these parts, each of which is one, whatever is in it.
pub fn path(parts: &[&str]) -> String {
    parts.iter().fold(String::new(), |path, part| path + "/" + &escaped(part))
}

/// A path with a query of those of these that have a value.
pub fn asked(path: &str, query: &[(&str, Option<String>)]) -> String {
    let pairs: Vec<String> =
        query.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", escaped(value)))).collect();
    if pairs.is_empty() { path.to_string() } else { format!("{path}?{}", pairs.join("&")) }
}

/// What may stand in a part of a path and in a query: all but letters, digits and a few signs as `%` and digits.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => shown.push(byte as char),
            // A part of dots alone would be a way up.
            b'.' if text.bytes().any(|byte| byte != b'.') => shown.push('.'),
            _ => shown.push_str(&format!("%{byte:02X}")),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_part() {
        assert_eq!(path(&["datasets", "a/b?c#d", "..", "Größe 1.2"]), "/datasets/a%2Fb%3Fc%23d/%2E%2E/Gr%C3%B6%C3%9Fe%201.2");
        assert_eq!(asked("/a", &[("x", Some("1&2=3+4".into())), ("y", None)]), "/a?x=1%262%3D3%2B4");
        assert_eq!(asked("/a", &[("y", None)]), "/a");
    }
}

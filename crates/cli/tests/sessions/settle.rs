//! Writes what differs from run to run (ids, digests, moments) as what it is.

/// The text with ids, digests and moments named instead.
pub fn settle(text: &str) -> String {
    let mut settled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_start = !settled.ends_with(|p: char| p.is_ascii_alphanumeric());
        match moment(rest).filter(|_| is_start).map(|n| (n, "<time>")).or_else(|| id(rest).filter(|_| is_start)) {
            Some((length, name)) => {
                settled.push_str(name);
                rest = &rest[length..];
            }
            None => {
                settled.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    settled
}

/// The length of `2026-11-20 07:26:10` or `2026-11-20T07:26:10.123Z` at the start.
fn moment(text: &str) -> Option<usize> {
    let is_like = |pattern: &str| {
        let found = text.get(..pattern.len())?;
        let fits = found.chars().zip(pattern.chars()).all(|(c, p)| if p == '0' { c.is_ascii_digit() } else { c == p });
        fits.then_some(pattern.len())
    };
    is_like("0000-00-00T00:00:00.000Z").or_else(|| is_like("0000-00-00 00:00:00"))
}

/// The length of a run of hexadecimal digits at the start that is an id, and what it is called.
fn id(text: &str) -> Option<(usize, &'static str)> {
    let run: String = text.chars().take_while(char::is_ascii_alphanumeric).collect();
    if !run.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    match run.len() {
        8 => Some((8, "<short>")),
        16 | 32 => Some((run.len(), "<id>")),
        64 => Some((64, "<digest>")),
        _ => None,
    }
}

#[test]
fn what_differs_is_named() {
    let id = "0123456789abcdef";
    let text = format!("{id} at 2026-11-20 07:26:10, replica 01234567: x{id}, {id}{id}");
    assert_eq!(settle(&text), format!("<id> at <time>, replica <short>: x{id}, <id>"));
}

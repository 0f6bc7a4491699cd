//! Reads Rust source just well enough to count: blanks comments and literals, finds functions and test modules.

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// Lines from `fn` to the closing brace.
    pub lines: usize,
    /// Where it begins, as a byte position.
    pub start: usize,
}

/// The source with comments, strings and characters replaced by blanks. Line ends stay.
pub fn blanked(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes[at..].starts_with(b"/*") => end_of_block_comment(bytes, at),
            b'"' => end_of_string(bytes, at),
            b'r' | b'b' | b'c' if !is_word_before(bytes, at) => match raw_string(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            b'\'' => match end_of_character(bytes, at) {
                Some(end) => end,
                None => {
                    at += 1;
                    continue;
                }
            },
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("only whole literals and comments were blanked")
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|w| w == what).map(|p| from + p)
}

fn is_word_before(bytes: &[u8], at: usize) -> bool {
    at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
}

fn end_of_block_comment(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0;
    let mut at = start;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

fn end_of_string(bytes: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The end of `r"…"`, `br#"…"#` and the like, if one begins here.
fn raw_string(bytes: &[u8], start: usize) -> Option<usize> {
    let letters = bytes[start..].iter().take_while(|b| b.is_ascii_alphabetic()).count();
    if letters > 2 || !bytes[start..start + letters].contains(&b'r') {
        return None;
    }
    let hashes = bytes[start + letters..].iter().take_while(|&&b| b == b'#').count();
    let quote = start + letters + hashes;
    if bytes.get(quote) != Some(&b'"') {
        return None;
    }
    let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
    Some(find(bytes, quote + 1, &close).map_or(bytes.len(), |p| p + close.len()))
}

/// The end of a character literal; none for a lifetime.
fn end_of_character(bytes: &[u8], quote: usize) -> Option<usize> {
    if bytes.get(quote + 1) == Some(&b'\\') {
        return find(bytes, quote + 3, b"'").map(|p| p + 1);
    }
    let text = std::str::from_utf8(&bytes[quote + 1..(quote + 6).min(bytes.len())]);
    let valid = text.map_or_else(|e| e.valid_up_to(), str::len);
    let rest = std::str::from_utf8(&bytes[quote + 1..quote + 1 + valid]).expect("cut where it is valid");
    let width = rest.chars().next()?.len_utf8();
    (bytes.get(quote + 1 + width) == Some(&b'\'')).then_some(quote + 2 + width)
}

/// The position after the brace that closes the first one at or after `from`.
fn end_of_block(blank: &str, from: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (offset, byte) in blank.bytes().enumerate().skip(from) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(offset + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The blanked source without `#[cfg(test)]` items, which are blanked as well.
pub fn without_tests(source: &str) -> String {
    let mut blank = blanked(source);
    while let Some(start) = blank.find("#[cfg(test)]") {
        let brace = blank[start..].find('{').map(|p| start + p);
        let semicolon = blank[start..].find(';').map(|p| start + p + 1);
        let end = match (brace, semicolon) {
            (Some(brace), Some(semicolon)) if semicolon < brace => semicolon,
            (Some(brace), _) => end_of_block(&blank, brace).unwrap_or(blank.len()),
            (None, Some(semicolon)) => semicolon,
            (None, None) => blank.len(),
        };
        let gone: String = blank[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        // A mark on each line keeps test lines apart from blank lines that count.
        blank.replace_range(start..end, &gone.replace(' ', "\u{1}"));
    }
    blank
}

/// Lines of the file that are not in `#[cfg(test)]` items.
pub fn net_lines(source: &str) -> usize {
    let blank = without_tests(source);
    blank.lines().filter(|l| !l.contains('\u{1}')).count()
}

/// Functions with bodies outside of tests.
pub fn functions(source: &str) -> Vec<Function> {
    let blank = without_tests(source);
    let bytes = blank.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = find(bytes, at, b"fn ") {
        at = start + 3;
        if is_word_before(bytes, start) {
            continue;
        }
        let name: String = blank[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(body) = blank[at..].find(['{', ';']).map(|p| at + p) else {
            break;
        };
        if name.is_empty() || bytes[body] == b';' && !is_in_brackets(&blank[at..body]) {
            continue;
        }
        let Some(end) = end_of_block(&blank, body) else {
            break;
        };
        let lines = blank[start..end].lines().count();
        found.push(Function { name, lines, start });
    }
    found
}

/// True where a `;` belongs to an array type such as `[u8; 32]` in a signature.
fn is_in_brackets(signature: &str) -> bool {
    signature.matches('[').count() > signature.matches(']').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_blanked() {
        let source = "let a = \"{ \\\" }\"; // {\nlet b = '{'; let c: &'a str = r#\"{\"#; /* { /* } */ */ let d = '\\''; let e = 'é';";
        let blank = blanked(source);
        assert!(!blank.contains('{') && !blank.contains('}'), "{blank}");
        assert_eq!(blank.lines().count(), source.lines().count());
        assert!(blank.contains("&'a str") && blank.contains("let e ="), "{blank}");
    }

    #[test]
    fn functions_are_counted_from_name_to_brace() {
        let source = "fn one(a: [u8; 3]) -> u8 {\n  { }\n}\ntrait T { fn none(&self); }\n#[cfg(test)]\nmod tests {\n fn hidden() {\n }\n}\npub fn two() {}\n";
        let found: Vec<(String, usize)> = functions(source).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("one".to_string(), 3), ("two".to_string(), 1)]);
        assert_eq!(net_lines(source), 5);
    }
}

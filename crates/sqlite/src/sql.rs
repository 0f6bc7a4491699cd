//! Names and statements as SQL text: quoting, the words of a statement, and the parts of a CREATE statement.
//!
//! Invariant: every name that reaches SQL goes through [`quote`]; names that belong to SQLite or to Mainstem are
//! refused by [`user_name`] before they do.
use mainstem::{Error, Result};

/// A name as an SQL identifier, whatever it holds.
pub fn quote(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        if c == '"' {
            quoted.push('"');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Quoted names with commas between.
pub fn quote_all<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// True for a name that belongs to SQLite or to Mainstem.
pub fn is_internal(name: &str) -> bool {
    let begins = |prefix: &str| name.get(..prefix.len()).is_some_and(|p| p.eq_ignore_ascii_case(prefix));
    begins("sqlite_") || begins("mainstem_")
}

/// Refuses a name that cannot be a user's: internal, empty, or with U+0000, which would end the statement.
pub fn user_name(name: &str) -> Result<&str> {
    if is_internal(name) {
        return Err(Error::invalid(format!("the name {name:?} is reserved")));
    }
    if name.is_empty() || name.contains('\0') {
        return Err(Error::invalid(format!("{name:?} cannot be a name in SQLite")));
    }
    Ok(name)
}

/// What a word of a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// A bare word: keyword, name or number.
    Bare,
    /// A name in double quotes, backquotes or brackets.
    Quoted,
    /// A string in single quotes.
    Text,
    /// One other character.
    Mark(u8),
}

/// One word of a statement, by its place in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub kind: WordKind,
    pub start: usize,
    pub end: usize,
}

impl Word {
    /// True where this is that keyword, unquoted.
    pub fn is(&self, sql: &str, keyword: &str) -> bool {
        self.kind == WordKind::Bare && sql[self.start..self.end].eq_ignore_ascii_case(keyword)
    }
    /// The name it stands for; none where it cannot be a name.
    pub fn name(&self, sql: &str) -> Option<String> {
        let text = &sql[self.start..self.end];
        match self.kind {
            WordKind::Bare => Some(text.to_string()),
            WordKind::Mark(_) => None,
            WordKind::Quoted | WordKind::Text => {
                let close = &text[text.len() - 1..];
                let inner = &text[1..text.len() - 1];
                Some(if close == "]" { inner.to_string() } else { inner.replace(&close.repeat(2), close) })
            }
        }
    }
}

/// Splits a statement into words; comments and white space are left out.
pub(crate) fn words(sql: &str) -> Result<Vec<Word>> {
    let bytes = sql.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let kind = match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at = sql[at..].find('\n').map_or(bytes.len(), |n| at + n + 1);
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = sql[at + 2..].find("*/").map_or(bytes.len(), |n| at + 2 + n + 2);
                continue;
            }
            open @ (b'"' | b'`' | b'\'' | b'[') => {
                at = end_of_quoted(bytes, at, open)?;
                if open == b'\'' { WordKind::Text } else { WordKind::Quoted }
            }
            c if is_word_byte(c) => {
                while at < bytes.len() && is_word_byte(bytes[at]) {
                    at += 1;
                }
                WordKind::Bare
            }
            c => {
                at += 1;
                WordKind::Mark(c)
            }
        };
        words.push(Word { kind, start, end: at });
    }
    Ok(words)
}

fn is_word_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c == b'$' || c >= 0x80
}

fn end_of_quoted(bytes: &[u8], start: usize, open: u8) -> Result<usize> {
    let close = if open == b'[' { b']' } else { open };
    let mut at = start + 1;
    while at < bytes.len() {
        if bytes[at] == close {
            if open != b'[' && bytes.get(at + 1) == Some(&close) {
                at += 1;
            } else {
                return Ok(at + 1);
            }
        }
        at += 1;
    }
    Err(Error::invalid("a quoted name in a CREATE statement does not end"))
}

/// The head of a CREATE statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Created {
    /// `table`, `index`, `view` or `trigger`.
    pub kind: &'static str,
    /// The name it creates.
    pub name: String,
    /// Where the name stands in the text.
    pub place: (usize, usize),
}

/// Reads the head of a CREATE statement. Refuses every other statement, temporary and virtual objects, names with a
/// schema before them, IF NOT EXISTS and CREATE TABLE AS: `sqlite_schema` never holds those.
pub(crate) fn created(sql: &str) -> Result<Created> {
    let all = words(sql)?;
    let refuse = |why: &str| Error::invalid(format!("not a plain CREATE statement ({why})"));
    let mut at = 0;
    let mut take = |keyword: &str| {
        let found = all.get(at).is_some_and(|w| w.is(sql, keyword));
        at += usize::from(found);
        found
    };
    if !take("create") {
        return Err(refuse("it does not begin with CREATE"));
    }
    let is_unique = take("unique");
    let kind = ["table", "index", "view", "trigger"].into_iter().find(|k| take(k));
    let kind = kind.ok_or_else(|| refuse("it makes no table, index, view or trigger"))?;
    if is_unique && kind != "index" {
        return Err(refuse("only an index is UNIQUE"));
    }
    if take("if") {
        return Err(refuse("IF NOT EXISTS"));
    }
    let (word, next) = (all.get(at), all.get(at + 1));
    let word = word.ok_or_else(|| refuse("it has no name"))?;
    let name = word.name(sql).ok_or_else(|| refuse("it has no name"))?;
    let follows = next.map(|w| w.kind);
    if follows == Some(WordKind::Mark(b'.')) {
        return Err(refuse("its name has a schema before it"));
    }
    if kind == "table" && follows != Some(WordKind::Mark(b'(')) {
        return Err(refuse("its columns are not declared"));
    }
    Ok(Created { kind, name, place: (word.start, word.end) })
}

/// The same CREATE statement for another name.
pub(crate) fn renamed(sql: &str, head: &Created, name: &str) -> String {
    format!("{}{}{}", &sql[..head.place.0], quote(name), &sql[head.place.1..])
}

/// The parts of the first bracket of a statement, split at its commas, and where the bracket closes.
#[derive(Debug)]
pub(crate) struct Bracket {
    /// Start and end of each part in the text.
    pub parts: Vec<(usize, usize)>,
    /// The place of the closing bracket.
    pub close: usize,
}

/// Finds the first bracket of a statement.
pub(crate) fn first_bracket(sql: &str) -> Result<Bracket> {
    let mut depth = 0;
    let mut start = 0;
    let mut parts = Vec::new();
    for word in words(sql)? {
        match word.kind {
            WordKind::Mark(b'(') => {
                depth += 1;
                if depth == 1 {
                    start = word.end;
                }
            }
            WordKind::Mark(b',') if depth == 1 => {
                parts.push((start, word.start));
                start = word.end;
            }
            WordKind::Mark(b')') => {
                depth -= 1;
                if depth == 0 {
                    parts.push((start, word.start));
                    return Ok(Bracket { parts, close: word.start });
                }
            }
            _ => {}
        }
    }
    Err(Error::invalid("a CREATE statement has no bracket that closes"))
}

/// A CREATE TABLE statement with one more column, after the last one and before the table's constraints.
pub(crate) fn with_column(sql: &str, definition: &str) -> Result<String> {
    let bracket = first_bracket(sql)?;
    let is_constraint = |part: &(usize, usize)| {
        let text = &sql[part.0..part.1];
        let first = words(text).ok().and_then(|w| w.first().copied());
        let keywords = ["constraint", "primary", "unique", "check", "foreign"];
        first.is_some_and(|w| keywords.iter().any(|k| w.is(text, k)))
    };
    let last = bracket.parts.iter().take_while(|p| !is_constraint(p)).last();
    let place = last.ok_or_else(|| Error::invalid("a CREATE TABLE statement has no column"))?.1;
    // The line end closes a comment that the definition may end with.
    Ok(format!("{}, {definition}\n{}", &sql[..place], &sql[place..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_quoted_and_read_back() {
        for name in ["plain", "with \"quotes\"\"", "[brackets]", "`", "'", "-- ", "", "\u{e4}"] {
            let quoted = quote(name);
            let all = words(&quoted).expect("a quoted name is one word");
            assert_eq!(all.len(), 1, "{quoted}");
            assert_eq!(all[0].name(&quoted).as_deref(), Some(name));
        }
        assert!(is_internal("SQLITE_x") && is_internal("MainStem_") && !is_internal("mainstem") && !is_internal("mainst\u{e9}m_"));
    }

    #[test]
    fn parts_of_a_bracket_are_split_outside_strings_and_comments() {
        let sql = "CREATE INDEX \"a(,\" /* ( */ ON t(f(x, ','), -- ,)\n [y,)] DESC) WHERE z";
        let bracket = first_bracket(sql).expect("it closes");
        let parts: Vec<&str> = bracket.parts.iter().map(|p| sql[p.0..p.1].trim()).collect();
        assert_eq!(parts, ["f(x, ',')", "-- ,)\n [y,)] DESC"]);
        assert_eq!(&sql[bracket.close..], ") WHERE z");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(sql in "(CREATE )?(UNIQUE )?(TABLE|INDEX|VIEW|if)? ?[ -~\u{e9}\n]{0,40}") {
            let _ = created(&sql).map(|head| renamed(&sql, &head, "x"));
            let _ = with_column(&sql, "y");
        }

        #[test]
        fn any_name_survives_quoting(name in any::<String>()) {
            let quoted = quote(&name);
            let all = words(&quoted).expect("a quoted name is one word");
            prop_assert_eq!(all.len(), 1);
            prop_assert_eq!(all[0].name(&quoted), Some(name));
        }
    }
}

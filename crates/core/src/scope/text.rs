//! The text of a scope: one line for each table, `notes` or `notes: owner = 'ann' and due >= 20`; `*` for everything.
//!
//! Invariant: reading is total: bounded in length and depth, no input panics.
use super::{Comparison, Filter, Part, Scope};
use crate::error::{Error, Result};
use crate::value::Value;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

/// The longest text that is read, in bytes.
const LENGTH_MAX: usize = 64 * 1024;
/// How deep parentheses and negations may nest.
const DEPTH_MAX: usize = 32;
/// Words that are no column unless they are quoted.
const WORDS: [&str; 8] = ["and", "or", "not", "in", "is", "null", "true", "false"];

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parts) = self.parts() else { return f.write_str("*") };
        for (at, part) in parts.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(f, &self.table)?;
        if self.filter.is_everything() { Ok(()) } else { write!(f, ": {}", self.filter) }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_filter(f, self, 0)
    }
}

/// Writes a filter; `within` is 0 at the top and in parentheses, 1 as part of an `or`, 2 of an `and`, 3 after `not`.
fn write_filter(f: &mut fmt::Formatter<'_>, filter: &Filter, within: u8) -> fmt::Result {
    let list = |f: &mut fmt::Formatter<'_>, parts: &[Filter], word: &str, own: u8| {
        // A list of one, or a list in a list of its kind, would read back as something shorter.
        let is_bare = within < own && parts.len() > 1;
        f.write_str(if is_bare { "" } else { "(" })?;
        for (at, part) in parts.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { word })?;
            write_filter(f, part, own)?;
        }
        f.write_str(if is_bare { "" } else { ")" })
    };
    match filter {
        Filter::Always(holds) => write!(f, "{holds}"),
        Filter::Compare { column, comparison, value } => {
            write_name(f, column)?;
            write!(f, " {} ", comparison.sign())?;
            write_value(f, value)
        }
        Filter::In { column, values } => {
            write_name(f, column)?;
            f.write_str(" in (")?;
            for (at, value) in values.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { ", " })?;
                write_value(f, value)?;
            }
            f.write_str(")")
        }
        Filter::IsNull { column } => {
            write_name(f, column)?;
            f.write_str(" is null")
        }
        Filter::Or(parts) => list(f, parts, " or ", 1),
        Filter::And(parts) => list(f, parts, " and ", 2),
        Filter::Not(part) => {
            f.write_str("not ")?;
            write_filter(f, part, 3)
        }
    }
}

impl Comparison {
    fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Unequal => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

fn is_bare(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if is_bare(name) { f.write_str(name) } else { write!(f, "\"{}\"", name.replace('"', "\"\"")) }
}

fn write_value(f: &mut fmt::Formatter<'_>, value: &Value) -> fmt::Result {
    let hex = |f: &mut fmt::Formatter<'_>, sign: &str, bytes: &[u8]| {
        f.write_str(sign)?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("'")
    };
    match value {
        Value::Null => f.write_str("null"),
        Value::Integer(number) => write!(f, "{number}"),
        Value::Real(number) if number.is_finite() => write!(f, "{number:?}"),
        Value::Real(number) => f.write_str(if *number > 0.0 { "9e999" } else { "-9e999" }),
        Value::Text(bytes) => match core::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\n') => write!(f, "'{}'", text.replace('\'', "''")),
            // Text that is no UTF-8, or would end the line.
            _ => hex(f, "t'", bytes),
        },
        Value::Blob(bytes) => hex(f, "x'", bytes),
    }
}

impl FromStr for Scope {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        check_length(text)?;
        if text.trim() == "*" {
            return Ok(Scope::everything());
        }
        let parts = lines(text).into_iter().filter(|line| !line.trim().is_empty()).map(Part::from_str);
        Ok(Scope::of(parts.collect::<Result<Vec<_>>>()?))
    }
}

/// The lines of a scope. A line end in quotes is part of a name.
fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let (mut from, mut quote) = (0, None);
    for (at, character) in text.char_indices() {
        match (character, quote) {
            ('\n', None) => {
                lines.push(&text[from..at]);
                from = at + 1;
            }
            ('\'' | '"', None) => quote = Some(character),
            (_, Some(open)) if open == character => quote = None,
            _ => {}
        }
    }
    lines.push(&text[from..]);
    lines
}

fn check_length(text: &str) -> Result<()> {
    let why = || format!("it is {} bytes long, more than {LENGTH_MAX}", text.len());
    if text.len() <= LENGTH_MAX { Ok(()) } else { Err(Error::invalid("scope", why())) }
}

impl FromStr for Part {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        check_length(text)?;
        let mut reader = Reader::new(text)?;
        let table = reader.name("a table")?;
        if reader.is_over() {
            return Ok(Part { table, filter: Filter::Always(true) });
        }
        reader.expect(&Token::Sign(":"), "after the table's name, :")?;
        let filter = reader.any(0)?;
        if reader.is_over() { Ok(Part { table, filter }) } else { Err(reader.wrong("and, or, or the end")) }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// A bare word: a name, or one of [`WORDS`].
    Word(String),
    /// A name in double quotes.
    Name(String),
    Value(Value),
    Sign(&'static str),
}

/// Signs, those first that begin with another.
const SIGNS: [(&str, &str); 12] = [
    ("<=", "<="),
    (">=", ">="),
    ("!=", "!="),
    ("<>", "!="),
    ("==", "="),
    ("=", "="),
    ("<", "<"),
    (">", ">"),
    ("(", "("),
    (")", ")"),
    (",", ","),
    (":", ":"),
];

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Result<Self> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (token, used) = token(text, rest)?;
            tokens.push(token);
            rest = rest[used..].trim_start();
        }
        Ok(Reader { text, tokens, at: 0 })
    }

    fn is_over(&self) -> bool {
        self.at == self.tokens.len()
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn wrong(&self, wanted: &str) -> Error {
        let there = match self.tokens.get(self.at) {
            None => "the end".to_string(),
            Some(Token::Word(word)) => word.clone(),
            Some(Token::Name(name)) => format!("\"{name}\""),
            Some(Token::Sign(sign)) => (*sign).to_owned(),
            Some(Token::Value(_)) => "a value".to_string(),
        };
        Error::invalid(format!("scope '{}'", self.text.trim()), format!("{wanted} is expected, not {there}"))
    }

    fn take(&mut self, token: &Token) -> bool {
        let is_it = match (self.tokens.get(self.at), token) {
            (Some(Token::Word(there)), Token::Word(wanted)) => there.eq_ignore_ascii_case(wanted),
            (there, wanted) => there == Some(wanted),
        };
        self.at += usize::from(is_it);
        is_it
    }

    fn word(&mut self, word: &str) -> bool {
        self.take(&Token::Word(word.to_owned()))
    }

    fn expect(&mut self, token: &Token, wanted: &str) -> Result<()> {
        if self.take(token) { Ok(()) } else { Err(self.wrong(wanted)) }
    }

    fn name(&mut self, wanted: &str) -> Result<String> {
        let is_word = |name: &str| WORDS.iter().any(|word| word.eq_ignore_ascii_case(name));
        match self.tokens.get(self.at) {
            Some(Token::Name(name)) if !name.is_empty() => {
                self.at += 1;
                Ok(self.tokens_name(self.at - 1))
            }
            Some(Token::Word(name)) if !is_word(name) => {
                self.at += 1;
                Ok(self.tokens_name(self.at - 1))
            }
            _ => Err(self.wrong(wanted)),
        }
    }

    fn tokens_name(&self, at: usize) -> String {
        match &self.tokens[at] {
            Token::Name(name) | Token::Word(name) => name.clone(),
            _ => String::new(),
        }
    }

    fn any(&mut self, depth: usize) -> Result<Filter> {
        let mut parts = vec![self.all(depth)?];
        while self.word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(alone(parts, Filter::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Filter> {
        let mut parts = vec![self.one(depth)?];
        while self.word("and") {
            parts.push(self.one(depth)?);
        }
        Ok(alone(parts, Filter::And))
    }

    fn one(&mut self, depth: usize) -> Result<Filter> {
        if depth > DEPTH_MAX {
            return Err(Error::invalid("scope", format!("it is nested deeper than {DEPTH_MAX}")));
        }
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.take(&Token::Sign("(")) {
            let filter = self.any(depth + 1)?;
            self.expect(&Token::Sign(")"), ")")?;
            return Ok(filter);
        }
        for (word, holds) in [("true", true), ("false", false)] {
            if self.word(word) {
                return Ok(Filter::Always(holds));
            }
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Filter> {
        let column = self.name("a column")?;
        if self.word("is") {
            let is_not = self.word("not");
            if !self.word("null") {
                return Err(self.wrong("null"));
            }
            return Ok(negated(Filter::IsNull { column }, is_not));
        }
        let is_not = self.word("not");
        if self.word("in") {
            self.expect(&Token::Sign("("), "(")?;
            let mut values = vec![self.value()?];
            while self.take(&Token::Sign(",")) {
                values.push(self.value()?);
            }
            self.expect(&Token::Sign(")"), ", or )")?;
            return Ok(negated(Filter::In { column, values }, is_not));
        }
        let known = [
            Comparison::Equal,
            Comparison::Unequal,
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        ];
        let comparison = known.into_iter().filter(|_| !is_not).find(|c| self.take(&Token::Sign(c.sign())));
        let comparison = comparison.ok_or_else(|| self.wrong("a comparison (=, !=, <, <=, >, >=, in, is null)"))?;
        Ok(Filter::Compare { column, comparison, value: self.value()? })
    }

    fn value(&mut self) -> Result<Value> {
        match self.tokens.get(self.at) {
            Some(Token::Value(_)) => {}
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("null") => {
                return Err(self.wrong("a value (NULL is asked for with: is null)"));
            }
            _ => return Err(self.wrong("a value such as 7, 1.5, 'text' or x'00ff'")),
        }
        match self.next() {
            Some(Token::Value(value)) => Ok(value),
            _ => Err(self.wrong("a value")),
        }
    }
}

fn negated(filter: Filter, is_not: bool) -> Filter {
    if is_not { Filter::Not(Box::new(filter)) } else { filter }
}

/// A list of one is that one; lists of the same kind in it become part of it.
fn alone(mut parts: Vec<Filter>, of: fn(Vec<Filter>) -> Filter) -> Filter {
    if parts.len() == 1 { parts.remove(0) } else { of(parts) }
}

/// The token that `rest` begins with, and how many bytes it takes.
fn token(text: &str, rest: &str) -> Result<(Token, usize)> {
    let wrong = |why: &str| Error::invalid(format!("scope '{}'", text.trim()), why);
    for (sign, is) in SIGNS {
        if rest.starts_with(sign) {
            return Ok((Token::Sign(is), sign.len()));
        }
    }
    for (open, is_blob) in [("x'", true), ("X'", true), ("t'", false), ("T'", false)] {
        if let Some(after) = rest.strip_prefix(open) {
            let end = after.find('\'').ok_or_else(|| wrong("a quote is not closed"))?;
            let bytes = unhex(&after[..end]).ok_or_else(|| wrong("hexadecimal digits come in pairs"))?;
            return Ok((Token::Value(if is_blob { Value::Blob(bytes) } else { Value::Text(bytes) }), end + open.len() + 1));
        }
    }
    if rest.starts_with(['\'', '"']) {
        let (inner, used) = quoted(rest).ok_or_else(|| wrong("a quote is not closed"))?;
        let token = if rest.starts_with('"') { Token::Name(inner) } else { Token::Value(Value::text(inner)) };
        return Ok((token, used));
    }
    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    if rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return Ok((Token::Word(rest[..end].to_owned()), end));
    }
    let end = number_end(rest);
    let number = &rest[..end];
    let value = match number.parse::<i64>() {
        Ok(integer) if !number.starts_with('+') => Value::Integer(integer),
        _ => {
            let is_real = number.contains(['.', 'e', 'E']);
            let real = number.parse::<f64>().ok().filter(|_| is_real);
            Value::Real(real.ok_or_else(|| wrong(&format!("'{}' cannot be read", rest.chars().take(20).collect::<String>())))?)
        }
    };
    Ok((Token::Value(value), end))
}

fn number_end(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let is_sign = matches!(byte, b'-' | b'+') && (end == 0 || matches!(bytes[end - 1], b'e' | b'E'));
        if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || is_sign) {
            break;
        }
        end += 1;
    }
    end
}

/// What is in quotes, where a doubled quote stands for one.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let quote = rest.chars().next()?;
    let mut inner = String::new();
    let mut characters = rest.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character != quote {
            inner.push(character);
            continue;
        }
        match characters.peek() {
            Some((_, next)) if *next == quote => {
                characters.next();
                inner.push(quote);
            }
            _ => return Some((inner, at + 1)),
        }
    }
    None
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if rest.is_empty() { pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect() } else { None }
}

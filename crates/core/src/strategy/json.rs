//! JSON inside one cell, merged by key, with every number and string kept as it was written.
//!
//! Invariant: parsing accepts what RFC 8259 accepts, to a depth of 128, and nothing else; an object that names one
//! key twice cannot be merged by key and is refused. Nothing is read into a double.
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

const DEPTH_MAX: usize = 128;

/// A JSON value; scalars by their text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node<'a> {
    Scalar(&'a [u8]),
    Array(Vec<Node<'a>>),
    Object(Vec<Member<'a>>),
}

/// A key as written and as meant (escapes undone), and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Member<'a> {
    written: &'a [u8],
    name: String,
    value: Node<'a>,
}

/// A merged text.
pub(super) struct Merged {
    pub(super) text: Vec<u8>,
    /// False where something was changed differently by both; the earlier side's is in the text.
    pub(super) is_clean: bool,
}

/// Merges three JSON texts by key. None where one of them is not JSON that can be merged.
pub(super) fn merge(base: &[u8], early: &[u8], late: &[u8]) -> Option<Merged> {
    let (base, early, late) = (parse(base)?, parse(early)?, parse(late)?);
    let mut is_clean = true;
    let merged = merge_nodes(Some(&base), Some(&early), Some(&late), &mut is_clean)?;
    let mut text = Vec::new();
    write(&merged, &mut text);
    Some(Merged { text, is_clean })
}

/// The elements of a JSON array, each without blanks between its tokens. None where the text is not an array.
pub(super) fn array_parts(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let Node::Array(elements) = parse(text)? else { return None };
    let written = |element| {
        let mut text = Vec::new();
        write(element, &mut text);
        text
    };
    Some(elements.iter().map(written).collect())
}

/// What holds of one value; none where it is to be absent. `is_clean` becomes false on a conflict.
fn merge_nodes<'a>(base: Option<&Node<'a>>, early: Option<&Node<'a>>, late: Option<&Node<'a>>, is_clean: &mut bool) -> Option<Node<'a>> {
    if early == late || late == base {
        return early.cloned();
    }
    if early == base {
        return late.cloned();
    }
    if let (Some(Node::Object(early)), Some(Node::Object(late))) = (early, late) {
        let base: &[Member<'a>] = match base {
            Some(Node::Object(base)) => base,
            _ => &[],
        };
        return Some(Node::Object(merge_members(base, early, late, is_clean)));
    }
    *is_clean = false;
    early.cloned()
}

/// Keys of the base in its order, then those that either added, in the order of their bytes.
fn merge_members<'a>(base: &[Member<'a>], early: &[Member<'a>], late: &[Member<'a>], is_clean: &mut bool) -> Vec<Member<'a>> {
    let (in_base, in_early, in_late) = (by_name(base), by_name(early), by_name(late));
    let mut added = BTreeMap::new();
    for (&name, _) in in_early.iter().chain(&in_late).filter(|(name, _)| !in_base.contains_key(*name)) {
        added.insert(name, ());
    }
    let names = base.iter().map(|member| member.name.as_str()).chain(added.into_keys());
    let mut merged = Vec::new();
    for name in names {
        let [base, early, late] = [&in_base, &in_early, &in_late].map(|members| members.get(name).copied());
        let value =
            merge_nodes(base.map(|member| &member.value), early.map(|member| &member.value), late.map(|member| &member.value), is_clean);
        let written = base.or(early).or(late);
        if let (Some(value), Some(member)) = (value, written) {
            merged.push(Member { written: member.written, name: member.name.clone(), value });
        }
    }
    merged
}

fn by_name<'m, 'a>(members: &'m [Member<'a>]) -> BTreeMap<&'m str, &'m Member<'a>> {
    members.iter().map(|member| (member.name.as_str(), member)).collect()
}

fn write(node: &Node<'_>, out: &mut Vec<u8>) {
    match node {
        Node::Scalar(text) => out.extend_from_slice(text),
        Node::Array(elements) => {
            out.push(b'[');
            for (i, element) in elements.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(element, out);
            }
            out.push(b']');
        }
        Node::Object(members) => {
            out.push(b'{');
            for (i, member) in members.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(member.written);
                out.push(b':');
                write(&member.value, out);
            }
            out.push(b'}');
        }
    }
}

fn parse(text: &[u8]) -> Option<Node<'_>> {
    core::str::from_utf8(text).ok()?;
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.blanks();
    (reader.at == text.len()).then_some(node)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes the byte if it is next, after blanks.
    fn take(&mut self, byte: u8) -> bool {
        self.blanks();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Option<Node<'a>> {
        if depth > DEPTH_MAX {
            return None;
        }
        self.blanks();
        let from = self.at;
        match self.peek()? {
            b'{' => return self.object(depth),
            b'[' => return self.array(depth),
            b'"' => {
                self.string()?;
            }
            b'-' | b'0'..=b'9' => self.number()?,
            _ => self.word()?,
        }
        Some(Node::Scalar(&self.text[from..self.at]))
    }

    fn word(&mut self) -> Option<()> {
        let word = [&b"true"[..], b"false", b"null"].into_iter().find(|word| self.text[self.at..].starts_with(word))?;
        self.at += word.len();
        Some(())
    }

    fn object(&mut self, depth: usize) -> Option<Node<'a>> {
        self.at += 1;
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut names = BTreeMap::new();
        if self.take(b'}') {
            return Some(Node::Object(members));
        }
        loop {
            self.blanks();
            let from = self.at;
            let name = self.string()?;
            let written = &self.text[from..self.at];
            if names.insert(name.clone(), ()).is_some() || !self.take(b':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            members.push(Member { written, name, value });
            if self.take(b'}') {
                return Some(Node::Object(members));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Node<'a>> {
        self.at += 1;
        let mut elements = Vec::new();
        if self.take(b']') {
            return Some(Node::Array(elements));
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Some(Node::Array(elements));
            }
            if !self.take(b',') {
                return None;
            }
        }
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.peek() == Some(b'-'));
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    /// Reads a string and undoes its escapes. Half of a surrogate pair alone has no meaning and is refused.
    fn string(&mut self) -> Option<String> {
        if self.peek() != Some(b'"') {
            return None;
        }
        self.at += 1;
        let mut meant = String::new();
        let mut from = self.at;
        loop {
            let byte = self.peek()?;
            if byte == b'"' || byte == b'\\' {
                meant.push_str(core::str::from_utf8(&self.text[from..self.at]).ok()?);
                self.at += 1;
                if byte == b'"' {
                    return Some(meant);
                }
                meant.push(self.escape()?);
                from = self.at;
            } else if byte < 0x20 {
                return None;
            } else {
                self.at += 1;
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return None,
        })
    }

    fn code_point(&mut self) -> Option<char> {
        let first = self.hexadecimal()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if !self.text[self.at..].starts_with(b"\\u") {
            return None;
        }
        self.at += 2;
        let second = self.hexadecimal()?.checked_sub(0xdc00).filter(|&low| low < 0x400)?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
    }

    fn hexadecimal(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        digits.iter().try_fold(0, |sum, &digit| Some(sum * 16 + char::from(digit).to_digit(16)?))
    }
}

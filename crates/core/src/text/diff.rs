//! The edits that make one text from another, found by comparing runs of bytes and resynchronising locally.
//!
//! Invariant: replacing each hunk's base range by its side range gives the side; hunks are in order and never touch.
//! Nothing that did not change is hashed or cut into tokens: the cost is a comparison plus a search near each edit.
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

/// One edit: `side` stands where `base` stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hunk {
    pub(super) base: Range<usize>,
    pub(super) side: Range<usize>,
}

/// A line longer than this is searched by words.
const LINE_MAX: usize = 4096;
/// How many lines on both sides together are skipped to find a common one nearby.
const LINES_SKIPPED_MAX: usize = 96;
/// The same for words.
const WORDS_SKIPPED_MAX: usize = 96;
/// What is longer is not looked at as one word.
const WORD_MAX: usize = 64;
/// How many equal bytes make a place where both texts are taken to go on alike.
const LINE_ANCHOR: usize = 24;
const WORD_ANCHOR: usize = 8;
/// How many pairs of lines or words are compared in a stretch that nothing nearer divides.
const PAIRS_MAX: usize = 10_000;
/// How far an insertion or deletion is moved to a better place that means the same.
const SLIDE_MAX: usize = 256;

pub(super) fn diff(base: &[u8], side: &[u8]) -> Vec<Hunk> {
    let mut scan = Scan { base, side, hunks: Vec::with_capacity(16), starts: (Vec::new(), Vec::new()) };
    let tail = common_suffix(base, side);
    let whole = Hunk { base: 0..base.len() - tail, side: 0..side.len() - tail };
    scan.lines(whole, false);
    scan.settled()
}

/// How many bytes are equal from the start. Blocks are compared as slices, which is a vectorised comparison.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let mut at = 0;
    for block in [512, 64, 8] {
        while at + block <= length && a[at..at + block] == b[at..at + block] {
            at += block;
        }
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(x, y)| x == y).count()
}

fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let length = a.len().min(b.len());
    let (a, b) = (&a[a.len() - length..], &b[b.len() - length..]);
    let mut left = length;
    for block in [512, 64, 8] {
        while left >= block && a[left - block..left] == b[left - block..left] {
            left -= block;
        }
    }
    length - left + a[..left].iter().rev().zip(b[..left].iter().rev()).take_while(|(x, y)| x == y).count()
}

/// Where the first line feed is. Eight bytes at a time: subtracting one borrows into the high bit of a zero byte
/// first of all, and bytes are zero where they were line feeds (Hacker's Delight, 6-1).
fn newline(text: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let zeroed = u64::from_le_bytes(*word) ^ (ONES * b'\n' as u64);
        let found = zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7);
        if found != 0 {
            return Some(i * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| byte == b'\n').map(|at| words.len() * 8 + at)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Line,
    Word,
}

impl Level {
    /// The end of the token that starts at `from`; none where it is too long to be one.
    fn end(self, text: &[u8], from: usize) -> Option<usize> {
        let rest = &text[from..];
        match self {
            Level::Line => {
                let near = &rest[..rest.len().min(LINE_MAX)];
                match newline(near) {
                    Some(at) => Some(from + at + 1),
                    None => (near.len() == rest.len()).then_some(text.len()),
                }
            }
            Level::Word => {
                let class = class(*rest.first()?);
                if class == Class::Mark {
                    return Some(from + 1);
                }
                Some(from + rest.iter().take_while(|&&byte| self::class(byte) == class).count())
            }
        }
    }

    /// How far back from the end of an equal run its last token starts; none where that is too far.
    fn back(self, run: &[u8]) -> Option<usize> {
        let near = &run[run.len().saturating_sub(LINE_MAX)..];
        match self {
            Level::Line => match near.iter().rposition(|&byte| byte == b'\n') {
                Some(at) => Some(near.len() - at - 1),
                None => (near.len() == run.len()).then_some(run.len()),
            },
            Level::Word => Some(near.iter().rev().take_while(|&&byte| class(byte) == Class::Word).count()),
        }
    }

    /// The tokens in a range that can be anchors.
    fn tokens(self, text: &[u8], range: &Range<usize>) -> Vec<Range<usize>> {
        let mut tokens = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let end = self.end(&text[..range.end], at).unwrap_or(range.end);
            if self.is_anchor(&text[at..end]) {
                tokens.push(at..end);
            }
            at = end;
        }
        tokens
    }

    fn is_anchor(self, token: &[u8]) -> bool {
        token.iter().any(|&byte| class(byte) == Class::Word)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Word,
    Blank,
    Mark,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b' ' | b'\t' | b'\n' | b'\r' => Class::Blank,
            b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | 0x80.. => Class::Word,
            _ => Class::Mark,
        };
        byte += 1;
    }
    classes
};

fn class(byte: u8) -> Class {
    CLASSES[usize::from(byte)]
}

struct Scan<'a> {
    base: &'a [u8],
    side: &'a [u8],
    hunks: Vec<Hunk>,
    /// Where tokens start, while a place to go on is looked for; kept so as to be allocated once.
    starts: (Vec<usize>, Vec<usize>),
}

impl Scan<'_> {
    /// Compares a stretch line by line; `is_anchored` where lines that occur once were looked for already.
    fn lines(&mut self, stretch: Hunk, is_anchored: bool) {
        let (mut b, mut s) = (stretch.base.start, stretch.side.start);
        while let Some((run, back)) = self.run(&stretch, b, s, Level::Line) {
            let rest = |back| Hunk { base: b + run - back..stretch.base.end, side: s + run - back..stretch.side.end };
            let by_line = back.map(rest).and_then(|rest| Some((self.line_ends(&rest)?, rest)));
            let (level, rest) = match by_line {
                Some((ends, rest)) => {
                    if let Some(to) = self.next_line(&rest, ends) {
                        self.words(Hunk { base: rest.base.start..to.0, side: rest.side.start..to.1 });
                        (b, s) = to;
                        continue;
                    }
                    (Level::Line, rest)
                }
                // A line too long to be an anchor: words do.
                None => (Level::Word, rest(Level::Word.back(&self.base[b..b + run]).unwrap_or(0))),
            };
            match self.resync(level, &rest) {
                Some(to) => {
                    self.near(level, Hunk { base: rest.base.start..to.0, side: rest.side.start..to.1 });
                    (b, s) = to;
                }
                None if is_anchored => return self.near(Level::Line, rest),
                None => return self.anchored(rest),
            }
        }
    }

    /// Where the first line of each text ends; none where one is too long.
    fn line_ends(&self, rest: &Hunk) -> Option<(usize, usize)> {
        let base = Level::Line.end(&self.base[..rest.base.end], rest.base.start)?;
        Some((base, Level::Line.end(&self.side[..rest.side.end], rest.side.start)?))
    }

    /// The place to go on where one line was inserted, removed or changed, which is what edits are as a rule: the
    /// same place that [`Scan::resync`] would find.
    fn next_line(&self, rest: &Hunk, ends: (usize, usize)) -> Option<(usize, usize)> {
        let (b, s) = (rest.base.start, rest.side.start);
        let goes_on = |line: &[u8], b: usize, s: usize| {
            let is_there = self.base[b..rest.base.end].starts_with(line) && self.side[s..rest.side.end].starts_with(line);
            is_there && Level::Line.is_anchor(line) && self.goes_on(Level::Line, rest, b, s)
        };
        if goes_on(&self.base[b..ends.0], b, ends.1) {
            return Some((b, ends.1));
        }
        if goes_on(&self.side[s..ends.1], ends.0, s) {
            return Some((ends.0, s));
        }
        let next = Level::Line.end(&self.base[..rest.base.end], ends.0)?;
        goes_on(&self.base[ends.0..next], ends.0, ends.1).then_some(ends)
    }

    /// The length of the equal run at `b` and `s`, and how far back its last token starts. None at the end, after
    /// noting what one text has more than the other.
    fn run(&mut self, stretch: &Hunk, b: usize, s: usize, level: Level) -> Option<(usize, Option<usize>)> {
        let run = common_prefix(&self.base[b..stretch.base.end], &self.side[s..stretch.side.end]);
        if b + run == stretch.base.end || s + run == stretch.side.end {
            self.push(Hunk { base: b + run..stretch.base.end, side: s + run..stretch.side.end });
            return None;
        }
        Some((run, level.back(&self.base[b..b + run])))
    }

    /// Compares a changed stretch word by word.
    fn words(&mut self, stretch: Hunk) {
        let tail = common_suffix(&self.base[stretch.base.clone()], &self.side[stretch.side.clone()]);
        let stretch = Hunk { base: stretch.base.start..stretch.base.end - tail, side: stretch.side.start..stretch.side.end - tail };
        let (mut b, mut s) = (stretch.base.start, stretch.side.start);
        while let Some((run, back)) = self.run(&stretch, b, s, Level::Word) {
            if self.is_one_word(&stretch, b + run, s + run) {
                return self.push(Hunk { base: b + run..stretch.base.end, side: s + run..stretch.side.end });
            }
            let back = back.unwrap_or(0);
            (b, s) = (b + run - back, s + run - back);
            let rest = Hunk { base: b..stretch.base.end, side: s..stretch.side.end };
            let Some((to_b, to_s)) = self.resync(Level::Word, &rest) else {
                return self.near(Level::Word, rest);
            };
            self.near(Level::Word, Hunk { base: b..to_b, side: s..to_s });
            (b, s) = (to_b, to_s);
        }
    }

    /// True where nothing but one word is left of each text, so that there is nothing to find in it.
    fn is_one_word(&self, stretch: &Hunk, b: usize, s: usize) -> bool {
        let is_word = |text: &[u8]| text.len() <= WORD_MAX && text.iter().all(|&byte| class(byte) == Class::Word);
        is_word(&self.base[b..stretch.base.end]) && is_word(&self.side[s..stretch.side.end])
    }

    /// Compares a short stretch by its longest common lines, and what is between them by words; or by its longest
    /// common words. A long stretch goes to the next step as it is.
    fn near(&mut self, level: Level, stretch: Hunk) {
        let of_base = level.tokens(self.base, &stretch.base);
        let of_side = level.tokens(self.side, &stretch.side);
        let is_small = (2..=PAIRS_MAX).contains(&(of_base.len() * of_side.len()));
        let common = if is_small { self.common(&of_base, &of_side) } else { Vec::new() };
        let length = |tokens: &mut dyn Iterator<Item = &Range<usize>>| tokens.map(ExactSizeIterator::len).sum::<usize>();
        let shared = length(&mut common.iter().map(|(x, _)| x));
        let smaller = length(&mut of_base.iter()).min(length(&mut of_side.iter()));
        // A few short words in common do not make one sentence an edit of another.
        let common = if level == Level::Word && shared * 4 < smaller { Vec::new() } else { common };
        let (mut b, mut s) = (stretch.base.start, stretch.side.start);
        let end = (stretch.base.end..stretch.base.end, stretch.side.end..stretch.side.end);
        for (x, y) in common.into_iter().chain([end]) {
            let between = Hunk { base: b..x.start, side: s..y.start };
            match level {
                Level::Line => self.words(between),
                Level::Word => self.push(between),
            }
            (b, s) = (x.end, y.end);
        }
    }

    /// The common tokens of greatest length together, in one order in both.
    fn common(&self, of_base: &[Range<usize>], of_side: &[Range<usize>]) -> Vec<(Range<usize>, Range<usize>)> {
        let weight = |i: usize, j: usize| {
            let (x, y) = (&self.base[of_base[i].clone()], &self.side[of_side[j].clone()]);
            if x == y { x.len() } else { 0 }
        };
        let width = of_side.len() + 1;
        let mut best = vec![0; (of_base.len() + 1) * width];
        for i in (0..of_base.len()).rev() {
            for j in (0..of_side.len()).rev() {
                let apart = best[(i + 1) * width + j].max(best[i * width + j + 1]);
                let both = weight(i, j);
                best[i * width + j] = if both > 0 { apart.max(best[(i + 1) * width + j + 1] + both) } else { apart };
            }
        }
        let mut common = Vec::new();
        let (mut i, mut j) = (0, 0);
        while i < of_base.len() && j < of_side.len() {
            let both = weight(i, j);
            if both > 0 && best[i * width + j] == best[(i + 1) * width + j + 1] + both {
                common.push((of_base[i].clone(), of_side[j].clone()));
                (i, j) = (i + 1, j + 1);
            } else if best[(i + 1) * width + j] >= best[i * width + j + 1] {
                i += 1;
            } else {
                j += 1;
            }
        }
        common
    }

    /// The nearest place where both texts go on alike, by tokens skipped on both sides together.
    fn resync(&mut self, level: Level, rest: &Hunk) -> Option<(usize, usize)> {
        let mut starts = core::mem::take(&mut self.starts);
        starts.0.clear();
        starts.1.clear();
        let place = self.resync_in(level, rest, &mut starts);
        self.starts = starts;
        place
    }

    fn resync_in(&self, level: Level, rest: &Hunk, (in_base, in_side): &mut (Vec<usize>, Vec<usize>)) -> Option<(usize, usize)> {
        let most = if level == Level::Line { LINES_SKIPPED_MAX } else { WORDS_SKIPPED_MAX };
        let base = &self.base[..rest.base.end];
        let side = &self.side[..rest.side.end];
        in_base.push(rest.base.start);
        in_side.push(rest.side.start);
        for skipped in 0..=most {
            // One token more on each side: token i is between the starts i and i + 1.
            for (text, starts) in [(base, &mut *in_base), (side, &mut *in_side)] {
                let last = *starts.last()?;
                if starts.len() == skipped + 1 && last < text.len() {
                    starts.push(level.end(text, last)?);
                }
            }
            let first = (skipped + 2).saturating_sub(in_side.len());
            for i in first..=skipped.min(in_base.len().saturating_sub(2)) {
                let j = skipped - i;
                let (x, y) = (in_base[i]..in_base[i + 1], in_side[j]..in_side[j + 1]);
                if x.len() == y.len() && base[x.clone()] == side[y.clone()] && level.is_anchor(&base[x.clone()]) {
                    let is_long = self.goes_on(level, rest, x.start, y.start);
                    if skipped > 0 && is_long {
                        return Some((x.start, y.start));
                    }
                }
            }
        }
        None
    }

    fn goes_on(&self, level: Level, rest: &Hunk, b: usize, s: usize) -> bool {
        let wanted = if level == Level::Line { LINE_ANCHOR } else { WORD_ANCHOR };
        let length = wanted.min(rest.base.end - b).min(rest.side.end - s);
        self.base[b..b + length] == self.side[s..s + length]
    }

    /// Finds the lines that occur once in each text and in one order in both, and compares between them. This is
    /// Bram Cohen's patience diff, for the rare stretch where nothing near is common.
    fn anchored(&mut self, rest: Hunk) {
        let base = lines_once(self.base, &rest.base);
        let side = lines_once(self.side, &rest.side);
        let mut pairs = Vec::new();
        let mut j = 0;
        for (line, at) in &base {
            while j < side.len() && side[j].0 < *line {
                j += 1;
            }
            if j < side.len() && side[j].0 == *line {
                pairs.push((*at, side[j].1));
            }
        }
        pairs.sort_unstable();
        let (mut b, mut s) = (rest.base.start, rest.side.start);
        for (to_b, to_s) in longest_rising(&pairs) {
            self.lines(Hunk { base: b..to_b, side: s..to_s }, true);
            (b, s) = (to_b, to_s);
        }
        self.lines(Hunk { base: b..rest.base.end, side: s..rest.side.end }, true);
    }

    /// Notes an edit without what is equal at its ends.
    fn push(&mut self, hunk: Hunk) {
        let (base, side) = (&self.base[hunk.base.clone()], &self.side[hunk.side.clone()]);
        let head = common_prefix(base, side);
        let tail = common_suffix(&base[head..], &side[head..]);
        let base = hunk.base.start + head..hunk.base.end - tail;
        let side = hunk.side.start + head..hunk.side.end - tail;
        if !base.is_empty() || !side.is_empty() {
            self.hunks.push(Hunk { base, side });
        }
    }

    /// The edits in their final places: moved to where lines or words start, with whole characters and numbers, and
    /// those that touch as one.
    fn settled(&self) -> Vec<Hunk> {
        let mut settled: Vec<Hunk> = Vec::with_capacity(self.hunks.len());
        for (i, hunk) in self.hunks.iter().enumerate() {
            let floor = settled.last().map_or(0, |last| last.base.end);
            let ceiling = self.hunks.get(i + 1).map_or(self.base.len(), |next| next.base.start);
            let Hunk { base: mut b, side: mut s } = self.slid(hunk, floor, ceiling);
            while b.start > floor && self.cuts(&b, &s, true) {
                b.start -= 1;
                s.start -= 1;
            }
            while b.end < ceiling && self.cuts(&b, &s, false) {
                b.end += 1;
                s.end += 1;
            }
            match settled.last_mut() {
                Some(last) if last.base.end == b.start => {
                    last.base.end = b.end;
                    last.side.end = s.end;
                }
                _ => settled.push(Hunk { base: b, side: s }),
            }
        }
        settled
    }

    /// Moves a mere insertion or deletion to where a line starts, else a word, among the places that mean the same:
    /// `a[b-a]b` is `[a-b]ab`. The first such place is taken, so that one edit has one place. Text between `floor`,
    /// the edit and `ceiling` is the same on both sides.
    fn slid(&self, hunk: &Hunk, floor: usize, ceiling: usize) -> Hunk {
        let (text, range) = match (hunk.base.is_empty(), hunk.side.is_empty()) {
            (false, true) => (self.base, &hunk.base),
            (true, false) => (self.side, &hunk.side),
            _ => return hunk.clone(),
        };
        let start = range.start;
        let before = (hunk.base.start - floor).min(SLIDE_MAX);
        let back = (1..=before).take_while(|k| text[start - k] == text[range.end - k]).count();
        let after = (ceiling - hunk.base.end).min(SLIDE_MAX);
        let on = (0..after).take_while(|k| text[start + k] == text[range.end + k]).count();
        if back + on == 0 {
            return hunk.clone();
        }
        let score = |at: usize| match text[..at].last() {
            None | Some(b'\n') => 2,
            Some(&byte) => u8::from(class(byte) != class(text[at])),
        };
        let moved = |at: usize| {
            let by = |range: &Range<usize>| range.start + at - start..range.end + at - start;
            Hunk { base: by(&hunk.base), side: by(&hunk.side) }
        };
        let is_whole = |at: usize| {
            let Hunk { base, side } = moved(at);
            !self.cuts(&base, &side, true) && !self.cuts(&base, &side, false)
        };
        let places = (start - back..=start + on).rev().filter(|&at| is_whole(at));
        places.max_by_key(|&at| score(at)).map_or(hunk.clone(), moved)
    }

    /// True where the hunk's start (or end) is inside a character or a number of either text.
    fn cuts(&self, b: &Range<usize>, s: &Range<usize>, is_start: bool) -> bool {
        let is_cut = |text: &[u8], range: &Range<usize>| {
            let at = if is_start { range.start } else { range.end };
            let (before, after) = (text[..at].last(), text.get(at));
            let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
            let is_inner = after.is_some_and(|&byte| byte & 0xc0 == 0x80) && before.is_some_and(|&byte| byte >= 0x80);
            is_inner || (is_digit(before) && is_digit(after))
        };
        is_cut(self.base, b) || is_cut(self.side, s)
    }
}

/// The lines that occur once, sorted by their bytes, with where they start.
fn lines_once<'a>(text: &'a [u8], range: &Range<usize>) -> Vec<(&'a [u8], usize)> {
    let mut lines = Vec::new();
    let mut at = range.start;
    for line in text[range.clone()].split_inclusive(|&byte| byte == b'\n') {
        if Level::Line.is_anchor(line) {
            lines.push((line, at));
        }
        at += line.len();
    }
    lines.sort_unstable();
    let is_once = |i: usize| (i == 0 || lines[i - 1].0 != lines[i].0) && (i + 1 == lines.len() || lines[i + 1].0 != lines[i].0);
    (0..lines.len()).filter(|&i| is_once(i)).map(|i| lines[i]).collect()
}

/// The longest part of the pairs, sorted by their first number, in which the second rises too.
fn longest_rising(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (i, pair) in pairs.iter().enumerate() {
        let at = ends.partition_point(|&end| pairs[end].1 < pair.1);
        before.push(at.checked_sub(1).map(|at| ends[at]));
        if at == ends.len() {
            ends.push(i);
        } else {
            ends[at] = i;
        }
    }
    let mut chain = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(i) = next {
        chain.push(pairs[i]);
        next = before[i];
    }
    chain.reverse();
    chain
}

//! Three-way merge of text, by character, with lines and words as anchors.
//!
//! Invariant: each side is compared with the base alone, so the sides may be swapped. Invariant: every byte of the
//! merge is from the base or from a side; edits that overlap and differ are reported, never mixed.
//! Bytes that are not UTF-8 are bytes; a valid character is never cut, and a number counts as one thing, so that
//! 10 made 100 by one and 20 by the other is an overlap and not 200.
mod diff;
#[cfg(test)]
mod tests;

use crate::planted::{self, Bug};
use alloc::vec::Vec;
use core::ops::Range;
use diff::{Hunk, diff};

/// What became of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The merged text.
    Clean(Vec<u8>),
    /// Where the sides did different things to one place. Never empty.
    Overlapping(Vec<Overlap>),
}

/// A place where both sides did different things, in bytes of each text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// In the base.
    pub base: Range<usize>,
    /// What ours has there.
    pub ours: Range<usize>,
    /// What theirs has there.
    pub theirs: Range<usize>,
}

/// Merges two edits of one text.
///
/// Edits that touch without overlapping are both taken; equal edits are one; different insertions at one point
/// overlap. Takes time in the order of the texts' length, plus what changed times a bounded search.
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8]) -> Merged {
    if theirs == base || ours == theirs {
        return Merged::Clean(ours.to_vec());
    }
    if ours == base {
        return Merged::Clean(theirs.to_vec());
    }
    let ours = Edits { text: ours, hunks: diff(base, ours), next: 0 };
    let theirs = Edits { text: theirs, hunks: diff(base, theirs), next: 0 };
    weave(base, ours, theirs)
}

struct Edits<'a> {
    text: &'a [u8],
    hunks: Vec<Hunk>,
    next: usize,
}

impl Edits<'_> {
    fn peek(&self) -> Option<&Hunk> {
        self.hunks.get(self.next)
    }
    fn written(&self, hunk: &Hunk) -> &[u8] {
        &self.text[hunk.side.clone()]
    }
}

struct Output<'a> {
    base: &'a [u8],
    text: Vec<u8>,
    copied: usize,
}

impl Output<'_> {
    fn replace(&mut self, range: &Range<usize>, bytes: &[u8]) {
        self.text.extend_from_slice(&self.base[self.copied..range.start]);
        self.text.extend_from_slice(bytes);
        self.copied = range.end;
    }
}

fn weave<'a>(base: &'a [u8], mut ours: Edits<'a>, mut theirs: Edits<'a>) -> Merged {
    let capacity = (ours.text.len() + theirs.text.len()).saturating_sub(base.len()).max(base.len());
    let mut out = Output { base, text: Vec::with_capacity(capacity), copied: 0 };
    let mut overlaps = Vec::new();
    loop {
        let is_ours_next = match (ours.peek(), theirs.peek()) {
            (None, None) => break,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(a), Some(b)) if is_before(a, b) => true,
            (Some(a), Some(b)) if is_before(b, a) => false,
            (Some(_), Some(_)) => {
                let overlap = overlap(&mut ours, &mut theirs);
                if planted::is(Bug::L5) || ours.text[overlap.ours.clone()] == theirs.text[overlap.theirs.clone()] {
                    out.replace(&overlap.base, &ours.text[overlap.ours]);
                } else {
                    overlaps.push(overlap);
                }
                continue;
            }
        };
        let side = if is_ours_next { &mut ours } else { &mut theirs };
        if let Some(hunk) = side.peek() {
            out.replace(&hunk.base, side.written(hunk));
        }
        side.next += 1;
    }
    if !overlaps.is_empty() {
        return Merged::Overlapping(overlaps);
    }
    let end = base.len()..base.len();
    out.replace(&end, &[]);
    Merged::Clean(out.text)
}

/// True where one hunk ends where the other begins or earlier, and their order cannot be doubted.
fn is_before(a: &Hunk, b: &Hunk) -> bool {
    let are_at_one_point = a.base.is_empty() && b.base.is_empty() && a.base == b.base;
    a.base.end <= b.base.start && !are_at_one_point
}

/// Takes every hunk of either side that is tangled with the next two, and says what each side has there.
fn overlap(ours: &mut Edits<'_>, theirs: &mut Edits<'_>) -> Overlap {
    let first = [ours.next, theirs.next];
    let mut region = (usize::MAX, 0);
    let cover = |side: &mut Edits<'_>, region: &mut (usize, usize)| {
        if let Some(hunk) = side.peek() {
            *region = (region.0.min(hunk.base.start), region.1.max(hunk.base.end));
            side.next += 1;
        }
    };
    cover(ours, &mut region);
    cover(theirs, &mut region);
    loop {
        let is_in = |side: &Edits<'_>| side.peek().is_some_and(|hunk| hunk.base.start < region.1);
        if is_in(ours) {
            cover(ours, &mut region);
        } else if is_in(theirs) {
            cover(theirs, &mut region);
        } else {
            break;
        }
    }
    let region = region.0..region.1;
    let within = |side: &Edits<'_>, first: usize| {
        let (head, tail) = (&side.hunks[first], &side.hunks[side.next - 1]);
        head.side.start - (head.base.start - region.start)..tail.side.end + (region.end - tail.base.end)
    };
    Overlap { ours: within(ours, first[0]), theirs: within(theirs, first[1]), base: region }
}

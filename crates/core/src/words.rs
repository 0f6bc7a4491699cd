//! Compares two texts word by word, for people. Not a merge: only what is shown depends on it.
use alloc::vec;
use alloc::vec::Vec;

/// Above this many comparisons the differing middle counts as different from end to end: a diff must not take longer than
/// reading it.
const COMPARISONS_MAX: usize = 1 << 18;

/// On which side a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On both.
    Same,
    /// Only before.
    Removed,
    /// Only after.
    Added,
}

/// What a character is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A word.
    Word,
    /// White space.
    Space,
    /// Nothing: it stands alone.
    Other,
}

/// What this character is part of.
pub fn class(c: char) -> Class {
    match c {
        _ if c.is_alphanumeric() => Class::Word,
        _ if c.is_whitespace() => Class::Space,
        _ => Class::Other,
    }
}

/// Splits into words, runs of white space, and single other characters.
pub fn split(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut last) = (0, Class::Other);
    for (at, c) in text.char_indices() {
        let this = class(c);
        if at > start && (this != last || this == Class::Other) {
            found.push(&text[start..at]);
            start = at;
        }
        last = this;
    }
    if start < text.len() {
        found.push(&text[start..]);
    }
    found
}

/// The steps by which `old` becomes `new`.
pub fn align<T: PartialEq>(old: &[T], new: &[T]) -> Vec<Side> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let (removed, added) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);
    let mut steps = vec![Side::Same; head];
    if removed.len().saturating_mul(added.len()) <= COMPARISONS_MAX {
        longest_common(removed, added, &mut steps);
    } else {
        steps.resize(head + removed.len(), Side::Removed);
        steps.resize(head + removed.len() + added.len(), Side::Added);
    }
    steps.resize(steps.len() + tail, Side::Same);
    steps
}

/// The classic table of longest common subsequences, read back from its start.
fn longest_common<T: PartialEq>(old: &[T], new: &[T], steps: &mut Vec<Side>) {
    let width = new.len() + 1;
    let mut longest = vec![0u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            longest[i * width + j] = if old[i] == new[j] {
                longest[(i + 1) * width + j + 1] + 1
            } else {
                longest[(i + 1) * width + j].max(longest[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let is_longer = || longest[(i + 1) * width + j] >= longest[i * width + j + 1];
        let step = match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) if a == b => Side::Same,
            (Some(_), Some(_)) if is_longer() => Side::Removed,
            (Some(_), None) => Side::Removed,
            _ => Side::Added,
        };
        i += usize::from(step != Side::Added);
        j += usize::from(step != Side::Removed);
        steps.push(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_words_spaces_and_signs() {
        assert_eq!(split("one, two;\n3日本"), ["one", ",", " ", "two", ";", "\n", "3日本"]);
        assert_eq!(split("a--b"), ["a", "-", "-", "b"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn the_steps_lead_from_one_side_to_the_other() {
        let texts = ["", "a", "a b", "b a", "one, two; three", "ein zwei 日本語 🎵🎵", " a  b ", "\n\n", "a-b-c", "c-b-a"];
        for before in texts {
            for after in texts {
                let (old, new) = (split(before), split(after));
                let (mut i, mut j) = (0, 0);
                for step in align(&old, &new) {
                    assert!(step != Side::Same || old[i] == new[j], "{before:?} {after:?}");
                    i += usize::from(step != Side::Added);
                    j += usize::from(step != Side::Removed);
                }
                assert_eq!((i, j), (old.len(), new.len()), "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn what_is_common_stays() {
        use Side::{Added, Removed, Same};
        assert_eq!(align(&["a", "b", "c"], &["a", "x", "c"]), [Same, Removed, Added, Same]);
        assert_eq!(align(&["a", "b", "c", "d"], &["b", "d", "e"]), [Removed, Same, Removed, Same, Added]);
    }
}

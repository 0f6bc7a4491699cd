//! What changed from one text to another, by whole words, for people to read.
//!
//! Invariant: replacing each first range by the second gives the other text; ranges are in order and never touch.
use super::diff::diff;
use alloc::vec::Vec;
use core::ops::Range;

/// Finds the words that differ: where each stands in the one text, and what stands there in the other.
///
/// | before | after | differ |
/// |---|---|---|
/// | the cat sat | the cats sat | cat, cats |
/// | a b | a b | |
/// | a b | a x b | nothing, " x" |
/// | 1.5 kg | 2.5 kg | 1.5, 2.5 |
pub fn changed_words(before: &[u8], after: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut changed: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for hunk in diff(before, after) {
        let (mut was, mut is) = (hunk.base, hunk.side);
        // Around a hunk both texts are alike, so what is added to one range is in the other as well. What only comes between
        // words or goes from there tears none.
        if tears(before, &was) || tears(after, &is) {
            let left = before[..was.start].iter().rev().take_while(|byte| is_in_word(**byte)).count();
            let right = before[was.end..].iter().take_while(|byte| is_in_word(**byte)).count();
            (was, is) = (was.start - left..was.end + right, is.start - left..is.end + right);
        }
        match changed.last_mut() {
            Some((last_was, last_is)) if last_was.end >= was.start => (last_was.end, last_is.end) = (was.end, is.end),
            _ => changed.push((was, is)),
        }
    }
    changed
}

/// True where one of a range's ends is inside a word.
fn tears(text: &[u8], range: &Range<usize>) -> bool {
    let inside = |at: usize| at > 0 && at < text.len() && is_in_word(text[at - 1]) && is_in_word(text[at]);
    inside(range.start) || inside(range.end)
}

/// Letters, digits, everything beyond ASCII, and what holds numbers and names together.
fn is_in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'_' | b'.' | b'\'')
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn check(before: &str, after: &str, expect: &[(&str, &str)]) {
        let changed = changed_words(before.as_bytes(), after.as_bytes());
        let shown: Vec<(&str, &str)> = changed.iter().map(|(was, is)| (&before[was.clone()], &after[is.clone()])).collect();
        assert_eq!(shown, expect, "{before:?} {after:?}");
        let mut made = String::new();
        let mut at = 0;
        for (was, is) in changed {
            made.push_str(&before[at..was.start]);
            made.push_str(&after[is]);
            at = was.end;
        }
        made.push_str(&before[at..]);
        assert_eq!(made, after);
    }

    #[test]
    fn words_are_changed_whole() {
        check("the cat sat", "the cats sat", &[("cat", "cats")]);
        check("a b", "a b", &[]);
        check("a b", "a x b", &[("", " x")]);
        check("a x b", "a b", &[(" x", "")]);
        check("1.5 kg", "2.5 kg", &[("1.5", "2.5")]);
        check("", "new", &[("", "new")]);
        check("old", "", &[("old", "")]);
        check("caf\u{e9} au lait", "cafe au lait", &[("caf\u{e9}", "cafe")]);
        check("one two three four", "one 2 three 4", &[("two", "2"), ("four", "4")]);
        check("user", "us\u{202e}er", &[("user", "us\u{202e}er")]);
    }

    #[test]
    fn what_is_no_text_is_cut_nowhere() {
        for (before, after) in [(&b"\xff\xfea b"[..], &b"\xff\xfda b"[..]), (b"\xe2\x82\xac 5", b"\xe2\x82\xad 5")] {
            for (was, is) in changed_words(before, after) {
                assert_eq!((before.get(was.start), after.get(is.start)), (before.first(), after.first()));
            }
        }
    }
}

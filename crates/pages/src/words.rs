//! Which runs of two texts differ, word by word. For people: nothing but what is marked depends on it.
use crate::value::Run;

/// Above this many comparisons the differing middle is marked as a whole: a diff must not take longer than reading it.
const COMPARISONS_MAX: usize = 1 << 18;

/// The two sides' runs, cut into words, with those marked that are on one side only.
pub fn marked(before: Vec<Run>, after: Vec<Run>) -> (Vec<Run>, Vec<Run>) {
    let (mut old, mut new) = (words(before), words(after));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let (old_end, new_end) = (old.len() - tail, new.len() - tail);
    if (old_end - head).saturating_mul(new_end - head) <= COMPARISONS_MAX {
        mark(&mut old[head..old_end], &mut new[head..new_end]);
    } else {
        old[head..old_end].iter_mut().chain(&mut new[head..new_end]).for_each(|run| run.is_changed = true);
    }
    (joined(old), joined(new))
}

/// Each run as words, runs of spaces, and single other characters.
fn words(runs: Vec<Run>) -> Vec<Run> {
    let class = |c: char| if c.is_alphanumeric() { 1 } else { 2 * u8::from(c.is_whitespace()) };
    let mut found: Vec<Run> = Vec::new();
    for run in runs {
        if run.stands_for.is_some() {
            found.push(run);
            continue;
        }
        let mut last = None;
        for c in run.text.chars() {
            let this = class(c);
            match found.last_mut().filter(|_| this != 0 && last == Some(this)) {
                Some(word) => word.text.push(c),
                None => found.push(Run { text: c.to_string(), stands_for: None, is_changed: false }),
            }
            last = Some(this);
        }
    }
    found
}

/// Marks what is in no longest common subsequence.
fn mark(old: &mut [Run], new: &mut [Run]) {
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
        if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && longest[(i + 1) * width + j] >= longest[i * width + j + 1]) {
            old[i].is_changed = true;
            i += 1;
        } else {
            new[j].is_changed = true;
            j += 1;
        }
    }
}

/// Neighbours that are shown alike as one.
fn joined(words: Vec<Run>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for word in words {
        match runs.last_mut().filter(|run| run.stands_for.is_none() && word.stands_for.is_none() && run.is_changed == word.is_changed) {
            Some(run) => run.text.push_str(&word.text),
            None => runs.push(word),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::runs;

    fn sides(before: &str, after: &str) -> (String, String) {
        let shown = |runs: &[Run]| {
            runs.iter().map(|run| if run.is_changed { format!("[{}]", run.text) } else { run.text.clone() }).collect::<String>()
        };
        let (before, after) = marked(runs(before.as_bytes()), runs(after.as_bytes()));
        (shown(&before), shown(&after))
    }

    #[test]
    fn words_that_differ_are_marked() {
        for (before, after, old, new) in [
            ("water the roses daily", "water the tulips daily", "water the [roses] daily", "water the [tulips] daily"),
            ("a", "a", "a", "a"),
            ("", "new", "", "[new]"),
            ("one two", "two one", "[one ]two", "two[ one]"),
            ("a\u{200b}b", "ab", "[a][U+200B][b]", "[ab]"),
            ("a-b", "a+b", "a[-]b", "a[+]b"),
        ] {
            assert_eq!(sides(before, after), (old.to_string(), new.to_string()), "{before:?} {after:?}");
        }
    }

    #[test]
    fn long_texts_without_a_common_word_stay_cheap() {
        let text = |with: char| (0..20_000).map(|n| format!("{with}{n} ")).collect::<String>();
        let (old, new) = sides(&text('a'), &text('b'));
        assert!(old.starts_with('[') && new.starts_with('['));
    }
}

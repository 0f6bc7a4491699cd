//! Compares two texts word by word, for people. Not a merge: only what is shown depends on it.

/// A run of words on one side or on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run<'a> {
    /// On both sides.
    Same(&'a str),
    /// Only before.
    Removed(&'a str),
    /// Only after.
    Added(&'a str),
}

/// Above this many comparisons the differing middle is shown as one run: a diff must not take longer than reading it.
const COMPARISONS_MAX: usize = 1 << 20;

/// The runs by which `before` becomes `after`.
pub fn compare<'a>(before: &'a str, after: &'a str) -> Vec<Run<'a>> {
    let (old, new) = (words(before), words(after));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(most).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old[head..old.len() - tail], &new[head..new.len() - tail]);

    let mut flags = vec![Side::Same; head];
    if old_middle.len().saturating_mul(new_middle.len()) <= COMPARISONS_MAX {
        align(old_middle, new_middle, &mut flags);
    } else {
        flags.resize(head + old_middle.len(), Side::Removed);
        flags.resize(head + old_middle.len() + new_middle.len(), Side::Added);
    }
    flags.resize(flags.len() + tail, Side::Same);
    runs(before, after, &old, &new, &flags)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Same,
    Removed,
    Added,
}

/// Splits into words, runs of spaces, and single other characters.
fn words(text: &str) -> Vec<&str> {
    let class = |c: char| {
        if c.is_alphanumeric() {
            1
        } else if c.is_whitespace() {
            2
        } else {
            0
        }
    };
    let mut found = Vec::new();
    let mut start = 0;
    let mut last = 0;
    for (at, c) in text.char_indices() {
        let this = class(c);
        if at > start && (this != last || this == 0) {
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

/// The classic table of longest common subsequences, read back from its start.
fn align(old: &[&str], new: &[&str], flags: &mut Vec<Side>) {
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
        let is_removed =
            j == new.len() || (i < old.len() && old[i] != new[j] && longest[(i + 1) * width + j] >= longest[i * width + j + 1]);
        let is_same = i < old.len() && j < new.len() && old[i] == new[j];
        flags.push(if is_same {
            Side::Same
        } else if is_removed {
            Side::Removed
        } else {
            Side::Added
        });
        i += usize::from(is_same || is_removed);
        j += usize::from(is_same || !is_removed);
    }
}

/// Joins neighbouring words of one side into runs, as slices of the texts they came from.
fn runs<'a>(before: &'a str, after: &'a str, old: &[&str], new: &[&str], flags: &[Side]) -> Vec<Run<'a>> {
    let mut found = Vec::new();
    let (mut in_before, mut in_after) = (0, 0);
    let (mut i, mut j) = (0, 0);
    for group in flags.chunk_by(|a, b| a == b) {
        let (from_before, from_after) = (in_before, in_after);
        for side in group {
            if *side != Side::Added {
                in_before += old[i].len();
                i += 1;
            }
            if *side != Side::Removed {
                in_after += new[j].len();
                j += 1;
            }
        }
        found.push(match group[0] {
            Side::Same => Run::Same(&before[from_before..in_before]),
            Side::Removed => Run::Removed(&before[from_before..in_before]),
            Side::Added => Run::Added(&after[from_after..in_after]),
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both_sides(runs: &[Run<'_>]) -> (String, String) {
        let (mut before, mut after) = (String::new(), String::new());
        for run in runs {
            match run {
                Run::Same(t) => {
                    before.push_str(t);
                    after.push_str(t);
                }
                Run::Removed(t) => before.push_str(t),
                Run::Added(t) => after.push_str(t),
            }
        }
        (before, after)
    }

    #[test]
    fn one_word_is_one_run() {
        let runs = compare("water the roses daily", "water the tulips daily");
        assert_eq!(runs, [Run::Same("water the "), Run::Removed("roses"), Run::Added("tulips"), Run::Same(" daily")]);
    }

    #[test]
    fn both_texts_come_back_whole() {
        let texts = ["", "a", "a b", "b a", "one, two; three", "ein zwei 日本語 🎵🎵", " a  b ", "\n\n", "a-b-c", "c-b-a"];
        for before in texts {
            for after in texts {
                assert_eq!(both_sides(&compare(before, after)), (before.to_string(), after.to_string()));
            }
        }
    }

    #[test]
    fn texts_without_a_common_word_stay_cheap() {
        let before: String = (0..40_000).map(|i| format!("a{i} ")).collect();
        let after: String = (0..40_000).map(|i| format!("b{i}\n")).collect();
        assert_eq!(both_sides(&compare(&before, &after)), (before.clone(), after.clone()));
    }
}

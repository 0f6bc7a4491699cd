//! The runs of words by which one text becomes another, for the terminal.
use mainstem_core::words::{Side, align, split};

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

/// The runs by which `before` becomes `after`.
pub fn compare<'a>(before: &'a str, after: &'a str) -> Vec<Run<'a>> {
    let (old, new) = (split(before), split(after));
    runs(before, after, &old, &new, &align(&old, &new))
}

/// Joins neighbouring words of one side into runs, as slices of the texts they came from.
fn runs<'a>(before: &'a str, after: &'a str, old: &[&str], new: &[&str], steps: &[Side]) -> Vec<Run<'a>> {
    let mut found = Vec::new();
    let (mut in_before, mut in_after) = (0, 0);
    let (mut i, mut j) = (0, 0);
    for group in steps.chunk_by(|a, b| a == b) {
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

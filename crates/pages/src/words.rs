//! Which runs of two texts differ, word by word. For people: nothing but what is marked depends on it.
use crate::value::Run;
use mainstem_core::words::{Class, Side, align, class};

/// The two sides' runs, cut into words, with those marked that are on one side only.
pub fn marked(before: Vec<Run>, after: Vec<Run>) -> (Vec<Run>, Vec<Run>) {
    let (mut old, mut new) = (words(before), words(after));
    let steps = align(&old, &new);
    let side = |of: Side| steps.iter().filter(move |step| **step == Side::Same || **step == of);
    old.iter_mut().zip(side(Side::Removed)).for_each(|(run, step)| run.is_changed = *step != Side::Same);
    new.iter_mut().zip(side(Side::Added)).for_each(|(run, step)| run.is_changed = *step != Side::Same);
    (joined(old), joined(new))
}

/// Each run as words, runs of spaces, and single other characters.
fn words(runs: Vec<Run>) -> Vec<Run> {
    let mut found: Vec<Run> = Vec::new();
    for run in runs {
        if run.stands_for.is_some() {
            found.push(run);
            continue;
        }
        let mut last = None;
        for c in run.text.chars() {
            let this = class(c);
            match found.last_mut().filter(|_| this != Class::Other && last == Some(this)) {
                Some(word) => word.text.push(c),
                None => found.push(Run { text: c.to_string(), stands_for: None, is_changed: false }),
            }
            last = Some(this);
        }
    }
    found
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

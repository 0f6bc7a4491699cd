//! Whole sessions at the prompt, as text files: what is typed, what is said, with which exit code.
//!
//! A line that begins with `$ ` is typed; what follows is what must be said, standard error after standard output. An
//! exit code other than 0 is the last line, `[exit 5]`. Ids, digests, moments and the folder are written as `<id>`, `<digest>`,
//! `<time>` and `<dir>`. `{conflict}` in a command stands for the first conflict id that was said.
//! To accept what is said now, run the test with `MAINSTEM_SESSIONS=accept` and read the difference.
mod pipes;
mod prompt;
mod settle;

use prompt::Prompt;
use std::path::Path;

fn play(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions").join(format!("{name}.txt"));
    let script = std::fs::read_to_string(&path).expect("the session's file is there");
    let prompt = Prompt::new();
    let played = prompt.play(&script);
    if std::env::var("MAINSTEM_SESSIONS").is_ok_and(|v| v == "accept") {
        std::fs::write(&path, &played).expect("the session's file can be written");
        return;
    }
    if let Some((number, (expected, said))) = (1..).zip(script.lines().zip(played.lines())).find(|(_, (expected, said))| expected != said) {
        panic!("{name}.txt, line {number}\nexpected: {expected}\nsaid:     {said}\n\nthe whole session:\n{played}");
    }
    assert_eq!(script.lines().count(), played.lines().count(), "{name}.txt\n{played}");
}

#[test]
fn one_person() {
    play("one_person");
}

#[test]
fn two_people() {
    play("two_people");
}

#[test]
fn bad_input() {
    play("bad_input");
}

#[test]
fn on_a_stick() {
    play("on_a_stick");
}

#[test]
fn second_thoughts() {
    play("second_thoughts");
}

#[test]
fn for_scripts() {
    play("for_scripts");
}

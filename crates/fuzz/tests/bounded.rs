//! Every day's run: the kept corpus and the program's own seeds, and a fixed number of mutations of them.
//!
//! `MAINSTEM_FUZZ=100` makes it a hundred times as many, `MAINSTEM_SEED=7` others.
#![allow(clippy::print_stderr, reason = "a failure says for which bytes it fails")]
use mainstem_fuzz::{Dice, TARGETS, mutate, target};

fn number(name: &str, everyday: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(everyday)
}

/// Tells which bytes it was where a target panics.
struct Tried<'a>(&'a str, &'a [u8]);

impl Drop for Tried<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let digits: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("{} fails for these bytes, which belong into crates/fuzz/corpus/{}.hex:\n{digits}", self.0, self.0);
        }
    }
}

fn bounded(name: &str) {
    let target = target(name).expect("it is in the list");
    let inputs = target.inputs();
    let try_it = |bytes: &[u8]| {
        let _tried = Tried(name, bytes);
        (target.run)(bytes);
    };
    inputs.iter().for_each(|bytes| try_it(bytes));
    let mut dice = Dice::new(number("MAINSTEM_SEED", 1));
    for _ in 0..target.executions * number("MAINSTEM_FUZZ", 1) {
        let chosen = dice.below(inputs.len());
        try_it(&mutate(&mut dice, &inputs[chosen], &inputs));
    }
}

macro_rules! bounded {
    ($($test:ident $name:literal)*) => {
        $(#[test]
        fn $test() {
            bounded($name);
        })*

        #[test]
        fn every_target_is_tried() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

bounded! {
    row "row"
    page "page"
    front "front"
    event "event"
    schema "schema"
    conflict "conflict"
    gates "gates"
    file "file"
    frames "frames"
    session "session"
    json "json"
    policy "policy"
    arguments "arguments"
    text "text"
    strategy "strategy"
    condense "condense"
    import "import"
    import_session "import-session"
    push "push"
    receive "receive"
}

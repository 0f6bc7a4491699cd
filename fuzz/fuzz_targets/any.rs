//! Runs the target that `MAINSTEM_TARGET` names under libFuzzer; what it begins from is written to `MAINSTEM_SEEDS_TO` first.
#![no_main]
use libfuzzer_sys::{fuzz_target, Corpus};
use mainstem_fuzz::{target, Target, TARGETS};
use std::sync::LazyLock;

static CHOSEN: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("MAINSTEM_TARGET").expect("MAINSTEM_TARGET names a target");
    target(&name).unwrap_or_else(|| panic!("there is no target {name}; there are {:?}", TARGETS.iter().map(|target| target.name).collect::<Vec<_>>()))
});

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("MAINSTEM_SEEDS_TO") {
            for (number, bytes) in CHOSEN.inputs().iter().enumerate() {
                std::fs::write(std::path::Path::new(&folder).join(format!("seed-{number}")), bytes).expect("the folder is there");
            }
        }
    },
    |bytes: &[u8]| -> Corpus {
        (CHOSEN.run)(bytes);
        Corpus::Keep
    }
);

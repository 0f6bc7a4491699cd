//! Changesets as JSON for people, both ways without loss. JSON shows values here; it never carries them elsewhere.
//!
//! | value | JSON |
//! |---|---|
//! | NULL | `null` |
//! | integer | a number; beyond ±2^53 `{"integer": "9007199254740993"}`, because other JSON programs round it |
//! | real | a number in shortest exact form; without a fraction `{"real": 1.0}`, because others drop the `.0` |
//! | real that JSON lacks | `{"real": "-0.0"}`, `{"real": "inf"}`, `{"real": "-inf"}` |
//! | text | a string; where it is not valid UTF-8 `{"text_hex": "ff41"}` |
//! | blob | `{"blob": "00ff"}` |
//!
//! Invariant: a name twice, an unknown name, a missing name, and nesting beyond 128 are errors (T10, T11).
mod export;
mod import;
#[cfg(test)]
mod tests;
mod time_text;
mod tree;
mod value;

pub use export::export;
pub use import::import;
pub use time_text::{parse_time, time_text};
pub use value::{value_from_text, value_to_json};

const FORMAT: &str = "mainstem changeset";
const VERSION: u64 = 1;

//! Whether a text is as a pattern or a JSON schema has it.
//!
//! Invariant: time and memory are bounded by the length of the text, which is bounded, too; what is longer cannot be told.
use super::json_schema::JsonSchema;
use mainstem_core::gate::Must;
use regex::bytes::{Regex, RegexBuilder};

/// The longest text that is judged.
pub const TEXT_BYTES_MAX: usize = 1_000_000;
/// How large a pattern may become when it is made ready.
const PATTERN_BYTES_MAX: usize = 256 * 1024;

/// What a rule needs to judge text, made ready once.
pub(super) enum Matching {
    /// It judges no text.
    Nothing,
    /// It must find something.
    Pattern(Regex),
    /// It must be JSON as described.
    Schema(JsonSchema),
}

impl Matching {
    pub(super) fn of(must: &Must) -> Result<Matching, String> {
        match must {
            Must::Pattern(text) => pattern(text).map(Matching::Pattern),
            Must::JsonSchema(text) => JsonSchema::read(text).map(Matching::Schema),
            _ => Ok(Matching::Nothing),
        }
    }

    pub(super) fn judge(&self, text: &[u8]) -> Result<bool, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("a text of {} bytes is longer than is judged ({TEXT_BYTES_MAX})", text.len()));
        }
        match self {
            Matching::Nothing => Err("there is nothing to judge text by".to_owned()),
            Matching::Pattern(regex) => Ok(regex.is_match(text)),
            Matching::Schema(schema) => schema.judge(text),
        }
    }
}

/// A regular expression that takes time in proportion to the text alone.
pub(super) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build().map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => format!("the pattern {text:?} is too large when it is made ready"),
        other => {
            let said = other.to_string();
            let why = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
            format!("{text:?} is no regular expression: {}", why.trim_start_matches("error: "))
        }
    })
}

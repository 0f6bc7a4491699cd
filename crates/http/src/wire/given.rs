//! What people's tools say about proposals, each wish of its own type.
//!
//! Invariant: a name that is not expected, or comes twice, is refused, in values too (T9, T10); nobody says here who they are.
use mainstem::changeset_json::value_from_text;
use mainstem::core::change::Choice;
use mainstem::core::event::Digest;
use mainstem::core::proposal::{Anchor, Ballot, Decision, MergeWish, Remark, Stage, Word};
use mainstem::core::value::{Key, Value};
use mainstem::error::{Error, Result};
use mainstem::replica::Answering;
use mainstem::review::Chosen;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// A value as [`super::shown::ShownValue`] shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenValue(pub Value);

impl JsonSchema for GivenValue {
    fn schema_name() -> Cow<'static, str> {
        "GivenValue".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({
            "type": ["null", "number", "string", "object"],
            "description": "A value: null, a number, a string, or an object that names what JSON lacks (integer, real, text_hex, blob).",
        })
    }
}

impl<'de> Deserialize<'de> for GivenValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(GivenValue)
    }
}

/// Reads a value by the one rule that there is for values as JSON.
struct AnyValue;

fn by_rule<E: serde::de::Error>(json: &serde_json::Value) -> std::result::Result<Value, E> {
    value_from_text(&json.to_string()).map_err(|e| E::custom(e.message))
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a number, a string, or an object of one of integer, real, text_hex, blob")
    }
    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> std::result::Result<Value, E> {
        by_rule(&number.into())
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> std::result::Result<Value, E> {
        by_rule(&number.into())
    }
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> std::result::Result<Value, E> {
        by_rule(&number.into())
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(Value::text(text))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let wrong = || serde::de::Error::custom("a value's object has one member: integer, real, text_hex or blob");
        let Some(name) = map.next_key::<String>()? else { return Err(wrong()) };
        if !["integer", "real", "text_hex", "blob"].contains(&name.as_str()) {
            return Err(wrong());
        }
        let said: Scalar = map.next_value()?;
        if map.next_key::<String>()?.is_some() {
            return Err(wrong());
        }
        by_rule(&serde_json::Value::Object([(name, said.json())].into_iter().collect()))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(serde_json::Number),
    Text(String),
}

impl Scalar {
    fn json(self) -> serde_json::Value {
        match self {
            Scalar::Number(number) => number.into(),
            Scalar::Text(text) => text.into(),
        }
    }
}

fn key_of(key: Vec<GivenValue>) -> Key {
    key.into_iter().map(|value| value.0).collect()
}

/// A digest, as it is shown.
pub fn digest(text: &str) -> Result<Digest> {
    let unfit = || Error::invalid("that is no digest of a result").hint("GET the proposal: its result has one");
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let pairs = (0..text.len()).step_by(2).filter(|_| is_hex).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok());
    pairs.collect::<Option<Vec<u8>>>().and_then(|bytes| bytes.try_into().ok()).ok_or_else(unfit)
}

/// A vote.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenVote {
    /// The revision that it is on.
    pub revision: u64,
    /// The digest of what merging does, as you were shown it.
    pub digest: String,
    /// `approve`, `reject` or `abstain`.
    pub vote: String,
    /// Why; a reject says so.
    #[serde(default)]
    pub comment: String,
}

impl GivenVote {
    /// As the primary takes it.
    pub fn ballot(self) -> Result<Ballot> {
        let word = Word::parse(&self.vote).ok_or_else(|| Error::invalid("a vote is approve, reject or abstain"))?;
        Ok(Ballot { revision: self.revision, digest: digest(&self.digest)?, word, comment: self.comment })
    }
}

/// A comment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenComment {
    /// The table, where it is about a row or a cell.
    #[serde(default)]
    pub table: Option<String>,
    /// The row, in the order of the key's columns.
    #[serde(default)]
    pub key: Option<Vec<GivenValue>>,
    /// The column, where it is about a cell.
    #[serde(default)]
    pub column: Option<String>,
    /// The number of the comment that it answers.
    #[serde(default)]
    pub reply_to: Option<u64>,
    /// The text.
    pub text: String,
}

impl GivenComment {
    /// As the primary takes it, which says the revision.
    pub fn remark(self) -> Result<Remark> {
        let anchor = match (self.table, self.key, self.column) {
            (None, None, None) => Anchor::Whole,
            (Some(table), Some(key), None) => Anchor::Row(table, key_of(key)),
            (Some(table), Some(key), Some(column)) => Anchor::Cell(table, key_of(key), column),
            _ => return Err(Error::invalid("a comment is about all, about a row by table and key, or about one of its columns")),
        };
        Ok(Remark { anchor, reply_to: self.reply_to, revision: 0, text: self.text })
    }
}

/// A decision about a proposal as a whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenDecision {
    /// `withdrawn`, `rejected`, `superseded`, or `open` again.
    pub stage: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

impl GivenDecision {
    /// As the primary takes it.
    pub fn decision(self) -> Result<Decision> {
        let stage = Stage::parse(&self.stage).filter(|stage| !matches!(stage, Stage::Merging | Stage::MergeFailed | Stage::Merged));
        let stage = stage.ok_or_else(|| Error::invalid("a proposal is decided to be withdrawn, rejected, superseded or open"))?;
        Ok(Decision { stage, reason: self.reason })
    }
}

/// Answers to a proposal's open conflicts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenAnswers {
    /// Each conflict's own.
    #[serde(default)]
    pub answers: Vec<GivenAnswer>,
    /// The side that holds for every other: `ours`, `theirs` or `base`.
    #[serde(default)]
    pub others: Option<String>,
}

/// The answer to a conflict.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenAnswer {
    /// The conflict's id.
    pub conflict: String,
    /// `ours` (the proposal's), `theirs` (what is there), `base` or `value`.
    pub choice: String,
    /// The value, where one is given.
    #[serde(default, deserialize_with = "some")]
    pub value: Option<GivenValue>,
}

/// A null that is said is a value.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<GivenValue>, D::Error> {
    GivenValue::deserialize(deserializer).map(Some)
}

fn side(name: &str) -> Result<Choice> {
    let choice = [Choice::Ours, Choice::Theirs, Choice::Base].into_iter().find(|choice| choice.name() == name);
    choice.ok_or_else(|| Error::invalid(format!("{name:?} is no side of a conflict: ours, theirs or base")))
}

/// Each conflict's own answer, and the side for the others.
pub type Answers = (Vec<(u64, Answering)>, Option<Choice>);

impl GivenAnswers {
    /// As the primary takes them.
    pub fn answers(self) -> Result<Answers> {
        let others = self.others.as_deref().map(side).transpose()?;
        Ok((self.answers.into_iter().map(GivenAnswer::answer).collect::<Result<_>>()?, others))
    }
}

impl GivenAnswer {
    fn answer(self) -> Result<(u64, Answering)> {
        let unfit = || Error::invalid(format!("{:?} is no conflict", self.conflict));
        let id = if self.conflict.len() == 16 { u64::from_str_radix(&self.conflict, 16).ok() } else { None };
        let choice = if self.choice == Choice::Value.name() { Choice::Value } else { side(&self.choice)? };
        if (choice == Choice::Value) != self.value.is_some() {
            return Err(Error::invalid("a value goes with the choice value, and with no other"));
        }
        Ok((id.ok_or_else(unfit)?, Answering { choice, value: self.value.map(|value| value.0) }))
    }
}

/// Which rows of a proposal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenPart {
    /// These.
    pub only: Vec<GivenChosen>,
}

/// Rows that are chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenChosen {
    /// The table.
    pub table: String,
    /// The row, in the order of the key's columns; all of the table's where none.
    #[serde(default)]
    pub key: Option<Vec<GivenValue>>,
    /// Its columns; all where none is named.
    #[serde(default)]
    pub columns: Vec<String>,
}

impl GivenPart {
    /// As the primary takes them.
    pub fn chosen(self) -> Result<Vec<Chosen>> {
        if self.only.is_empty() {
            return Err(Error::invalid("no row is chosen, and a part needs one"));
        }
        let chosen = |of: GivenChosen| Chosen { table: of.table, key: of.key.map(key_of), columns: of.columns };
        Ok(self.only.into_iter().map(chosen).collect())
    }
}

/// How a merge is to be done (MEX-3).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenMerge {
    /// 32 hexadecimal digits that name this request, however often it is sent.
    pub request: String,
    /// The digest of what is to be merged, as you were shown it.
    pub digest: String,
    /// The version that must be the latest one.
    #[serde(default)]
    pub expected: Option<u64>,
    /// Whether the tables themselves may change.
    #[serde(default = "yes")]
    pub may_alter: bool,
    /// Whether open conflicts do not stand in the way; they stay open. A right of its own.
    #[serde(default)]
    pub skip_conflicts: bool,
    /// Whether neither votes nor gates stand in the way. A right of its own.
    #[serde(default)]
    pub force: bool,
    /// Whether the staged rows stay.
    #[serde(default)]
    pub keep_staging: bool,
}

fn yes() -> bool {
    true
}

impl GivenMerge {
    /// As the primary takes it.
    pub fn wish(self) -> Result<MergeWish> {
        let is_hex = self.request.len() == 32 && self.request.bytes().all(|byte| byte.is_ascii_hexdigit());
        let request = u128::from_str_radix(&self.request, 16).ok().filter(|_| is_hex);
        Ok(MergeWish {
            request: request.ok_or_else(|| Error::invalid("a request is named by 32 hexadecimal digits"))?,
            digest: Some(digest(&self.digest)?),
            expected: self.expected,
            may_alter: self.may_alter,
            skip_conflicts: self.skip_conflicts,
            force: self.force,
            keep_staging: self.keep_staging,
        })
    }
}

/// Asks for a version to be taken back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenRevert {
    /// Why.
    #[serde(default)]
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainstem::changeset_json::value_to_json;

    #[test]
    fn values_come_back_to_the_bit() {
        let values = [
            Value::Null,
            Value::Integer(42),
            Value::Integer(i64::MIN),
            Value::Integer(i64::MAX),
            Value::Real(1.0),
            Value::Real(0.1),
            Value::Real(-0.0),
            Value::Real(f64::INFINITY),
            Value::text("42"),
            Value::text(""),
            Value::Text(vec![0xff, 0x41]),
            Value::Blob(vec![0, 0xff]),
        ];
        for value in values {
            let text = value_to_json(&value).to_string();
            assert_eq!(serde_json::from_str::<GivenValue>(&text).expect(&text).0, value, "{text}");
        }
        for refused in [
            "true",
            "[1]",
            "{}",
            r#"{"real": 1.0, "real": 2.0}"#,
            r#"{"blob": "00", "integer": "1"}"#,
            r#"{"real": [1]}"#,
            r#"{"value": 1}"#,
            r#"{"blob": "0"}"#,
            "18446744073709551615",
        ] {
            assert!(serde_json::from_str::<GivenValue>(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn what_is_not_expected_or_comes_twice_is_refused() {
        let digest = "0".repeat(64);
        let merge = |more: &str| {
            let text = format!(r#"{{"request": "{}", "digest": "{digest}"{more}}}"#, "1".repeat(32));
            serde_json::from_str::<GivenMerge>(&text).map_err(|e| Error::invalid(e.to_string())).and_then(GivenMerge::wish)
        };
        assert!(merge("").is_ok_and(|wish| wish.may_alter && !wish.force && !wish.skip_conflicts && !wish.keep_staging));
        for more in [r#", "actor": "ann""#, r#", "force": true, "force": false"#, r#", "votes": []"#, r#", "state": "merged""#] {
            assert!(merge(more).is_err(), "{more}");
        }
        for (unfit, why) in [("é".repeat(32), "bytes, not letters"), ("+".repeat(64), "a sign is no digit"), ("F".repeat(64), "as shown")]
        {
            assert!(super::digest(&unfit).is_err(), "{why}");
        }
        let answer =
            |text: &str| serde_json::from_str::<GivenAnswer>(text).map_err(|e| Error::invalid(e.to_string())).and_then(GivenAnswer::answer);
        let null = answer(r#"{"conflict": "00000000000000ff", "choice": "value", "value": null}"#).expect("null is a value");
        assert_eq!(null, (255, Answering { choice: Choice::Value, value: Some(Value::Null) }));
        for unfit in [
            r#"{"conflict": "00000000000000ff", "choice": "value"}"#,
            r#"{"conflict": "00000000000000ff", "choice": "ours", "value": 1}"#,
            r#"{"conflict": "ff", "choice": "ours"}"#,
            r#"{"conflict": "00000000000000ff", "choice": "merged"}"#,
        ] {
            assert!(answer(unfit).is_err(), "{unfit}");
        }
    }
}

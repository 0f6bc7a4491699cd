//! JSON as a tree that refuses a name twice and never lets an integer pass through a double.
use crate::error::{Error, Result};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Flag(bool),
    Integer(i64),
    /// An integer beyond the signed 64 bits.
    Unsigned(u64),
    Real(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses all of `bytes`. Nesting is bounded by the parser, at 128.
    pub fn parse(bytes: &[u8]) -> serde_json::Result<Json> {
        serde_json::from_slice(bytes)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> std::result::Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> std::result::Result<Json, E> {
        Ok(Json::Flag(flag))
    }
    fn visit_i64<E>(self, number: i64) -> std::result::Result<Json, E> {
        Ok(Json::Integer(number))
    }
    fn visit_u64<E>(self, number: u64) -> std::result::Result<Json, E> {
        Ok(i64::try_from(number).map_or(Json::Unsigned(number), Json::Integer))
    }
    fn visit_f64<E>(self, number: f64) -> std::result::Result<Json, E> {
        Ok(Json::Real(number))
    }
    fn visit_str<E>(self, text: &str) -> std::result::Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> std::result::Result<Json, E> {
        Ok(Json::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> std::result::Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        let mut seen = HashSet::with_capacity(object.len());
        if let Some((twice, _)) = object.iter().find(|(name, _)| !seen.insert(name.as_str())) {
            return Err(de::Error::custom(format_args!("the name {twice:?} is there twice")));
        }
        Ok(Json::Object(object))
    }
}

/// The members of an object, taken one by one; what nobody took is refused.
pub struct Members {
    what: String,
    left: Vec<(String, Json)>,
}

impl Members {
    pub fn of(what: impl Into<String>, json: Json) -> Result<Self> {
        let what = what.into();
        match json {
            Json::Object(left) => Ok(Members { what, left }),
            _ => Err(Error::invalid(format!("{what} is not a JSON object"))),
        }
    }
    pub fn error(&self, why: impl fmt::Display) -> Error {
        Error::invalid(format!("{}: {why}", self.what))
    }
    pub fn optional(&mut self, name: &str) -> Option<Json> {
        let position = self.left.iter().position(|(n, _)| n == name)?;
        Some(self.left.remove(position).1)
    }
    pub fn take(&mut self, name: &str) -> Result<Json> {
        self.optional(name).ok_or_else(|| self.error(format!("{name:?} is missing")))
    }
    pub fn text(&mut self, name: &str) -> Result<String> {
        match self.take(name)? {
            Json::Text(text) => Ok(text),
            _ => Err(self.error(format!("{name:?} is not a string"))),
        }
    }
    pub fn optional_text(&mut self, name: &str) -> Result<Option<String>> {
        match self.optional(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(format!("{name:?} is not a string"))),
        }
    }
    pub fn flag(&mut self, name: &str) -> Result<bool> {
        match self.optional(name) {
            None => Ok(false),
            Some(Json::Flag(flag)) => Ok(flag),
            Some(_) => Err(self.error(format!("{name:?} is neither true nor false"))),
        }
    }
    pub fn list(&mut self, name: &str) -> Result<Vec<Json>> {
        match self.take(name)? {
            Json::List(items) => Ok(items),
            _ => Err(self.error(format!("{name:?} is not a list"))),
        }
    }
    pub fn texts(&mut self, name: &str) -> Result<Vec<String>> {
        let items = self.list(name)?.into_iter().map(|item| if let Json::Text(t) = item { Some(t) } else { None });
        items.collect::<Option<_>>().ok_or_else(|| self.error(format!("{name:?} holds something that is not a string")))
    }
    /// A count: a number, or its digits as a string.
    pub fn count(&mut self, name: &str) -> Result<u64> {
        let count = match self.take(name)? {
            Json::Integer(number) => u64::try_from(number).ok(),
            Json::Unsigned(number) => Some(number),
            Json::Text(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
            _ => None,
        };
        count.ok_or_else(|| self.error(format!("{name:?} is not a count")))
    }
    pub fn finish(self) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => Err(self.error(format!("{name:?} is not known"))),
        }
    }
    /// The members, for an object whose names are data.
    pub fn into_members(self) -> Vec<(String, Json)> {
        self.left
    }
}

//! JSON Schema (draft 2020-12) without what reaches outside: values, texts, lists, objects, combinations, local references.
//!
//! Invariant: a word that is not known here is refused, `format` included, for what is passed over would seem to be looked at.
//! Invariant: how often something is looked at is bounded, whatever references say.
#[cfg(test)]
mod tests;

use super::matching::pattern;
use regex::bytes::Regex;
use serde_json::{Map, Number, Value};
use std::cmp::Ordering;
use std::collections::HashMap;

/// The longest schema.
const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// How often one text may have a part of it looked at.
const LOOKS_MAX: u64 = 5_000_000;
/// How deep schemas may lead into each other.
const DEPTH_MAX: u32 = 400;

/// Words that say nothing about what is valid.
const REMARKS: [&str; 11] =
    ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$anchor"];
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

type Told<T> = Result<T, String>;

/// A schema that was looked through.
pub(super) struct JsonSchema {
    root: Value,
    patterns: HashMap<String, Regex>,
}

/// What judging one text may still cost.
struct Purse {
    looks: u64,
}

impl Purse {
    fn pay(&mut self, looks: u64) -> Told<()> {
        self.looks = self.looks.checked_sub(looks).ok_or("the JSON schema looks at one text too often")?;
        Ok(())
    }
}

impl JsonSchema {
    pub(super) fn read(text: &str) -> Told<JsonSchema> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(format!("the JSON schema is longer than {SCHEMA_BYTES_MAX} bytes"));
        }
        let root = serde_json::from_str(text).map_err(|e| format!("the JSON schema is no JSON: {e}"))?;
        let mut schema = JsonSchema { root, patterns: HashMap::new() };
        let root = schema.root.clone();
        schema.look_through(&root)?;
        Ok(schema)
    }

    pub(super) fn judge(&self, text: &[u8]) -> Told<bool> {
        let Ok(value) = serde_json::from_slice::<Value>(text) else { return Ok(false) };
        self.holds(&self.root, &value, &mut Purse { looks: LOOKS_MAX }, 0)
    }

    /// Refuses what is unknown or makes no sense, here and inside.
    fn look_through(&mut self, schema: &Value) -> Told<()> {
        let words = match schema {
            Value::Bool(_) => return Ok(()),
            Value::Object(words) => words,
            other => return Err(format!("{other} is no JSON schema: that is an object, true or false")),
        };
        for (word, value) in words {
            let is_fit = match word.as_str() {
                "type" => match value {
                    Value::Array(names) => !names.is_empty() && names.iter().all(is_type),
                    name => is_type(name),
                },
                "enum" => value.is_array(),
                "const" => true,
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
                "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
                "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => value.is_u64(),
                "uniqueItems" => value.is_boolean(),
                "required" => is_names(value),
                "dependentRequired" => value.as_object().is_some_and(|each| each.values().all(is_names)),
                "pattern" => match value.as_str() {
                    Some(text) => self.keep_pattern(text)?,
                    None => false,
                },
                "items" | "contains" | "additionalProperties" | "propertyNames" | "not" | "if" | "then" | "else" => {
                    self.look_through(value)?;
                    true
                }
                "prefixItems" | "allOf" | "anyOf" | "oneOf" => match value.as_array() {
                    Some(schemas) => {
                        schemas.iter().try_for_each(|schema| self.look_through(schema))?;
                        !schemas.is_empty()
                    }
                    None => false,
                },
                "properties" | "patternProperties" | "$defs" | "definitions" => self.look_through_named(word, value)?,
                "$ref" => match value.as_str() {
                    Some(place) => self.at(place).is_some(),
                    None => false,
                },
                remark if REMARKS.contains(&remark) => true,
                other => return Err(format!("the JSON schema says {other:?}, which is not looked at here")),
            };
            if !is_fit {
                return Err(format!("the JSON schema says {word:?} to be {value}, which makes no sense"));
            }
        }
        Ok(())
    }

    fn look_through_named(&mut self, word: &str, value: &Value) -> Told<bool> {
        let Some(schemas) = value.as_object() else { return Ok(false) };
        for (name, schema) in schemas {
            if word == "patternProperties" {
                self.keep_pattern(name)?;
            }
            self.look_through(schema)?;
        }
        Ok(true)
    }

    fn keep_pattern(&mut self, text: &str) -> Told<bool> {
        self.patterns.insert(text.to_owned(), pattern(text)?);
        Ok(true)
    }

    /// Only what was looked through can be led to.
    fn at(&self, place: &str) -> Option<&Value> {
        let path = place.strip_prefix('#')?;
        let named = |group: &str| path.strip_prefix(group).filter(|name| !name.contains('/'));
        match named("/$defs/").or_else(|| named("/definitions/")) {
            Some(_) => self.root.pointer(path),
            None => Some(&self.root).filter(|_| path.is_empty()),
        }
    }

    fn finds(&self, text: &str, pattern: &str, purse: &mut Purse) -> Told<bool> {
        purse.pay(1 + text.len() as u64 / 8)?;
        let regex = self.patterns.get(pattern).ok_or("a pattern was not made ready")?;
        Ok(regex.is_match(text.as_bytes()))
    }

    fn holds(&self, schema: &Value, value: &Value, purse: &mut Purse, depth: u32) -> Told<bool> {
        purse.pay(1)?;
        if depth > DEPTH_MAX {
            return Err("the JSON schema leads too deep into itself".to_owned());
        }
        let Value::Object(words) = schema else { return Ok(schema == &Value::Bool(true)) };
        for (word, wanted) in words {
            let parts = wanted.as_array().map_or(0, Vec::len) + wanted.as_object().map_or(0, Map::len);
            purse.pay(1 + parts as u64)?;
            let holds = self.combined(words, word, wanted, value, purse, depth)?
                && match value {
                    Value::Number(number) => is_number(number, word, wanted),
                    Value::String(text) => self.is_text(text, word, wanted, purse)?,
                    Value::Array(items) => self.is_list(items, words, word, wanted, purse, depth)?,
                    Value::Object(members) => self.is_object(members, words, word, wanted, purse, depth)?,
                    _ => true,
                };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is said of values of any type.
    fn combined(&self, words: &Map<String, Value>, word: &str, wanted: &Value, value: &Value, purse: &mut Purse, depth: u32) -> Told<bool> {
        let mut inside = |schema: &Value| self.holds(schema, value, purse, depth + 1);
        let schemas = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
        match word {
            "type" => Ok(if schemas.is_empty() { has_type(value, wanted) } else { schemas.iter().any(|name| has_type(value, name)) }),
            "enum" => Ok(schemas.iter().any(|one| is_same(one, value))),
            "const" => Ok(is_same(wanted, value)),
            "not" => Ok(!inside(wanted)?),
            "$ref" => match wanted.as_str().and_then(|place| self.at(place)) {
                Some(schema) => inside(schema),
                None => Err("a reference of the JSON schema leads nowhere".to_owned()),
            },
            "allOf" | "anyOf" | "oneOf" => {
                let mut count = 0;
                for schema in schemas {
                    count += usize::from(inside(schema)?);
                }
                Ok(match word {
                    "allOf" => count == schemas.len(),
                    "anyOf" => count > 0,
                    _ => count == 1,
                })
            }
            "if" => match words.get(if inside(wanted)? { "then" } else { "else" }) {
                Some(schema) => inside(schema),
                None => Ok(true),
            },
            _ => Ok(true),
        }
    }

    fn is_text(&self, text: &str, word: &str, wanted: &Value, purse: &mut Purse) -> Told<bool> {
        Ok(match word {
            "minLength" => Some(text.chars().count() as u64) >= wanted.as_u64(),
            "maxLength" => Some(text.chars().count() as u64) <= wanted.as_u64(),
            "pattern" => self.finds(text, wanted.as_str().unwrap_or_default(), purse)?,
            _ => true,
        })
    }

    fn is_list(
        &self,
        items: &[Value],
        words: &Map<String, Value>,
        word: &str,
        wanted: &Value,
        purse: &mut Purse,
        depth: u32,
    ) -> Told<bool> {
        let count = items.len() as u64;
        let firsts = words.get("prefixItems").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        match word {
            "minItems" => Ok(Some(count) >= wanted.as_u64()),
            "maxItems" => Ok(Some(count) <= wanted.as_u64()),
            "uniqueItems" if *wanted == Value::Bool(true) => {
                purse.pay(count.saturating_mul(count))?;
                Ok((1..items.len()).all(|at| !items[..at].iter().any(|one| is_same(one, &items[at]))))
            }
            "contains" => {
                for item in items {
                    if self.holds(wanted, item, purse, depth + 1)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            "prefixItems" => all(firsts.iter().zip(items), |(schema, item)| self.holds(schema, item, purse, depth + 1)),
            "items" => all(items.iter().skip(firsts.len()), |item| self.holds(wanted, item, purse, depth + 1)),
            _ => Ok(true),
        }
    }

    fn is_object(
        &self,
        members: &Map<String, Value>,
        words: &Map<String, Value>,
        word: &str,
        wanted: &Value,
        purse: &mut Purse,
        depth: u32,
    ) -> Told<bool> {
        let count = members.len() as u64;
        let has_all = |names: &Value| {
            let names = names.as_array().map(Vec::as_slice).unwrap_or_default();
            names.iter().filter_map(Value::as_str).all(|name| members.contains_key(name))
        };
        let named = |word: &str| words.get(word).and_then(Value::as_object);
        match word {
            "minProperties" => Ok(Some(count) >= wanted.as_u64()),
            "maxProperties" => Ok(Some(count) <= wanted.as_u64()),
            "required" => Ok(has_all(wanted)),
            "dependentRequired" => {
                Ok(wanted.as_object().is_none_or(|each| each.iter().all(|(name, needs)| !members.contains_key(name) || has_all(needs))))
            }
            "propertyNames" => all(members.keys(), |name| self.holds(wanted, &Value::String(name.clone()), purse, depth + 1)),
            "properties" => all(named(word).into_iter().flatten(), |(name, schema)| match members.get(name) {
                Some(value) => self.holds(schema, value, purse, depth + 1),
                None => Ok(true),
            }),
            "patternProperties" => all(members, |(name, value)| {
                all(named(word).into_iter().flatten(), |(pattern, schema)| {
                    Ok(!self.finds(name, pattern, purse)? || self.holds(schema, value, purse, depth + 1)?)
                })
            }),
            "additionalProperties" => all(members, |(name, value)| {
                let is_named = named("properties").is_some_and(|known| known.contains_key(name));
                let is_matched =
                    !all(named("patternProperties").into_iter().flatten(), |(pattern, _)| Ok(!self.finds(name, pattern, purse)?))?;
                Ok(is_named || is_matched || self.holds(wanted, value, purse, depth + 1)?)
            }),
            _ => Ok(true),
        }
    }
}

fn all<T>(items: impl IntoIterator<Item = T>, mut holds: impl FnMut(T) -> Told<bool>) -> Told<bool> {
    for item in items {
        if !holds(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_type(name: &Value) -> bool {
    name.as_str().is_some_and(|name| TYPES.contains(&name))
}

fn is_names(value: &Value) -> bool {
    value.as_array().is_some_and(|names| names.iter().all(Value::is_string))
}

fn has_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => false,
    }
}

fn is_number(number: &Number, word: &str, wanted: &Value) -> bool {
    let Value::Number(limit) = wanted else { return true };
    let order = order(number, limit);
    match word {
        "minimum" => order.is_some_and(Ordering::is_ge),
        "maximum" => order.is_some_and(Ordering::is_le),
        "exclusiveMinimum" => order == Some(Ordering::Greater),
        "exclusiveMaximum" => order == Some(Ordering::Less),
        "multipleOf" => is_multiple(number, limit),
        _ => true,
    }
}

/// Exactly for whole numbers; for others as far as doubles can tell, since 0.3 is no multiple of 0.1 to them.
fn is_multiple(number: &Number, part: &Number) -> bool {
    if let (Some(number), Some(part)) = (whole(number), whole(part)) {
        return number % part == 0;
    }
    let times = number.as_f64().unwrap_or(f64::NAN) / part.as_f64().unwrap_or(f64::NAN);
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn order(one: &Number, other: &Number) -> Option<Ordering> {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Numbers are the same by value, objects whatever the order of their members.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => order(one, other) == Some(Ordering::Equal),
        (Value::Array(one), Value::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_same(a, b)),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(name, value)| other.get(name).is_some_and(|found| is_same(value, found)))
        }
        _ => one == other,
    }
}

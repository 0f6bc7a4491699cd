//! Gates in a policy's text: read, and set as a whole or one key at a time.
//!
//! Invariant: a setting that would leave a gate which makes no sense changes nothing.
use super::{inner, policy_of, put};
use crate::error::{Error, Result};
use crate::gates;
use mainstem_core::gate::{Gate, KEYS, Term};
use mainstem_core::policy::{Policy, quoted};
use mainstem_core::value::Value;
use toml_edit::{DocumentMut, InlineTable, Item};

pub(super) const GATES: &str = "gates";
const EDIT: &str = "mainstem policy edit";

/// The gates in the order in which they are written.
pub(super) fn read(item: &Item) -> Result<Vec<Gate>> {
    let group = item.as_table_like().ok_or_else(|| Error::invalid("policy key gates: it is a group of gates, not a value").hint(EDIT))?;
    group.iter().map(|(name, item)| gate(name, item)).collect()
}

fn gate(name: &str, item: &Item) -> Result<Gate> {
    let whole = || format!("policy key {GATES}.{}", quoted(name));
    let keys = item.as_table_like().ok_or_else(|| Error::invalid(format!("{}: a gate is a group of keys", whole())).hint(EDIT))?;
    let term_of = |(key, item): (&str, &Item)| {
        let refuse = || Error::invalid(format!("{}.{}: its value is neither text, a number nor a list of them", whole(), quoted(key)));
        Ok((key.to_owned(), term(item).ok_or_else(|| refuse().hint(EDIT))?))
    };
    let terms = keys.iter().map(term_of).collect::<Result<Vec<_>>>()?;
    Ok(Gate::declared(name, &terms)?)
}

/// Refuses gates whose pattern or JSON schema is none.
pub(super) fn check(policy: &Policy) -> Result<()> {
    for gate in policy.gates() {
        let refuse = |why| Error::invalid(format!("policy key {GATES}.{}: {why}", quoted(&gate.name))).hint(EDIT);
        gates::check(gate).map_err(refuse)?;
    }
    Ok(())
}

fn term(item: &Item) -> Option<Term> {
    let value = item.as_value()?;
    match value.as_array() {
        Some(list) => list.iter().map(one).collect::<Option<Vec<Value>>>().map(Term::Many),
        None => one(value).map(Term::One),
    }
}

/// Dates and flags have no one form in a database, so they are written as the text or number they are stored as.
fn one(value: &toml_edit::Value) -> Option<Value> {
    match value {
        toml_edit::Value::String(text) => Some(Value::text(text.value())),
        toml_edit::Value::Integer(number) => Some(Value::Integer(*number.value())),
        toml_edit::Value::Float(number) => Some(Value::Real(*number.value())),
        _ => None,
    }
}

/// True where a key and value set a gate: a table may be called `gates`, too, but no key of a column is one of a gate's,
/// and no setting of a table is in braces.
pub(super) fn is_gate(parts: &[String], value: &str) -> bool {
    match parts {
        [group, _] => group == GATES && value.trim_start().starts_with('{'),
        [group, _, key] => group == GATES && KEYS.contains(&key.as_str()),
        _ => false,
    }
}

/// Sets a gate (`gates.NAME` to `{ rule = …, … }`) or one of its keys (`gates.NAME.KEY`).
pub(super) fn set(document: &mut DocumentMut, parts: &[String], value: &str) -> Result<()> {
    let name = &parts[1];
    match parts.get(2) {
        Some(key) => {
            if !is_there(document, name) {
                let example =
                    format!("mainstem policy set 'gates.{}' '{{ rule = \"not-null\", table = \"T\", column = \"C\" }}'", quoted(name));
                return Err(Error::invalid(format!("there is no gate {name}: a gate begins with all that its rule needs")).hint(example));
            }
            put(inner(document.as_table_mut(), &[GATES, name])?, key, typed(key, value));
        }
        None => {
            let refuse = |e: toml_edit::TomlError| {
                let why = e.message().lines().next().unwrap_or("not TOML").to_owned();
                Error::invalid(format!("policy key gates.{}: {why}", quoted(name))).because(e)
            };
            let keys: InlineTable =
                value.trim().parse::<toml_edit::Value>().map_err(refuse)?.as_inline_table().cloned().unwrap_or_default();
            let gates = inner(document.as_table_mut(), &[GATES, name])?;
            let stray: Vec<String> = gates.iter().map(|(key, _)| key.to_owned()).filter(|key| !keys.contains_key(key)).collect();
            for key in stray {
                gates.remove(&key);
            }
            for (key, value) in keys {
                put(gates, &key, value.decorated(" ", ""));
            }
        }
    }
    check(&policy_of(document)?)
}

fn is_there(document: &DocumentMut, name: &str) -> bool {
    let gates = document.get(GATES).and_then(Item::as_table_like);
    gates.is_some_and(|gates| gates.iter().any(|(key, _)| key.eq_ignore_ascii_case(name)))
}

/// Limits are numbers where they look like one, and lists are written as TOML has them; everything else is text.
fn typed(key: &str, value: &str) -> toml_edit::Value {
    let read = value.trim().parse::<toml_edit::Value>().ok();
    let is_fit = |read: &toml_edit::Value| match key {
        "min" | "max" | "time_limit_ms" => read.is_integer() || read.is_float(),
        "values" | "columns" | "references_columns" => read.is_array(),
        _ => false,
    };
    read.filter(is_fit).unwrap_or_else(|| toml_edit::Value::from(value))
}

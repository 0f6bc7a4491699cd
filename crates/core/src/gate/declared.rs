//! Gates as they are declared: keys and their values, checked and named when something is wrong with them.
//!
//! Invariant: a key that the rule has no use for is refused, so that a typing mistake never makes a gate weaker.
use super::{Gate, Must, Relation, Rows, Rule, Severity};
use crate::error::{Error, Result};
use crate::policy::quoted;
use crate::value::Value;
use alloc::{format, string::String, vec::Vec};

/// How long a gate may take where it does not say.
pub const DEFAULT_TIME_LIMIT_MS: u64 = 60_000;
/// How long a gate may be allowed to take.
pub const TIME_LIMIT_MS_MAX: u64 = 3_600_000;

/// Every key that some gate has.
pub const KEYS: [&str; 17] = [
    "rule",
    "severity",
    "rows",
    "time_limit_ms",
    "table",
    "column",
    "columns",
    "min",
    "max",
    "values",
    "pattern",
    "schema",
    "relation",
    "other",
    "references",
    "references_columns",
    "sql",
];

/// Keys that every gate has.
const SHARED: &str = "rule, severity, rows, time_limit_ms";

/// The keys of each rule beside those.
const RULES: [(&str, &[&str]); 11] = [
    ("not-null", &["table", "column"]),
    ("in-set", &["table", "column", "values"]),
    ("range", &["table", "column", "min", "max"]),
    ("pattern", &["table", "column", "pattern"]),
    ("length", &["table", "column", "min", "max"]),
    ("json-schema", &["table", "column", "schema"]),
    ("relation", &["table", "column", "relation", "other"]),
    ("unique", &["table", "columns"]),
    ("foreign-key", &["table", "columns", "references", "references_columns"]),
    ("row-count", &["table", "min", "max"]),
    ("no-rows", &["sql"]),
];

/// What a key is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// One value: text, an integer or a real.
    One(Value),
    /// Several.
    Many(Vec<Value>),
}

impl Gate {
    /// The gate of that name with these keys, none of them twice. What is unknown, missing or makes no sense is
    /// [`Error::Invalid`] and names the key.
    pub fn declared(name: &str, terms: &[(String, Term)]) -> Result<Gate> {
        let declaration = Declaration { name, terms };
        if name.is_empty() {
            return Err(Error::invalid("policy key gates", "a gate has a name"));
        }
        let rule = declaration.rule()?;
        let rows = declaration.choice("rows", &Rows::ALL, Rows::name)?.unwrap_or_default();
        if rows == Rows::Changed && matches!(rule, Rule::RowCount { .. } | Rule::NoRows { .. }) {
            return Err(declaration.refuse("rows", format!("a gate of the rule {} looks at all rows", rule.name())));
        }
        let time_limit_ms = declaration.count("time_limit_ms")?.unwrap_or(DEFAULT_TIME_LIMIT_MS);
        if !(1..=TIME_LIMIT_MS_MAX).contains(&time_limit_ms) {
            return Err(declaration.refuse("time_limit_ms", format!("allowed: milliseconds from 1 to {TIME_LIMIT_MS_MAX}")));
        }
        let severity = declaration.choice("severity", &Severity::ALL, Severity::name)?.unwrap_or_default();
        Ok(Gate { name: name.into(), severity, rows, time_limit_ms, rule })
    }
}

struct Declaration<'a> {
    name: &'a str,
    terms: &'a [(String, Term)],
}

impl Declaration<'_> {
    fn refuse(&self, key: &str, why: impl Into<String>) -> Error {
        Error::invalid(format!("policy key gates.{}.{}", quoted(self.name), quoted(key)), why)
    }

    fn get(&self, key: &str) -> Option<&Term> {
        self.terms.iter().find(|(known, _)| known == key).map(|(_, term)| term)
    }

    fn rule(&self) -> Result<Rule> {
        let names: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
        let refuse = |why: &str| self.refuse("rule", format!("{why}; allowed: {}", names.join(", ")));
        let rule = self.word("rule")?.ok_or_else(|| refuse("it is missing"))?;
        let Some((rule, keys)) = RULES.iter().find(|(name, _)| *name == rule) else {
            return Err(refuse(&format!("{rule:?} is not a value for it")));
        };
        let is_known = |key: &str| keys.contains(&key) || SHARED.split(", ").any(|shared| shared == key);
        if let Some((stray, _)) = self.terms.iter().find(|(key, _)| !is_known(key)) {
            let allowed = format!("{SHARED}, {}", keys.join(", "));
            return Err(self.refuse(stray, format!("there is no such key in a gate of the rule {rule}; allowed: {allowed}")));
        }
        Ok(match *rule {
            "relation" => Rule::Relation {
                table: self.needed("table")?,
                column: self.needed("column")?,
                relation: self.choice("relation", &Relation::ALL, Relation::name)?.ok_or_else(|| self.missing("relation"))?,
                other: self.needed("other")?,
            },
            "unique" => Rule::Unique { table: self.needed("table")?, columns: self.names("columns")? },
            "foreign-key" => self.foreign_key()?,
            "row-count" => {
                let (min, max) = self.counts()?;
                Rule::RowCount { table: self.needed("table")?, min, max }
            }
            "no-rows" => {
                let sql = self.needed("sql")?;
                if sql.contains('\0') {
                    return Err(self.refuse("sql", "a NUL would end it"));
                }
                Rule::NoRows { sql }
            }
            cell => Rule::Cell { table: self.needed("table")?, column: self.needed("column")?, must: self.must(cell)? },
        })
    }

    fn must(&self, rule: &str) -> Result<Must> {
        Ok(match rule {
            "not-null" => Must::NotNull,
            "in-set" => match self.get("values") {
                Some(Term::Many(values)) if !values.is_empty() => Must::InSet(values.clone()),
                None => return Err(self.missing("values")),
                _ => return Err(self.refuse("values", "allowed: a list of texts and numbers, as in [\"draft\", \"final\"]")),
            },
            "range" => self.range()?,
            "pattern" => Must::Pattern(self.needed("pattern")?),
            "json-schema" => Must::JsonSchema(self.needed("schema")?),
            _ => {
                let (min, max) = self.counts()?;
                Must::Length(min, max)
            }
        })
    }

    fn range(&self) -> Result<Must> {
        let bound = |key| match self.get(key) {
            None => Ok(None),
            Some(Term::One(Value::Real(number))) if !number.is_finite() => Err(self.refuse(key, "allowed: a finite number, or text")),
            Some(Term::One(value)) => Ok(Some(value.clone())),
            Some(Term::Many(_)) => Err(self.refuse(key, "allowed: a number, or text")),
        };
        let (min, max) = (bound("min")?, bound("max")?);
        if min.is_none() && max.is_none() {
            return Err(self.refuse("min", "a range has min or max"));
        }
        if let (Some(low), Some(high)) = (&min, &max) {
            match crate::scope::order(low, high) {
                None => return Err(self.refuse("max", "min and max are both numbers or both text")),
                Some(core::cmp::Ordering::Greater) => return Err(self.refuse("max", "it is below min")),
                _ => {}
            }
        }
        Ok(Must::Range(min, max))
    }

    fn foreign_key(&self) -> Result<Rule> {
        let columns = self.names("columns")?;
        let parent_columns = match self.get("references_columns") {
            None => Vec::new(),
            Some(_) => self.names("references_columns")?,
        };
        if !parent_columns.is_empty() && parent_columns.len() != columns.len() {
            let why = format!("there are {} of them and {} in columns", parent_columns.len(), columns.len());
            return Err(self.refuse("references_columns", why));
        }
        Ok(Rule::ForeignKey { table: self.needed("table")?, columns, parent: self.needed("references")?, parent_columns })
    }

    fn missing(&self, key: &str) -> Error {
        self.refuse(key, "it is missing")
    }

    fn word(&self, key: &str) -> Result<Option<String>> {
        match self.get(key) {
            None => Ok(None),
            Some(Term::One(Value::Text(text))) if !text.is_empty() => Ok(Some(String::from_utf8_lossy(text).into_owned())),
            Some(_) => Err(self.refuse(key, "allowed: text that is not empty")),
        }
    }

    fn needed(&self, key: &str) -> Result<String> {
        self.word(key)?.ok_or_else(|| self.missing(key))
    }

    /// One name, or a list of at least one, none of them twice.
    fn names(&self, key: &str) -> Result<Vec<String>> {
        let refuse = || self.refuse(key, "allowed: a column's name, or a list of different ones, as in [\"first\", \"second\"]");
        let values = match self.get(key) {
            None => return Err(self.missing(key)),
            Some(Term::One(value)) => core::slice::from_ref(value),
            Some(Term::Many(values)) => values,
        };
        let mut names: Vec<String> = Vec::new();
        for value in values {
            let name = value.as_text().filter(|name| !name.is_empty()).ok_or_else(refuse)?;
            if names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
                return Err(refuse());
            }
            names.push(name.into_owned());
        }
        if names.is_empty() { Err(refuse()) } else { Ok(names) }
    }

    fn count(&self, key: &str) -> Result<Option<u64>> {
        match self.get(key) {
            None => Ok(None),
            Some(Term::One(Value::Integer(number))) if *number >= 0 => Ok(Some(number.unsigned_abs())),
            Some(_) => Err(self.refuse(key, "allowed: a whole number, zero or more")),
        }
    }

    fn counts(&self) -> Result<(Option<u64>, Option<u64>)> {
        let (min, max) = (self.count("min")?, self.count("max")?);
        match (min, max) {
            (None, None) => Err(self.refuse("min", "it has min or max")),
            (Some(low), Some(high)) if high < low => Err(self.refuse("max", "it is below min")),
            both => Ok(both),
        }
    }

    fn choice<T: Copy>(&self, key: &str, all: &[T], name: fn(T) -> &'static str) -> Result<Option<T>> {
        let Some(term) = self.get(key) else { return Ok(None) };
        let found = match term {
            Term::One(Value::Text(text)) => all.iter().copied().find(|&one| name(one).as_bytes() == text),
            _ => None,
        };
        let names: Vec<&str> = all.iter().map(|&one| name(one)).collect();
        found.map(Some).ok_or_else(|| self.refuse(key, format!("allowed: {}", names.join(", "))))
    }
}

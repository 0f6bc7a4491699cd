//! A policy as TOML text: read, changed in place, and proposed for tables as they are.
//!
//! ```toml
//! strategy = "last-write-wins"
//! [tables.Artist]
//! mode = "review"
//! [tables.Artist.columns.Name]
//! strategy = "manual"
//! [gates.name_is_given]
//! rule = "not-null"
//! table = "Artist"
//! column = "Name"
//! ```
//! Invariant: a change keeps every comment and the layout of everything else.
mod gates;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use mainstem_core::policy::{Entry, Policy, Setting, quoted};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

const TABLES: &str = "tables";
const COLUMNS: &str = "columns";

/// Columns that the app writes with each edit of a row; without letter case and underscores.
const WRITTEN_WITH_EACH_EDIT: [&str; 6] = ["updatedat", "lastmodified", "modifiedat", "lastupdated", "version", "rowversion"];

/// Reads a policy. Empty text is the default policy.
pub fn parse(text: &str) -> Result<Policy> {
    policy_of(&document(text)?)
}

/// Reads a policy that is about to be set: what [`parse`] reads, and every gate can be tried.
pub fn check(text: &str) -> Result<Policy> {
    let policy = parse(text)?;
    gates::check(&policy)?;
    Ok(policy)
}

fn document(text: &str) -> Result<DocumentMut> {
    let hint = "mainstem policy";
    text.parse().map_err(|e: toml_edit::TomlError| {
        let why = e.message().lines().next().unwrap_or("not TOML").to_owned();
        let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].lines().count().max(1));
        Error::invalid(format!("policy, line {line}: {why}")).hint(hint).because(e)
    })
}

fn policy_of(document: &DocumentMut) -> Result<Policy> {
    let mut entries = Vec::new();
    let mut gates = Vec::new();
    for (key, item) in document.iter() {
        if key == gates::GATES {
            gates = gates::read(item)?;
        } else if key == TABLES {
            for (table, rules) in children(item, TABLES)? {
                table_entries(&mut entries, table, rules)?;
            }
        } else {
            entries.push(entry(&[], key, item)?);
        }
    }
    Ok(Policy::from_entries(&entries)?.with_gates(gates))
}

/// The rules of the dataset and of some tables, without comments.
pub fn only(text: &str, is_wanted: &dyn Fn(&str) -> bool) -> Result<String> {
    let mut document = DocumentMut::new();
    for entry in parse(text)?.entries() {
        let path: Vec<&str> = entry.path.iter().map(String::as_str).collect();
        let table: &mut dyn TableLike = match path.as_slice() {
            [] => document.as_table_mut(),
            [table, ..] if !is_wanted(table) => continue,
            [table] => inner(document.as_table_mut(), &[TABLES, table])?,
            [table, column, ..] => inner(document.as_table_mut(), &[TABLES, table, COLUMNS, column])?,
        };
        table.insert(&entry.key, Item::Value(written(&entry.value)));
    }
    Ok(document.to_string())
}

fn table_entries(entries: &mut Vec<Entry>, table: &str, rules: &Item) -> Result<()> {
    for (key, item) in children(rules, table)? {
        if key != COLUMNS {
            entries.push(entry(&[table], key, item)?);
            continue;
        }
        for (column, rules) in children(item, COLUMNS)? {
            for (key, item) in children(rules, column)? {
                entries.push(entry(&[table, column], key, item)?);
            }
        }
    }
    Ok(())
}

fn children<'a>(item: &'a Item, name: &str) -> Result<toml_edit::Iter<'a>> {
    let table = item.as_table_like().ok_or_else(|| {
        Error::invalid(format!("policy key {name}: it is a group of keys, not a value")).hint("mainstem policy set TABLE.strategy manual")
    })?;
    Ok(table.iter())
}

fn entry(path: &[&str], key: &str, item: &Item) -> Result<Entry> {
    let value = setting(item).ok_or_else(|| {
        let whole: Vec<String> = path.iter().chain([&key]).map(|part| quoted(part)).collect();
        Error::invalid(format!("policy key {}: its value is neither text, a whole number, ranks nor names", whole.join(".")))
            .hint("mainstem policy")
    })?;
    Ok(Entry { path: path.iter().map(|&part| part.to_owned()).collect(), key: key.to_owned(), value })
}

/// Ranks are `{ name = rank }` or `["name=rank"]`, names `["name"]`.
fn setting(item: &Item) -> Option<Setting> {
    if let Some(text) = item.as_str() {
        return Some(Setting::Text(text.to_owned()));
    }
    if let Some(number) = item.as_integer() {
        return Some(Setting::Number(number));
    }
    if let Some(list) = item.as_array() {
        let names = list.iter().map(|name| name.as_str().map(str::to_owned));
        return names.collect::<Option<Vec<_>>>().map(Setting::Names);
    }
    let ranks = item.as_table_like()?.iter().map(|(name, rank)| Some((name.to_owned(), rank.as_integer()?)));
    ranks.collect::<Option<Vec<_>>>().map(Setting::Ranks)
}

/// Sets one key and gives the new text. A key is `strategy`, `Artist.strategy` or `Artist.Name.strategy`; names with
/// anything but letters, digits, `_` and `-` stand in double quotes: `"Order Details".mode`. A gate is `gates.NAME` with all
/// its keys in braces, or one of its keys: `gates.NAME.min`.
pub fn set(text: &str, key: &str, value: &str) -> Result<String> {
    let mut document = document(text)?;
    if document.is_empty() && !text.is_empty() {
        // Comments alone trail everything in the editor's eyes; here they are a heading.
        let line_end = if text.ends_with('\n') { "" } else { "\n" };
        return Ok(format!("{text}{line_end}{}", set("", key, value)?));
    }
    let mut parts = split_key(key)?;
    if gates::is_gate(&parts, value) {
        gates::set(&mut document, &parts, value)?;
        return Ok(document.to_string());
    }
    let last = parts.pop().unwrap_or_default();
    // Checked by itself first, so that the error is about this key and not about another in the text.
    let mut alone = Policy::default();
    alone.set(&parts, &last, &Setting::Text(value.to_owned()))?;
    let typed = alone.entries().into_iter().find(|entry| entry.key == last).map(|entry| entry.value);
    let typed = typed.unwrap_or_else(|| Setting::Text(value.to_owned()));
    let table: &mut dyn TableLike = match parts.as_slice() {
        [] => document.as_table_mut(),
        [table] => inner(document.as_table_mut(), &[TABLES, table])?,
        [table, column, ..] => inner(document.as_table_mut(), &[TABLES, table, COLUMNS, column])?,
    };
    let fresh = written(&typed);
    put(table, &last, fresh);
    policy_of(&document)?;
    Ok(document.to_string())
}

fn put(table: &mut dyn TableLike, key: &str, fresh: Value) {
    match table.get_mut(key).and_then(Item::as_value_mut) {
        // The blanks and the comment around the old value stay.
        Some(old) => {
            let around = old.decor().clone();
            *old = fresh;
            *old.decor_mut() = around;
        }
        None => {
            table.insert(key, Item::Value(fresh));
        }
    }
}

/// The table at a path, made where it is missing. Names of the user's are found without ASCII case.
fn inner<'a>(table: &'a mut Table, path: &[&str]) -> Result<&'a mut dyn TableLike> {
    let mut at: &mut dyn TableLike = table;
    for (depth, part) in path.iter().enumerate() {
        let known = at.iter().map(|(key, _)| key.to_owned()).find(|key| key.eq_ignore_ascii_case(part));
        let name = known.unwrap_or_else(|| (*part).to_owned());
        let item = at.entry(&name).or_insert_with(|| {
            let mut made = Table::new();
            made.set_implicit(depth + 1 < path.len());
            Item::Table(made)
        });
        at = item
            .as_table_like_mut()
            .ok_or_else(|| Error::invalid(format!("policy key {name}: it is a value, not a group of keys")).hint("mainstem policy"))?;
    }
    Ok(at)
}

fn written(setting: &Setting) -> Value {
    match setting {
        Setting::Text(text) => Value::from(text.as_str()),
        Setting::Number(number) => Value::from(*number),
        Setting::Names(names) => Value::from(names.iter().map(String::as_str).collect::<Array>()),
        Setting::Ranks(ranks) => {
            let mut names: Vec<&str> = ranks.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            if names.len() < ranks.len() {
                let list: Array = ranks.iter().map(|(name, rank)| format!("{name}={rank}")).collect();
                return Value::from(list);
            }
            let mut table = InlineTable::new();
            for (name, rank) in ranks {
                table.insert(name, Value::from(*rank));
            }
            Value::from(table)
        }
    }
}

/// The parts of a key: at least one, quotes undone.
fn split_key(key: &str) -> Result<Vec<String>> {
    let refuse = |why: &str| {
        Error::invalid(format!("policy key {key}: {why}"))
            .hint("mainstem policy set TABLE.COLUMN.strategy manual, with names like \"Order Details\" in double quotes")
    };
    let mut parts = Vec::new();
    let mut rest = key;
    loop {
        let part = if let Some(inside) = rest.strip_prefix('"') {
            let (part, after) = unquoted(inside).ok_or_else(|| refuse("a double quote is not closed"))?;
            rest = after;
            part
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            let part = rest[..end].to_owned();
            rest = &rest[end..];
            part
        };
        if part.is_empty() {
            return Err(refuse("a name is empty"));
        }
        parts.push(part);
        if rest.is_empty() {
            break;
        }
        rest = rest.strip_prefix('.').ok_or_else(|| refuse("a dot is missing after a double quote"))?;
    }
    if parts.len() > 3 {
        return Err(refuse("it has more parts than table, column and key"));
    }
    Ok(parts)
}

/// The text to the closing quote, with `\"` and `\\` undone, and what follows it.
fn unquoted(inside: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((part, &inside[at + 1..])),
            '\\' => part.push(letters.next()?.1),
            _ => part.push(letter),
        }
    }
    None
}

/// Keys and values to propose for tables: columns that an app writes with each edit of a row get `max`, so that they
/// do not make every concurrent edit a conflict.
pub fn propose<'a>(tables: impl IntoIterator<Item = (&'a str, &'a [String])>) -> Vec<(String, String)> {
    let mut proposed = Vec::new();
    for (table, columns) in tables {
        for column in columns {
            let folded = column.replace('_', "").to_ascii_lowercase();
            if WRITTEN_WITH_EACH_EDIT.contains(&folded.as_str()) {
                proposed.push((format!("{}.{}.strategy", quoted(table), quoted(column)), "max".to_owned()));
            }
        }
    }
    proposed
}

//! Sets and lists inside one cell: a JSON array, or text with a delimiter.
//!
//! Invariant: parts are kept as they were written; two parts are one where their bytes are, blanks around them and
//! blanks between JSON tokens aside.
use super::{json, text_of};
use crate::value::Value;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// A list longer than this on both sides, equal ends aside, is left to a person: the comparison is quadratic.
const PRODUCT_MAX: usize = 4_000_000;

/// The three texts.
pub(super) struct Texts<'a> {
    pub(super) base: &'a Value,
    pub(super) early: &'a Value,
    pub(super) late: &'a Value,
}

type Parts = Vec<Vec<u8>>;

/// The merged cell, or none where the values are not collections. A base that was NULL is empty.
pub(super) fn merge(is_list: bool, delimiter: Option<&str>, texts: &Texts<'_>) -> Option<Value> {
    let (early, late) = (text_of(texts.early)?, text_of(texts.late)?);
    let base = if texts.base.is_null() { None } else { Some(text_of(texts.base)?) };
    let combine = if is_list { merge_lists } else { merge_sets };
    if delimiter.is_none()
        && let (Some(early), Some(late)) = (json::array_parts(early), json::array_parts(late))
    {
        let base = base.map_or(Some(Vec::new()), json::array_parts)?;
        let mut text = vec![b'['];
        text.extend(combine(&base, &early, &late)?.join(&b','));
        text.push(b']');
        return Some(Value::Text(text));
    }
    let delimiter = delimiter.unwrap_or(",").as_bytes();
    let base_parts = split(base.unwrap_or_default(), delimiter);
    let merged = combine(&base_parts, &split(early, delimiter), &split(late, delimiter))?;
    let mut between = delimiter.to_vec();
    let mut written = [early, late, base.unwrap_or_default()].into_iter().filter_map(|text| is_spaced(text, delimiter));
    // Blanks after delimiters are kept where all three texts have them.
    if written.next().is_some_and(|first| first && written.all(|other| other)) {
        between.push(b' ');
    }
    Some(Value::Text(merged.join(&between[..])))
}

/// True where a blank follows each delimiter; none where there is no delimiter.
fn is_spaced(text: &[u8], delimiter: &[u8]) -> Option<bool> {
    let mut found = None;
    for at in positions(text, delimiter) {
        let is_blank = text.get(at + delimiter.len()) == Some(&b' ');
        found = Some(found.unwrap_or(true) && is_blank);
    }
    found
}

fn positions(text: &[u8], delimiter: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut out = Vec::new();
    while at + delimiter.len() <= text.len() {
        if text[at..].starts_with(delimiter) {
            out.push(at);
            at += delimiter.len();
        } else {
            at += 1;
        }
    }
    out
}

fn split(text: &[u8], delimiter: &[u8]) -> Parts {
    if text.trim_ascii().is_empty() {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut from = 0;
    for at in positions(text, delimiter) {
        parts.push(text[from..at].trim_ascii().to_vec());
        from = at + delimiter.len();
    }
    parts.push(text[from..].trim_ascii().to_vec());
    parts
}

/// Parts of the base that both kept, in the base's order; then what either added, in the order of bytes, so that
/// any number of merges in any order give one result.
fn merge_sets(base: &Parts, early: &Parts, late: &Parts) -> Option<Parts> {
    let places = |parts: &Parts| parts.iter().cloned().map(|part| (part, ())).collect::<BTreeMap<_, ()>>();
    let (in_base, in_early, in_late) = (places(base), places(early), places(late));
    let mut merged = Parts::new();
    let mut seen = BTreeMap::new();
    for part in base {
        let is_new = seen.insert(part, ()).is_none();
        if is_new && in_early.contains_key(part) && in_late.contains_key(part) {
            merged.push(part.clone());
        }
    }
    let mut added = in_early;
    added.extend(in_late);
    merged.extend(added.into_keys().filter(|part| !in_base.contains_key(part)));
    Some(merged)
}

/// Three-way merge of sequences. At one place the earlier side's insertions come first; those that are all among
/// the other side's are there already, so that a list that was merged once can be merged again.
fn merge_lists(base: &Parts, early: &Parts, late: &Parts) -> Option<Parts> {
    let (early, late) = (Aligned::new(base, early)?, Aligned::new(base, late)?);
    let mut merged = Parts::new();
    for at in 0..=base.len() {
        let (first, second) = (&early.inserted[at], &late.inserted[at]);
        if !is_among(first, second) {
            merged.extend(first.iter().cloned());
        }
        if is_among(first, second) || !is_among(second, first) {
            merged.extend(second.iter().cloned());
        }
        if at < base.len() && early.is_kept[at] && late.is_kept[at] {
            merged.push(base[at].clone());
        }
    }
    Some(merged)
}

/// True where all the parts are in the other list, in their order.
fn is_among(parts: &Parts, other: &Parts) -> bool {
    let mut rest = other.iter();
    parts.iter().all(|part| rest.any(|one| one == part))
}

/// What one side did to a list: which parts it kept, and what it put before each of them and at the end.
struct Aligned {
    is_kept: Vec<bool>,
    inserted: Vec<Parts>,
}

impl Aligned {
    /// By a longest common subsequence between the equal ends. None where that would take too long.
    fn new(base: &Parts, side: &Parts) -> Option<Aligned> {
        let head = base.iter().zip(side).take_while(|(x, y)| x == y).count();
        let tail = base[head..].iter().rev().zip(side[head..].iter().rev()).take_while(|(x, y)| x == y).count();
        let (x, y) = (&base[head..base.len() - tail], &side[head..side.len() - tail]);
        if x.len().checked_mul(y.len())? > PRODUCT_MAX {
            return None;
        }
        let width = y.len() + 1;
        let mut longest = vec![0u32; (x.len() + 1) * width];
        for i in (0..x.len()).rev() {
            for j in (0..y.len()).rev() {
                longest[i * width + j] = if x[i] == y[j] {
                    longest[(i + 1) * width + j + 1] + 1
                } else {
                    longest[(i + 1) * width + j].max(longest[i * width + j + 1])
                };
            }
        }
        let mut aligned = Aligned { is_kept: vec![true; base.len()], inserted: vec![Parts::new(); base.len() + 1] };
        let (mut i, mut j) = (0, 0);
        while i < x.len() || j < y.len() {
            let is_common = i < x.len() && j < y.len() && x[i] == y[j];
            if is_common {
                i += 1;
                j += 1;
            } else if j < y.len() && (i == x.len() || longest[i * width + j + 1] >= longest[(i + 1) * width + j]) {
                aligned.inserted[head + i].push(y[j].clone());
                j += 1;
            } else {
                aligned.is_kept[head + i] = false;
                i += 1;
            }
        }
        Some(aligned)
    }
}

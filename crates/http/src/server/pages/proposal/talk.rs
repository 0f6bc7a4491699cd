//! Threads of comments, each beside what it is about.
//!
//! A comment names its row by the key that the row had in the revision that was current; where merging gives the row another
//! number, the thread goes with it.
use super::super::moment;
use super::key_text;
use mainstem::core::event::Renumbered;
use mainstem::core::proposal::{Anchor, Comment};
use mainstem::core::value::{Key, Value};
use mainstem::review::Judged;
use mainstem_pages::thread::{CommentLine, Talk, Thread};
use mainstem_pages::value::{Room, ShownValue, seen};
use std::collections::BTreeSet;

/// A row that is shown: its table and its key.
pub type Shown = (String, Key);

/// The key that a row has in the result, by the key that it was offered with.
pub fn key_now(renumbered: &[Renumbered], table: &str, key: &Key) -> Key {
    let found = renumbered.iter().find(|one| one.table.eq_ignore_ascii_case(table) && **key == [Value::Integer(one.from)]);
    found.map_or_else(|| key.clone(), |one| vec![Value::Integer(one.to)])
}

/// The key that a row was offered with, by the key that it has in the result.
pub fn key_offered(renumbered: &[Renumbered], table: &str, key: &Key) -> Key {
    let found = renumbered.iter().find(|one| one.table.eq_ignore_ascii_case(table) && **key == [Value::Integer(one.to)]);
    found.map_or_else(|| key.clone(), |one| vec![Value::Integer(one.from)])
}

fn renumbered(judged: &Judged) -> &[Renumbered] {
    judged.assessment.as_ref().map_or(&[], |assessment| &assessment.outcome.renumbered)
}

/// The threads about one row or its cells.
pub fn about(judged: &Judged, table: &str, key: &Key, talk: Option<&Talk>) -> Vec<Thread> {
    threads(judged, talk, |anchor| match anchor {
        Anchor::Whole => None,
        Anchor::Row(of, row) => is_here(judged, of, row, table, key).then_some(None),
        Anchor::Cell(of, row, column) => is_here(judged, of, row, table, key).then(|| Some(seen(column))),
    })
}

fn is_here(judged: &Judged, of: &str, row: &Key, table: &str, key: &Key) -> bool {
    of.eq_ignore_ascii_case(table) && key_now(renumbered(judged), of, row) == *key
}

/// The threads about the proposal as a whole, and those about rows that are not shown.
pub fn beside(judged: &Judged, shown: &[Shown], talk: Option<&Talk>) -> (Vec<Thread>, Vec<Thread>) {
    let shown: BTreeSet<(String, String)> = shown.iter().map(|(table, key)| (table.to_lowercase(), key_text(key))).collect();
    let is_shown = |table: &str, key: &Key| {
        let now = key_now(renumbered(judged), table, key);
        shown.contains(&(table.to_lowercase(), key_text(&now)))
    };
    let whole = threads(judged, talk, |anchor| (*anchor == Anchor::Whole).then_some(None));
    let elsewhere = threads(judged, talk, |anchor| {
        let (table, key, column) = match anchor {
            Anchor::Whole => return None,
            Anchor::Row(table, key) => (table, key, None),
            Anchor::Cell(table, key, column) => (table, key, Some(column)),
        };
        let column = column.map_or_else(String::new, |column| format!(", {column}"));
        (!is_shown(table, key)).then(|| Some(seen(format!("{table} {}{column}", key_text(key)))))
    });
    (whole, elsewhere)
}

/// The threads whose first comment is about something that `wanted` gives words for.
fn threads(judged: &Judged, talk: Option<&Talk>, wanted: impl Fn(&Anchor) -> Option<Option<ShownValue>>) -> Vec<Thread> {
    let comments = &judged.proposal.comments;
    let last = judged.proposal.revisions.len() as u64;
    let line = |(at, comment): (usize, &Comment)| CommentLine {
        number: at as u64 + 1,
        actor: comment.actor.clone(),
        at: moment(comment.at),
        revision: Some(comment.remark.revision).filter(|revision| *revision < last),
        text: ShownValue::of_text(&comment.remark.text, Room::Page),
    };
    let mut threads = Vec::new();
    for (at, first) in comments.iter().enumerate().filter(|(_, comment)| comment.remark.reply_to.is_none()) {
        let Some(about) = wanted(&first.remark.anchor) else { continue };
        let number = at as u64 + 1;
        let of_thread = comments.iter().enumerate().filter(|(index, _)| begins(comments, *index) == number);
        threads.push(Thread { first: number, about, comments: of_thread.map(line).collect(), talk: talk.cloned() });
    }
    threads
}

/// The number of the comment that began a comment's thread.
fn begins(comments: &[Comment], mut index: usize) -> u64 {
    // An answer is to an earlier comment, so this ends.
    while let Some(to) = comments[index].remark.reply_to.map(|to| to as usize).filter(|to| (1..=index).contains(to)) {
        index = to - 1;
    }
    index as u64 + 1
}

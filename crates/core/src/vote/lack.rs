//! What is missing before a proposal may be merged, in words.
//!
//! Invariant: what is missing for every table alike is said once, without naming them.
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{borrow::Cow, format};

/// One thing that is missing for a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// They rejected it, and may block by that.
    Veto(Vec<String>),
    /// They rejected it, and anybody's rejection blocks.
    AnyVeto(Vec<String>),
    /// They rejected it, and nobody may.
    Unanimity(Vec<String>),
    /// Only owners vote, and the policy names none.
    NoOwners,
    /// So many approvals.
    Approvals(usize),
    /// So many approvals more than that many rejections ask for.
    Majority(usize, usize),
    /// So many approvals, for two thirds beside that many rejections.
    TwoThirds(usize, usize),
    /// So many votes of a quorum.
    Quorum(usize, usize),
    /// Whoever may vote, for a quorum that is a share of them.
    Electorate,
    /// An approval by one of these owners.
    Owner(Vec<String>),
    /// An approval by an owner, where none of these may give it.
    AbsentOwner(Vec<String>),
}

impl Lack {
    /// The line for a place like `table price`; the empty one is everywhere.
    fn line(&self, at: &str) -> String {
        let place = |before: &str| if at.is_empty() { String::new() } else { format!(" {before} {at}") };
        let (to, of) = (place("for"), place("of"));
        match self {
            Lack::Veto(names) => format!("rejected by {}, who may veto{}", names.join(", "), place("changes of")),
            Lack::AnyVeto(names) => format!("rejected by {}, and any rejection blocks{}", names.join(", "), place("changes of")),
            Lack::Unanimity(names) => format!("rejected by {}, and nobody may be against it{to}", names.join(", ")),
            Lack::NoOwners => format!("only owners{of} vote, and there are none"),
            Lack::Approvals(n) => format!("{}{to}", needed(*n, "approval")),
            Lack::Majority(n, against) => format!("{}{to}, as {}", needed(*n, "approval"), rejecting(*against)),
            Lack::TwoThirds(n, against) => format!("{}{to} for two thirds, as {}", needed(*n, "approval"), rejecting(*against)),
            Lack::Quorum(n, of) => format!("{}{to} for the quorum of {of}", needed(*n, "vote")),
            Lack::Electorate => format!("a share of those who may vote is needed as quorum{to}, and who they are is not known here"),
            Lack::Owner(names) => format!("an owner{of} must approve: {}", names.join(", ")),
            Lack::AbsentOwner(names) => format!("an owner{of} must approve, and none of {} may", names.join(", ")),
        }
    }
}

fn needed(n: usize, what: &str) -> String {
    if n == 1 { format!("1 more {what} is needed") } else { format!("{n} more {what}s are needed") }
}

fn rejecting(n: usize) -> Cow<'static, str> {
    if n == 1 { "1 rejects it".into() } else { format!("{n} reject it").into() }
}

fn called(tables: &[&str]) -> String {
    if let [one] = tables { format!("table {one}") } else { format!("tables {}", tables.join(", ")) }
}

/// The lines for tables and what each of them lacks.
pub(super) fn lines(tables: &[String], lacks: &[&[Lack]]) -> Vec<String> {
    let mut seen: Vec<&Lack> = Vec::new();
    for lack in lacks.iter().flat_map(|lacks| lacks.iter()) {
        if !seen.contains(&lack) {
            seen.push(lack);
        }
    }
    let line = |lack: &Lack| {
        let named: Vec<&str> = tables.iter().zip(lacks).filter(|(_, l)| l.contains(lack)).map(|(t, _)| t.as_str()).collect();
        let place = match named.as_slice() {
            all if all.len() == tables.len() => String::new(),
            [""] => "the dataset".to_string(),
            ["", some @ ..] => format!("the dataset and {}", called(some)),
            some => called(some),
        };
        lack.line(&place)
    };
    seen.into_iter().map(line).collect()
}

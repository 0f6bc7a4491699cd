//! `mainstem conflicts`.
use crate::catalog::Catalog;
use crate::conflict_choice::ConflictFilter;
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{Output, Paint};
use crate::plain_text::{self, Extent, count, moment, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::replica::Replica;
use mainstem_core::conflict::{Claim, Conflict, ConflictKind, Side};
use serde_json::json;
use std::collections::BTreeMap;

/// Lists conflicts: two sides that cannot both hold
///
/// "ours" is the side that came in, "theirs" the one that was there. Both stay in the record for ever.
///
/// Examples:
///   mainstem conflicts
///   mainstem conflicts --table artist --kind update_update
///   mainstem conflicts --state all --json
///   mainstem conflicts --report
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Conflicts {
    #[command(flatten)]
    filter: ConflictFilter,
    /// Which state [default: open; with --report: all]
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<State>,
    /// Show counts by kind, table, strategy and winner instead
    #[arg(long)]
    report: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waiting for an answer
    Open,
    /// Answered by a person or a strategy
    Resolved,
    /// Both
    All,
}

impl Conflicts {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let state = self.state.unwrap_or(if self.report { State::All } else { State::Open });
        let mut found = opened.replica.conflicts(state == State::Open)?;
        found.retain(|c| self.filter.keeps(c) && (state != State::Resolved || !c.is_open()));
        let out = &mut session.out;
        if self.report {
            return show_report(out, &found);
        }
        if out.is_json() {
            let mut catalog = Catalog::open(&opened.path)?;
            let shown = found.iter().map(|c| Ok(json::conflict(c, &catalog.key_columns(&c.table, c.key.len())?)));
            let shown = shown.collect::<Result<Vec<_>>>()?;
            out.json(&shown.into())?;
            return Ok(Exit::Done);
        }
        found.iter().try_for_each(|c| tell(out, c))?;
        match found.iter().find(|c| c.is_open()) {
            Some(first) => {
                let command = out.suggest(&format!("mainstem resolve {} --ours", json::conflict_id(first.id)));
                out.line(format_args!("answer one with: {command} (or {})", other_choices(first)))?;
            }
            None if found.is_empty() && state == State::Open => {
                out.line(format_args!("no open conflicts; all: {}", out.suggest("mainstem conflicts --state all")))?;
            }
            None if found.is_empty() => out.line("no conflicts")?,
            None => {}
        }
        Ok(Exit::Done)
    }
}

/// The choices beside `--ours` that can answer this conflict.
pub fn other_choices(conflict: &Conflict) -> &'static str {
    match (&conflict.column, conflict.kind) {
        (_, ConflictKind::Schema) => "--theirs",
        (Some(_), _) => "--theirs, --base, --merged, --value V",
        (None, ConflictKind::Unique) => "--theirs, --value V",
        (None, _) => "--theirs, --base",
    }
}

/// The place a conflict is about, in one line.
pub fn place(conflict: &Conflict) -> String {
    let column = conflict.column.as_ref().map_or(String::new(), |c| format!(" {}", name(c)));
    format!("{} {}{column}", name(&conflict.table), plain_text::key(&conflict.key))
}

fn tell(out: &mut Output, conflict: &Conflict) -> Result<()> {
    let id = out.paint(Paint::Heading, json::conflict_id(conflict.id));
    let detail = if conflict.detail.is_empty() { String::new() } else { format!(": {}", name(&conflict.detail)) };
    let (kind, strategy) = (conflict.kind.name(), name(&conflict.strategy));
    out.line(format_args!("{id}  {kind}  {}{detail}  (version {}, {strategy})", place(conflict), conflict.version))?;
    out.line(format_args!("    base:   {}", claim(&conflict.base)))?;
    out.line(format_args!("    ours:   {}", side(&conflict.ours)))?;
    out.line(format_args!("    theirs: {}", side(&conflict.theirs)))?;
    if let Some(answer) = &conflict.answer {
        let by = answer.actor.as_deref().map_or("the strategy".to_string(), name);
        out.line(format_args!("    answered: {} by {by}, {}", answer.choice.name(), moment(answer.at)))?;
    }
    Ok(())
}

fn side(side: &Side) -> String {
    format!("{}  ({}, {})", claim(&side.claim), name(&side.actor), moment(side.stamp.time))
}

/// A claim in one line.
pub fn claim(claim: &Claim) -> String {
    match claim {
        Claim::Cell(value) => plain_text::value(value, Extent::Full),
        Claim::Row(None) => "no row".into(),
        Claim::Row(Some(image)) => {
            let cells = image.iter().map(|(c, v)| format!("{}: {}", name(c), plain_text::value(v, Extent::Short)));
            cells.collect::<Vec<_>>().join(", ")
        }
    }
}

fn show_report(out: &mut Output, found: &[Conflict]) -> Result<Exit> {
    let counted = |key: fn(&Conflict) -> String| {
        found.iter().fold(BTreeMap::<String, u64>::new(), |mut counts, c| {
            *counts.entry(key(c)).or_default() += 1;
            counts
        })
    };
    let winner = |c: &Conflict| c.answer.as_ref().map_or("open".to_string(), |a| a.choice.name().to_string());
    let open = found.iter().filter(|c| c.is_open()).count();
    let groups = [
        ("by_kind", counted(|c| c.kind.name().to_string())),
        ("by_table", counted(|c| c.table.clone())),
        ("by_strategy", counted(|c| c.strategy.clone())),
        ("by_winner", counted(winner)),
    ];
    if out.is_json() {
        let mut shown = json!({ "total": found.len(), "open": open });
        groups.into_iter().for_each(|(group, counts)| shown[group] = json!(counts));
        out.json(&shown)?;
        return Ok(Exit::Done);
    }
    out.line(format_args!("{}, {open} open", count(found.len() as u64, "conflict", "conflicts")))?;
    for (group, counts) in groups {
        out.line(group.replace('_', " "))?;
        for (what, n) in counts {
            out.line(format_args!("    {n:>6}  {}", name(&what)))?;
        }
    }
    Ok(Exit::Done)
}

//! `mainstem policy`.
use crate::exit_codes::Exit;
use crate::output::{Output, note};
use crate::policy_edit;
use crate::wiring::{Opened, Session};
use mainstem::gates;
use mainstem::policy_text;
use mainstem::primary::Primary;
use mainstem::replica::Standing;
use mainstem::{Error, Result};
use serde_json::json;

/// Shows or changes the rules by which edits combine
///
/// A key names the dataset, a table or a column; the nearest one wins. Before publish the policy is kept in this file.
///
/// Keys:
///   strategy         how two edits of a cell combine: last-write-wins (as it comes), primary-wins, replica-wins,
///                    manual, priority, text, counter, max, min, set, list, json, strict
///   deletes          a delete against an edit: manual (as it comes), delete-wins, update-wins, last-write-wins
///   mode             direct (as it comes) or review
///   delimiter        what separates the parts of a set or list that is not JSON (columns)
///   priority_column  the column that ranks rows for priority (dataset and tables)
///   tombstones       days that deletions are remembered (90, as it comes), or forever (dataset and tables)
///   soft_delete      the column by which an app marks rows as deleted (dataset and tables)
///   history          days that row changes of old versions are kept, or forever (as it comes) (dataset)
///   replicas         days after which a replica that was not seen holds nothing back (as tombstones) (dataset)
///   priority_actors, priority_replicas, clock_skew_ms_max    (dataset)
///   gates.NAME       what must hold of the rows after a merge: all its keys in braces, as below, or one with
///                    gates.NAME.KEY. Keys: rule (not-null, in-set, range, pattern, length, json-schema, relation,
///                    unique, foreign-key, row-count, no-rows), table, column, columns, min, max, values, pattern,
///                    schema, relation, other, references, references_columns, sql, severity (block, warn),
///                    rows (all, changed), time_limit_ms
///
/// Examples:
///   mainstem policy show
///   mainstem policy set strategy last-write-wins
///   mainstem policy set recipe.note.strategy text
///   mainstem policy set gates.named '{ rule = "not-null", table = "recipe", column = "title" }'
///   mainstem policy set gates.named.severity warn
///   mainstem policy edit
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Policy {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Show the policy in force
    Show,
    /// Set one key: strategy, recipe.strategy, recipe.title.strategy; also deletes, mode, priority_column and others
    Set {
        /// The key, with dots
        #[arg(value_name = "KEY")]
        key: String,
        /// The value
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Open the policy in $VISUAL or $EDITOR
    Edit,
}

impl Policy {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let mut primary = match &opened.standing.remote {
            Some(_) => reach(session, &opened.standing, self.action.is_none() || matches!(self.action, Some(Action::Show)))?,
            None => None,
        };
        let before = match &mut primary {
            Some(primary) => primary.describe()?.policy,
            None => opened.standing.policy.clone(),
        };
        let after = match self.action.as_ref().unwrap_or(&Action::Show) {
            Action::Show => return show(&mut session.out, &before),
            Action::Set { key, value } => policy_text::set(&before, key, value).map_err(hinted)?,
            Action::Edit => policy_edit::edit(&before)?,
        };
        if after == before {
            return tell(session, &after, "the policy is as it was");
        }
        note_unknown_names(&opened, &before, &after)?;
        match primary {
            Some(mut primary) => {
                primary.set_policy(&after, &session.actor(&opened.standing)?)?;
                tell(session, &after, "the policy is set; replicas hear of it with their next sync")
            }
            None => {
                opened.replica.set_policy(&after)?;
                tell(session, &after, "the policy is set; publish takes it along")
            }
        }
    }
}

/// The primary; none, with a word about it, where it cannot be reached and what was last heard of it is enough.
fn reach(session: &Session, standing: &Standing, is_enough: bool) -> Result<Option<Box<dyn Primary>>> {
    match session.primary_of(standing) {
        Ok(primary) => Ok(Some(primary)),
        Err(e) if is_enough => {
            note(format!("{}; this is the policy as of version {}", e.message, standing.base_version));
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

/// Says which names that were not in the policy before are not in the database: they may be of the future, or mistyped.
fn note_unknown_names(opened: &Opened, before: &str, after: &str) -> Result<()> {
    let schema = opened.replica.schema()?;
    let (before, after) = (policy_text::parse(before)?, policy_text::parse(after)?);
    for gate in after.gates().iter().filter(|gate| !before.gates().contains(gate)) {
        gates::misfit(&schema, gate)
            .into_iter()
            .for_each(|why| note(format!("{why}; until then the gate {} blocks every merge", gate.name)));
    }
    let (known, entries) = (before.entries(), after.entries());
    for entry in entries.iter().filter(|e| !known.iter().any(|k| k.path == e.path)) {
        let Some(table) = entry.path.first() else { continue };
        match (schema.table(table), entry.path.get(1)) {
            (None, _) => note(format!("no tracked table is called {table}; the rule waits for one")),
            (Some(found), Some(column)) if found.column(column).is_none() => {
                note(format!("table {table} has no column {column}; the rule waits for one"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is wrong with a key or a value is said by the policy; where to look it up is known here.
fn hinted(e: Error) -> Error {
    if e.hint.is_some() { e } else { e.hint("mainstem help policy set") }
}

fn show(out: &mut Output, text: &str) -> Result<Exit> {
    if out.is_json() {
        out.json(&json!({ "policy": text }))?;
    } else {
        out.write(format_args!("{text}"))?;
    }
    Ok(Exit::Done)
}

fn tell(session: &mut Session, text: &str, what: &str) -> Result<Exit> {
    if session.out.is_json() {
        return show(&mut session.out, text);
    }
    session.out.line(what)?;
    Ok(Exit::Done)
}

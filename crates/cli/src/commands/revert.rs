//! `mainstem revert`.
use crate::diff::{AsJson, AsText, Rendering};
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{Output, note};
use crate::plain_text::{count, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem_sqlite::replica::{Left, Reverted};
use serde_json::{Value as Json, json};

/// Takes back what one version did, as a changeset of yours
///
/// Cells that the version changed and nobody changed since are put back; deleted rows come back and inserted ones go.
/// Where somebody changed the same since, what is there stays, and a conflict says so. Schema steps are not taken back;
/// they are named. Changes that were not committed yet become a changeset of their own first.
///
/// Examples:
///   mainstem revert 12 --dry-run
///   mainstem revert 12
///   mainstem revert 12 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Revert {
    /// The version
    #[arg(value_name = "VERSION")]
    version: u64,
    /// Say what it would do, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Revert {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let mut primary = session.primary_of(&opened.standing)?;
        let actor = session.actor(&opened.standing)?;
        let out = &mut session.out;
        if self.dry_run {
            let mut rendering: Box<dyn Rendering> = if out.is_json() { Box::new(AsJson::default()) } else { Box::new(AsText) };
            if out.is_json() {
                out.write(format_args!("{{\"changes\":"))?;
            }
            rendering.begin(out)?;
            let told = opened
                .replica
                .rehearse_revert(&mut *primary, self.version, &actor, &mut |shape, change| rendering.change(out, shape, change))?;
            rendering.end(out)?;
            return show(out, self.version, &told, true);
        }
        let done = opened.replica.revert(&mut *primary, self.version, &actor)?;
        if let Some(front) = &done.committed_first {
            note(format!("what was not committed is u{} now", front.header.sequence));
        }
        show(out, self.version, &done, false)
    }
}

fn show(out: &mut Output, version: u64, reverted: &Reverted, is_rehearsal: bool) -> Result<Exit> {
    if out.is_json() {
        return show_json(out, version, reverted, is_rehearsal);
    }
    let rows = count(reverted.rows, "row", "rows");
    match (&reverted.front, is_rehearsal) {
        (Some(front), _) => {
            let next = out.suggest("mainstem push");
            out.line(format_args!("took back version {version} as u{}: {rows} (send it with: {next})", front.header.sequence))?;
        }
        (None, true) => out.line(format_args!("would take back version {version}: {rows}"))?,
        (None, false) => out.line(format_args!("nothing of version {version} is left to take back"))?,
    }
    for conflict in &reverted.conflicts {
        let place = crate::commands::conflicts::place(conflict);
        let id = if is_rehearsal { String::new() } else { format!(" {}", json::conflict_id(conflict.id)) };
        out.line(format_args!("conflict{id}: {place} ({}): what is there stays", conflict.kind.name()))?;
    }
    for Left { what, rows, why } in &reverted.left {
        let counted = if *rows > 0 { format!(" ({})", count(*rows, "row", "rows")) } else { String::new() };
        out.line(format_args!("not taken back: {}{counted}; {}", name(what), name(why)))?;
    }
    Ok(Exit::Done)
}

fn show_json(out: &mut Output, version: u64, reverted: &Reverted, is_rehearsal: bool) -> Result<Exit> {
    let left: Vec<Json> = reverted.left.iter().map(|l| json!({ "what": l.what, "rows": l.rows, "why": l.why })).collect();
    let ids: Vec<String> = reverted.conflicts.iter().map(|c| json::conflict_id(c.id)).collect();
    let fields = json!({
        "reverts": version,
        "rows": reverted.rows,
        "conflicts": ids,
        "left": left,
        "changeset": reverted.front.as_ref().map(json::unsent),
        "committed_first": reverted.committed_first.as_ref().map(json::unsent),
    });
    match is_rehearsal {
        true => out.line(format_args!(",{}", fields.to_string().trim_start_matches('{')))?,
        false => out.json(&fields)?,
    }
    Ok(Exit::Done)
}

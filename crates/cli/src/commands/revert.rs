//! `mainstem revert`.
use crate::diff::{AsJson, AsText, Rendering};
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{JsonList, Output, note};
use crate::plain_text::{count, name};
use crate::token_deeds::Whose;
use crate::wiring::{Opened, Session};
use mainstem::Result;
use mainstem::primary::Primary;
use mainstem_sqlite::replica::{Left, Reverted};
use serde_json::{Value as Json, json};

/// Takes back what one version did, or everything that was done with a token, as changesets of yours
///
/// Cells that the version changed and nobody changed since are put back; deleted rows come back and inserted ones go.
/// Where somebody changed the same since, what is there stays, and a conflict says so. Schema steps are not taken back;
/// they are named. Changes that were not committed yet become a changeset of their own first.
///
/// With --token, each version whose rows came with tokens of that label is taken back, the newest first; `mainstem log
/// --token LABEL` lists them. What a token only merged is others' work, and stays.
///
/// Examples:
///   mainstem revert 12 --dry-run
///   mainstem revert 12
///   mainstem revert --token robot --actor ben
///   mainstem revert 12 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Revert {
    /// The version
    #[arg(value_name = "VERSION", required_unless_present = "token")]
    version: Option<u64>,
    /// Every version that came with tokens of this label
    #[arg(long, value_name = "LABEL", conflicts_with = "version")]
    token: Option<String>,
    /// With --token: only this actor's
    #[arg(long, value_name = "NAME", requires = "token")]
    actor: Option<String>,
    /// Say what it would do, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Revert {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        if let Some(token) = &self.token {
            let mut primary = session.whole_primary_of(&opened.standing)?;
            let whose = Whose { token, actor: self.actor.as_deref() };
            let versions: Vec<u64> = whose.written(&mut *primary)?.iter().map(|version| version.version).collect();
            return take_back(&mut session.out, &mut opened, &mut *primary, &actor, &versions, self.dry_run);
        }
        let mut primary = session.primary_of(&opened.standing)?;
        let out = &mut session.out;
        let version = self.version.unwrap_or_default();
        if self.dry_run {
            return rehearse(out, &mut opened, &mut *primary, &actor, version);
        }
        let done = opened.replica.revert(&mut *primary, version, &actor)?;
        note_committed(&done);
        show(out, version, &done, false)
    }
}

fn note_committed(done: &Reverted) {
    if let Some(front) = &done.committed_first {
        note(format!("what was not committed is u{} now", front.header.sequence));
    }
}

fn rehearse(out: &mut Output, opened: &mut Opened, primary: &mut dyn Primary, actor: &str, version: u64) -> Result<Exit> {
    let mut rendering: Box<dyn Rendering> = if out.is_json() { Box::new(AsJson::default()) } else { Box::new(AsText) };
    if out.is_json() {
        out.write(format_args!("{{\"changes\":"))?;
    }
    rendering.begin(out)?;
    let told = opened.replica.rehearse_revert(primary, version, actor, &mut |shape, change| rendering.change(out, shape, change))?;
    rendering.end(out)?;
    show(out, version, &told, true)
}

/// Takes versions back one after the other, newest first, so that each finds what the next older one wrote.
fn take_back(
    out: &mut Output,
    opened: &mut Opened,
    primary: &mut dyn Primary,
    actor: &str,
    versions: &[u64],
    is_rehearsal: bool,
) -> Result<Exit> {
    let mut list = if out.is_json() { Some(JsonList::begin(out)?) } else { None };
    for version in versions {
        if is_rehearsal {
            match &mut list {
                Some(list) => list.push(out, &json!({ "reverts": version }))?,
                None => {
                    out.line(format_args!("would take back version {version}: {}", out.suggest(&format!("mainstem show {version}"))))?
                }
            }
            continue;
        }
        let done = opened.replica.revert(primary, *version, actor)?;
        note_committed(&done);
        match &mut list {
            Some(list) => list.push(out, &told(*version, &done))?,
            None => drop(show(out, *version, &done, false)?),
        }
    }
    if let Some(list) = list {
        list.end(out)?;
        out.line("")?;
    }
    Ok(Exit::Done)
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

fn told(version: u64, reverted: &Reverted) -> Json {
    let left: Vec<Json> = reverted.left.iter().map(|l| json!({ "what": l.what, "rows": l.rows, "why": l.why })).collect();
    let ids: Vec<String> = reverted.conflicts.iter().map(|c| json::conflict_id(c.id)).collect();
    json!({
        "reverts": version,
        "rows": reverted.rows,
        "conflicts": ids,
        "left": left,
        "changeset": reverted.front.as_ref().map(json::unsent),
        "committed_first": reverted.committed_first.as_ref().map(json::unsent),
    })
}

fn show_json(out: &mut Output, version: u64, reverted: &Reverted, is_rehearsal: bool) -> Result<Exit> {
    let fields = told(version, reverted);
    match is_rehearsal {
        true => out.line(format_args!(",{}", fields.to_string().trim_start_matches('{')))?,
        false => out.json(&fields)?,
    }
    Ok(Exit::Done)
}

//! `mainstem revert`.
use crate::commands::withdraw::decide;
use crate::diff::{AsJson, AsText, Rendering};
use crate::exit_codes::Exit;
use crate::json;
use crate::output::{JsonList, Output, note};
use crate::plain_text::{count, name};
use crate::token_deeds::Whose;
use crate::wiring::{Opened, Session};
use mainstem::Result;
use mainstem::primary::Primary;
use mainstem_core::proposal::Stage;
use mainstem_sqlite::replica::{Left, Reverted};
use serde_json::{Value as Json, json};

/// Takes back what one version did, or everything that was done with a token, as changesets of yours
///
/// Cells that the version changed and nobody changed since are put back; deleted rows come back and inserted ones go.
/// Where somebody changed the same since, what is there stays, and a conflict says so. Schema steps are not taken back;
/// they are named. Changes that were not committed yet become a changeset of their own first.
///
/// With --token, each version whose rows came with tokens of that label is taken back, the newest first; `mainstem log
/// --token LABEL` lists them. What a token only merged is others' work, and stays. Proposals that it began and that are open
/// are named, and with --withdraw closed as well.
///
/// Examples:
///   mainstem revert 12 --dry-run
///   mainstem revert 12
///   mainstem revert --token robot --actor ben
///   mainstem revert --token robot --withdraw
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
    /// With --token: withdraw its open proposals, too
    #[arg(long, requires = "token")]
    withdraw: bool,
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
            return self.all_of(session, &mut opened, &actor, token);
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

impl Revert {
    /// Everything that was done with a token, as far as it can be undone.
    fn all_of(&self, session: &mut Session, opened: &mut Opened, actor: &str, token: &str) -> Result<Exit> {
        let mut primary = session.whole_primary_of(&opened.standing)?;
        let whose = Whose { token, actor: self.actor.as_deref() };
        let done = whose.deeds(&mut *primary)?;
        let (versions, open) = (done.written(), done.open(&mut *primary)?);
        if versions.is_empty() && open.is_empty() {
            return Err(whose.nothing());
        }
        let mut list = if session.out.is_json() { Some(JsonList::begin(&mut session.out)?) } else { None };
        // What is withdrawn first cannot be merged meanwhile.
        for id in open {
            if self.withdraw && !self.dry_run {
                decide(session, opened, id, Stage::Withdrawn, &format!("taken back with everything of token {token}"))?;
            }
            self.say_open(&mut session.out, &mut list, id)?;
        }
        take_back(&mut session.out, &mut list, opened, &mut *primary, actor, &versions, self.dry_run)?;
        if let Some(list) = list {
            list.end(&mut session.out)?;
            session.out.line("")?;
        }
        Ok(Exit::Done)
    }

    fn say_open(&self, out: &mut Output, list: &mut Option<JsonList>, id: u64) -> Result<()> {
        if let Some(list) = list {
            let state = if self.withdraw && !self.dry_run { Stage::Withdrawn } else { Stage::Open };
            return list.push(out, &json!({ "proposal": id, "state": state.name() }));
        }
        match (self.withdraw, self.dry_run) {
            (true, true) => out.line(format_args!("would withdraw proposal {id}: {}", out.suggest(&format!("mainstem review {id}")))),
            (true, false) => out.line(format_args!("withdrew proposal {id}")),
            (false, _) => {
                let next = out.suggest(&format!("mainstem withdraw {id}"));
                out.line(format_args!("proposal {id} is open; --withdraw closes it as well, or: {next}"))
            }
        }
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
    list: &mut Option<JsonList>,
    opened: &mut Opened,
    primary: &mut dyn Primary,
    actor: &str,
    versions: &[u64],
    is_rehearsal: bool,
) -> Result<()> {
    for version in versions {
        if is_rehearsal {
            match list {
                Some(list) => list.push(out, &json!({ "reverts": version }))?,
                None => {
                    out.line(format_args!("would take back version {version}: {}", out.suggest(&format!("mainstem show {version}"))))?
                }
            }
            continue;
        }
        let done = opened.replica.revert(primary, *version, actor)?;
        note_committed(&done);
        match list {
            Some(list) => list.push(out, &told(*version, &done))?,
            None => drop(show(out, *version, &done, false)?),
        }
    }
    Ok(())
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

//! `mainstem config`.
use crate::exit_codes::Exit;
use crate::plain_text::name;
use crate::wiring::{Address, Opened, Session, actor_name};
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use serde_json::json;

/// Shows or sets what the replica remembers: who edits it, where its primary is
///
/// Examples:
///   mainstem config
///   mainstem config actor ann
///   mainstem config remote /mnt/team/recipes
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Config {
    /// What to show or set
    #[arg(value_enum)]
    what: Option<What>,
    /// What to set it to
    #[arg(value_name = "VALUE", requires = "what")]
    setting: Option<String>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum What {
    /// Who edits this replica
    Actor,
    /// Where its primary is
    Remote,
}

impl Config {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        match (self.what, &self.setting) {
            (Some(What::Actor), Some(typed)) => {
                let actor = actor_name(Some(typed.clone()))?;
                opened.replica.set_actor(&actor)?;
                opened.standing.actor = Some(actor);
            }
            (Some(What::Remote), Some(typed)) => set_remote(session, &mut opened, typed)?,
            _ => {}
        }
        let (actor, remote) = (&opened.standing.actor, &opened.standing.remote);
        if session.out.is_json() {
            session.out.json(&json!({ "actor": actor, "remote": remote }))?;
            return Ok(Exit::Done);
        }
        let shown = |v: &Option<String>| v.as_deref().map_or("(not set)".to_string(), name);
        if !matches!(self.what, Some(What::Remote)) {
            session.out.line(format_args!("actor   {}", shown(actor)))?;
        }
        if !matches!(self.what, Some(What::Actor)) {
            session.out.line(format_args!("remote  {}", shown(remote)))?;
        }
        Ok(Exit::Done)
    }
}

/// Remembers another address, where the same dataset is there.
fn set_remote(session: &Session, opened: &mut Opened, typed: &str) -> Result<()> {
    let remembered = Address::parse(typed)?.remembered()?;
    let description = session.primary_at(&remembered)?.describe()?;
    match opened.standing.known {
        Some(known) if known.lineage != description.lineage => {
            let message = format!("the primary in {remembered} holds another dataset ({})", name(&description.dataset));
            Err(Error::new(ErrorKind::Conflict, "other_lineage", message).hint("mainstem config remote FOLDER"))
        }
        None => {
            let message = format!("{} was not published, so it has no primary to find again", opened.standing.dataset);
            Err(Error::new(ErrorKind::Conflict, "not_published", message).hint("mainstem publish FOLDER"))
        }
        Some(_) => {
            opened.replica.set_remote(&remembered)?;
            opened.standing.remote = Some(remembered);
            Ok(())
        }
    }
}

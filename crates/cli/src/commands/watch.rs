//! `mainstem watch`.
use crate::exit_codes::Exit;
use crate::output;
use crate::sync_state;
use crate::watch::{self, Wanted, unit};
use crate::wiring::{self, Session};
use mainstem::{Error, Result};
use mainstem_sqlite::lock::WatchLock;
use std::path::PathBuf;

/// Keeps databases in sync by itself
///
/// Every commit of any program is sent, and what others send is received, as soon as it happens. While the primary cannot
/// be reached, work goes on, and it all comes together on the next contact. Ends with Ctrl-C, after the running sync.
///
/// Examples:
///   mainstem watch
///   mainstem watch app.db notes.db
///   mainstem watch folder --json
///   mainstem watch --status
///   mainstem watch app.db --install
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Watch {
    /// The databases; of a folder every tracked one [default: the one that other commands take]
    #[arg(value_name = "DATABASE")]
    databases: Vec<PathBuf>,
    /// Show how it goes, from another terminal
    #[arg(long)]
    status: bool,
    /// Print a systemd unit that does this from login on
    #[arg(long, conflicts_with = "status")]
    install: bool,
}

impl Watch {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        if self.status && self.databases.is_empty() && session.global.db.is_none() {
            sync_state::show_watched(session)?;
        } else if self.status {
            self.named(session)?.iter().try_for_each(|path| sync_state::show_one(session, path))?;
        } else if self.install {
            self.print_unit(session)?;
        } else {
            let wanted = self.named(session)?.into_iter().map(|path| wanted(session, path)).collect::<Result<_>>()?;
            watch::run(session, wanted)?;
        }
        Ok(Exit::Done)
    }

    /// The databases that are meant, each once.
    fn named(&self, session: &Session) -> Result<Vec<PathBuf>> {
        if self.databases.is_empty() {
            return Ok(vec![session.db_path()?]);
        }
        let mut named: Vec<PathBuf> = Vec::new();
        for typed in &self.databases {
            let found = if typed.is_dir() { wiring::tracked_in(typed)? } else { vec![typed.clone()] };
            named.extend(found);
        }
        let mut known = Vec::new();
        named.retain(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            let is_new = !known.contains(&real);
            known.push(real);
            is_new
        });
        Ok(named)
    }

    fn print_unit(&self, session: &mut Session) -> Result<()> {
        let cannot = |what: &str, e: std::io::Error| Error::not_found(format!("{what} cannot be found: {e}")).because(e);
        let program = std::env::current_exe().map_err(|e| cannot("this program", e))?;
        let mut paths = Vec::new();
        for path in self.named(session)? {
            wiring::remote_of(&session.replica_at(&path)?.standing)?;
            paths.push(path.canonicalize().map_err(|e| cannot(&path.display().to_string(), e))?);
        }
        let actor = session.named_actor()?;
        session.out.write(format_args!("{}", unit::text(&program, actor.as_deref(), &paths)))?;
        output::note(format_args!("save it as ~/.config/systemd/user/{}.service, then:", unit::NAME));
        output::note("systemctl --user daemon-reload");
        output::note(format_args!("systemctl --user enable --now {}", unit::NAME));
        Ok(())
    }
}

/// Looks whether a database can be watched, and takes the right to.
fn wanted(session: &Session, path: PathBuf) -> Result<Wanted> {
    let opened = session.replica_at(&path)?;
    let actor = session.actor(&opened.standing)?;
    let primary = wiring::remote_of(&opened.standing)?.to_owned();
    wiring::warn_of_place(&path);
    let lock = WatchLock::take(&path, &actor, session.around.now_ms())?;
    Ok(Wanted { path, actor, primary, lock })
}

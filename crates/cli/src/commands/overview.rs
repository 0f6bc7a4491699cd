//! What `mainstem` alone says: what it is and how to begin.
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::Result;

const TEXT: &str = "\
Mainstem: pull requests for the data you already have, offline.

Four commands to start with:
  mainstem demo                  watch two people edit one database apart and come together
  mainstem init app.db           track a database of your own; every program goes on using it
  mainstem status                see what changed
  mainstem publish ../shared     make a primary that others clone and sync with

All commands: mainstem help. One command: mainstem help sync.";

/// Shows the overview.
pub fn run(session: &mut Session) -> Result<Exit> {
    session.out.line(TEXT)?;
    Ok(Exit::Done)
}

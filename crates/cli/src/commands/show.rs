//! `mainstem show`.
use crate::changeset_source::VersionPages;
use crate::changeset_view::View;
use crate::diff::FormArguments;
use crate::exit_codes::Exit;
use crate::past_rows;
use crate::wiring::{Opened, Session};
use mainstem::replica::Replica;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_core::change::Front;
use mainstem_core::event::Version;

/// Shows one version or unsent changeset, cell by cell, or what a table or row was at a version
///
/// Versions are named by their number, changesets that were not sent u1, u2 and so on, as `mainstem log` lists them. With
/// --at, tables and columns are those of that version: what was renamed or dropped since is shown as it was. Rows come
/// in the order of their keys, those that were changed since then at the end.
///
/// Examples:
///   mainstem show 12
///   mainstem show --at 12
///   mainstem show --at 12 artist
///   mainstem show --at 12 artist 276
///   mainstem show u3
///   mainstem show 12 --sql
///   mainstem show 12 --html -o version12.html
///   mainstem show 12 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Show {
    /// A version, or an unsent changeset; with --at, a table
    #[arg(value_name = "ID", required_unless_present = "at")]
    id: Option<String>,
    /// With --at: one row of the table
    #[arg(value_name = "KEY", requires = "at", allow_hyphen_values = true)]
    key: Option<String>,
    /// Show what a table or row was at this version; without a table, how many rows each had
    #[arg(long, value_name = "VERSION")]
    at: Option<u64>,
    #[command(flatten)]
    form: FormArguments,
}

/// A version's number, or an unsent changeset's sequence number or write id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// A version.
    Version(u64),
    /// A changeset of this replica, by its sequence number.
    Unsent(u64),
    /// A changeset of this replica, by its write id.
    Written(u128),
}

impl std::str::FromStr for Id {
    type Err = String;
    fn from_str(typed: &str) -> std::result::Result<Self, String> {
        let is_write_id = typed.len() == 32 && typed.bytes().all(|b| b.is_ascii_hexdigit());
        if is_write_id {
            return u128::from_str_radix(typed, 16).map(Id::Written).map_err(|e| e.to_string());
        }
        let number = |digits: &str| digits.parse().map_err(|_| "give a version such as 12, or an unsent changeset such as u3");
        match typed.strip_prefix('u') {
            Some(digits) => Ok(Id::Unsent(number(digits)?)),
            None => Ok(Id::Version(number(typed)?)),
        }
    }
}

impl Show {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        if let Some(at) = self.at {
            return past_rows::show(session, &mut opened, at, self.id.as_deref(), self.key.as_deref());
        }
        let typed = self.id.as_deref().unwrap_or_default();
        let refused = |why| Error::new(ErrorKind::Invalid, "usage", format!("invalid value '{typed}' for '<ID>': {why}"));
        let id = typed.parse::<Id>().map_err(|why| refused(why).hint("mainstem help show"))?;
        if let Id::Version(number) = id {
            let (version, pages) = version(session, &opened, number)?;
            return View::of_version(&version, Box::new(pages)).show(session, &self.form);
        }
        let front = unsent(&mut opened, id)?;
        let called = format!("u{} (not sent)", front.header.sequence);
        let pages = opened.replica.pages(front.header.write_id)?;
        View::of_changeset(&called, &front, pages).show(session, &self.form)
    }
}

/// A version and its pages, from the primary.
pub fn version(session: &Session, opened: &Opened, number: u64) -> Result<(Version, VersionPages)> {
    let mut primary = session.primary_of(&opened.standing)?;
    match primary.version(number)? {
        Some(version) => Ok((version.clone(), VersionPages::new(primary, version))),
        None => {
            let message = format!("{} has no version {number}", opened.standing.dataset);
            Err(Error::not_found(message).hint("mainstem log"))
        }
    }
}

/// The unsent changeset of that name.
pub fn unsent(opened: &mut Opened, id: Id) -> Result<Front> {
    let is_meant = |front: &Front| match id {
        Id::Written(write_id) => front.header.write_id == write_id,
        Id::Unsent(sequence) => front.header.sequence == sequence,
        Id::Version(_) => false,
    };
    let found = opened.replica.unsent()?.into_iter().find(is_meant);
    found.ok_or_else(|| Error::not_found("no unsent changeset has that name").hint("mainstem log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_versions_unsent_or_write_ids() {
        assert_eq!("12".parse(), Ok(Id::Version(12)));
        assert_eq!("u3".parse(), Ok(Id::Unsent(3)));
        assert_eq!("0123456789abcdef0123456789abcdef".parse(), Ok(Id::Written(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef)));
        for wrong in ["", "u", "-1", "v3", "u-1", "1.5"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}

//! `mainstem notices`.
use crate::access_view as view;
use crate::commands::access::accounts;
use crate::exit_codes::Exit;
use crate::wiring::Session;
use mainstem::{Error, Result};
use mainstem_http::address::Address;

/// Lists what concerns you on a server: proposals that want your vote, yours that may be merged, conflicts about your edits
///
/// Examples:
///   mainstem notices
///   mainstem notices https://data.example.org
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Notices {
    /// The server: http(s)://HOST:PORT [default: that of this copy's primary]
    address: Option<String>,
}

impl Notices {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let address = match &self.address {
            Some(address) => Address::parse_server(address)?,
            None => own(session)?,
        };
        view::notices(&mut session.out, &accounts(address)?.get(&["notices"])?)?;
        Ok(Exit::Done)
    }
}

/// The server that a copy syncs with.
fn own(session: &Session) -> Result<Address> {
    let opened = session.replica()?;
    let Some(remote) = &opened.standing.remote else {
        return Err(Error::invalid("this database has no primary yet").hint("mainstem notices https://HOST:PORT"));
    };
    let is_server = remote.starts_with("http://") || remote.starts_with("https://");
    if !is_server {
        let message = format!("{remote} is no server, and tells nobody what concerns them");
        return Err(Error::invalid(message).hint("mainstem proposals, or mainstem conflicts"));
    }
    Address::parse(remote)
}

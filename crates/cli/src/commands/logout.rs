//! `mainstem logout`.
use crate::credentials::{self, Store};
use crate::exit_codes::Exit;
use crate::known_servers;
use crate::output::note;
use crate::wiring::Session;
use mainstem::{Error, Result};
use mainstem_http::address::Address;
use mainstem_http::client::{HttpAccounts, Patience};
use serde_json::json;

/// Revokes the token that is kept for a server, and forgets it
///
/// Examples:
///   mainstem logout https://data.example.org
///   mainstem logout https://data.example.org --keep-valid
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Logout {
    /// The server: http(s)://HOST:PORT
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Only forget the token here; wherever else it is kept, it goes on working
    #[arg(long)]
    keep_valid: bool,
}

impl Logout {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let address = Address::parse_server(&self.address)?;
        let (server, store) = (address.server(), Store::must()?);
        let token = credentials::token_for(&server)?;
        let token = token.ok_or_else(|| Error::not_found(format!("no token is kept for {server}")).hint("mainstem login ADDRESS"))?;
        let mut is_revoked = false;
        if !self.keep_valid {
            let accounts = HttpAccounts::new(address, Some(token), Patience::default())?;
            match accounts.trusting(known_servers::trust()).delete(&["tokens", "current"]) {
                Ok(_) => is_revoked = true,
                Err(e) if e.code == "unauthenticated" => note("the server did not know the token any more"),
                Err(e) => return Err(e.hint("mainstem logout ADDRESS --keep-valid forgets it here all the same")),
            }
        }
        store.forget(&server)?;
        if session.out.is_json() {
            session.out.json(&json!({ "server": server, "is_revoked": is_revoked }))?;
        } else {
            session.out.line(format_args!("logged out of {server}"))?;
        }
        Ok(Exit::Done)
    }
}

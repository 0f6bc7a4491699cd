//! `mainstem login`.
use crate::credentials::{self, Store};
use crate::exit_codes::Exit;
use crate::known_servers;
use crate::plain_text::name;
use crate::terminal;
use crate::wiring::{Session, actor_name};
use mainstem::token::Secret;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_http::address::Address;
use mainstem_http::client::{HttpAccounts, Patience};
use serde_json::json;

/// Keeps a token for a server, which is asked for, or read from standard input or MAINSTEM_TOKEN
///
/// With the setup token that a new server prints, it makes the first administrator, called as --as says.
///
/// Examples:
///   mainstem login https://data.example.org
///   mainstem login https://data.example.org < token.txt
///   mainstem login http://127.0.0.1:7430 --as ann
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Login {
    /// The server: http(s)://HOST:PORT
    #[arg(value_name = "ADDRESS")]
    address: String,
}

impl Login {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let address = Address::parse_server(&self.address)?;
        let store = Store::must()?;
        let mut secret = match credentials::from_environment()? {
            Some(secret) => secret,
            None => credentials::read(&terminal::secret(&format!("token for {}: ", address.server()))?)?,
        };
        if secret.is_setup() {
            let actor = match session.named_actor()? {
                Some(actor) => actor,
                None => actor_name(Some(terminal::line("your name: ")?))?,
            };
            secret = credentials::read(&accounts(&address, &secret)?.set_up(&actor, "login")?)?;
        }
        let me = accounts(&address, &secret)?.get(&["me"]).map_err(|e| named(e, &self.address))?;
        store.put(&address.server(), &secret)?;
        let actor = me["actor"].as_str().unwrap_or("nobody").to_string();
        if session.out.is_json() {
            session.out.json(&json!({ "server": address.server(), "actor": actor, "file": store.path().display().to_string() }))?;
        } else {
            session.out.line(format_args!("logged in to {} as {}", address.server(), name(&actor)))?;
        }
        Ok(Exit::Done)
    }
}

fn accounts(address: &Address, secret: &Secret) -> Result<HttpAccounts> {
    let accounts = HttpAccounts::new(address.clone(), Some(secret.reveal().to_string()), Patience::default())?;
    Ok(accounts.trusting(known_servers::trust_with(address, Some(secret.reveal()))))
}

/// What answers may be no server of ours, or one with a dataset's name behind its address.
fn named(error: Error, typed: &str) -> Error {
    match error.kind {
        ErrorKind::Denied => error.hint("ask an administrator of the server for a new token"),
        ErrorKind::NotFound | ErrorKind::Unavailable if error.code != "unavailable" => {
            error.hint(format!("look whether {typed} is the server's address, without a dataset"))
        }
        _ => error,
    }
}

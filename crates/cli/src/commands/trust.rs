//! `mainstem trust`.
use crate::exit_codes::Exit;
use crate::known_servers;
use crate::terminal;
use crate::wiring::Session;
use mainstem::{Error, Result};
use mainstem_core::ErrorKind;
use mainstem_http::address::Address;
use mainstem_http::client::{Patience, shown_by};
use mainstem_http::fingerprint::Fingerprint;
use serde_json::json;
use std::io::IsTerminal;

/// Recognises a server by its certificate from now on, where nobody vouches for it
///
/// The server prints its certificate's fingerprint when it begins (`mainstem serve --tls-own`). Without --fingerprint, what
/// the server shows is shown to you, to be compared with that.
///
/// Examples:
///   mainstem trust https://data.example.org:7430
///   mainstem trust https://192.0.2.7:7430 --fingerprint sha256:42cb833f…
///   mainstem trust http://data.lan:7430 --insecure-http
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Trust {
    /// The server: https://HOST:PORT, with or without a dataset
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The fingerprint that the server's certificate has to have
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
}

impl Trust {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let address = Address::parse_server(&self.address)?;
        let (trust, origin) = (known_servers::trust(), address.origin());
        if !address.is_secret {
            return self.open(session, &origin);
        }
        let shown = shown_by(&address, &known_servers::trust().ways, Patience::default())?;
        match self.fingerprint.as_deref().map(Fingerprint::parse).transpose()? {
            Some(wanted) if wanted != shown => {
                let message = format!("{origin} shows a certificate with another fingerprint: {shown}");
                return Err(
                    Error::new(ErrorKind::Denied, "untrusted", message).hint("ask whoever runs it, and trust none until it is that one")
                );
            }
            Some(_) => {}
            None => confirmed(&origin, shown)?,
        }
        trust.pin(&origin, shown)?;
        if session.out.is_json() {
            session.out.json(&json!({"server": origin, "fingerprint": shown.to_string()}))?;
        } else {
            session.out.line(format_args!("{origin} is recognised by {shown} from now on"))?;
        }
        Ok(Exit::Done)
    }

    fn open(&self, session: &mut Session, origin: &str) -> Result<Exit> {
        if !session.global.insecure_http || self.fingerprint.is_some() {
            let message = format!("{origin} shows no certificate: whoever is on the way can be it, and read what is sent");
            return Err(Error::new(ErrorKind::Denied, "open_line", message)
                .hint("use https://; where the network itself is safe: mainstem trust ADDRESS --insecure-http"));
        }
        known_servers::trust().allow_open(origin)?;
        if session.out.is_json() {
            session.out.json(&json!({"server": origin, "fingerprint": null}))?;
        } else {
            session.out.line(format_args!("tokens go to {origin} from now on, though anybody on the way can read them"))?;
        }
        Ok(Exit::Done)
    }
}

fn confirmed(origin: &str, shown: Fingerprint) -> Result<()> {
    let unsure = |message: String| {
        Error::new(ErrorKind::Denied, "untrusted", message)
            .hint(format!("where that is right: mainstem trust {origin} --fingerprint {shown}"))
    };
    if !std::io::stdin().is_terminal() {
        return Err(unsure(format!("{origin} shows a certificate with the fingerprint {shown}, and nobody is here to compare it")));
    }
    let question = format!("{origin} shows a certificate with the fingerprint\n  {shown}\nIs it what the server printed? (yes or no) ");
    if terminal::line(&question)? == "yes" { Ok(()) } else { Err(unsure(format!("{origin} is not trusted"))) }
}

//! `mainstem webhook`.
use super::access::accounts;
use crate::exit_codes::Exit;
use crate::output::Output;
use crate::plain_text::name;
use crate::wiring::Session;
use mainstem::Result;
use mainstem_http::address::Address;
use mainstem_http::client::HttpAccounts;
use serde_json::{Value as Json, json};

/// Sends each accepted change of a dataset on a server to an address of yours
///
/// Deliveries are signed, tried again where they fail, and after many attempts put aside, where they are listed and can be sent
/// again. Only an owner of the dataset may do this.
///
/// Examples:
///   mainstem webhook add https://data.example.org/team https://hooks.example.net/changes
///   mainstem webhook list https://data.example.org/team
///   mainstem webhook dead https://data.example.org/team 0123456789abcdef
///   mainstem webhook replay https://data.example.org/team 0123456789abcdef 7
///   mainstem webhook remove https://data.example.org/team 0123456789abcdef
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Webhook {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Args, Debug)]
struct OnDataset {
    /// The dataset: http(s)://HOST:PORT/DATASET
    #[arg(value_name = "ADDRESS")]
    address: String,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Lists them, and how far each has been told
    List(OnDataset),
    /// Adds one; the key that deliveries are signed with is shown this once
    Add {
        #[command(flatten)]
        dataset: OnDataset,
        /// Where events are sent
        url: String,
        /// Begin after this offset; otherwise with what comes
        #[arg(long, value_name = "OFFSET")]
        from: Option<String>,
    },
    /// Removes one with its dead letters
    Remove {
        #[command(flatten)]
        dataset: OnDataset,
        /// Its name
        webhook: String,
    },
    /// Lists deliveries that were given up
    Dead {
        #[command(flatten)]
        dataset: OnDataset,
        /// The webhook's name
        webhook: String,
    },
    /// Sends a delivery again that was given up
    Replay {
        #[command(flatten)]
        dataset: OnDataset,
        /// The webhook's name
        webhook: String,
        /// The number of the delivery
        letter: u64,
    },
}

impl Webhook {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let out = &mut session.out;
        match &self.what {
            What::List(dataset) => {
                let (mut line, of) = dataset.line()?;
                list(out, &line.get(&["datasets", &of, "webhooks"])?, "no webhooks", webhook_line)?;
            }
            What::Add { dataset, url, from } => {
                let (mut line, of) = dataset.line()?;
                let mut wanted = json!({ "url": url });
                if let Some(from) = from {
                    wanted["from"] = from.as_str().into();
                }
                added(out, &line.post(&["datasets", &of, "webhooks"], &wanted)?)?;
            }
            What::Remove { dataset, webhook } => {
                let (mut line, of) = dataset.line()?;
                line.delete(&["datasets", &of, "webhooks", webhook])?;
                done(out, &json!({ "removed": webhook }), "removed")?;
            }
            What::Dead { dataset, webhook } => {
                let (mut line, of) = dataset.line()?;
                list(out, &line.get(&["datasets", &of, "webhooks", webhook, "dead-letters"])?, "no dead letters", letter_line)?;
            }
            What::Replay { dataset, webhook, letter } => {
                let (mut line, of) = dataset.line()?;
                line.post(&["datasets", &of, "webhooks", webhook, "dead-letters", &letter.to_string(), "replay"], &json!({}))?;
                done(out, &json!({ "replayed": letter }), "taken")?;
            }
        }
        Ok(Exit::Done)
    }
}

impl OnDataset {
    fn line(&self) -> Result<(HttpAccounts, String)> {
        let address = Address::parse(&self.address)?;
        let dataset = address.dataset.clone();
        Ok((accounts(address)?, dataset))
    }
}

fn text(of: &Json, field: &str) -> String {
    name(of[field].as_str().unwrap_or_default())
}

fn webhook_line(webhook: &Json) -> String {
    let trouble = webhook["trouble"].as_str().map(|why| format!("  {}", name(why))).unwrap_or_default();
    format!("{}  {}  told up to {}{trouble}", text(webhook, "id"), text(webhook, "url"), text(webhook, "offset"))
}

fn letter_line(letter: &Json) -> String {
    let span = format!("{} events after {}", letter["events"], text(letter, "after"));
    format!("{}  {span}, {} attempts: {}", letter["id"], letter["attempts"], text(letter, "why"))
}

fn list(out: &mut Output, listed: &Json, none: &str, line: fn(&Json) -> String) -> Result<()> {
    if out.is_json() {
        return out.json(listed);
    }
    let items = listed["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        return out.line(none);
    }
    items.iter().try_for_each(|item| out.line(line(item)))
}

fn added(out: &mut Output, made: &Json) -> Result<()> {
    if out.is_json() {
        return out.json(made);
    }
    out.line(format_args!("webhook {}", text(made, "id")))?;
    out.line(format_args!("deliveries are signed with this key, which is shown this once: {}", text(made, "key")))
}

fn done(out: &mut Output, shown: &Json, said: &str) -> Result<()> {
    if out.is_json() { out.json(shown) } else { out.line(said) }
}

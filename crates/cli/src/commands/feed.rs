//! `mainstem feed`.
use crate::exit_codes::Exit;
use crate::output;
use crate::wiring::{self, Session};
use mainstem::Result;
use mainstem::feed::{self, Offset};
use mainstem::ledger::Head;
use mainstem::primary::Primary;
use mainstem::watch::Trouble;
use std::time::Duration;

/// How long one wait for news lasts.
const WAIT_MS: u64 = 25_000;

/// Writes each accepted change as one line of JSON
///
/// Each line has an offset. Whoever has read up to it goes on from there with --from.
///
/// Examples:
///   mainstem feed
///   mainstem feed --from 12 --follow
///   mainstem feed https://data.example.org/team --from now --follow
///   mainstem feed ../primary --from 12.34
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Feed {
    /// The primary's folder or address; that of the replica where none is given
    address: Option<String>,
    /// The offset to begin after: 0 for the beginning, a version, an offset that was read, or now
    #[arg(long, value_name = "OFFSET", default_value = "0")]
    from: String,
    /// Go on with what comes
    #[arg(long)]
    follow: bool,
}

impl Feed {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let address = match &self.address {
            Some(address) => address.clone(),
            None => wiring::remote_of(&session.replica()?.standing)?.to_string(),
        };
        let mut at = if self.from == "now" { None } else { Some(self.from.parse::<Offset>()?) };
        let mut patience = wiring::patience(&address);
        loop {
            let Err(e) = self.tell(session, &address, &mut at, &mut patience) else { return Ok(Exit::Done) };
            let trouble = Trouble::from(&e);
            if !self.follow || !trouble.is_passing() || trouble.code == output::BROKEN_PIPE {
                return Err(e);
            }
            output::note(format_args!("{}; it is tried again", trouble.message));
            std::thread::sleep(Duration::from_millis(patience.after(&trouble, session.around.random() as u64)));
        }
    }

    /// Tells what there is, and what comes where that is wanted.
    fn tell(&self, session: &mut Session, address: &str, at: &mut Option<Offset>, patience: &mut mainstem::watch::Patience) -> Result<()> {
        let mut primary = session.primary_at(address)?;
        loop {
            let from = match *at {
                Some(from) => from,
                None => feed::now(&primary.describe()?),
            };
            *at = Some(from);
            let head = tell_all(&mut *primary, session, at)?;
            patience.reset();
            if !self.follow {
                return Ok(());
            }
            primary.wait(&head, WAIT_MS)?;
        }
    }
}

/// Writes everything after an offset, and moves it.
fn tell_all(primary: &mut dyn Primary, session: &mut Session, at: &mut Option<Offset>) -> Result<Head> {
    loop {
        let batch = feed::read(primary, &at.unwrap_or(Offset::START), feed::BATCH_MAX)?;
        for event in &batch.events {
            session.out.json(&feed::to_json(event))?;
        }
        session.out.flush()?;
        *at = Some(batch.next);
        if batch.is_last {
            return Ok(batch.head);
        }
    }
}

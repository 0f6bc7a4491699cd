//! `mainstem feed`.
use crate::exit_codes::Exit;
use crate::output;
use crate::wiring::{self, Session};
use mainstem::Result;
use mainstem::feed::{self, OfPrimary, Offset, Source};
use mainstem::watch::{Patience, Trouble};
use mainstem_sqlite::Captured;
use std::time::Duration;

/// How long one wait for news lasts.
const WAIT_MS: u64 = 25_000;

/// Writes each accepted change as one line of JSON
///
/// Each line has an offset. Whoever has read up to it goes on from there with --from. Of a database without a primary, its own
/// changes are told as they are captured.
///
/// Examples:
///   mainstem feed
///   mainstem feed --from 12 --follow
///   mainstem feed https://data.example.org/team --from now --follow
///   mainstem feed ../primary --from 12.34
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Feed {
    /// The primary's folder or address; the database's own where none is given
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
        let mut at = if self.from == "now" { None } else { Some(self.from.parse::<Offset>()?) };
        let (mut source, address) = self.source(session)?;
        let mut patience = wiring::patience(&address.unwrap_or_default());
        loop {
            let Err(e) = self.tell(session, &mut *source, &mut at, &mut patience) else { return Ok(Exit::Done) };
            let trouble = Trouble::from(&e);
            if !self.follow || !trouble.is_passing() || trouble.code == output::BROKEN_PIPE {
                return Err(e);
            }
            output::note(format_args!("{}; it is tried again", trouble.message));
            std::thread::sleep(Duration::from_millis(patience.after(&trouble, session.around.random() as u64)));
        }
    }

    /// Where events come from: a primary, or the database itself where it has none.
    fn source(&self, session: &Session) -> Result<(Box<dyn Source>, Option<String>)> {
        let address = match &self.address {
            Some(address) => address.clone(),
            None => {
                let opened = session.replica()?;
                match &opened.standing.remote {
                    Some(address) => address.clone(),
                    None => {
                        let actor = session.actor(&opened.standing)?;
                        return Ok((Box::new(Captured::open(&opened.path, &actor, session.around.clone())?), None));
                    }
                }
            }
        };
        Ok((Box::new(OfPrimary::new(session.primary_at(&address)?)), Some(address)))
    }

    /// Tells what there is, and what comes where that is wanted.
    fn tell(&self, session: &mut Session, source: &mut dyn Source, at: &mut Option<Offset>, patience: &mut Patience) -> Result<()> {
        loop {
            let from = match *at {
                Some(from) => from,
                None => source.now()?,
            };
            let batch = source.read(&from, feed::BATCH_MAX)?;
            for event in &batch.events {
                session.out.json(&feed::to_json(event))?;
            }
            session.out.flush()?;
            *at = Some(batch.next);
            patience.reset();
            match (batch.is_last, self.follow) {
                (false, _) => {}
                (true, true) => source.wait(WAIT_MS)?,
                (true, false) => return Ok(()),
            }
        }
    }
}

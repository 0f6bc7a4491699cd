//! `mainstem propose`.
use crate::exit_codes::Exit;
use crate::plain_text::count;
use crate::sync_report;
use crate::wiring::Session;
use mainstem::Result;
use mainstem::proposing::{self, Asked, Proposed, Target};
use serde_json::json;

/// Offers changes for review, as a proposal on which others vote
///
/// Where the policy says of tables that they are reviewed, their changes are offered and everything else is sent along as by
/// sync; where it says so of none that was changed, everything unsent is offered. What is offered stays in this copy. Offered
/// again after further edits, a proposal gets its next revision. A first -m is the title, further ones are paragraphs of
/// the description; without one, the title is that of the last revision, or of a commit.
///
/// Examples:
///   mainstem propose -m "Correct the autumn prices"
///   mainstem propose
///   mainstem propose --new -m "Another matter"
///   mainstem propose --all -m "Everything that is not sent yet"
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Propose {
    /// The title; again for paragraphs of the description
    #[arg(short = 'm', long = "message", value_name = "TEXT")]
    messages: Vec<String>,
    /// Make a proposal of its own, though another of this copy is open
    #[arg(long, conflicts_with = "revise")]
    new: bool,
    /// Make the next revision of this proposal
    #[arg(long, value_name = "ID")]
    revise: Option<u64>,
    /// Offer also what could be sent without review
    #[arg(long)]
    all: bool,
}

impl Propose {
    fn asked(&self) -> Asked {
        let target = match self.revise {
            Some(id) => Target::Revise(id),
            None if self.new => Target::New,
            None => Target::Fitting,
        };
        let named = self.messages.split_first().map(|(title, rest)| (title.trim().to_owned(), rest.join("\n\n")));
        let (title, description) = named.map_or((None, String::new()), |(title, rest)| (Some(title), rest));
        Asked { title, description, target, has_everything: self.all }
    }

    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        opened.replica.lock(&actor)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let mut bar = session.bar();
        let done = proposing::propose(&mut opened.replica, primary.as_mut(), &actor, &self.asked(), &mut |what, done, of| {
            bar.report(what, done, of);
        });
        drop(bar);
        show(session, &done?)
    }
}

fn show(session: &mut Session, done: &Proposed) -> Result<Exit> {
    let Proposed { proposal, revision, changes, report } = done;
    let out = &mut session.out;
    if out.is_json() {
        let mut shown = sync_report::shown(report);
        shown["proposal"] = json!(proposal);
        shown["revision"] = json!(revision);
        shown["changes"] = json!(changes);
        out.json(&shown)?;
        return Ok(Exit::Done);
    }
    if report.pushed + report.pulled > 0 {
        sync_report::tell(out, report)?;
    }
    let rows = count(*changes, "row", "rows");
    let what = if *revision == 1 { "offered".to_owned() } else { format!("offered revision {revision} of") };
    out.line(format_args!("{what} proposal {proposal}: {rows}; see it with: {}", out.suggest(&format!("mainstem review {proposal}"))))?;
    Ok(Exit::Done)
}

//! `mainstem gates`.
use crate::exit_codes::Exit;
use crate::wiring::Session;
use crate::{review_text, review_view};
use mainstem::Result;

/// Shows what the gates say of a proposal: what must hold of the rows as they would be after its merge
///
/// Ends with exit code 1 where one stands in the way. Gates are part of the policy: mainstem policy set gates.NAME.
///
/// Examples:
///   mainstem gates 3
///   mainstem gates 3 --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Gates {
    /// The proposal
    #[arg(value_name = "ID")]
    id: u64,
}

impl Gates {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let judged = review_text::found(primary.as_mut(), self.id, by)?;
        let results = match (judged.assessment, judged.proposal.version) {
            (Some(assessment), _) => assessment.gates,
            (None, Some(number)) => {
                primary.version(number)?.and_then(|version| version.review).map(|reviewed| reviewed.gates).unwrap_or_default()
            }
            (None, None) => Vec::new(),
        };
        let out = &mut session.out;
        if out.is_json() {
            out.json(&review_view::gates(&results))?;
        } else if results.is_empty() {
            out.line("no gate looks at it")?;
        } else {
            review_text::gates(out, &results, true)?;
        }
        Ok(if results.iter().any(|result| result.is_blocking()) { Exit::Found } else { Exit::Done })
    }
}

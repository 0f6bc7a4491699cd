//! `mainstem rebuild`.
use crate::exit_codes::Exit;
use crate::plain_text::{count, name};
use crate::wiring::{Address, Session};
use mainstem::Result;
use mainstem::audit::Finding;
use serde_json::json;

/// Folds everything again that a primary keeps beside its events and pages
///
/// Indexes, conflicts, digests and what else follows from the history are thrown away and made again from it, in one
/// transaction. Events and pages themselves, and rows that nothing changed since they were published, come back from a
/// backup only; they are checked. Ends with exit code 1 where stored rows are not what the history says.
///
/// Examples:
///   mainstem rebuild shared
///   mainstem rebuild shared --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Rebuild {
    /// The primary's folder
    #[arg(value_name = "PRIMARY")]
    primary: String,
}

impl Rebuild {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let address = Address::parse(&self.primary)?;
        let mut findings: Vec<Finding> = Vec::new();
        let take = &mut |finding| {
            findings.push(finding);
            Ok(())
        };
        let differed = mainstem_sqlite::primary::rebuild_primary(address.folder()?, session.around.clone(), take)?;
        let out = &mut session.out;
        if out.is_json() {
            let mended = differed.iter().map(|d| json!({ "projection": d.projection, "missing": d.missing, "extra": d.extra }));
            let wrong: Vec<&String> = findings.iter().map(|finding| &finding.what).collect();
            out.json(&json!({ "mended": mended.collect::<Vec<_>>(), "findings": wrong }))?;
        } else {
            for one in &differed {
                let (missing, extra) =
                    (count(one.missing, "row was missing", "rows were missing"), count(one.extra, "too many", "too many"));
                out.line(format_args!("mended {}: {missing}, {extra}", one.projection))?;
            }
            findings
                .iter()
                .try_for_each(|finding| out.line(format_args!("{} (restore the primary from a backup)", name(&finding.what))))?;
            out.line(if differed.is_empty() { "everything was what the history says" } else { "everything is now what the history says" })?;
        }
        Ok(if findings.is_empty() { Exit::Done } else { Exit::Found })
    }
}

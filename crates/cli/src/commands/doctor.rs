//! `mainstem doctor`.
use crate::exit_codes::Exit;
use crate::health::{Finding, State, examine};
use crate::output::Paint;
use crate::plain_text::name;
use crate::wiring::Session;
use mainstem::Result;
use serde_json::json;

/// Looks at everything that could be wrong and says what to do
///
/// Ends with exit code 1 where something failed; warnings do not count.
///
/// Examples:
///   mainstem doctor
///   mainstem --db app.db doctor
///   mainstem doctor --json
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Doctor {}

impl Doctor {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let findings = examine(session);
        let is_ok = findings.iter().all(|f| f.state != State::Fail);
        if session.out.is_json() {
            let checks: Vec<_> = findings.iter().map(shown).collect();
            session.out.json(&json!({ "ok": is_ok, "checks": checks }))?;
        } else {
            findings.iter().try_for_each(|finding| tell(session, finding))?;
        }
        Ok(if is_ok { Exit::Done } else { Exit::Found })
    }
}

fn shown(finding: &Finding) -> serde_json::Value {
    json!({
        "name": finding.name,
        "state": finding.state.name(),
        "what": finding.what,
        "advice": finding.advice,
    })
}

fn tell(session: &mut Session, finding: &Finding) -> Result<()> {
    let out = &mut session.out;
    let paint = match finding.state {
        State::Fine => Paint::Added,
        State::Warn => Paint::Changed,
        State::Fail => Paint::Removed,
    };
    let state = out.paint(paint, format!("{:4}", finding.state.name()));
    out.line(format_args!("{state}  {:12} {}", finding.name, name(&finding.what)))?;
    match &finding.advice {
        Some(advice) => out.line(format_args!("      do: {}", name(&out.suggest(advice)))),
        None => Ok(()),
    }
}

//! What `watch` says: a line for each sync that moved something, for each new conflict, and when it goes otherwise than before.
use super::worker::Ended;
use crate::commands::conflicts::place;
use crate::output::Output;
use crate::plain_text::{count, moment, moment_ms};
use crate::{json, suggestion, sync_report};
use mainstem::Result;
use mainstem::core::stamp::Time;
use mainstem::sync::Report;
use mainstem::watch::{State, Trouble};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf};

/// How many conflicts of one sync are named.
const CONFLICTS_NAMED: usize = 5;

/// Speaks of one replica.
pub struct Telling {
    path: PathBuf,
    name: String,
    noted: Vec<String>,
    told: (&'static str, Option<&'static str>),
}

impl Telling {
    /// Of the replica in that file, as it was typed.
    pub fn of(path: &Path) -> Telling {
        Telling { path: path.to_owned(), name: crate::output::one_line(&path.display().to_string()), noted: Vec::new(), told: ("", None) }
    }

    /// Tells what a sync did; nothing where it did nothing.
    pub fn synced(&mut self, out: &mut Output, ended: &Ended, at_ms: u64) -> Result<()> {
        for notice in ended.notices.iter().filter(|notice| !self.noted.contains(notice)) {
            self.say(out, at_ms, notice, json!({ "event": "note", "message": notice }))?;
        }
        self.noted.clone_from(&ended.notices);
        if ended.has_moved() {
            let mut shown = json!({ "event": "synced" });
            extend(&mut shown, sync_report::shown(&ended.report));
            self.say(out, at_ms, &summary(&self.path, &ended.report), shown)?;
        }
        for conflict in ended.conflicts.iter().take(CONFLICTS_NAMED) {
            let id = json::conflict_id(conflict.id);
            let look = suggestion::naming("mainstem conflicts", Some(&self.path));
            let mut shown = json!({ "event": "conflict" });
            extend(&mut shown, json!({ "id": id, "table": conflict.table, "column": conflict.column, "kind": conflict.kind.name() }));
            self.say(out, at_ms, &format!("conflict {id} in {}: {look}", place(conflict)), shown)?;
        }
        let rest = ended.conflicts.len().saturating_sub(CONFLICTS_NAMED) as u64;
        if rest > 0 {
            let more = count(rest, "further conflict", "further conflicts");
            self.say(out, at_ms, &more, json!({ "event": "conflicts", "further": rest }))?;
        }
        Ok(())
    }

    /// Tells how it goes from now on. That it is offline is told once, whatever the reasons are after that.
    pub fn state(&mut self, out: &mut Output, state: &State, primary: &str, at_ms: u64) -> Result<()> {
        let code = trouble(state).map(|t| t.code).filter(|_| !matches!(state, State::Offline(_)));
        if std::mem::replace(&mut self.told, (name(state), code)) == (name(state), code) {
            return Ok(());
        }
        let mut shown = json!({ "event": "state", "state": name(state), "primary": primary });
        extend(&mut shown, trouble_json(trouble(state)));
        let what = match state {
            State::Starting => "starting, with",
            State::Watching => "watching, in sync with",
            State::Offline(_) => "offline, trying again:",
            State::Blocked(_) => "blocked, trying again now and then:",
            State::Gone(_) => "gone, waiting for it:",
        };
        let Some(trouble) = trouble(state) else {
            return self.say(out, at_ms, &format!("{what} {primary}"), shown);
        };
        // What passes by itself needs nobody's hand.
        let hint = trouble.hint.as_ref().filter(|_| !matches!(state, State::Offline(_)));
        let hint = hint.map_or(String::new(), |h| format!("; hint: {}", suggestion::naming(h, Some(&self.path))));
        self.say(out, at_ms, &format!("{what} {}{hint}", trouble.message), shown)
    }

    fn say(&self, out: &mut Output, at_ms: u64, text: &str, mut shown: Json) -> Result<()> {
        if !out.is_json() {
            let text = crate::output::one_line(text);
            return out.line(format_args!("{} {}: {text}", moment(Time::from_ms(at_ms)), self.name));
        }
        extend(&mut shown, json!({ "at": moment_ms(at_ms), "database": self.path.display().to_string() }));
        out.json(&shown)
    }
}

fn extend(object: &mut Json, with: Json) {
    if let (Json::Object(object), Json::Object(with)) = (object, with) {
        object.extend(with);
    }
}

/// The stable name of a state.
pub fn name(state: &State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Watching => "watching",
        State::Offline(_) => "offline",
        State::Blocked(_) => "blocked",
        State::Gone(_) => "gone",
    }
}

/// What stands against it.
pub fn trouble(state: &State) -> Option<&Trouble> {
    match state {
        State::Starting | State::Watching => None,
        State::Offline(trouble) | State::Blocked(trouble) | State::Gone(trouble) => Some(trouble),
    }
}

/// A trouble as JSON: `code`, `message`, `hint`, each null where there is none.
pub fn trouble_json(trouble: Option<&Trouble>) -> Json {
    json!({
        "code": trouble.map(|t| t.code),
        "message": trouble.map(|t| t.message.as_str()),
        "hint": trouble.and_then(|t| t.hint.as_deref()),
    })
}

/// What a sync did, in one line.
fn summary(path: &Path, report: &Report) -> String {
    let (rows, versions) = (|n| count(n, "row", "rows"), |n| count(n, "version", "versions"));
    let look = |command: &str| suggestion::naming(command, Some(path));
    let parts = [
        (report.is_restored, format!("the primary was restored, {} offered again", versions(report.offered_again))),
        (report.is_reseeded, "began again from the primary's rows".into()),
        (report.set_aside > 0, format!("{} put aside that may not be seen here ({})", rows(report.set_aside), look("mainstem stash list"))),
        (report.edits_of_gone_rows > 0, format!("edits of {} that are gone kept as conflicts", rows(report.edits_of_gone_rows))),
        (report.reconciled > 0, format!("found {} written past capture", rows(report.reconciled))),
        (report.pushed > 0, format!("sent {}", rows(report.pushed_changes))),
        (report.pulled > 0, format!("received {}", versions(report.pulled))),
        (report.renumbered > 0, format!("{} renumbered", rows(report.renumbered))),
        (report.pending > 0, format!("{} waiting for a parent ({})", rows(report.pending), look("mainstem pending"))),
        (true, format!("now at version {}", report.version)),
    ];
    parts.into_iter().filter(|(is_so, _)| *is_so).map(|(_, what)| what).collect::<Vec<_>>().join(", ")
}

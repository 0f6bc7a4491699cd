//! How a replica stands to its primary: last sync, how far behind, what is unsent, open conflicts, and whether it is watched.
use crate::output::Output;
use crate::plain_text::{count, moment_ms, name};
use crate::suggestion;
use crate::watch::record;
use crate::wiring::{self, Opened, Session};
use mainstem::replica::{Replica, Since, Standing};
use mainstem::{Error, Result};
use serde_json::{Value as Json, json};
use std::path::Path;

/// What is known of one replica.
pub struct Known {
    standing: Standing,
    unsent_changes: u64,
    watch: Option<Json>,
    primary_version: Option<u64>,
    last_sync: Option<String>,
    failure: Option<Error>,
}

/// Shows one replica.
pub fn show_one(session: &mut Session, path: &Path) -> Result<()> {
    let mut opened = session.replica_at(path)?;
    let known = Known::look(session, &mut opened)?;
    let shown = known.json(path);
    if session.out.is_json() {
        return session.out.json(&shown);
    }
    known.tell(&mut session.out, path)
}

/// Shows every replica that this user watches.
pub fn show_watched(session: &mut Session) -> Result<()> {
    let all = record::all();
    if session.out.is_json() {
        return session.out.json(&Json::from(all));
    }
    if all.is_empty() {
        return session.out.line(format_args!("nothing is watched: {}", session.out.suggest("mainstem watch")));
    }
    for told in &all {
        let out = &mut session.out;
        out.line(name(told["database"].as_str().unwrap_or_default()))?;
        tell_watch(out, told)?;
        let version = told["version"].as_u64().map_or("none yet".into(), |v| v.to_string());
        out.line(format_args!("  version    {version}{}", behind(told["version"].as_u64(), told["primary_version"].as_u64())))?;
        out.line(format_args!("  last sync  {}", moment_of(told["last_sync"].as_str())))?;
        let open = told["conflicts_open"].as_u64().unwrap_or_default();
        if open > 0 {
            out.line(format_args!("  conflicts  {open} open: {}", look_at(told["database"].as_str().unwrap_or_default())))?;
        }
    }
    Ok(())
}

impl Known {
    /// Looks at a replica, and asks whoever knows more.
    pub fn look(session: &Session, opened: &mut Opened) -> Result<Known> {
        wiring::remote_of(&opened.standing)?;
        let mut unsent_changes = 0;
        opened.replica.changes(Since::Base, &mut |_, _| {
            unsent_changes += 1;
            Ok(())
        })?;
        let watch = opened.path.canonicalize().ok().and_then(|real| record::of(&real));
        let standing = opened.standing.clone();
        let mut known = Known { standing, unsent_changes, watch, primary_version: None, last_sync: None, failure: None };
        known.ask(session);
        Ok(known)
    }
    /// Where the primary's ledger ends, where somebody knows.
    pub fn primary_version(&self) -> Option<u64> {
        self.primary_version
    }

    /// Asks the watch, where there is one that hears the primary, or the primary.
    fn ask(&mut self, session: &Session) {
        if let Some(told) = self.watch.as_ref().filter(|told| told["state"] == "watching") {
            self.primary_version = told["primary_version"].as_u64();
            self.last_sync = told["last_sync"].as_str().map(String::from);
            return;
        }
        let me = self.standing.replica;
        let asked = session.primary_of(&self.standing).and_then(|mut primary| {
            let head = primary.describe()?.head.version;
            let seen = primary.replicas()?.into_iter().find(|known| known.seen.replica == me);
            Ok((head, seen.map(|known| moment_ms(known.at.ms()))))
        });
        match asked {
            Ok((head, seen)) => (self.primary_version, self.last_sync) = (Some(head), seen),
            Err(e) => self.failure = Some(e),
        }
        let told = self.watch.as_ref().and_then(|told| told["last_sync"].as_str());
        self.last_sync = told.map(String::from).or(self.last_sync.take());
    }

    /// All of it for programs.
    pub fn json(&self, path: &Path) -> Json {
        let standing = &self.standing;
        json!({
            "database": path.display().to_string(),
            "dataset": standing.dataset,
            "primary": standing.remote,
            "version": standing.base_version,
            "primary_version": self.primary_version,
            "behind": self.primary_version.map(|head| head.saturating_sub(standing.base_version)),
            "last_sync": self.last_sync,
            "unsent_changes": self.unsent_changes,
            "conflicts_open": standing.conflicts_open,
            "pending": standing.pending,
            "watch": self.watch,
            "failure": self.failure.as_ref().map(|e| json!({ "code": e.code, "message": e.message, "hint": e.hint })),
        })
    }

    /// All of it for people.
    pub fn tell(&self, out: &mut Output, path: &Path) -> Result<()> {
        let standing = &self.standing;
        out.line(format_args!("{} ({})", name(&path.display().to_string()), name(&standing.dataset)))?;
        out.line(format_args!("  primary    {}", name(standing.remote.as_deref().unwrap_or_default())))?;
        let behind = behind(Some(standing.base_version), self.primary_version);
        out.line(format_args!("  version    {}{behind}", standing.base_version))?;
        out.line(format_args!("  last sync  {}", moment_of(self.last_sync.as_deref())))?;
        let unsent = if self.unsent_changes == 0 { "nothing".into() } else { count(self.unsent_changes, "row", "rows") };
        out.line(format_args!("  unsent     {unsent}"))?;
        if standing.conflicts_open > 0 {
            let look = look_at(&path.display().to_string());
            out.line(format_args!("  conflicts  {} open: {look}", standing.conflicts_open))?;
        }
        if let Some(e) = &self.failure {
            out.line(format_args!("  offline    {}", name(&e.message)))?;
        }
        match &self.watch {
            Some(told) => tell_watch(out, told),
            None => out.line(format_args!("  watch      not watched: {}", suggestion::naming("mainstem watch", Some(path)))),
        }
    }
}

fn tell_watch(out: &mut Output, told: &Json) -> Result<()> {
    let text = |key: &str| told[key].as_str().unwrap_or_default();
    let why = told["message"].as_str().map_or(String::new(), |message| format!(": {}", name(message)));
    let (state, since) = (text("state"), moment_of(told["since"].as_str()));
    out.line(format_args!("  watch      {state} since {since} (process {}){why}", told["process"]))?;
    told["hint"].as_str().map_or(Ok(()), |hint| out.line(format_args!("             {}", name(hint))))
}

fn behind(version: Option<u64>, primary: Option<u64>) -> String {
    match (version, primary) {
        (Some(version), Some(primary)) if primary > version => {
            format!(", {} behind", count(primary - version, "version", "versions"))
        }
        (_, Some(_)) => String::new(),
        (_, None) => ", the primary's is not known".into(),
    }
}

/// A moment as programs write it, as people do.
fn moment_of(text: Option<&str>) -> String {
    text.and_then(|text| text.get(..19)).map_or("none yet".into(), |text| text.replacen('T', " ", 1))
}

fn look_at(database: &str) -> String {
    suggestion::naming("mainstem conflicts", Some(Path::new(database)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_behind_is_said_where_it_is_known() {
        assert_eq!(behind(Some(3), Some(5)), ", 2 versions behind");
        assert_eq!(behind(Some(5), Some(5)), "");
        assert_eq!(behind(Some(5), None), ", the primary's is not known");
        assert_eq!(moment_of(Some("2026-11-20T07:26:10.000Z")), "2026-11-20 07:26:10");
        assert_eq!(moment_of(None), "none yet");
    }
}

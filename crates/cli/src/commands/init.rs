//! `mainstem init`.
use crate::exit_codes::Exit;
use crate::json;
use crate::plain_text::{count, name};
use crate::wiring::{Session, warn_of_place};
use mainstem::{Error, Result};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::{InitOptions, InitReport, RefusedTable};
use serde_json::json;
use std::path::PathBuf;

/// Starts tracking a database, in place; programs go on using it
///
/// Examples:
///   mainstem init app.db
///   mainstem init app.db --as ann
///   mainstem init app.db --table artist --table album
///   mainstem init app.db --exclude session_cache
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Init {
    /// The SQLite file
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Track only this table (may be repeated)
    #[arg(long = "table", value_name = "TABLE", conflicts_with = "exclude")]
    tables: Vec<String>,
    /// Leave this table out (may be repeated)
    #[arg(long, value_name = "TABLE")]
    exclude: Vec<String>,
}

impl Init {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let Some(path) = self.file.clone().or_else(|| session.global.db.clone()) else {
            return Err(Error::invalid("no database is named").hint("mainstem init app.db"));
        };
        let options = InitOptions { tables: self.tables.clone(), exclude: self.exclude.clone(), actor: session.named_actor()? };
        let mut bar = session.bar();
        let around = session.around.clone();
        let report = SqliteReplica::init(&path, &options, around, &mut |what, done, of| bar.report(what, done, of))?;
        drop(bar);
        warn_of_place(&path);
        session.name_where_needed(&path);
        if session.out.is_json() {
            session.out.json(&shown(&report))?;
        } else {
            self.tell(session, &path.display().to_string(), &report)?;
        }
        Ok(Exit::Done)
    }

    fn tell(&self, session: &mut Session, path: &str, report: &InitReport) -> Result<()> {
        let tables = count(report.tracked.len() as u64, "table", "tables");
        let path = name(path);
        if report.already {
            let fresh: Vec<String> = report.fresh.iter().map(|t| name(t)).collect();
            let what = if fresh.is_empty() { "nothing changed".to_string() } else { format!("new: {}", fresh.join(", ")) };
            session.out.line(format_args!("{path} is tracked already: {tables}; {what}"))?;
        } else {
            let rows: u64 = report.tracked.iter().map(|(_, rows)| rows).sum();
            let rows = count(rows, "row", "rows");
            session.out.line(format_args!("tracking {path}: {tables}, {rows}"))?;
        }
        not_tracked(session, &report.refused)?;
        for (child, parent) in &report.loose_links {
            let (child, parent) = (name(child), name(parent));
            let what = "a clone will not have it, and can write such rows only with foreign keys off";
            session.out.line(format_args!("{child} points to {parent}, which is not tracked: {what}"))?;
        }
        for (key, value) in &report.proposed_policy {
            let (key, value) = (name(key), name(value));
            session.out.line(format_args!("policy, by the column's name: {key} = {value}"))?;
        }
        if !report.already {
            let next = session.out.suggest("mainstem status");
            session.out.line(format_args!("next: edit it with any program, then: {next}"))?;
        }
        Ok(())
    }
}

/// Names the tables whose rows do not travel.
pub fn not_tracked(session: &mut Session, refused: &[RefusedTable]) -> Result<()> {
    for (table, why, advice) in refused {
        let advice = if advice.is_empty() { String::new() } else { format!(" ({})", name(advice)) };
        session.out.line(format_args!("not tracked: {}: {}{advice}", name(table), name(why)))?;
    }
    Ok(())
}

fn shown(report: &InitReport) -> serde_json::Value {
    let tracked = report.tracked.iter().map(|(table, rows)| json!({ "table": table, "rows": rows }));
    let proposed = report.proposed_policy.iter();
    let proposed = proposed.map(|(key, value)| json!({ "key": key, "value": value }));
    json!({
        "already": report.already,
        "fresh": report.fresh,
        "tracked": tracked.collect::<Vec<_>>(),
        "refused": json::refused(&report.refused),
        "loose_links": report.loose_links.iter().map(|(child, parent)| json!({ "table": child, "parent": parent })).collect::<Vec<_>>(),
        "proposed_policy": proposed.collect::<Vec<_>>(),
    })
}

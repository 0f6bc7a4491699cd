//! What a cleanup did or would do, and what holds the rest.
use crate::json::moment;
use crate::output::Output;
use crate::plain_text::{self, count, name};
use crate::wiring::Session;
use mainstem::Result;
use mainstem::cleanup::{Cleanup, Holding, Rehearsal};
use mainstem_core::policy::Life;
use serde_json::{Value as Json, json};

/// Tells a cleanup.
pub fn tell(session: &mut Session, done: &Cleanup, rehearsal: Rehearsal, explain: bool) -> Result<()> {
    let out = &mut session.out;
    if out.is_json() {
        return out.json(&shown(done, rehearsal));
    }
    let would = if rehearsal == Rehearsal::DryRun { "would be " } else { "" };
    for of in &done.collected.tombstones {
        out.line(format_args!("{}: {} {would}forgotten", name(&of.table), count(of.count, "deletion", "deletions")))?;
    }
    if done.collected.horizon > done.horizon_before {
        let horizon = done.collected.horizon;
        out.line(format_args!("row changes up to version {horizon} {would}removed; the log of versions stays"))?;
    }
    if done.pages > 0 {
        let (pages, bytes) = (count(done.pages, "page", "pages"), count(done.bytes, "byte", "bytes"));
        out.line(format_args!("{pages} of row changes, {bytes}, {would}freed"))?;
    }
    for replica in &done.collected.expired {
        out.line(format_args!("replica {} was away for too long: it must be seeded again", replica.short()))?;
    }
    if done.is_nothing() {
        out.line("nothing to forget")?;
    }
    if explain { explain_rest(out, done) } else { Ok(()) }
}

fn explain_rest(out: &mut Output, done: &Cleanup) -> Result<()> {
    for living in &done.living {
        let kept = count(living.count, "deletion", "deletions");
        let until = living.first.map_or("for ever".to_string(), |at| format!("the first until {}", plain_text::moment(at)));
        out.line(format_args!("{}: {kept} kept, {until} (policy: tombstones)", name(&living.table)))?;
    }
    for holding in &done.holding {
        tell_holding(out, holding)?;
    }
    match done.history {
        (Life::Forever, _) => out.line("row changes are kept for ever (policy: history)")?,
        (Life::Days(days), aged) if aged < done.head => out.line(format_args!(
            "row changes after version {aged} are younger than {} (policy: history)",
            count(days.into(), "day", "days")
        ))?,
        _ => {}
    }
    if let Some(version) = done.waiting {
        out.line(format_args!("a change made on version {version} waits for its parent: see mainstem pending"))?;
    }
    match done.proposed {
        Some(version) => out.line(format_args!("an open proposal was made on version {version}: see mainstem proposals")),
        None => Ok(()),
    }
}

fn tell_holding(out: &mut Output, holding: &Holding) -> Result<()> {
    let known = &holding.replica;
    let who = format!("replica {} of {}", known.seen.replica.short(), name(&known.seen.actor));
    let where_it_is = format!("stands on version {}, seen {}", known.seen.version, plain_text::moment(known.at));
    let held = match (holding.tombstones, holding.holds_horizon) {
        (0, _) => "row changes".to_string(),
        (n, false) => count(n, "deletion", "deletions"),
        (n, true) => format!("{} and row changes", count(n, "deletion", "deletions")),
    };
    out.line(format_args!("{who} {where_it_is}: holds {held}"))
}

/// The JSON of a cleanup.
fn shown(done: &Cleanup, rehearsal: Rehearsal) -> Json {
    let tombstones = done.collected.tombstones.iter().map(|of| json!({ "table": of.table, "count": of.count }));
    let living = done.living.iter().map(|l| json!({ "table": l.table, "count": l.count, "first_expires": l.first.map(moment) }));
    let holding = done.holding.iter().map(|h| {
        json!({
            "replica": h.replica.seen.replica.to_string(),
            "actor": h.replica.seen.actor,
            "version": h.replica.seen.version,
            "seen_at": moment(h.replica.at),
            "tombstones": h.tombstones,
            "holds_horizon": h.holds_horizon,
        })
    });
    json!({
        "dry_run": rehearsal == Rehearsal::DryRun,
        "forgotten": tombstones.collect::<Vec<_>>(),
        "horizon_before": done.horizon_before,
        "horizon": done.collected.horizon,
        "head": done.head,
        "pages": done.pages,
        "bytes": done.bytes,
        "must_reseed": done.collected.expired.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "living": living.collect::<Vec<_>>(),
        "holding": holding.collect::<Vec<_>>(),
        "waiting_base": done.waiting,
        "proposed_base": done.proposed,
        "history_days": match done.history.0 {
            Life::Days(days) => json!(days),
            Life::Forever => json!("forever"),
        },
    })
}

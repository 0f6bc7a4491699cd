//! Proposals: which events tell of each, and the staged rows of their revisions.
//!
//! Invariant: staged rows are no projection; like pages of versions they are what events speak of.
use super::{SqliteLedger, number};
use mainstem::core::event::{Event, Version};
use mainstem::core::format;
use mainstem::core::proposal::{Act, Proposal, Reviewed, Reviewing, Stage};
use mainstem::core::stamp::Time;
use mainstem::ledger::{Ledger, ProposalsWanted, SentVersion};
use mainstem::{Error, Result};

/// Ledgers that were made before there were proposals get these when they are opened.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS mainstem_proposal(id INTEGER PRIMARY KEY, stage TEXT NOT NULL, actor TEXT NOT NULL, version INTEGER);
CREATE INDEX IF NOT EXISTS mainstem_proposal_stage ON mainstem_proposal(stage);
CREATE TABLE IF NOT EXISTS mainstem_review(proposal INTEGER, position INTEGER, PRIMARY KEY(proposal, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mainstem_revision(write_id BLOB PRIMARY KEY, proposal INTEGER NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mainstem_request(actor TEXT, key BLOB, position INTEGER NOT NULL, PRIMARY KEY(actor, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mainstem_sent(sender TEXT, at_ms INTEGER, version INTEGER, changes INTEGER NOT NULL, PRIMARY KEY(sender, at_ms, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mainstem_staged(write_id BLOB, page INTEGER, body BLOB NOT NULL, PRIMARY KEY(write_id, page)) WITHOUT ROWID;
";

impl SqliteLedger<'_> {
    /// Folds what was done to a proposal.
    pub(super) fn fold_review(&mut self, position: i64, event: &Reviewing) -> Result<()> {
        let id = number(event.proposal)?;
        self.run("INSERT INTO mainstem_review(proposal, position) VALUES (?1, ?2)", (id, position))?;
        if let Some(request) = &event.request {
            // A merge that is asked for again, after it was cut short, begins again.
            let sql = "INSERT OR IGNORE INTO mainstem_request(actor, key, position) VALUES (?1, ?2, ?3)";
            self.run(sql, (&event.actor, request.key.to_be_bytes(), position))?;
        }
        if let Act::Revise(revision) = &event.act {
            let first = "INSERT INTO mainstem_proposal(id, stage, actor) VALUES (?1, ?2, ?3) ON CONFLICT(id) DO NOTHING";
            self.run(first, (id, Stage::Open.name(), &revision.front.header.actor))?;
            let sql = "INSERT INTO mainstem_revision(write_id, proposal, revision) \
                       VALUES (?1, ?2, (SELECT count(*) + 1 FROM mainstem_revision WHERE proposal = ?2))";
            self.run(sql, (revision.front.header.write_id.to_be_bytes(), id))?;
        }
        let stage = match &event.act {
            Act::Revise(_) => Stage::Open,
            Act::Decide(decision) => decision.stage,
            Act::BeginMerge(_) => Stage::Merging,
            Act::FailMerge(_) => Stage::MergeFailed,
            Act::Vote(_) | Act::Comment(_) | Act::Unstage => return Ok(()),
        };
        self.run("UPDATE mainstem_proposal SET stage = ?2 WHERE id = ?1", (id, stage.name())).map(drop)
    }

    /// Folds the version that a proposal became.
    pub(super) fn fold_merge(&mut self, version: i64, reviewed: &Reviewed) -> Result<()> {
        let sql = "UPDATE mainstem_proposal SET stage = ?2, version = ?3 WHERE id = ?1";
        self.run(sql, (number(reviewed.proposal)?, Stage::Merged.name(), version)).map(drop)
    }

    /// Folds that a version was sent without review.
    pub(super) fn fold_sent(&mut self, version: &Version) -> Result<()> {
        let Some(sender) = &version.sender else { return Ok(()) };
        let changes = version.count + version.waiting.len() as u64;
        let sql = "INSERT INTO mainstem_sent(sender, at_ms, version, changes) VALUES (?1, ?2, ?3, ?4)";
        self.run(sql, (sender, number(version.accepted_at.ms())?, number(version.version)?, number(changes)?)).map(drop)
    }

    pub(super) fn read_request(&mut self, actor: &str, key: u128) -> Result<Option<Reviewing>> {
        let sql = "SELECT body FROM mainstem_request JOIN mainstem_event USING (position) WHERE actor = ?1 AND key = ?2";
        let Some(body) = self.one(sql, (actor, key.to_be_bytes()), |row| row.get::<_, Vec<u8>>(0))? else { return Ok(None) };
        match format::event::decode(&body)? {
            Event::Review(event) => Ok(Some(event)),
            _ => Err(Error::corrupt("the event that a request led to is another event")),
        }
    }

    pub(super) fn list_sent(&mut self, sender: &str, from: Time) -> Result<Vec<SentVersion>> {
        let sql = "SELECT version, at_ms, changes FROM mainstem_sent WHERE sender = ?1 AND at_ms >= ?2 ORDER BY at_ms DESC, version DESC";
        self.all(sql, (sender, number(from.ms())?), |row| {
            let [version, at_ms, changes] = [row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?].map(i64::cast_unsigned);
            Ok(SentVersion { version, at: Time::from_ms(at_ms), changes })
        })
    }

    pub(super) fn read_proposal(&mut self, id: u64) -> Result<Option<Proposal>> {
        let filed = number(id)?;
        let sql = "SELECT body FROM mainstem_review JOIN mainstem_event USING (position) WHERE proposal = ?1 ORDER BY position";
        let mut proposal = Proposal::default();
        for body in self.all(sql, [filed], |row| row.get::<_, Vec<u8>>(0))? {
            match format::event::decode(&body)? {
                Event::Review(event) if event.proposal == id => proposal.fold(&event),
                _ => return Err(Error::corrupt(format!("an event of proposal {id} is another event"))),
            }
        }
        if proposal.revisions.is_empty() {
            return Ok(None);
        }
        let version = self.one("SELECT version FROM mainstem_proposal WHERE id = ?1", [filed], |row| row.get::<_, Option<i64>>(0))?;
        if let Some(version) = version.flatten() {
            let version = version.cast_unsigned();
            let at = self.version(version)?.map_or(Time::default(), |version| version.accepted_at);
            proposal.fold_merge(version, at);
        }
        Ok(Some(proposal))
    }

    pub(super) fn list_proposals(&mut self, wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        let before = wanted.before.map_or(Ok(i64::MAX), number)?;
        let stages = wanted.stages.iter().map(|stage| format!("'{}'", stage.name())).collect::<Vec<_>>().join(", ");
        let sql = format!(
            "SELECT id FROM mainstem_proposal WHERE id < ?1 AND (?2 IS NULL OR actor = ?2) AND ({} OR stage IN ({stages})) \
             ORDER BY id DESC LIMIT ?3",
            i64::from(wanted.stages.is_empty()),
        );
        let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
        let ids = self.all(&sql, (before, &wanted.actor, limit), |row| row.get::<_, i64>(0))?;
        Ok(ids.into_iter().map(i64::cast_unsigned).collect())
    }
}

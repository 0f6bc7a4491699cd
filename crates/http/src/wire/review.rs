//! Proposals as fields in order.
use super::{Wire, records, variants};
use mainstem::comparing::{Different, Differing, How};
use mainstem::core::error::Result;
use mainstem::core::format::{Reader, Writer, review};
use mainstem::core::proposal::{
    Anchor, Assessment, Ballot, Comment, Decision, Failure, MergeWish, Origin, Proposal, Remark, Revision, Stage, TableSummary, Vote, Word,
};
use mainstem::core::vote::{Tally, Verdict, WhyNot};
use mainstem::ledger::ProposalsWanted;
use mainstem::replica::Answering;
use mainstem::review::{Chosen, Deed, Judged, Merged, Offered, Staged};

records! {
    Proposal {
        id, stage, actor, at, touched, revisions, votes, comments, decision, merge, failure, version, is_unstaged,
    }
    TableSummary { table, inserted, updated, deleted, cells }
    Ballot { revision, digest, word, comment }
    Vote { actor, token, at, ballot }
    Remark { anchor, reply_to, revision, text }
    Comment { actor, at, remark }
    Decision { stage, reason }
    MergeWish { request, digest, expected, may_alter, skip_conflicts, force, keep_staging }
    Failure { code, message }
    Tally { verdict, missing, counted, passed_over, closes }
    Judged { proposal, assessment, tally, is_hidden }
    Merged { version, commit, added, updated, deleted, cells, is_staging_clean, is_repeated }
    Answering { choice, value }
    Differing { added, changed, removed, first }
    Different { is_earlier, page, at, how, was }
    Chosen { table, key, columns }
    Staged { proposal, stage, revisions, bytes, touched, expires }
    ProposalsWanted { stages, actor, before, limit }
}

variants! {
    Stage {
        1 => Open, 2 => Merging, 3 => MergeFailed, 4 => Merged, 5 => Rejected, 6 => Withdrawn, 7 => Superseded,
    }
    Origin { 1 => Replica, 2 => Resolution, 3 => Part(proposal), 4 => Revert(version), 5 => Partial }
    Word { 1 => Approve, 2 => Reject, 3 => Abstain }
    Anchor { 1 => Whole, 2 => Row(table, key), 3 => Cell(table, key, column) }
    Verdict { 1 => Waiting, 2 => Approved, 3 => Rejected }
    WhyNot { 1 => Stale, 2 => NoRight, 3 => Author, 4 => Again, 5 => Late, 6 => Agent, 7 => NotOwner }
    Deed { 1 => Vote(ballot), 2 => Comment(remark), 3 => Decide(decision) }
    How { 1 => Added, 2 => Changed, 3 => Removed }
    Offered { 1 => Done { proposal, revision, direct }, 2 => Refused(why) }
}

impl Wire for Revision {
    fn put(&self, w: &mut Writer) {
        w.nested(|w| {
            self.front.put(w);
            self.pages.put(w);
            self.body.put(w);
            self.authors.put(w);
            self.origin.put(w);
            self.tables.put(w);
        });
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        let mut r = r.nested()?;
        let r = &mut r;
        let (front, pages, body) = (Wire::get(r)?, Wire::get(r)?, Wire::get(r)?);
        let (authors, origin) = (Wire::get(r)?, Wire::get(r)?);
        // Nobody counted at first.
        let tables = if r.is_empty() { Vec::new() } else { Wire::get(r)? };
        Ok(Revision { front, pages, body, authors, origin, tables })
    }
}

impl Wire for Assessment {
    fn put(&self, w: &mut Writer) {
        w.bytes(&review::encode_assessment(self));
    }
    fn get(r: &mut Reader<'_>) -> Result<Self> {
        review::decode_assessment(r.bytes()?)
    }
}

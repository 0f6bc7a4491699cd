//! What is done to proposals, in bytes.
use super::bytes::{Reader, Writer};
use super::{event, front, gate, row};
use crate::error::Result;
use crate::event::{Digest, Event};
use crate::proposal::{
    Act, Anchor, Assessment, Ballot, Decision, Failure, MergeWish, Origin, Remark, Request, Reviewed, Reviewing, Revision, Stage,
    TableSummary, Vote, Word,
};
use crate::stamp::Time;
use alloc::{format, string::String, vec::Vec};

const REVISE: u64 = 1;
const VOTE: u64 = 2;
const COMMENT: u64 = 3;
const DECIDE: u64 = 4;
const BEGIN_MERGE: u64 = 5;
const FAIL_MERGE: u64 = 6;
const UNSTAGE: u64 = 7;

/// Writes an act on a proposal, for what carries one.
pub fn write_act(w: &mut Writer, act: &Act) {
    match act {
        Act::Revise(revision) => {
            w.varint(REVISE);
            write_revision(w, revision);
        }
        Act::Vote(ballot) => {
            w.varint(VOTE);
            write_ballot(w, ballot);
        }
        Act::Comment(remark) => {
            w.varint(COMMENT);
            write_remark(w, remark);
        }
        Act::Decide(decision) => {
            w.varint(DECIDE);
            w.number(1, code(&Stage::ALL, decision.stage));
            w.text(2, &decision.reason);
        }
        Act::BeginMerge(wish) => {
            w.varint(BEGIN_MERGE);
            write_wish(w, wish);
        }
        Act::FailMerge(failure) => {
            w.varint(FAIL_MERGE);
            w.text(1, &failure.code);
            w.text(2, &failure.message);
        }
        Act::Unstage => w.varint(UNSTAGE),
    }
}

/// Reads an act on a proposal.
pub fn read_act(r: &mut Reader<'_>) -> Result<Act> {
    match r.varint()? {
        REVISE => read_revision(r).map(Act::Revise),
        VOTE => read_ballot(r).map(Act::Vote),
        COMMENT => read_remark(r).map(Act::Comment),
        DECIDE => {
            let (mut stage, mut reason) = (Stage::default(), String::new());
            let mut fields = r.fields();
            while let Some((tag, mut f)) = fields.read()? {
                match tag {
                    1 => stage = choice(&Stage::ALL, &mut f)?,
                    2 => reason = f.text()?,
                    _ => continue,
                }
                f.finish()?;
            }
            Ok(Act::Decide(Decision { stage, reason }))
        }
        BEGIN_MERGE => read_wish(r).map(Act::BeginMerge),
        FAIL_MERGE => {
            let mut failure = Failure::default();
            let mut fields = r.fields();
            while let Some((tag, mut f)) = fields.read()? {
                match tag {
                    1 => failure.code = f.text()?,
                    2 => failure.message = f.text()?,
                    _ => continue,
                }
                f.finish()?;
            }
            Ok(Act::FailMerge(failure))
        }
        UNSTAGE => Ok(Act::Unstage),
        other => Err(r.error(format!("{other} is nothing that is done to a proposal"))),
    }
}

pub(super) fn write_reviewing(w: &mut Writer, event: &Reviewing) {
    w.number(1, event.proposal);
    w.text(2, &event.actor);
    w.option(3, event.token.as_deref());
    w.number(4, event.at.0);
    w.field(5, |w| write_act(w, &event.act));
    if let Some(request) = &event.request {
        w.field(6, |w| {
            w.fixed(&request.key.to_be_bytes());
            w.fixed(&request.content);
        });
    }
}

pub(super) fn read_reviewing(r: &mut Reader<'_>) -> Result<Reviewing> {
    let mut event = Reviewing { proposal: 0, actor: String::new(), token: None, at: Time::default(), act: Act::Unstage, request: None };
    let mut is_whole = false;
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => event.proposal = f.varint()?,
            2 => event.actor = f.text()?,
            3 => event.token = Some(f.text()?),
            4 => event.at = Time(f.varint()?),
            5 => (event.act, is_whole) = (read_act(&mut f)?, true),
            6 => event.request = Some(Request { key: f.wide()?, content: f.array()? }),
            _ => continue,
        }
        f.finish()?;
    }
    if is_whole { Ok(event) } else { Err(fields.error("nothing is done to the proposal")) }
}

pub(super) fn write_reviewed(w: &mut Writer, reviewed: &Reviewed) {
    w.number(1, reviewed.proposal);
    w.number(2, reviewed.revision);
    w.field(3, |w| w.fixed(&reviewed.digest));
    w.text(4, &reviewed.actor);
    w.option(5, reviewed.token.as_deref());
    w.list(6, &reviewed.votes, write_vote);
    w.field(7, |w| write_wish(w, &reviewed.wish));
    w.texts(8, &reviewed.warnings);
    w.field(9, |w| gate::write(w, &reviewed.gates));
}

pub(super) fn read_reviewed(r: &mut Reader<'_>) -> Result<Reviewed> {
    let mut reviewed = Reviewed {
        proposal: 0,
        revision: 0,
        digest: Digest::default(),
        actor: String::new(),
        token: None,
        votes: Default::default(),
        wish: MergeWish::new(0),
        warnings: Default::default(),
        gates: Default::default(),
    };
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => reviewed.proposal = f.varint()?,
            2 => reviewed.revision = f.varint()?,
            3 => reviewed.digest = f.array()?,
            4 => reviewed.actor = f.text()?,
            5 => reviewed.token = Some(f.text()?),
            6 => reviewed.votes = f.list(34, read_vote)?,
            7 => reviewed.wish = read_wish(&mut f)?,
            8 => reviewed.warnings = f.texts()?,
            9 => reviewed.gates = gate::read(&mut f)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(reviewed)
}

fn write_revision(w: &mut Writer, revision: &Revision) {
    w.field(1, |w| w.fixed(&front::encode(&revision.front)));
    w.number(2, revision.pages);
    w.field(3, |w| w.fixed(&revision.body));
    w.texts(4, &revision.authors);
    w.field(5, |w| {
        let (code, number) = match revision.origin {
            Origin::Replica => (0, 0),
            Origin::Resolution => (1, 0),
            Origin::Part(proposal) => (2, proposal),
            Origin::Revert(version) => (3, version),
            Origin::Partial => (4, 0),
        };
        w.varint(code);
        w.varint(number);
    });
    w.list(6, &revision.tables, write_summary);
}

fn read_revision(r: &mut Reader<'_>) -> Result<Revision> {
    let mut revision = Revision::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => revision.front = front::decode(f.all())?,
            2 => revision.pages = f.varint()?,
            3 => revision.body = f.array()?,
            4 => revision.authors = f.texts()?,
            5 => revision.origin = read_origin(&mut f)?,
            6 => revision.tables = f.list(4, read_summary)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(revision)
}

fn read_origin(r: &mut Reader<'_>) -> Result<Origin> {
    match (r.varint()?, r.varint()?) {
        (0, 0) => Ok(Origin::Replica),
        (1, 0) => Ok(Origin::Resolution),
        (2, proposal) => Ok(Origin::Part(proposal)),
        (3, version) => Ok(Origin::Revert(version)),
        (4, 0) => Ok(Origin::Partial),
        (other, _) => Err(r.error(format!("{other} is nothing that a revision is made from"))),
    }
}

fn write_ballot(w: &mut Writer, ballot: &Ballot) {
    w.number(1, ballot.revision);
    w.field(2, |w| w.fixed(&ballot.digest));
    w.number(3, code(&Word::ALL, ballot.word));
    w.text(4, &ballot.comment);
}

fn read_ballot(r: &mut Reader<'_>) -> Result<Ballot> {
    let mut ballot = Ballot { revision: 0, digest: Digest::default(), word: Word::Approve, comment: String::new() };
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => ballot.revision = f.varint()?,
            2 => ballot.digest = f.array()?,
            3 => ballot.word = choice(&Word::ALL, &mut f)?,
            4 => ballot.comment = f.text()?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(ballot)
}

fn write_vote(w: &mut Writer, vote: &Vote) {
    w.text(1, &vote.actor);
    w.option(2, vote.token.as_deref());
    w.number(3, vote.at.0);
    w.field(4, |w| write_ballot(w, &vote.ballot));
}

fn read_vote(r: &mut Reader<'_>) -> Result<Vote> {
    let ballot = Ballot { revision: 0, digest: Digest::default(), word: Word::Abstain, comment: String::new() };
    let mut vote = Vote { actor: String::new(), token: None, at: Time::default(), ballot };
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => vote.actor = f.text()?,
            2 => vote.token = Some(f.text()?),
            3 => vote.at = Time(f.varint()?),
            4 => vote.ballot = read_ballot(&mut f)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(vote)
}

fn write_remark(w: &mut Writer, remark: &Remark) {
    match &remark.anchor {
        Anchor::Whole => {}
        Anchor::Row(table, key) => w.field(1, |w| {
            w.bytes(table.as_bytes());
            row::write_values(w, key);
        }),
        Anchor::Cell(table, key, column) => w.field(2, |w| {
            w.bytes(table.as_bytes());
            w.bytes(column.as_bytes());
            row::write_values(w, key);
        }),
    }
    w.number(3, remark.reply_to.unwrap_or(0));
    w.number(4, remark.revision);
    w.text(5, &remark.text);
}

fn read_remark(r: &mut Reader<'_>) -> Result<Remark> {
    let mut remark = Remark::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => remark.anchor = Anchor::Row(f.nested()?.text()?, row::read_values(&mut f)?),
            2 => {
                let (table, column) = (f.nested()?.text()?, f.nested()?.text()?);
                remark.anchor = Anchor::Cell(table, row::read_values(&mut f)?, column);
            }
            3 => remark.reply_to = Some(f.varint()?).filter(|comment| *comment > 0),
            4 => remark.revision = f.varint()?,
            5 => remark.text = f.text()?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(remark)
}

/// Writes how a merge is to be done, for what carries one.
pub fn write_wish(w: &mut Writer, wish: &MergeWish) {
    w.wide(1, wish.request);
    if let Some(digest) = &wish.digest {
        w.field(2, |w| w.fixed(digest));
    }
    if let Some(version) = wish.expected {
        w.field(3, |w| w.varint(version));
    }
    w.flag(4, !wish.may_alter);
    w.flag(5, wish.skip_conflicts);
    w.flag(6, wish.force);
    w.flag(7, wish.keep_staging);
}

/// Reads how a merge is to be done.
pub fn read_wish(r: &mut Reader<'_>) -> Result<MergeWish> {
    let mut wish = MergeWish::new(0);
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => wish.request = f.wide()?,
            2 => wish.digest = Some(f.array()?),
            3 => wish.expected = Some(f.varint()?),
            4 => wish.may_alter = !f.flag()?,
            5 => wish.skip_conflicts = f.flag()?,
            6 => wish.force = f.flag()?,
            7 => wish.keep_staging = f.flag()?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(wish)
}

/// The place of one of a closed list, which only ever grows at its end.
pub(super) fn code<T: Copy + PartialEq>(all: &[T], one: T) -> u64 {
    all.iter().position(|other| *other == one).map_or(0, |at| at as u64)
}

pub(super) fn choice<T: Copy>(all: &[T], r: &mut Reader<'_>) -> Result<T> {
    let number = r.varint()?;
    let found = usize::try_from(number).ok().and_then(|at| all.get(at));
    found.copied().ok_or_else(|| r.error(format!("{number} stands for nothing")))
}

/// Encodes what merging would do, for those who keep it for a while.
pub fn encode_assessment(assessment: &Assessment) -> Vec<u8> {
    let mut w = Writer::versioned();
    w.number(1, assessment.revision);
    w.number(2, assessment.head);
    w.field(3, |w| w.fixed(&assessment.digest));
    w.field(4, |w| w.fixed(&event::encode(&Event::Version(assessment.outcome.clone()))));
    w.list(5, &assessment.tables, write_summary);
    w.field(6, |w| gate::write(w, &assessment.gates));
    w.0
}

/// Decodes it.
pub fn decode_assessment(bytes: &[u8]) -> Result<Assessment> {
    let mut assessment = Assessment::default();
    let mut fields = Reader::versioned("assessment", bytes)?.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => assessment.revision = f.varint()?,
            2 => assessment.head = f.varint()?,
            3 => assessment.digest = f.array()?,
            4 => match event::decode(f.all())? {
                Event::Version(version) => assessment.outcome = version,
                _ => return Err(f.error("what would come of a merge is no version")),
            },
            5 => assessment.tables = f.list(4, read_summary)?,
            6 => assessment.gates = gate::read(&mut f)?,
            _ => continue,
        }
        f.finish()?;
    }
    Ok(assessment)
}

fn write_summary(w: &mut Writer, table: &TableSummary) {
    w.varint(table.inserted);
    w.varint(table.updated);
    w.varint(table.deleted);
    w.varint(table.cells);
    w.fixed(table.table.as_bytes());
}

fn read_summary(r: &mut Reader<'_>) -> Result<TableSummary> {
    let (inserted, updated, deleted, cells) = (r.varint()?, r.varint()?, r.varint()?, r.varint()?);
    Ok(TableSummary { table: r.text()?, inserted, updated, deleted, cells })
}

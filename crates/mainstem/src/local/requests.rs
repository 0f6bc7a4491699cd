//! Requests that have a key: what was done for one is not done again, and is answered as it was.
//!
//! Invariant: the event of what was done names the request, so that nothing is kept beside the ledger, and it is known for as
//! long as that. Deliberately absent: requests that were refused or that found everything so already; they left nothing.
use crate::error::{Error, Result};
use crate::replica::Answering;
use crate::review::{By, Chosen, Deed};
use crate::store::Transaction;
use mainstem_core::ErrorKind;
use mainstem_core::digest;
use mainstem_core::format::{Writer, review, row};
use mainstem_core::proposal::{Act, MergeWish, Proposal, Request, Reviewing, rest_of};

/// What is asked for, as whoever asks says it.
pub(super) enum Asked<'a> {
    Deed(&'a Deed),
    Merge(&'a MergeWish),
    Answer(&'a [(u64, Answering)]),
    Part(&'a [Chosen]),
    /// To take this version back, for a reason.
    Revert(&'a str),
}

impl Asked<'_> {
    /// The request, where it has a key. `of` is the proposal, or the version that is taken back.
    pub(super) fn of(self, of: u64, by: By<'_>) -> Option<Request> {
        let key = if let Asked::Merge(wish) = self { Some(wish.request) } else { by.request }?;
        let mut w = Writer::versioned();
        w.varint(of);
        self.write(&mut w);
        Some(Request { key, content: digest::of("mainstem request 1", &[&w.0]) })
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Asked::Deed(Deed::Vote(ballot)) => review::write_act(w, &Act::Vote(ballot.clone())),
            Asked::Deed(Deed::Comment(remark)) => review::write_act(w, &Act::Comment(remark.clone())),
            Asked::Deed(Deed::Decide(decision)) => review::write_act(w, &Act::Decide(decision.clone())),
            Asked::Merge(wish) => review::write_act(w, &Act::BeginMerge((*wish).clone())),
            Asked::Answer(answers) => {
                w.bytes(b"answer");
                for (conflict, answering) in *answers {
                    w.varint(*conflict);
                    w.bytes(answering.choice.name().as_bytes());
                    w.bytes(&row::encode_key(answering.value.as_slice()));
                }
            }
            Asked::Part(only) => {
                w.bytes(b"part");
                for chosen in *only {
                    w.bytes(chosen.table.as_bytes());
                    w.varint(u64::from(chosen.key.is_some()));
                    w.bytes(&row::encode_key(chosen.key.as_deref().unwrap_or_default()));
                    w.varint(chosen.columns.len() as u64);
                    chosen.columns.iter().for_each(|column| w.bytes(column.as_bytes()));
                }
            }
            Asked::Revert(reason) => {
                w.bytes(b"revert");
                w.bytes(reason.as_bytes());
            }
        }
    }
}

/// What was done for a request; none where nothing was. Refuses a key that its actor used for something else.
pub(super) fn done(tx: &mut dyn Transaction, request: Option<Request>, by: By<'_>) -> Result<Option<Reviewing>> {
    let Some(request) = request else { return Ok(None) };
    let Some(done) = tx.request(by.actor, request.key)? else { return Ok(None) };
    if done.request.is_some_and(|before| before.content != request.content) {
        return Err(reused(format!(
            "the key {:032x} is that of another request of {}, on proposal {}",
            request.key, by.actor, done.proposal
        )));
    }
    Ok(Some(done))
}

/// A key or a name that stands for something else already.
pub(super) fn reused(message: String) -> Error {
    Error::new(ErrorKind::Conflict, "request_reused", message).hint("ask with a key of its own")
}

/// The number, from 1, of the revision that a request made.
pub(super) fn revision(tx: &mut dyn Transaction, done: &Reviewing) -> Result<u64> {
    let Act::Revise(made) = &done.act else { return Err(Error::corrupt("what a request made is no revision")) };
    let found = tx.find_revision(made.front.header.write_id)?;
    found.map(|(_, revision)| revision).ok_or_else(|| Error::corrupt("the ledger has lost a revision"))
}

/// The proposal of the rest of what a request divided.
pub(super) fn rest(tx: &mut dyn Transaction, done: &Reviewing, proposal: &Proposal) -> Result<u64> {
    let at = revision(tx, done)?;
    let write_id = |number: u64| {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        place.and_then(|place| proposal.revisions.get(place)).map(|(_, _, revision)| revision.front.header.write_id)
    };
    let rest = match (write_id(at - 1), write_id(at)) {
        (Some(divided), Some(part)) => tx.find_revision(rest_of(divided, part))?,
        _ => None,
    };
    rest.map(|(rest, _)| rest).ok_or_else(|| Error::corrupt("the ledger has lost the rest of a proposal"))
}

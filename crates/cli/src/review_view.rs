//! Proposals and what is done to them, as JSON and for the terminal.
use crate::{json, plain_text};
use mainstem::core::proposal::{Act, Anchor, Ballot, MergeWish, Origin, Remark, Reviewing, Revision};
use serde_json::{Value as Json, json};

/// What was done to a proposal.
pub fn event(event: &Reviewing) -> Json {
    let mut shown = json!({
        "event": "review", "proposal": event.proposal, "actor": event.actor, "token": event.token, "at": json::moment(event.at),
    });
    let (act, detail) = match &event.act {
        Act::Revise(revision) => ("revise", self::revision(revision)),
        Act::Vote(ballot) => ("vote", self::ballot(ballot)),
        Act::Comment(remark) => ("comment", self::remark(remark)),
        Act::Decide(decision) => (decision.stage.name(), json!({ "reason": decision.reason })),
        Act::BeginMerge(wish) => ("begin-merge", self::wish(wish)),
        Act::FailMerge(failure) => ("fail-merge", json!({ "code": failure.code, "reason": failure.message })),
        Act::Unstage => ("unstage", json!({})),
    };
    shown["act"] = act.into();
    if let (Json::Object(shown), Json::Object(detail)) = (&mut shown, detail) {
        shown.extend(detail);
    }
    shown
}

fn revision(revision: &Revision) -> Json {
    let mut shown = json::header(&revision.front.header);
    shown["changes"] = revision.front.count.into();
    shown["tables"] = revision.front.shapes.iter().map(|shape| shape.table.clone()).collect();
    shown["authors"] = revision.authors.clone().into();
    shown["made_from"] = match revision.origin {
        Origin::Replica => json!("replica"),
        Origin::Resolution => json!("resolution"),
        Origin::Part(proposal) => json!({ "proposal": proposal }),
        Origin::Revert(version) => json!({ "version": version }),
    };
    shown
}

fn ballot(ballot: &Ballot) -> Json {
    json!({ "revision": ballot.revision, "digest": plain_text::hex(&ballot.digest), "vote": ballot.word.name(), "comment": ballot.comment })
}

fn remark(remark: &Remark) -> Json {
    let on = match &remark.anchor {
        Anchor::Whole => json!(null),
        Anchor::Row(table, key) => json!({ "table": table, "key": key.iter().map(json::value).collect::<Vec<_>>() }),
        Anchor::Cell(table, key, column) => {
            json!({ "table": table, "key": key.iter().map(json::value).collect::<Vec<_>>(), "column": column })
        }
    };
    json!({ "on": on, "reply_to": remark.reply_to, "revision": remark.revision, "text": remark.text })
}

fn wish(wish: &MergeWish) -> Json {
    json!({
        "request": json::bits(wish.request), "expected": wish.expected, "may_alter": wish.may_alter,
        "skip_conflicts": wish.skip_conflicts, "force": wish.force, "keep_staging": wish.keep_staging,
    })
}

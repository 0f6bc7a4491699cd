//! Libraries that keep a text as a document with its history and merge edits, not texts.
use crate::{Case, Edit, measure};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT, ReadDoc};
use loro::{ExportMode, LoroDoc};
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, ReadTxn, StateVector, Text, Transact, Update};

type Run = fn(&Case) -> (f64, String);

/// Name and measurement of each.
pub const PEERS: &[(&str, Run)] = &[("yrs", yrs), ("loro", loro), ("automerge", automerge)];

fn yrs(case: &Case) -> (f64, String) {
    let base = {
        let doc = Doc::with_client_id(1);
        doc.get_or_insert_text("t").insert(&mut doc.transact_mut(), 0, &case.base);
        doc.transact().encode_state_as_update_v1(&StateVector::default())
    };
    let side = |id: u64, edits: &[Edit]| {
        let doc = Doc::with_client_id(id);
        let text = doc.get_or_insert_text("t");
        let mut transaction = doc.transact_mut();
        transaction.apply_update(Update::decode_v1(&base).expect("it was just encoded")).expect("it fits");
        for edit in edits {
            text.remove_range(&mut transaction, edit.at as u32, edit.deleted as u32);
            text.insert(&mut transaction, edit.at as u32, &edit.inserted);
        }
        drop(transaction);
        doc
    };
    measure(
        || (side(2, &case.our_edits), side(3, &case.their_edits)),
        |(ours, theirs)| {
            let since = ours.transact().state_vector();
            let new = theirs.transact().encode_diff_v1(&since);
            ours.transact_mut().apply_update(Update::decode_v1(&new).expect("it was just encoded")).expect("it fits");
            ours.get_or_insert_text("t").get_string(&ours.transact())
        },
    )
}

fn loro(case: &Case) -> (f64, String) {
    let base = {
        let doc = LoroDoc::new();
        doc.set_peer_id(1).expect("a new document");
        doc.get_text("t").insert(0, &case.base).expect("the text is empty");
        doc.export(ExportMode::Snapshot).expect("it can be encoded")
    };
    let side = |id: u64, edits: &[Edit]| {
        let doc = LoroDoc::from_snapshot(&base).expect("it was just encoded");
        doc.set_peer_id(id).expect("nothing is written yet");
        let text = doc.get_text("t");
        for edit in edits {
            text.splice(edit.at, edit.deleted, &edit.inserted).expect("it is inside");
        }
        doc.commit();
        doc
    };
    measure(
        || (side(2, &case.our_edits), side(3, &case.their_edits)),
        |(ours, theirs)| {
            let new = theirs.export(ExportMode::updates(&ours.oplog_vv())).expect("it can be encoded");
            ours.import(&new).expect("it was just encoded");
            ours.get_text("t").to_string()
        },
    )
}

fn automerge(case: &Case) -> (f64, String) {
    let mut base = AutoCommit::new();
    let text = base.put_object(ROOT, "t", ObjType::Text).expect("a new document");
    base.splice_text(&text, 0, 0, &case.base).expect("the text is empty");
    base.commit();
    let side = |base: &mut AutoCommit, edits: &[Edit]| {
        let mut doc = base.fork();
        for edit in edits {
            doc.splice_text(&text, edit.at, edit.deleted as isize, &edit.inserted).expect("it is inside");
        }
        doc.commit();
        doc
    };
    measure(
        || (side(&mut base, &case.our_edits), side(&mut base, &case.their_edits)),
        |(ours, theirs)| {
            ours.merge(theirs).expect("they share their past");
            ours.text(&text).expect("it is there")
        },
    )
}

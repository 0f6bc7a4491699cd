//! Merging: the page that says what will happen, and the merge.
use super::super::proposals::{frame, title};
use super::super::{Asked, Shown, led_to, shown};
use super::deeds::{act, digest};
use super::{Asker, outlook, path, tables};
use crate::server::Shared;
use crate::server::asked::Named;
use crate::server::browser::Fields;
use crate::server::reading::read;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::authority::Right;
use mainstem::core::event::Digest;
use mainstem::core::gate::{GateResult, Outcome};
use mainstem::core::proposal::{MergeWish, Word};
use mainstem::error::Result;
use mainstem::primary::Primary;
use mainstem::review::{By, People, Privilege};
use mainstem::schema_merge::describe;
use mainstem_pages::merging::Merging;
use mainstem_pages::value::{ShownValue, seen};
use std::sync::Arc;

/// What merging will do.
pub async fn plan(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
) -> Shown {
    let (accounts, name, person) = (shared.clone(), dataset.clone(), identity.clone());
    let frame = frame(&visit, &dataset, id, format!("Merge proposal {id}"))?;
    let planning = move |primary: &mut dyn Primary| {
        let asker = Asker { shared: &accounts, identity: &person, dataset: &name };
        planned(primary, &asker, id)
    };
    let page = read(&shared, &identity, &dataset, planning).await?;
    match page {
        Some(page) => shown(&Merging { frame, ..page }),
        // It is merged, or closed: its own page says so.
        None => led_to(&path(&dataset, id)),
    }
}

fn planned(primary: &mut dyn Primary, asker: &Asker<'_>, id: u64) -> Result<Option<Merging>> {
    let judged = asker.judged(primary, id)?;
    let Some(assessment) = &judged.assessment else { return Ok(None) };
    asker.author().check_merge(id, primary)?;
    let members = asker.members();
    let may = |privilege| members.has(&asker.identity.name, privilege);
    let approving = judged.tally.counted.iter().filter(|vote| vote.ballot.word == Word::Approve);
    let gates = |wanted: &dyn Fn(&GateResult) -> bool| -> Vec<ShownValue> {
        assessment.gates.iter().filter(|gate| wanted(gate)).map(|gate| seen(&gate.gate)).collect()
    };
    Ok(Some(Merging {
        frame: Default::default(),
        path: path(asker.dataset, id),
        dataset: asker.dataset.to_string(),
        id,
        title: title(&judged),
        result: outlook(assessment),
        tables: tables(&assessment.tables, &path(asker.dataset, id), &Default::default()),
        schema: assessment.outcome.schema.iter().map(|step| seen(describe(step))).collect(),
        approvers: approving.map(|vote| vote.actor.clone()).collect(),
        missing: judged.tally.missing.clone(),
        blocking: gates(&|gate| gate.is_blocking()),
        warning: gates(&|gate| !gate.is_blocking() && gate.outcome != Outcome::Passed),
        conflicts: assessment.conflicts_open(),
        replicas: primary.replicas()?.iter().filter(|known| !known.is_expired).count(),
        may_force: may(Privilege::Force) && may(Privilege::SkipConflicts),
    }))
}

/// Merges.
pub async fn merge(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named((dataset, id)): Named<(String, u64)>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["digest", "force", "alter"])?;
    let digest = digest(fields.one("digest")?)?;
    let (is_forced, may_alter) = (fields.maybe("force")?.is_some(), fields.maybe("alter")?.is_some());
    let key = request(&digest, is_forced, may_alter);
    let wish = MergeWish { digest: Some(digest), may_alter, skip_conflicts: is_forced, force: is_forced, ..MergeWish::new(key) };
    let merging = move |primary: &mut dyn Primary, asker: &Asker<'_>, by: By<'_>| {
        asker.author().check_merge(id, primary)?;
        primary.merge(id, &wish, by)
    };
    act(&shared, &identity, &dataset, Right::Write, merging).await?;
    led_to(&format!("{}?done=merged", path(&dataset, id)))
}

/// Names a wish by what it wants, so that it is done once however often the form is sent.
fn request(digest: &Digest, is_forced: bool, may_alter: bool) -> u128 {
    let wish = mainstem::core::digest::of("mainstem form 1", &[&digest[..], &[u8::from(is_forced), u8::from(may_alter)]]);
    u128::from_be_bytes(std::array::from_fn(|at| wish[at]))
}

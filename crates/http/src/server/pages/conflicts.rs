//! The conflicts of a dataset, answered in place.
use super::account::said;
use super::changes::{key_of, row_path};
use super::{Asked, Shown, framed, led_to, moment, own_path, shown};
use crate::server::Shared;
use crate::server::asked::{Asked as Query, Named};
use crate::server::browser::Fields;
use crate::server::people::edits::{answered, choice_named, conflict_named};
use crate::server::reading::read;
use crate::wire::shown::conflict_id;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::author::permit;
use mainstem::core::authority::{Object, Right};
use mainstem::core::change::Choice;
use mainstem::core::conflict::{self, Conflict, ConflictKind};
use mainstem::core::schema::Schema;
use mainstem::core::value::Value;
use mainstem::error::{Error, Result};
use mainstem::replica::Answering;
use mainstem::typed_value::value_for_conflict;
use mainstem_pages::address::{asked, path};
use mainstem_pages::conflicts::{self as page, Claim, Conflicts, Filter, Side};
use mainstem_pages::pager::Pager;
use mainstem_pages::value::{Room, ShownValue};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Conflicts on one page.
const CONFLICTS: usize = 25;

/// Which conflicts.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConflictsAsked {
    state: Option<String>,
    table: Option<String>,
    kind: Option<String>,
    /// The one of this id alone.
    id: Option<String>,
    /// Those that a version found.
    version: Option<u64>,
    skip: Option<usize>,
    done: Option<String>,
}

impl ConflictsAsked {
    /// Where nobody says: those that wait; of one version, or one by its name, all.
    fn state(&self) -> &str {
        let is_named = self.id.is_some() || self.version.is_some();
        self.state.as_deref().unwrap_or(if is_named { "all" } else { "open" })
    }
    fn keeps(&self, conflict: &Conflict) -> bool {
        let said = |said: &Option<String>| said.clone().filter(|said| !said.is_empty());
        let is_state = match self.state() {
            "open" => conflict.is_open(),
            "resolved" => !conflict.is_open(),
            _ => true,
        };
        is_state
            && said(&self.table).is_none_or(|table| conflict.table.eq_ignore_ascii_case(&table))
            && said(&self.kind).is_none_or(|kind| conflict.kind.name() == kind)
            && said(&self.id).is_none_or(|id| conflict_id(conflict.id) == id)
            && self.version.is_none_or(|version| conflict.version == version)
    }
    fn skipping(&self, to: &str, skip: usize) -> String {
        let version = self.version.map(|version| version.to_string());
        let skip = (skip > 0).then(|| skip.to_string());
        let (state, table, kind, id) = (self.state.clone(), self.table.clone(), self.kind.clone(), self.id.clone());
        asked(to, &[("state", state), ("table", table), ("kind", kind), ("id", id), ("version", version), ("skip", skip)])
    }
}

/// Conflicts, oldest first.
pub async fn conflicts(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Query(query): Query<ConflictsAsked>,
) -> Shown {
    let open_only = query.state() == "open";
    let (all, schema) = read(&shared, &identity, &name, move |primary| Ok((primary.conflicts(open_only)?, primary.schema()?))).await?;
    let wanted: Vec<&Conflict> = all.iter().filter(|conflict| query.keeps(conflict)).collect();
    let skip = query.skip.unwrap_or(0).min(wanted.len());
    let end = (skip + CONFLICTS).min(wanted.len());
    let to = path(&["datasets", &name, "conflicts"]);
    let pager = Pager {
        of: "the conflicts",
        first: (skip > 0).then(|| query.skipping(&to, 0)),
        previous: (skip > CONFLICTS).then(|| query.skipping(&to, skip - CONFLICTS)),
        next: (end < wanted.len()).then(|| query.skipping(&to, end)),
        ..Pager::default()
    };
    let mut frame = framed(&visit, &name, "conflicts", "Conflicts".to_string())?;
    frame.notice = said(query.done.as_deref());
    let tables: BTreeSet<String> = all.iter().map(|conflict| conflict.table.clone()).collect();
    let page = Conflicts {
        frame,
        filter: Filter {
            state: query.state().to_string(),
            table: query.table.clone().unwrap_or_default(),
            kind: query.kind.clone().unwrap_or_default(),
        },
        tables: tables.into_iter().collect(),
        kinds: ConflictKind::ALL.map(|kind| (kind.name(), words(kind))).to_vec(),
        conflicts: wanted[skip..end].iter().map(|conflict| shown_conflict(&name, &schema, conflict)).collect(),
        pager,
        count: wanted.len() as u64,
        may_answer: permit(&identity, Right::Write, Object::Within(&name)).is_ok(),
        name,
    };
    shown(&page)
}

fn words(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::CreateCreate => "both made a row of one key",
        ConflictKind::UpdateUpdate => "both changed one cell",
        ConflictKind::UpdateDelete => "changed here, deleted there",
        ConflictKind::DeleteUpdate => "deleted here, changed there",
        ConflictKind::MissingParent => "points to a row that was deleted",
        ConflictKind::Unique => "two rows want one value",
        ConflictKind::Constraint => "together they break a rule of the table",
        ConflictKind::Schema => "steps of the schema contradict",
    }
}

fn shown_conflict(dataset: &str, schema: &Schema, conflict: &Conflict) -> page::Conflict {
    let table = schema.table(&conflict.table);
    let columns: Vec<String> = table.map(|table| table.key.iter().map(|&at| table.columns[at].name.clone()).collect()).unwrap_or_default();
    let side = |side: &conflict::Side| Side { actor: side.actor.clone(), at: moment(side.stamp.time), claim: claim(&side.claim) };
    page::Conflict {
        id: conflict_id(conflict.id),
        kind: words(conflict.kind),
        table: conflict.table.clone(),
        key: key_of(&columns, &conflict.key),
        to: row_path(dataset, &conflict.table, &conflict.key, None),
        column: conflict.column.clone(),
        base: claim(&conflict.base),
        ours: side(&conflict.ours),
        theirs: side(&conflict.theirs),
        detail: conflict.detail.clone(),
        version: conflict.version,
        answer: conflict.answer.as_ref().map(|answer| (answer.choice.name(), answer.actor.clone(), moment(answer.at))),
        merged: mainstem::at_primary::merged(conflict).ok().map(|both| Claim::Cell(ShownValue::new(&both, Room::Page))),
        takes_value: conflict.column.is_some() && matches!(conflict.ours.claim, conflict::Claim::Cell(_)),
    }
}

fn claim(claim: &conflict::Claim) -> Claim {
    match claim {
        conflict::Claim::Cell(value) => Claim::Cell(ShownValue::new(value, Room::Page)),
        conflict::Claim::Row(None) => Claim::Nothing,
        conflict::Claim::Row(Some(image)) => {
            Claim::Row(image.iter().map(|(column, value)| (column.clone(), ShownValue::new(value, Room::Cell))).collect())
        }
    }
}

/// Answers the conflicts that were chosen, all with one choice.
pub async fn answer(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Extension(fields): Extension<Fields>,
) -> Shown {
    let fields = fields.only(&["conflict", "choice", "value", "back"])?;
    let ids = fields.many("conflict").map(conflict_named).collect::<Result<BTreeSet<u64>>>()?;
    if ids.is_empty() {
        return Err(Error::invalid("no conflict was chosen").hint("tick some of them first").into());
    }
    let choice = choice_named(fields.one("choice")?)?;
    let typed = fields.maybe("value")?.unwrap_or_default().to_string();
    if choice == Choice::Value && ids.len() > 1 {
        return Err(Error::invalid("one value answers one conflict").into());
    }
    let known = read(&shared, &identity, &name, |primary| primary.conflicts(true)).await?;
    let answering = |id: &u64| {
        let conflict = known.iter().find(|conflict| conflict.id == *id);
        let read = || conflict.map_or_else(|| Value::text(&typed), |conflict| value_for_conflict(&typed, conflict));
        let value = (choice == Choice::Value).then(read);
        (*id, Answering { choice, value })
    };
    answered(&shared, identity, &name, ids.iter().map(answering).collect()).await?;
    let back = fields.maybe("back")?.and_then(own_path).filter(|back| !back.contains("done="));
    let back = back.map_or_else(|| path(&["datasets", &name, "conflicts"]), ToString::to_string);
    led_to(&format!("{back}{}done=answered", if back.contains('?') { '&' } else { '?' }))
}

//! The rows of a table, and a row with who wrote what.
use super::changes::{key_of, key_text, row_path, shown_change};
use super::dataset::columns;
use super::{Asked, Shown, framed, moment, shown};
use crate::server::Shared;
use crate::server::asked::{Asked as Query, Named};
use crate::server::browser::Visit;
use crate::server::people::rows::{Part, place};
use crate::server::reading::read;
use crate::wire::shown::conflict_id;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::proposal::Reviewed;
use mainstem::core::schema::Table;
use mainstem::core::value::{Key, Row as Values};
use mainstem::error::{Error, Result};
use mainstem::history::{Blame, CellBlame, Happening, Reviews, RowHistory, RowPlace, Rule, reviews};
use mainstem::primary::Primary;
use mainstem_pages::address::{asked, path};
use mainstem_pages::frame::{Frame, Link};
use mainstem_pages::pager::Pager;
use mainstem_pages::reviewed::ShownReview;
use mainstem_pages::row::{self, Cell, Row};
use mainstem_pages::rows::Rows;
use mainstem_pages::value::{Room, ShownValue, grouped, seen};
use serde::Deserialize;
use std::sync::Arc;

/// Rows on one page.
const ROWS: usize = 50;
/// Things that happened to a row, on one page.
const HAPPENINGS: usize = 20;

/// Which rows.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsAsked {
    at: Option<u64>,
    skip: Option<u64>,
}

/// The rows of a table at a version.
pub async fn rows(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named((name, table)): Named<(String, String)>,
    Query(query): Query<RowsAsked>,
) -> Shown {
    let (skip, wanted, at) = (query.skip.unwrap_or(0), table.clone(), query.at);
    let (part, declared, head) = read(&shared, &identity, &name, move |primary| {
        let head = primary.describe()?.head.version;
        let part = Part::read(primary, &wanted, at, (skip, ROWS))?;
        Ok((part, primary.schema()?.table(&wanted).cloned(), head))
    })
    .await?;
    let to = path(&["datasets", &name, "tables", &table]);
    let at = (part.version != head).then(|| part.version.to_string());
    let skipping = |skip: u64| asked(&to, &[("at", at.clone()), ("skip", (skip > 0).then(|| skip.to_string()))]);
    let pager = Pager {
        of: "the rows",
        first: (skip > 0).then(|| skipping(0)),
        previous: (skip > ROWS as u64).then(|| skipping(skip - ROWS as u64)),
        next: part.next.map(skipping),
        shown: match part.rows.len() as u64 {
            0 => String::new(),
            count => format!("rows {} to {}", grouped(skip + 1), grouped(skip + count)),
        },
    };
    let linked = |row: &Values| (row_to(&name, &table, declared.as_ref(), &part.columns, row, at.clone()), values(row));
    let page = Rows {
        frame: of_table(&visit, &name, &table, table.clone(), None)?,
        columns: described(&part.columns, declared.as_ref()),
        rows: part.rows.iter().map(linked).collect(),
        table: table.clone(),
        version: part.version,
        head,
        to: to.clone(),
        pager,
    };
    shown(&page)
}

/// The frame of a table's page, or of one of its rows'.
fn of_table(visit: &Visit, dataset: &str, table: &str, title: String, row: Option<&str>) -> Result<Frame> {
    let mut frame = framed(visit, dataset, "", title)?;
    let to = path(&["datasets", dataset, "tables", table]);
    frame.way.push(Link { is_here: row.is_none(), ..Link::to(table, &to) });
    frame
        .way
        .extend(row.map(|key| Link { is_here: true, ..Link::to(key, asked(&format!("{to}/row"), &[("key", Some(key.to_string()))])) }));
    Ok(frame)
}

fn values(row: &Values) -> Vec<ShownValue> {
    row.iter().map(|value| ShownValue::new(value, Room::Cell)).collect()
}

/// Columns as they were called then, with what is declared of those that are called so now. No row, no columns: then those of now.
fn described(names: &[String], declared: Option<&Table>) -> Vec<(String, String, bool)> {
    let now = declared.map(columns).unwrap_or_default();
    if names.is_empty() {
        return now;
    }
    let of =
        |name: &String| now.iter().find(|(known, _, _)| known == name).cloned().unwrap_or_else(|| (name.clone(), String::new(), false));
    names.iter().map(of).collect()
}

/// Where a row's page is.
fn row_to(dataset: &str, table: &str, declared: Option<&Table>, names: &[String], row: &Values, at: Option<String>) -> String {
    let key_columns =
        declared.map(|table| table.key.iter().map(|&at| table.columns[at].name.as_str()).collect::<Vec<_>>()).unwrap_or_default();
    let key: Key = key_columns.iter().filter_map(|column| names.iter().position(|name| name == column)).map(|at| row[at].clone()).collect();
    row_path(dataset, table, &key, at)
}

/// Which row.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowAsked {
    key: String,
    at: Option<u64>,
    /// What happened up to this version alone.
    until: Option<u64>,
}

/// A row with who wrote what.
pub async fn row(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named((name, table)): Named<(String, String)>,
    Query(query): Query<RowAsked>,
) -> Shown {
    let (wanted, until) = (table.clone(), query.until);
    let found = read(&shared, &identity, &name, move |primary| Found::read(primary, wanted, &query.key, query.at, until)).await?;
    let key = key_text(&found.place.key);
    let to = row_path(&name, &table, &found.place.key, None);
    let at = (found.place.version != found.head).then(|| found.place.version.to_string());
    let own = path(&["datasets", &name, "tables", &table, "row"]);
    let reaching = |until: Option<u64>| {
        asked(&own, &[("key", Some(key.clone())), ("at", at.clone()), ("until", until.map(|until| until.to_string()))])
    };
    let page = Row {
        frame: of_table(&visit, &name, &table, format!("{table} {key}"), Some(&key))?,
        key: key_of(&found.key_columns, &found.place.key),
        version: found.place.version,
        head: found.head,
        to,
        deleted: asked(&path(&["datasets", &name, "deleted"]), &[("table", Some(table.clone()))]),
        cells: found.blame.cells.iter().map(|each| found.cell(&name, each)).collect(),
        gone: found.blame.gone.as_ref().map(|gone| found.happening(&name, &gone.deletion)),
        happenings: found.history.happenings.iter().map(|each| found.happening(&name, each)).collect(),
        pager: Pager {
            of: "what happened",
            first: until.map(|_| reaching(None)),
            next: found.history.next.as_ref().map(|place| reaching(Some(place.version))),
            ..Pager::default()
        },
        beginning: beginning(&found.history),
        table,
        name,
    };
    shown(&page)
}

struct Found {
    place: RowPlace,
    head: u64,
    key_columns: Vec<String>,
    blame: Blame,
    history: RowHistory,
    /// How the versions that are told of were reviewed, where they were.
    reviews: Reviews,
}

impl Found {
    fn read(primary: &mut dyn Primary, table: String, key: &str, at: Option<u64>, until: Option<u64>) -> Result<Found> {
        let place = place(primary, table, key, at)?;
        let head = primary.describe()?.head.version;
        let declared = primary.schema()?.table(&place.table).cloned();
        let key_columns = declared.map(|table| table.key.iter().map(|&at| table.columns[at].name.clone()).collect()).unwrap_or_default();
        let blame = primary.blame(&place)?;
        let from = RowPlace { version: until.unwrap_or(place.version).min(place.version), ..place.clone() };
        let history = primary.row_history(&from, HAPPENINGS)?;
        if blame.cells.is_empty() && blame.gone.is_none() && history.happenings.is_empty() {
            return Err(Error::not_found(format!("{} has no such row, and never had", place.table)));
        }
        let told = history.happenings.iter().map(|happening| happening.version);
        let reviews = reviews(primary, &blame.versions().into_iter().chain(told).collect())?;
        Ok(Found { place, head, key_columns, blame, history, reviews })
    }

    fn cell(&self, dataset: &str, blame: &CellBlame) -> Cell {
        let origin = &blame.origin;
        Cell {
            column: blame.column.clone(),
            value: ShownValue::new(&blame.value, Room::Page),
            version: origin.version,
            actor: origin.header.actor.clone(),
            written_at: moment(origin.at),
            rule: rule_text(&origin.rule),
            conflicts: origin.conflicts.iter().map(|conflict| conflict_id(conflict.id)).collect(),
            review: self.reviews.get(&origin.version).map(|reviewed| shown_review(dataset, reviewed)),
        }
    }

    fn happening(&self, dataset: &str, happening: &Happening) -> row::Happening {
        row::Happening {
            version: happening.version,
            actor: happening.header.actor.clone(),
            title: happening.header.title.clone(),
            accepted_at: moment(happening.accepted_at),
            review: self.reviews.get(&happening.version).map(|reviewed| shown_review(dataset, reviewed)),
            change: shown_change(dataset, &happening.shape, &happening.change),
        }
    }
}

/// How a version came out of a proposal.
pub(super) fn shown_review(dataset: &str, reviewed: &Reviewed) -> ShownReview {
    ShownReview {
        dataset: dataset.to_string(),
        proposal: reviewed.proposal,
        approvers: reviewed.approvers().map(ToString::to_string).collect(),
        merged_by: reviewed.actor.clone(),
        passed: reviewed.warnings.iter().map(seen).collect(),
    }
}

fn rule_text(rule: &Rule) -> String {
    match rule {
        Rule::Published => "there when it was published".into(),
        Rule::Written => "written".into(),
        Rule::Merged(strategy) => format!("merged by the strategy {strategy}"),
        Rule::Resolved { choice, .. } => format!("the answer to a conflict: {}", choice.name()),
        Rule::Direct => "written straight into the primary".into(),
        Rule::Released => "waited for the row it points to".into(),
        Rule::ColumnAdded => "the column was added with this default".into(),
        Rule::Collected => "in this version or before; that is not kept any more".into(),
    }
}

fn beginning(history: &RowHistory) -> Option<String> {
    let published = history.published.as_ref().map(|(header, _)| format!("It was there when {} published the dataset.", header.actor));
    published.or_else(|| history.collected.map(|version| format!("What happened up to version {version} is not kept any more.")))
}

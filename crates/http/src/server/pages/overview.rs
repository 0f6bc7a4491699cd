//! The page one begins on.
use super::{Asked, Shown, moment, shown};
use crate::server::Shared;
use crate::server::asked::Asked as Query;
use crate::server::people::datasets::readable;
use crate::server::reading::read;
use axum::extract::{Extension, State};
use mainstem::accounts::Identity;
use mainstem::core::event::Version;
use mainstem::core::stamp::Time;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem_pages::frame::Frame;
use mainstem_pages::overview::{Dataset, Happening, Overview};
use mainstem_pages::value::grouped;
use serde::Deserialize;
use std::sync::Arc;

/// Datasets on one page: each is opened for it.
const DATASETS: usize = 30;
/// Versions that the activity looks at in each dataset, and those that it shows in all.
const LATEST: u64 = 8;
const ACTIVITY: usize = 12;

/// Which datasets.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverviewAsked {
    after: Option<String>,
}

/// What a dataset has to say on the overview.
struct Glance {
    shown: Dataset,
    latest: Vec<Version>,
}

/// The overview.
pub async fn overview(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Query(asked): Query<OverviewAsked>,
) -> Shown {
    let mut names = readable(&shared, &identity)?;
    names.retain(|name| asked.after.as_ref().is_none_or(|after| name > after));
    let next = (names.len() > DATASETS).then(|| format!("/?after={}", names[DATASETS - 1]));
    names.truncate(DATASETS);
    let (mut datasets, mut latest) = (Vec::new(), Vec::new());
    for name in names {
        match glance(&shared, &identity, &name).await {
            Ok(glance) => {
                latest.extend(glance.latest.into_iter().map(|version| (name.clone(), version)));
                datasets.push(glance.shown);
            }
            // It was deleted since.
            Err(e) if e.code == "no_primary" => {}
            Err(e) => datasets.push(unreadable(name, &e)),
        }
    }
    latest.sort_by_key(|(_, version)| std::cmp::Reverse(version.accepted_at));
    let activity = latest.iter().take(ACTIVITY).map(|(name, version)| happening(name, version)).collect();
    let frame = Frame { live: Some("/live".to_string()), ..visit.frame("Datasets") };
    shown(&Overview { frame, datasets, next, activity, address: visit.address.clone() })
}

async fn glance(shared: &Arc<Shared>, identity: &Identity, name: &str) -> Result<Glance> {
    let (counting, datasets, named) = (shared.clone(), shared.hall.datasets(), name.to_string());
    let look = move |primary: &mut dyn Primary| {
        let head = primary.describe()?.head.version;
        let replicas = primary.replicas()?;
        let waiting = counting.hall.waiting().of(&named, primary)?;
        let mut latest = Vec::new();
        for version in (head.saturating_sub(LATEST - 1).max(1)..=head).rev() {
            latest.extend(primary.version(version)?);
        }
        let lags = replicas.iter().filter(|known| !known.is_expired).map(|known| head.saturating_sub(known.seen.version));
        let changed_at: Option<Time> = latest.first().map(|version| version.accepted_at);
        let shown = Dataset {
            name: named.clone(),
            version: head,
            changed_at: changed_at.map(moment),
            conflicts: waiting.conflicts,
            proposals: waiting.proposals,
            replicas: replicas.len() as u64,
            behind: lags.clone().filter(|lag| *lag > 0).count() as u64,
            lag: lags.max().unwrap_or(0),
            is_archived: datasets.is_archived(&named)?,
            trouble: None,
        };
        Ok(Glance { shown, latest })
    };
    read(shared, identity, name, look).await
}

/// One that is damaged is shown as that: the others are there all the same.
fn unreadable(name: String, error: &Error) -> Dataset {
    let trouble = Some(error.message.clone());
    Dataset { name, version: 0, changed_at: None, conflicts: 0, proposals: 0, replicas: 0, behind: 0, lag: 0, is_archived: false, trouble }
}

fn happening(name: &str, version: &Version) -> Happening {
    Happening {
        dataset: name.to_string(),
        version: version.version,
        actor: version.header.actor.clone(),
        title: version.header.title.clone(),
        what: what(version),
        at: moment(version.accepted_at),
    }
}

/// What a version did, in words that stand before the dataset's name.
fn what(version: &Version) -> String {
    let count = |number: usize, one: &str| format!("{} {one}{}", grouped(number as u64), if number == 1 { "" } else { "s" });
    if version.version == 1 {
        return "published".to_string();
    }
    let kinds = [
        ("changed", version.count as usize, "row", "of"),
        ("changed", version.schema.len(), "declaration", "of"),
        ("answered", version.resolved.len(), "conflict", "in"),
        ("met", version.conflicts.len(), "conflict", "in"),
    ];
    let did = kinds.into_iter().find(|(_, number, ..)| *number > 0);
    did.map_or_else(|| "brought nothing new to".to_string(), |(verb, number, one, of)| format!("{verb} {} {of}", count(number, one)))
}

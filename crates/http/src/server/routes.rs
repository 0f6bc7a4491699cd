//! Every route of the server, in one table: what it answers, what it needs, and who handles it.
//!
//! Invariant: a request reaches its handler only through [`router`], after what its row needs was granted.
use super::people::proposals::{self, deeds, merging};
use super::people::{audit, backups, conflicts, datasets, edits, notices, rows, tombstones, versions};
use super::refused::Refused;
use super::{Shared, access, browser, feed, gate, guard, meters, openapi, pages, replica_calls, webhooks};
use crate::wire::audit::{ShownAudit, ShownLink};
use crate::wire::call::Call;
use crate::wire::event::ShownEvent;
use crate::wire::given::{GivenAnswers, GivenComment, GivenDecision, GivenMerge, GivenPart, GivenRevert, GivenVote};
use crate::wire::keeping::{
    CleanupWish, Confirmed, DatasetChange, DatasetsAsked, PolicyWish, ShownBackup, ShownCleanup, ShownDataset, ShownPolicy, ShownRestored,
};
use crate::wire::proposal::{ShownAnswered, ShownMerged, ShownOffered, ShownPart, ShownPlan, ShownProposal, ShownProposalLine};
use crate::wire::schema::ShownTables;
use crate::wire::shown::{
    Listed, ShownBlame, ShownChange, ShownConflict, ShownEdit, ShownHappening, ShownNotice, ShownReplica, ShownRows, ShownTombstone,
    ShownVersion,
};
use crate::wire::staged::{ShownStaged, ShownUnstaged};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use hyper::Method;
use mainstem::core::ErrorKind;
pub use mainstem::core::authority::Right;
use mainstem::error::Error;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use std::sync::Arc;

/// What whoever asks must be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: anybody may.
    Nothing,
    /// The token by which the first administrator is made.
    Setup,
    /// To be somebody.
    Identity,
    /// To be somebody, by a token that is not limited: what changes one's own account.
    Account,
    /// A right on the dataset that the path names.
    Dataset(Right),
    /// To administer the server.
    Server,
}

/// Describes a type.
pub type Describe = fn(&mut SchemaGenerator) -> Schema;

/// What a body is.
#[derive(Clone, Copy)]
pub enum Media {
    /// There is none.
    Nothing,
    /// Frames of the replica protocol.
    Frames,
    /// JSON of a type.
    Json(Describe),
    /// A SQLite file.
    File,
    /// A page for a browser.
    Page,
    /// A part of the feed as JSON of a type, or a stream of it.
    Feed(Describe),
    /// A WebSocket.
    Socket,
    /// Text.
    Text,
}

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Programs: they show a token, and no cookie counts.
    Programs,
    /// Browsers: they show a cookie, and no token counts.
    Browsers,
}

/// One route.
pub struct Route {
    /// Whom it is for.
    pub side: Side,
    /// The method.
    pub method: Method,
    /// The path, with `{dataset}` and the like in it.
    pub path: String,
    /// What it needs.
    pub needs: Needs,
    /// What it does, in a sentence.
    pub summary: String,
    /// What its query string may say; none where it takes no query.
    pub query: Option<Describe>,
    /// True where a request may have a key, so that it is done once however often it is sent.
    pub is_keyed: bool,
    /// What it takes.
    pub takes: Media,
    /// What it gives.
    pub gives: Media,
    /// Who handles it.
    pub handler: MethodRouter<Arc<Shared>>,
}

impl Route {
    fn reads<T: JsonSchema>(path: &str, summary: &str, handler: MethodRouter<Arc<Shared>>) -> Route {
        Route {
            side: Side::Programs,
            method: Method::GET,
            path: format!("/api/v1/datasets/{{dataset}}{path}"),
            needs: Needs::Dataset(Right::Read),
            summary: summary.to_string(),
            query: None,
            is_keyed: false,
            takes: Media::Nothing,
            gives: Media::Json(SchemaGenerator::subschema_for::<T>),
            handler,
        }
    }
    pub(super) fn asked<Q: JsonSchema>(self) -> Route {
        Route { query: Some(SchemaGenerator::subschema_for::<Q>), ..self }
    }
    pub(super) fn by(self, method: Method) -> Route {
        Route { method, ..self }
    }
    pub(super) fn takes<B: JsonSchema>(self, method: Method) -> Route {
        Route { method, takes: Media::Json(SchemaGenerator::subschema_for::<B>), ..self }
    }
    /// The same, where a request may have a key.
    fn keyed(self) -> Route {
        Route { is_keyed: true, ..self }
    }
    pub(super) fn of_server(path: &str, needs: Needs, gives: Media, summary: &str, handler: MethodRouter<Arc<Shared>>) -> Route {
        Route { path: path.to_string(), needs, gives, ..Route::reads::<()>("", summary, handler) }
    }
    /// A page, or what a page's form is sent to.
    pub(super) fn page(method: Method, path: &str, needs: Needs, summary: &str, handler: MethodRouter<Arc<Shared>>) -> Route {
        Route { side: Side::Browsers, method, ..Route::of_server(path, needs, Media::Page, summary, handler) }
    }
}

/// Every route.
pub fn routes() -> Vec<Route> {
    let mut all = of_server();
    all.extend(access::routes());
    all.extend(of_dataset());
    all.extend(of_edits());
    all.extend(of_proposals());
    all.extend(webhooks::routes());
    all.extend(meters::routes());
    all.extend(of_keeping());
    all.extend(Call::ALL.iter().map(|&call| of_call(call)));
    all.extend(pages::routes());
    all
}

fn of_server() -> Vec<Route> {
    let datasets_given = Media::Json(SchemaGenerator::subschema_for::<Listed<ShownDataset>>);
    let notices_given = Media::Json(SchemaGenerator::subschema_for::<Vec<ShownNotice>>);
    let document_given = Media::Json(SchemaGenerator::subschema_for::<serde_json::Value>);
    vec![
        Route::of_server("/api/v1/openapi.json", Needs::Nothing, document_given, "This description.", get(openapi::document)),
        Route::of_server("/api", Needs::Nothing, Media::Page, "This description, to be read.", get(openapi::page)),
        Route::of_server(
            "/api/v1/notices",
            Needs::Identity,
            notices_given,
            "What concerns you, what is urgent first.",
            get(notices::notices),
        ),
        Route::of_server("/api/v1/datasets", Needs::Identity, datasets_given, "The datasets you may read.", get(datasets::datasets))
            .asked::<DatasetsAsked>(),
    ]
}

fn of_dataset() -> Vec<Route> {
    vec![
        Route::reads::<ShownDataset>("", "What a dataset is and where it stands.", get(datasets::dataset)),
        Route::reads::<ShownPolicy>("/policy", "The policy in force.", get(datasets::policy)),
        Route::reads::<Listed<ShownReplica>>("/replicas", "The replicas, those heard of last first.", get(datasets::replicas)),
        Route::reads::<Listed<ShownVersion>>("/versions", "Versions, newest first.", get(versions::versions))
            .asked::<versions::VersionsAsked>(),
        Route::reads::<ShownVersion>("/versions/{version}", "One version.", get(versions::version)),
        Route::reads::<Listed<ShownChange>>("/versions/{version}/changes", "What a version changed.", get(versions::changes))
            .asked::<versions::ChangesAsked>(),
        Route::reads::<ShownTables>("/versions/{version}/tables", "The tables as they were at a version.", get(versions::tables)),
        Route::reads::<ShownRows>("/tables/{table}/rows", "The rows of a table at a version.", get(rows::rows)).asked::<rows::RowsAsked>(),
        Route::reads::<Listed<ShownHappening>>("/tables/{table}/history", "What happened to a row, newest first.", get(rows::history))
            .asked::<rows::HistoryAsked>(),
        Route::reads::<ShownBlame>("/tables/{table}/blame", "Where each cell of a row comes from.", get(rows::blame))
            .asked::<rows::RowAsked>(),
        Route::reads::<Listed<ShownConflict>>("/conflicts", "Conflicts, oldest first.", get(conflicts::conflicts))
            .asked::<conflicts::ConflictsAsked>(),
        Route::reads::<Listed<ShownLink>>("/audit", "The chain of events, oldest first.", get(audit::events)).asked::<audit::EventsAsked>(),
        Route::reads::<Listed<ShownTombstone>>("/tombstones", "Tombstones, oldest first.", get(tombstones::tombstones))
            .asked::<tombstones::TombstonesAsked>(),
        Route {
            gives: Media::Feed(SchemaGenerator::subschema_for::<Listed<ShownEvent>>),
            ..Route::reads::<()>("/feed", "Accepted changes as events, oldest first: a page, lines, or a stream.", get(feed::feed))
        }
        .asked::<feed::FeedAsked>(),
        Route {
            gives: Media::Socket,
            ..Route::reads::<()>("/feed/socket", "Accepted changes as events over a WebSocket.", get(feed::socket))
        }
        .asked::<feed::FeedAsked>(),
    ]
}

/// Edits for somebody who has no replica at hand.
fn of_edits() -> Vec<Route> {
    let writes =
        |path, summary, handler| Route { needs: Needs::Dataset(Right::Write), ..Route::reads::<ShownEdit>(path, summary, handler) };
    vec![
        writes("/conflicts/answers", "Answers conflicts, as one version.", post(edits::answer)).takes::<edits::AnswersWish>(Method::POST),
        writes("/tombstones/restore", "Puts deleted rows back, as one version.", post(edits::restore))
            .takes::<edits::RestoreWish>(Method::POST),
    ]
}

/// Proposals: what is read of them needs to read, what is said of them to propose, and what is made of them to write.
fn of_proposals() -> Vec<Route> {
    let path = |rest: &str| format!("/proposals/{{proposal}}{rest}");
    let may = |right, route: Route| Route { needs: Needs::Dataset(right), ..route };
    let said = |rest: &str, summary, handler| may(Right::Propose, Route::reads::<ShownProposal>(&path(rest), summary, handler));
    vec![
        Route::reads::<Listed<ShownProposalLine>>("/proposals", "Proposals, newest first.", get(proposals::proposals))
            .asked::<proposals::ProposalsAsked>(),
        Route::reads::<ShownProposal>(
            &path(""),
            "A proposal: how it stands, its votes and comments, and what merging would do.",
            get(proposals::proposal),
        ),
        Route::reads::<Listed<ShownChange>>(&path("/changes"), "What merging changes, by the digest of that.", get(proposals::changes))
            .asked::<proposals::ChangesAsked>(),
        Route::reads::<Listed<ShownChange>>(
            &path("/revisions/{revision}/changes"),
            "What a revision changes, as it was offered.",
            get(proposals::offered),
        )
        .asked::<proposals::OfferedAsked>(),
        said("/votes", "Votes on what merging does, by the digest of that.", post(deeds::vote)).takes::<GivenVote>(Method::POST).keyed(),
        said("/comments", "Says something about a proposal, a row or a cell.", post(deeds::comment))
            .takes::<GivenComment>(Method::POST)
            .keyed(),
        said("/decision", "Withdraws or rejects a proposal, or opens it again.", post(deeds::decide))
            .takes::<GivenDecision>(Method::POST)
            .keyed(),
        may(Right::Write, Route::reads::<ShownAnswered>(&path("/answers"), "Answers every open conflict.", post(deeds::answer)))
            .takes::<GivenAnswers>(Method::POST)
            .keyed(),
        may(Right::Write, Route::reads::<ShownPart>(&path("/part"), "Narrows a proposal to some rows.", post(deeds::part)))
            .takes::<GivenPart>(Method::POST)
            .keyed(),
        Route::reads::<ShownPlan>(&path("/merge"), "What merging a proposal would come to.", get(merging::plan)),
        may(Right::Write, Route::reads::<ShownMerged>(&path("/merge"), "Merges a proposal, once.", post(merging::merge)))
            .takes::<GivenMerge>(Method::POST)
            .keyed(),
        may(
            Right::Propose,
            Route::reads::<ShownOffered>("/versions/{version}/revert", "Proposes to take a version back.", post(deeds::revert)),
        )
        .takes::<GivenRevert>(Method::POST)
        .keyed(),
        Route::reads::<Listed<ShownStaged>>("/staging", "The staged rows of proposals, oldest first.", get(merging::staging)),
        may(
            Right::Own,
            Route::reads::<ShownUnstaged>("/staging/cleanup", "Removes staged rows that have expired.", post(merging::clean_staging)),
        )
        .takes::<CleanupWish>(Method::POST),
    ]
}

/// What whoever runs a dataset does to it as a whole.
fn of_keeping() -> Vec<Route> {
    vec![
        Route::reads::<ShownDataset>("", "Archives a dataset, or takes it out of the archive.", patch(datasets::change))
            .takes::<DatasetChange>(Method::PATCH),
        Route::reads::<()>("", "Deletes an archived dataset; its name is said once more.", delete(datasets::delete))
            .asked::<Confirmed>()
            .by(Method::DELETE),
        Route::reads::<ShownPolicy>("/policy", "Replaces the policy.", put(datasets::set_policy)).takes::<PolicyWish>(Method::PUT),
        Route::reads::<ShownCleanup>("/cleanup", "Forgets tombstones and row changes that have expired.", post(tombstones::cleanup))
            .takes::<CleanupWish>(Method::POST),
        Route::reads::<ShownAudit>(
            "/audit/verification",
            "Whether the chain is whole, and the stored rows are what it says.",
            get(audit::verification),
        )
        .asked::<audit::VerificationAsked>(),
        Route { gives: Media::File, ..Route::reads::<()>("/export", "The whole dataset as it is now, as a backup.", get(backups::export)) },
        Route::reads::<Listed<ShownBackup>>("/backups", "The backups that the server keeps, oldest first.", get(backups::backups)),
        Route::reads::<ShownBackup>("/backups", "Keeps a backup of the dataset as it is now.", post(backups::back_up)).by(Method::POST),
        Route::reads::<ShownRestored>(
            "/backups/{backup}/restore",
            "Puts a backup in the dataset's place, as another life of it; what was there becomes a backup.",
            post(backups::restore),
        )
        .by(Method::POST),
    ]
    .into_iter()
    .map(|route| Route { needs: Needs::Dataset(Right::Own), ..route })
    .collect()
}

fn of_call(call: Call) -> Route {
    Route {
        side: Side::Programs,
        method: Method::POST,
        path: format!("/api/v1/datasets/{{dataset}}/primary/{}", call.name()),
        needs: if call == Call::Found { Needs::Server } else { Needs::Dataset(right_of(call)) },
        summary: format!("The replica protocol: {}.", call.name()),
        query: None,
        is_keyed: matches!(call, Call::Act | Call::Merge | Call::Answer | Call::AcceptPart | Call::ProposeRevert),
        takes: Media::Frames,
        gives: Media::Frames,
        handler: post(move |shared, dataset, identity, headers, body| {
            replica_calls::handle(call, shared, dataset, identity, headers, body)
        }),
    }
}

/// The right that a call needs on its dataset. Where a replica stands is told by those who only read as well: history is kept
/// for them, too.
pub(super) fn right_of(call: Call) -> Right {
    match call {
        Call::Push | Call::Merge | Call::Answer | Call::AcceptPart => Right::Write,
        // What is done to a proposal says which right it needs.
        Call::Propose | Call::Act | Call::ProposeRevert => Right::Propose,
        Call::SetPolicy | Call::Cleanup | Call::CleanStaging | Call::BeginEpoch | Call::Found => Right::Own,
        _ => Right::Read,
    }
}

/// The routes of a server, each behind what it needs, with the gate around them.
pub fn router(shared: Arc<Shared>) -> Router {
    let json_bytes_max = usize::try_from(shared.porter.limits.json_bytes_max).unwrap_or(usize::MAX);
    let router = routes().into_iter().fold(Router::new(), |router, route| {
        let (guarded, needs) = (shared.clone(), route.needs);
        let handler = match route.side {
            Side::Programs => route.handler.route_layer(from_fn(move |request, next| guard::pass(guarded.clone(), needs, request, next))),
            Side::Browsers => route.handler.route_layer(from_fn(move |request, next| browser::pass(guarded.clone(), needs, request, next))),
        };
        router.route(&route.path, handler)
    });
    let router = router.fallback(nothing_there).method_not_allowed_fallback(not_so);
    router.layer(DefaultBodyLimit::max(json_bytes_max)).layer(from_fn_with_state(shared.clone(), gate::pass)).with_state(shared)
}

async fn nothing_there(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    refused(&shared, &request, Error::not_found("there is nothing at this path"))
}

async fn not_so(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    refused(&shared, &request, Error::new(ErrorKind::Invalid, "method_not_allowed", "this path takes another method"))
}

fn refused(shared: &Shared, request: &Request, error: Error) -> Response {
    if request.uri().path().starts_with("/api") {
        return Refused(error.hint("GET /api lists every path")).into_response();
    }
    browser::refused(shared, request, error)
}

//! Who may do what, tried out: every route of the server, by everybody, on a dataset that is there, that is archived, that is
//! not there, and that is not theirs to know of.
//!
//! Invariant: a route without a sample request here fails the test, and so does one whose needs are not in the table.
use mainstem::accounts::Wish;
use mainstem::core::ErrorKind;
use mainstem::core::account::Fact;
use mainstem::core::authority::{Limit, Right, Role};
use mainstem::core::schema::Schema;
use mainstem::core::stamp::Time;
use mainstem::datasets::Place;
use mainstem::ledger::Head;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem::sign_in::BrowserKey;
use mainstem::token::Secret;
use mainstem::wiring::RealSurroundings;
use mainstem_http::server::routes::{Needs, Route, Side, routes};
use mainstem_http::server::{Door, Limits, Porter, Record};
use mainstem_http::wire::Wire;
use mainstem_http::wire::frame::{FrameWriter, MEDIA_TYPE};
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use mainstem_traffic::plain::{Came, ask};

const THERE: &str = "notes";
const ARCHIVED: &str = "old";
const ABSENT: &str = "unfounded";
const OTHER: &str = "other";

/// What is sent to a route.
#[derive(Clone, Copy)]
enum Sample {
    /// Nothing, with this behind the path.
    Asked(&'static str),
    /// JSON.
    Json(&'static str),
    /// A call whose arguments mean nothing: whoever is let in hears so.
    Call,
    /// A wait that is over at once.
    Wait,
    /// The beginning of a WebSocket.
    Upgrade,
    /// A stream without an end.
    Follow,
    /// A form of a page, with these fields beside those that every form has.
    Form(&'static str),
}

const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

/// The same digest that nothing has, as it is asked for and in bodies.
const DIGEST: &str = "?digest=0000000000000000000000000000000000000000000000000000000000000000";
const VOTE: &str = r#"{"revision": 1, "vote": "approve", "digest": "0000000000000000000000000000000000000000000000000000000000000000"}"#;
const MERGE: &str =
    r#"{"request": "00000000000000000000000000000001", "digest": "0000000000000000000000000000000000000000000000000000000000000000"}"#;

/// A request for each route. What they would change is not there, so that everybody finds the same.
const SAMPLES: &[(&str, &str, Sample)] = &[
    ("GET", "/api/v1/openapi.json", Sample::Asked("")),
    ("GET", "/api", Sample::Asked("")),
    ("GET", "/api/v1/notices", Sample::Asked("")),
    ("GET", "/api/v1/datasets", Sample::Asked("")),
    ("POST", "/api/v1/setup", Sample::Json(r#"{"name": ""}"#)),
    ("GET", "/api/v1/me", Sample::Asked("")),
    ("GET", "/api/v1/actors", Sample::Asked("")),
    ("POST", "/api/v1/actors", Sample::Json(r#"{"name": ""}"#)),
    ("PATCH", "/api/v1/actors/{actor}", Sample::Json(r#"{"is_disabled": true}"#)),
    ("GET", "/api/v1/access-events", Sample::Asked("?after=1")),
    ("GET", "/api/v1/tokens", Sample::Asked("")),
    ("POST", "/api/v1/tokens", Sample::Json(r#"{"right": "everything"}"#)),
    ("DELETE", "/api/v1/tokens/{token}", Sample::Asked("")),
    ("GET", "/api/v1/browsers", Sample::Asked("")),
    ("DELETE", "/api/v1/browsers/{browser}", Sample::Asked("")),
    ("GET", "/api/v1/replicas", Sample::Asked("")),
    ("DELETE", "/api/v1/replicas/{replica}", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/roles", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/roles", Sample::Json(r#"{"actor": "nobody", "role": "owner"}"#)),
    ("GET", "/api/v1/datasets/{dataset}", Sample::Asked("")),
    ("PATCH", "/api/v1/datasets/{dataset}", Sample::Json(r#"{"is_archived": false}"#)),
    ("DELETE", "/api/v1/datasets/{dataset}", Sample::Asked("?name=another")),
    ("GET", "/api/v1/datasets/{dataset}/policy", Sample::Asked("")),
    ("PUT", "/api/v1/datasets/{dataset}/policy", Sample::Json(r#"{"policy": ""}"#)),
    ("POST", "/api/v1/datasets/{dataset}/cleanup", Sample::Json(r#"{"dry_run": true}"#)),
    ("GET", "/api/v1/datasets/{dataset}/export", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/backups", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/backups", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/backups/{backup}/restore", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/replicas", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/versions", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/versions/{version}", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/versions/{version}/changes", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/versions/{version}/tables", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/audit", Sample::Asked("?after=1")),
    ("GET", "/api/v1/datasets/{dataset}/audit/verification", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/tables/{table}/rows", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/tables/{table}/history", Sample::Asked("?key=1")),
    ("GET", "/api/v1/datasets/{dataset}/tables/{table}/blame", Sample::Asked("?key=1")),
    ("GET", "/api/v1/datasets/{dataset}/conflicts", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/tombstones", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/feed", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/feed/socket", Sample::Upgrade),
    ("GET", "/api/v1/datasets/{dataset}/proposals", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/proposals/{proposal}", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/proposals/{proposal}/changes", Sample::Asked(DIGEST)),
    ("GET", "/api/v1/datasets/{dataset}/proposals/{proposal}/revisions/{revision}/changes", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/proposals/{proposal}/votes", Sample::Json(VOTE)),
    ("POST", "/api/v1/datasets/{dataset}/proposals/{proposal}/comments", Sample::Json(r#"{"text": "so?"}"#)),
    ("POST", "/api/v1/datasets/{dataset}/proposals/{proposal}/decision", Sample::Json(r#"{"stage": "withdrawn"}"#)),
    ("POST", "/api/v1/datasets/{dataset}/proposals/{proposal}/answers", Sample::Json(r#"{"others": "ours"}"#)),
    ("POST", "/api/v1/datasets/{dataset}/proposals/{proposal}/part", Sample::Json(r#"{"only": [{"table": "item"}]}"#)),
    ("GET", "/api/v1/datasets/{dataset}/proposals/{proposal}/merge", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/proposals/{proposal}/merge", Sample::Json(MERGE)),
    ("POST", "/api/v1/datasets/{dataset}/versions/{version}/revert", Sample::Json(r#"{"reason": "why not"}"#)),
    ("GET", "/api/v1/datasets/{dataset}/staging", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/staging/cleanup", Sample::Json(r#"{"dry_run": true}"#)),
    ("GET", "/api/v1/datasets/{dataset}/webhooks", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/webhooks", Sample::Json(r#"{"url": "https://10.0.0.1/"}"#)),
    ("DELETE", "/api/v1/datasets/{dataset}/webhooks/{webhook}", Sample::Asked("")),
    ("GET", "/api/v1/datasets/{dataset}/webhooks/{webhook}/dead-letters", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/webhooks/{webhook}/dead-letters/{letter}/replay", Sample::Asked("")),
    ("GET", "/api/v1/health", Sample::Asked("")),
    ("GET", "/api/v1/metrics", Sample::Asked("")),
    ("GET", "/metrics", Sample::Asked("")),
    ("POST", "/api/v1/datasets/{dataset}/primary/describe", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/push", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/pull", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/snapshot", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/find-write", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/propose", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/act", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/merge", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/proposals", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/proposal", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/proposal-at-once", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/differing", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/shown-page", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/staged-page", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/find-revision", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/staging", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/clean-staging", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/answer", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/accept-part", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/propose-revert", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/version-hash", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/version", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/page", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/rows", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/rows-of", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/row-history", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/touches", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/blame", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/events", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/examine", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/chronicle", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/conflicts", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/begin-epoch", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/set-policy", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/seen", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/replicas", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/tombstones", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/deleted-since", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/cleanup", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/found", Sample::Call),
    ("POST", "/api/v1/datasets/{dataset}/primary/wait", Sample::Wait),
    ("POST", "/api/v1/datasets/{dataset}/primary/schema", Sample::Call),
    ("GET", "/assets/{asset}", Sample::Asked("")),
    ("GET", "/sign-in", Sample::Asked("")),
    ("POST", "/sign-in", Sample::Form("token=mainstem_")),
    ("POST", "/set-up", Sample::Form("token=x&name=y")),
    ("POST", "/sign-out", Sample::Form("unknown=1")),
    ("POST", "/theme", Sample::Form("theme=dark")),
    ("GET", "/datasets/{dataset}/proposals", Sample::Asked("")),
    ("GET", "/datasets/{dataset}/proposals/{proposal}", Sample::Asked("")),
    ("GET", "/datasets/{dataset}/proposals/{proposal}/merge", Sample::Asked("")),
    (
        "POST",
        "/datasets/{dataset}/proposals/{proposal}/merge",
        Sample::Form("digest=0000000000000000000000000000000000000000000000000000000000000000"),
    ),
    (
        "POST",
        "/datasets/{dataset}/proposals/{proposal}/votes",
        Sample::Form("revision=1&word=approve&digest=0000000000000000000000000000000000000000000000000000000000000000"),
    ),
    ("POST", "/datasets/{dataset}/proposals/{proposal}/comments", Sample::Form("text=x")),
    ("POST", "/datasets/{dataset}/proposals/{proposal}/decision", Sample::Form("stage=withdrawn")),
    ("POST", "/datasets/{dataset}/proposals/{proposal}/answers", Sample::Form("all=ours")),
    ("POST", "/datasets/{dataset}/proposals/{proposal}/part", Sample::Form("row=%5B%22item%22%2C%22%5B1%5D%22%5D")),
    ("GET", "/", Sample::Asked("")),
    ("GET", "/datasets/{dataset}", Sample::Asked("")),
    ("GET", "/datasets/{dataset}/tables/{table}", Sample::Asked("")),
    ("GET", "/datasets/{dataset}/tables/{table}/row", Sample::Asked("?key=1")),
    ("GET", "/datasets/{dataset}/versions", Sample::Asked("")),
    ("GET", "/datasets/{dataset}/versions/{version}", Sample::Asked("")),
    ("POST", "/datasets/{dataset}/versions/{version}/revert", Sample::Form("reason=x")),
    ("GET", "/live", Sample::Follow),
    ("GET", "/notices", Sample::Asked("")),
    ("GET", "/datasets/{dataset}/live", Sample::Follow),
    ("GET", "/datasets/{dataset}/conflicts", Sample::Asked("")),
    ("POST", "/datasets/{dataset}/conflicts", Sample::Form("choice=ours&conflict=0000000000000000")),
    ("GET", "/datasets/{dataset}/deleted", Sample::Asked("")),
    ("POST", "/datasets/{dataset}/deleted/restore", Sample::Form("tombstone=9.9")),
    (
        "POST",
        "/api/v1/datasets/{dataset}/conflicts/answers",
        Sample::Json(r#"{"answers": [{"conflict": "0000000000000000", "choice": "ours"}]}"#),
    ),
    ("POST", "/api/v1/datasets/{dataset}/tombstones/restore", Sample::Json(r#"{"tombstones": ["9.9"]}"#)),
    ("GET", "/datasets/{dataset}/policy", Sample::Asked("")),
    ("POST", "/datasets/{dataset}/policy", Sample::Form("policy=")),
    ("GET", "/datasets/{dataset}/audit", Sample::Asked("")),
    ("GET", "/datasets/{dataset}/members", Sample::Asked("")),
    ("POST", "/datasets/{dataset}/members", Sample::Form("actor=nobody&role=owner")),
    ("GET", "/datasets/{dataset}/feed", Sample::Asked("")),
    ("POST", "/datasets/{dataset}/webhooks", Sample::Form("url=https://10.0.0.1/")),
    ("POST", "/datasets/{dataset}/webhooks/{webhook}/remove", Sample::Form("")),
    ("POST", "/datasets/{dataset}/webhooks/{webhook}/dead-letters/{letter}/replay", Sample::Form("")),
    ("GET", "/account/tokens", Sample::Asked("")),
    ("POST", "/account/tokens", Sample::Form("right=everything")),
    ("POST", "/account/tokens/{token}/revoke", Sample::Form("")),
    ("GET", "/account/replicas", Sample::Asked("")),
    ("POST", "/account/replicas/{replica}/revoke", Sample::Form("")),
    ("GET", "/account/browsers", Sample::Asked("")),
    ("POST", "/account/browsers/{browser}/end", Sample::Form("")),
    ("GET", "/server", Sample::Asked("")),
    ("GET", "/people", Sample::Asked("")),
    ("POST", "/people", Sample::Form("name=")),
    ("POST", "/people/{actor}", Sample::Form("become=disabled")),
];

/// Somebody who asks: what they show, and what they may.
struct Asker {
    who: &'static str,
    /// What a program shows.
    shown: Option<String>,
    /// What a browser shows in which that was signed in with, however good it is now.
    key: Option<BrowserKey>,
    /// Whether they are somebody.
    is_known: bool,
    /// Whether their token has no limit.
    is_unlimited: bool,
    is_administrator: bool,
    /// The highest right on the datasets that are there; none where they may not know of them.
    right: Option<Right>,
    /// The one dataset that the token is for.
    only: Option<&'static str>,
    /// Whether they may know that a dataset is not there.
    sees_absent: bool,
}

/// What comes of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Unauthenticated,
    Forbidden,
    NoDataset,
    /// It reached its handler.
    Through,
}

/// An error's code, in JSON or in a page.
fn code(came: &Came) -> String {
    if came.header("content-type") == Some("application/json") {
        return came.code();
    }
    let page = String::from_utf8_lossy(&came.body);
    let code = page.split_once("<code data-code>").and_then(|(_, rest)| rest.split_once('<'));
    code.unwrap_or_else(|| panic!("an error has a code: {page}")).0.to_string()
}

fn outcome(came: &Came) -> Outcome {
    match (came.status, came.status >= 400) {
        (401, _) => Outcome::Unauthenticated,
        (303, _) if came.header("location").is_some_and(|to| to.starts_with("/sign-in?") || to == "/sign-in") => Outcome::Unauthenticated,
        (403, _) if code(came) == "forbidden" => Outcome::Forbidden,
        (404, _) if code(came) == "no_primary" => Outcome::NoDataset,
        (_, true) => {
            assert!(!code(came).is_empty());
            Outcome::Through
        }
        _ => Outcome::Through,
    }
}

/// The small table: what a route's needs make of somebody, on a dataset that is there or not.
fn expected(needs: Needs, asker: &Asker, dataset: &str) -> Outcome {
    let (is_there, is_hidden) = (dataset != ABSENT, asker.only.is_some_and(|only| only != dataset));
    let allowed = |is_allowed| if is_allowed { Outcome::Through } else { Outcome::Forbidden };
    match needs {
        Needs::Nothing => Outcome::Through,
        // Nobody's token is the setup token.
        Needs::Setup => Outcome::Unauthenticated,
        _ if !asker.is_known => Outcome::Unauthenticated,
        Needs::Identity => Outcome::Through,
        Needs::Account => allowed(asker.is_unlimited),
        Needs::Server => allowed(asker.is_administrator && asker.is_unlimited),
        Needs::Dataset(_) if !is_there && !asker.sees_absent => Outcome::NoDataset,
        Needs::Dataset(_) if is_hidden => Outcome::NoDataset,
        Needs::Dataset(right) => match asker.right {
            None => Outcome::NoDataset,
            Some(most) if most < right => Outcome::Forbidden,
            Some(_) if !is_there => Outcome::NoDataset,
            Some(_) => Outcome::Through,
        },
    }
}

struct Stage {
    _folder: tempfile::TempDir,
    served: Served,
}

impl Stage {
    fn begin() -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let around = Seeded::new(1, 1_800_000_000_000);
        let mut limits = Limits::default();
        for limit in ["address_rate_max", "address_burst_max", "token_rate_max", "token_burst_max"] {
            limits.set(limit, "1000000").expect("a limit");
        }
        let porter = Porter::new(limits, Door::default(), Record::nowhere(around.clone()), around.clone());
        let served = Served::through(porter, None, folder.path(), around);
        for name in [THERE, ARCHIVED, OTHER] {
            let founding = Founding { dataset: name, actor: "owner", lineage: 7, schema: &Schema::default(), policy: "" };
            served.place(name).found(&founding, &mut |_| Ok(())).expect("a new dataset");
        }
        served.shared().hall.datasets().archive(ARCHIVED, true).expect("archived");
        Stage { _folder: folder, served }
    }

    fn ask_as(&self, route: &Route, sample: Sample, dataset: &str, asker: &Asker) -> Came {
        self.ask(route, sample, dataset, asker.shown.as_deref(), asker.key.as_ref())
    }

    fn ask(&self, route: &Route, sample: Sample, dataset: &str, shown: Option<&str>, key: Option<&BrowserKey>) -> Came {
        let path = route.path.replace("{dataset}", dataset).replace("{version}", "1").replace("{table}", "item");
        let path = path
            .replace("{actor}", "nobody")
            .replace("{token}", "999999")
            .replace("{replica}", &"0".repeat(32))
            .replace("{backup}", "none")
            .replace("{webhook}", &"0".repeat(16))
            .replace("{letter}", "1")
            .replace("{proposal}", "999999")
            .replace("{asset}", "none.css")
            .replace("{browser}", "999999")
            .replace("{revision}", "1");
        assert!(!path.contains('{'), "what does {path} stand for?");
        let frames = |payload: &[u8]| {
            let mut writer = FrameWriter::new(Vec::new()).expect("in memory");
            writer.frame(payload).expect("in memory");
            writer.end().expect("in memory")
        };
        let (more, media, body) = match sample {
            Sample::Asked(more) => (more, "", Vec::new()),
            Sample::Upgrade | Sample::Follow => ("", "", Vec::new()),
            Sample::Json(text) => ("", "application/json", text.as_bytes().to_vec()),
            Sample::Form(fields) => {
                let key = key.map(BrowserKey::form_key).unwrap_or_default();
                ("", "application/x-www-form-urlencoded", format!("{fields}&form_key={key}").into_bytes())
            }
            Sample::Call => ("", MEDIA_TYPE, frames(&[255; 3])),
            Sample::Wait => ("", MEDIA_TYPE, frames(&(Head::default(), 0_u64).to_bytes())),
        };
        let media = if media.is_empty() { String::new() } else { format!("Content-Type: {media}\r\n") };
        let port = self.served.socket().port();
        let shown = match (route.side, shown, key) {
            (Side::Programs, Some(shown), _) => format!("Authorization: {shown}\r\n"),
            (Side::Browsers, _, Some(key)) => format!("Cookie: mainstem-{port}={}\r\nSec-Fetch-Site: same-origin\r\n", key.reveal()),
            (Side::Browsers, _, None) => "Sec-Fetch-Site: same-origin\r\n".to_string(),
            _ => String::new(),
        };
        let connection = if matches!(sample, Sample::Upgrade) { UPGRADE } else { "Connection: close\r\n" };
        let head = format!(
            "{} {path}{more} HTTP/1.1\r\nHost: localhost\r\n{connection}{media}{shown}Content-Length: {}\r\n\r\n",
            route.method,
            body.len()
        );
        ask(self.served.socket(), &[head.as_bytes(), &body].concat()).unwrap_or_else(|| panic!("no answer: {head}"))
    }

    /// A browser in which a token was signed in with; one that nobody knows where there is no such token.
    fn key(&self, shown: Option<&str>) -> Option<BrowserKey> {
        let accounts = self.served.registrar().accounts();
        let secret = Secret::parse(shown?.strip_prefix("Bearer ").unwrap_or_default());
        let token = secret.and_then(|secret| accounts.token_of(&secret.digest()).cloned());
        let stranger = BrowserKey::parse(&"0".repeat(64));
        token.map_or(stranger, |token| Some(self.served.shared().sign_ins.begin(token.actor, token.id, "test").expect("signed in")))
    }

    /// A token of the administrator's with a limit.
    fn limited(&self, right: Option<Right>, dataset: Option<&str>) -> Secret {
        let wish = Wish { limit: Limit { right, dataset: dataset.map(Into::into) }, ..Wish::default() };
        self.served.registrar().create_token(1, 1, wish).expect("a token").1
    }

    fn askers(&self) -> Vec<Asker> {
        let registrar = self.served.registrar();
        let bearer = |secret: &Secret| Some(format!("Bearer {}", secret.reveal()));
        let unknown = |who, shown: Option<String>| Asker {
            who,
            key: self.key(shown.as_deref()),
            shown,
            is_known: false,
            is_unlimited: false,
            is_administrator: false,
            right: None,
            only: None,
            sees_absent: false,
        };
        // Somebody with roles on a dataset, or on one that is there and the archived one, and on a table of these.
        let with_roles = |who: &'static str, dataset: &str, on_dataset: Option<Role>, on_table: Option<Role>| {
            let secret = self.served.token_of(who, "elsewhere", Role::Viewer);
            let actor = registrar.accounts().named(who).expect("added").id;
            for dataset in [dataset].into_iter().chain((dataset == THERE).then_some(ARCHIVED)) {
                let fact = |table: Option<&str>, role| Fact::RoleSet { actor, dataset: dataset.into(), table: table.map(Into::into), role };
                registrar.change(1, |_| Ok(vec![fact(None, on_dataset), fact(Some("item"), on_table)])).expect("roles");
            }
            // A role on a table is none on what is about the dataset as a whole.
            let on_table = on_table.map(|role| role.right().min(Right::Write));
            let right = on_dataset.map(Role::right).max(on_table).filter(|_| dataset == THERE);
            Asker { is_known: true, is_unlimited: true, right, ..unknown(who, bearer(&secret)) }
        };
        let with_role = |who, dataset, role| with_roles(who, dataset, Some(role), None);
        let limited = |who, most: Option<Right>, dataset: Option<&'static str>, right, sees_absent| Asker {
            is_known: true,
            is_unlimited: most.is_none() && dataset.is_none(),
            is_administrator: true,
            right,
            only: dataset,
            sees_absent,
            ..unknown(who, bearer(&self.limited(most, dataset)))
        };
        let expired = Wish { expires_at: Some(Time::from_ms(1)), ..Wish::default() };
        let expired = registrar.create_token(1, 1, expired).expect("a token").1;
        let (id, revoked) = registrar.create_token(1, 1, Wish::default()).expect("a token");
        registrar.change(1, |_| Ok(vec![Fact::TokenRevoked(id)])).expect("revoked");
        let gone = self.served.token_of("gone", THERE, Role::Owner);
        let actor = registrar.accounts().named("gone").expect("added").id;
        registrar.change(1, |_| Ok(vec![Fact::ActorDisabled { actor, is_disabled: true }])).expect("disabled");
        let setup = registrar.create_setup_token().expect("a token");
        registrar.create_setup_token().expect("another in its place");
        let good = self.served.token().expect("a token");
        vec![
            unknown("nobody", None),
            unknown("a stranger", bearer(&Secret::new(&RealSurroundings, false))),
            unknown("a stranger with something else", Some("Bearer secret".into())),
            unknown("another scheme", Some(format!("Basic {good}"))),
            unknown("two tokens", Some(format!("Bearer {good}\r\nAuthorization: Bearer {good}"))),
            unknown("an expired token", bearer(&expired)),
            unknown("a revoked token", bearer(&revoked)),
            unknown("a disabled actor", bearer(&gone)),
            unknown("an old setup token", bearer(&setup)),
            with_role("a viewer", THERE, Role::Viewer),
            with_role("a contributor", THERE, Role::Contributor),
            with_role("a reviewer", THERE, Role::Reviewer),
            with_role("an owner", THERE, Role::Owner),
            with_role("another dataset's owner", OTHER, Role::Owner),
            with_roles("a viewer of a table", THERE, None, Some(Role::Viewer)),
            with_roles("a contributor to a table", THERE, None, Some(Role::Contributor)),
            with_roles("an owner of a table", THERE, None, Some(Role::Owner)),
            with_roles("a viewer who writes to a table", THERE, Some(Role::Viewer), Some(Role::Contributor)),
            with_roles("a reviewer who owns a table", THERE, Some(Role::Reviewer), Some(Role::Owner)),
            with_roles("an owner of another dataset's table", OTHER, None, Some(Role::Owner)),
            limited("an administrator", None, None, Some(Right::Own), true),
            limited("a token that only reads", Some(Right::Read), None, Some(Right::Read), true),
            limited("a token that only proposes", Some(Right::Propose), None, Some(Right::Propose), true),
            limited("a token for the dataset", None, Some(THERE), Some(Right::Own), false),
            limited("a token for another dataset", None, Some(OTHER), None, false),
        ]
    }
}

#[test]
fn every_route_by_everybody() {
    let stage = Stage::begin();
    let askers = stage.askers();
    let routes = routes();
    let mut wrong = Vec::new();
    for route in &routes {
        // Whoever may has taken it out of the archive.
        stage.served.shared().hall.datasets().archive(ARCHIVED, true).expect("archived");
        let known = SAMPLES.iter().find(|(method, path, _)| *method == route.method.as_str() && *path == route.path);
        let (_, _, sample) = known.unwrap_or_else(|| panic!("{} {} has no sample request here", route.method, route.path));
        let datasets: &[&str] = if route.path.contains("{dataset}") { &[THERE, ARCHIVED, ABSENT] } else { &[""] };
        for (asker, dataset) in askers.iter().flat_map(|asker| datasets.iter().map(move |dataset| (asker, *dataset))) {
            let came = stage.ask_as(route, *sample, dataset, asker);
            let (found, wanted) = (outcome(&came), expected(route.needs, asker, dataset));
            if found != wanted {
                wrong.push(format!(
                    "{} {} of {dataset:?} by {}: {found:?} ({}), not {wanted:?}",
                    route.method, route.path, asker.who, came.status
                ));
            }
            if came.status == 401 {
                assert_eq!(came.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} routes:\n{}", wrong.len(), routes.len(), wrong.join("\n"));
    for (method, path, _) in SAMPLES {
        assert!(routes.iter().any(|route| route.method.as_str() == *method && route.path == *path), "there is no {method} {path} any more");
    }
}

#[test]
fn t2_every_bad_token_is_answered_alike() {
    let stage = Stage::begin();
    let routes = routes();
    let me = routes.iter().find(|route| route.path == "/api/v1/me").expect("a route");
    let mistyped = Secret::new(&RealSurroundings, false).reveal().replace("mainstem_", "mainstem_0");
    let askers = stage.askers();
    let shown = askers.iter().filter(|asker| !asker.is_known).filter_map(|asker| asker.shown.clone()).chain([format!("Bearer {mistyped}")]);
    let answers: Vec<(u16, String, String)> = shown
        .map(|shown| {
            let came = stage.ask(me, Sample::Asked(""), "", Some(&shown), None);
            let mut body = came.json();
            body.as_object_mut().expect("an object").remove("request_id");
            let is_same = |line: &&str| !["x-request-id", "date"].iter().any(|own| line.starts_with(own));
            (came.status, came.head.lines().filter(is_same).collect::<Vec<_>>().join("\n"), body.to_string())
        })
        .collect();
    assert!(answers.len() >= 8 && answers[0].0 == 401, "{answers:?}");
    // What the time of an answer tells is measured, not tested: `scripts/hostile timing`. Tokens are found by their hash, so that
    // no comparison of theirs is timed by whoever does not know one already.
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[test]
fn what_is_hidden_is_answered_as_what_is_absent() {
    let stage = Stage::begin();
    let bearer = |secret: &str| {
        let shown = format!("Bearer {secret}");
        (stage.key(Some(&shown)), shown)
    };
    let (key, shown) = bearer(stage.served.token_of("stranger", OTHER, Role::Owner).reveal());
    let told = |came: &Came, dataset: &str| {
        let id = came.header("x-request-id").expect("every answer has one").to_string();
        let body = String::from_utf8_lossy(&came.body).replace(&id, "ID");
        let head: Vec<&str> =
            came.head.lines().filter(|l| !["x-request-id", "date", "content-length"].iter().any(|h| l.starts_with(h))).collect();
        (came.status, head.join("\n"), body.replace(dataset, "DATASET"))
    };
    for route in routes().iter().filter(|route| matches!(route.needs, Needs::Dataset(_))) {
        let (_, _, sample) =
            SAMPLES.iter().find(|(method, path, _)| *method == route.method.as_str() && *path == route.path).expect("a sample");
        let [hidden, absent] =
            [THERE, ABSENT].map(|dataset| told(&stage.ask(route, *sample, dataset, Some(&shown), key.as_ref()), dataset));
        assert_eq!(hidden, absent, "{} {}", route.method, route.path);
        // Names that lead out of the folder are names of nothing, for an administrator as well.
        let (key, all) = bearer(&stage.served.token().expect("a token"));
        for odd in ["..%2F..", "%2e%2e", "server.db", "a%00b", "%20"] {
            let came = stage.ask(route, *sample, odd, Some(&all), key.as_ref());
            assert_eq!(outcome(&came), Outcome::NoDataset, "{} {} of {odd}", route.method, route.path);
        }
    }
}

#[test]
fn bodies_hold_what_they_are_asked_for_and_nothing_else() {
    let stage = Stage::begin();
    let all = format!("Bearer {}", stage.served.token().expect("a token"));
    let actors = || stage.served.registrar().accounts().actors().count();
    let before = actors();
    let route = |path: &str| routes().into_iter().find(|route| route.method == "POST" && route.path == path).expect("a route");
    for body in [
        r#"{"name": "eve", "is_administrator": true}"#,
        r#"{"name": "eve", "name": "mallory"}"#,
        r#"{"name": "eve", "na\u006de": "mallory"}"#,
        r#"{"Name": "eve"}"#,
        r#"{"name": "eve", "id": 1}"#,
        r#"{"name": ["eve"]}"#,
        r#"{"name": "eve"} {}"#,
        r#"["eve"]"#,
        "",
        "null",
    ] {
        let came = stage.ask(&route("/api/v1/actors"), Sample::Json(body), "", Some(&all), None);
        assert_eq!((came.status, came.code().as_str()), (400, "invalid"), "{body}");
    }
    let deep = "[".repeat(100_000);
    let came = stage.ask(&route("/api/v1/actors"), Sample::Json(Box::leak(deep.into_boxed_str())), "", Some(&all), None);
    assert_eq!(came.status, 400);
    assert_eq!(actors(), before);
    for body in [r#"{"right": "own", "actor": 1}"#, r#"{"expires_at": 5}"#, r#"{"token": "mine"}"#, r#"{"digest": "00"}"#] {
        assert_eq!(stage.ask(&route("/api/v1/tokens"), Sample::Json(body), "", Some(&all), None).status, 400, "{body}");
    }
}

#[test]
fn what_waits_ends_with_its_token() {
    let stage = Stage::begin();
    let token = stage.served.token_of("ann", THERE, Role::Viewer);
    let mut primary = stage.served.primary_as(THERE, Some(token.reveal().to_string()));
    let registrar = stage.served.registrar();
    let id = registrar.identity(&token).expect("known").token;
    let head = primary.describe().expect("she may read").head;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || primary.wait(&head, 50_000));
        registrar.change(1, |_| Ok(vec![Fact::TokenRevoked(id)])).expect("revoked");
        let ended = waiting.join().expect("no panic").expect_err("it ends");
        assert_eq!((ended.kind, ended.code), (ErrorKind::Denied, "unauthenticated"));
    });
}

//! Each page with something in it, and each with nothing; wherever a text may be anything, it is hostile.
use mainstem_core::value::Value;
use mainstem_pages::Page;
use mainstem_pages::account::{Browser, Browsers, Made, Replica, Replicas, Token, TokenState, Tokens};
use mainstem_pages::audit::{Audit, Link as Event, Verified};
use mainstem_pages::cell::ShownCell;
use mainstem_pages::change::{Kind, ShownChange, ShownKey};
use mainstem_pages::conflicts::{Claim, Conflict, Conflicts, Filter, Side};
use mainstem_pages::dataset::{self, Dataset};
use mainstem_pages::deleted::{Deleted, Tombstone};
use mainstem_pages::failed::Failed;
use mainstem_pages::feed::{Feed, Letter, Webhook};
use mainstem_pages::frame::{Frame, Link, Person, Theme};
use mainstem_pages::history::{self, History};
use mainstem_pages::members::{Members, Role};
use mainstem_pages::moment::Moment;
use mainstem_pages::notice::Notice;
use mainstem_pages::notices::{Item, Notices};
use mainstem_pages::overview::{self, Happening, Overview};
use mainstem_pages::pager::Pager;
use mainstem_pages::policy::Policy;
use mainstem_pages::reviewed::ShownReview;
use mainstem_pages::row::{self, Cell, Row};
use mainstem_pages::rows::Rows;
use mainstem_pages::server::{Actor, Number, People, Server};
use mainstem_pages::sign_in::SignIn;
use mainstem_pages::value::{Room, ShownValue, seen};
use mainstem_pages::version::Version;

/// What would be markup in a text, in an attribute of either quotes, in a title and in a textarea.
pub const HOSTILE: &str = "'\"></title></textarea></bdi><svg onload=alert(1)><xss><b>&amp;";
pub const POLICY: &str = "\n# </textarea><xss>\n[tables.a]\nmode = \"review\"\n";

type Sample = (&'static str, Box<dyn Fn() -> String>);

fn hostile() -> String {
    HOSTILE.to_string()
}

fn at() -> Moment {
    Moment::new("2026-11-20T07:26:10.000Z")
}

fn frame() -> Frame {
    let link = |text: &str, is_here| Link { is_here, count: Some(3), ..Link::to(text, "/x") };
    Frame {
        title: hostile(),
        person: Some(Person { name: hostile(), is_administrator: true, limit: Some(hostile()) }),
        form_key: "KEY".into(),
        theme: Theme::Dark,
        path: "/x?y=%22".into(),
        way: vec![link(HOSTILE, true)],
        tabs: vec![link("Tables", true), link("History", false)],
        notice: Some(Notice::bad(HOSTILE, Some(hostile()))),
        live: Some("/live".into()),
    }
}

fn value() -> ShownValue {
    ShownValue::new(&Value::text(HOSTILE), Room::Cell)
}

fn key() -> ShownKey {
    ShownKey { parts: vec![(hostile(), value())] }
}

fn change() -> ShownChange {
    let cell = ShownCell::new(HOSTILE, Some(&Value::text("one two")), Some(&Value::text("one\u{200b} two")), Room::Cell);
    ShownChange { table: hostile(), key: key(), to: Some("/x".into()), kind: Kind::Changed, moved_from: Some(key()), cells: vec![cell] }
}

fn pager() -> Pager {
    Pager { of: "things", first: Some("/1".into()), previous: Some("/2".into()), next: Some("/3".into()), shown: hostile() }
}

fn summary() -> history::Version {
    history::Version {
        version: 3,
        to: "/x".into(),
        title: Some(hostile()),
        description: hostile(),
        actor: hostile(),
        replica: "abcd".into(),
        base: 2,
        made_at: at(),
        accepted_at: at(),
        changes: 12_345,
        steps: 1,
        conflicts: 1,
        answers: 2,
        renumbered: 1,
        waiting: 1,
        review: Some(review()),
    }
}

fn review() -> ShownReview {
    let passed = vec![seen(HOSTILE)];
    ShownReview { dataset: "notes".into(), proposal: 4, approvers: vec![hostile()], merged_by: hostile(), passed }
}

pub fn version() -> Version {
    Version {
        frame: frame(),
        name: "notes".into(),
        summary: summary(),
        steps: vec![hostile()],
        changes: vec![change()],
        may_revert: true,
        pager: pager(),
    }
}

pub fn dataset() -> Dataset {
    Dataset {
        frame: frame(),
        name: "notes".into(),
        version: 3,
        latest: Some((at(), hostile())),
        horizon: 1,
        is_archived: true,
        tables: vec![dataset::Table { name: hostile(), to: "/x".into(), rows: 1_000, columns: vec![(hostile(), hostile(), true)] }],
        replicas: vec![dataset::Replica {
            name: hostile(),
            actor: hostile(),
            version: 1,
            lag: 2,
            seen_at: at(),
            is_expired: false,
            must_reseed: false,
        }],
        address: hostile(),
        is_part: true,
    }
}

pub fn tokens(made: Option<&str>) -> Tokens {
    let token =
        |id, state| Token { id, label: hostile(), limit: hostile(), created_at: at(), expires_at: Some(at()), state, is_current: false };
    Tokens {
        frame: frame(),
        tokens: vec![token(1, TokenState::Good), token(2, TokenState::Expired), token(3, TokenState::Revoked)],
        made: made.map(|text| Made { text: text.into(), whose: Some(hostile()), is_first: true }),
        others: vec![hostile()],
        datasets: vec!["notes".into()],
        may_change: true,
        address: hostile(),
    }
}

pub fn policy(may_change: bool) -> Policy {
    Policy { frame: frame(), name: "notes".into(), text: POLICY.into(), refused: None, may_change }
}

pub fn conflicts(may_answer: bool) -> Conflicts {
    let side = |claim| Side { actor: hostile(), at: at(), claim };
    let conflict = Conflict {
        id: "0123456789abcdef".into(),
        kind: "both changed one cell",
        table: hostile(),
        key: key(),
        to: "/x".into(),
        column: Some(hostile()),
        base: Claim::Nothing,
        ours: side(Claim::Cell(value())),
        theirs: side(Claim::Row(vec![(hostile(), value())])),
        detail: hostile(),
        version: 3,
        answer: None,
        merged: None,
        takes_value: true,
    };
    Conflicts {
        frame: frame(),
        name: "notes".into(),
        filter: Filter { state: "open".into(), table: hostile(), kind: String::new() },
        tables: vec![hostile()],
        kinds: vec![("unique", "two rows want one value")],
        conflicts: vec![conflict],
        pager: pager(),
        count: 1,
        may_answer,
    }
}

fn overview(datasets: Vec<overview::Dataset>) -> Overview {
    let happening = Happening { dataset: "notes".into(), version: 3, actor: hostile(), title: Some(hostile()), what: hostile(), at: at() };
    Overview { frame: frame(), datasets, next: Some("/?after=x".into()), activity: vec![happening], address: hostile() }
}

fn listed(trouble: Option<String>) -> overview::Dataset {
    let changed_at = Some(at());
    overview::Dataset {
        name: "notes".into(),
        version: 3,
        changed_at,
        proposals: 2,
        conflicts: 1,
        replicas: 2,
        behind: 1,
        lag: 3,
        is_archived: true,
        trouble,
    }
}

fn a_row(cells: Vec<Cell>) -> Row {
    let happening = || row::Happening {
        version: 3,
        actor: hostile(),
        title: Some(hostile()),
        accepted_at: at(),
        review: Some(review()),
        change: change(),
    };
    Row {
        frame: frame(),
        name: "notes".into(),
        table: hostile(),
        key: key(),
        version: 1,
        head: 3,
        to: "/x".into(),
        deleted: "/y".into(),
        cells,
        gone: Some(happening()),
        happenings: vec![happening()],
        pager: pager(),
        beginning: Some(hostile()),
    }
}

fn cell() -> Cell {
    let conflicts = vec!["0123456789abcdef".into()];
    let (written_at, review) = (at(), Some(review()));
    Cell { column: hostile(), value: value(), version: 3, actor: hostile(), written_at, rule: hostile(), conflicts, review }
}

fn rows(rows: Vec<(String, Vec<ShownValue>)>) -> Rows {
    let columns = vec![(hostile(), hostile(), true)];
    Rows { frame: frame(), table: hostile(), to: "/x".into(), version: 1, head: 3, columns, rows, pager: pager() }
}

fn feed(webhooks: Vec<Webhook>) -> Feed {
    Feed { frame: frame(), name: "notes".into(), head: hostile(), webhooks, made: Some(hostile()), sends: true, address: hostile() }
}

fn webhook() -> Webhook {
    let letter = Letter { id: 1, after: hostile(), through: hostile(), events: 2, attempts: 3, why: hostile(), at: at() };
    Webhook {
        id: "0123456789abcdef".into(),
        url: hostile(),
        offset: hostile(),
        created_by: hostile(),
        created_at: at(),
        trouble: Some(hostile()),
        letters: vec![letter],
        has_more: true,
    }
}

fn deleted(tombstones: Vec<Tombstone>) -> Deleted {
    Deleted {
        frame: frame(),
        name: "notes".into(),
        table: hostile(),
        actor: hostile(),
        tables: vec![hostile()],
        tombstones,
        pager: pager(),
        may_restore: true,
    }
}

fn tombstone() -> Tombstone {
    Tombstone {
        id: Some("3.1".into()),
        table: hostile(),
        key: key(),
        to: "/x".into(),
        row: vec![(hostile(), value())],
        actor: hostile(),
        version: 3,
        at: at(),
        why: hostile(),
        expires: Some(at()),
        is_there: false,
    }
}

fn history(versions: Vec<history::Version>) -> History {
    History { frame: frame(), name: "notes".into(), versions, pager: pager() }
}

fn members(roles: Vec<Role>) -> Members {
    let (actors, tables) = (vec![hostile()], vec![hostile()]);
    Members { frame: frame(), name: "notes".into(), roles, actors, tables, address: hostile() }
}

fn replicas(all: Vec<Replica>) -> Replicas {
    Replicas { frame: frame(), replicas: all, may_change: true, address: hostile() }
}

fn audit() -> Audit {
    Audit {
        frame: frame(),
        name: "notes".into(),
        events: 5,
        head: "0".repeat(64),
        verified: Some(Verified { events: 5, rows: Some(6), findings: vec![hostile()] }),
        links: vec![Event {
            position: 5,
            hash: "0".repeat(64),
            what: hostile(),
            actor: Some(hostile()),
            at: Some(at()),
            to: Some("/x".into()),
        }],
        pager: pager(),
        address: hostile(),
    }
}

fn sample<P: Page>(name: &'static str, page: impl Fn() -> P + 'static) -> Sample {
    (name, Box::new(move || page().render().expect("it renders")))
}

/// Every page with something in it.
pub fn all() -> Vec<Sample> {
    let mut all = empty();
    all.extend([
        sample("sign in", || SignIn {
            frame: Frame { person: None, form_key: String::new(), ..frame() },
            next: hostile(),
            unfit: None,
            is_new: true,
            address: hostile(),
        }),
        sample("sign in elsewhere", || SignIn {
            frame: frame(),
            next: hostile(),
            unfit: Some(hostile()),
            is_new: false,
            address: hostile(),
        }),
        sample("failed", || Failed {
            frame: frame(),
            status: 404,
            code: hostile(),
            message: hostile(),
            hint: Some(hostile()),
            request_id: hostile(),
            back: Some("/x".into()),
        }),
        sample("overview", || overview(vec![listed(None), overview::Dataset { name: "b".into(), ..listed(Some(hostile())) }])),
        sample("dataset", dataset),
        sample("rows", || rows(vec![("/x".into(), vec![value()])])),
        sample("row", || a_row(vec![cell()])),
        sample("history", || history(vec![summary()])),
        sample("version", version),
        sample("tokens", || tokens(Some(HOSTILE))),
        sample("conflicts", || conflicts(true)),
        sample("deleted", || deleted(vec![tombstone()])),
        sample("policy", || Policy { refused: Some((hostile(), hostile())), ..policy(true) }),
        sample("feed", || feed(vec![webhook()])),
        sample("audit", audit),
        sample("members", || members(vec![Role { actor: hostile(), table: Some(hostile()), role: "viewer" }])),
        sample("server", || Server {
            frame: frame(),
            groups: vec![("Syncing", vec![Number { what: hostile(), text: hostile(), at: Some(at()) }])],
            version: "1",
        }),
    ]);
    all.extend(of_account());
    all
}

fn of_account() -> Vec<Sample> {
    vec![
        sample("replicas", || {
            let (registered_at, revoked_at) = (at(), None);
            replicas(vec![Replica {
                id: "0".into(),
                short: hostile(),
                actor: hostile(),
                dataset: "notes".into(),
                registered_at,
                revoked_at,
            }])
        }),
        sample("browsers", || Browsers {
            frame: frame(),
            browsers: vec![Browser { id: 1, name: hostile(), token: hostile(), began_at: at(), seen_at: at(), is_current: true }],
        }),
        sample("people", || People {
            frame: frame(),
            actors: vec![Actor {
                name: hostile(),
                to: "/people/x".into(),
                added_at: at(),
                is_disabled: false,
                is_administrator: true,
                roles: vec![hostile()],
            }],
            address: hostile(),
        }),
        sample("notices", || Notices {
            frame: frame(),
            items: vec![Item { about: hostile(), text: hostile(), to: "/x".into(), is_urgent: true }],
        }),
    ]
}

/// Every page that may have nothing in it.
pub fn empty() -> Vec<Sample> {
    vec![
        sample("no datasets", || overview(Vec::new())),
        sample("no tables", || Dataset { tables: Vec::new(), replicas: Vec::new(), ..dataset() }),
        sample("no rows", || rows(Vec::new())),
        sample("no row", || a_row(Vec::new())),
        sample("no history", || history(Vec::new())),
        sample("no changes", || Version { changes: Vec::new(), ..version() }),
        sample("no conflicts", || Conflicts { conflicts: Vec::new(), ..conflicts(true) }),
        sample("nothing deleted", || deleted(Vec::new())),
        sample("no policy", || Policy { text: String::new(), ..policy(false) }),
        sample("no webhooks", || feed(Vec::new())),
        sample("no members", || members(Vec::new())),
        sample("no replicas", || replicas(Vec::new())),
        sample("no notices", || Notices { frame: frame(), items: Vec::new() }),
    ]
}

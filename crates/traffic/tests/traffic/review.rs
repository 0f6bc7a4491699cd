//! Review on a server, by people who want what they may not have: each side door, each forged word, each request once more.
use mainstem::accounts::Wish;
use mainstem::core::account::Fact;
use mainstem::core::authority::{Limit, Right, Role};
use mainstem::core::change::{Change, Edit, Front, Header, Shape};
use mainstem::core::proposal::MergeWish;
use mainstem::core::schema::{Column, Schema, SchemaChange, Table};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::{Row, Value};
use mainstem::datasets::Place;
use mainstem::error::Result;
use mainstem::local::Founding;
use mainstem::primary::{Acquaintance, Pages, Primary, Pushed};
use mainstem::review::{By, Everybody, Offer, Offered, Part, Review};
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;
use mainstem_traffic::plain::{Came, Plain, ask};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

const NOW_MS: u64 = 1_800_000_000_000;
const POLICY: &str = "[tables.note]\nmode = 'review'\napprovals = 1\n";
const PEOPLE: [(&str, Role); 7] = [
    ("ann", Role::Reviewer),
    ("ben", Role::Reviewer),
    ("cyd", Role::Reviewer),
    ("eve", Role::Contributor),
    ("pia", Role::Proposer),
    ("vic", Role::Viewer),
    ("olga", Role::Owner),
];

struct Stage {
    _folder: tempfile::TempDir,
    served: Served,
    known: Acquaintance,
    tokens: BTreeMap<String, String>,
}

fn table(name: &str) -> Table {
    let column = |name: &str| Column { name: name.into(), declared_type: "TEXT".into(), ..Column::default() };
    let sql = format!("CREATE TABLE {name} (id TEXT PRIMARY KEY, text TEXT)");
    Table { name: name.into(), columns: vec![column("id"), column("text")], key: vec![0], sql, ..Table::default() }
}

/// A changeset that adds a row.
fn front(table: &str, replica: u128, sequence: u64) -> Front {
    let header = Header {
        write_id: replica << 64 | u128::from(sequence),
        lineage: 7,
        replica: ReplicaId(replica),
        sequence,
        base_version: 1,
        actor: "somebody else".into(),
        at: Time::from_ms(NOW_MS),
        ..Header::default()
    };
    let token = Some("forged".into());
    let shape = Shape { table: table.into(), columns: vec!["id".into(), "text".into()], key: vec![0], ..Shape::default() };
    Front { header, shapes: vec![shape], count: 1, token, ..Front::default() }
}

/// One page, with one change or none.
struct Rows(Option<Change>, bool);

impl Rows {
    fn one(id: &str) -> Rows {
        let at = Time::from_ms(NOW_MS - 1);
        let edit = Edit::Insert(vec![Value::text(id), Value::text("new")]);
        Rows(Some(Change { table: 0, key: vec![Value::text(id)], edit, at, moved_from: None }), false)
    }
}

impl Pages for Rows {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        let is_told = std::mem::replace(&mut self.1, true);
        Ok(self.0.clone().filter(|_| !is_told).map(|change| vec![change]))
    }
    fn rewind(&mut self) -> Result<()> {
        self.1 = false;
        Ok(())
    }
}

impl Stage {
    fn begin() -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let served = Served::begin(folder.path(), Seeded::new(1, NOW_MS));
        let schema = Schema { tables: vec![table("note"), table("free")], objects: Vec::new() };
        let founding = Founding { dataset: "notes", actor: "owner", lineage: 7, schema: &schema, policy: POLICY };
        let row: Row = vec![Value::text("a"), Value::text("first")];
        served.place("notes").found(&founding, &mut |take| take(0, &row)).expect("a new dataset");
        let described = served.primary("notes").describe().expect("a description");
        let hash = served.primary("notes").version_hash(1).expect("an answer").expect("it is there");
        let known = Acquaintance { lineage: described.lineage, epoch: described.epoch, version: 1, hash, scope: described.scope };
        let mut stage = Stage { _folder: folder, served, known, tokens: BTreeMap::new() };
        for (name, role) in PEOPLE {
            stage.let_in(name, role);
        }
        stage
    }
    /// A further token of somebody, who is added where they are not there.
    fn let_in(&mut self, name: &str, role: Role) {
        let token = self.served.token_of(name, "notes", role).reveal().to_string();
        self.tokens.insert(name.into(), token);
    }
    fn actor(&self, name: &str) -> u64 {
        self.served.registrar().accounts().named(name).expect("added").id
    }
    fn tell(&self, fact: Fact) {
        self.served.registrar().change(1, |_| Ok(vec![fact.clone()])).expect("changed");
    }
    fn limited(&mut self, name: &str, right: Right) -> &'static str {
        let limit = Limit { right: Some(right), dataset: None };
        let actor = self.actor(name);
        let made = self.served.registrar().create_token(1, actor, Wish { limit, ..Wish::default() }).expect("a token");
        self.tokens.insert("limited".into(), made.1.reveal().to_string());
        "limited"
    }
    fn request(&self, who: &str, method: &str, path: &str, body: &str) -> String {
        let (token, length) = (&self.tokens[who], body.len());
        format!(
            "{method} /api/v1/datasets/notes{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    }
    fn ask(&self, who: &str, method: &str, path: &str, body: &str) -> Came {
        ask(self.served.socket(), self.request(who, method, path, body).as_bytes()).expect("an answer")
    }
    fn good(&self, who: &str, method: &str, path: &str, body: &Json) -> Json {
        let came = self.ask(who, method, path, &if body.is_null() { String::new() } else { body.to_string() });
        assert_eq!(came.status, 200, "{who} {method} {path} {body}: {}", String::from_utf8_lossy(&came.body));
        came.json()
    }
    fn refused(&self, who: &str, method: &str, path: &str, body: &Json) -> (u16, String) {
        let came = self.ask(who, method, path, &body.to_string());
        (came.status, came.code())
    }
    fn propose(&self, who: &str, revises: Option<u64>, front: &Front, rows: &mut dyn Pages) -> Result<u64> {
        let mut primary = self.served.primary_as("notes", Some(self.tokens[who].clone()));
        let by = By { actor: "somebody else", token: Some("forged"), people: &Everybody, request: None };
        let offer = Offer { revises, reviewed: Part { front, pages: rows }, direct: None };
        match primary.propose(&self.known, offer, by)? {
            Offered::Done { proposal, .. } => Ok(proposal),
            other => panic!("offered, not {other:?}"),
        }
    }
    /// Offers a new row of the reviewed table, from a replica of its own.
    fn offer(&self, who: &str, replica: u128) -> u64 {
        self.propose(
            who,
            None,
            &Front { header: Header { sequence: 0, ..front("note", replica, 1).header }, ..front("note", replica, 1) },
            &mut Rows::one(&format!("row {replica}")),
        )
        .expect("offered")
    }
    fn judged(&self, id: u64) -> Json {
        self.good("vic", "GET", &format!("/proposals/{id}"), &Json::Null)
    }
    fn vote(&self, id: u64, word: &str) -> Json {
        let result = &self.judged(id)["result"];
        json!({ "revision": result["revision"], "digest": result["digest"], "vote": word, "comment": "so it is" })
    }
    fn approve(&self, who: &str, id: u64) -> Json {
        self.good(who, "POST", &format!("/proposals/{id}/votes"), &self.vote(id, "approve"))
    }
    fn wish(&self, id: u64) -> Json {
        json!({ "request": format!("{id:032x}"), "digest": self.judged(id)["result"]["digest"] })
    }
    fn merge(&self, who: &str, id: u64) -> (u16, String) {
        let came = self.ask(who, "POST", &format!("/proposals/{id}/merge"), &self.wish(id).to_string());
        (came.status, if came.status == 200 { String::new() } else { came.code() })
    }
    /// What a request that does nothing must leave as it was.
    fn state(&self) -> (u64, u64, String) {
        let described = self.served.primary("notes").describe().expect("a description");
        (described.head.events, described.head.version, format!("{:?} {:?}", described.tables, described.policy))
    }
}

fn why_not(judged: &Json, actor: &str) -> Option<String> {
    let votes = judged["votes"].as_array().expect("votes");
    let vote = votes.iter().find(|vote| vote["actor"] == actor).unwrap_or_else(|| panic!("{actor} has voted: {judged}"));
    vote["why_not"].as_str().map(str::to_string)
}

const NOT_ENOUGH: (u16, &str) = (403, "review_required");

fn is(found: &(u16, String), expected: (u16, &str)) -> bool {
    (found.0, found.1.as_str()) == expected
}

#[test]
fn t4_nobody_approves_their_own_work_by_any_door() {
    let mut stage = Stage::begin();
    let id = stage.offer("ann", 5);
    assert_eq!(stage.judged(id)["actor"], "ann", "whose token it was, whatever was said");
    assert_eq!(why_not(&stage.approve("ann", id), "ann").as_deref(), Some("author"));
    stage.let_in("ann", Role::Owner);
    assert_eq!(why_not(&stage.approve("ann", id), "ann").as_deref(), Some("author"), "by a second token");
    assert!(is(&stage.merge("ann", id), NOT_ENOUGH));
    // A program of hers is herself, named in the policy or not.
    let bot = stage.served.registrar().add_agent(1, "bot", stage.actor("ann")).expect("an agent");
    assert_eq!(bot, stage.actor("bot"));
    stage.let_in("bot", Role::Reviewer);
    assert_eq!(why_not(&stage.approve("bot", id), "bot").as_deref(), Some("agent"));
    stage.served.primary("notes").set_policy(&format!("{POLICY}voting_agents = ['bot']\n"), "owner").expect("a policy");
    let named = stage.approve("bot", id);
    assert_eq!(why_not(&named, "bot").as_deref(), Some("author"), "{named}");
    let its = stage.offer("bot", 6);
    assert_eq!(why_not(&stage.approve("ann", its), "ann").as_deref(), Some("author"), "what her program offered");
    // Under another name she is who she was, and nobody gets the old one.
    stage.tell(Fact::ActorRenamed { actor: stage.actor("ann"), name: "anna".into() });
    assert_eq!(why_not(&stage.approve("ann", id), "anna").as_deref(), Some("author"), "renamed");
    assert_eq!(stage.served.registrar().add_actor(1, "Ann").expect_err("hers for ever").code, "name_taken");
    // Whoever adds a change to a colleague's proposal authored it as well.
    let bens = stage.offer("ben", 17);
    let mut added = front("note", 18, 1);
    added.header.sequence = 0;
    assert_eq!(stage.propose("cyd", Some(bens), &added, &mut Rows::one("more")).expect("a revision"), bens);
    assert_eq!(stage.judged(bens)["revisions"][1]["authors"], json!(["cyd", "ben"]));
    for author in ["ben", "cyd"] {
        assert_eq!(why_not(&stage.approve(author, bens), author).as_deref(), Some("author"));
    }
    for waiting in [id, its, bens] {
        assert!(is(&stage.merge("olga", waiting), NOT_ENOUGH));
    }
    stage.approve("cyd", id);
    assert_eq!(stage.merge("eve", id).0, 200);
}

#[test]
fn n7_a_vote_ends_with_its_role() {
    let stage = Stage::begin();
    let id = stage.offer("eve", 5);
    for (who, code) in [("vic", "forbidden"), ("pia", "forbidden"), ("eve", "forbidden")] {
        let path = format!("/proposals/{id}/votes");
        assert!(is(&stage.refused(who, "POST", &path, &stage.vote(id, "approve")), (403, code)), "{who}");
    }
    stage.approve("ben", id);
    assert_eq!(stage.judged(id)["state"], "approved");
    let ben = stage.actor("ben");
    let role = |role| Fact::RoleSet { actor: ben, dataset: "notes".into(), table: None, role };
    for fact in [role(Some(Role::Contributor)), role(None), Fact::ActorDisabled { actor: ben, is_disabled: true }] {
        stage.tell(fact);
        assert!(is(&stage.merge("olga", id), NOT_ENOUGH));
        let judged = stage.judged(id);
        assert_eq!((why_not(&judged, "ben").as_deref(), judged["state"].as_str()), (Some("no_right"), Some("open")));
    }
    stage.approve("cyd", id);
    assert_eq!(stage.merge("olga", id).0, 200);
}

#[test]
fn a_token_gives_no_more_than_its_limit() {
    let mut stage = Stage::begin();
    let id = stage.offer("eve", 5);
    let before = stage.state();
    let limited = stage.limited("olga", Right::Write);
    for option in ["force", "skip_conflicts"] {
        let mut wish = stage.wish(id);
        wish[option] = true.into();
        assert!(is(&stage.refused(limited, "POST", &format!("/proposals/{id}/merge"), &wish), (403, "forbidden")), "{option}");
    }
    let limited = stage.limited("ben", Right::Propose);
    let decision = json!({ "stage": "rejected", "reason": "no" });
    assert!(is(&stage.refused(limited, "POST", &format!("/proposals/{id}/decision"), &decision), (403, "forbidden")));
    assert!(is(&stage.refused(limited, "POST", &format!("/proposals/{id}/votes"), &stage.vote(id, "approve")), (403, "forbidden")));
    assert_eq!(stage.state(), before);
    // What was closed is opened again by its authors, or by whoever may close it.
    stage.good("ben", "POST", &format!("/proposals/{id}/decision"), &decision);
    let mut more = front("note", 6, 1);
    more.header.sequence = 0;
    assert_eq!(stage.propose("pia", Some(id), &more, &mut Rows::one("more")).expect_err("not hers").code, "forbidden");
    assert_eq!(stage.judged(id)["state"], "rejected");
}

#[test]
fn the_tables_themselves_are_the_whole_datasets() {
    let stage = Stage::begin();
    let mut step = front("free", 5, 1);
    step.header.sequence = 0;
    step.shapes.clear();
    step.count = 0;
    step.schema = vec![SchemaChange::CreateTable { table: table("more") }];
    let id = stage.propose("ann", None, &step, &mut Rows(None, false)).expect("offered");
    stage.served.primary("notes").set_policy(&format!("approvals = 1\n{POLICY}"), "owner").expect("a policy");
    stage.approve("ben", id);
    let fact = Fact::RoleSet { actor: stage.actor("vic"), dataset: "notes".into(), table: Some("free".into()), role: Some(Role::Owner) };
    stage.tell(fact);
    assert!(is(&stage.merge("vic", id), (403, "forbidden")), "one table is not all");
    assert_eq!(stage.merge("eve", id).0, 200);
}

#[test]
fn t3_a_role_on_a_table_hears_of_proposals_about_that_table_alone() {
    let stage = Stage::begin();
    let hidden = stage.offer("eve", 5);
    let mut free = front("free", 6, 1);
    free.header.sequence = 0;
    let shown = stage.propose("ben", None, &free, &mut Rows::one("row 6")).expect("offered");
    stage.good("ann", "POST", &format!("/proposals/{shown}/comments"), &json!({ "table": "note", "key": ["a"], "text": "as in note a" }));
    let role = |table: Option<&str>, role| Fact::RoleSet {
        actor: stage.actor("pia"),
        dataset: "notes".into(),
        table: table.map(Into::into),
        role,
    };
    stage.tell(role(None, None));
    stage.tell(role(Some("free"), Some(Role::Reviewer)));
    let listed = stage.good("pia", "GET", "/proposals", &Json::Null);
    let ids: Vec<&Json> = listed["items"].as_array().expect("a list").iter().map(|proposal| &proposal["proposal"]).collect();
    assert_eq!(ids, [&json!(shown)], "{listed}");
    // What is hidden is answered as what is not there, whatever is asked of it.
    let (vote, wish) = (stage.vote(hidden, "approve"), stage.wish(hidden));
    let digest = vote["digest"].as_str().expect("a digest").to_owned();
    let absent = hidden + 100;
    let asked = [
        ("GET", "", Json::Null),
        ("GET", "/merge", Json::Null),
        ("GET", &format!("/changes?digest={digest}"), Json::Null),
        ("GET", "/revisions/1/changes", Json::Null),
        ("POST", "/votes", vote),
        ("POST", "/comments", json!({ "text": "so?" })),
        ("POST", "/decision", json!({ "stage": "withdrawn" })),
        ("POST", "/answers", json!({ "others": "ours" })),
        ("POST", "/part", json!({ "only": [{ "table": "note" }] })),
        ("POST", "/merge", wish),
    ];
    let before = stage.state();
    for (method, rest, body) in &asked {
        let answer = |id: u64| {
            let text = if body.is_null() { String::new() } else { body.to_string() };
            let came = stage.ask("pia", method, &format!("/proposals/{id}{rest}"), &text);
            (came.status, came.code(), came.json()["message"].to_string().replace(&id.to_string(), "N"))
        };
        assert_eq!(answer(hidden), answer(absent), "{method} {rest}");
        assert_eq!(answer(hidden).0, 404, "{method} {rest}");
    }
    assert_eq!(stage.state(), before);
    // What is theirs to see is theirs to vote on, and what was said of other rows is not theirs.
    let judged = stage.good("pia", "GET", &format!("/proposals/{shown}"), &Json::Null);
    assert!(!judged.to_string().contains("note"), "{judged}");
    let voted = stage.good("pia", "POST", &format!("/proposals/{shown}/votes"), &stage.vote(shown, "approve"));
    assert_eq!(why_not(&voted, "pia"), None);
    assert!(is(&stage.merge("pia", shown), (403, "partial_view")));
    // They offer rows of their table, and of no other.
    let mut own = front("free", 8, 1);
    own.header.sequence = 0;
    let own = stage.propose("pia", None, &own, &mut Rows::one("row 7")).expect("hers to offer");
    assert_eq!(stage.good("pia", "GET", &format!("/proposals/{own}"), &Json::Null)["actor"], "pia");
    let mut other = front("note", 8, 2);
    other.header.sequence = 0;
    let before = stage.state();
    assert_eq!(stage.propose("pia", None, &other, &mut Rows::one("row 8")).expect_err("hidden").code, "outside_scope");
    assert_eq!(stage.propose("pia", Some(hidden), &other, &mut Rows::one("row 8")).expect_err("hidden").code, "not_found");
    assert_eq!(stage.state(), before);
}

#[test]
fn t9_nothing_is_taken_that_nobody_asked_for() {
    let stage = Stage::begin();
    let id = stage.offer("eve", 5);
    let (vote, wish) = (stage.vote(id, "approve"), stage.wish(id));
    let before = stage.state();
    let bodies = [
        ("votes", vote.clone()),
        ("comments", json!({ "text": "so?" })),
        ("decision", json!({ "stage": "rejected" })),
        ("answers", json!({ "others": "ours" })),
        ("part", json!({ "only": [{ "table": "note" }] })),
        ("merge", wish.clone()),
    ];
    let names =
        ["actor", "author", "authors", "token", "at", "state", "is_open", "version", "votes", "verdict", "role", "proposal", "created_at"];
    for (rest, body) in &bodies {
        for name in names {
            let mut forged = body.clone();
            forged[name] = "ann".into();
            let path = format!("/proposals/{id}/{rest}");
            assert!(is(&stage.refused("olga", "POST", &path, &forged), (400, "invalid")), "{rest} {name}");
        }
        let doubled = body.to_string().replacen('{', r#"{"text":"a","text":"b","stage":"open","stage":"open","only":[],"only":[],"others":"ours","others":"base","digest":"a","digest":"b","#, 1);
        assert_eq!(stage.ask("olga", "POST", &format!("/proposals/{id}/{rest}"), &doubled).status, 400, "{rest}");
    }
    for (name, value) in [("digest", json!("0".repeat(64))), ("revision", json!(2)), ("revision", json!(0))] {
        let mut stale = vote.clone();
        stale[name] = value;
        assert!(is(&stage.refused("ben", "POST", &format!("/proposals/{id}/votes"), &stale), (409, "stale_base")), "{name}");
    }
    let mut stale = wish;
    stale["digest"] = "0".repeat(64).into();
    stale["force"] = true.into();
    assert!(is(&stage.refused("olga", "POST", &format!("/proposals/{id}/merge"), &stale), (409, "stale_base")));
    assert_eq!(stage.state(), before);
}

#[test]
fn t7_nothing_is_pushed_past_review_by_any_role() {
    let stage = Stage::begin();
    let before = stage.state();
    for (at, (who, role)) in PEOPLE.into_iter().enumerate() {
        let mut primary = stage.served.primary_as("notes", Some(stage.tokens[who].clone()));
        let replica = 50 + at as u128;
        let step = |step| Front { schema: vec![step], ..front("note", replica, 1) };
        let tries = [
            front("note", replica, 1),
            front("NOTE", replica, 1),
            step(SchemaChange::DropTable { name: "note".into() }),
            step(SchemaChange::RenameTable { from: "note".into(), to: "open".into() }),
            step(SchemaChange::DropColumn { table: "note".into(), column: "text".into() }),
        ];
        for front in tries {
            let refused = primary.push(&stage.known, &front, &mut Rows::one("b")).expect_err(who);
            assert!(["review_required", "forbidden"].contains(&refused.code), "{role:?} {front:?}: {refused}");
            assert_eq!(stage.state(), before, "{role:?} {front:?}");
        }
    }
}

#[test]
fn t7_policy_and_ledger_are_no_tables_that_could_be_pushed() {
    let stage = Stage::begin();
    let (_, _, before) = stage.state();
    for (at, name) in ["mainstem_event", "mainstem_policy", "mainstem_proposal", "sqlite_schema"].into_iter().enumerate() {
        let mut primary = stage.served.primary_as("notes", Some(stage.tokens["olga"].clone()));
        let replica = 50 + at as u128;
        let pushed = primary.push(&stage.known, &front(name, replica, 1), &mut Rows::one("b"));
        // What is taken is a conflict about a table that there is not.
        assert!(!matches!(pushed, Ok(Pushed::Accepted { conflicts_open: 0, .. })), "{name}: {pushed:?}");
        let step = Front { schema: vec![SchemaChange::CreateTable { table: table(name) }], ..front(name, replica + 10, 1) };
        let pushed = primary.push(&stage.known, &step, &mut Rows(None, false));
        assert!(!matches!(pushed, Ok(Pushed::Accepted { conflicts_open: 0, .. })), "{name}: {pushed:?}");
        assert_eq!(stage.state().2, before, "{name}");
    }
}

#[test]
fn t8_every_request_again_by_everybody_does_only_what_they_may() {
    let stage = Stage::begin();
    let id = stage.offer("eve", 5);
    let path = |rest: &str| format!("/proposals/{id}/{rest}");
    let recorded = [
        ("comments", json!({ "table": "note", "key": ["row 5"], "text": "why?" })),
        ("votes", stage.vote(id, "approve")),
        ("merge", stage.wish(id)),
        ("decision", json!({ "stage": "withdrawn" })),
        ("part", json!({ "only": [{ "table": "note" }] })),
        ("answers", json!({ "others": "ours" })),
    ];
    for (rest, body) in &recorded[..3] {
        stage.good("ben", "POST", &path(rest), body);
    }
    let (events, version, tables) = stage.state();
    let mut order: Vec<(usize, usize)> = (0..recorded.len()).flat_map(|at| (0..PEOPLE.len()).map(move |who| (at, who))).collect();
    let mut said = 0;
    for round in 0..2u64 {
        // A fixed shuffle: the same order each run, another each round.
        order.sort_by_key(|&(at, who)| (at as u64 * 7 + who as u64 * 13 + round).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for &(at, who) in &order {
            let ((rest, body), (name, role)) = (&recorded[at], PEOPLE[who]);
            let came = stage.ask(name, "POST", &path(rest), &body.to_string());
            let may_say = role.right() >= Right::Propose;
            match *rest {
                "comments" => assert_eq!(came.status == 200, may_say, "{name}"),
                "merge" => assert_eq!(came.status == 200, role.right() >= Right::Write, "{name} hears what it came to"),
                _ => assert!([403, 409, 400].contains(&came.status), "{name} {rest}: {}", came.status),
            }
            said += u64::from(*rest == "comments" && came.status == 200);
        }
    }
    assert_eq!(stage.state(), (events + said, version, tables));
    let mut offered = front("note", 5, 1);
    offered.header.sequence = 0;
    for (name, _) in PEOPLE {
        let again = stage.propose(name, None, &offered, &mut Rows::one("row 5"));
        assert_eq!(again.is_ok(), name == "eve", "{name}");
    }
    assert_eq!(stage.state().0, events + said);
}

#[test]
fn t5_a_hundred_votes_at_once_are_one() {
    let stage = Stage::begin();
    stage.served.primary("notes").set_policy(&POLICY.replace("approvals = 1", "approvals = 2"), "owner").expect("a policy");
    let id = stage.offer("eve", 5);
    let vote = stage.vote(id, "approve");
    std::thread::scope(|threads| {
        for thread in 0..10 {
            let (stage, vote) = (&stage, &vote);
            threads.spawn(move || {
                for at in 0..10 {
                    let mut vote = vote.clone();
                    vote["comment"] = format!("{thread} {at}").into();
                    stage.good("ben", "POST", &format!("/proposals/{id}/votes"), &vote);
                }
            });
        }
    });
    let judged = stage.judged(id);
    assert_eq!((judged["votes"].as_array().map(Vec::len), &judged["missing"]), (Some(1), &json!(["1 more approval is needed"])));
    assert!(is(&stage.merge("olga", id), NOT_ENOUGH));
}

#[test]
fn n6_a_merge_is_one_however_often_it_is_asked_for() {
    let stage = Stage::begin();
    let id = stage.offer("eve", 5);
    stage.approve("ben", id);
    let (path, wish) = (format!("/proposals/{id}/merge"), stage.wish(id));
    // The answer is lost on the way.
    let mut line = Plain::to(stage.served.socket());
    line.send(stage.request("ben", "POST", &path, &wish.to_string()).as_bytes()).expect("it is sent");
    drop(line);
    let first = stage.good("ben", "POST", &path, &wish);
    assert_eq!((&first["status"], &first["version"], &first["rows_affected"]), (&json!("merged"), &json!(2), &json!(1)));
    assert_eq!((&first["diff"]["version_before"], &first["diff"]["rows_added"]), (&json!(1), &json!(1)));
    assert_eq!((&first["staging_cleaned"], first["commit"].as_str().map(str::len)), (&json!(true), Some(64)));
    let second = stage.good("olga", "POST", &path, &wish);
    assert_eq!((&second["commit"], &second["repeated"]), (&first["commit"], &json!(true)));
    let version = stage.served.primary("notes").version(2).expect("an answer").expect("it is there");
    assert!(!["forged", "somebody else"].iter().any(|said| format!("{version:?}").contains(said)), "{version:?}");
    let told = &stage.good("vic", "GET", "/feed?from=1", &Json::Null)["items"][0];
    assert_eq!((&told["proposal"], &told["approvers"], &told["merged_by"]), (&json!(1), &json!(["ben"]), &json!("ben")));
    // Two handles of one primary, as two servers have them.
    let id = stage.offer("eve", 6);
    stage.approve("ben", id);
    let wish = stage.wish(id);
    std::thread::scope(|threads| {
        let stage = &stage;
        for _ in 0..2 {
            threads.spawn(|| stage.good("ben", "POST", &format!("/proposals/{id}/merge"), &wish));
        }
        threads.spawn(|| {
            let mut beside = stage.served.shared().hall.datasets().open("notes").expect("another handle");
            let by = By { actor: "ben", token: None, people: &Everybody, request: None };
            beside.merge(id, &MergeWish::new(9), by).expect("one of them merges, the others hear of it");
        });
    });
    let (_, version, _) = stage.state();
    assert_eq!(version, 3, "one version each");
    let proposals = stage.good("vic", "GET", "/proposals?state=merged", &Json::Null);
    assert_eq!(proposals["items"].as_array().map(Vec::len), Some(2));
}

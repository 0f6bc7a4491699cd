//! What a member who is let in may send in another's name, and what comes of it: nothing, in every case.
use mainstem::core::account::Fact;
use mainstem::core::authority::Role;
use mainstem::core::change::{Again, Cell, Change, Choice, Edit, Front, Header, Past, Resolution, Shape};
use mainstem::core::schema::{Column, Schema, SchemaChange, Table};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::{Row, Value};
use mainstem::datasets::Place;
use mainstem::error::Result;
use mainstem::local::Founding;
use mainstem::primary::{Acquaintance, Pages, Primary, Pushed, Seen};
use mainstem::review::{By, Everybody, Offer, Part, Review};
use mainstem_http::HttpPrimary;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::Served;

const NOW_MS: u64 = 1_800_000_000_000;

struct Stage {
    _folder: tempfile::TempDir,
    served: Served,
    known: Acquaintance,
}

fn table(name: &str) -> Table {
    let column = |name: &str, declared_type: &str| Column { name: name.into(), declared_type: declared_type.into(), ..Column::default() };
    Table {
        name: name.into(),
        columns: vec![column("id", "TEXT"), column("text", "TEXT")],
        key: vec![0],
        sql: format!("CREATE TABLE {name} (id TEXT PRIMARY KEY, text TEXT)"),
        ..Table::default()
    }
}

impl Stage {
    fn begin() -> Stage {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let served = Served::begin(folder.path(), Seeded::new(1, NOW_MS));
        let schema = Schema { tables: vec![table("note"), table("secret")], objects: Vec::new() };
        let founding = Founding { dataset: "notes", actor: "owner", lineage: 7, schema: &schema, policy: "" };
        let row: Row = vec![Value::text("a"), Value::text("first")];
        let mut place = served.place("notes");
        place.found(&founding, &mut |take| take(0, &row).and_then(|()| take(1, &row))).expect("a new dataset");
        let described = served.primary("notes").describe().expect("a description");
        let hash = served.primary("notes").version_hash(1).expect("an answer").expect("it is there");
        let known = Acquaintance { lineage: described.lineage, epoch: described.epoch, version: 1, hash, scope: described.scope };
        Stage { _folder: folder, served, known }
    }
    fn as_one(&self, name: &str, role: Role) -> HttpPrimary {
        let token = self.served.token_of(name, "notes", role);
        self.served.primary_as("notes", Some(token.reveal().to_string()))
    }
    fn push(&self, primary: &mut dyn Primary, front: &Front, change: Change) -> Result<Pushed> {
        primary.push(&self.known, front, &mut One(change, false))
    }
    /// What a refused request must leave as it was.
    fn state(&self) -> (u64, String) {
        let described = self.served.primary("notes").describe().expect("a description");
        (described.head.events, format!("{:?}", described.tables))
    }
    fn author(&self, version: u64) -> String {
        self.served.primary("notes").version(version).expect("an answer").expect("it is there").header.actor
    }
}

/// One page with one change.
struct One(Change, bool);

impl Pages for One {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        Ok((!std::mem::replace(&mut self.1, true)).then(|| vec![self.0.clone()]))
    }
    fn rewind(&mut self) -> Result<()> {
        self.1 = false;
        Ok(())
    }
}

/// No page at all.
struct Nothing;

impl Pages for Nothing {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        Ok(None)
    }
    fn rewind(&mut self) -> Result<()> {
        Ok(())
    }
}

fn front(table: &str, replica: u128, sequence: u64, actor: &str) -> Front {
    let header = Header {
        write_id: replica << 64 | u128::from(sequence),
        lineage: 7,
        replica: ReplicaId(replica),
        sequence,
        base_version: 1,
        actor: actor.into(),
        at: Time::from_ms(NOW_MS),
        ..Header::default()
    };
    let shape = Shape { table: table.into(), columns: vec!["id".into(), "text".into()], key: vec![0], ..Shape::default() };
    Front { header, shapes: vec![shape], count: 1, ..Front::default() }
}

fn insert(id: &str) -> Change {
    let at = Time::from_ms(NOW_MS - 1);
    Change { table: 0, key: vec![Value::text(id)], edit: Edit::Insert(vec![Value::text(id), Value::text("new")]), at, moved_from: None }
}

fn edit(id: &str, after: &str) -> Change {
    let at = Time::from_ms(NOW_MS - 1);
    let cell = Cell { column: 1, before: Value::text("first"), after: Value::text(after), at };
    Change { table: 0, key: vec![Value::text(id)], edit: Edit::Update(vec![cell]), at, moved_from: None }
}

#[test]
fn the_author_is_whose_token_it_is() {
    let stage = Stage::begin();
    let mut ben = stage.as_one("ben", Role::Contributor);
    stage.push(&mut ben, &front("note", 5, 1, "ann"), insert("b")).expect("his own work");
    assert_eq!(stage.author(2), "ben");
    let seen = Seen { replica: ReplicaId(5), actor: "ann".into(), version: 1 };
    ben.seen(&stage.known, &seen).expect("his own replica");
    assert_eq!(stage.served.primary("notes").replicas().expect("a list")[0].seen.actor, "ben");
    // The names of all others who could be told to have done it are overwritten as well.
    let mut again = front("note", 5, 2, "owner");
    again.resolutions = vec![Resolution { conflict: 1, choice: Choice::Ours, actor: "ann".into(), at: Time::from_ms(NOW_MS) }];
    stage.push(&mut ben, &again, insert("c")).expect("his own work");
    let version = stage.served.primary("notes").version(3).expect("an answer").expect("it is there");
    assert!(!format!("{version:?}").contains("ann"), "{version:?}");
}

#[test]
fn a_replica_is_its_actors_own() {
    let stage = Stage::begin();
    let (mut ann, mut ben) = (stage.as_one("ann", Role::Contributor), stage.as_one("ben", Role::Contributor));
    let first = front("note", 5, 1, "ann");
    stage.push(&mut ann, &first, insert("b")).expect("her own work");
    let before = stage.state();
    // The very request again, and what only she could have sent next.
    for (offered, change) in
        [(first.clone(), insert("b")), (front("note", 5, 2, "ann"), insert("c")), (front("note", 5, 2, "ben"), insert("c"))]
    {
        assert_eq!(stage.push(&mut ben, &offered, change).expect_err("it is hers").code, "others_replica");
    }
    let seen = Seen { replica: ReplicaId(5), actor: "ann".into(), version: 1 };
    assert_eq!(ben.seen(&stage.known, &seen).expect_err("it is hers").code, "others_replica");
    // Nor may anybody be the primary itself, or nobody.
    for replica in [7, 0] {
        assert_eq!(stage.push(&mut ben, &front("note", replica, 1, "ben"), insert("c")).expect_err("no replica").code, "invalid");
    }
    assert_eq!(stage.state(), before);
    assert_eq!(stage.push(&mut ann, &first, insert("b")).expect("again"), Pushed::Already { version: 2 });
    assert_eq!(stage.state(), before);
}

#[test]
fn nothing_can_be_said_to_have_been_lost() {
    let stage = Stage::begin();
    let mut ben = stage.as_one("ben", Role::Contributor);
    let mut forged = front("note", 99, 4, "ann");
    forged.again = Some(mainstem::core::change::Again::default());
    let before = stage.state();
    assert_eq!(stage.push(&mut ben, &forged, insert("b")).expect_err("nothing was").code, "invalid");
    assert_eq!(stage.state(), before);
    let mut contributor = stage.as_one("cyd", Role::Contributor);
    let ahead = Acquaintance { version: 50, hash: [9; 32], ..stage.known };
    assert_eq!(contributor.begin_epoch(&ahead, "owner").expect_err("an owner's to do").code, "forbidden");
    let mut owner = stage.as_one("olga", Role::Owner);
    let epoch = owner.begin_epoch(&ahead, "somebody else").expect("hers to do");
    let known = Acquaintance { epoch, ..stage.known };
    ben.push(&known, &forged, &mut One(insert("b"), false)).expect("it may have been");
    assert_eq!(stage.author(2), "ben, for ann", "on whose word it is");
    let restored = stage.served.primary("notes").describe().expect("a description").restored.expect("a restore");
    assert_eq!(restored.actor, "olga");
}

/// What anybody may say once something was lost, and what comes of it.
#[test]
fn a_restore_lets_nobody_pass_for_another_or_for_a_proposal() {
    let stage = Stage::begin();
    let (mut ann, mut ben) = (stage.as_one("ann", Role::Contributor), stage.as_one("ben", Role::Contributor));
    let mut owner = stage.as_one("olga", Role::Owner);
    // Both have replicas of their own, and ann has offered something.
    stage.push(&mut ann, &front("note", 5, 1, "ann"), insert("b")).expect("her own work");
    stage.push(&mut ben, &front("note", 6, 1, "ben"), insert("c")).expect("his own work");
    let mut offered = front("note", 5, 2, "ann");
    offered.header.sequence = 0;
    let by = By { actor: "ann", token: None, people: &Everybody, request: None };
    let mut pages = One(insert("offered"), false);
    let offer = Offer { revises: None, reviewed: Part { front: &offered, pages: &mut pages }, direct: None };
    ann.propose(&stage.known, offer, by).expect("offered");
    let epoch = owner.begin_epoch(&Acquaintance { version: 50, hash: [9; 32], ..stage.known }, "olga").expect("hers to do");
    let known = Acquaintance { epoch, ..stage.known };
    let lost = |table: &str, replica: u128, sequence: u64, actor: &str, stands_for: Vec<u128>| {
        let was = vec![Past { epoch: stage.known.epoch, version: 40 + sequence }];
        Front { again: Some(Again { was, stands_for, renumbered: Vec::new() }), ..front(table, replica, sequence, actor) }
    };
    // By the name of what ann offered, her copy would take it for merged, and give up what it keeps.
    let before = stage.state();
    let mut named = lost("note", 6, 7, "ben", Vec::new());
    named.header.write_id = offered.header.write_id;
    for forged in [named, lost("note", 6, 8, "ben", vec![1, offered.header.write_id])] {
        let refused = ben.push(&known, &forged, &mut One(insert("instead"), false)).expect_err("it is hers");
        assert_eq!(refused.code, "review_required", "{}", refused.message);
    }
    // Nor does it pass review by having been lost.
    let policy = "[tables.secret]\nmode = 'review'\n";
    stage.served.primary("notes").set_policy(policy, "olga").expect("a policy");
    let (events, tables) = stage.state();
    let past = lost("secret", 6, 9, "ben", Vec::new());
    assert_eq!(ben.push(&known, &past, &mut One(insert("past"), false)).expect_err("a reviewed table").code, "review_required");
    assert_eq!((events, &tables), (before.0 + 1, &before.1), "a policy, and nothing else");
    assert_eq!(stage.state(), (events, tables));
    // Whose a replica is, is known: what comes of it has their name, and on whose word it is.
    let mut says = |replica: u128, sequence: u64, actor: &str, id: &str| {
        ben.push(&known, &lost("note", replica, sequence, actor, Vec::new()), &mut One(insert(id), false)).expect("it may have been");
        let head = stage.served.primary("notes").describe().expect("a description").head.version;
        stage.author(head)
    };
    assert_eq!(says(5, 100, "ben", "d"), "ben, for ann", "another's is not his own");
    assert_eq!(says(5, 101, "olga", "e"), "ben, for ann", "nor a third one's");
    assert_eq!(says(6, 10, "ann", "f"), "ben", "his own is not another's");
    assert_eq!(says(6, 11, "ben", "g"), "ben");
    assert_eq!(says(77, 1, "ann", "h"), "ben, for ann", "where nobody knows, his word stands beside hers");
    let last = stage.served.primary("notes").version(3 + 5).expect("an answer").expect("it is there");
    assert!(last.review.is_none(), "nobody has approved it");
    // Her own numbers go on where they were.
    let next = front("note", 5, 2, "ann");
    let mut next = Front { header: Header { write_id: 12_345, ..next.header.clone() }, ..next };
    next.header.base_version = 1;
    assert!(matches!(ann.push(&known, &next, &mut One(insert("i"), false)).expect("her next"), Pushed::Accepted { .. }));
}

#[test]
fn each_table_is_asked_for() {
    let stage = Stage::begin();
    let registrar = stage.served.registrar();
    let mut ben = stage.as_one("ben", Role::Viewer);
    let actor = registrar.accounts().named("ben").expect("added").id;
    let table_role = Fact::RoleSet { actor, dataset: "notes".into(), table: Some("note".into()), role: Some(Role::Contributor) };
    let before = stage.state();
    assert_eq!(stage.push(&mut ben, &front("note", 5, 1, "ben"), insert("b")).expect_err("he only reads").code, "forbidden");
    registrar.change(1, |_| Ok(vec![table_role.clone()])).expect("a role");
    let mut tries: Vec<(Front, Change)> = Vec::new();
    tries.push((front("secret", 5, 1, "ben"), edit("a", "told")));
    tries.push((front("SECRET", 5, 1, "ben"), edit("a", "told")));
    let mut both = front("note", 5, 1, "ben");
    both.shapes.extend(front("secret", 5, 1, "ben").shapes);
    tries.push((both, Change { table: 1, ..edit("a", "told") }));
    let step = |step: SchemaChange| Front { schema: vec![step], ..front("note", 5, 1, "ben") };
    tries.push((step(SchemaChange::CreateTable { table: table("mine") }), insert("b")));
    tries.push((step(SchemaChange::DropTable { name: "secret".into() }), insert("b")));
    tries.push((front("mainstem_event", 5, 1, "ben"), insert("b")));
    tries.push((front("sqlite_schema", 5, 1, "ben"), insert("b")));
    for (offered, change) in tries {
        let shown = format!("{:?} {:?}", offered.schema, offered.shapes);
        assert_eq!(stage.push(&mut ben, &offered, change).expect_err(&shown).code, "forbidden", "{shown}");
    }
    assert_eq!(stage.state(), before);
    stage.push(&mut ben, &front("note", 5, 1, "ben"), insert("b")).expect("his table");

    // A name that meant another table when the work was done leads nowhere.
    let mut owner = stage.as_one("olga", Role::Owner);
    let mut renaming = front("note", 6, 1, "olga");
    renaming.header.base_version = 2;
    renaming.schema =
        vec![SchemaChange::RenameTable { from: "note".into(), to: "hidden".into() }, SchemaChange::CreateTable { table: table("note") }];
    renaming.shapes.clear();
    renaming.count = 0;
    owner.push(&stage.known, &renaming, &mut Nothing).expect("hers to do");
    let before = stage.state();
    assert_eq!(stage.push(&mut ben, &front("note", 5, 2, "ben"), edit("a", "found")).expect_err("renamed since").code, "forbidden");
    assert_eq!(stage.state(), before);
}

#[test]
fn whoever_lost_a_role_while_waiting_is_refused() {
    let stage = Stage::begin();
    let mut ben = stage.as_one("ben", Role::Contributor);
    stage.push(&mut ben, &front("note", 5, 1, "ben"), insert("b")).expect("his own work");
    let registrar = stage.served.registrar();
    let actor = registrar.accounts().named("ben").expect("added").id;
    let before = stage.state();
    for (fact, code) in [
        (Fact::RoleSet { actor, dataset: "notes".into(), table: None, role: Some(Role::Viewer) }, "forbidden"),
        (Fact::RoleSet { actor, dataset: "notes".into(), table: None, role: None }, "no_primary"),
        (Fact::ActorDisabled { actor, is_disabled: true }, "unauthenticated"),
    ] {
        registrar.change(1, |_| Ok(vec![fact.clone()])).expect("changed");
        assert_eq!(stage.push(&mut ben, &front("note", 5, 2, "ben"), insert("c")).expect_err("no more").code, code);
    }
    assert_eq!(stage.state(), before);
}

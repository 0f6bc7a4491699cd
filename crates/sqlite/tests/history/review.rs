//! Proposals on the embedded primary: what is voted on is what is merged, or nothing is.
use super::world::{START, World};
use mainstem::core::ErrorKind;
use mainstem::core::change::{Cell, Change, Choice, Edit, Front, Header, Shape};
use mainstem::core::proposal::{Assessment, Ballot, Decision, MergeWish, Stage, Word};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::Value;
use mainstem::error::Error;
use mainstem::primary::{Acquaintance, Pages, Primary};
use mainstem::replica::{Answering, Replica};
use mainstem::review::{By, Chosen, Deed, Everybody, Judged, Offer, Offered, Part, State};
use mainstem_sqlite::primary::rebuild_primary;
use mainstem_testkit::surroundings::Seeded;

pub fn by(actor: &str) -> By<'_> {
    By { actor, token: None, people: &Everybody, request: None }
}

/// Offers what a replica has committed last, under another write id and without a number.
pub fn offer(world: &World, who: usize, revises: Option<u64>, write_id: u128) -> (u64, u64) {
    let actor = format!("a{who}");
    let mut replica = world.replica(who);
    replica.commit(&actor, Some("a title"), "").unwrap();
    let known: Acquaintance = replica.standing().unwrap().known.unwrap();
    let mut front: Front = replica.unsent().unwrap().pop().unwrap();
    let mut pages = replica.pages(front.header.write_id).unwrap();
    (front.header.write_id, front.header.sequence) = (write_id, 0);
    let offer = Offer { revises, reviewed: Part { front: &front, pages: &mut *pages }, direct: None };
    match world.primary().propose(&known, offer, by(&actor)).unwrap() {
        Offered::Done { proposal, revision, .. } => (proposal, revision),
        Offered::Refused(why) => panic!("{why:?}"),
    }
}

pub fn judged(world: &World, id: u64) -> Judged {
    world.primary().proposal(id, by("any")).unwrap().unwrap()
}

pub fn assessed(world: &World, id: u64) -> Assessment {
    judged(world, id).assessment.unwrap()
}

pub fn vote(world: &World, id: u64, actor: &str, word: Word) {
    let assessment = assessed(world, id);
    let ballot = Ballot { revision: assessment.revision, digest: assessment.digest, word, comment: "because".into() };
    world.primary().act(id, &Deed::Vote(ballot), by(actor)).unwrap();
}

pub fn merge(world: &World, id: u64, request: u128) -> Result<u64, Error> {
    world.primary().merge(id, &MergeWish::new(request), by("m")).map(|merged| merged.version)
}

fn name(world: &World, id: i64) -> Option<Value> {
    let row = world.primary().rows_of("person", &[vec![Value::Integer(id)]], world.head()).unwrap().remove(0);
    row.map(|row| row[2].clone())
}

#[test]
fn what_two_people_approve_is_merged_and_nothing_before() {
    let world = World::new(1, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1; DELETE FROM tag WHERE code = 'b';");
    assert_eq!(offer(&world, 1, None, 77), (1, 1));
    assert_eq!(offer(&world, 1, None, 77), (1, 1), "repeated, it is the same proposal");
    assert_eq!(name(&world, 1), Some(Value::text("Ann")));
    assert_eq!(judged(&world, 1).state(), State::Open);
    assert_eq!(merge(&world, 1, 5).unwrap_err().code, "review_required");

    vote(&world, 1, "a1", Word::Approve);
    vote(&world, 1, "bo", Word::Approve);
    assert_eq!(merge(&world, 1, 5).unwrap_err().code, "review_required", "the author's own vote does not count");
    vote(&world, 1, "cy", Word::Approve);
    assert_eq!(judged(&world, 1).state(), State::Approved);
    let version = merge(&world, 1, 5).unwrap();
    assert_eq!(merge(&world, 1, 5).unwrap(), version, "merged again, it answers the same");
    assert_eq!(name(&world, 1), Some(Value::text("Anna")));
    assert_eq!(judged(&world, 1).state(), State::Merged);
    let event = world.primary().version(version).unwrap().unwrap();
    let reviewed = event.review.unwrap();
    assert_eq!((reviewed.proposal, reviewed.actor.as_str()), (1, "m"));
    assert_eq!(reviewed.approvers().collect::<Vec<_>>(), ["bo", "cy"]);
}

#[test]
fn a_vote_is_stale_when_merging_would_do_something_else() {
    let world = World::new(2, START, 3);
    world.sql(1, "UPDATE person SET age = 40 WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    assert_eq!(judged(&world, 1).state(), State::Approved);
    // Another row of another table: the votes hold.
    world.sql(2, "UPDATE team SET points = 11 WHERE id = 1");
    world.send(2, "elsewhere");
    assert_eq!(judged(&world, 1).state(), State::Approved);
    // The same row: what is written is another change by now, although it does not conflict.
    let before = assessed(&world, 1);
    world.sql(2, "UPDATE person SET age = 39 WHERE id = 1");
    world.send(2, "the same cell");
    assert_ne!(assessed(&world, 1).digest, before.digest);
    assert_ne!(judged(&world, 1).state(), State::Approved);
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "review_required");
    let ballot = Ballot { revision: 1, digest: before.digest, word: Word::Approve, comment: String::new() };
    let late = world.primary().act(1, &Deed::Vote(ballot), by("di")).unwrap_err();
    assert_eq!((late.code, late.kind), ("stale_base", ErrorKind::Conflict));
}

#[test]
fn a_further_revision_needs_votes_of_its_own() {
    let world = World::new(3, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    world.sql(1, "UPDATE person SET name = 'Anne' WHERE id = 2");
    assert_eq!(offer(&world, 1, Some(1), 78), (1, 2));
    assert_eq!(judged(&world, 1).state(), State::Open);
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "review_required");
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    let version = merge(&world, 1, 7).unwrap();
    assert_eq!((name(&world, 1), name(&world, 2)), (Some(Value::text("Ann")), Some(Value::text("Anne"))));
    assert_eq!(world.primary().find_write(77).unwrap(), Some(version), "the first revision is in it");
}

#[test]
fn what_is_closed_takes_no_votes_and_no_merge() {
    let world = World::new(4, START, 2);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    vote(&world, 1, "bo", Word::Approve);
    vote(&world, 1, "cy", Word::Approve);
    let decide = |stage| Deed::Decide(Decision { stage, reason: "no".into() });
    world.primary().act(1, &decide(Stage::Withdrawn), by("a1")).unwrap();
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "closed");
    assert_eq!(judged(&world, 1).state(), State::Withdrawn);
    world.primary().act(1, &decide(Stage::Open), by("a1")).unwrap();
    assert_eq!(judged(&world, 1).state(), State::Approved);
    assert_eq!(name(&world, 1), Some(Value::text("Ann")));
    // Folded anew, it is the same.
    let folded = rebuild_primary(&world.primary_folder(), Seeded::around(5), &mut |finding| panic!("{finding:?}")).unwrap();
    assert!(folded.is_empty());
}

fn approve(world: &World, id: u64) {
    vote(world, id, "bo", Word::Approve);
    vote(world, id, "cy", Word::Approve);
}

fn manual(world: &World) {
    let text = mainstem::policy_text::set(&world.primary().describe().unwrap().policy, "strategy", "manual").unwrap();
    world.primary().set_policy(&text, "a0").unwrap();
}

#[test]
fn open_conflicts_hold_a_merge_until_they_are_answered_in_a_further_revision() {
    let world = World::new(5, START, 3);
    manual(&world);
    world.sql(1, "UPDATE person SET name = 'Anna', age = 41 WHERE id = 1; DELETE FROM person WHERE id = 4");
    offer(&world, 1, None, 77);
    world.sql(2, "UPDATE person SET name = 'Anne' WHERE id = 1; UPDATE person SET name = 'Dana' WHERE id = 4");
    world.send(2, "meanwhile");
    let before = judged(&world, 1);
    assert_eq!(before.state(), State::HasConflicts);
    approve(&world, 1);
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "merge_conflict");
    let open: Vec<u64> = before.assessment.unwrap().outcome.conflicts.iter().map(|conflict| conflict.id).collect();
    assert_eq!(open.len(), 2);
    let choose = |choice| Answering { choice, value: None };
    let some = world.primary().answer(1, &[(open[0], choose(Choice::Ours))], by("di")).unwrap_err();
    assert_eq!(some.code, "merge_conflict", "one is left without an answer");
    let answers: Vec<(u64, Answering)> = open.iter().map(|id| (*id, choose(Choice::Ours))).collect();
    assert_eq!(world.primary().answer(1, &answers, by("di")).unwrap(), 2);
    assert_eq!(judged(&world, 1).state(), State::Open, "the votes were on something else");
    vote(&world, 1, "di", Word::Approve);
    vote(&world, 1, "bo", Word::Approve);
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "review_required", "who answered wrote what is merged");
    vote(&world, 1, "cy", Word::Approve);
    let version = merge(&world, 1, 6).unwrap();
    assert_eq!((name(&world, 1), name(&world, 4)), (Some(Value::text("Anna")), None));
    let conflicts = world.primary().version(version).unwrap().unwrap().conflicts;
    assert!(conflicts.len() == 2 && conflicts.iter().all(|conflict| !conflict.is_open()), "what lost is kept: {conflicts:?}");
}

#[test]
fn an_answer_for_what_is_there_takes_the_proposals_side_back() {
    let world = World::new(5, START, 3);
    manual(&world);
    world.sql(1, "UPDATE person SET name = 'Anna', age = 41 WHERE id = 1; DELETE FROM person WHERE id = 4; UPDATE team SET label = 'green' WHERE id = 2");
    offer(&world, 1, None, 77);
    world.sql(2, "UPDATE person SET name = 'Anne' WHERE id = 1; UPDATE person SET name = 'Dana' WHERE id = 4; UPDATE team SET label = 'blau' WHERE id = 2");
    world.send(2, "meanwhile");
    let outcome = assessed(&world, 1).outcome;
    assert_eq!(outcome.conflicts.len(), 3);
    let answers: Vec<(u64, Answering)> =
        outcome.conflicts.iter().map(|conflict| (conflict.id, Answering { choice: Choice::Theirs, value: None })).collect();
    world.primary().answer(1, &answers, by("di")).unwrap();
    let (after, row) =
        (assessed(&world, 1), |table: &str| world.primary().rows_of(table, &[vec![Value::Integer(2)]], world.head()).unwrap());
    assert_eq!((after.outcome.count, after.conflicts_open()), (1, 0), "only the age is left of it");
    approve(&world, 1);
    merge(&world, 1, 6).unwrap();
    assert_eq!((name(&world, 1), name(&world, 4)), (Some(Value::text("Anne")), Some(Value::text("Dana"))));
    assert_eq!(row("team")[0].as_ref().unwrap()[1], Value::text("blau"));
}

#[test]
fn a_merged_answer_holds_what_both_sides_did_to_a_text() {
    let world = World::new(5, START, 3);
    manual(&world);
    world.sql(2, "UPDATE person SET name = 'one two three' WHERE id = 1");
    world.send(2, "before");
    world.sync(1);
    world.sql(1, "UPDATE person SET name = 'ONE two three' WHERE id = 1");
    offer(&world, 1, None, 77);
    world.sql(2, "UPDATE person SET name = 'one two THREE' WHERE id = 1");
    world.send(2, "meanwhile");
    let conflict = assessed(&world, 1).outcome.conflicts[0].id;
    let merged = Answering { choice: Choice::Merged, value: None };
    world.primary().answer(1, &[(conflict, merged)], by("di")).unwrap();
    approve(&world, 1);
    merge(&world, 1, 6).unwrap();
    assert_eq!(name(&world, 1), Some(Value::text("ONE two THREE")));
}

#[test]
fn answers_that_leave_nothing_of_a_proposal_are_refused() {
    let world = World::new(5, START, 3);
    manual(&world);
    world.sql(1, "UPDATE person SET name = 'Anna' WHERE id = 1");
    offer(&world, 1, None, 77);
    world.sql(2, "UPDATE person SET name = 'Anne' WHERE id = 1");
    world.send(2, "meanwhile");
    let conflict = assessed(&world, 1).outcome.conflicts[0].id;
    let theirs = Answering { choice: Choice::Theirs, value: None };
    let refused = world.primary().answer(1, &[(conflict, theirs)], by("di")).unwrap_err();
    assert!(refused.hint.unwrap().contains("withdraw"), "{}", refused.message);
    assert_eq!(judged(&world, 1).state(), State::HasConflicts, "nothing was done");
}

#[test]
fn a_part_is_accepted_with_what_it_depends_on_and_the_rest_stays_open() {
    let world = World::new(6, START, 2);
    world.sql(
        1,
        "INSERT INTO person VALUES (50, NULL, 'Eve', 1), (51, 50, 'Fay', 2), (52, 51, 'Gus', 3); \
         UPDATE person SET name = 'Anna', age = 99 WHERE id = 1; UPDATE team SET points = 12 WHERE id = 1",
    );
    offer(&world, 1, None, 77);
    let only = |table: &str, key: i64, columns: &[&str]| Chosen {
        table: table.into(),
        key: Some(vec![Value::Integer(key)]),
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
    };
    let rest = world.primary().accept_part(1, &[only("person", 51, &[]), only("person", 1, &["name"])], by("bo")).unwrap();
    assert_eq!(rest, Some(2));
    approve(&world, 1);
    merge(&world, 1, 6).unwrap();
    let names = [1, 50, 51, 52].map(|id| name(&world, id).is_some());
    assert_eq!(names, [true, true, true, false], "the parent came along");
    let row = world.primary().rows_of("person", &[vec![Value::Integer(1)]], world.head()).unwrap().remove(0).unwrap();
    assert_eq!((&row[2], &row[3]), (&Value::text("Anna"), &Value::Integer(30)));
    approve(&world, 2);
    merge(&world, 2, 7).unwrap();
    assert_eq!(name(&world, 52), Some(Value::text("Gus")));
    let row = world.primary().rows_of("person", &[vec![Value::Integer(1)]], world.head()).unwrap().remove(0).unwrap();
    assert_eq!(row[3], Value::Integer(99));
}

/// A link of two columns.
const PLACES: &str = "
    CREATE TABLE site(country TEXT, code TEXT, name TEXT, PRIMARY KEY(country, code));
    CREATE TABLE visit(id INTEGER PRIMARY KEY, country TEXT, code TEXT, note TEXT, FOREIGN KEY(country, code) REFERENCES site(country, code));
    INSERT INTO site VALUES ('no', 'a', 'Alta'), ('se', 'a', 'Arvika');
    INSERT INTO visit VALUES (1, 'no', 'a', 'first'), (2, 'se', 'a', 'second');
";

/// Parts of what one replica did to the places, each with its rest merged after it.
fn merged_in_parts(seed: u64, sql: &str, only: &[Chosen]) -> World {
    let world = World::new(seed, PLACES, 2);
    world.sql(1, sql);
    offer(&world, 1, None, 77);
    let rest = world.primary().accept_part(1, only, by("bo")).unwrap();
    let ids: Vec<u64> = [Some(1), rest].into_iter().flatten().collect();
    for id in ids {
        let outcome = assessed(&world, id).outcome;
        assert!(outcome.conflicts.is_empty() && outcome.waiting.is_empty(), "proposal {id} hangs in the air: {outcome:?}");
        approve(&world, id);
        merge(&world, id, u128::from(id)).unwrap();
    }
    world
}

fn visited(world: &World, id: i64, column: &str) -> Value {
    let visits = &world.stored()["visit"];
    visits.iter().find(|visit| visit["id"] == Value::Integer(id)).unwrap()[column].clone()
}

fn visit(id: i64, columns: &[&str]) -> Chosen {
    let columns = columns.iter().map(|&column| column.to_owned()).collect();
    Chosen { table: "visit".into(), key: Some(vec![Value::Integer(id)]), columns }
}

#[test]
fn a_link_of_two_columns_is_followed_where_one_of_them_is_written() {
    // Only the code is written: the new site is wanted by that and by the country that stays.
    let edits = "INSERT INTO site VALUES ('no', 'b', 'Bodø'), ('se', 'b', 'Borås'); UPDATE visit SET code = 'b' WHERE id = 1";
    let world = merged_in_parts(1, edits, &[visit(1, &[])]);
    assert_eq!(visited(&world, 1, "code"), Value::text("b"));
    // A site goes, and with it the visit that leaves it by its code alone.
    let site = Chosen { table: "site".into(), key: Some(vec![Value::text("no"), Value::text("a")]), columns: vec![] };
    let edits = "INSERT INTO site VALUES ('no', 'b', 'Bodø'); UPDATE visit SET code = 'b' WHERE id = 1; \
                 DELETE FROM site WHERE country = 'no' AND code = 'a'; UPDATE visit SET note = 'more' WHERE id = 2";
    let world = merged_in_parts(2, edits, &[site]);
    assert_eq!(world.stored()["site"].len(), 2);
    // Half of a link leads elsewhere: the other half goes with it, and what it leads to.
    let edits = "INSERT INTO site VALUES ('fi', 'c', 'Kemi'); UPDATE visit SET country = 'fi', code = 'c', note = 'moved' WHERE id = 1";
    let world = merged_in_parts(3, edits, &[visit(1, &["code"])]);
    assert_eq!(visited(&world, 1, "note"), Value::text("moved"));
}

#[test]
fn a_version_taken_back_later_asks_about_what_was_changed_since() {
    let world = World::new(7, START, 3);
    world.sql(
        1,
        "UPDATE person SET name = 'Anna', age = 41 WHERE id = 1; DELETE FROM tag WHERE code = 'b'; INSERT INTO tag VALUES ('n', 9, 'new')",
    );
    offer(&world, 1, None, 77);
    approve(&world, 1);
    let version = merge(&world, 1, 6).unwrap();
    world.sync_all();
    world.sql(2, "UPDATE person SET name = 'Annika' WHERE id = 1");
    world.send(2, "since");
    let id = world.primary().propose_revert(version, "it was wrong", by("di")).unwrap();
    let judged = judged(&world, id);
    assert_eq!(judged.state(), State::HasConflicts);
    let assessment = judged.assessment.unwrap();
    let open: Vec<_> = assessment.outcome.conflicts.iter().map(|c| (c.id, c.column.clone())).collect();
    assert_eq!(open.iter().map(|(_, column)| column.as_deref()).collect::<Vec<_>>(), [Some("name")]);
    world.primary().answer(id, &[(open[0].0, Answering { choice: Choice::Theirs, value: None })], by("di")).unwrap();
    approve(&world, id);
    merge(&world, id, 8).unwrap();
    let row = world.primary().rows_of("person", &[vec![Value::Integer(1)]], world.head()).unwrap().remove(0).unwrap();
    assert_eq!((&row[2], &row[3]), (&Value::text("Annika"), &Value::Integer(30)));
    let tags =
        |code: &str, n| world.primary().rows_of("tag", &[vec![Value::text(code), Value::Integer(n)]], world.head()).unwrap().remove(0);
    assert!(tags("b", 1).is_some() && tags("n", 9).is_none());
}

/// One page of changes.
struct Page(Option<Vec<Change>>, Vec<Change>);

impl Pages for Page {
    fn next(&mut self) -> Result<Option<Vec<Change>>, Error> {
        Ok(self.0.take())
    }
    fn rewind(&mut self) -> Result<(), Error> {
        self.0 = Some(self.1.clone());
        Ok(())
    }
}

/// Offers another name for person 2, made on the head.
fn offer_name(primary: &mut dyn Primary, revises: Option<u64>, write_id: u128, to: &str) -> Result<u64, Error> {
    let described = primary.describe().unwrap();
    let version = described.head.version;
    let key = vec![Value::Integer(2)];
    let row = primary.rows_of("person", std::slice::from_ref(&key), version).unwrap().remove(0).unwrap();
    let at = Time::from_ms(1_800_000_000_000);
    let cell = Cell { column: 2, before: row[2].clone(), after: Value::text(to), at };
    let changes = vec![Change { table: 0, key, edit: Edit::Update(vec![cell]), at, moved_from: None }];
    let columns = ["id", "boss", "name", "age"].map(String::from).to_vec();
    let shape = Shape { table: "person".into(), columns, key: vec![0], is_numbered: true, highest: None };
    let (lineage, actor) = (described.lineage, "eve".to_owned());
    let header = Header { write_id, lineage, replica: ReplicaId(write_id), base_version: version, actor, at, ..Header::default() };
    let front = Front { header, shapes: vec![shape], count: 1, ..Front::default() };
    let hash = primary.version_hash(version).unwrap().unwrap();
    let known = Acquaintance { lineage, epoch: described.epoch, version, hash, scope: Default::default() };
    let mut pages = Page(None, changes);
    let offer = Offer { revises, reviewed: Part { front: &front, pages: &mut pages }, direct: None };
    match primary.propose(&known, offer, by("eve"))? {
        Offered::Done { proposal, .. } => Ok(proposal),
        Offered::Refused(why) => panic!("{why:?}"),
    }
}

/// Approve, then revise and merge at once: MAINSTEM_RACES says how often.
#[test]
fn no_merge_without_votes_on_exactly_what_is_merged_however_close_a_revision_comes() {
    let races: u64 = std::env::var("MAINSTEM_RACES").ok().and_then(|races| races.parse().ok()).unwrap_or(100);
    let world = World::new(8, START, 1);
    let (mut reviewers, mut merger, mut author) = (world.primary(), world.primary(), world.primary());
    let (mut merged, mut refused) = (0, 0);
    for race in 0..races {
        let (first, second) = (u128::from(race) * 2 + 1000, u128::from(race) * 2 + 1001);
        let (good, evil) = (format!("good {race}"), format!("evil {race}"));
        let id = offer_name(&mut *author, None, first, &good).unwrap();
        for actor in ["bo", "cy"] {
            let assessment = reviewers.proposal(id, by(actor)).unwrap().unwrap().assessment.unwrap();
            let ballot = Ballot { revision: 1, digest: assessment.digest, word: Word::Approve, comment: String::new() };
            reviewers.act(id, &Deed::Vote(ballot), by(actor)).unwrap();
        }
        let start = std::sync::Barrier::new(2);
        let (done, revised) = std::thread::scope(|scope| {
            let revising = scope.spawn(|| {
                let mut author = world.primary();
                start.wait();
                offer_name(&mut *author, Some(id), second, &evil)
            });
            start.wait();
            let done = merger.merge(id, &MergeWish::new(u128::from(race)), by("m"));
            (done, revising.join().unwrap())
        });
        let key = vec![Value::Integer(2)];
        let head = reviewers.describe().unwrap().head.version;
        let now = reviewers.rows_of("person", &[key], head).unwrap().remove(0).unwrap()[2].clone();
        match done {
            Ok(done) => {
                merged += 1;
                assert_eq!(now, Value::text(&good), "race {race}");
                let reviewed = reviewers.version(done.version).unwrap().unwrap().review.unwrap();
                assert!(reviewed.votes.len() == 2 && reviewed.votes.iter().all(|vote| vote.ballot.digest == reviewed.digest));
                assert!(revised.is_ok() || revised.unwrap_err().code == "closed", "race {race}");
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.code, "review_required", "race {race}: {error}");
                assert!(now != Value::text(&good) && now != Value::text(&evil), "race {race}");
                revised.unwrap();
                let decision = Decision { stage: Stage::Rejected, reason: "next".into() };
                reviewers.act(id, &Deed::Decide(decision), by("bo")).unwrap();
            }
        }
    }
    eprintln!("{merged} merged, {refused} refused");
    assert_eq!(merged + refused, races);
}

fn set_policy(world: &World, key: &str, value: &str) {
    let text = mainstem::policy_text::set(&world.primary().describe().unwrap().policy, key, value).unwrap();
    world.primary().set_policy(&text, "a0").unwrap();
}

#[test]
fn two_proposals_that_hold_alone_and_not_together_are_not_both_merged() {
    let world = World::new(9, START, 3);
    let sum = "{ rule = \"no-rows\", sql = \"SELECT sum(points) FROM team HAVING sum(points) > 100\" }";
    set_policy(&world, "gates.at_most_100", sum);
    world.sql(1, "UPDATE team SET points = 60 WHERE id = 1");
    offer(&world, 1, None, 77);
    world.sql(2, "UPDATE team SET points = 60 WHERE id = 2");
    offer(&world, 2, None, 78);
    approve(&world, 1);
    approve(&world, 2);
    assert_eq!([1, 2].map(|id| judged(&world, id).state()), [State::Approved; 2]);
    merge(&world, 1, 5).unwrap();
    let second = judged(&world, 2);
    assert_eq!(second.state(), State::Open, "its votes hold, and what it would do does not");
    assert!(second.assessment.unwrap().is_blocked());
    let refused = merge(&world, 2, 6).unwrap_err();
    assert_eq!((refused.code, refused.message.contains("at_most_100")), ("validation_failed", true), "{refused}");
    // A gate that cannot be tried holds a merge as well.
    set_policy(&world, "gates.at_most_100", "{ rule = \"no-rows\", sql = \"SELECT 1 FROM nowhere\" }");
    assert_eq!(merge(&world, 2, 7).unwrap_err().code, "validation_failed");
    set_policy(&world, "gates.at_most_100.severity", "warn");
    set_policy(&world, "gates.at_most_100", sum);
    set_policy(&world, "gates.at_most_100.severity", "warn");
    let version = merge(&world, 2, 8).unwrap();
    let gates = world.primary().version(version).unwrap().unwrap().review.unwrap().gates;
    assert!(gates.len() == 1 && !gates[0].is_blocking(), "what it warned of is kept: {gates:?}");
}

#[test]
fn more_votes_asked_for_are_asked_for_at_once() {
    let world = World::new(10, START, 2);
    world.sql(1, "UPDATE team SET points = 60 WHERE id = 1");
    offer(&world, 1, None, 77);
    approve(&world, 1);
    assert_eq!(judged(&world, 1).state(), State::Approved);
    set_policy(&world, "approvals", "3");
    assert_eq!(merge(&world, 1, 6).unwrap_err().code, "review_required");
    vote(&world, 1, "di", Word::Approve);
    merge(&world, 1, 7).unwrap();
}

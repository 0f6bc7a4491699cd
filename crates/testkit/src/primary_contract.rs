//! What every primary must do, near or far, whatever it is made of. An adapter runs [`run`] over its own constructor.
//!
//! The contract is that of `mainstem::primary::Primary`: repeated pushes are recognised, gaps and reused numbers are
//! told, strangers are refused, a push that breaks off leaves nothing, pulls come in order and in pages of any size, and
//! what a replica would compute from them is what the primary says it holds.
mod epochs;
mod feeding;
mod forgetting;
mod past;
mod requests;
mod reviewing;

use mainstem::core::change::{Cell, Change, Edit, Front, Header, Shape};
use mainstem::core::digest::{RowDigester, Sum};
use mainstem::core::event::{Event, TableDigest, Version};
use mainstem::core::format::{event, page};
use mainstem::core::schema::{Column, Schema, Table};
use mainstem::core::stamp::{ReplicaId, Time};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::ledger::Head;
use mainstem::primary::{Acquaintance, Cursor, Description, Item, Pages, Primary, Pushed, SnapshotSink, SnapshotStart};
use std::collections::BTreeMap;

/// Founds a primary with this schema and these rows of its first table as version 1.
pub type Found<'a> = &'a mut dyn FnMut(&Schema, &[Row]) -> Box<dyn Primary>;

/// Whom a primary takes for the author of what is pushed: the changeset's own word where none, for a primary that nobody
/// is known to; otherwise the one it knows, whatever the changeset says.
pub type KnownAs<'a> = Option<&'a str>;

/// Runs the whole contract. Panics with what is broken.
pub fn run(found: Found<'_>, known_as: KnownAs<'_>) {
    a_new_primary_says_what_it_holds(found);
    whoever_waits_hears_of_a_version(found);
    a_repeated_push_is_recognised(found);
    gaps_and_reused_numbers_are_told(found);
    strangers_are_refused(found);
    a_push_that_breaks_off_leaves_nothing(found);
    pulls_come_in_order_and_in_any_size(found);
    both_orders_give_the_same(found);
    a_policy_is_heard_of(found);
    forgetting::a_deletion_leaves_a_tombstone(found, known_as);
    forgetting::a_cleanup_waits_for_every_replica(found);
    forgetting::what_is_behind_the_horizon_is_told_so(found);
    past::the_past_is_told(found, known_as);
    past::events_are_one_chain(found);
    feeding::the_feed_goes_on_from_any_place(found);
    feeding::an_event_says_where_it_comes_from(found, known_as);
    feeding::a_feed_that_cannot_go_on_says_where_it_can(found);
    epochs::what_was_lost_is_taken_again_once(found, known_as);
    epochs::a_new_epoch_begins_on_evidence_alone(found, known_as);
}

/// Runs what is promised of reviews, by primaries that show the whole dataset.
pub fn run_reviews(found: Found<'_>, known_as: KnownAs<'_>) {
    reviewing::a_proposal_changes_nothing_until_it_is_merged_once(found, known_as);
    reviewing::what_waits_for_review_wakes_whoever_waits(found);
    reviewing::nothing_is_pushed_past_review(found);
    reviewing::many_small_pushes_are_one_large_one(found, known_as);
    requests::a_request_is_done_once_however_often_it_comes(found, known_as);
}

/// Wall-clock milliseconds at which the contract's changesets were made.
pub const MADE_AT_MS: u64 = 1_600_000_000_000;

fn column(name: &str, declared_type: &str) -> Column {
    Column { name: name.into(), declared_type: declared_type.into(), ..Column::default() }
}

fn schema() -> Schema {
    let table = Table {
        name: "item".into(),
        columns: vec![column("id", "TEXT"), column("name", "TEXT"), column("stock", "INTEGER")],
        key: vec![0],
        sql: "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT, stock INTEGER)".into(),
        ..Table::default()
    };
    Schema { tables: vec![table], objects: Vec::new() }
}

fn row(id: &str, name: &str, stock: i64) -> Row {
    vec![Value::text(id), Value::text(name), Value::Integer(stock)]
}

fn first_rows() -> Vec<Row> {
    vec![row("a", "apple", 1), row("b", "bean", 2), row("c", "cress", 3)]
}

fn fresh(found: Found<'_>) -> Box<dyn Primary> {
    found(&schema(), &first_rows())
}

struct Listed {
    pages: Vec<Vec<Change>>,
    next: usize,
    breaks_after: Option<usize>,
}

impl Pages for Listed {
    fn next(&mut self) -> Result<Option<Vec<Change>>> {
        if self.breaks_after.is_some_and(|n| self.next >= n) {
            return Err(Error::invalid("the line went dead"));
        }
        let page = self.pages.get(self.next).cloned();
        self.next += 1;
        Ok(page)
    }
    fn rewind(&mut self) -> Result<()> {
        self.next = 0;
        Ok(())
    }
}

/// A changeset of one replica, ready to be offered.
struct Offer {
    front: Front,
    pages: Vec<Vec<Change>>,
}

impl Offer {
    fn new(primary: &Description, replica: u128, sequence: u64, changes: Vec<Change>) -> Offer {
        let header = Header {
            write_id: replica << 64 | u128::from(sequence),
            lineage: primary.lineage,
            replica: ReplicaId(replica),
            sequence,
            base_version: primary.head.version,
            actor: format!("actor {replica}"),
            at: Time::from_ms(MADE_AT_MS + 1_000_000),
            ..Header::default()
        };
        let shape =
            Shape { table: "item".into(), columns: ["id", "name", "stock"].map(String::from).to_vec(), key: vec![0], ..Shape::default() };
        let count = changes.len() as u64;
        let pages = changes.chunks(2).map(<[Change]>::to_vec).collect();
        Offer { front: Front { header, shapes: vec![shape], count, ..Front::default() }, pages }
    }
    fn pages(&self) -> Listed {
        Listed { pages: self.pages.clone(), next: 0, breaks_after: None }
    }
    fn push(&self, primary: &mut dyn Primary, known: &Acquaintance) -> Result<Pushed> {
        primary.push(known, &self.front, &mut self.pages())
    }
}

fn at(order: u64) -> Time {
    Time::from_ms(MADE_AT_MS + order)
}

fn update(id: &str, column: usize, before: Value, after: Value, order: u64) -> Change {
    let cell = Cell { column, before, after, at: at(order) };
    Change { table: 0, key: vec![Value::text(id)], edit: Edit::Update(vec![cell]), at: at(order), moved_from: None }
}

fn insert(new: Row, order: u64) -> Change {
    Change { table: 0, key: vec![new[0].clone()], edit: Edit::Insert(new), at: at(order), moved_from: None }
}

fn delete(old: Row, order: u64) -> Change {
    Change { table: 0, key: vec![old[0].clone()], edit: Edit::Delete(old), at: at(order), moved_from: None }
}

fn rename(id: &str, before: &str, after: &str, order: u64) -> Change {
    update(id, 1, Value::text(before), Value::text(after), order)
}

/// Takes a snapshot: the rows by key, and what it begins with.
#[derive(Default)]
struct Taken {
    start: Option<SnapshotStart>,
    rows: BTreeMap<Key, Row>,
}

impl SnapshotSink for Taken {
    fn begin(&mut self, start: &SnapshotStart) -> Result<()> {
        assert!(self.start.is_none(), "a snapshot begins once");
        self.start = Some(start.clone());
        Ok(())
    }
    fn rows(&mut self, table: usize, rows: &[Row]) -> Result<()> {
        assert_eq!(table, 0);
        for row in rows {
            let is_new = self.rows.insert(vec![row[0].clone()], row.clone()).is_none();
            assert!(is_new, "a row comes once");
        }
        Ok(())
    }
}

fn snapshot(primary: &mut dyn Primary) -> Taken {
    let mut taken = Taken::default();
    primary.snapshot(&mut taken).expect("a snapshot");
    taken
}

fn known(primary: &mut dyn Primary) -> Acquaintance {
    let taken = snapshot(primary);
    let start = taken.start.expect("a snapshot begins");
    let of = &start.description;
    Acquaintance { lineage: of.lineage, epoch: of.epoch, version: of.head.version, hash: start.hash, scope: of.scope }
}

fn digest_of(rows: &BTreeMap<Key, Row>) -> TableDigest {
    let digester = RowDigester::new("item", &["id", "name", "stock"].map(String::from));
    let mut sum = Sum::default();
    for row in rows.values() {
        sum.add(&digester.digest(row));
    }
    TableDigest { table: "item".into(), rows: rows.len() as u64, sum: sum.0 }
}

fn version_of(pushed: Result<Pushed>) -> u64 {
    match pushed.expect("a push") {
        Pushed::Accepted { version, .. } => version,
        other => panic!("accepted, not {other:?}"),
    }
}

fn a_new_primary_says_what_it_holds(found: Found<'_>) {
    let mut primary = fresh(found);
    let described = primary.describe().expect("a description");
    assert_eq!(described.head.version, 1);
    let taken = snapshot(primary.as_mut());
    assert_eq!(taken.rows.values().cloned().collect::<Vec<_>>(), first_rows());
    assert_eq!(described.tables, [digest_of(&taken.rows)], "the digest is that of the rows");
    assert_eq!(primary.conflicts(false).expect("a list"), []);
    assert!(primary.version(1).expect("an answer").is_some());
    assert!(primary.version(2).expect("an answer").is_none());
}

fn whoever_waits_hears_of_a_version(found: Found<'_>) {
    const LONG_MS: u64 = 3_600_000;
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let before = described.head;
    for timeout_ms in [0, 1, 30] {
        assert_eq!(primary.wait(&before, timeout_ms).expect("an answer"), before, "nothing happened");
    }
    version_of(Offer::new(&described, 7, 1, vec![rename("a", "apple", "apricot", 1)]).push(primary.as_mut(), &known));
    let after = primary.wait(&before, LONG_MS).expect("an answer");
    assert_eq!((after.version, after), (2, primary.describe().expect("a description").head));
    primary.set_policy("strategy = \"manual\"\n", "owner").expect("a policy");
    let last = primary.wait(&after, LONG_MS).expect("an answer");
    assert_eq!((last.version, last.events), (2, after.events + 1), "a policy is an event as well");
    for other in [Head::default(), Head { hash: [9; 32], ..last }] {
        assert_eq!(primary.wait(&other, LONG_MS).expect("an answer"), last, "who knows another end is told at once");
    }
}

fn a_repeated_push_is_recognised(found: Found<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let offer = Offer::new(&described, 7, 1, vec![rename("a", "apple", "apricot", 1), insert(row("d", "dill", 4), 2)]);
    let version = version_of(offer.push(primary.as_mut(), &known));
    assert_eq!(version, 2);
    let head = primary.describe().expect("a description").head;
    let again = offer.push(primary.as_mut(), &known).expect("a repeated push");
    assert_eq!(again, Pushed::Already { version });
    assert_eq!(primary.describe().expect("a description").head, head, "nothing was appended");
    assert_eq!(snapshot(primary.as_mut()).rows.len(), 4);
}

fn gaps_and_reused_numbers_are_told(found: Found<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let third = Offer::new(&described, 7, 3, vec![rename("a", "apple", "x", 1)]);
    assert_eq!(third.push(primary.as_mut(), &known).expect("an answer"), Pushed::Gap { expected: 1 });
    let first = Offer::new(&described, 7, 1, vec![rename("a", "apple", "y", 1)]);
    version_of(first.push(primary.as_mut(), &known));
    let mut other = Offer::new(&described, 7, 1, vec![rename("b", "bean", "z", 1)]);
    other.front.header.write_id = 99;
    assert_eq!(other.push(primary.as_mut(), &known).expect("an answer"), Pushed::Reused);
    assert_eq!(primary.describe().expect("a description").head.version, 2);
}

fn strangers_are_refused(found: Found<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let offer = Offer::new(&described, 7, 1, vec![rename("a", "apple", "x", 1)]);
    let strangers = [
        Acquaintance { lineage: known.lineage ^ 1, ..known },
        Acquaintance { epoch: known.epoch ^ 1, ..known },
        Acquaintance { version: 50, ..known },
        Acquaintance { hash: [9; 32], ..known },
    ];
    for stranger in strangers {
        assert!(offer.push(primary.as_mut(), &stranger).is_err(), "a push by {stranger:?}");
        let from = Cursor { version: 2, page: 0 };
        assert!(primary.pull(&stranger, from, 1_000).is_err(), "a pull by {stranger:?}");
    }
    assert_eq!(primary.describe().expect("a description").head, described.head);
}

fn a_push_that_breaks_off_leaves_nothing(found: Found<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let changes = (0..9).map(|n| insert(row(&format!("n{n}"), "new", n), 1)).collect();
    let offer = Offer::new(&described, 7, 1, changes);
    for breaks_after in 0..offer.pages.len() {
        let mut pages = Listed { breaks_after: Some(breaks_after), ..offer.pages() };
        assert!(primary.push(&known, &offer.front, &mut pages).is_err());
        let now = primary.describe().expect("a description");
        assert_eq!((now.head, now.tables), (described.head, described.tables.clone()));
    }
    assert_eq!(snapshot(primary.as_mut()).rows.len(), 3);
    version_of(offer.push(primary.as_mut(), &known));
    assert_eq!(snapshot(primary.as_mut()).rows.len(), 12, "the same offer is taken when it comes whole");
}

/// Pulls everything after version 1 in pieces of about so many bytes: versions with their changes.
fn pull_all(primary: &mut dyn Primary, known: &Acquaintance, bytes_max: usize) -> Vec<(Version, Vec<Change>)> {
    let mut from = Cursor { version: known.version + 1, page: 0 };
    let mut versions: Vec<(Version, Vec<Change>)> = Vec::new();
    for _ in 0..1_000 {
        let pull = primary.pull(known, from, bytes_max).expect("a pull");
        for item in &pull.items {
            match item {
                Item::Version(bytes, _) => match event::decode(bytes).expect("an event") {
                    Event::Version(version) => versions.push((version, Vec::new())),
                    other => panic!("a version, not {other:?}"),
                },
                Item::Event(..) => {}
                Item::Page(bytes) => {
                    let (version, changes) = versions.last_mut().expect("a version comes before its pages");
                    changes.extend(page::decode(bytes, &version.shapes).expect("a page"));
                }
            }
        }
        if pull.is_last {
            return versions;
        }
        assert!(!pull.items.is_empty(), "a pull that is not the last brings something");
        assert_ne!(pull.next, from, "and moves the cursor");
        from = pull.next;
    }
    panic!("the pulls do not end");
}

fn apply(rows: &mut BTreeMap<Key, Row>, changes: &[Change]) {
    for change in changes {
        match &change.edit {
            Edit::Insert(row) => {
                assert!(rows.insert(change.key.clone(), row.clone()).is_none(), "an insert finds no row");
            }
            Edit::Update(cells) => {
                let row = rows.get_mut(&change.key).expect("an update finds its row");
                for cell in cells {
                    assert_eq!(row[cell.column], cell.before, "an accepted version is exact");
                    row[cell.column] = cell.after.clone();
                }
            }
            Edit::Delete(row) => assert_eq!(rows.remove(&change.key).as_ref(), Some(row)),
        }
    }
}

fn pulls_come_in_order_and_in_any_size(found: Found<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let start = snapshot(primary.as_mut()).rows;
    for sequence in 1..=4_i64 {
        let described = primary.describe().expect("a description");
        let changes = (0..5).map(|n| insert(row(&format!("{sequence}/{n}"), "new", sequence), 1)).collect();
        version_of(Offer::new(&described, 7, sequence.unsigned_abs(), changes).push(primary.as_mut(), &known));
    }
    let described = primary.describe().expect("a description");
    version_of(Offer::new(&described, 8, 1, vec![delete(row("c", "cress", 3), 1)]).push(primary.as_mut(), &known));
    let whole = pull_all(primary.as_mut(), &known, 1 << 20);
    let numbers: Vec<u64> = whole.iter().map(|(v, _)| v.version).collect();
    assert_eq!(numbers, [2, 3, 4, 5, 6]);
    for bytes_max in [1, 100, 1_000] {
        assert_eq!(pull_all(primary.as_mut(), &known, bytes_max), whole, "pieces of {bytes_max} bytes");
    }
    let mut rows = start;
    for (version, changes) in &whole {
        apply(&mut rows, changes);
        assert_eq!(version.count, changes.len() as u64);
        assert_eq!(version.tables, [digest_of(&rows)], "version {} says what it holds", version.version);
    }
    assert_eq!(rows, snapshot(primary.as_mut()).rows);
}

/// Rows and conflicts after two replicas pushed what they made on version 1.
fn after(found: Found<'_>, order: [usize; 2]) -> (BTreeMap<Key, Row>, Vec<u64>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    let described = primary.describe().expect("a description");
    let one = vec![rename("a", "apple", "by one", 10), rename("b", "bean", "both", 11), delete(row("c", "cress", 3), 12)];
    let stock = update("b", 2, Value::Integer(2), Value::Integer(20), 21);
    let two = vec![rename("a", "apple", "by two", 20), stock, insert(row("d", "dill", 4), 22)];
    let offers = [Offer::new(&described, 7, 1, one), Offer::new(&described, 8, 1, two)];
    for n in order {
        version_of(offers[n].push(primary.as_mut(), &known));
    }
    let mut conflicts: Vec<u64> = primary.conflicts(false).expect("a list").iter().map(|c| c.id).collect();
    conflicts.sort_unstable();
    (snapshot(primary.as_mut()).rows, conflicts)
}

fn both_orders_give_the_same(found: Found<'_>) {
    let (rows, conflicts) = after(found, [0, 1]);
    let (other_rows, other_conflicts) = after(found, [1, 0]);
    assert_eq!(rows, other_rows);
    assert_eq!(conflicts, other_conflicts);
    assert_eq!(conflicts.len(), 1, "both named the apple");
    let expected = [row("a", "by two", 1), row("b", "both", 20), row("d", "dill", 4)];
    assert_eq!(rows.into_values().collect::<Vec<_>>(), expected, "the later write won, different cells merged");
}

fn a_policy_is_heard_of(found: Found<'_>) {
    let mut primary = fresh(found);
    let known = known(primary.as_mut());
    primary.set_policy("strategy = \"manual\"\n", "owner").expect("a policy");
    assert!(primary.set_policy("strategy = \"coin-toss\"\n", "owner").is_err(), "nonsense is refused");
    let pull = primary.pull(&known, Cursor { version: 2, page: 0 }, 1_000).expect("a pull");
    assert!(pull.policy.contains("manual"), "{}", pull.policy);
    assert!(primary.describe().expect("a description").policy.contains("manual"));
    let described = primary.describe().expect("a description");
    for (replica, name) in [(7, "by one"), (8, "by two")] {
        let offer = Offer::new(&described, replica, 1, vec![rename("a", "apple", name, replica as u64)]);
        version_of(offer.push(primary.as_mut(), &known));
    }
    assert_eq!(primary.conflicts(true).expect("a list").len(), 1, "left to a person");
}

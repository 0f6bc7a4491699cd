//! Sweeping beside looking at each row: what was written, what is left, and the digests.
use super::*;
use mainstem::core::change::Cell as Edited;
use mainstem::core::change::{Change, Edit};
use mainstem::core::event::TableDigest;
use mainstem::core::format::page;
use mainstem::core::schema::Schema;
use mainstem::core::stamp::Time;
use mainstem::core::value::{Key, Row, Value};
use mainstem::lane::shape_of;
use mainstem::tables::Tables;
use proptest::prelude::*;

const SHAPES: [&str; 8] = [
    "CREATE TABLE t(k TEXT PRIMARY KEY, a, b TEXT, c REAL)",
    "CREATE TABLE t(k INTEGER PRIMARY KEY, a, b TEXT, c REAL)",
    "CREATE TABLE t(k PRIMARY KEY, a, b TEXT, c REAL)",
    "CREATE TABLE t(k TEXT COLLATE NOCASE PRIMARY KEY, a, b TEXT COLLATE NOCASE, c REAL)",
    "CREATE TABLE t(k TEXT PRIMARY KEY, a, b TEXT, c REAL) WITHOUT ROWID",
    "CREATE TABLE t(k TEXT, a, b TEXT, c REAL, PRIMARY KEY(k DESC))",
    "CREATE TABLE t(k TEXT, a NOT NULL, b TEXT, c REAL, g AS (a || b), PRIMARY KEY(k, a)); CREATE INDEX i ON t(b, c)",
    "CREATE TABLE t(k TEXT PRIMARY KEY, a, b TEXT UNIQUE, c REAL CHECK (c IS NULL OR c < 1e6)); CREATE INDEX i ON t(a) WHERE a > 1",
];

fn open(shape: usize, is_wide_text: bool) -> Connection {
    let db = Connection::open_in_memory().expect("memory");
    db.execute_batch(if is_wide_text { "PRAGMA encoding = 'UTF-16le'" } else { "" }).expect("nothing is in it yet");
    db.execute_batch(SHAPES[shape]).expect("a plain table");
    db
}

fn tables(db: &Connection) -> SqliteTables<'_> {
    let read = |db: &Connection| -> Result<Schema> { Ok(crate::schema::read(db)?.schema) };
    SqliteTables::new(db, Arc::new(read(db).expect("a plain schema")), Box::new(read))
}

fn digests(tables: &mut SqliteTables<'_>) -> Digests {
    let mut digests = Digests::new(&tables.schema(), &[]);
    digests.recount(tables, &["t".to_owned()]).expect("plain rows");
    digests
}

fn listed(digests: &Digests) -> Vec<TableDigest> {
    digests.list()
}

/// Sweeps a page of these changes; those that are left come back.
fn sweep(tables: &mut SqliteTables<'_>, changes: &[Change], digests: &mut Digests) -> Vec<Change> {
    let shapes = [shape_of(&tables.schema().tables[0])];
    let page = Arc::new(Page::new(page::encode(&shapes, changes), &shapes).expect("a page that was just made"));
    let mut left = Vec::new();
    tables.sweep(0, &page, (0..changes.len() as u32).collect(), true, digests, &mut left).expect("it can be tried");
    left.sort_unstable();
    left.into_iter().map(|n| changes[n as usize].clone()).collect()
}

/// True where no two changes are about one row.
fn is_each_another(changes: &[Change]) -> bool {
    changes.iter().map(|change| &change.key).collect::<BTreeSet<&Key>>().len() == changes.len()
}

fn rows(tables: &mut SqliteTables<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    tables
        .scan(0, &mut |row| {
            rows.push(row.clone());
            Ok(())
        })
        .expect("plain rows");
    rows
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-3i64..4).prop_map(Value::Integer),
        prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(1e9), Just(0.5)].prop_map(Value::Real),
        prop_oneof![Just("a"), Just("A"), Just("1"), Just("1.0"), Just("a\0b"), Just("")].prop_map(Value::text),
        Just(Value::Text(vec![0xff, 0x41])),
        Just(Value::Blob(b"a".to_vec())),
    ]
}

fn key(shape: usize) -> BoxedStrategy<Value> {
    match shape {
        1 => (-9i64..30).prop_map(Value::Integer).boxed(),
        2 => value().prop_filter("a key is not NULL", |v| !v.is_null()).boxed(),
        _ => prop_oneof!["[a-cA-C]{1,3}", "[0-9]{1,2}"].prop_map(Value::text).boxed(),
    }
}

/// What is wanted of a row: its place among those that are there, the kind of change, what it becomes, and whether the change is
/// about the row as it is.
type Wish = (prop::sample::Index, u8, Row, bool);

/// A file of UTF-16 cannot hold text that is not UTF-8.
fn fits_a_file(row: &Row, is_wide_text: bool) -> bool {
    !is_wide_text || row.iter().all(|value| !matches!(value, Value::Text(text) if std::str::from_utf8(text).is_err()))
}

fn world() -> impl Strategy<Value = (usize, bool, Vec<Row>, Vec<Wish>)> {
    (0..SHAPES.len(), any::<bool>()).prop_flat_map(|(shape, is_wide)| {
        let row = move || (key(shape), value(), value(), value()).prop_map(|(k, a, b, c)| vec![k, a, b, c]);
        let wish = (any::<prop::sample::Index>(), 0u8..3, row(), prop::bool::weighted(0.9));
        (Just(shape), Just(is_wide), prop::collection::vec(row(), 1..60), prop::collection::vec(wish, 1..80))
    })
}

fn changes(there: &[Row], wishes: &[Wish], keys: &[usize]) -> Vec<Change> {
    let made = |(at, kind, row, is_so): &Wish| -> Option<Change> {
        let mut was = at.get(there).clone();
        if !is_so {
            was[3] = Value::text("another");
        }
        let key_of = |row: &Row| keys.iter().map(|&i| row[i].clone()).collect::<Key>();
        let (key, edit) = match kind {
            0 if keys.iter().any(|&i| row[i].is_null()) => return None,
            0 => (key_of(row), Edit::Insert(row.clone())),
            1 => (key_of(&was), Edit::Delete(was)),
            _ => {
                let cell = |i: usize| Edited { column: i, before: was[i].clone(), after: row[i].clone(), at: Time(1) };
                let cells: Vec<Edited> = (1..4).filter(|i| !keys.contains(i) && row[*i] != was[*i]).map(cell).collect();
                (key_of(&was), if cells.is_empty() { return None } else { Edit::Update(cells) })
            }
        };
        Some(Change { table: 0, key, edit, at: Time(1), moved_from: None })
    };
    wishes.iter().filter_map(made).collect()
}

/// A change as it is applied by itself; false where the row is not what the change says it was, or something stands against it.
fn one(tables: &mut SqliteTables<'_>, change: &Change) -> bool {
    let there = tables.get(0, &change.key).expect("it can be read");
    let wrote = match (&change.edit, there) {
        (Edit::Insert(row), None) => tables.insert(0, row).expect("it can be tried"),
        (Edit::Delete(was), Some(there)) if *was == there => tables.delete(0, &change.key).map(|()| Wrote::Done).expect("it is there"),
        (Edit::Update(cells), Some(there)) if cells.iter().all(|c| there[c.column] == c.before) => {
            let mut row = there.clone();
            cells.iter().for_each(|c| row[c.column] = c.after.clone());
            tables.update(0, &there, &row).expect("it can be tried")
        }
        _ => return false,
    };
    wrote == Wrote::Done
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn what_is_swept_is_what_comes_of_each_by_itself((shape, is_wide, first, wishes) in world()) {
        let (swept_db, single_db) = (open(shape, is_wide), open(shape, is_wide));
        let (mut swept, mut single) = (tables(&swept_db), tables(&single_db));
        for row in first.iter().filter(|row| fits_a_file(row, is_wide)) {
            let stored = swept.stored_form(0, row).expect("a plain table");
            if swept.insert(0, &stored).is_ok_and(|wrote| wrote == Wrote::Done) {
                single.insert(0, &stored).expect("as there");
            }
        }
        let there = rows(&mut swept);
        prop_assume!(!there.is_empty());
        let table = swept.schema().tables[0].clone();
        let stored = |wish: &Wish| (wish.0, wish.1, crate::form::stored(&single_db, &table, &wish.2).expect("a plain table"), wish.3);
        let all = changes(&there, &wishes.iter().filter(|wish| fits_a_file(&wish.2, is_wide)).map(stored).collect::<Vec<_>>(), &table.key);
        let (mut kept, before) = (digests(&mut swept), rows(&mut swept));

        let left = sweep(&mut swept, &all, &mut kept);
        prop_assert_eq!(listed(&kept), listed(&digests(&mut swept)));
        if !is_each_another(&all) {
            prop_assert_eq!(&left, &all);
            prop_assert_eq!(rows(&mut swept), before);
            return Ok(());
        }
        // Each that did not come back is one that fits by itself, and what came back is as it was.
        for change in &all {
            if left.contains(change) {
                let is = before.iter().find(|row| table.key_of(row) == change.key).cloned();
                prop_assert_eq!(swept.get(0, &change.key).expect("it can be read"), is);
            }
        }
        let mut order: Vec<&Change> = all.iter().filter(|change| !left.contains(change)).collect();
        order.sort_by_key(|change| (!matches!(change.edit, Edit::Delete(_)), matches!(change.edit, Edit::Insert(_))));
        let mut waiting = order;
        while !waiting.is_empty() {
            let count = waiting.len();
            waiting.retain(|change| !one(&mut single, change));
            // Unique values that are exchanged find no order; a walk finds none either.
            prop_assert!(waiting.len() < count, "{:?} was written by a sweep alone", waiting);
        }
        prop_assert_eq!(rows(&mut swept), rows(&mut single));
    }
}

/// Rows `from..to` of a table whose key is a text.
fn filled(shape: usize, count: i64) -> Connection {
    let db = open(shape, false);
    let sql = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1 - 1)
               INSERT INTO t SELECT printf('%06d', i), i, 'text ' || i, i / 2.0 FROM n";
    db.execute(sql, [count]).expect("new rows");
    db
}

#[test]
fn all_of_many_changes_are_swept() {
    let db = filled(0, 2_000);
    let mut swept = tables(&db);
    let mut kept = digests(&mut swept);
    let there = rows(&mut swept);
    let mut all = Vec::new();
    for (n, row) in there.iter().enumerate() {
        let cell = |i: usize, after: Value| Edited { column: i, before: row[i].clone(), after, at: Time(1) };
        let (key, edit) = match n % 5 {
            0 => (vec![row[0].clone()], Edit::Delete(row.clone())),
            1 => (vec![row[0].clone()], Edit::Update(vec![cell(1, Value::Null)])),
            2 => (vec![row[0].clone()], Edit::Update(vec![cell(3, Value::Real(-0.25)), cell(2, Value::text("a longer text than it was"))])),
            3 => (
                vec![Value::text(format!("{n:06} new"))],
                Edit::Insert(vec![Value::text(format!("{n:06} new")), Value::Null, Value::Null, Value::Null]),
            ),
            _ => continue,
        };
        all.push(Change { table: 0, key, edit, at: Time(1), moved_from: None });
    }
    let inserts = all.iter().filter(|change| matches!(change.edit, Edit::Insert(_))).count();
    let left = sweep(&mut swept, &all, &mut kept);
    assert_eq!(left, []);
    assert_eq!(listed(&kept), listed(&digests(&mut swept)));
    assert_eq!(rows(&mut swept).len(), 2_000 - 400 + inserts);
    // The functions of another pull take the place of those of the one before.
    let delete = |row: &Row| Change { table: 0, key: vec![row[0].clone()], edit: Edit::Delete(row.clone()), at: Time(1), moved_from: None };
    let all: Vec<Change> = rows(&mut swept).iter().map(delete).collect();
    let mut again = tables(&db);
    assert_eq!(sweep(&mut again, &all, &mut kept), []);
    assert_eq!((listed(&kept), rows(&mut again)), (listed(&digests(&mut again)), Vec::new()));
}

#[test]
fn a_walk_whose_rows_lie_far_apart_is_the_last() {
    let db = filled(0, 20_000);
    let mut swept = tables(&db);
    let mut kept = digests(&mut swept);
    let there = rows(&mut swept);
    let delete = |row: &Row| Change { table: 0, key: vec![row[0].clone()], edit: Edit::Delete(row.clone()), at: Time(1), moved_from: None };
    let far: Vec<Change> = there.iter().step_by(50).map(delete).collect();
    let left = sweep(&mut swept, &far, &mut kept);
    assert_eq!(left.len(), far.len() - WALKED);
    let near: Vec<Change> = there.iter().skip(1).take(40).map(delete).collect();
    assert_eq!(sweep(&mut swept, &near, &mut kept), near);
    assert_eq!(listed(&kept), listed(&digests(&mut swept)));
}

#[test]
fn a_statement_that_a_constraint_stops_has_written_nothing() {
    let db = filled(7, 100);
    let mut swept = tables(&db);
    let (mut kept, there) = (digests(&mut swept), rows(&mut swept));
    let update = |(n, row): (usize, &Row)| {
        // One of them takes a text that another row has.
        let after = Value::text(if n == 70 { "text 3".into() } else { format!("other {n}") });
        let cell = Edited { column: 2, before: row[2].clone(), after, at: Time(1) };
        Change { table: 0, key: vec![row[0].clone()], edit: Edit::Update(vec![cell]), at: Time(1), moved_from: None }
    };
    let all: Vec<Change> = there.iter().enumerate().skip(10).map(update).collect();
    let before = listed(&kept);
    assert_eq!(sweep(&mut swept, &all, &mut kept), all);
    assert_eq!((listed(&kept), rows(&mut swept)), (before, there));
}

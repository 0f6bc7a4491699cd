//! Rows as they are in the base version, kept for as long as they deviate from it here.
//!
//! Invariant: for every row that deviates from the base version, `mainstem_base` has that row's image in the base
//! version (NULL: there was none) and the digest of the row that capture left there, or capture's log has it.
//! Invariant: an image says which columns it has, by a row of `mainstem_shape`; a shape is never changed.
use super::compare::former_name;
use super::{receive, storage, working};
use crate::capture;
use crate::errors::Explain;
use mainstem::body::Digests;
use mainstem::core::change::{Change, Edit};
use mainstem::core::event::Digest;
use mainstem::core::format::row as row_format;
use mainstem::core::planted::{self, Bug};
use mainstem::core::schema::{Column, Schema, SchemaChange, Table};
use mainstem::core::value::{Key, Row, Value};
use mainstem::error::{Error, Result};
use mainstem::lane::Lane;
use mainstem::primary::Pages;
use mainstem::tables::Tables;
use rusqlite::{Connection, OptionalExtension, params};
use std::rc::Rc;

/// The tables, made with the replica's others.
pub const TABLES: &str = "
CREATE TABLE mainstem_shape(id INTEGER PRIMARY KEY, columns BLOB NOT NULL UNIQUE);
CREATE TABLE mainstem_base(tbl TEXT COLLATE NOCASE, key BLOB, shape INTEGER, image BLOB, now BLOB, PRIMARY KEY(tbl, key)) WITHOUT ROWID;
";

/// A row of the base version with the names its columns had.
pub struct Image {
    names: Rc<[String]>,
    row: Row,
}

impl Image {
    /// The row in the columns that the table has now. Columns that came since take `fill`'s value.
    pub fn row(self, table: &Table, fill: Option<&Row>) -> Row {
        if is_of(&self.names, table) {
            return self.row;
        }
        let mut row: Row = match fill {
            Some(row) => row.clone(),
            None => table.columns.iter().map(|c| mainstem::lane::constant_default(c.default.as_deref())).collect(),
        };
        for (name, value) in self.names.iter().zip(self.row) {
            if let Some(at) = table.column(name) {
                row[at] = value;
            }
        }
        row
    }
}

fn is_of(names: &[String], table: &Table) -> bool {
    names.len() == table.columns.len() && names.iter().zip(&table.columns).all(|(name, column)| *name == column.name)
}

/// Keeps images, and remembers the number of the shape it wrote last.
pub struct Keeper<'c> {
    db: &'c Connection,
    last: Option<(i64, Vec<String>)>,
    digests: Digests,
}

impl<'c> Keeper<'c> {
    /// A keeper inside a write transaction of the caller's.
    pub fn new(db: &'c Connection) -> Self {
        Keeper { db, last: None, digests: Digests::default() }
    }

    /// Keeps a row's image in the base version, unless it is kept already, and the digest of the row that is there now.
    pub fn keep(&mut self, table: &Table, key: &Key, base: Option<&Row>, now: Option<&Row>) -> Result<()> {
        let sql = match planted::is(Bug::X5) {
            true => "INSERT OR REPLACE INTO mainstem_base(tbl, key, shape, image, now) VALUES(?1, ?2, ?3, ?4, ?5)",
            false => {
                "INSERT INTO mainstem_base(tbl, key, shape, image, now) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET now = excluded.now"
            }
        };
        self.write(sql, table, key, base, now)
    }

    /// Tables have other columns from now on.
    pub fn look_again(&mut self) {
        (self.last, self.digests) = (None, Digests::default());
    }

    /// Corrects a kept row's base image, and what it was at the last commit: what it became since is in capture's log.
    pub fn correct(&mut self, table: &Table, key: &Key, base: Option<&Row>, now: Option<&Row>) -> Result<()> {
        let sql = "UPDATE mainstem_base SET shape = ?3, image = ?4, now = ?5 WHERE tbl = ?1 AND key = ?2";
        self.write(sql, table, key, base, now)
    }

    /// Says what a row was in an earlier version, which is the base version from now on.
    pub fn put_back(&mut self, table: &Table, key: &Key, base: Option<&Row>, now: Option<&Row>) -> Result<()> {
        let sql = "INSERT INTO mainstem_base(tbl, key, shape, image, now) VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET shape = excluded.shape, image = excluded.image";
        self.write(sql, table, key, base, now)
    }

    fn write(&mut self, sql: &str, table: &Table, key: &Key, base: Option<&Row>, now: Option<&Row>) -> Result<()> {
        let shape = base.map(|_| self.shape(table)).transpose()?;
        let image = base.map(|row| row_format::encode_row(row));
        let now = now.map(|row| self.digests.digest(table, row));
        self.db.prepare_cached(sql).on(self.db)?.execute(params![table.name, row_format::encode_key(key), shape, image, now]).on(self.db)?;
        Ok(())
    }

    fn shape(&mut self, table: &Table) -> Result<i64> {
        if let Some((id, names)) = &self.last
            && is_of(names, table)
        {
            return Ok(*id);
        }
        let names = table.column_names();
        let id = shape_of(self.db, &names)?;
        self.last = Some((id, names));
        Ok(id)
    }
}

/// True where a row's image is kept.
pub fn is_kept(db: &Connection, table: &Table, key: &Key) -> Result<bool> {
    let mut statement = db.prepare_cached("SELECT 1 FROM mainstem_base WHERE tbl = ?1 AND key = ?2").on(db)?;
    statement.exists(params![table.name, row_format::encode_key(key)]).on(db)
}

/// A row's image in the base version: outer None where it does not deviate by what is kept here.
pub fn find(db: &Connection, table: &Table, key: &Key) -> Result<Option<Option<Image>>> {
    let kept: Option<(Option<i64>, Option<Vec<u8>>)> = db
        .prepare_cached("SELECT shape, image FROM mainstem_base WHERE tbl = ?1 AND key = ?2")
        .on(db)?
        .query_row(params![table.name, row_format::encode_key(key)], |r| Ok((r.get(0)?, r.get(1)?)))
        .optional()
        .on(db)?;
    match kept {
        None => Ok(None),
        Some((shape, image)) => image_of(shape, image.as_deref(), &Shapes::read(db)?).map(Some),
    }
}

/// The row of that key as the last commit left it, where its image is kept and it is not the row that was `seen` to be there:
/// outer None where it is, or where neither the image nor the unsent changesets tell it any more, since a pull has merged it.
pub fn committed(db: &Connection, table: &Table, key: &Key, seen: Option<&Row>) -> Result<Option<Option<Row>>> {
    let kept = now(db, table, key)?;
    let Some(Some(now)) = kept else { return Ok(kept.map(|_| None)) };
    let mut digests = Digests::default();
    if seen.is_some_and(|row| digests.digest(table, row) == now) {
        return Ok(None);
    }
    let row = left_there(db, table, key, &storage::steps(db)?)?;
    Ok(row.filter(|row| digests.digest(table, row) == now).map(Some))
}

/// False where the row that was `seen` is another than the one that the last commit left.
pub fn is_as_left(db: &Connection, table: &Table, key: &Key, seen: Option<&Row>) -> Result<bool> {
    let digest = seen.map(|row| Digests::default().digest(table, row));
    Ok(now(db, table, key)?.is_none_or(|left| left == digest))
}

/// A kept row as the last commit left it by what is kept, in the columns of now, which `working` steps made of those of then.
fn left_there(db: &Connection, table: &Table, key: &Key, working: &[SchemaChange]) -> Result<Option<Row>> {
    let base = find(db, table, key)?.flatten().map(|image| image.row(table, None));
    with_unsent(db, table, key, base, working)
}

/// A row with the unsent changesets laid on, each as it was made. `working`: the steps after them that made the table what it is.
pub fn with_unsent(db: &Connection, table: &Table, key: &Key, mut row: Option<Row>, working: &[SchemaChange]) -> Result<Option<Row>> {
    let schema = Schema { tables: vec![table.clone()], objects: Vec::new() };
    let fronts = storage::changesets(db)?;
    for (at, front) in fronts.iter().enumerate() {
        let mut steps: Vec<SchemaChange> = Vec::new();
        for later in &fronts[at + 1..] {
            steps.extend(storage::standing(db, later)?.into_iter().flatten());
        }
        steps.extend_from_slice(working);
        let name = former_name(&table.name, &steps);
        let lanes: Vec<Lane> = front.shapes.iter().map(|shape| Lane::between(&schema, Some(0), shape, &steps)).collect();
        let mut pages = storage::StoredPages { db, front: front.clone(), next: 0 };
        while let Some(page) = pages.next()? {
            for change in page {
                let (shape, lane) = (&front.shapes[change.table], &lanes[change.table]);
                if shape.table.eq_ignore_ascii_case(&name) && lane.local_key(&change.key) == *key {
                    row = laid(lane, change, row);
                }
            }
        }
    }
    Ok(row)
}

fn laid(lane: &Lane, change: Change, row: Option<Row>) -> Option<Row> {
    match (lane.localise(change, row.as_ref()).0.edit, row) {
        (Edit::Insert(made), _) => Some(made),
        (Edit::Update(cells), Some(mut row)) => {
            cells.into_iter().for_each(|cell| row[cell.column] = cell.after);
            Some(row)
        }
        _ => None,
    }
}

/// The same for a row that a pull has merged: unsent work is laid once more. Nothing may be read meanwhile.
pub fn committed_again(db: &Connection, table: &Table, key: &Key) -> Result<Option<Option<Row>>> {
    let row = receive::laid_again(db, table, key)?;
    let digest = row.as_ref().map(|row| Digests::default().digest(table, row));
    Ok(now(db, table, key)?.filter(|now| *now == digest).map(|_| row))
}

/// The digest of a kept row as the last commit left it.
fn now(db: &Connection, table: &Table, key: &Key) -> Result<Option<Option<Digest>>> {
    let sql = "SELECT now FROM mainstem_base WHERE tbl = ?1 AND key = ?2";
    let mut statement = db.prepare_cached(sql).on(db)?;
    statement.query_row(params![table.name, row_format::encode_key(key)], |r| r.get(0)).optional().on(db)
}

/// A row that deviates from the base version by what is kept.
pub struct Kept {
    /// The row.
    pub key: Key,
    /// Its image in the base version; none where it was not there.
    pub image: Option<Image>,
    /// The digest of the row that capture left there; none where it left none.
    pub now: Option<Digest>,
}

/// Takes a table's name and a kept row of it.
pub type Visit<'a> = &'a mut dyn FnMut(&str, Kept) -> Result<()>;

/// Visits every kept base image.
pub fn each(db: &Connection, visit: Visit<'_>) -> Result<()> {
    let shapes = Shapes::read(db)?;
    let mut statement = db.prepare_cached("SELECT tbl, key, shape, image, now FROM mainstem_base ORDER BY tbl, key").on(db)?;
    let mut rows = statement.query([]).on(db)?;
    while let Some(row) = rows.next().on(db)? {
        let table = row.get_ref(0).on(db)?.as_str().map_err(|_| damaged())?;
        let key = row_format::decode_key(row.get_ref(1).on(db)?.as_blob().map_err(|_| damaged())?)?;
        let image = row.get_ref(3).on(db)?.as_blob_or_null().map_err(|_| damaged())?;
        let image = image_of(row.get(2).on(db)?, image, &shapes)?;
        visit(table, Kept { key, image, now: row.get(4).on(db)? })?;
    }
    Ok(())
}

/// Follows a schema step: images go by the names that tables and columns have now. Those of a dropped table have no place
/// to be put back to.
pub fn follow(db: &Connection, step: &SchemaChange) -> Result<()> {
    match step {
        SchemaChange::RenameTable { from, to } => {
            db.execute("DELETE FROM mainstem_base WHERE tbl = ?2 AND ?1 <> ?2 COLLATE NOCASE", [from, to]).on(db)?;
            db.execute("UPDATE mainstem_base SET tbl = ?2 WHERE tbl = ?1", [from, to]).on(db).map(drop)
        }
        SchemaChange::RenameColumn { table, from, to } => rename_column(db, table, from, to),
        SchemaChange::DropTable { name } => db.execute("DELETE FROM mainstem_base WHERE tbl = ?1", [name]).on(db).map(drop),
        _ => Ok(()),
    }
}

fn rename_column(db: &Connection, table: &str, from: &str, to: &str) -> Result<()> {
    for (id, names) in Shapes::read(db)?.0 {
        let Some(at) = names.iter().position(|name| name.eq_ignore_ascii_case(from)) else { continue };
        // One of that name was dropped before, or this could not have it.
        let mut names: Vec<String> = names.iter().map(|name| if name.eq_ignore_ascii_case(to) { "" } else { name }.to_owned()).collect();
        to.clone_into(&mut names[at]);
        let renamed = shape_of(db, &names)?;
        db.prepare_cached("UPDATE mainstem_base SET shape = ?3 WHERE tbl = ?1 AND shape = ?2")
            .on(db)?
            .execute(params![table, id, renamed])
            .on(db)?;
    }
    Ok(())
}

/// The number of a shape, which is kept where it is new.
fn shape_of(db: &Connection, names: &[String]) -> Result<i64> {
    let columns = row_format::encode_row(&names.iter().map(Value::text).collect::<Vec<_>>());
    let sql = "INSERT INTO mainstem_shape(columns) VALUES(?1) ON CONFLICT DO NOTHING";
    db.prepare_cached(sql).on(db)?.execute([&columns]).on(db)?;
    let sql = "SELECT id FROM mainstem_shape WHERE columns = ?1";
    db.prepare_cached(sql).on(db)?.query_row([&columns], |r| r.get(0)).on(db)
}

/// Says what kept rows were at the last commit under the names that tables and columns have now, where steps since then
/// gave them others: a row that nobody wrote is still the one that was left there.
pub fn carry(db: &Connection, schema: &Schema, steps: &[SchemaChange]) -> Result<()> {
    for table in &schema.tables {
        let Some(former) = Former::of(table, steps) else { continue };
        let (mut before, mut after) = (Digests::default(), Digests::default());
        let mut carry_one = |key: &Key, row: &Row| -> Result<()> {
            let Some(Some(left)) = now(db, table, key)? else { return Ok(()) };
            match former.row(db, table, key, row)? {
                Some(was) if before.digest(&former.table, &was) == left => put_now(db, table, key, &after.digest(table, row)),
                _ => Ok(()),
            }
        };
        capture::condense(db, None, &mut |of, net| match &net.before {
            Some(_) if of.name != table.name => Ok(()),
            Some(row) if net.unknown_before.is_empty() => carry_one(&net.key, row),
            // The log does not tell what was in a column before it was renamed; what is not sent yet may.
            Some(_) => left_there(db, table, &net.key, steps)?.map_or(Ok(()), |row| carry_one(&net.key, &row)),
            None => Ok(()),
        })?;
        each_there(db, table, &mut carry_one)?;
    }
    Ok(())
}

/// Says that kept rows of these tables are as they are to be: what a step of our own made of them while it was laid is known.
pub fn settle(db: &Connection, schema: &Schema, tables: &[String]) -> Result<()> {
    let mut digests = Digests::default();
    for table in tables.iter().filter_map(|name| schema.table(name)) {
        each_there(db, table, &mut |key, row| put_now(db, table, key, &digests.digest(table, row)))?;
    }
    Ok(())
}

/// Visits the kept rows of a table that are there.
fn each_there(db: &Connection, table: &Table, visit: &mut dyn FnMut(&Key, &Row) -> Result<()>) -> Result<()> {
    let mut rows = working::rows_now(db, &Schema { tables: vec![table.clone()], objects: Vec::new() });
    each(db, &mut |name, kept| match name.eq_ignore_ascii_case(&table.name) {
        true => rows.get(0, &kept.key)?.map_or(Ok(()), |row| visit(&kept.key, &row)),
        false => Ok(()),
    })
}

fn put_now(db: &Connection, table: &Table, key: &Key, now: &Digest) -> Result<()> {
    let sql = "UPDATE mainstem_base SET now = ?3 WHERE tbl = ?1 AND key = ?2";
    db.prepare_cached(sql).on(db)?.execute(params![table.name, row_format::encode_key(key), now]).on(db).map(drop)
}

/// A table before steps gave it other columns, or another name.
struct Former {
    table: Table,
    /// Where its columns are in the table of now; none for those that were dropped.
    places: Vec<Option<usize>>,
}

impl Former {
    /// None where nothing of the kind was done to the table, or where the steps do not tell what it was.
    fn of(table: &Table, steps: &[SchemaChange]) -> Option<Former> {
        let mut name = table.name.clone();
        let mut columns: Vec<(Column, Option<usize>)> = table.columns.iter().cloned().zip((0..).map(Some)).collect();
        let mut is_another = false;
        for step in steps.iter().rev() {
            let is_it = |of: &str| of.eq_ignore_ascii_case(&name);
            match step {
                SchemaChange::RenameTable { from, to } if is_it(to) => name.clone_from(from),
                SchemaChange::AddColumn { table, column, .. } if is_it(table) => {
                    columns.retain(|(known, _)| !known.name.eq_ignore_ascii_case(&column.name));
                }
                SchemaChange::RenameColumn { table, from, to } if is_it(table) => {
                    columns.iter_mut().find(|(known, _)| known.name.eq_ignore_ascii_case(to))?.0.name.clone_from(from);
                }
                SchemaChange::DropColumn { table, column } if is_it(table) => {
                    columns.push((Column { name: column.clone(), ..Column::default() }, None));
                }
                SchemaChange::CreateTable { table } | SchemaChange::Rebuild { table, .. } if is_it(&table.name) => return None,
                _ => continue,
            }
            is_another = true;
        }
        let (columns, places): (Vec<Column>, Vec<Option<usize>>) = columns.into_iter().unzip();
        let key = table.key.iter().map(|&at| places.iter().position(|place| *place == Some(at))).collect::<Option<_>>()?;
        is_another.then(|| Former { table: Table { name, columns, key, ..table.clone() }, places })
    }

    /// A row of now as it was then, with what is remembered of dropped cells; none where nothing is.
    fn row(&self, db: &Connection, table: &Table, key: &Key, row: &Row) -> Result<Option<Row>> {
        let remembered = match self.places.contains(&None) {
            true => {
                let base = find(db, table, key)?.flatten().map(|image| image.row(&self.table, None));
                with_unsent(db, &self.table, key, base, &[])?
            }
            false => Some(row.clone()),
        };
        let Some(remembered) = remembered else { return Ok(None) };
        let cell = |(at, place): (usize, &Option<usize>)| place.map_or_else(|| remembered[at].clone(), |now| row[now].clone());
        Ok(Some(self.places.iter().enumerate().map(cell).collect()))
    }
}

/// Forgets every image.
pub fn clear(db: &Connection) -> Result<()> {
    db.execute("DELETE FROM mainstem_base", []).on(db).map(drop)
}

struct Shapes(Vec<(i64, Rc<[String]>)>);

impl Shapes {
    fn read(db: &Connection) -> Result<Self> {
        let mut statement = db.prepare_cached("SELECT id, columns FROM mainstem_shape ORDER BY id").on(db)?;
        let mut rows = statement.query([]).on(db)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().on(db)? {
            let columns = row_format::decode_row(row.get_ref(1).on(db)?.as_blob().map_err(|_| damaged())?)?;
            let names: Option<Vec<String>> = columns.iter().map(|c| c.as_text().map(|t| t.into_owned())).collect();
            all.push((row.get(0).on(db)?, names.ok_or_else(damaged)?.into()));
        }
        Ok(Shapes(all))
    }
}

fn image_of(shape: Option<i64>, image: Option<&[u8]>, shapes: &Shapes) -> Result<Option<Image>> {
    let Some(image) = image else { return Ok(None) };
    let row = row_format::decode_row(image)?;
    let names = shapes.0.iter().find(|(id, names)| Some(*id) == shape && names.len() == row.len());
    let names = names.ok_or_else(damaged)?.1.clone();
    Ok(Some(Image { names, row }))
}

fn damaged() -> Error {
    Error::corrupt("a row kept in the replica's own tables is damaged")
        .hint("mainstem clone ADDRESS NEW.db, and move unsent work there by a bundle")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, Option<&str>)]) -> Table {
        let column = |(name, default): &(&str, Option<&str>)| Column {
            name: (*name).into(),
            default: default.map(str::to_owned),
            ..Column::default()
        };
        Table { name: "t".into(), columns: columns.iter().map(column).collect(), key: vec![0], ..Table::default() }
    }

    #[test]
    fn images_come_back_in_the_columns_of_now() {
        let db = Connection::open_in_memory().expect("memory");
        db.execute_batch(TABLES).expect("new tables");
        let row = |values: &[i64]| values.iter().map(|&i| Value::Integer(i)).collect::<Row>();
        let (early, late) = (table(&[("k", None), ("a", None)]), table(&[("k", None), ("b", Some("7")), ("a", None)]));
        let mut keeper = Keeper::new(&db);
        for (key, table, image) in
            [(1, &early, Some(row(&[1, 10]))), (2, &late, Some(row(&[2, 5, 20]))), (3, &early, None), (4, &early, Some(row(&[4, 40])))]
        {
            keeper.keep(table, &row(&[key]), image.as_ref(), None).expect("it is new");
            keeper.keep(table, &row(&[key]), Some(&row(&[0, 0])), None).expect("the first image stays");
        }
        let mut found = Vec::new();
        each(&db, &mut |name, kept| {
            found.push((name.to_owned(), kept.key, kept.image.map(|i| i.row(&late, None))));
            Ok(())
        })
        .expect("they are whole");
        let expected = [Some(row(&[1, 7, 10])), Some(row(&[2, 5, 20])), None, Some(row(&[4, 7, 40]))];
        assert_eq!(found, (1..=4).zip(expected).map(|(k, image)| ("t".to_owned(), row(&[k]), image)).collect::<Vec<_>>());
        let filled = find(&db, &early, &row(&[1])).expect("it is whole").flatten().map(|i| i.row(&late, Some(&row(&[1, 9, 0]))));
        assert_eq!(filled, Some(row(&[1, 9, 10])));
        assert!(is_kept(&db, &early, &row(&[3])).expect("a plain table") && !is_kept(&db, &early, &row(&[5])).expect("a plain table"));
    }
}

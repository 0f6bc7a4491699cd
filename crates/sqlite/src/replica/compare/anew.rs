//! What unsent changesets say of a row that began otherwise than capture saw is taken out of them: it is said anew, as one
//! edit of the row that the base version has.
//!
//! Invariant: what was said of that key before, and was refused here, stays: it is of another row.
use crate::replica::{bases, storage};
use mainstem::core::change::{Change, Edit};
use mainstem::core::format::page;
use mainstem::core::schema::{Schema, Table};
use mainstem::core::value::{Key, Row};
use mainstem::error::Result;
use mainstem::lane::Lane;
use mainstem::primary::Pages;
use rusqlite::Connection;

/// Takes it out where capture took a row of the base version for new, or a new one for a row of the base version.
pub fn unsay_misborn(db: &Connection, table: &Table, key: &Key, base: Option<&Row>) -> Result<()> {
    match bases::find(db, table, key)? {
        Some(image) if image.is_some() != base.is_some() => unsay(db, table, key, image.map(|image| image.row(table, None)).as_ref()),
        _ => Ok(()),
    }
}

/// Takes out what is said of a row from where it is taken for `misborn`.
fn unsay(db: &Connection, table: &Table, key: &Key, misborn: Option<&Row>) -> Result<()> {
    let schema = Schema { tables: vec![table.clone()], objects: Vec::new() };
    let mut has_begun = false;
    // What was accepted once and is offered again is what everybody saw.
    for mut front in storage::changesets(db)?.into_iter().filter(|front| front.again.is_none()) {
        let lanes: Vec<Lane> = front.shapes.iter().map(|shape| Lane::between(&schema, Some(0), shape, &[])).collect();
        let names: Vec<String> = front.shapes.iter().map(|shape| shape.table.clone()).collect();
        let is_it =
            |change: &Change| names[change.table].eq_ignore_ascii_case(&table.name) && lanes[change.table].local_key(&change.key) == *key;
        let mut pages = storage::StoredPages { db, front: front.clone(), next: 0 };
        let before = front.count;
        while let Some(mut changes) = pages.next()? {
            let all = changes.len();
            changes.retain(|change| {
                let is_it = is_it(change);
                has_begun |= is_it && begins_with(lanes[change.table].localise(change.clone(), misborn).0.edit, misborn);
                !(is_it && has_begun)
            });
            if changes.len() < all {
                front.count -= (all - changes.len()) as u64;
                storage::put_page(db, front.header.write_id, pages.next - 1, &page::encode(&front.shapes, &changes))?;
            }
        }
        if front.count < before {
            storage::set_front(db, &front)?;
        }
    }
    Ok(())
}

/// True for an edit of exactly that row, or of none.
fn begins_with(edit: Edit, row: Option<&Row>) -> bool {
    match (edit, row) {
        (Edit::Insert(_), None) => true,
        (Edit::Update(cells), Some(row)) => cells.iter().all(|cell| row[cell.column] == cell.before),
        (Edit::Delete(image), Some(row)) => image == *row,
        _ => false,
    }
}

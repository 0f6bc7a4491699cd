//! What unsent changesets say of a row that began otherwise than capture saw is taken out of them: it is said anew, as one
//! edit of the row that the base version has.
use crate::replica::{bases, storage};
use mainstem::core::change::Change;
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
        Some(image) if image.is_some() != base.is_some() => unsay(db, table, key),
        _ => Ok(()),
    }
}

fn unsay(db: &Connection, table: &Table, key: &Key) -> Result<()> {
    let schema = Schema { tables: vec![table.clone()], objects: Vec::new() };
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
            changes.retain(|change| !is_it(change));
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

//! Which of the changes that wait do not stay in their author's own rows meanwhile.
//!
//! A row that its author pointed nowhere stays where its author put it. A row whose parent was refused (another row had
//! its unique value) does not: it would dangle there through no doing of its author's. It is listed as pending all the
//! same, and arrives with its parent; until then its author's copy shows what everybody's does.
use mainstem_core::change::Edit;
use mainstem_core::conflict::{Claim, Conflict, Image};
use mainstem_core::event::Waiting;
use mainstem_core::schema::Schema;
use mainstem_core::value::{Key, Value};

/// The waiting changes, by table and key, that need a row that was refused, or one that waits for such a row.
/// `columns` gives the names of the columns of a waiting change's rows.
pub fn without_parent(
    schema: &Schema,
    conflicts: &[Conflict],
    waiting: &[Waiting],
    columns: &dyn Fn(&Waiting) -> Vec<String>,
) -> Vec<(String, Key)> {
    let mut refused: Vec<(String, Image)> = conflicts
        .iter()
        .filter_map(|conflict| match &conflict.ours.claim {
            Claim::Row(Some(image)) => Some((conflict.table.clone(), image.clone())),
            _ => None,
        })
        .collect();
    let mut found: Vec<(String, Key)> = Vec::new();
    loop {
        let before = found.len();
        for change in waiting {
            let name = (change.table.clone(), change.key.clone());
            if found.contains(&name) || !refused.iter().any(|(table, image)| is_parent(schema, change, table, image)) {
                continue;
            }
            if let Edit::Insert(row) = &change.change.edit {
                refused.push((change.table.clone(), columns(change).into_iter().zip(row.iter().cloned()).collect()));
            }
            found.push(name);
        }
        if found.len() == before {
            return found;
        }
    }
}

fn is_parent(schema: &Schema, waiting: &Waiting, table: &str, image: &Image) -> bool {
    let links = schema.table(&waiting.table).map_or(&[][..], |child| &child.foreign_keys);
    let value = |name: &str| image.iter().find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    waiting.parent.eq_ignore_ascii_case(table)
        && links.iter().filter(|link| link.parent.eq_ignore_ascii_case(table)).any(|link| {
            let wanted: Vec<Option<&Value>> = waiting.parent_key.iter().map(Some).collect();
            let held: Vec<Option<&Value>> = link.parent_columns.iter().map(|name| value(name)).collect();
            held == wanted
        })
}

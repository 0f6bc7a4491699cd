//! Which cells of an earlier version nobody knows any more: a program took their column straight from the primary's tables.
use mainstem::core::schema::SchemaChange;
use mainstem::core::stamp::ReplicaId;
use mainstem::error::Result;
use mainstem::primary::Primary;

/// Which of these columns, that a table had at a version, the primary has lost since with all that was in them. What a
/// changeset dropped is told with it.
pub fn taken(primary: &mut dyn Primary, version: u64, table: &str, names: &[String]) -> Result<Vec<usize>> {
    let described = primary.describe()?;
    let mut table = table.to_owned();
    let mut columns: Vec<Option<String>> = names.iter().cloned().map(Some).collect();
    let mut taken = Vec::new();
    for number in version + 1..=described.head.version {
        let Some(later) = primary.version(number)? else { continue };
        let is_direct = later.header.replica == ReplicaId(described.lineage);
        for step in &later.schema {
            let gone = go_on(&mut table, &mut columns, step);
            taken.extend(gone.into_iter().filter(|_| is_direct));
        }
    }
    Ok(taken)
}

/// Follows names through a step. Returns the columns that it takes.
fn go_on(table: &mut String, columns: &mut [Option<String>], step: &SchemaChange) -> Vec<usize> {
    let is_it = |of: &str| of.eq_ignore_ascii_case(table);
    let is = |known: &Option<String>, name: &str| known.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(name));
    let is_left = |name: &Option<String>| match step {
        SchemaChange::DropColumn { column, .. } => !is(name, column),
        SchemaChange::Rebuild { table, .. } => name.as_ref().is_some_and(|name| table.column(name).is_some()),
        _ => true,
    };
    match step {
        SchemaChange::RenameTable { from, to } if is_it(from) => table.clone_from(to),
        SchemaChange::RenameColumn { table: of, from, to } if is_it(of) => {
            columns.iter_mut().filter(|name| is(name, from)).for_each(|name| *name = Some(to.clone()));
        }
        SchemaChange::DropColumn { table: of, .. }
        | SchemaChange::Rebuild { table: mainstem::core::schema::Table { name: of, .. }, .. }
            if is_it(of) =>
        {
            let gone: Vec<usize> = (0..columns.len()).filter(|&at| columns[at].is_some() && !is_left(&columns[at])).collect();
            gone.iter().for_each(|&at| columns[at] = None);
            return gone;
        }
        _ => {}
    }
    Vec::new()
}

//! Which cells of an earlier version nobody knows any more: a program took their column straight from the primary's tables.
use mainstem::core::stamp::ReplicaId;
use mainstem::error::Result;
use mainstem::primary::Primary;

/// Which of these columns, that a table had at a version, the primary has lost since with all that was in them. What a
/// changeset dropped is told with it. However many versions there are since, only those that took a column are asked for.
pub fn taken(primary: &mut dyn Primary, version: u64, table: &str, names: &[String]) -> Result<Vec<usize>> {
    let chronicle = primary.chronicle()?;
    let Some(then) = chronicle.at(version).table(table) else { return Ok(Vec::new()) };
    let lost_in = |name: &String| then.column(name).and_then(|column| chronicle.lost_in(then.id, column.id));
    let lost: Vec<(usize, u64)> = names.iter().enumerate().filter_map(|(at, name)| Some((at, lost_in(name)?))).collect();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let primarys_own = ReplicaId(primary.describe()?.lineage);
    let mut taken = Vec::new();
    for (at, number) in lost {
        if primary.version(number)?.is_some_and(|later| later.header.replica == primarys_own) {
            taken.push(at);
        }
    }
    Ok(taken)
}

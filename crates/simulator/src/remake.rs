//! What programs do to their tables as a whole: rebuild them in the twelve steps of SQLite's manual, drop them, widen them.
use crate::dice::Dice;
use crate::tables::Spec;
use crate::tape::Statement;

/// A session's statements that remake one table.
pub fn remake(dice: &Dice, spec: &Spec, keeps_links: bool) -> Vec<Statement> {
    let name = spec.name;
    let lines = match dice.below(8) {
        0 => vec![format!("DROP TABLE {name}")],
        1 | 2 => vec![format!("ALTER TABLE {name} ADD COLUMN late DEFAULT 'late'"), format!("UPDATE {name} SET late = 5")],
        _ => rebuilt(spec, keeps_links),
    };
    lines.into_iter().map(Statement::plain).collect()
}

/// A table's triggers, views and indexes made again: they are younger than all others then, ours included, and fire first.
pub fn made_again(spec: &Spec) -> Vec<Statement> {
    let lines = spec.extras.iter().flat_map(|sql| {
        let mut words = sql.split_whitespace().skip(1).filter(|word| *word != "UNIQUE");
        let (kind, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        [format!("DROP {kind} IF EXISTS {name}"), (*sql).to_owned()]
    });
    lines.map(Statement::plain).collect()
}

/// The twelve steps, as Django and Alembic do them: made anew under another name, filled, and put in its place.
fn rebuilt(spec: &Spec, keeps_links: bool) -> Vec<String> {
    let name = spec.name;
    let made = spec.sql.replacen(&format!("CREATE TABLE {name}("), &format!("CREATE TABLE {name}_anew("), 1);
    let columns: Vec<&str> = spec.columns.iter().map(|(column, _)| *column).collect();
    let columns = columns.join(", ");
    vec![
        "PRAGMA foreign_keys = OFF".into(),
        "BEGIN".into(),
        made,
        format!("INSERT INTO {name}_anew({columns}) SELECT {columns} FROM {name}"),
        format!("DROP TABLE {name}"),
        format!("ALTER TABLE {name}_anew RENAME TO {name}"),
        "COMMIT".into(),
        format!("PRAGMA foreign_keys = {}", if keeps_links { "ON" } else { "OFF" }),
    ]
}

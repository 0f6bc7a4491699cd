//! What programs do to the shape of their tables: columns come, go and change their names, tables are rebuilt in the twelve
//! steps of SQLite's manual, and dropped.
use crate::dice::Dice;
use crate::tables::{Kind, Spec};
use crate::tape::Statement;

/// A session's statements that reshape one table.
pub fn reshape(dice: &Dice, spec: &Spec, keeps_links: bool) -> Vec<Statement> {
    let name = spec.name;
    let is_free = |(column, kind): &&(&str, Kind)| !spec.key.contains(column) && !matches!(kind, Kind::Link | Kind::Unique | Kind::Derived);
    let last = spec.columns.iter().rfind(is_free).map_or("none", |(column, _)| column);
    let lines = match dice.below(9) {
        0 | 1 => vec![format!("ALTER TABLE {name} DROP COLUMN {last}")],
        2 => vec![format!("ALTER TABLE {name} RENAME COLUMN {last} TO {last}{}", dice.below(3))],
        3 => vec![format!("DROP TABLE {name}")],
        4 => vec![format!("ALTER TABLE {name} ADD COLUMN late{} DEFAULT 'late'", dice.below(2)), format!("UPDATE {name} SET late0 = 5")],
        _ => rebuilt(spec, keeps_links),
    };
    lines.into_iter().map(Statement::plain).collect()
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

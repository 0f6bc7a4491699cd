//! CAP-8, A5, A8: the migrations of Django and Alembic on a tracked file, each followed by writes.
use crate::tracked::{Program, Tracked, rows};
use mainstem_sqlite::{capture, schema};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The Python with Django and Alembic, made once; none where the package index cannot be reached.
fn python(module: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(module);
    let python = folder.join("bin/python");
    let is_there = |python: &Path| Command::new(python).args(["-c", &format!("import {module}")]).status().is_ok_and(|s| s.success());
    if !is_there(&python) {
        Command::new("python3").args(["-m", "venv"]).arg(&folder).status().ok()?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "0", "--timeout", "10", module];
        Command::new(&python).args(install).status().ok()?;
    }
    is_there(&python).then_some(python)
}

struct Migrated {
    tracked: Tracked,
    plain: Tracked,
    script: PathBuf,
    python: PathBuf,
}

impl Migrated {
    fn new(module: &str) -> Option<Self> {
        let Some(python) = python(module) else {
            eprintln!("skipped: {module} is not installed and the package index cannot be reached");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/capture").join(format!("{module}_steps.py"));
        let migrated = Migrated { tracked: Tracked::untracked(""), plain: Tracked::untracked(""), script, python };
        Some(migrated)
    }

    fn both(&self) -> [&Tracked; 2] {
        [&self.tracked, &self.plain]
    }

    /// Runs a step on both files: it must do the same to both.
    fn step(&self, step: usize) {
        for file in self.both() {
            let done = Command::new(&self.python).arg(&self.script).arg(&file.path).arg(step.to_string()).output().unwrap();
            assert!(done.status.success(), "step {step}: {}", String::from_utf8_lossy(&done.stderr));
        }
        let [tracked, plain] = self.both().map(|f| f.ours());
        let [ours, theirs] = [&tracked, &plain].map(|c| schema::read(c).unwrap().schema);
        assert_eq!(ours, theirs, "step {step}");
        for table in &ours.tables {
            assert_eq!(rows(&tracked, table), rows(&plain, table), "step {step}");
        }
    }

    fn write(&self, sql: &str) {
        self.both().iter().for_each(|f| f.run(Program::Python, sql));
    }
}

/// Writes to every table as it is now, in its own terms.
fn writes(conn: &Connection, round: usize) -> String {
    let mut sql = String::new();
    for table in schema::read(conn).unwrap().schema.tables {
        let names: Vec<String> = table.columns.iter().map(|c| format!("\"{}\"", c.name)).collect();
        let own = |row: usize| -> Vec<String> {
            let value = |c: &mainstem::core::schema::Column| match c.name.as_str() {
                "id" => row.to_string(),
                "author_id" => "1".to_string(),
                _ => format!("'{} {row}'", c.name),
            };
            table.columns.iter().map(value).collect()
        };
        let insert =
            |or: &str, row: usize| format!("INSERT {or} INTO \"{}\"({}) VALUES ({});", table.name, names.join(","), own(row).join(","));
        sql.push_str(&insert("OR REPLACE", 1));
        sql.push_str(&insert("", 100 + round));
        sql.push_str(&insert("OR REPLACE", 50 + round));
        let text = if table.column("title").is_some() { "title" } else { "name" };
        sql.push_str(&format!("UPDATE \"{}\" SET {text} = 'round {round}' WHERE id = 1;", table.name));
        sql.push_str(&format!("DELETE FROM \"{}\" WHERE id = {};", table.name, 99 + round));
    }
    sql
}

fn migrate(module: &str, rebuilding: &[usize]) {
    let Some(mut all) = Migrated::new(module) else { return };
    all.step(0);
    let sql = writes(&all.plain.ours(), 0);
    all.write(&sql);
    all.tracked.install();
    for step in 1..10 {
        all.step(step);
        let healed = capture::heal(&all.tracked.ours()).unwrap();
        assert_eq!(!healed.gap.is_empty(), rebuilding.contains(&step), "step {step}: {healed:?}");
        assert!(!healed.steps.is_empty(), "step {step}");
        all.tracked.commit();
        let sql = writes(&all.plain.ours(), step);
        all.write(&sql);
        assert!(all.tracked.check().len() >= 4, "step {step}");
        all.tracked.commit();
    }
}

#[test]
fn a5_a8_django() {
    migrate("django", &[2, 4, 5, 6, 7, 8]);
}

#[test]
fn a5_a8_alembic() {
    migrate("alembic", &[3, 4, 7, 9]);
}

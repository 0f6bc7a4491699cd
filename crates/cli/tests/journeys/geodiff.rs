//! Real pairs of edited databases and what another program made of them: the merged files of the geodiff project.
//!
//! Two conventions differ. Geodiff looks at the feature tables only and leaves the bookkeeping of the GeoPackage
//! (`gpkg_contents.last_change`, `gpkg_ogr_contents.feature_count`) to the program that writes it, so only the
//! feature table is compared. And where two text or composite keys meet, geodiff renames one by a hash, while here
//! they are a conflict with both rows kept, because a text key is a name that somebody chose.
use crate::desk::{Desk, shared};
use crate::team::*;
use std::path::Path;

/// Makes the tables of `db` equal to those of `wanted` with plain SQL: deletes, updates, inserts.
fn edit_towards(desk: &Desk, db: &str, wanted: &Path, tables: &[&str]) {
    let mut script = format!("ATTACH '{}' AS wanted;\nBEGIN;\n", wanted.display());
    for table in tables {
        let ask = |what: &str| desk.sql(db, &format!("SELECT quote(name) FROM pragma_table_info('{table}'){what};"));
        let quoted = |names: String| names.lines().map(|n| format!("\"{}\"", n.trim_matches('\''))).collect::<Vec<_>>();
        let key = quoted(ask(" WHERE pk > 0"));
        let rest = quoted(ask(" WHERE pk = 0"));
        let same = key.iter().map(|k| format!("w.{k} IS t.{k}")).collect::<Vec<_>>().join(" AND ");
        let cells = rest.join(", ");
        let theirs = rest.iter().map(|c| format!("w.{c}")).collect::<Vec<_>>().join(", ");
        let ours = rest.iter().map(|c| format!("t.{c}")).collect::<Vec<_>>().join(", ");
        script += &format!("DELETE FROM main.{table} AS t WHERE NOT EXISTS (SELECT 1 FROM wanted.{table} w WHERE {same});\n");
        script += &format!(
            "UPDATE main.{table} AS t SET ({cells}) = (SELECT {theirs} FROM wanted.{table} w WHERE {same})
             WHERE EXISTS (SELECT 1 FROM wanted.{table} w WHERE {same} AND ({theirs}) IS NOT ({ours}));\n"
        );
        script += &format!(
            "INSERT INTO main.{table} SELECT * FROM wanted.{table} w WHERE NOT EXISTS (SELECT 1 FROM main.{table} t WHERE {same});\n"
        );
    }
    desk.sql(db, &(script + "COMMIT;\n"));
}

/// The spatial index and its triggers call functions that only a spatial SQLite has.
fn drop_spatial_triggers(desk: &Desk, db: &str) {
    eprintln!("{db}: dropping the spatial triggers, whose functions plain SQLite lacks");
    let list = "SELECT 'DROP TRIGGER \"' || name || '\";' FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%ST_%' OR
                type = 'trigger' AND name LIKE 'rtree_%';";
    let drops = desk.sql(db, list);
    desk.sql(db, &drops);
}

/// Two clones of the base become A and B while apart, and come together in the given order.
fn merge(folder: &str, a: &str, b: &str, order: [usize; 2]) -> Option<(String, usize)> {
    let (base, a, b) = (shared("geodiff/base.gpkg")?, shared(&format!("geodiff/{folder}/{a}"))?, shared(&format!("geodiff/{folder}/{b}"))?);
    let desk = Desk::new();
    desk.copy(&base, "start.db");
    drop_spatial_triggers(&desk, "start.db");
    // `gpkg_extensions` has no key, and the spatial index is a virtual table: neither can be tracked.
    let members = found(&desk, "start.db", &["start", "ada", "bob"], &["--exclude", "gpkg_extensions"]);
    let pair = [&members[1], &members[2]];
    let tables = ["simple", "gpkg_contents"];
    edit_towards(&desk, "ada.db", &a, &tables);
    edit_towards(&desk, "bob.db", &b, &tables);
    until_quiet(&[pair[order[0]], pair[order[1]]]);
    let not_tracked = ["gpkg_extensions", "rtree_simple_geometry_node", "rtree_simple_geometry_parent", "rtree_simple_geometry_rowid"];
    assert_together_but(&pair, &not_tracked);
    let features = pair[0].sql("SELECT fid, name, rating, hex(geometry) FROM simple ORDER BY fid;");
    let open = pair[0].open_conflicts().len();
    Some((features, open))
}

fn features_of(name: &str) -> Option<String> {
    let merged = shared(name)?;
    let desk = Desk::new();
    desk.copy(&merged, "merged.db");
    Some(desk.sql("merged.db", "SELECT fid, name, rating, hex(geometry) FROM simple ORDER BY fid;"))
}

fn without_numbers(features: &str) -> Vec<String> {
    let mut rows: Vec<String> = features.lines().filter_map(|l| l.split_once('|')).map(|(_, rest)| rest.into()).collect();
    rows.sort();
    rows
}

#[test]
fn two_inserts() {
    let Some(wanted) = features_of("geodiff/2_inserts/merged_1_A_1_B.gpkg") else {
        return;
    };
    let (a_first, _) = merge("2_inserts", "inserted_1_A.gpkg", "inserted_1_B.gpkg", [0, 1]).expect("the data is there");
    let (b_first, _) = merge("2_inserts", "inserted_1_A.gpkg", "inserted_1_B.gpkg", [1, 0]).expect("the data is there");
    assert_eq!(a_first, wanted, "geodiff rebases B onto A, as when A syncs first");
    assert_eq!(without_numbers(&b_first), without_numbers(&wanted), "the numbers depend on who came first, nothing else");
}

#[test]
fn two_updates() {
    let Some(wanted) = features_of("geodiff/2_updates/merged_1_A_1_B.gpkg") else {
        return;
    };
    for order in [[0, 1], [1, 0]] {
        // A changed geometry and rating, B the geometry; the later one wins, and B was edited after A.
        let (features, open) = merge("2_updates", "updated_A.gpkg", "updated_B.gpkg", order).expect("the data is there");
        assert_eq!(features, wanted);
        assert_eq!(open, 0, "the strategy answered");
    }
}

#[test]
fn two_deletes() {
    let Some(wanted) = features_of("geodiff/2_deletes/merged_A_B.gpkg") else {
        return;
    };
    for order in [[0, 1], [1, 0]] {
        let (features, open) = merge("2_deletes", "deleted_A.gpkg", "deleted_B.gpkg", order).expect("the data is there");
        assert_eq!(features, wanted, "both deleted the same row");
        assert_eq!(open, 0, "delete against delete is no conflict");
    }
}

/// Two clones become A and B; returns the rows and the conflicts.
fn merge_keys(stem: &str, table: &str, order: [usize; 2]) -> Option<(String, Vec<String>, String)> {
    let file = |end: &str| shared(&format!("geodiff/sqlite_pks/{stem}{end}.sqlite"));
    let (base, a, b) = (file("")?, file("_A")?, file("_B")?);
    let desk = Desk::new();
    desk.copy(&base, "start.db");
    let members = found(&desk, "start.db", &["start", "ada", "bob"], &[]);
    let pair = [&members[1], &members[2]];
    edit_towards(&desk, "ada.db", &a, &[table]);
    edit_towards(&desk, "bob.db", &b, &[table]);
    until_quiet(&[pair[order[0]], pair[order[1]]]);
    assert_together(&pair);
    Some((desk.rows("ada.db"), comparable_conflicts(pair[0]), pair[0].everything()))
}

#[test]
fn text_keys() {
    let (Some(one), Some(other)) = (merge_keys("text_pk", "text_pk", [0, 1]), merge_keys("text_pk", "text_pk", [1, 0])) else {
        return;
    };
    assert_eq!(one.0, other.0);
    // Both made 'ccccc' and 'zzzzzzzz' with the same cells, which is no conflict.
    assert_eq!(one.1, Vec::<String>::new());
    let desk = Desk::new();
    desk.copy(shared("geodiff/sqlite_pks/text_pk_A.sqlite").expect("seen above"), "union.db");
    assert_same(&one.0, &desk.rows("union.db"), "the union, which is A's file");
}

#[test]
fn composite_keys() {
    let merged = |order| merge_keys("multi_primary_key", "composite_pk", order);
    let (Some(one), Some(other)) = (merged([0, 1]), merged([1, 0])) else {
        return;
    };
    assert_eq!(one.0, other.0);
    assert_eq!(one.1, other.1);
    assert_eq!(one.1.len(), 1, "one create against create: {:?}", one.1);
    for value in ["textA", "sss", "dddd", "test"] {
        assert!(one.2.contains(value), "{value} is kept");
    }
}

//! The embedded primary keeps the contract that every primary keeps.
use mainstem::core::schema::Schema;
use mainstem::core::scope::Scope;
use mainstem::core::value::Row;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem::scoped::Scoped;
use mainstem_sqlite::primary::{found_primary, open_primary};
use mainstem_testkit::{Seeded, primary_contract};

/// Runs the contract over embedded primaries, each as `shown`.
fn run(contract: fn(primary_contract::Found<'_>, primary_contract::KnownAs<'_>), shown: impl Fn(Box<dyn Primary>) -> Box<dyn Primary>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut count = 0;
    let mut found = |schema: &Schema, rows: &[Row]| -> Box<dyn Primary> {
        count += 1;
        let place = folder.path().join(count.to_string());
        let around = Seeded::new(count, primary_contract::MADE_AT_MS + 2_000_000);
        let founding = Founding { dataset: "contract", actor: "owner", lineage: 77, schema, policy: "" };
        found_primary(&place, around.clone(), &founding, &mut |take| rows.iter().try_for_each(|row| take(0, row))).expect("a new primary");
        shown(open_primary(&place, around).expect("it opens"))
    };
    contract(&mut found, None);
}

#[test]
fn the_embedded_primary_keeps_the_contract() {
    run(primary_contract::run, |primary| primary);
    run(primary_contract::run_reviews, |primary| primary);
}

/// Where a scope hides nothing, its primary is one like any other, whichever way the scope says so.
#[test]
fn a_primary_of_which_all_is_shown_keeps_the_contract() {
    for asked in ["*", "item", "item: id is not null", "item: stock >= 0"] {
        let asked: Scope = asked.parse().expect(asked);
        run(primary_contract::run, |primary| Box::new(Scoped::new(primary, asked.clone(), Scope::everything())));
    }
}

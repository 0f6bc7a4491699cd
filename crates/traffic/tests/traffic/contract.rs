//! A primary on a server keeps the contract that every primary keeps.
use mainstem::core::schema::Schema;
use mainstem::core::value::Row;
use mainstem::datasets::Place;
use mainstem::local::Founding;
use mainstem::primary::Primary;
use mainstem_testkit::primary_contract;
use mainstem_testkit::surroundings::Seeded;
use mainstem_traffic::{ADMINISTRATOR, Served};

#[test]
fn a_primary_on_a_server_keeps_the_contract() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut servers = Vec::new();
    let mut found = |schema: &Schema, rows: &[Row]| -> Box<dyn Primary> {
        let count = servers.len() as u64 + 1;
        let around = Seeded::new(count, primary_contract::MADE_AT_MS + 2_000_000);
        let served = Served::begin(&folder.path().join(count.to_string()), around);
        let mut place = served.place("contract");
        let founding = Founding { dataset: "contract", actor: "owner", lineage: 77, schema, policy: "" };
        place.found(&founding, &mut |take| rows.iter().try_for_each(|row| take(0, row))).expect("a new primary");
        servers.push(served);
        place.open().expect("it opens")
    };
    primary_contract::run(&mut found, Some(ADMINISTRATOR));
    primary_contract::run_reviews(&mut found, Some(ADMINISTRATOR));
}

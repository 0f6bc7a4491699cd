//! What people can do, held against what there is: docs/dashboard.md has a row for each action, with its page, its route for programs
//! and its command. What is missing in one of the columns is seen there; what is missing in the table fails here.
use mainstem_http::server::routes::{Side, routes};
use std::collections::BTreeSet;

const TABLE: &str = include_str!("../../../../docs/dashboard.md");

/// Not what anybody does: files, news, descriptions, what machines measure, and the replica protocol, which the commands speak.
fn is_no_action(path: &str) -> bool {
    let files = ["/assets/{asset}", "/live", "/datasets/{dataset}/live", "/sign-in", "/api", "/api/v1/openapi.json", "/metrics"];
    files.contains(&path) || path.contains("/primary/")
}

/// What stands in a column of the table, row by row.
fn column(number: usize) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let table = TABLE.split("## Three ways to everything").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("there is the table");
    table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| what ")).map(move |line| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let named = cells[number + 1].split(", ").map(|named| named.trim_matches('`')).filter(|named| !named.is_empty());
        (cells[1], named.collect())
    })
}

fn whole(named: &str, datasets: &str) -> String {
    named.replace('…', datasets)
}

#[test]
fn every_page_and_every_route_has_its_row() {
    for (side, number, datasets) in [(Side::Browsers, 1, "/datasets/{dataset}"), (Side::Programs, 2, "/api/v1/datasets/{dataset}")] {
        let all = routes().into_iter().filter(|route| route.side == side);
        let there: BTreeSet<String> = all.map(|route| format!("{} {}", route.method, route.path)).collect();
        let told: BTreeSet<String> = column(number).flat_map(|(_, named)| named).map(|named| whole(named, datasets)).collect();
        let unknown: Vec<&String> = told.difference(&there).collect();
        assert!(unknown.is_empty(), "the table tells of what is not there: {unknown:#?}");
        let is_action = |route: &&&String| !is_no_action(route.split(' ').nth(1).unwrap_or_default()) || route.starts_with("POST /sign");
        let missing: Vec<&String> = there.difference(&told).filter(|route| is_action(&route)).collect();
        assert!(missing.is_empty(), "the table lacks {missing:#?}");
    }
}

#[test]
fn what_a_page_does_programs_and_people_at_a_terminal_do_too() {
    // Colours are of a browser alone.
    let of_browsers = ["Light or dark"];
    for ((what, pages), ((_, routes), (_, commands))) in column(1).zip(column(2).zip(column(3))) {
        let is_everywhere = pages.is_empty() || !routes.is_empty() && !commands.is_empty();
        assert!(is_everywhere || of_browsers.contains(&what), "{what}: {pages:?}, {routes:?}, {commands:?}");
        assert!(!commands.is_empty() || of_browsers.contains(&what), "{what} has no command");
    }
}

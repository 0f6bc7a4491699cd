//! Measures encoding, decoding and digests per row: `cargo run --release -p mainstem-core --example format_speed`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement reads the clock and prints")]
use mainstem_core::change::{Cell, Change, Edit, Shape};
use mainstem_core::digest::{Body, RowDigester, Sum};
use mainstem_core::format::{page, row};
use mainstem_core::stamp::Time;
use mainstem_core::value::{Row, Value};
use std::hint::black_box;
use std::time::Instant;

const ROWS: u64 = 100_000;
const A_PAGE: usize = 2_000;

fn main() {
    let columns = ["id", "name", "email", "age", "weight", "note"].map(String::from).to_vec();
    let shape = Shape { table: "person".into(), columns: columns.clone(), key: vec![0], ..Shape::default() };
    let shapes = [shape];
    let rows: Vec<Row> = (0..ROWS).map(sample).collect();
    let at = |i: usize| Time::from_ms(1_760_000_000_000 + i as u64 / 50);
    let change = |i: usize, row: &Row, edit| Change { table: 0, key: vec![row[0].clone()], edit, at: at(i), moved_from: None };
    let inserts: Vec<Change> = (0..).zip(&rows).map(|(i, r)| change(i, r, Edit::Insert(r.clone()))).collect();
    let cell = |i| Cell { column: 1, before: Value::text("Anna Larsson"), after: Value::text("Anna Berg"), at: at(i) };
    let updates: Vec<Change> = (0..).zip(&rows).map(|(i, r)| change(i, r, Edit::Update(vec![cell(i)]))).collect();
    for (name, changes) in [("insert", &inserts), ("update of one cell", &updates)] {
        let encode = || changes.chunks(A_PAGE).map(|part| page::encode(&shapes, part)).collect::<Vec<_>>();
        let pages = encode();
        let bytes: usize = pages.iter().map(Vec::len).sum();
        println!("{name}: {:.1} bytes a change", bytes as f64 / ROWS as f64);
        measure("  encode", || black_box(encode()).len());
        measure("  decode", || pages.iter().map(|p| page::decode(p, &shapes).expect("it was just encoded").len()).sum());
        measure("  digest of the pages", || {
            let mut body = Body::default();
            pages.iter().for_each(|p| body.add(p));
            black_box(body.digest()).len()
        });
    }
    let digester = RowDigester::new("person", &columns);
    measure("row digest", || {
        let mut sum = Sum::default();
        rows.iter().for_each(|r| sum.add(&digester.digest(r)));
        black_box(sum).0.len()
    });
    measure("key encode", || rows.iter().map(|r| black_box(row::encode_key(&r[..1])).len()).sum());
}

fn sample(i: u64) -> Row {
    vec![
        Value::text(format!("p{i:08}")),
        Value::text("Anna Larsson"),
        Value::text("anna@example.org"),
        Value::Integer(i as i64 % 90),
        Value::Real(i as f64 / 7.0),
        Value::Null,
    ]
}

/// Prints the median of seven runs.
fn measure(what: &str, mut run: impl FnMut() -> usize) {
    let mut times: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            black_box(run());
            start.elapsed().as_secs_f64() * 1e9 / ROWS as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{what}: {:.0} ns a row", times[3]);
}

//! What a hostile member, slow sockets and the time of an answer come to: `scripts/hostile member|slow|timing`.
//!
//! Ends with exit code 1 where the goal is missed: everybody else's p99 at most doubled, an absolute t below 4.5.
use clap::Parser;
use mainstem_http::address::Address;
use mainstem_traffic::apart::{self, Apart};
use mainstem_traffic::hostility::{self, Beside};
use mainstem_traffic::load::Load;
use std::io::Write;
use std::process::ExitCode;

/// From this absolute t on, two samples are taken to differ.
const T_MAX: f64 = 4.5;
/// Members of the server beside the hostile one.
const MEMBERS: usize = 20;

/// Measures what strangers and one hostile member do to everybody else, on a server of its own
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// T13: one member who asks, clones, pushes and follows as fast as they can
    Member(Measure),
    /// T25: thousands of sockets that say nothing, or a byte now and then
    Slow {
        /// How many
        #[arg(long, default_value_t = 5000)]
        sockets: usize,
        #[command(flatten)]
        measure: Measure,
    },
    /// T2: whether the time of a refusal tells a token that was revoked from one that never was
    Timing {
        /// Requests with each
        #[arg(long, default_value_t = 100_000)]
        requests: usize,
    },
}

#[derive(clap::Args)]
struct Measure {
    /// How long each of the two measurements lasts: alone, and beside it
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Everybody else's pushes a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Everybody else's lines that wait for news
    #[arg(long, default_value_t = 200)]
    replicas: usize,
}

fn main() -> ExitCode {
    if let Some((folder, members, socket)) = apart::asked() {
        apart::serve(&folder, members, socket);
    }
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // How long a refusal takes is asked more often than one token may ask.
    let members = if matches!(arguments.what, What::Timing { .. }) { 0 } else { MEMBERS + 1 };
    let server = Apart::begin(folder.path(), members);
    let (hostile, everybody) = server.tokens.split_last().expect("there are members");
    let load = |measure: &Measure| Load {
        address: Address::parse(&format!("http://{}/load", server.socket)).expect("a good address"),
        tokens: everybody.to_vec(),
        listening: measure.replicas,
        pulling: MEMBERS,
        pushing: MEMBERS,
        rate: measure.rate,
        changes: 10,
        seconds: measure.seconds,
    };
    let measured = match &arguments.what {
        What::Member(measure) => hostility::member(&load(measure), server.socket, hostile),
        What::Slow { sockets, measure } => hostility::slow(&load(measure), server.socket, hostile, *sockets),
        What::Timing { requests } => return timing(&server, *requests),
    };
    match measured {
        Ok(beside) => show(&beside, folder.path()),
        Err(e) => said(&format!("error: {}", e.message), false),
    }
}

fn show(beside: &Beside, folder: &std::path::Path) -> ExitCode {
    let (alone, with) = beside.p99();
    let errors: Vec<&String> = beside.alone.errors.iter().chain(&beside.beside.errors).take(3).collect();
    let bytes: u64 =
        std::fs::read_dir(folder.join("load")).into_iter().flatten().flatten().map(|f| f.metadata().map_or(0, |m| m.len())).sum();
    let pushes = |outcome: &mainstem_traffic::load::Outcome| outcome.pushes.len();
    let text = format!(
        "everybody else, alone: {} pushes, p99 {alone:.1} ms\nbeside it: {} pushes, p99 {with:.1} ms, {:.2} times\n{}\nthe dataset has {:.1} MiB; errors: {} {errors:?}",
        pushes(&beside.alone),
        pushes(&beside.beside),
        with / alone,
        beside.did,
        bytes as f64 / 1048576.0,
        beside.alone.errors.len() + beside.beside.errors.len(),
    );
    said(&text, beside.holds())
}

fn timing(server: &Apart, requests: usize) -> ExitCode {
    let (revoked, unknown) = match hostility::two_bad_tokens(server.socket, &server.tokens[0]) {
        Ok(tokens) => tokens,
        Err(e) => return said(&format!("error: {}", e.message), false),
    };
    let t = hostility::timing(server.socket, &revoked, &unknown, requests);
    said(&format!("a token that was revoked and one that never was, {requests} requests with each: t = {t:.2}"), t.abs() < T_MAX)
}

fn said(text: &str, is_good: bool) -> ExitCode {
    let _ = writeln!(std::io::stdout(), "{text}");
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! Puts a server under load and says how long people wait: `scripts/load --replicas 1000 --rate 200`.
use clap::Parser;
use mainstem_http::address::Address;
use mainstem_traffic::apart::{self, Apart};
use mainstem_traffic::load::{self, Load, Outcome};
use mainstem_traffic::report;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Puts a server under load: many replicas connected, some pushing at a steady rate
#[derive(Parser)]
struct Arguments {
    /// The dataset's address on a server that runs; one of its own where none
    #[arg(long, requires = "token")]
    address: Option<String>,
    /// A token for it
    #[arg(long, env = "MAINSTEM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Replicas that wait for news
    #[arg(long, default_value_t = 1000)]
    replicas: usize,
    /// How many of them pull what they hear of
    #[arg(long, default_value_t = 20)]
    pulling: usize,
    /// Replicas that push
    #[arg(long, default_value_t = 50)]
    pushing: usize,
    /// Pushes a second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Row changes in a push
    #[arg(long, default_value_t = 10)]
    changes: usize,
    /// How long
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Kill the server half-way and start it again
    #[arg(long, conflicts_with = "address")]
    restart: bool,
    /// Where the picture is written
    #[arg(long, default_value = "target/load.svg")]
    picture: PathBuf,
}

fn main() -> ExitCode {
    if let Some((folder, members, socket)) = apart::asked() {
        apart::serve(&folder, members, socket);
    }
    let arguments = Arguments::parse();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut server, address, token) = match (&arguments.address, &arguments.token) {
        (Some(address), Some(token)) => (None, address.clone(), token.clone()),
        _ => {
            let own = Apart::begin(folder.path(), 0);
            let (address, token) = (format!("http://{}/load", own.socket), own.tokens[0].clone());
            (Some(own), address, token)
        }
    };
    let load = Load {
        address: match Address::parse(&address) {
            Ok(address) => address,
            Err(e) => return failed(&e.message),
        },
        tokens: vec![token],
        listening: arguments.replicas,
        pulling: arguments.pulling,
        pushing: arguments.pushing,
        rate: arguments.rate,
        changes: arguments.changes,
        seconds: arguments.seconds,
    };
    let gauge = report::Gauge::begin(server.as_ref().map(Apart::process));
    let mut restart = || {
        if let Some(socket) = server.take().map(|server| server.socket) {
            let again = Apart::begin_at(folder.path(), 0, socket);
            gauge.follow(again.process());
            server = Some(again);
        }
    };
    let outcome = match arguments.restart {
        true => load::run_with(load.clone(), Some(&mut restart)),
        false => load::run(load.clone()),
    };
    let memory = gauge.end();
    drop(server);
    match outcome {
        Ok(outcome) => finish(&arguments, &load, &outcome, &memory),
        Err(e) => failed(&e.message),
    }
}

fn finish(arguments: &Arguments, load: &Load, outcome: &Outcome, memory: &report::Memory) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{}", report::text(load, outcome, memory));
    if let Err(e) = std::fs::write(&arguments.picture, report::picture(load, outcome)) {
        return failed(&format!("{} cannot be written: {e}", arguments.picture.display()));
    }
    let _ = writeln!(out, "picture: {}", arguments.picture.display());
    if outcome.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn failed(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {why}");
    ExitCode::FAILURE
}

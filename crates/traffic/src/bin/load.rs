//! Puts a server under load and says how long people wait: `scripts/load --replicas 1000 --rate 200`.
use clap::Parser;
use mainstem::wiring::RealSurroundings;
use mainstem_http::address::Address;
use mainstem_http::server::{Door, Limits, Porter, Record};
use mainstem_traffic::load::{self, Load, Outcome};
use mainstem_traffic::{Served, report};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

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
    /// Where the picture is written
    #[arg(long, default_value = "target/load.svg")]
    picture: PathBuf,
    /// Serve a folder, and nothing else: what the load starts for itself
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(folder) = &arguments.serve {
        return serve(folder);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, address, token) = match (&arguments.address, &arguments.token) {
        (Some(address), Some(token)) => (None, address.clone(), token.clone()),
        _ => {
            let (child, socket, token) = own_server(folder.path());
            (Some(child), format!("http://{socket}/load"), token)
        }
    };
    let load = Load {
        address: match Address::parse(&address) {
            Ok(address) => address,
            Err(e) => return failed(&e.message),
        },
        token,
        listening: arguments.replicas,
        pulling: arguments.pulling,
        pushing: arguments.pushing,
        rate: arguments.rate,
        changes: arguments.changes,
        seconds: arguments.seconds,
    };
    let gauge = report::Gauge::begin(server.as_ref().map(Child::id));
    let outcome = load::run(load.clone());
    let memory = gauge.end();
    if let Some(mut server) = server {
        let _ = server.kill();
        let _ = server.wait();
    }
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

/// A server in a process of its own, so that its memory is its own.
fn own_server(folder: &std::path::Path) -> (Child, String, String) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut child = Command::new(program).arg("--serve").arg(folder).stdout(Stdio::piped()).spawn().expect("it starts again");
    let mut said = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = || {
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it listens");
        line.trim().to_string()
    };
    let (socket, token) = (line(), line());
    (child, socket, token)
}

/// One address and one token are many people here.
fn serve(folder: &std::path::Path) -> ExitCode {
    let around = Arc::new(RealSurroundings);
    let mut limits = Limits::default();
    for limit in Limits::NAMES.iter().filter(|name| name.contains("per_address") || name.contains("per_token") || name.contains("rate_max"))
    {
        *limits.named(limit).expect("it is one of them") = u64::from(u32::MAX);
    }
    let porter = Porter::new(limits, Door::default(), Record::nowhere(around.clone()), around.clone());
    let served = Served::through(porter, None, folder, around);
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{}\n{}", served.socket(), served.token().unwrap_or_default());
    loop {
        std::thread::park();
    }
}

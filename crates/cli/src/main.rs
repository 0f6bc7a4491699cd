//! The `mainstem` binary: reads what was typed, runs one command, says how it went.
//!
//! Invariant: results on standard output, everything else on standard error, one exit code from [`exit_codes`].
mod arguments;
mod bundle_carry;
mod catalog;
mod changeset_source;
mod changeset_view;
mod commands;
mod conflict_choice;
mod demo_stage;
mod diff;
mod exit_codes;
mod health;
mod json;
mod key_argument;
mod output;
mod plain_text;
mod policy_edit;
mod progress;
mod sync_report;
mod usage;
mod wiring;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match arguments::Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => return refuse(&refused),
    };
    let is_json = cli.global.json;
    let mut session = wiring::Session::new(cli.global);
    let outcome = commands::run(&cli.command, &mut session);
    let outcome = outcome.and_then(|exit| session.out.flush().map(|()| exit));
    match outcome {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(e) if e.code == output::BROKEN_PIPE => ExitCode::SUCCESS,
        Err(e) => {
            // What was written before the failure belongs before its message.
            let _ = session.out.flush();
            output::show_error(&e, is_json);
            ExitCode::from(exit_codes::of_error(e.kind))
        }
    }
}

fn refuse(refused: &clap::Error) -> ExitCode {
    let Some(error) = usage::error(refused) else {
        // Help and version are answers: they go to standard output, where nobody may be reading.
        let _ = refused.print();
        return ExitCode::from(refused.exit_code() as u8);
    };
    let is_json = std::env::args_os().any(|word| word == "--json");
    output::show_error(&error, is_json);
    ExitCode::from(exit_codes::of_error(error.kind))
}

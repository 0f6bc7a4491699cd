//! The `mainstem` binary: reads what was typed, runs one command, says how it went.
//!
//! Invariant: results on standard output, everything else on standard error, one exit code from [`exit_codes`].
#![allow(rustdoc::bare_urls, reason = "what documents a command is its help text, where addresses are typed as they are")]
mod access_view;
mod arguments;
mod audit_export;
mod blame_view;
mod bundle_carry;
mod catalog;
mod changeset_source;
mod changeset_view;
mod cleanup_report;
mod commands;
mod conflict_choice;
mod credentials;
mod demo_stage;
mod diff;
mod exit_codes;
mod health;
mod json;
mod key_argument;
mod known_servers;
mod output;
mod past_rows;
mod plain_text;
mod policy_edit;
mod progress;
mod review_pages;
mod review_text;
mod review_view;
mod row_history;
mod serve_settings;
mod suggestion;
mod sync_report;
mod sync_state;
mod sync_stats;
mod terminal;
mod token_deeds;
mod tombstone_view;
mod usage;
mod watch;
mod wiring;

use clap::Parser;
use mainstem_core::ErrorKind;
use std::process::ExitCode;

const _: () = assert!(!mainstem_core::planted::CAN_BE, "a program with planted bugs is not to be built");

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(confess));
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
            let code = exit_codes::of_error(e.kind);
            // What was written before the failure belongs before its message.
            let _ = session.out.flush();
            let hint = e.hint.as_ref().map(|hint| session.out.suggest(hint));
            output::show_error(&mainstem::Error { hint, ..e }, is_json);
            ExitCode::from(code)
        }
    }
}

/// A panic is a bug of ours. It is said in the form of every other error, and ends with the code for it; what was being
/// written is rolled back as after a crash.
fn confess(panic: &std::panic::PanicHookInfo<'_>) {
    let payload = panic.payload();
    let what = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let what = what.unwrap_or("no reason was given");
    let place = panic.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
    let error = mainstem::Error::internal(format!("a bug of mainstem's own: {what}{place}"));
    let is_json = std::env::args_os().any(|word| word == "--json");
    output::show_error(&error.hint("mainstem doctor, and report what you did"), is_json);
    std::process::exit(i32::from(exit_codes::of_error(ErrorKind::Internal)));
}

fn refuse(refused: &clap::Error) -> ExitCode {
    let typed: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let Some(error) = usage::error(refused, &typed) else {
        // Help and version are answers: they go to standard output, where nobody may be reading.
        let _ = refused.print();
        return ExitCode::SUCCESS;
    };
    output::show_error(&error, typed.iter().any(|word| word == "--json"));
    ExitCode::from(exit_codes::of_error(error.kind))
}

//! `mainstem completions`.
use crate::arguments::Cli;
use crate::exit_codes::Exit;
use crate::wiring::Session;
use clap::CommandFactory;
use clap_complete::Shell;
use mainstem::Result;

/// Writes a completion script for a shell
///
/// Examples:
///   mainstem completions bash > ~/.local/share/bash-completion/completions/mainstem
///   mainstem completions zsh > ~/.zfunc/_mainstem
///   mainstem completions fish > ~/.config/fish/completions/mainstem.fish
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "mainstem", &mut script);
        session.out.bytes(&script)?;
        Ok(Exit::Done)
    }
}

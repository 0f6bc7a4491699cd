//! Asks for something on the terminal, or reads it from standard input where that is no terminal.
//!
//! Invariant: a secret is not shown while it is typed, and the terminal is left as it was found.
use mainstem::{Error, Result};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 4 * 1024;

/// Asks for a line.
pub fn line(prompt: &str) -> Result<String> {
    let input = io::stdin();
    if input.is_terminal() {
        // A prompt that cannot be shown is no reason not to read.
        let _ = write!(io::stderr(), "{prompt}");
    }
    let mut line = String::new();
    io::Read::take(input.lock(), LINE_BYTES_MAX)
        .read_line(&mut line)
        .map_err(|e| Error::invalid(format!("standard input cannot be read: {e}")).because(e))?;
    Ok(line.trim().to_string())
}

/// Asks for a line that is not shown.
pub fn secret(prompt: &str) -> Result<String> {
    let _hidden = Hidden::begin();
    line(prompt)
}

/// A terminal that does not show what is typed, until it is dropped.
struct Hidden(Option<Termios>);

impl Hidden {
    fn begin() -> Hidden {
        let before = tcgetattr(io::stdin()).ok();
        if let Some(before) = &before {
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            hidden.local_modes.insert(LocalModes::ECHONL);
            // A terminal that cannot hide what is typed still takes it.
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &hidden);
        }
        Hidden(before)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}

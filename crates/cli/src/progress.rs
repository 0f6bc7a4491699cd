//! Progress of long work: a bar on a terminal's standard error, nothing anywhere else.
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// A bar that appears with the first report and goes when it is dropped.
pub struct Bar {
    bar: Option<ProgressBar>,
    is_shown: bool,
}

impl Bar {
    /// A bar for this process. It stays silent where standard error is not a terminal.
    pub fn new() -> Self {
        Bar { bar: None, is_shown: std::io::stderr().is_terminal() }
    }
    /// Takes one report: what is done, how many, of how many (zero where unknown).
    pub fn report(&mut self, what: &str, done: u64, of: u64) {
        if !self.is_shown {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)));
        if bar.length() != (of > 0).then_some(of) || bar.position() == 0 {
            bar.set_style(style(of > 0));
            if of > 0 {
                bar.set_length(of);
            } else {
                bar.unset_length();
            }
        }
        bar.set_message(crate::output::one_line(what));
        bar.set_position(done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(is_bounded: bool) -> ProgressStyle {
    let template = if is_bounded {
        "{msg} {wide_bar} {human_pos}/{human_len} ({per_sec}, {eta} left)"
    } else {
        "{spinner} {msg} {human_pos} ({per_sec})"
    };
    ProgressStyle::with_template(template).expect("both templates are constants that parse")
}

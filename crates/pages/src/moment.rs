//! A moment, as people read it and as programs do.
use askama::Template;

/// A moment in UTC.
#[derive(Clone, Debug, Template)]
#[template(source = r#"<time datetime="{{ exact }}">{{ day }} {{ clock }} UTC</time>"#, ext = "html")]
pub struct Moment {
    /// As RFC 3339 writes it.
    exact: String,
    day: String,
    clock: String,
}

impl askama::filters::HtmlSafe for Moment {}

impl Moment {
    /// A moment as RFC 3339 writes it, with a `Z` at its end; what a stamp's counter adds behind that is left out.
    pub fn new(exact: &str) -> Moment {
        let exact = exact.split('#').next().unwrap_or(exact);
        let (day, clock) = exact.split_once('T').unwrap_or((exact, ""));
        Moment { exact: exact.to_string(), day: day.to_string(), clock: clock.get(..5).unwrap_or(clock).to_string() }
    }
}

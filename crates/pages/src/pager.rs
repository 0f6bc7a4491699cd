//! The ways to the parts of a list that are not shown.
use askama::Template;

/// A pager: nothing is shown where there is one part alone.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "pager.html")]
pub struct Pager {
    /// Of what there are parts, for whoever does not see where it is.
    pub of: &'static str,
    /// Where the first part is, where another is shown.
    pub first: Option<String>,
    /// Where the part before is.
    pub previous: Option<String>,
    /// Where the part after is.
    pub next: Option<String>,
    /// What is shown, in words.
    pub shown: String,
}

impl askama::filters::HtmlSafe for Pager {}

//! What people said to one another about one thing.
use crate::moment::Moment;
use crate::value::ShownValue;
use askama::Template;

/// A thread of comments.
#[derive(Debug, Template)]
#[template(path = "thread.html")]
pub struct Thread {
    /// The comment that began it, as answers say it.
    pub first: u64,
    /// What it is about, where that is not plain.
    pub about: Option<ShownValue>,
    /// The comments, oldest first.
    pub comments: Vec<CommentLine>,
    /// Where answers go; none where nothing may be said.
    pub talk: Option<Talk>,
}

impl askama::filters::HtmlSafe for Thread {}

/// Where what is said goes.
#[derive(Clone, Debug)]
pub struct Talk {
    /// The proposal's address.
    pub path: String,
    /// What every form says.
    pub form_key: String,
    /// How many comments there are, so that a form that is sent twice is known.
    pub after: u64,
}

/// A comment.
#[derive(Debug)]
pub struct CommentLine {
    /// Its number.
    pub number: u64,
    /// Who.
    pub actor: String,
    /// When.
    pub at: Moment,
    /// The revision that was current, where there is a later one.
    pub revision: Option<u64>,
    /// What.
    pub text: ShownValue,
}

//! How a version came out of a proposal: who approved it, and who merged it.
use crate::value::ShownValue;
use askama::Template;

/// How a version came out of a proposal.
#[derive(Clone, Debug, Template)]
#[template(path = "reviewed.html")]
pub struct ShownReview {
    /// The dataset.
    pub dataset: String,
    /// The proposal.
    pub proposal: u64,
    /// Who approved what was merged.
    pub approvers: Vec<String>,
    /// Who merged it.
    pub merged_by: String,
    /// What was passed over by force.
    pub passed: Vec<ShownValue>,
}

impl askama::filters::HtmlSafe for ShownReview {}

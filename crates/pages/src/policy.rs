//! The rules of a dataset.
use crate::frame::Frame;
use askama::Template;

/// A policy.
#[derive(Debug, Template)]
#[template(path = "policy.html")]
pub struct Policy {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// The policy as TOML.
    pub text: String,
    /// What somebody typed in its place and what is wrong with it.
    pub refused: Option<(String, String)>,
    /// Whether one may replace it.
    pub may_change: bool,
}

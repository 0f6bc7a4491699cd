//! The staged rows of proposals as people's tools read them.
//!
//! Invariant: a name, once released, stays, and each name of the command line's JSON is the same here.
use super::shown::moment;
use mainstem::review::Staged;
use schemars::JsonSchema;
use serde::Serialize;

/// The staged rows of a proposal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownStaged {
    /// The proposal.
    pub proposal: u64,
    /// Where it is in its life.
    pub stage: &'static str,
    /// How many of its revisions have staged rows.
    pub revisions: u64,
    /// The bytes that they take.
    pub bytes: u64,
    /// When something happened to it last.
    pub touched_at: String,
    /// When they go; null while it is open, or where they are kept for ever.
    pub expires_at: Option<String>,
}

impl From<&Staged> for ShownStaged {
    fn from(staged: &Staged) -> Self {
        ShownStaged {
            proposal: staged.proposal,
            stage: staged.stage.name(),
            revisions: staged.revisions,
            bytes: staged.bytes,
            touched_at: moment(staged.touched),
            expires_at: staged.expires.map(moment),
        }
    }
}

/// What a cleanup of staged rows did or would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownUnstaged {
    /// Whether nothing was done.
    pub dry_run: bool,
    /// Whose staged rows went.
    pub removed: Vec<ShownStaged>,
}

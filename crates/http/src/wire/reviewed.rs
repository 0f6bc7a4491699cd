//! How a version came out of a proposal, as people's tools read it.
use super::proposal::{ShownGate, ShownVote};
use super::shown::hex;
use mainstem::core::proposal::Reviewed;
use schemars::JsonSchema;
use serde::Serialize;

/// How a version came out of a proposal.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownReview {
    /// The proposal.
    pub proposal: u64,
    /// Its revision.
    pub revision: u64,
    /// The digest of what was merged, which the votes name.
    pub digest: String,
    /// Who merged.
    pub merged_by: String,
    /// Who approved what was merged.
    pub approved_by: Vec<String>,
    /// The votes that counted.
    pub votes: Vec<ShownVote>,
    /// What was passed over by force, in words.
    pub warnings: Vec<String>,
    /// What the gates said.
    pub gates: Vec<ShownGate>,
}

impl From<&Reviewed> for ShownReview {
    fn from(reviewed: &Reviewed) -> Self {
        ShownReview {
            proposal: reviewed.proposal,
            revision: reviewed.revision,
            digest: hex(&reviewed.digest),
            merged_by: reviewed.actor.clone(),
            approved_by: reviewed.approvers().map(ToString::to_string).collect(),
            votes: reviewed.votes.iter().map(|vote| ShownVote::new(vote, Some(true), None)).collect(),
            warnings: reviewed.warnings.clone(),
            gates: reviewed.gates.iter().map(ShownGate::from).collect(),
        }
    }
}

//! How versions came out of proposals.
use crate::error::Result;
use crate::history::Blame;
use crate::primary::Primary;
use mainstem_core::proposal::Reviewed;
use std::collections::{BTreeMap, BTreeSet};

/// Versions that came out of proposals, by their numbers.
pub type Reviews = BTreeMap<u64, Reviewed>;

/// Which of these versions came out of proposals, and how.
pub fn reviews(primary: &mut dyn Primary, versions: &BTreeSet<u64>) -> Result<Reviews> {
    let mut reviews = Reviews::new();
    for &number in versions {
        if let Some(reviewed) = primary.version(number)?.and_then(|version| version.review) {
            reviews.insert(number, reviewed);
        }
    }
    Ok(reviews)
}

impl Blame {
    /// The versions that the row's cells, or its absence, come from.
    pub fn versions(&self) -> BTreeSet<u64> {
        let gone = self.gone.as_ref().map(|gone| gone.deletion.version);
        self.cells.iter().map(|cell| cell.origin.version).chain(gone).collect()
    }
}

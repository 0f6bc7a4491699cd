//! Proposals over HTTP.
use super::HttpPrimary;
use mainstem::core::ErrorKind;
use mainstem::core::event::Digest;
use mainstem::core::proposal::MergeWish;
use mainstem::error::{Error, Result};
use mainstem::ledger::ProposalsWanted;
use mainstem::primary::Acquaintance;
use mainstem::review::{By, Deed, Judged, Merged, Offer, Offered, Review};

/// What this program cannot ask a server for yet.
fn not_there() -> Error {
    Error::new(ErrorKind::Unavailable, "unsupported", "this program does not review over HTTP yet")
}

impl Review for HttpPrimary {
    fn propose(&mut self, _known: &Acquaintance, _offer: Offer<'_>, _by: By<'_>) -> Result<Offered> {
        Err(not_there())
    }
    fn act(&mut self, _proposal: u64, _deed: &Deed, _by: By<'_>) -> Result<()> {
        Err(not_there())
    }
    fn merge(&mut self, _proposal: u64, _wish: &MergeWish, _by: By<'_>) -> Result<Merged> {
        Err(not_there())
    }
    fn proposals(&mut self, _wanted: &ProposalsWanted) -> Result<Vec<u64>> {
        Err(not_there())
    }
    fn proposal(&mut self, _id: u64, _by: By<'_>) -> Result<Option<Judged>> {
        Err(not_there())
    }
    fn shown_page(&mut self, _proposal: u64, _digest: &Digest, _page: u64) -> Result<Option<Vec<u8>>> {
        Err(not_there())
    }
    fn staged_page(&mut self, _proposal: u64, _revision: u64, _page: u64) -> Result<Option<Vec<u8>>> {
        Err(not_there())
    }
    fn find_revision(&mut self, _write_id: u128) -> Result<Option<(u64, u64)>> {
        Err(not_there())
    }
}

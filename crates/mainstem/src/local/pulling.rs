//! What a pull brings: versions as they are stored, with the events between them, in pieces.
use crate::error::{Error, Result};
use crate::primary::{Cursor, Item, Pull};
use crate::store::Transaction;
use mainstem_core::event::Digest;

/// What follows a cursor, in at most about so many bytes.
pub(super) fn read(tx: &mut dyn Transaction, from: Cursor, bytes_max: usize) -> Result<Pull> {
    let head = tx.head()?;
    let (policy, scope) = (tx.policy_text()?, Digest::default());
    let mut pull = Pull { from, items: Vec::new(), next: from, is_last: false, policy, head, scope };
    let mut bytes = 0;
    let mut pages = None;
    while bytes < bytes_max || pull.items.is_empty() {
        if pull.next.version > head.version {
            pull.is_last = true;
            break;
        }
        let total = match pages {
            Some(total) => total,
            None => tx.version(pull.next.version)?.ok_or_else(|| Error::corrupt("a version is missing in the ledger"))?.pages,
        };
        pages = Some(total);
        if pull.next.page == 0 {
            // The chain of events goes through those that are no versions, so whoever checks it needs them.
            for (event, hash) in tx.events_before(pull.next.version)? {
                bytes += event.len();
                pull.items.push(Item::Event(event, hash));
            }
            let (event, hash) = tx.version_event(pull.next.version)?.ok_or_else(|| Error::corrupt("a version is missing in the ledger"))?;
            bytes += event.len();
            pull.items.push(Item::Version(event, hash));
        }
        if pull.next.page < total {
            let page = tx.page(pull.next.version, pull.next.page)?.ok_or_else(|| Error::corrupt("a page is missing in the ledger"))?;
            bytes += page.len();
            pull.items.push(Item::Page(page));
            pull.next.page += 1;
        }
        if pull.next.page >= total {
            pull.next = Cursor { version: pull.next.version + 1, page: 0 };
            pages = None;
        }
    }
    pull.is_last |= pull.next.version > head.version;
    Ok(pull)
}

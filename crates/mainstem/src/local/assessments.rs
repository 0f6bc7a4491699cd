//! What was found of proposals, until it is something else: kept by this process, and beside the store for all who open it.
//!
//! Invariant: what is taken from beside the store is to the byte what was put there, and of the same ledger, revision and policy;
//! anything else is as if it were not there. It may be lost at any time, and no merge takes it.
use super::pages::SetOut;
use crate::comparing::{Different, Differing, How};
use crate::error::{Error, Result};
use crate::store::{Scratch, Transaction};
use mainstem_core::digest;
use mainstem_core::event::Digest;
use mainstem_core::format::review;
use mainstem_core::proposal::{Assessment, Proposal};

/// Where something was found. It holds for as long as the version and the terms are the same, and may hold longer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub version: u64,
    pub events: u64,
    /// The hash of the last of these events, which covers all before it.
    hash: Digest,
    /// The policy, the revision, and the program that found it.
    terms: Digest,
}

impl Mark {
    pub fn now(tx: &mut dyn Transaction, proposal: &Proposal) -> Result<Mark> {
        let head = tx.head()?;
        let revision = proposal.head();
        let number = (proposal.revisions.len() as u64).to_be_bytes();
        let terms = [tx.policy_text()?.as_bytes(), &revision.body, &number, env!("CARGO_PKG_VERSION").as_bytes()].map(<[u8]>::to_vec);
        let terms = digest::of("mainstem found on 1", &terms.each_ref().map(Vec::as_slice));
        Ok(Mark { version: head.version, events: head.events, hash: head.hash, terms })
    }

    /// True where the ledger of now goes on from there, under the same terms.
    pub fn is_before(&self, now: &Mark, tx: &mut dyn Transaction) -> Result<bool> {
        if self.terms != now.terms || self.events > now.events {
            return Ok(false);
        }
        Ok(self.hash == now.hash || tx.event(self.events)?.is_some_and(|(_, hash)| hash == self.hash))
    }
}

/// What was found of a proposal's last revision.
pub(super) struct Assessed {
    pub write_id: u128,
    pub mark: Mark,
    /// The digest of each page of rows.
    pub pages: Vec<Digest>,
    pub assessment: Assessment,
}

fn page_digest(bytes: &[u8]) -> Digest {
    digest::of("mainstem found page 1", &[bytes])
}

impl Assessed {
    fn encode(&self) -> Vec<u8> {
        let Mark { version, events, hash, terms } = &self.mark;
        let mut bytes = [&self.write_id.to_be_bytes()[..], &version.to_be_bytes(), &events.to_be_bytes(), hash, terms].concat();
        bytes.extend_from_slice(&(self.pages.len() as u64).to_be_bytes());
        self.pages.iter().for_each(|page| bytes.extend_from_slice(page));
        bytes.extend(review::encode_assessment(&self.assessment));
        [&page_digest(&bytes)[..], &bytes].concat()
    }

    /// None for what is damaged.
    fn decode(bytes: &[u8]) -> Option<Assessed> {
        let (digest, rest) = bytes.split_first_chunk::<32>()?;
        if page_digest(rest) != *digest {
            return None;
        }
        let (write_id, rest) = rest.split_first_chunk()?;
        let (version, rest) = rest.split_first_chunk()?;
        let (events, rest) = rest.split_first_chunk()?;
        let (hash, rest) = rest.split_first_chunk()?;
        let (terms, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_be_bytes(*count)).ok()?.checked_mul(32)?;
        let (pages, rest) = rest.split_at_checked(length)?;
        let mark = Mark { version: u64::from_be_bytes(*version), events: u64::from_be_bytes(*events), hash: *hash, terms: *terms };
        let write_id = u128::from_be_bytes(*write_id);
        Some(Assessed { write_id, mark, pages: pages.as_chunks().0.to_vec(), assessment: review::decode_assessment(rest).ok()? })
    }
}

const FOUND: &str = "found ";

fn name(write_id: u128) -> String {
    format!("{FOUND}{write_id:032x}")
}

fn rows(write_id: u128) -> String {
    format!("outcome {write_id:032x} ")
}

fn compared_name(earlier: u128, later: u128) -> String {
    format!("compared {later:032x} {earlier:032x}")
}

fn forget(scratch: &mut dyn Scratch, write_id: u128) -> Result<()> {
    scratch.forget(&name(write_id))?;
    scratch.forget(&format!("compared {write_id:032x} "))?;
    scratch.forget(&rows(write_id))
}

/// The revisions of which something is kept.
fn known(scratch: &mut dyn Scratch) -> Result<Vec<u128>> {
    let names = scratch.names(FOUND)?;
    Ok(names.iter().filter_map(|name| u128::from_str_radix(name.strip_prefix(FOUND)?, 16).ok()).collect())
}

/// What was found lately.
pub(super) struct Assessments {
    own: Box<dyn Scratch>,
    /// Gone once it cannot be read or written.
    shared: Option<Box<dyn Scratch>>,
}

impl Assessments {
    pub fn new(own: Box<dyn Scratch>, shared: Option<Box<dyn Scratch>>) -> Self {
        Assessments { own, shared }
    }

    /// The place of this process alone.
    pub fn own(&mut self) -> &mut dyn Scratch {
        &mut *self.own
    }

    /// Runs `work` on the place that others see, which is not looked at again where that fails.
    fn shared<T>(&mut self, work: impl FnOnce(&mut dyn Scratch, &mut dyn Scratch) -> Result<T>) -> Option<T> {
        let mut shared = self.shared.take()?;
        let done = work(&mut *shared, &mut *self.own).ok();
        self.shared = done.is_some().then_some(shared);
        done
    }

    /// What was found of a revision, by whomever.
    pub fn find(&mut self, write_id: u128) -> Result<Option<Assessed>> {
        if let Some(bytes) = self.own.get(&name(write_id))? {
            return Ok(Assessed::decode(&bytes));
        }
        let bytes = self.shared(|shared, _| shared.get(&name(write_id))).flatten();
        Ok(bytes.as_deref().and_then(Assessed::decode).filter(|found| found.write_id == write_id))
    }

    /// Begins to keep the pages of a revision's outcome.
    pub fn begin(&mut self, write_id: u128) -> Result<Outcome<'_>> {
        self.own.forget(&name(write_id))?;
        self.own.forget(&rows(write_id))?;
        Ok(Outcome { own: &mut *self.own, rows: rows(write_id), digests: Vec::new() })
    }

    /// Keeps what was found, for this process.
    pub fn put(&mut self, assessed: &Assessed) -> Result<()> {
        self.own.put(&name(assessed.write_id), &assessed.encode())
    }

    /// Forgets what nobody looks at any more.
    pub fn sweep(&mut self, is_open: &mut dyn FnMut(u128) -> Result<bool>) -> Result<()> {
        for known in known(&mut *self.own)? {
            if !is_open(known)? {
                SetOut::forget(&mut *self.own, known)?;
                forget(&mut *self.own, known)?;
            }
        }
        self.shared(|shared, _| {
            for known in known(shared)? {
                if !is_open(known)? {
                    forget(shared, known)?;
                }
            }
            Ok(())
        });
        Ok(())
    }

    /// Keeps it for others.
    pub fn share(&mut self, assessed: &Assessed) {
        let write_id = assessed.write_id;
        self.shared(|shared, own| {
            shared.forget(&name(write_id))?;
            shared.forget(&rows(write_id))?;
            for number in 0..assessed.pages.len() {
                let page = format!("{}{number}", rows(write_id));
                let bytes = own.get(&page)?.ok_or_else(|| Error::internal("an outcome was kept and is gone"))?;
                shared.put(&page, &bytes)?;
            }
            shared.put(&name(write_id), &assessed.encode())
        });
    }

    /// Keeps what was carried on to another head.
    pub fn carry(&mut self, assessed: &Assessed) -> Result<()> {
        let name = name(assessed.write_id);
        self.shared(|shared, _| match shared.get(&name)? {
            Some(_) => shared.put(&name, &assessed.encode()),
            None => Ok(()),
        });
        self.put(assessed)
    }

    /// A page of an outcome; none where it is gone, and everything with it.
    pub fn page(&mut self, assessed: &Assessed, number: u64) -> Result<Option<Vec<u8>>> {
        let write_id = assessed.write_id;
        let expected = usize::try_from(number).ok().and_then(|at| assessed.pages.get(at));
        let Some(expected) = expected else { return Ok(None) };
        let page = format!("{}{number}", rows(write_id));
        let is_it = |bytes: &Vec<u8>| page_digest(bytes) == *expected;
        if let Some(bytes) = self.own.get(&page)?.filter(is_it) {
            return Ok(Some(bytes));
        }
        let found = self.shared(|shared, _| shared.get(&page)).flatten().filter(is_it);
        if found.is_none() {
            self.forget(write_id)?;
        }
        Ok(found)
    }

    /// In which rows two revisions differ, where that was found.
    pub fn compared(&mut self, earlier: u128, later: u128) -> Result<Option<Differing>> {
        let name = compared_name(earlier, later);
        let own = self.own.get(&name)?;
        let bytes = own.or_else(|| self.shared(|shared, _| shared.get(&name)).flatten());
        Ok(bytes.and_then(|bytes| decode_differing(&bytes)))
    }

    /// Keeps in which rows two revisions differ.
    pub fn put_compared(&mut self, earlier: u128, later: u128, differing: &Differing) -> Result<()> {
        let (name, bytes) = (compared_name(earlier, later), encode_differing(differing));
        self.shared(|shared, _| shared.put(&name, &bytes));
        self.own.put(&name, &bytes)
    }

    /// Forgets a revision and what was found of it.
    pub fn forget(&mut self, write_id: u128) -> Result<()> {
        self.shared(|shared, _| forget(shared, write_id));
        forget(&mut *self.own, write_id)
    }

    /// Forgets a revision that nobody merges any more, with its rows.
    pub fn close(&mut self, write_id: u128) -> Result<()> {
        SetOut::forget(&mut *self.own, write_id)?;
        self.forget(write_id)
    }
}

fn encode_differing(differing: &Differing) -> Vec<u8> {
    let mut numbers = vec![differing.added, differing.changed, differing.removed];
    for one in &differing.first {
        let how = How::ALL.iter().position(|how| *how == one.how).unwrap_or_default() as u64;
        let (page, at) = one.was.unwrap_or_default();
        numbers.extend([u64::from(one.is_earlier), one.page, one.at, how, u64::from(one.was.is_some()), page, at]);
    }
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    [&page_digest(&bytes)[..], &bytes].concat()
}

/// None for what is damaged.
fn decode_differing(bytes: &[u8]) -> Option<Differing> {
    let (digest, rest) = bytes.split_first_chunk::<32>()?;
    if page_digest(rest) != *digest {
        return None;
    }
    let numbers: Vec<u64> = rest.as_chunks::<8>().0.iter().map(|number| u64::from_be_bytes(*number)).collect();
    let ([added, changed, removed], first) = numbers.split_first_chunk::<3>()?;
    let one = |[is_earlier, page, at, how, is_in_both, was_page, was_at]: &[u64; 7]| {
        let how = *How::ALL.get(usize::try_from(*how).ok()?)?;
        let was = (*is_in_both == 1).then_some((*was_page, *was_at));
        Some(Different { is_earlier: *is_earlier == 1, page: *page, at: *at, how, was })
    };
    let first = first.as_chunks::<7>().0.iter().map(one).collect::<Option<Vec<_>>>()?;
    Some(Differing { added: *added, changed: *changed, removed: *removed, first })
}

/// The pages of an outcome while they are made.
pub(super) struct Outcome<'a> {
    own: &'a mut dyn Scratch,
    rows: String,
    digests: Vec<Digest>,
}

impl Outcome<'_> {
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.own.put(&format!("{}{}", self.rows, self.digests.len()), bytes)?;
        self.digests.push(page_digest(bytes));
        Ok(())
    }
    pub fn digests(self) -> Vec<Digest> {
        self.digests
    }
}

//! Everything that was done with one token: versions, and what was done to proposals.
//!
//! Invariant: a version counts as a token's where its rows came with it, whoever merged them. One that a token only merged is
//! listed and is another's work.
use crate::json;
use crate::output::{JsonList, Output};
use crate::plain_text::{moment, name};
use crate::review_view;
use mainstem::ledger::ProposalsWanted;
use mainstem::primary::Primary;
use mainstem::{Error, Result};
use mainstem_core::event::{Event, Version};
use mainstem_core::format::event;
use mainstem_core::proposal::{Act, Reviewing, Stage};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// About how many bytes of events are asked for at once.
const EVENTS_BYTES_MAX: usize = 1024 * 1024;

/// Whose doing is meant.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The label of the token.
    pub token: &'a str,
    /// Its actor; any where none: two people may have tokens of one label.
    pub actor: Option<&'a str>,
}

/// One thing that was done.
pub enum Deed {
    /// A version whose rows came with the token, directly or as a proposal.
    Wrote(Version),
    /// A version that it merged, of another's rows.
    Merged(Version),
    /// Something done to a proposal.
    Reviewed(Reviewing),
}

/// Everything that was done with it.
pub struct Done {
    /// One thing after the other, oldest first.
    pub deeds: Vec<Deed>,
    /// The proposals that began with it. One that it only revised is another's.
    begun: BTreeSet<u64>,
}

impl Done {
    /// The versions whose rows came with it, newest first.
    pub fn written(&self) -> Vec<u64> {
        let wrote = |deed: &Deed| if let Deed::Wrote(version) = deed { Some(version.version) } else { None };
        self.deeds.iter().rev().filter_map(wrote).collect()
    }

    /// The proposals that began with it and are open.
    pub fn open(&self, primary: &mut dyn Primary) -> Result<Vec<u64>> {
        let stages: Vec<Stage> = Stage::ALL.into_iter().filter(|stage| stage.is_open()).collect();
        let mut open = Vec::new();
        for id in &self.begun {
            let wanted = ProposalsWanted { stages: stages.clone(), before: Some(id + 1), limit: 1, ..ProposalsWanted::default() };
            open.extend(primary.proposals(&wanted)?.first().filter(|found| *found == id));
        }
        Ok(open)
    }
}

impl Whose<'_> {
    fn is(self, actor: &str, token: Option<&str>) -> bool {
        token == Some(self.token) && self.actor.is_none_or(|wanted| wanted.eq_ignore_ascii_case(actor))
    }

    /// Everything that was done with it.
    pub fn deeds(self, primary: &mut dyn Primary) -> Result<Done> {
        let (mut deeds, mut offered, mut position) = (Vec::new(), BTreeSet::new(), 0);
        let (mut seen, mut begun) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let links = primary.events(position, EVENTS_BYTES_MAX)?;
            let Some(last) = links.last() else { return Ok(Done { deeds, begun }) };
            position = last.position;
            for link in links {
                match event::decode(&link.bytes)? {
                    Event::Review(reviewing) => {
                        let (is_ours, id) = (self.is(&reviewing.actor, reviewing.token.as_deref()), reviewing.proposal);
                        let is_offer = matches!(reviewing.act, Act::Revise(_));
                        if is_offer && seen.insert(id) && is_ours {
                            begun.insert(id);
                        }
                        if is_ours {
                            offered.extend(is_offer.then_some(id));
                            deeds.push(Deed::Reviewed(reviewing));
                        }
                    }
                    Event::Version(version) => deeds.extend(self.version(version, &offered)),
                    _ => {}
                }
            }
        }
    }

    fn version(self, version: Version, offered: &BTreeSet<u64>) -> Option<Deed> {
        match &version.review {
            None => self.is(&version.header.actor, version.token.as_deref()).then_some(Deed::Wrote(version)),
            Some(reviewed) if offered.contains(&reviewed.proposal) => Some(Deed::Wrote(version)),
            Some(reviewed) => self.is(&reviewed.actor, reviewed.token.as_deref()).then_some(Deed::Merged(version)),
        }
    }

    /// Nothing came with it.
    pub fn nothing(self) -> Error {
        let of = self.actor.map_or(String::new(), |actor| format!(" of {actor}"));
        let message = format!("no version and no open proposal came with a token called {:?}{of}", self.token);
        Error::not_found(message).hint("mainstem log --token LABEL, or mainstem access tokens")
    }
}

/// Lists what was done, newest first.
pub fn list(out: &mut Output, deeds: &[Deed], line: impl Fn(&Output, &Version) -> String) -> Result<()> {
    if out.is_json() {
        let mut list = JsonList::begin(out)?;
        deeds.iter().rev().try_for_each(|deed| list.push(out, &shown(deed)))?;
        list.end(out)?;
        return out.line("");
    }
    for deed in deeds.iter().rev() {
        match deed {
            Deed::Wrote(version) => out.line(line(out, version))?,
            Deed::Merged(version) => out.line(format_args!("{} (merged only)", line(out, version)))?,
            Deed::Reviewed(it) => {
                let act = review_view::event(it)["act"].as_str().unwrap_or_default().to_owned();
                out.line(format_args!("p{}  {}  {}  {act}", it.proposal, moment(it.at), name(&it.actor)))?;
            }
        }
    }
    if deeds.is_empty() { out.line("nothing was done with a token of that label") } else { Ok(()) }
}

fn shown(deed: &Deed) -> Json {
    let (mut shown, is_own) = match deed {
        Deed::Wrote(version) => (json::version(version), true),
        Deed::Merged(version) => (json::version(version), false),
        Deed::Reviewed(reviewing) => return review_view::event(reviewing),
    };
    (shown["event"], shown["is_own"]) = ("version".into(), is_own.into());
    shown
}

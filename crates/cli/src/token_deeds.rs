//! Everything that was done with one token: versions, and what was done to proposals.
//!
//! Invariant: a version counts as a token's where its rows came with it, whoever merged them. One that a token only merged is
//! listed and is another's work.
use crate::json;
use crate::output::{JsonList, Output};
use crate::plain_text::{moment, name};
use crate::review_view;
use mainstem::primary::Primary;
use mainstem::{Error, Result};
use mainstem_core::event::{Event, Version};
use mainstem_core::format::event;
use mainstem_core::proposal::{Act, Reviewing};
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

impl Whose<'_> {
    fn is(self, actor: &str, token: Option<&str>) -> bool {
        token == Some(self.token) && self.actor.is_none_or(|wanted| wanted.eq_ignore_ascii_case(actor))
    }

    /// Everything that was done with it, oldest first.
    pub fn deeds(self, primary: &mut dyn Primary) -> Result<Vec<Deed>> {
        let (mut deeds, mut offered, mut position) = (Vec::new(), BTreeSet::new(), 0);
        loop {
            let links = primary.events(position, EVENTS_BYTES_MAX)?;
            let Some(last) = links.last() else { return Ok(deeds) };
            position = last.position;
            for link in links {
                match event::decode(&link.bytes)? {
                    Event::Review(reviewing) if self.is(&reviewing.actor, reviewing.token.as_deref()) => {
                        if let Act::Revise(_) = reviewing.act {
                            offered.insert(reviewing.proposal);
                        }
                        deeds.push(Deed::Reviewed(reviewing));
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

    /// The versions whose rows came with it, newest first.
    pub fn written(self, primary: &mut dyn Primary) -> Result<Vec<Version>> {
        let wrote = |deed| if let Deed::Wrote(version) = deed { Some(version) } else { None };
        let versions: Vec<Version> = self.deeds(primary)?.into_iter().rev().filter_map(wrote).collect();
        if versions.is_empty() {
            let of = self.actor.map_or(String::new(), |actor| format!(" of {actor}"));
            let message = format!("no version came with a token called {:?}{of}", self.token);
            return Err(Error::not_found(message).hint("mainstem log --token LABEL, or mainstem access tokens"));
        }
        Ok(versions)
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

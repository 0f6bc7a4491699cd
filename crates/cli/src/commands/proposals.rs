//! `mainstem proposals`.
use crate::exit_codes::Exit;
use crate::output::{JsonList, Output, Paint};
use crate::plain_text::{count, moment, name};
use crate::review_view;
use crate::wiring::Session;
use mainstem::Result;
use mainstem::ledger::ProposalsWanted;
use mainstem::review::{Judged, State};
use mainstem_core::proposal::Stage;

/// Lists proposals, the newest first
///
/// Examples:
///   mainstem proposals
///   mainstem proposals --state all
///   mainstem proposals --state approved --json
///   mainstem proposals --mine
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Proposals {
    /// Which state [default: those that are not closed]
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<Shown>,
    /// Only those that I offered
    #[arg(long)]
    mine: bool,
    /// List at most this many
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// It may be voted on
    Open,
    /// Merging would leave conflicts open
    HasConflicts,
    /// It may be merged
    Approved,
    /// It was refused
    Rejected,
    /// A merge is under way
    Merging,
    /// It is a version
    Merged,
    /// The last merge came to nothing
    MergeFailed,
    /// Its author took it back
    Withdrawn,
    /// Another took its place
    Superseded,
    /// Every one
    All,
}

impl Shown {
    fn is(self, state: State) -> bool {
        clap::ValueEnum::to_possible_value(&self).is_some_and(|value| self == Shown::All || value.get_name() == state.name())
    }
    /// The stages in which a proposal of that state is.
    fn stages(self) -> Vec<Stage> {
        let closed = |stage: &Stage| match self {
            Shown::Merged => *stage == Stage::Merged,
            Shown::Withdrawn => *stage == Stage::Withdrawn,
            Shown::Superseded => *stage == Stage::Superseded,
            Shown::Rejected => *stage == Stage::Rejected || stage.is_open(),
            Shown::All => true,
            _ => stage.is_open(),
        };
        Stage::ALL.into_iter().filter(closed).collect()
    }
}

impl Proposals {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let opened = session.replica()?;
        let actor = session.actor(&opened.standing)?;
        let mut primary = session.primary_of(&opened.standing)?;
        let by = session.by(&actor);
        let stages = self.state.map_or_else(|| Shown::Open.stages(), Shown::stages);
        let mut wanted = ProposalsWanted { stages, actor: self.mine.then(|| actor.clone()), before: None, limit: 100 };
        let out = &mut session.out;
        let mut list = if out.is_json() { Some(JsonList::begin(out)?) } else { None };
        let mut shown = 0;
        while shown < self.limit {
            let ids = primary.proposals(&wanted)?;
            let Some(last) = ids.last().copied() else { break };
            wanted.before = Some(last);
            for id in ids {
                // Whether it is in a state that merging decides is worth waiting for.
                let judged = match self.state {
                    None | Some(Shown::All) => primary.proposal_at_once(id, by)?,
                    Some(_) => primary.proposal(id, by)?,
                };
                let Some(judged) = judged.filter(|judged| self.state.is_none_or(|state| state.is(judged.state()))) else { continue };
                if shown == self.limit {
                    break;
                }
                shown += 1;
                match &mut list {
                    Some(list) => list.push(out, &review_view::judged(&judged))?,
                    None => line(out, &judged)?,
                }
            }
        }
        end(out, list, shown)
    }
}

fn end(out: &mut Output, list: Option<JsonList>, shown: usize) -> Result<Exit> {
    if let Some(list) = list {
        list.end(out)?;
        out.line("")?;
    } else if shown == 0 {
        out.line(format_args!("no such proposal; all: {}", out.suggest("mainstem proposals --state all")))?;
    }
    Ok(Exit::Done)
}

fn line(out: &mut Output, judged: &Judged) -> Result<()> {
    let proposal = &judged.proposal;
    let id = out.paint(Paint::Heading, proposal.id);
    let front = &proposal.head().front;
    let title = name(front.header.title.as_deref().unwrap_or("(no title)"));
    let missing = judged.tally.missing.first().map_or(String::new(), |first| format!(": {}", name(first)));
    let rows = count(front.count, "row", "rows");
    out.line(format_args!(
        "{id}  {}  {}  {title} ({rows}, {}{missing})",
        moment(proposal.touched),
        name(&proposal.actor),
        judged.state().name()
    ))
}

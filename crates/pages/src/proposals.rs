//! The list of a dataset's proposals.
use crate::frame::Frame;
use crate::moment::Moment;
use crate::value::ShownValue;
use askama::Template;

/// Some of a dataset's proposals.
#[derive(Debug, Template)]
#[template(path = "proposals.html")]
pub struct Proposals {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub dataset: String,
    /// Which are shown.
    pub filter: Filter,
    /// Only of this actor.
    pub actor: Option<String>,
    /// The proposals, newest first.
    pub items: Vec<Item>,
    /// Where older ones are, where there are any.
    pub next: Option<String>,
}

/// Which proposals are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Those that may be discussed, voted on and merged.
    #[default]
    Open,
    /// Open ones that wait for the vote of whoever asks.
    Waiting,
    /// Those that became versions.
    Merged,
    /// Rejected, withdrawn, superseded.
    Closed,
    /// Every one.
    All,
}

impl Filter {
    /// Every filter.
    pub const ALL: [Filter; 5] = [Filter::Open, Filter::Waiting, Filter::Merged, Filter::Closed, Filter::All];
    /// Its name in an address.
    pub fn name(self) -> &'static str {
        match self {
            Filter::Open => "open",
            Filter::Waiting => "waiting",
            Filter::Merged => "merged",
            Filter::Closed => "closed",
            Filter::All => "all",
        }
    }
    /// The filter of that name.
    pub fn parse(name: &str) -> Option<Filter> {
        Filter::ALL.into_iter().find(|filter| filter.name() == name)
    }
    fn title(self) -> &'static str {
        match self {
            Filter::Open => "Open",
            Filter::Waiting => "Waiting for my vote",
            Filter::Merged => "Merged",
            Filter::Closed => "Rejected or withdrawn",
            Filter::All => "All",
        }
    }
    /// What there is none of, where the list is empty.
    fn none(self) -> &'static str {
        match self {
            Filter::Open => "No proposal is open.",
            Filter::Waiting => "No proposal waits for your vote.",
            Filter::Merged => "No proposal was merged yet.",
            Filter::Closed => "No proposal was rejected or withdrawn.",
            Filter::All => "There is no proposal yet.",
        }
    }
}

impl Proposals {
    /// Each filter: its title, its address, and whether it is on.
    fn filters(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let on = self.filter;
        Filter::ALL.into_iter().map(move |filter| (filter.title(), filter.name(), filter == on))
    }
}

/// One of them.
#[derive(Debug)]
pub struct Item {
    /// Its number.
    pub id: u64,
    /// What its author calls it.
    pub title: ShownValue,
    /// Who offered it.
    pub actor: String,
    /// When.
    pub at: Moment,
    /// When something happened to it last.
    pub touched: Moment,
    /// How it stands.
    pub state: Badge,
    /// Its last revision.
    pub revision: u64,
    /// How many rows it changes, as far as that is known.
    pub rows: Option<u64>,
    /// Votes for it that count.
    pub approvals: usize,
    /// Votes against it that count.
    pub rejections: usize,
    /// How much was said about it.
    pub comments: usize,
    /// Whether it waits for the vote of whoever asks.
    pub is_waiting: bool,
}

/// A state in a word, with the colour that it has.
#[derive(Clone, Copy, Debug)]
pub struct Badge {
    /// The word.
    pub word: &'static str,
    /// `good`, `bad`, `warn`, or nothing.
    pub tone: &'static str,
}

impl Badge {
    /// The badge of a state, by the state's name.
    pub fn of(state: &'static str) -> Badge {
        let (word, tone) = match state {
            "open" => ("open", ""),
            "has-conflicts" => ("has conflicts", "warn"),
            "approved" => ("approved", "good"),
            "rejected" => ("rejected", "bad"),
            "merging" => ("merging", "warn"),
            "merged" => ("merged", "good"),
            "merge-failed" => ("merge failed", "bad"),
            other => (other, ""),
        };
        Badge { word, tone }
    }
}

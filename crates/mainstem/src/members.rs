//! Who may decide on proposals of a dataset, by the accounts as they are at the moment.
use crate::accounts::Registrar;
use crate::review::{People, Privilege};
use mainstem_core::account::Actor;
use mainstem_core::authority::{Authority, Limit, Object, Right, Verdict, decide};
use mainstem_core::vote::Voter;

/// The members of a dataset.
pub struct Members<'a> {
    /// The accounts.
    pub registrar: &'a Registrar,
    /// The dataset.
    pub dataset: &'a str,
}

impl Members<'_> {
    /// Who a name is, or was, and whether they have a right now. None where nobody ever had it.
    fn may(&self, actor: &str, right: Right, object: Object<'_>) -> Option<(Actor, bool)> {
        let accounts = self.registrar.accounts();
        let actor = accounts.named(actor)?.clone();
        let grants = actor.grants.clone();
        let authority = Authority { is_administrator: actor.is_administrator, grants, limit: Limit::default() };
        let may = accounts.is_active(&actor) && decide(&authority, right, object) == Verdict::Allowed;
        Some((actor, may))
    }
}

/// The right on the dataset that a privilege is.
pub fn right_for(privilege: Privilege) -> Right {
    match privilege {
        Privilege::Force | Privilege::SkipConflicts => Right::Own,
        Privilege::Decide => Right::Review,
    }
}

impl People for Members<'_> {
    fn voter(&self, actor: &str, table: &str) -> Voter {
        let object = if table.is_empty() { Object::Dataset(self.dataset) } else { Object::Table(self.dataset, table) };
        match self.may(actor, Right::Review, object) {
            Some((actor, may_vote)) => Voter { person: actor.person().to_string(), may_vote, is_agent: actor.is_agent() },
            None => Voter::default(),
        }
    }
    fn has(&self, actor: &str, privilege: Privilege) -> bool {
        self.may(actor, right_for(privilege), Object::Dataset(self.dataset)).is_some_and(|(_, may)| may)
    }
    fn actors(&self) -> Vec<String> {
        self.registrar.accounts().actors().map(|actor| actor.name.clone()).collect()
    }
}

//! Who may decide on proposals of a dataset, by the accounts as they are at the moment.
use mainstem::accounts::Registrar;
use mainstem::core::authority::{Authority, Limit, Object, Right, Verdict, decide};
use mainstem::core::vote::Voter;
use mainstem::review::{People, Privilege};

/// The members of a dataset.
pub struct Members<'a> {
    /// The accounts.
    pub registrar: &'a Registrar,
    /// The dataset.
    pub dataset: &'a str,
}

impl Members<'_> {
    fn may(&self, actor: &str, right: Right, object: Object<'_>) -> Option<(u64, bool)> {
        let accounts = self.registrar.accounts();
        let actor = accounts.named(actor).filter(|actor| !actor.is_disabled)?;
        let authority = Authority { is_administrator: actor.is_administrator, grants: actor.grants.clone(), limit: Limit::default() };
        Some((actor.id, decide(&authority, right, object) == Verdict::Allowed))
    }
}

impl People for Members<'_> {
    fn voter(&self, actor: &str, table: &str) -> Voter {
        match self.may(actor, Right::Review, Object::Table(self.dataset, table)) {
            Some((id, may_vote)) => Voter { person: id.to_string(), may_vote, is_agent: false },
            // Nobody has the name any more: it is somebody all the same, who may not vote.
            None => Voter { person: actor.to_owned(), may_vote: false, is_agent: false },
        }
    }
    fn has(&self, actor: &str, privilege: Privilege) -> bool {
        let right = match privilege {
            Privilege::Force | Privilege::SkipConflicts => Right::Own,
            Privilege::Decide => Right::Review,
        };
        self.may(actor, right, Object::Dataset(self.dataset)).is_some_and(|(_, may)| may)
    }
}

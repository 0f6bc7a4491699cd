//! What somebody may do, and whose work comes in: the name on it is that of the token, not of the body; the replica it
//! comes from is the actor's own; and each table in it is one that the actor may write to.
//!
//! Invariant: nothing that a body says of who did something is believed.
use crate::accounts::{Identity, Registrar};
use crate::error::{Error, Result};
use crate::members::{Members, right_for};
use crate::primary::{Acquaintance, Primary, Seen};
use crate::review::{By, Deed, Judged, People, Privilege};
use mainstem_core::ErrorKind;
use mainstem_core::authority::{Object, Right, Verdict, decide};
use mainstem_core::change::Front;
use mainstem_core::chronicle::Chronicle;
use mainstem_core::conflict::Conflict;
use mainstem_core::proposal::Assessment;
use mainstem_core::stamp::ReplicaId;
use mainstem_core::vote::Voter;
use std::collections::BTreeSet;

/// Who asks, for which dataset.
pub struct Author<'a> {
    /// The accounts.
    pub registrar: &'a Registrar,
    /// Who.
    pub identity: &'a Identity,
    /// The dataset.
    pub dataset: &'a str,
}

impl Author<'_> {
    /// The name on what is done.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// A replica's word of where it stands, as its actor's.
    pub fn seen(&self, known: &Acquaintance, seen: Seen) -> Result<Seen> {
        self.admit(known, seen.replica)?;
        Ok(Seen { actor: self.name().to_string(), ..seen })
    }

    /// A changeset as it is taken from this author.
    pub fn front(&self, known: &Acquaintance, mut front: Front, primary: &mut dyn Primary) -> Result<Front> {
        self.check_tables(&front, Right::Write, primary)?;
        if front.again.is_some() {
            self.offer_again(&mut front, primary)?;
        } else {
            self.admit(known, front.header.replica)?;
            front.header.actor = self.name().to_string();
            for conflict in &mut front.conflicts {
                conflict.ours.actor = self.name().to_string();
            }
        }
        (front.token, front.sender) = (self.token_label(), self.sender());
        for resolution in &mut front.resolutions {
            resolution.actor = self.name().to_string();
        }
        Ok(front)
    }

    /// A changeset as it is offered for review by this author.
    pub fn proposed(&self, known: &Acquaintance, mut front: Front, primary: &mut dyn Primary) -> Result<Front> {
        self.check_tables(&front, Right::Propose, primary)?;
        self.admit(known, front.header.replica)?;
        front.header.actor = self.name().to_string();
        for conflict in &mut front.conflicts {
            conflict.ours.actor = self.name().to_string();
        }
        for resolution in &mut front.resolutions {
            resolution.actor = self.name().to_string();
        }
        Ok(front)
    }

    /// Checks a changeset that was made here, in this author's name, under a replica's name that is nobody's.
    pub fn check_drafted(&self, front: &Front, primary: &mut dyn Primary) -> Result<()> {
        self.check_tables(front, Right::Write, primary)
    }

    /// What the token is called that this author shows.
    pub fn token_label(&self) -> Option<String> {
        self.registrar.accounts().token(self.identity.token).map(|token| token.label.clone())
    }

    /// One word for this author, under every name, with every token, and for each program that they answer for.
    pub fn sender(&self) -> Option<String> {
        let accounts = self.registrar.accounts();
        accounts.named(self.name()).map(|actor| format!("#{}", actor.person()))
    }

    /// A vote takes the right to review one of the tables that the proposal touches. What else is done to a proposal takes no
    /// more than its route did, and its author's name where it is its author's to do.
    pub fn check_deed(&self, proposal: u64, deed: &Deed, primary: &mut dyn Primary) -> Result<()> {
        if !matches!(deed, Deed::Vote(_)) {
            return Ok(());
        }
        let tables = tables_of(&self.judged(proposal, primary)?);
        let mut refused = permit(self.identity, Right::Review, Object::Dataset(self.dataset));
        for table in &tables {
            if refused.is_ok() {
                break;
            }
            refused = permit(self.identity, Right::Review, Object::Table(self.dataset, table));
        }
        refused
    }

    /// A merge takes the right to write to each table that it touches; the schema is the whole dataset's.
    pub fn check_merge(&self, proposal: u64, primary: &mut dyn Primary) -> Result<()> {
        let judged = self.judged(proposal, primary)?;
        let changes_schema = |assessment: &Assessment| !assessment.outcome.schema.is_empty();
        if !judged.proposal.head().front.schema.is_empty() || judged.assessment.as_ref().is_some_and(changes_schema) {
            return permit(self.identity, Right::Write, Object::Dataset(self.dataset));
        }
        let tables = tables_of(&judged);
        tables.iter().try_for_each(|table| permit(self.identity, Right::Write, Object::Table(self.dataset, table)))
    }

    /// To revise what somebody else offered takes the right to write to each table that it touches.
    pub fn check_revise(&self, proposal: u64, primary: &mut dyn Primary) -> Result<()> {
        let is_others = self.judged(proposal, primary)?.proposal.actor != self.name();
        if is_others { self.check_merge(proposal, primary) } else { Ok(()) }
    }

    /// To take a version back takes the right to propose changes to each of its tables.
    pub fn check_revert(&self, version: u64, primary: &mut dyn Primary) -> Result<()> {
        let found = primary.version(version)?.ok_or_else(|| Error::not_found(format!("there is no version {version}")))?;
        let tables: BTreeSet<&str> = found.shapes.iter().map(|shape| shape.table.as_str()).collect();
        tables.iter().try_for_each(|table| permit(self.identity, Right::Propose, Object::Table(self.dataset, table)))
    }

    fn judged(&self, proposal: u64, primary: &mut dyn Primary) -> Result<Judged> {
        let by = By { actor: self.name(), token: None, people: self, request: None };
        primary.proposal(proposal, by)?.ok_or_else(|| Error::not_found(format!("there is no proposal {proposal}")))
    }

    /// What was accepted once and lost by a restored primary is whose it was, on the word of whoever offers it again; both
    /// names stay on it. Whose replica it is from is known here, whatever is said: another's is never taken for one's own, nor
    /// one's own for another's. A number of another's replica is not theirs to give.
    fn offer_again(&self, front: &mut Front, primary: &mut dyn Primary) -> Result<()> {
        if primary.describe()?.restored.is_none() {
            return Err(Error::invalid("nothing was lost here that could be offered again"));
        }
        let accounts = self.registrar.accounts();
        let owner = accounts.device(front.header.replica).and_then(|device| accounts.actor(device.actor).cloned());
        let said = front.header.actor.clone();
        let speaks_of = |id| said.split(", ").any(|name| accounts.named(name).is_some_and(|actor| actor.id == id));
        let whose = match owner {
            Some(owner) if owner.id == self.identity.actor => {
                if speaks_of(owner.id) {
                    said.clone()
                } else {
                    owner.name
                }
            }
            Some(owner) => {
                front.header.sequence = 0;
                if speaks_of(owner.id) { said.clone() } else { owner.name }
            }
            None => said.clone(),
        };
        front.header.actor = self.on_the_word_of(whose);
        for conflict in &mut front.conflicts {
            conflict.ours.actor = self.on_the_word_of(std::mem::take(&mut conflict.ours.actor));
        }
        Ok(())
    }

    /// A name that this author says, as it stands where somebody else's is meant.
    fn on_the_word_of(&self, said: String) -> String {
        // No actor's name has a comma in it, so this is nobody else's.
        if said == self.name() { said } else { format!("{}, for {said}", self.name()) }
    }

    fn admit(&self, known: &Acquaintance, replica: ReplicaId) -> Result<()> {
        if replica.0 == known.lineage || replica == ReplicaId::default() {
            return Err(Error::invalid("that is no replica's name, but the primary's own"));
        }
        self.registrar.admit(self.identity, replica, self.dataset)
    }

    /// Each table that is changed, or whose conflicts are answered, must be one that the author has the right on. The schema is
    /// the whole dataset's. What the author does not see is left to the primary, which shows no more than that.
    fn check_tables(&self, front: &Front, right: Right, primary: &mut dyn Primary) -> Result<()> {
        let whole = Object::Dataset(self.dataset);
        if decide(&self.identity.authority, right, whole) == Verdict::Allowed {
            return Ok(());
        }
        if !front.schema.is_empty() || front.again.is_some() {
            return permit(self.identity, right, whole);
        }
        let chronicle = primary.chronicle()?;
        let (then, now) = (chronicle.at(front.header.base_version), chronicle.now());
        let identity = self.following(&chronicle);
        let is_seen = |table| decide(&identity.authority, Right::Read, Object::Table(self.dataset, table)) == Verdict::Allowed;
        let mut written = answered_tables(front, primary)?;
        for shape in &front.shapes {
            let ids = [then, now].map(|era| era.table(&shape.table).map(|table| table.id));
            // A name that stood for another table when the changeset was made would lead past the roles.
            if ids[0] != ids[1] {
                let message = format!("table {} was renamed or made anew since", shape.table);
                return Err(Error::new(ErrorKind::Denied, "forbidden", message).hint("mainstem pull, then mainstem push"));
            }
            if is_seen(&shape.table) {
                written.insert(shape.table.clone());
            }
        }
        written.iter().try_for_each(|table| permit(&identity, right, Object::Table(self.dataset, table)))
    }

    /// The identity with its roles on the tables as they are called now.
    fn following(&self, chronicle: &Chronicle) -> Identity {
        let mut identity = self.identity.clone();
        for grant in identity.authority.grants.iter_mut().filter(|grant| grant.dataset == self.dataset) {
            let now = grant.table.as_ref().and_then(|table| chronicle.follow(table));
            grant.table = now.map(|table| table.name.clone()).or(grant.table.take());
        }
        identity
    }
}

/// Who may do what now; of whoever asks, no more than the token that they ask with.
impl People for Author<'_> {
    fn voter(&self, actor: &str, table: &str) -> Voter {
        Members { registrar: self.registrar, dataset: self.dataset }.voter(actor, table)
    }
    fn has(&self, actor: &str, privilege: Privilege) -> bool {
        let may = || permit(self.identity, right_for(privilege), Object::Dataset(self.dataset)).is_ok();
        Members { registrar: self.registrar, dataset: self.dataset }.has(actor, privilege) && (actor != self.name() || may())
    }
    fn actors(&self) -> Vec<String> {
        Members { registrar: self.registrar, dataset: self.dataset }.actors()
    }
}

/// The tables whose rows a proposal changes, and those that merging it does.
fn tables_of(judged: &Judged) -> BTreeSet<String> {
    let outcome = judged.assessment.iter().flat_map(|assessment| &assessment.outcome.shapes);
    judged.proposal.head().front.shapes.iter().chain(outcome).map(|shape| shape.table.clone()).collect()
}

/// The tables of the conflicts that a changeset brings or answers.
fn answered_tables(front: &Front, primary: &mut dyn Primary) -> Result<BTreeSet<String>> {
    let mut tables: BTreeSet<String> = front.conflicts.iter().map(|conflict| conflict.table.clone()).collect();
    if !front.resolutions.is_empty() {
        let answered: BTreeSet<u64> = front.resolutions.iter().map(|resolution| resolution.conflict).collect();
        let open = primary.conflicts(true)?.into_iter().filter(|c: &Conflict| answered.contains(&c.id));
        tables.extend(open.map(|conflict| conflict.table));
    }
    Ok(tables)
}

/// Checks a right on something, and says why it is not granted.
pub fn permit(identity: &Identity, right: Right, object: Object<'_>) -> Result<()> {
    let name = &identity.name;
    let forbidden = |why: String| Error::new(ErrorKind::Denied, "forbidden", why);
    match decide(&identity.authority, right, object) {
        Verdict::Allowed => Ok(()),
        Verdict::Hidden => Err(absent(dataset_of(object))),
        Verdict::Limited => Err(forbidden(format!("{name} may {}, but this token is limited", deed(right, object)))
            .hint("mainstem login ADDRESS, with another token")),
        Verdict::Denied => {
            let who = if object == Object::Server { "an administrator" } else { "an owner of the dataset" };
            Err(forbidden(format!("{name} may not {}", deed(right, object))).hint(format!("ask {who} for a role that includes it")))
        }
    }
}

fn deed(right: Right, object: Object<'_>) -> String {
    let on = match object {
        Object::Account => return "change their account".into(),
        Object::Server => return "administer the server".into(),
        Object::Dataset(dataset) | Object::Within(dataset) => dataset.to_string(),
        Object::Table(dataset, table) => format!("table {table} of {dataset}"),
    };
    match right {
        Right::Read => format!("read {on}"),
        Right::Propose => format!("propose changes to {on}"),
        Right::Write => format!("push changes to {on}"),
        Right::Review => format!("review changes of {on}"),
        Right::Own => format!("say how {on} is run"),
    }
}

fn dataset_of(object: Object<'_>) -> &str {
    match object {
        Object::Dataset(dataset) | Object::Within(dataset) | Object::Table(dataset, _) => dataset,
        Object::Account | Object::Server => "",
    }
}

/// The answer where there is no such dataset, or none that whoever asks may know of.
pub fn absent(dataset: &str) -> Error {
    Error::new(ErrorKind::NotFound, "no_primary", format!("there is no dataset {dataset}, or you have no role on it"))
        .hint("ask its owner for a role, or look at the address again")
}

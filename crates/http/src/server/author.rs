//! Whose work comes in: the name on it is that of the token, not of the body; the replica it comes from is the actor's own;
//! and each table in it is one that the actor may write to.
//!
//! Invariant: nothing that a body says of who did something is believed.
use super::guard::permit;
use mainstem::accounts::{Identity, Registrar};
use mainstem::core::ErrorKind;
use mainstem::core::authority::{Object, Right, Verdict, decide};
use mainstem::core::change::Front;
use mainstem::core::chronicle::Chronicle;
use mainstem::core::conflict::Conflict;
use mainstem::core::stamp::ReplicaId;
use mainstem::error::{Error, Result};
use mainstem::primary::{Acquaintance, Primary, Seen};
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
        self.check_tables(&front, primary)?;
        if front.again.is_some() {
            self.offer_again(&mut front, primary)?;
        } else {
            self.admit(known, front.header.replica)?;
            front.header.actor = self.name().to_string();
            for conflict in &mut front.conflicts {
                conflict.ours.actor = self.name().to_string();
            }
        }
        for resolution in &mut front.resolutions {
            resolution.actor = self.name().to_string();
        }
        Ok(front)
    }

    /// What was accepted once and lost by a restored primary is whose it was, on the word of whoever offers it again; both
    /// names stay on it. Numbers of replicas do not count for it.
    fn offer_again(&self, front: &mut Front, primary: &mut dyn Primary) -> Result<()> {
        if primary.describe()?.restored.is_none() {
            return Err(Error::invalid("nothing was lost here that could be offered again"));
        }
        if front.header.actor != self.name() {
            // No actor's name has a comma in it, so this is nobody else's.
            front.header.actor = format!("{}, for {}", self.name(), front.header.actor);
        }
        Ok(())
    }

    fn admit(&self, known: &Acquaintance, replica: ReplicaId) -> Result<()> {
        if replica.0 == known.lineage || replica == ReplicaId::default() {
            return Err(Error::invalid("that is no replica's name, but the primary's own"));
        }
        self.registrar.admit(self.identity, replica, self.dataset)
    }

    /// Each table that is changed, or whose conflicts are answered, must be one that the author may write to. The schema is
    /// the whole dataset's. What the author does not see is left to the primary, which shows no more than that.
    fn check_tables(&self, front: &Front, primary: &mut dyn Primary) -> Result<()> {
        let whole = Object::Dataset(self.dataset);
        if decide(&self.identity.authority, Right::Write, whole) == Verdict::Allowed {
            return Ok(());
        }
        if !front.schema.is_empty() || front.again.is_some() {
            return permit(self.identity, Right::Write, whole);
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
        written.iter().try_for_each(|table| permit(&identity, Right::Write, Object::Table(self.dataset, table)))
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

//! A server's accounts: actors, their tokens, roles and replicas, as a fold of facts.
//!
//! Invariant: a number and a name that an actor ever had are never another's, so what it did stays its own.
//! Invariant: once there is an administrator who is not disabled, there is always one.
//! Deliberately absent: tokens themselves; only their digests come here.
use crate::authority::{Authority, Grant, Limit, Role};
use crate::event::Digest;
use crate::stamp::{ReplicaId, Time};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// An actor's number, from 1. Zero is the server itself.
pub type ActorId = u64;
/// The number that stands for the server itself.
pub const SERVER: ActorId = 0;
/// A token's number, from 1.
pub type TokenId = u64;
/// The longest name of an actor, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// The most replicas that one actor registers, and tokens that are made for it, over all time.
pub const EACH_MAX: usize = 10_000;
/// The most roles of one actor.
pub const GRANTS_MAX: usize = 1_000;
/// The longest name of a dataset or table in a role or limit, in bytes.
const PLACE_BYTES_MAX: usize = 1_024;

/// One fact about accounts: who did what, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEvent {
    /// When.
    pub at: Time,
    /// Who did it.
    pub by: ActorId,
    /// What.
    pub fact: Fact,
}

/// What happened to accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The first fact: 128 random bits that name this server's accounts.
    Founded(u128),
    /// An actor was added.
    ActorAdded {
        /// Its number, the next one.
        actor: ActorId,
        /// Its name.
        name: String,
    },
    /// A program was added as an actor. It is its person's doing, in votes too.
    AgentAdded {
        /// Its number, the next one.
        actor: ActorId,
        /// Its name.
        name: String,
        /// The person who answers for it.
        answered_by: ActorId,
    },
    /// An actor has another name from here on.
    ActorRenamed {
        /// The actor.
        actor: ActorId,
        /// The name.
        name: String,
    },
    /// An actor was disabled, or enabled again. Nothing of what it was is given away.
    ActorDisabled {
        /// The actor.
        actor: ActorId,
        /// True where it may do nothing from here on.
        is_disabled: bool,
    },
    /// An actor was made an administrator, or is none any more.
    Administrator {
        /// The actor.
        actor: ActorId,
        /// True where it is one from here on.
        is_administrator: bool,
    },
    /// A token was created.
    TokenCreated(Token),
    /// A token was revoked.
    TokenRevoked(TokenId),
    /// A role was given, or taken away.
    RoleSet {
        /// To whom, or from whom.
        actor: ActorId,
        /// On which dataset.
        dataset: String,
        /// On which of its tables; none for the dataset as a whole.
        table: Option<String>,
        /// The role from here on.
        role: Option<Role>,
    },
    /// A replica came for the first time.
    ReplicaRegistered(Device),
    /// A replica was shut out.
    ReplicaRevoked(ReplicaId),
}

/// An actor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Its number.
    pub id: ActorId,
    /// Its name.
    pub name: String,
    /// When it was added.
    pub added_at: Time,
    /// The person who answers for it, for a program; none for a person.
    pub answered_by: Option<ActorId>,
    /// True where it may do nothing.
    pub is_disabled: bool,
    /// True where it administers the server.
    pub is_administrator: bool,
    /// Its roles.
    pub grants: Vec<Grant>,
}

impl Actor {
    /// True for a program.
    pub fn is_agent(&self) -> bool {
        self.answered_by.is_some()
    }
    /// Who it is when people are counted: whoever answers for it, or itself.
    pub fn person(&self) -> ActorId {
        self.answered_by.unwrap_or(self.id)
    }
}

/// A token, without its secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// Whose it is; [`SERVER`] for the one with which the first administrator is made.
    pub actor: ActorId,
    /// What its owner calls it.
    pub label: String,
    /// The digest of its text.
    pub digest: Digest,
    /// What it may be used for.
    pub limit: Limit,
    /// From when on it is worth nothing.
    pub expires_at: Option<Time>,
    /// When it was created. Not part of the fact, whose time it is.
    pub created_at: Time,
    /// When it was revoked. Not part of the fact.
    pub revoked_at: Option<Time>,
}

impl Token {
    /// True where it may be used at that time.
    pub fn is_good(&self, now: Time) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// A replica that was registered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The replica.
    pub replica: ReplicaId,
    /// Whose it is.
    pub actor: ActorId,
    /// The dataset that it is a replica of.
    pub dataset: String,
    /// When it came. Not part of the fact, whose time it is.
    pub registered_at: Time,
    /// When it was shut out. Not part of the fact.
    pub revoked_at: Option<Time>,
}

/// Why a fact cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no actor of that number.
    NoActor(ActorId),
    /// There is no token of that number, or it was revoked already.
    NoToken(TokenId),
    /// There is no replica of that name, or it was shut out already.
    NoReplica(ReplicaId),
    /// The name is, or was, another's.
    NameTaken(String),
    /// The name is empty, too long, or has what no name has.
    NameUnfit(String),
    /// Nobody would be left to administer the server.
    LastAdministrator,
    /// The actor is disabled.
    Disabled(ActorId),
    /// The actor is an agent, and only a person may be that.
    NoPerson(ActorId),
    /// The replica is registered to another actor.
    OthersReplica(ReplicaId),
    /// The actor has as many of these as one may have.
    TooMany(&'static str),
    /// It does not follow what was before it.
    OutOfOrder,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::NoActor(actor) => write!(f, "there is no actor {actor}"),
            Refusal::NoToken(token) => write!(f, "there is no token {token} that could be revoked"),
            Refusal::NoReplica(replica) => write!(f, "there is no replica {replica} that could be revoked"),
            Refusal::NameTaken(name) => write!(f, "the name {name} is, or once was, another actor's"),
            Refusal::NameUnfit(why) => write!(f, "the name {why}"),
            Refusal::LastAdministrator => f.write_str("nobody would be left to administer the server"),
            Refusal::Disabled(actor) => write!(f, "actor {actor} is disabled"),
            Refusal::NoPerson(actor) => write!(f, "actor {actor} is an agent, and agents neither administer nor answer for agents"),
            Refusal::OthersReplica(_) => f.write_str("the replica is registered to another actor"),
            Refusal::TooMany(what) => write!(f, "the actor has as many {what} as one may have"),
            Refusal::OutOfOrder => f.write_str("it does not follow what was before it"),
        }
    }
}

/// Every account, as the facts so far made them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    server: u128,
    actors: BTreeMap<ActorId, Actor>,
    /// Every name that was ever an actor's, as [`folded`] spells it.
    names: BTreeMap<String, ActorId>,
    tokens: BTreeMap<TokenId, Token>,
    digests: BTreeMap<Digest, TokenId>,
    devices: BTreeMap<ReplicaId, Device>,
}

impl Accounts {
    /// What names this server's accounts; zero before the first fact.
    pub fn server(&self) -> u128 {
        self.server
    }
    /// Every actor.
    pub fn actors(&self) -> impl Iterator<Item = &Actor> {
        self.actors.values()
    }
    /// An actor.
    pub fn actor(&self, actor: ActorId) -> Option<&Actor> {
        self.actors.get(&actor)
    }
    /// The actor of that name, or that had it once.
    pub fn named(&self, name: &str) -> Option<&Actor> {
        self.names.get(&folded(name)).and_then(|id| self.actors.get(id))
    }
    /// Every token.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }
    /// A token.
    pub fn token(&self, token: TokenId) -> Option<&Token> {
        self.tokens.get(&token)
    }
    /// The token of that digest.
    pub fn token_of(&self, digest: &Digest) -> Option<&Token> {
        self.digests.get(digest).and_then(|id| self.tokens.get(id))
    }
    /// Every replica that was registered.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.devices.values()
    }
    /// A replica.
    pub fn device(&self, replica: ReplicaId) -> Option<&Device> {
        self.devices.get(&replica)
    }
    /// True once somebody administers the server.
    pub fn is_set_up(&self) -> bool {
        self.administrators() > 0
    }
    /// The number of the next actor.
    pub fn next_actor(&self) -> ActorId {
        self.actors.last_key_value().map_or(SERVER, |(id, _)| *id) + 1
    }
    /// The number of the next token.
    pub fn next_token(&self) -> TokenId {
        self.tokens.last_key_value().map_or(0, |(id, _)| *id) + 1
    }
    /// What a token entitles to: its actor's roles within its limit. None for an actor that is disabled, and for the
    /// server's own.
    pub fn authority(&self, token: &Token) -> Option<Authority> {
        let actor = self.actors.get(&token.actor).filter(|actor| self.is_active(actor))?;
        Some(Authority { is_administrator: actor.is_administrator, grants: actor.grants.clone(), limit: token.limit.clone() })
    }

    /// True where an actor may act: neither it nor whoever answers for it is disabled.
    pub fn is_active(&self, actor: &Actor) -> bool {
        !actor.is_disabled && self.actors.get(&actor.person()).is_some_and(|person| !person.is_disabled)
    }

    /// Adds a fact, where it can be.
    pub fn add(&mut self, event: &AccountEvent) -> Result<(), Refusal> {
        self.check(&event.fact)?;
        self.apply(event);
        Ok(())
    }

    fn check(&self, fact: &Fact) -> Result<(), Refusal> {
        if matches!(fact, Fact::Founded(_)) != (self.server == 0) {
            return Err(Refusal::OutOfOrder);
        }
        match fact {
            Fact::Founded(server) if *server == 0 => Err(Refusal::OutOfOrder),
            Fact::Founded(_) => Ok(()),
            Fact::ActorAdded { actor, .. } | Fact::AgentAdded { actor, .. } if *actor != self.next_actor() => Err(Refusal::OutOfOrder),
            Fact::ActorAdded { actor, name } => self.check_name(*actor, name),
            Fact::AgentAdded { actor, name, answered_by } => self.check_person(*answered_by).and_then(|()| self.check_name(*actor, name)),
            Fact::ActorRenamed { actor, name } => self.must(*actor).and_then(|_| self.check_name(*actor, name)),
            Fact::ActorDisabled { actor, is_disabled } => self.check_standing(*actor, *is_disabled),
            Fact::Administrator { actor, is_administrator: true } => self.check_person(*actor),
            Fact::Administrator { actor, is_administrator: false } => self.check_standing(*actor, true),
            Fact::TokenCreated(token) => self.check_token(token),
            Fact::TokenRevoked(id) => match self.tokens.get(id).filter(|token| token.revoked_at.is_none()) {
                Some(_) => Ok(()),
                None => Err(Refusal::NoToken(*id)),
            },
            Fact::RoleSet { actor, dataset, table, role } => self.check_role(*actor, dataset, table.as_deref(), role.is_some()),
            Fact::ReplicaRegistered(device) => self.check_device(device),
            Fact::ReplicaRevoked(replica) => match self.devices.get(replica).filter(|device| device.revoked_at.is_none()) {
                Some(_) => Ok(()),
                None => Err(Refusal::NoReplica(*replica)),
            },
        }
    }

    fn apply(&mut self, event: &AccountEvent) {
        match &event.fact {
            Fact::Founded(server) => self.server = *server,
            Fact::ActorAdded { actor, name } => self.enter(*actor, name, event.at, None),
            Fact::AgentAdded { actor, name, answered_by } => self.enter(*actor, name, event.at, Some(*answered_by)),
            Fact::ActorRenamed { actor, name } => {
                self.names.insert(folded(name), *actor);
                self.change(*actor, |actor| actor.name.clone_from(name));
            }
            Fact::ActorDisabled { actor, is_disabled } => self.change(*actor, |actor| actor.is_disabled = *is_disabled),
            Fact::Administrator { actor, is_administrator } => self.change(*actor, |actor| actor.is_administrator = *is_administrator),
            Fact::TokenCreated(token) => {
                self.digests.insert(token.digest, token.id);
                self.tokens.insert(token.id, Token { created_at: event.at, revoked_at: None, ..token.clone() });
            }
            Fact::TokenRevoked(id) => {
                if let Some(token) = self.tokens.get_mut(id) {
                    token.revoked_at = Some(event.at);
                }
            }
            Fact::RoleSet { actor, dataset, table, role } => self.change(*actor, |actor| set_role(actor, dataset, table.as_deref(), *role)),
            Fact::ReplicaRegistered(device) => {
                self.devices.insert(device.replica, Device { registered_at: event.at, revoked_at: None, ..device.clone() });
            }
            Fact::ReplicaRevoked(replica) => {
                if let Some(device) = self.devices.get_mut(replica) {
                    device.revoked_at = Some(event.at);
                }
            }
        }
    }

    fn enter(&mut self, id: ActorId, name: &str, added_at: Time, answered_by: Option<ActorId>) {
        self.names.insert(folded(name), id);
        self.actors.insert(id, Actor { id, name: name.to_string(), added_at, answered_by, ..Actor::default() });
    }
    fn administrators(&self) -> usize {
        self.actors.values().filter(|actor| actor.is_administrator && !actor.is_disabled).count()
    }
    fn must(&self, actor: ActorId) -> Result<&Actor, Refusal> {
        self.actors.get(&actor).ok_or(Refusal::NoActor(actor))
    }
    fn change(&mut self, actor: ActorId, change: impl FnOnce(&mut Actor)) {
        if let Some(actor) = self.actors.get_mut(&actor) {
            change(actor);
        }
    }
    /// Whether an actor may take a name.
    fn check_name(&self, actor: ActorId, name: &str) -> Result<(), Refusal> {
        if let Some(why) = why_unfit(name) {
            return Err(Refusal::NameUnfit(why.to_string()));
        }
        match self.names.get(&folded(name)) {
            Some(id) if *id != actor => Err(Refusal::NameTaken(name.to_string())),
            _ => Ok(()),
        }
    }
    fn check_person(&self, actor: ActorId) -> Result<(), Refusal> {
        if self.must(actor)?.is_agent() { Err(Refusal::NoPerson(actor)) } else { Ok(()) }
    }
    /// Whether an actor may lose what it administers by, where it would.
    fn check_standing(&self, actor: ActorId, is_loss: bool) -> Result<(), Refusal> {
        let actor = self.must(actor)?;
        let is_last = actor.is_administrator && !actor.is_disabled && self.administrators() == 1;
        if is_loss && is_last { Err(Refusal::LastAdministrator) } else { Ok(()) }
    }
    fn check_token(&self, token: &Token) -> Result<(), Refusal> {
        if token.id != self.next_token() || self.digests.contains_key(&token.digest) {
            return Err(Refusal::OutOfOrder);
        }
        if token.label.len() > NAME_BYTES_MAX || token.label.chars().any(|c| c.is_control() || is_invisible(c)) {
            return Err(Refusal::NameUnfit("of the token is too long, or has something invisible in it".to_string()));
        }
        check_place(token.limit.dataset.as_deref().unwrap_or_default())?;
        if token.actor != SERVER && self.tokens.values().filter(|t| t.actor == token.actor).count() >= EACH_MAX {
            return Err(Refusal::TooMany("tokens"));
        }
        match self.actors.get(&token.actor) {
            Some(actor) if actor.is_disabled => Err(Refusal::Disabled(actor.id)),
            None if token.actor != SERVER => Err(Refusal::NoActor(token.actor)),
            _ => Ok(()),
        }
    }
    fn check_device(&self, device: &Device) -> Result<(), Refusal> {
        let actor = self.must(device.actor)?;
        if self.devices.contains_key(&device.replica) {
            return Err(Refusal::OthersReplica(device.replica));
        }
        if self.devices.values().filter(|d| d.actor == actor.id).count() >= EACH_MAX {
            return Err(Refusal::TooMany("replicas"));
        }
        check_place(&device.dataset)
    }
    fn check_role(&self, actor: ActorId, dataset: &str, table: Option<&str>, is_given: bool) -> Result<(), Refusal> {
        check_place(dataset)?;
        check_place(table.unwrap_or_default())?;
        let is_full = self.must(actor)?.grants.len() >= GRANTS_MAX;
        if is_given && is_full { Err(Refusal::TooMany("roles")) } else { Ok(()) }
    }
}

fn set_role(actor: &mut Actor, dataset: &str, table: Option<&str>, role: Option<Role>) {
    let is_same = |a: Option<&str>, b: Option<&str>| match (a, b) {
        (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
        (a, b) => a == b,
    };
    actor.grants.retain(|grant| grant.dataset != dataset || !is_same(grant.table.as_deref(), table));
    if let Some(role) = role {
        actor.grants.push(Grant { dataset: dataset.to_string(), table: table.map(ToString::to_string), role });
        actor.grants.sort();
    }
}

fn check_place(name: &str) -> Result<(), Refusal> {
    if name.len() > PLACE_BYTES_MAX { Err(Refusal::NameUnfit("of a dataset or table is too long".to_string())) } else { Ok(()) }
}

/// A name as it is compared: two that differ in letter case only are one.
fn folded(name: &str) -> String {
    name.to_lowercase()
}

/// Why a text is no actor's name. Names stand in lists, in histories for ever, and before `, for` where somebody offers
/// another's work again, so they are one line without a comma, and nothing in them is invisible.
fn why_unfit(name: &str) -> Option<&'static str> {
    let is_odd = |c: char| c.is_control() || c == ',' || (c.is_whitespace() && c != ' ') || is_invisible(c);
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        Some("is empty or too long")
    } else if name.trim() != name || name.contains("  ") {
        Some("begins or ends with a space, or has two in a row")
    } else if name.chars().any(is_odd) {
        Some("has a comma, a line end or something invisible in it")
    } else {
        None
    }
}

/// Characters that change how others are shown, or are not shown themselves.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;

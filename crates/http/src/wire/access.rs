//! Accounts as JSON: what is asked for, and what is answered. Moments are milliseconds since 1970.
//!
//! Invariant: what is asked has its own types, so nobody can set what is not meant to be set; and no type but [`Created`] has
//! a token's text in it.
use mainstem::accounts::Identity;
use mainstem::core::account::{self, AccountEvent, Accounts, ActorId, Fact, SERVER};
use mainstem::core::authority::{Grant, Limit, Right, Role};
use mainstem::core::event::Digest;
use mainstem::sign_in::SignIn;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for the first administrator.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SetUp {
    /// The administrator's name.
    pub name: String,
    /// What the administrator's token is called.
    #[serde(default)]
    pub label: String,
}

/// A token that was just created.
#[derive(Clone, Deserialize, JsonSchema, Serialize)]
pub struct Created {
    /// Its number.
    pub id: u64,
    /// Its text, shown this once.
    pub token: String,
}

/// Asks for an actor.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewActor {
    /// Its name.
    pub name: String,
    /// Whether it is a program.
    #[serde(default)]
    pub is_agent: bool,
    /// The person who answers for the program; whoever asks where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_by: Option<String>,
}

/// What is to be different about an actor.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ActorChange {
    /// Its name from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it may do nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_disabled: Option<bool>,
    /// Whether it administers the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_administrator: Option<bool>,
}

impl ActorChange {
    /// The facts that make it so, for an actor as it is.
    pub fn facts(&self, actor: &account::Actor) -> Vec<Fact> {
        let id = actor.id;
        let name = self.name.clone().filter(|name| *name != actor.name).map(|name| Fact::ActorRenamed { actor: id, name });
        let promoted = self.is_administrator.filter(|is| *is != actor.is_administrator);
        let disabled = self.is_disabled.filter(|is| *is != actor.is_disabled);
        let promoted = promoted.map(|is_administrator| Fact::Administrator { actor: id, is_administrator });
        let disabled = disabled.map(|is_disabled| Fact::ActorDisabled { actor: id, is_disabled });
        name.into_iter().chain(promoted).chain(disabled).collect()
    }
}

/// Asks for a token.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// For whom; whoever asks where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What it is called.
    #[serde(default)]
    pub label: String,
    /// The highest right that it may be used for: `read`, `propose`, `write`, `review`, `own`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<String>,
    /// The one dataset that it may be used for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// After how many seconds it is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lives_s: Option<u64>,
}

/// Asks for a role, or for its end.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RoleWish {
    /// Whose.
    pub actor: String,
    /// On which table; the dataset as a whole where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// `viewer`, `proposer`, `contributor`, `reviewer`, `owner`; none from here on where null.
    pub role: Option<String>,
}

/// Asks for events.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsAsked {
    /// Those after this place.
    #[serde(default)]
    pub after: u64,
}

/// A role.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RoleOn {
    /// The dataset.
    pub dataset: String,
    /// The table; the dataset as a whole where none.
    pub table: Option<String>,
    /// The role.
    pub role: &'static str,
}

impl RoleOn {
    fn of(grant: &Grant) -> RoleOn {
        RoleOn { dataset: grant.dataset.clone(), table: grant.table.clone(), role: grant.role.name() }
    }
}

/// Who has a role.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct RoleOf {
    /// Who.
    pub actor: String,
    /// On which table; the dataset as a whole where none.
    pub table: Option<String>,
    /// The role.
    pub role: &'static str,
}

/// Who has which role on a dataset.
pub fn roles_on(accounts: &Accounts, dataset: &str) -> Vec<RoleOf> {
    let grants = accounts.actors().flat_map(|actor| actor.grants.iter().map(move |grant| (actor, grant)));
    let here = grants.filter(|(_, grant)| grant.dataset == dataset);
    here.map(|(actor, grant)| RoleOf { actor: actor.name.clone(), table: grant.table.clone(), role: grant.role.name() }).collect()
}

/// A browser in which somebody is signed in.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Browser {
    /// Its number.
    pub id: u64,
    /// What it calls itself.
    pub browser: String,
    /// The number of the token with which one signed in there.
    pub token: u64,
    /// When that was.
    pub began_at_ms: u64,
    /// When it was last seen, to the minute.
    pub seen_at_ms: u64,
    /// When it ends, should it not be seen again.
    pub ends_at_ms: u64,
}

impl Browser {
    /// That sign-in.
    pub fn of(sign_in: &SignIn) -> Browser {
        Browser {
            id: sign_in.id,
            browser: sign_in.browser.clone(),
            token: sign_in.token,
            began_at_ms: sign_in.began_at.ms(),
            seen_at_ms: sign_in.seen_at.ms(),
            ends_at_ms: sign_in.ends_at().ms(),
        }
    }
}

/// What a token is limited to.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LimitedTo {
    /// The highest right.
    pub right: Option<&'static str>,
    /// The one dataset.
    pub dataset: Option<String>,
}

impl LimitedTo {
    fn of(limit: &Limit) -> LimitedTo {
        LimitedTo { right: limit.right.map(Right::name), dataset: limit.dataset.clone() }
    }
}

/// Whom a token stands for.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Me {
    /// The actor's name.
    pub actor: String,
    /// Whether it is a program.
    pub is_agent: bool,
    /// Whether it administers the server.
    pub is_administrator: bool,
    /// Its roles.
    pub roles: Vec<RoleOn>,
    /// The token.
    pub token: Option<Token>,
}

impl Me {
    /// That identity.
    pub fn of(accounts: &Accounts, identity: &Identity) -> Me {
        Me {
            actor: identity.name.clone(),
            is_agent: accounts.actor(identity.actor).is_some_and(account::Actor::is_agent),
            is_administrator: identity.authority.is_administrator,
            roles: identity.authority.grants.iter().map(RoleOn::of).collect(),
            token: accounts.token(identity.token).map(|token| Token::of(accounts, token)),
        }
    }
}

/// An actor.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Actor {
    /// Its name.
    pub name: String,
    /// Whether it is a program.
    pub is_agent: bool,
    /// The person who answers for it, for a program.
    pub answered_by: Option<String>,
    /// Whether it administers the server.
    pub is_administrator: bool,
    /// Whether it may do nothing.
    pub is_disabled: bool,
    /// When it was added.
    pub added_at_ms: u64,
    /// Its roles.
    pub roles: Vec<RoleOn>,
}

impl Actor {
    /// That actor.
    pub fn of(accounts: &Accounts, actor: &account::Actor) -> Actor {
        Actor {
            name: actor.name.clone(),
            is_agent: actor.is_agent(),
            answered_by: actor.answered_by.and_then(|person| name_of(accounts, person)),
            is_administrator: actor.is_administrator,
            is_disabled: actor.is_disabled,
            added_at_ms: actor.added_at.ms(),
            roles: actor.grants.iter().map(RoleOn::of).collect(),
        }
    }
}

fn name_of(accounts: &Accounts, actor: ActorId) -> Option<String> {
    accounts.actor(actor).map(|actor| actor.name.clone()).filter(|_| actor != SERVER)
}

/// A token, without its text.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Token {
    /// Its number.
    pub id: u64,
    /// Whose it is; none for the setup token.
    pub actor: Option<String>,
    /// What it is called.
    pub label: String,
    /// What it is limited to.
    pub limit: LimitedTo,
    /// When it was created.
    pub created_at_ms: u64,
    /// From when on it is worth nothing.
    pub expires_at_ms: Option<u64>,
    /// When it was revoked.
    pub revoked_at_ms: Option<u64>,
}

impl Token {
    /// That token.
    pub fn of(accounts: &Accounts, token: &account::Token) -> Token {
        Token {
            id: token.id,
            actor: name_of(accounts, token.actor),
            label: token.label.clone(),
            limit: LimitedTo::of(&token.limit),
            created_at_ms: token.created_at.ms(),
            expires_at_ms: token.expires_at.map(|at| at.ms()),
            revoked_at_ms: token.revoked_at.map(|at| at.ms()),
        }
    }
}

/// A registered replica.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Replica {
    /// Its name: 32 hexadecimal digits.
    pub replica: String,
    /// Whose it is.
    pub actor: Option<String>,
    /// The dataset.
    pub dataset: String,
    /// When it came.
    pub registered_at_ms: u64,
    /// When it was shut out.
    pub revoked_at_ms: Option<u64>,
}

impl Replica {
    /// That replica.
    pub fn of(accounts: &Accounts, device: &account::Device) -> Replica {
        Replica {
            replica: device.replica.to_string(),
            actor: name_of(accounts, device.actor),
            dataset: device.dataset.clone(),
            registered_at_ms: device.registered_at.ms(),
            revoked_at_ms: device.revoked_at.map(|at| at.ms()),
        }
    }
}

/// One thing that happened to accounts.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Event {
    /// Its place, from 1.
    pub position: u64,
    /// When.
    pub at_ms: u64,
    /// Who did it; none for the server itself.
    pub by: Option<String>,
    /// What.
    pub what: &'static str,
    /// To whom.
    pub actor: Option<String>,
    /// The name that was given.
    pub name: Option<String>,
    /// The person who answers for an agent.
    pub answered_by: Option<String>,
    /// The token.
    pub token: Option<u64>,
    /// The replica.
    pub replica: Option<String>,
    /// The dataset.
    pub dataset: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The role from here on.
    pub role: Option<&'static str>,
    /// Its hash, over it and the hash before it.
    pub hash: String,
}

impl Event {
    /// That event.
    pub fn of(accounts: &Accounts, position: u64, event: &AccountEvent, hash: &Digest) -> Event {
        let actor = |id: &ActorId| name_of(accounts, *id);
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut told = Event { at_ms: event.at.ms(), by: actor(&event.by), ..Event::blank(position, hash) };
        match &event.fact {
            Fact::Founded(_) => told.what = "founded",
            Fact::ActorAdded { actor: id, name } => {
                (told.what, told.actor, told.name) = ("actor_added", actor(id), Some(name.clone()));
            }
            Fact::AgentAdded { actor: id, name, answered_by } => {
                (told.what, told.actor, told.name) = ("agent_added", actor(id), Some(name.clone()));
                told.answered_by = actor(answered_by);
            }
            Fact::ActorRenamed { actor: id, name } => {
                (told.what, told.actor, told.name) = ("actor_renamed", actor(id), Some(name.clone()));
            }
            Fact::ActorDisabled { actor: id, is_disabled } => {
                (told.what, told.actor) = (if *is_disabled { "actor_disabled" } else { "actor_enabled" }, actor(id));
            }
            Fact::Administrator { actor: id, is_administrator } => {
                (told.what, told.actor) = (if *is_administrator { "administrator_made" } else { "administrator_ended" }, actor(id));
            }
            Fact::TokenCreated(token) => {
                (told.what, told.actor, told.token) = ("token_created", actor(&token.actor), Some(token.id));
                told.name = Some(token.label.clone());
                told.dataset.clone_from(&token.limit.dataset);
            }
            Fact::TokenRevoked(id) => {
                (told.what, told.token) = ("token_revoked", Some(*id));
                told.actor = accounts.token(*id).and_then(|token| actor(&token.actor));
            }
            Fact::RoleSet { actor: id, dataset, table, role } => {
                (told.what, told.actor, told.dataset) = ("role_set", actor(id), Some(dataset.clone()));
                (told.table, told.role) = (table.clone(), role.map(Role::name));
            }
            Fact::ReplicaRegistered(device) => {
                (told.what, told.actor) = ("replica_registered", actor(&device.actor));
                (told.replica, told.dataset) = (Some(device.replica.to_string()), Some(device.dataset.clone()));
            }
            Fact::ReplicaRevoked(replica) => (told.what, told.replica) = ("replica_revoked", Some(replica.to_string())),
        }
        told
    }
    fn blank(position: u64, hash: String) -> Event {
        Event {
            position,
            at_ms: 0,
            by: None,
            what: "",
            actor: None,
            name: None,
            answered_by: None,
            token: None,
            replica: None,
            dataset: None,
            table: None,
            role: None,
            hash,
        }
    }
}

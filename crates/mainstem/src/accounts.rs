//! A server's accounts in use: whom a token stands for, and changes to actors, tokens, roles and replicas.
//!
//! Invariant: a change is decided against accounts as they are and kept before anybody hears of it; of two that exclude each
//! other, one happens.
use crate::error::{Error, Result};
use crate::registry::{Kept, Registry};
use crate::token::Secret;
use crate::wiring::Around;
use mainstem_core::ErrorKind;
use mainstem_core::account::{AccountEvent, Accounts, ActorId, Device, Fact, Refusal, SERVER, Token, TokenId};
use mainstem_core::authority::{Authority, Limit};
use mainstem_core::event::Digest;
use mainstem_core::format::account;
use mainstem_core::stamp::{ReplicaId, Time};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The actor.
    pub actor: ActorId,
    /// Its name.
    pub name: String,
    /// The token.
    pub token: TokenId,
    /// What both together may do.
    pub authority: Authority,
}

/// What a new token is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// What its owner calls it.
    pub label: String,
    /// What it may be used for.
    pub limit: Limit,
    /// From when on it is worth nothing.
    pub expires_at: Option<Time>,
}

/// What was kept so far, and what it comes to.
#[derive(Clone, Debug, Default)]
struct State {
    position: u64,
    hash: Digest,
    accounts: Accounts,
}

/// The accounts of a server.
pub struct Registrar {
    registry: Box<dyn Registry>,
    around: Around,
    state: RwLock<Arc<State>>,
    /// One change at a time, so that readers never wait for a disk.
    changing: Mutex<()>,
}

impl Registrar {
    /// Reads the accounts that a registry keeps; the first time it founds them. `Corrupt` where the chain is broken.
    pub fn open(registry: Box<dyn Registry>, around: Around) -> Result<Registrar> {
        let registrar = Registrar { registry, around, state: RwLock::default(), changing: Mutex::default() };
        registrar.refresh()?;
        if registrar.accounts().server() == 0 {
            let server = registrar.around.random();
            registrar.change(SERVER, |accounts| Ok(if accounts.server() == 0 { vec![Fact::Founded(server)] } else { Vec::new() }))?;
        }
        Ok(registrar)
    }

    /// The accounts as they are now.
    pub fn accounts(&self) -> Accounts {
        self.state().accounts.clone()
    }
    /// The events after a position, with each one's hash.
    pub fn events(&self, after: u64) -> Result<Vec<(AccountEvent, Digest)>> {
        let kept = self.registry.after(after)?;
        kept.into_iter().map(|kept| Ok((account::decode(&kept.bytes)?, kept.hash))).collect()
    }
    /// What time it is for tokens.
    pub fn now(&self) -> Time {
        Time::from_ms(self.around.now_ms())
    }

    /// Whom a token stands for. None where nobody, for whatever reason.
    pub fn identity(&self, secret: &Secret) -> Option<Identity> {
        let state = self.state();
        identity_of(&state.accounts, state.accounts.token_of(&secret.digest())?, self.now())
    }
    /// The same identity as of now: its roles may have changed since it came, or its token may have ended.
    pub fn renewed(&self, identity: &Identity) -> Option<Identity> {
        self.of_token(identity.token)
    }
    /// Whom the token of that number stands for. None where nobody, for whatever reason.
    pub fn of_token(&self, token: TokenId) -> Option<Identity> {
        let state = self.state();
        identity_of(&state.accounts, state.accounts.token(token)?, self.now())
    }

    /// Creates the token by which the first administrator is made, in place of those of before.
    pub fn create_setup_token(&self) -> Result<Secret> {
        let secret = Secret::new(&*self.around, true);
        self.change(SERVER, |accounts| {
            let old = accounts.tokens().filter(|t| t.actor == SERVER && t.revoked_at.is_none());
            let mut facts: Vec<Fact> = old.map(|t| Fact::TokenRevoked(t.id)).collect();
            let token = Token { id: accounts.next_token(), label: "setup".into(), digest: secret.digest(), ..Token::default() };
            facts.push(Fact::TokenCreated(token));
            Ok(facts)
        })?;
        Ok(secret)
    }
    /// Makes an administrator by the setup token, which is worth nothing afterwards. Returns the administrator's token.
    pub fn set_up(&self, setup: &Secret, name: &str, label: &str) -> Result<(ActorId, Secret)> {
        let secret = Secret::new(&*self.around, false);
        let mut actor = SERVER;
        self.change(SERVER, |accounts| {
            let token = accounts.token_of(&setup.digest()).filter(|t| t.actor == SERVER && t.is_good(self.now()));
            let token = token.ok_or_else(unauthenticated)?;
            actor = accounts.next_actor();
            let first = Token { id: accounts.next_token(), actor, label: label.into(), digest: secret.digest(), ..Token::default() };
            Ok(vec![
                Fact::TokenRevoked(token.id),
                Fact::ActorAdded { actor, name: name.into() },
                Fact::Administrator { actor, is_administrator: true },
                Fact::TokenCreated(first),
            ])
        })?;
        Ok((actor, secret))
    }
    /// Creates a token for an actor. Its text is in what is returned, and nowhere else.
    pub fn create_token(&self, by: ActorId, actor: ActorId, wish: Wish) -> Result<(TokenId, Secret)> {
        let secret = Secret::new(&*self.around, false);
        let mut id = 0;
        self.change(by, |accounts| {
            id = accounts.next_token();
            let Wish { label, limit, expires_at } = wish.clone();
            Ok(vec![Fact::TokenCreated(Token { id, actor, label, digest: secret.digest(), limit, expires_at, ..Token::default() })])
        })?;
        Ok((id, secret))
    }
    /// Adds an actor.
    pub fn add_actor(&self, by: ActorId, name: &str) -> Result<ActorId> {
        let mut actor = SERVER;
        self.change(by, |accounts| {
            actor = accounts.next_actor();
            Ok(vec![Fact::ActorAdded { actor, name: name.into() }])
        })?;
        Ok(actor)
    }
    /// Adds a program as an actor, for which a person answers.
    pub fn add_agent(&self, by: ActorId, name: &str, answered_by: ActorId) -> Result<ActorId> {
        let mut actor = SERVER;
        self.change(by, |accounts| {
            actor = accounts.next_actor();
            Ok(vec![Fact::AgentAdded { actor, name: name.into(), answered_by }])
        })?;
        Ok(actor)
    }
    /// Makes sure that a replica is an actor's: registers it where it comes for the first time. `Denied` with the code
    /// `others_replica` where it is another's, and with `replica_revoked` where it was shut out.
    pub fn admit(&self, identity: &Identity, replica: ReplicaId, dataset: &str) -> Result<()> {
        let standing = |accounts: &Accounts| match accounts.device(replica) {
            None => Ok(false),
            Some(device) if device.actor != identity.actor => Err(refused(&Refusal::OthersReplica(replica))),
            Some(device) if device.revoked_at.is_some() => {
                Err(Error::new(ErrorKind::Denied, "replica_revoked", "this replica was shut out")
                    .hint("mainstem clone makes another; mainstem bundle create FILE keeps unsent work for it"))
            }
            Some(_) => Ok(true),
        };
        if standing(&self.state().accounts)? {
            return Ok(());
        }
        self.change(identity.actor, |accounts| {
            let device = Device { replica, actor: identity.actor, dataset: dataset.to_string(), ..Device::default() };
            Ok(if standing(accounts)? { Vec::new() } else { vec![Fact::ReplicaRegistered(device)] })
        })
    }

    /// Makes the facts that `decide` says, which hears accounts as they are, again where they changed meanwhile.
    pub fn change(&self, by: ActorId, mut decide: impl FnMut(&Accounts) -> Result<Vec<Fact>>) -> Result<()> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            self.refresh()?;
            let state = self.state();
            let facts = decide(&state.accounts)?;
            if facts.is_empty() {
                return Ok(());
            }
            let mut next = (*state).clone();
            let at = self.now();
            let kept = facts.into_iter().map(|fact| next.add(AccountEvent { at, by, fact })).collect::<Result<Vec<_>>>()?;
            if self.registry.append(state.position, &kept)? {
                *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
                return Ok(());
            }
        }
    }

    fn state(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads what other processes appended.
    fn refresh(&self) -> Result<()> {
        let state = self.state();
        let news = self.registry.after(state.position)?;
        if news.is_empty() {
            return Ok(());
        }
        let mut next = (*state).clone();
        for kept in news {
            next.take(&kept)?;
        }
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(())
    }
}

impl State {
    fn add(&mut self, event: AccountEvent) -> Result<Kept> {
        self.accounts.add(&event).map_err(|refusal| refused(&refusal))?;
        let bytes = account::encode(&event);
        self.hash = account::chain(&self.hash, &bytes);
        self.position += 1;
        Ok(Kept { bytes, hash: self.hash })
    }
    fn take(&mut self, kept: &Kept) -> Result<()> {
        let position = self.position + 1;
        let broken = |why: &str| {
            Error::new(ErrorKind::Corrupt, "broken_chain", format!("event {position} of the server's accounts {why}"))
                .hint("restore the server's accounts from a backup")
        };
        if account::chain(&self.hash, &kept.bytes) != kept.hash {
            return Err(broken("is not what was written, or does not follow the one before it"));
        }
        let event = account::decode(&kept.bytes).map_err(|e| broken(&format!("cannot be read: {e}")))?;
        self.accounts.add(&event).map_err(|refusal| broken(&format!("cannot be: {refusal}")))?;
        self.hash = kept.hash;
        self.position = position;
        Ok(())
    }
}

fn identity_of(accounts: &Accounts, token: &Token, now: Time) -> Option<Identity> {
    let authority = accounts.authority(token).filter(|_| token.is_good(now))?;
    let actor = accounts.actor(token.actor)?;
    Some(Identity { actor: actor.id, name: actor.name.clone(), token: token.id, authority })
}

/// Nobody is known by what was presented, for whatever reason.
pub fn unauthenticated() -> Error {
    Error::new(ErrorKind::Denied, "unauthenticated", "the token is unknown, has expired or was revoked").hint("mainstem login ADDRESS")
}

fn refused(refusal: &Refusal) -> Error {
    let (kind, code) = match refusal {
        Refusal::NoActor(_) | Refusal::NoToken(_) | Refusal::NoReplica(_) => (ErrorKind::NotFound, "not_found"),
        Refusal::NameTaken(_) => (ErrorKind::Conflict, "name_taken"),
        Refusal::LastAdministrator => (ErrorKind::Conflict, "last_administrator"),
        Refusal::Disabled(_) => (ErrorKind::Conflict, "disabled"),
        Refusal::NoPerson(_) => (ErrorKind::Conflict, "no_person"),
        Refusal::OthersReplica(_) => (ErrorKind::Denied, "others_replica"),
        Refusal::TooMany(_) => (ErrorKind::Conflict, "too_many"),
        Refusal::NameUnfit(_) => (ErrorKind::Invalid, "invalid"),
        Refusal::OutOfOrder => (ErrorKind::Internal, "internal"),
    };
    let error = Error::new(kind, code, refusal.to_string());
    match refusal {
        Refusal::NameTaken(_) => error.hint("choose another name; names are never given again"),
        Refusal::LastAdministrator => error.hint("make somebody else an administrator first"),
        _ => error,
    }
}

#[cfg(test)]
mod tests;

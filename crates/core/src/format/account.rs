//! Events of accounts in bytes, and the hash that chains them.
//!
//! Invariant: an event's hash covers the hash before it, so equal hashes mean equal histories.
use super::bytes::{Reader, Writer};
use crate::account::{AccountEvent, Device, Fact, Token};
use crate::authority::{Limit, Right, Role};
use crate::digest;
use crate::error::Result;
use crate::event::Digest;
use crate::stamp::{ReplicaId, Time};
use alloc::{format, string::String, vec::Vec};

const FOUNDED: u64 = 1;
const ACTOR_ADDED: u64 = 2;
const ACTOR_RENAMED: u64 = 3;
const ACTOR_DISABLED: u64 = 4;
const ADMINISTRATOR: u64 = 5;
const TOKEN_CREATED: u64 = 6;
const TOKEN_REVOKED: u64 = 7;
const ROLE_SET: u64 = 8;
const REPLICA_REGISTERED: u64 = 9;
const REPLICA_REVOKED: u64 = 10;
const AGENT_ADDED: u64 = 11;

/// Encodes an event.
pub fn encode(event: &AccountEvent) -> Vec<u8> {
    let mut w = Writer::versioned();
    w.varint(kind(&event.fact));
    w.number(1, event.at.0);
    w.number(2, event.by);
    match &event.fact {
        Fact::Founded(server) => w.wide(3, *server),
        Fact::ActorAdded { actor, name } | Fact::ActorRenamed { actor, name } => {
            w.number(4, *actor);
            w.text(5, name);
        }
        Fact::AgentAdded { actor, name, answered_by } => {
            w.number(4, *actor);
            w.text(5, name);
            w.number(15, *answered_by);
        }
        Fact::ActorDisabled { actor, is_disabled: is } | Fact::Administrator { actor, is_administrator: is } => {
            w.number(4, *actor);
            w.flag(6, *is);
        }
        Fact::TokenCreated(token) => {
            w.number(4, token.actor);
            w.text(5, &token.label);
            w.number(7, token.id);
            w.field(8, |w| w.fixed(&token.digest));
            w.option(9, token.limit.right.map(Right::name));
            w.option(10, token.limit.dataset.as_deref());
            w.number(11, token.expires_at.map_or(0, |end| end.0));
        }
        Fact::TokenRevoked(token) => w.number(7, *token),
        Fact::RoleSet { actor, dataset, table, role } => {
            w.number(4, *actor);
            w.option(10, Some(dataset));
            w.option(12, table.as_deref());
            w.option(13, role.map(Role::name));
        }
        Fact::ReplicaRegistered(device) => {
            w.number(4, device.actor);
            w.option(10, Some(&device.dataset));
            w.wide(14, device.replica.0);
        }
        Fact::ReplicaRevoked(replica) => w.wide(14, replica.0),
    }
    w.0
}

fn kind(fact: &Fact) -> u64 {
    match fact {
        Fact::Founded(_) => FOUNDED,
        Fact::ActorAdded { .. } => ACTOR_ADDED,
        Fact::AgentAdded { .. } => AGENT_ADDED,
        Fact::ActorRenamed { .. } => ACTOR_RENAMED,
        Fact::ActorDisabled { .. } => ACTOR_DISABLED,
        Fact::Administrator { .. } => ADMINISTRATOR,
        Fact::TokenCreated(_) => TOKEN_CREATED,
        Fact::TokenRevoked(_) => TOKEN_REVOKED,
        Fact::RoleSet { .. } => ROLE_SET,
        Fact::ReplicaRegistered(_) => REPLICA_REGISTERED,
        Fact::ReplicaRevoked(_) => REPLICA_REVOKED,
    }
}

/// Every field that any event has.
#[derive(Default)]
struct Fields {
    at: Time,
    by: u64,
    server: u128,
    actor: u64,
    text: String,
    flag: bool,
    token: u64,
    digest: Digest,
    right: Option<Right>,
    dataset: Option<String>,
    expires_at: u64,
    table: Option<String>,
    role: Option<Role>,
    replica: ReplicaId,
    answered_by: u64,
}

/// Decodes an event.
pub fn decode(bytes: &[u8]) -> Result<AccountEvent> {
    let mut r = Reader::versioned("account event", bytes)?;
    let kind = r.varint()?;
    let f = read(&mut r)?;
    let fact = match kind {
        FOUNDED => Fact::Founded(f.server),
        ACTOR_ADDED => Fact::ActorAdded { actor: f.actor, name: f.text },
        AGENT_ADDED => Fact::AgentAdded { actor: f.actor, name: f.text, answered_by: f.answered_by },
        ACTOR_RENAMED => Fact::ActorRenamed { actor: f.actor, name: f.text },
        ACTOR_DISABLED => Fact::ActorDisabled { actor: f.actor, is_disabled: f.flag },
        ADMINISTRATOR => Fact::Administrator { actor: f.actor, is_administrator: f.flag },
        TOKEN_CREATED => Fact::TokenCreated(Token {
            id: f.token,
            actor: f.actor,
            label: f.text,
            digest: f.digest,
            limit: Limit { right: f.right, dataset: f.dataset },
            expires_at: (f.expires_at > 0).then_some(Time(f.expires_at)),
            ..Token::default()
        }),
        TOKEN_REVOKED => Fact::TokenRevoked(f.token),
        ROLE_SET => Fact::RoleSet { actor: f.actor, dataset: f.dataset.unwrap_or_default(), table: f.table, role: f.role },
        REPLICA_REGISTERED => {
            let dataset = f.dataset.unwrap_or_default();
            Fact::ReplicaRegistered(Device { replica: f.replica, actor: f.actor, dataset, ..Device::default() })
        }
        REPLICA_REVOKED => Fact::ReplicaRevoked(f.replica),
        other => return Err(r.error(format!("{other} is no kind of event"))),
    };
    Ok(AccountEvent { at: f.at, by: f.by, fact })
}

fn read(r: &mut Reader<'_>) -> Result<Fields> {
    let mut found = Fields::default();
    let mut fields = r.fields();
    while let Some((tag, mut f)) = fields.read()? {
        match tag {
            1 => found.at = Time(f.varint()?),
            2 => found.by = f.varint()?,
            3 => found.server = f.wide()?,
            4 => found.actor = f.varint()?,
            5 => found.text = f.text()?,
            6 => found.flag = f.varint()? != 0,
            7 => found.token = f.varint()?,
            8 => found.digest = f.array()?,
            // What an earlier program does not know as a limit must not be taken for none.
            9 => found.right = Some(named(&f.text()?, Right::parse, "right", &f)?),
            10 => found.dataset = Some(f.text()?),
            11 => found.expires_at = f.varint()?,
            12 => found.table = Some(f.text()?),
            13 => found.role = Some(named(&f.text()?, Role::parse, "role", &f)?),
            14 => found.replica = ReplicaId(f.wide()?),
            15 => found.answered_by = f.varint()?,
            _ => return Err(f.error(format!("its field {tag} is not known to this program"))),
        }
        f.finish()?;
    }
    Ok(found)
}

fn named<T>(name: &str, parse: fn(&str) -> Option<T>, what: &str, r: &Reader<'_>) -> Result<T> {
    parse(name).ok_or_else(|| r.error(format!("{name} is no {what}")))
}

/// The hash of an event that follows the event whose hash is `before` (zeros for the first).
pub fn chain(before: &Digest, bytes: &[u8]) -> Digest {
    digest::of("mainstem account event 1", &[before, bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<AccountEvent> {
        let token = Token {
            id: 3,
            actor: 1,
            label: "laptop".into(),
            digest: [9; 32],
            limit: Limit { right: Some(Right::Propose), dataset: Some("recipes".into()) },
            expires_at: Some(Time(99)),
            ..Token::default()
        };
        let device = Device { replica: ReplicaId(77), actor: 2, dataset: "recipes".into(), ..Device::default() };
        let facts = [
            Fact::Founded(1 << 100),
            Fact::ActorAdded { actor: 1, name: "ann".into() },
            Fact::AgentAdded { actor: 2, name: "bot".into(), answered_by: 1 },
            Fact::ActorRenamed { actor: 1, name: "Åse".into() },
            Fact::ActorDisabled { actor: 1, is_disabled: true },
            Fact::ActorDisabled { actor: 1, is_disabled: false },
            Fact::Administrator { actor: 1, is_administrator: true },
            Fact::TokenCreated(Token { limit: Limit::default(), expires_at: None, ..token.clone() }),
            Fact::TokenCreated(token),
            Fact::TokenRevoked(3),
            Fact::RoleSet { actor: 2, dataset: "recipes".into(), table: Some("step".into()), role: Some(Role::Reviewer) },
            Fact::RoleSet { actor: 2, dataset: "recipes".into(), table: None, role: None },
            Fact::ReplicaRegistered(device),
            Fact::ReplicaRevoked(ReplicaId(77)),
        ];
        facts.into_iter().enumerate().map(|(i, fact)| AccountEvent { at: Time::from_ms(i as u64), by: 5, fact }).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        for event in events() {
            assert_eq!(decode(&encode(&event)).expect("readable"), event);
        }
    }

    #[test]
    fn no_damage_is_a_panic_and_no_unknown_field_is_skipped() {
        for event in events() {
            let bytes = encode(&event);
            for at in 0..bytes.len() {
                for flip in [1, 0x80] {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= flip;
                    let _ = decode(&damaged);
                }
                let _ = decode(&bytes[..at]);
            }
            let mut later = Writer(bytes);
            later.text(60, "only on Sundays");
            assert!(decode(&later.0).is_err(), "{event:?}");
        }
    }

    #[test]
    fn an_event_of_version_1_keeps_its_bytes() {
        let event = AccountEvent { at: Time(5), by: 1, fact: Fact::ActorAdded { actor: 2, name: "ben".into() } };
        assert_eq!(encode(&event), [1, 2, 1, 1, 5, 2, 1, 1, 4, 1, 2, 5, 3, b'b', b'e', b'n']);
    }
}

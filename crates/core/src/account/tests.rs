//! What may happen to accounts, case by case.
use super::*;
use alloc::{format, vec};

fn at(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn told(accounts: &mut Accounts, fact: Fact) -> Result<(), Refusal> {
    accounts.add(&AccountEvent { at: at(1), by: SERVER, fact })
}

fn all(facts: Vec<Fact>) -> Accounts {
    let mut accounts = Accounts::default();
    for fact in core::iter::once(Fact::Founded(7)).chain(facts) {
        let shown = format!("{fact:?}");
        told(&mut accounts, fact).unwrap_or_else(|e| panic!("{shown}: {e}"));
    }
    accounts
}

fn added(actor: ActorId, name: &str) -> Fact {
    Fact::ActorAdded { actor, name: name.into() }
}

fn renamed(actor: ActorId, name: &str) -> Fact {
    Fact::ActorRenamed { actor, name: name.into() }
}

fn administrator(actor: ActorId, is_administrator: bool) -> Fact {
    Fact::Administrator { actor, is_administrator }
}

fn disabled(actor: ActorId, is_disabled: bool) -> Fact {
    Fact::ActorDisabled { actor, is_disabled }
}

fn token(id: TokenId, actor: ActorId) -> Token {
    Token { id, actor, digest: [id as u8; 32], ..Token::default() }
}

fn role(actor: ActorId, dataset: &str, table: Option<&str>, role: Option<Role>) -> Fact {
    Fact::RoleSet { actor, dataset: dataset.into(), table: table.map(Into::into), role }
}

fn device(replica: u128, actor: ActorId) -> Fact {
    Fact::ReplicaRegistered(Device { replica: ReplicaId(replica), actor, dataset: "recipes".into(), ..Device::default() })
}

#[test]
fn a_name_is_never_another_actors_again() {
    let mut accounts = all(vec![added(1, "ann"), renamed(1, "anna"), added(2, "ben"), disabled(2, true)]);
    for taken in ["ann", "Ann", "ANNA", "ben"] {
        assert_eq!(told(&mut accounts, added(3, taken)), Err(Refusal::NameTaken(taken.into())));
    }
    assert_eq!(told(&mut accounts, renamed(2, "ann")), Err(Refusal::NameTaken("ann".into())));
    told(&mut accounts, renamed(1, "ann")).expect("her own name");
    assert_eq!(accounts.named("anna").map(|a| a.id), Some(1));
}

#[test]
fn a_person_answers_for_each_agent() {
    let agent = |actor, name: &str, answered_by| Fact::AgentAdded { actor, name: name.into(), answered_by };
    let mut accounts = all(vec![added(1, "ann"), added(2, "ben"), agent(3, "bot", 1), administrator(2, true)]);
    assert_eq!(told(&mut accounts, agent(4, "bot2", 9)), Err(Refusal::NoActor(9)));
    assert_eq!(told(&mut accounts, agent(4, "bot2", 3)), Err(Refusal::NoPerson(3)));
    assert_eq!(told(&mut accounts, agent(4, "Bot", 1)), Err(Refusal::NameTaken("Bot".into())));
    assert_eq!(told(&mut accounts, agent(7, "bot2", 1)), Err(Refusal::OutOfOrder));
    assert_eq!(told(&mut accounts, administrator(3, true)), Err(Refusal::NoPerson(3)));
    let bot = accounts.actor(3).expect("added").clone();
    assert_eq!((bot.is_agent(), bot.person(), accounts.is_active(&bot)), (true, 1, true));
    // With whoever answers for it ends what it may do.
    told(&mut accounts, Fact::TokenCreated(token(1, 3))).expect("its token");
    let its = accounts.token(1).expect("created").clone();
    assert!(accounts.authority(&its).is_some());
    told(&mut accounts, disabled(1, true)).expect("ann goes");
    assert!(!accounts.is_active(&bot) && accounts.authority(&its).is_none());
}

#[test]
fn names_are_one_visible_line() {
    let mut accounts = all(vec![]);
    for unfit in ["", " ann", "ann ", "a  b", "a\nb", "ann, for ben", "a\u{202e}b", "a\u{200b}b", "a\tb", &"x".repeat(257)] {
        assert!(matches!(told(&mut accounts, added(1, unfit)), Err(Refusal::NameUnfit(_))), "{unfit:?}");
    }
    for (id, fit) in [(1, "Åse 🎵"), (2, "o'neil@example.org"), (3, "日本")] {
        told(&mut accounts, added(id, fit)).expect(fit);
    }
}

#[test]
fn the_last_administrator_stays() {
    let mut accounts = all(vec![added(1, "ann"), added(2, "ben"), administrator(1, true)]);
    for loss in [administrator(1, false), disabled(1, true)] {
        assert_eq!(told(&mut accounts, loss), Err(Refusal::LastAdministrator));
    }
    told(&mut accounts, administrator(2, true)).expect("a second");
    told(&mut accounts, disabled(2, true)).expect("not the last");
    // One that is disabled does not count.
    assert_eq!(told(&mut accounts, administrator(1, false)), Err(Refusal::LastAdministrator));
    told(&mut accounts, administrator(2, false)).expect("it administered nothing any more");
    told(&mut accounts, disabled(1, false)).expect("it is enabled already");
}

#[test]
fn a_token_entitles_to_what_its_actor_is_now() {
    let mut accounts = all(vec![added(1, "ann"), role(1, "recipes", None, Some(Role::Owner)), Fact::TokenCreated(token(1, 1))]);
    let authority = |accounts: &Accounts| accounts.authority(accounts.token_of(&[1; 32]).expect("known"));
    assert_eq!(authority(&accounts).expect("she may").grants.len(), 1);
    told(&mut accounts, role(1, "recipes", None, None)).expect("taken away");
    assert_eq!(authority(&accounts).expect("still somebody").grants, []);
    told(&mut accounts, disabled(1, true)).expect("disabled");
    assert_eq!(authority(&accounts), None);
    assert_eq!(told(&mut accounts, Fact::TokenCreated(token(2, 1))), Err(Refusal::Disabled(1)));
    assert!(accounts.authority(&token(9, SERVER)).is_none(), "the server's own token entitles to nothing but setting up");
}

#[test]
fn tokens_end() {
    let ends = Token { expires_at: Some(at(100)), ..token(1, 1) };
    assert!(ends.is_good(at(99)) && !ends.is_good(at(100)));
    let mut accounts = all(vec![added(1, "ann"), Fact::TokenCreated(ends), Fact::TokenRevoked(1)]);
    assert!(!accounts.token(1).expect("kept").is_good(at(2)));
    assert_eq!(told(&mut accounts, Fact::TokenRevoked(1)), Err(Refusal::NoToken(1)));
    assert_eq!(told(&mut accounts, Fact::TokenRevoked(5)), Err(Refusal::NoToken(5)));
    let twice = Token { digest: [1; 32], ..token(2, 1) };
    assert_eq!(told(&mut accounts, Fact::TokenCreated(twice)), Err(Refusal::OutOfOrder));
    assert_eq!(told(&mut accounts, Fact::TokenCreated(token(2, 8))), Err(Refusal::NoActor(8)));
}

#[test]
fn there_is_one_role_for_each_place() {
    let some = [
        role(1, "recipes", None, Some(Role::Viewer)),
        role(1, "recipes", Some("step"), Some(Role::Viewer)),
        role(1, "recipes", Some("STEP"), Some(Role::Contributor)),
        role(1, "music", None, Some(Role::Owner)),
        role(1, "recipes", None, Some(Role::Reviewer)),
    ];
    let mut accounts = all(core::iter::once(added(1, "ann")).chain(some).collect());
    let shown = |accounts: &Accounts| -> Vec<String> {
        let grants = &accounts.actor(1).expect("she is there").grants;
        grants.iter().map(|g| format!("{} {} {}", g.dataset, g.table.as_deref().unwrap_or("-"), g.role.name())).collect()
    };
    assert_eq!(shown(&accounts), ["music - owner", "recipes - reviewer", "recipes STEP contributor"]);
    told(&mut accounts, role(1, "recipes", Some("Step"), None)).expect("taken away");
    assert_eq!(shown(&accounts), ["music - owner", "recipes - reviewer"]);
    assert_eq!(told(&mut accounts, role(9, "recipes", None, None)), Err(Refusal::NoActor(9)));
}

#[test]
fn a_replica_is_whose_it_was_first() {
    let mut accounts = all(vec![added(1, "ann"), added(2, "ben"), device(5, 1)]);
    assert_eq!(told(&mut accounts, device(5, 2)), Err(Refusal::OthersReplica(ReplicaId(5))));
    told(&mut accounts, Fact::ReplicaRevoked(ReplicaId(5))).expect("revoked");
    assert_eq!(told(&mut accounts, device(5, 1)), Err(Refusal::OthersReplica(ReplicaId(5))), "it does not come back");
    assert_eq!(told(&mut accounts, Fact::ReplicaRevoked(ReplicaId(6))), Err(Refusal::NoReplica(ReplicaId(6))));
}

#[test]
fn numbers_follow_each_other() {
    let mut accounts = all(vec![added(1, "ann")]);
    assert_eq!(told(&mut accounts, added(3, "ben")), Err(Refusal::OutOfOrder));
    assert_eq!(told(&mut accounts, Fact::Founded(8)), Err(Refusal::OutOfOrder));
    assert_eq!(told(&mut Accounts::default(), added(1, "ann")), Err(Refusal::OutOfOrder));
    assert_eq!(told(&mut accounts, Fact::TokenCreated(token(4, 1))), Err(Refusal::OutOfOrder));
}

#[test]
fn nobody_fills_the_books() {
    let mut accounts = all(vec![added(1, "ann")]);
    for label in ["x".repeat(257), "a\nb".into()] {
        let unfit = Fact::TokenCreated(Token { label, ..token(1, 1) });
        assert!(matches!(told(&mut accounts, unfit), Err(Refusal::NameUnfit(_))));
    }
    assert!(matches!(told(&mut accounts, role(1, &"x".repeat(2_000), None, Some(Role::Viewer))), Err(Refusal::NameUnfit(_))));
    for table in 0..GRANTS_MAX {
        told(&mut accounts, role(1, "recipes", Some(&format!("t{table}")), Some(Role::Viewer))).expect("room");
    }
    assert_eq!(told(&mut accounts, role(1, "recipes", None, Some(Role::Viewer))), Err(Refusal::TooMany("roles")));
    told(&mut accounts, role(1, "recipes", Some("t0"), None)).expect("one less");
    told(&mut accounts, role(1, "recipes", None, Some(Role::Viewer))).expect("room again");
}

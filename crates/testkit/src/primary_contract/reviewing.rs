//! What a primary must do about proposals, whoever asks it and from where.
use super::{Found, KnownAs, Offer, fresh, insert, known, rename, row, snapshot, version_of};
use mainstem::core::proposal::{Ballot, Decision, MergeWish, Stage, Word};
use mainstem::core::value::Value;
use mainstem::ledger::ProposalsWanted;
use mainstem::primary::{Acquaintance, Primary};
use mainstem::review::{By, Deed, Everybody, Judged, Offered, Part, State};
use mainstem::{error::Result, review};

const BY: By<'static> = By { actor: "ann", token: None, people: &Everybody, request: None };

impl Offer {
    /// The same as it is offered for review: it takes no number of its replica.
    pub(super) fn reviewed(mut self) -> Offer {
        self.front.header.sequence = 0;
        self
    }
    pub(super) fn propose(&self, primary: &mut dyn Primary, known: &Acquaintance, revises: Option<u64>) -> Result<Offered> {
        let reviewed = Part { front: &self.front, pages: &mut self.pages() };
        primary.propose(known, review::Offer { revises, reviewed, direct: None }, BY)
    }
}

pub(super) fn place_of(offered: Result<Offered>) -> (u64, u64) {
    match offered.expect("an offer") {
        Offered::Done { proposal, revision, direct: None } => (proposal, revision),
        other => panic!("offered, not {other:?}"),
    }
}

pub(super) fn judged(primary: &mut dyn Primary, id: u64) -> Judged {
    primary.proposal(id, BY).expect("an answer").expect("it is there")
}

fn ballot(judged: &Judged, word: Word) -> Ballot {
    let assessment = judged.assessment.as_ref().expect("it is open");
    Ballot { revision: assessment.revision, digest: assessment.digest, word, comment: "as I see it".into() }
}

pub(super) fn a_proposal_changes_nothing_until_it_is_merged_once(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    let primary = primary.as_mut();
    let known = known(primary);
    let described = primary.describe().expect("a description");
    let offer = Offer::new(&described, 7, 1, vec![rename("a", "apple", "apricot", 1), insert(row("d", "dill", 4), 2)]).reviewed();
    assert_eq!(place_of(offer.propose(primary, &known, None)), (1, 1));
    assert_eq!(place_of(offer.propose(primary, &known, None)), (1, 1), "the same offer");
    assert_eq!(primary.find_revision(offer.front.header.write_id).expect("an answer"), Some((1, 1)));
    assert_eq!(snapshot(primary).rows.len(), 3, "nothing is written yet");
    let before = judged(primary, 1);
    assert_eq!((before.state(), before.proposal.actor.as_str()), (State::Open, known_as.unwrap_or("actor 7")));
    let wish = MergeWish { digest: before.assessment.as_ref().map(|assessment| assessment.digest), ..MergeWish::new(5) };
    assert_eq!(primary.merge(1, &wish, BY).expect_err("nobody approved").code, "review_required");
    // Somebody else's push makes it another result: what was looked at is stale.
    version_of(Offer::new(&described, 9, 1, vec![rename("a", "apple", "almond", 3)]).push(primary, &known));
    let stale = Deed::Vote(ballot(&before, Word::Approve));
    assert_eq!(primary.act(1, &stale, BY).expect_err("it is another result").code, "stale_base");
    let forced = MergeWish { force: true, skip_conflicts: true, ..wish };
    assert_eq!(primary.merge(1, &forced, BY).expect_err("it is another result").code, "stale_base");
    let now = judged(primary, 1);
    primary.act(1, &Deed::Vote(ballot(&now, Word::Approve)), BY).expect("a vote on what there is");
    let wish = MergeWish { digest: now.assessment.as_ref().map(|assessment| assessment.digest), ..forced };
    let merged = primary.merge(1, &wish, BY).expect("forced");
    assert!((merged.version, merged.is_repeated) == (3, false), "{merged:?}");
    let head = primary.describe().expect("a description").head;
    for again in [wish.clone(), MergeWish::new(6)] {
        let repeated = primary.merge(1, &again, BY).expect("the same answer");
        assert_eq!((repeated.version, repeated.commit, repeated.is_repeated), (merged.version, merged.commit, true));
    }
    assert_eq!(primary.describe().expect("a description").head, head, "one version, and nothing after it");
    let event = primary.version(3).expect("an answer").expect("a version");
    let reviewed = event.review.expect("it came of a proposal");
    assert_eq!((reviewed.proposal, Some(reviewed.digest), event.header.write_id), (1, wish.digest, offer.front.header.write_id));
    assert_eq!(snapshot(primary).rows[&vec![Value::text("d")]], row("d", "dill", 4));
    assert_eq!(judged(primary, 1).state(), State::Merged);
}

pub(super) fn what_waits_for_review_wakes_whoever_waits(found: Found<'_>) {
    let mut primary = fresh(found);
    let primary = primary.as_mut();
    let known = known(primary);
    let described = primary.describe().expect("a description");
    let offer = Offer::new(&described, 7, 1, vec![rename("a", "apple", "apricot", 1)]).reviewed();
    let mut head = described.head;
    let mut heard = |primary: &mut dyn Primary| {
        let after = primary.wait(&head, 3_600_000).expect("an answer");
        assert_eq!((after.version, after.events), (head.version, head.events + 1), "an event, and no version");
        head = after;
    };
    place_of(offer.propose(primary, &known, None));
    heard(primary);
    let vote = Deed::Vote(ballot(&judged(primary, 1), Word::Reject));
    for _ in 0..2 {
        primary.act(1, &vote, BY).expect("a vote, once");
    }
    heard(primary);
    let withdrawn = Deed::Decide(Decision { stage: Stage::Withdrawn, reason: String::new() });
    for _ in 0..2 {
        primary.act(1, &withdrawn, BY).expect("taken back, once");
    }
    heard(primary);
    assert_eq!(primary.act(1, &vote, BY).expect_err("it is closed").code, "closed");
    let open = ProposalsWanted { stages: vec![Stage::Open], limit: 10, ..ProposalsWanted::default() };
    assert!(primary.proposals(&open).expect("a list").is_empty());
    let second = Offer::new(&described, 7, 2, vec![rename("b", "bean", "beet", 1)]).reviewed();
    assert_eq!(place_of(second.propose(primary, &known, Some(1))), (1, 2), "a further revision opens it");
    assert_eq!(primary.proposals(&open).expect("a list"), [1]);
}

pub(super) fn nothing_is_pushed_past_review(found: Found<'_>) {
    let mut primary = fresh(found);
    let primary = primary.as_mut();
    let known = known(primary);
    primary.set_policy("review_above = 2\n", "owner").expect("a policy");
    let described = primary.describe().expect("a description");
    let many = |ids: &[&str]| ids.iter().map(|id| insert(row(id, "new", 0), 1)).collect();
    let three = Offer::new(&described, 7, 1, many(&["x", "y", "z"]));
    let head = primary.describe().expect("a description").head;
    assert_eq!(three.push(primary, &known).expect_err("three rows").code, "review_required");
    for said in [0, 1, 2] {
        let mut less = Offer::new(&described, 7, 1, many(&["x", "y", "z"]));
        less.front.count = said;
        assert_eq!(less.push(primary, &known).expect_err("more than it says").code, "invalid");
    }
    // Nor may a push go by the name of what waits, whose author would take it for merged.
    place_of(three.reviewed().propose(primary, &known, None));
    let mut named = Offer::new(&described, 8, 1, vec![rename("a", "apple", "apricot", 1)]);
    named.front.header.write_id = 7 << 64 | 1;
    assert_eq!(named.push(primary, &known).expect_err("another's name").code, "invalid");
    assert_eq!(primary.describe().expect("a description").head.version, head.version);
    assert_eq!(judged(primary, 1).state(), State::Open);
}

pub(super) fn many_small_pushes_are_one_large_one(found: Found<'_>, known_as: KnownAs<'_>) {
    let mut primary = fresh(found);
    let primary = primary.as_mut();
    let known = known(primary);
    primary.set_policy("review_above = 3\n", "owner").expect("a policy");
    let described = primary.describe().expect("a description");
    let add = |id: &str| insert(row(id, "new", 0), 1);
    // From one replica or several: it is the person who counts.
    version_of(Offer::new(&described, 7, 1, vec![add("x"), add("y")]).push(primary, &known));
    version_of(Offer::new(&described, 7, 2, vec![rename("a", "apple", "apricot", 2)]).push(primary, &known));
    version_of(Offer::new(&described, 7, 3, vec![rename("a", "apricot", "almond", 3)]).push(primary, &known));
    let before = primary.describe().expect("a description").head;
    let fourth = Offer::new(&described, 7, 4, vec![add("z")]);
    let refused = fourth.push(primary, &known).expect_err("the fourth row");
    assert_eq!(refused.code, "review_required");
    assert!(refused.message.starts_with("4 rows changed by one person within 24 hours"), "{}", refused.message);
    let other = Offer::new(&described, 8, 1, vec![add("z")]);
    match known_as {
        // Whom the primary knows by the token is the same from another replica.
        Some(_) => assert_eq!(other.push(primary, &known).expect_err("the same person").code, "review_required"),
        None => drop(version_of(other.push(primary, &known))),
    }
    if known_as.is_some() {
        assert_eq!(primary.describe().expect("a description").head, before, "nothing was taken");
    }
    assert_eq!(place_of(fourth.reviewed().propose(primary, &known, None)).1, 1, "it may be proposed");
    primary.set_policy("review_above = 3\nreview_above_hours = 0\n", "owner").expect("a policy");
    let mut by_itself = Offer::new(&described, 7, 4, vec![add("w"), add("v"), add("u")]);
    by_itself.front.header.write_id = 99;
    version_of(by_itself.push(primary, &known));
}

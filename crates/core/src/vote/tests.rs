//! Votes as the table of cases, per table, by person, and the laws that hold of any.
use super::{Ask, Tally, Verdict, Voter, WhyNot, tally};
use crate::event::Digest;
use crate::policy::{Policy, Setting};
use crate::proposal::{Ballot, Vote, Word};
use crate::stamp::Time;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use proptest::prelude::*;

const NOW: Digest = [1; 32];
const BEFORE: Digest = [2; 32];
const EVERYONE: [&str; 8] = ["ann", "ann2", "bo", "bot", "cy", "di", "eve", "fay"];

fn day(day: u64) -> Time {
    Time::from_ms(day * 86_400_000)
}

/// Who everybody is in the table of cases.
fn voter(actor: &str, _table: &str) -> Voter {
    let person = match actor.to_ascii_lowercase().as_str() {
        "ann2" | "anne" => "ann".to_string(),
        known if EVERYONE.contains(&known) => known.to_string(),
        _ => String::new(),
    };
    Voter { may_vote: !person.is_empty() && person != "fay", is_agent: person == "bot", person }
}

fn vote(actor: &str, word: Word) -> Vote {
    let ballot = Ballot { revision: 1, digest: NOW, word, comment: String::new() };
    Vote { actor: actor.to_string(), token: None, at: day(1), ballot }
}

/// Votes as the table of cases writes them.
fn votes(text: &str) -> Vec<Vote> {
    let parse = |part: &str| {
        let at = part.find(['+', '-', '0']).expect("a vote has a word");
        let word = match &part[at..=at] {
            "+" => Word::Approve,
            "-" => Word::Reject,
            _ => Word::Abstain,
        };
        let mut vote = vote(&part[..at], word);
        match &part[at + 1..] {
            "" => {}
            "old" => vote.ballot.digest = BEFORE,
            other => vote.at = day(other.strip_prefix('@').and_then(|d| d.parse().ok()).expect("a day")),
        }
        vote
    };
    text.split_whitespace().map(parse).collect()
}

fn policy(rule: &[&str]) -> Policy {
    let mut policy = Policy::default();
    for setting in rule {
        let (key, value) = setting.split_once('=').expect("a key and a value");
        let mut path: Vec<&str> = key.split('.').collect();
        let key = path.pop().expect("a key");
        policy.set(&path, key, &Setting::from(value)).expect("a valid policy");
    }
    policy
}

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| name.to_string()).collect()
}

fn count_on(tables: &[&str], policy: &Policy, votes: &[Vote], now: u64) -> Tally {
    let ask = Ask {
        tables: &names(tables),
        revision: 1,
        digest: &NOW,
        authors: &names(&["eve"]),
        votes,
        actors: &names(&EVERYONE),
        offered_at: day(0),
        now: day(now),
        voter: &voter,
    };
    tally(policy, &ask)
}

fn count(policy: &Policy, votes: &[Vote], now: u64) -> Tally {
    count_on(&["price"], policy, votes, now)
}

struct Case {
    rule: Vec<&'static str>,
    votes: &'static str,
    day: u64,
    verdict: Verdict,
    missing: Vec<&'static str>,
}

/// The rows of the table above [`tally`].
fn cases() -> Vec<Case> {
    let parts = |cell: &'static str| cell.split("; ").filter(|part| !part.is_empty()).collect();
    let rows = include_str!("../vote.rs").lines().filter_map(|line| line.strip_prefix("/// | "));
    let cases = rows.skip(1).map(|row| {
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        let [rule, votes, day, verdict, missing] = cells[..] else { panic!("{row}") };
        let verdict = match verdict {
            "waiting" => Verdict::Waiting,
            "approved" => Verdict::Approved,
            "rejected" => Verdict::Rejected,
            other => panic!("{other}"),
        };
        Case { rule: parts(rule), votes, day: day.parse().expect("a day"), verdict, missing: parts(missing) }
    });
    cases.collect()
}

#[test]
fn the_table_of_cases_holds() {
    let cases = cases();
    assert!(cases.len() > 50, "the table is found: {} rows", cases.len());
    for case in cases {
        let tally = count(&policy(&case.rule), &votes(case.votes), case.day);
        let what = format!("{:?} {} on day {}", case.rule, case.votes, case.day);
        assert_eq!((tally.verdict, tally.missing), (case.verdict, names(&case.missing)), "{what}");
    }
}

#[test]
fn n2_every_option_changes_what_comes_out() {
    let keys = Policy::default().set::<&str>(&[], "?", &Setting::Number(1)).expect_err("there is no such key").to_string();
    let about_votes = keys.split_once("approvals").expect("keys about votes are listed last").1;
    for key in ["approvals"].into_iter().chain(about_votes.split(", ").filter(|key| !key.is_empty())) {
        let is_told_apart = cases().iter().any(|case| {
            let without: Vec<&str> = case.rule.iter().copied().filter(|setting| !setting.starts_with(&format!("{key}="))).collect();
            without != case.rule && count(&policy(&without), &votes(case.votes), case.day).verdict != case.verdict
        });
        assert!(is_told_apart, "{key} could be ignored and no case would notice");
    }
}

#[track_caller]
fn check_tables(rule: &[&str], given: &str, verdict: Verdict, missing: &[&str]) {
    let tally = count_on(&["price", "stock", "note"], &policy(rule), &votes(given), 1);
    assert_eq!((tally.verdict, tally.missing), (verdict, names(missing)));
}

#[test]
fn the_rule_of_each_table_holds_and_the_lines_name_it() {
    use Verdict::{Approved, Rejected, Waiting};
    check_tables(&[], "ann+", Waiting, &["1 more approval is needed"]);
    check_tables(&["price.approvals=3"], "ann+ bo+", Waiting, &["1 more approval is needed for table price"]);
    check_tables(&["approvals=3", "price.approvals=2"], "ann+ bo+", Waiting, &["1 more approval is needed for tables stock, note"]);
    check_tables(&["approvals=1", "price.approvals=2"], "ann+ bo+", Approved, &[]);
    check_tables(&["price.owners=cy,di"], "ann+ bo+", Waiting, &["an owner of table price must approve: cy, di"]);
    check_tables(&["STOCK.veto=cy"], "ann+ bo+ cy-", Rejected, &["rejected by cy, who may veto changes of table stock"]);
    check_tables(
        &["price.majority=unanimous", "stock.veto=*"],
        "ann+ bo+ cy-",
        Rejected,
        &[
            "rejected by cy, and nobody may be against it for table price",
            "rejected by cy, and any rejection blocks changes of table stock",
        ],
    );
    check_tables(
        &["note.quorum=3", "note.owners=fay", "price.voters=owners"],
        "ann+ bo+",
        Waiting,
        &[
            "only owners of table price vote, and there are none",
            "2 more approvals are needed for table price",
            "an owner of table note must approve, and none of fay may",
            "1 more vote is needed for table note for the quorum of 3",
        ],
    );
}

#[test]
fn of_several_times_to_vote_the_shortest_holds() {
    let policy = policy(&["voting_days=9", "price.voting_days=5", "stock.approvals=1"]);
    let before = count_on(&["stock", "price"], &policy, &votes("ann+ bo+@5"), 4);
    assert_eq!(
        (before.verdict, before.closes, before.missing),
        (Verdict::Waiting, Some(day(5)), names(&["1 more approval is needed for table price"]))
    );
    let after = count_on(&["stock", "price"], &policy, &votes("ann+ bo+@5"), 5);
    assert_eq!(
        (after.verdict, after.missing),
        (Verdict::Rejected, names(&["the time to vote is over", "1 more approval is needed for table price"]))
    );
    assert_eq!(count_on(&["stock"], &policy, &votes("ann+ bo+@5"), 5).closes, Some(day(9)));
}

#[test]
fn without_tables_the_datasets_rule_holds() {
    let policy = policy(&["approvals=1", "price.approvals=9"]);
    assert_eq!(count_on(&[], &policy, &votes("ann+"), 1).verdict, Verdict::Approved);
    assert_eq!(count_on(&[], &policy, &[], 1).missing, ["1 more approval is needed"]);
    let beside = |tables: &[&str]| count_on(tables, &policy, &[], 1).missing;
    assert_eq!(beside(&["", "price"]), ["1 more approval is needed for the dataset", "9 more approvals are needed for table price"]);
    assert_eq!(beside(&["", "note", "price"])[0], "1 more approval is needed for the dataset and table note");
}

#[test]
fn it_is_told_which_votes_count_and_why_others_do_not() {
    let rule = policy(&["voting_days=5", "owners=ann,cy,di,eve,bot", "voters=owners", "majority=simple"]);
    let given = votes("cy+@7 ann2- ann+ bo+ bot+ di+old eve0 fay+ cy2+");
    let tally = count(&rule, &given, 6);
    let whys: Vec<(&str, WhyNot)> = tally.passed_over.iter().map(|(vote, why)| (vote.actor.as_str(), *why)).collect();
    assert_eq!(tally.counted, votes("ann+"));
    let expect = [
        ("cy", WhyNot::Late),
        ("ann2", WhyNot::Again),
        ("bo", WhyNot::NotOwner),
        ("bot", WhyNot::Agent),
        ("di", WhyNot::Stale),
        ("eve", WhyNot::Author),
        ("fay", WhyNot::NoRight),
        ("cy2", WhyNot::NoRight),
    ];
    assert_eq!((whys, tally.closes), (expect.to_vec(), Some(day(5))));
}

#[test]
fn n3_a_vote_on_another_revision_with_the_same_result_is_stale() {
    let mut given = votes("ann+ bo+");
    given[1].ballot.revision = 2;
    let tally = count(&Policy::default(), &given, 1);
    assert_eq!((tally.verdict, tally.passed_over[0].1), (Verdict::Waiting, WhyNot::Stale));
}

#[test]
fn n7_n9_roles_and_policies_are_those_of_the_moment() {
    let (two, three) = (policy(&["approvals=2"]), policy(&["approvals=3"]));
    let given = votes("ann+ bo+");
    assert_eq!(count(&two, &given, 1).verdict, Verdict::Approved);
    assert_eq!(count(&three, &given, 1).verdict, Verdict::Waiting);
    let (tables, authors) = (names(&["price"]), names(&["eve"]));
    let revoked = |actor: &str, table: &str| Voter { may_vote: actor != "bo", ..voter(actor, table) };
    let (offered_at, now) = (day(0), day(1));
    let ask =
        Ask { tables: &tables, revision: 1, digest: &NOW, authors: &authors, votes: &given, actors: &[], offered_at, now, voter: &revoked };
    let tally = tally(&two, &ask);
    assert_eq!((tally.verdict, tally.passed_over), (Verdict::Waiting, vec![(given[1].clone(), WhyNot::NoRight)]));
}

#[test]
fn t5_a_hundred_names_of_one_person_are_one_vote() {
    let one = |actor: &str, _: &str| Voter {
        person: actor.trim_end_matches(|c: char| c.is_ascii_digit()).into(),
        may_vote: true,
        is_agent: false,
    };
    let given: Vec<Vote> = (0..100).map(|n| vote(&format!("ann{n}"), Word::Approve)).collect();
    let (tables, authors, actors) = (names(&["price"]), names(&["eve"]), names(&["ann1", "ann2", "bo"]));
    let (offered_at, now) = (day(0), day(1));
    let ask =
        Ask { tables: &tables, revision: 1, digest: &NOW, authors: &authors, votes: &given, actors: &actors, offered_at, now, voter: &one };
    let tally = tally(&policy(&["quorum=100%"]), &ask);
    assert_eq!((tally.counted, tally.passed_over.len()), (vec![given[99].clone()], 99));
    assert_eq!(tally.missing, ["1 more approval is needed", "1 more vote is needed for the quorum of 2"]);
}

#[test]
fn a_share_of_nobody_known_is_never_reached() {
    let (tables, authors, given) = (names(&["price"]), names(&["eve"]), votes("ann+ bo+"));
    let (offered_at, now) = (day(0), day(1));
    let ask =
        Ask { tables: &tables, revision: 1, digest: &NOW, authors: &authors, votes: &given, actors: &[], offered_at, now, voter: &voter };
    let tally = tally(&policy(&["quorum=1%"]), &ask);
    assert_eq!(tally.missing, ["a share of those who may vote is needed as quorum, and who they are is not known here"]);
    assert_eq!(tally.verdict, Verdict::Waiting);
}

/// Every set of at most three authors, with every word by each of them and by others, by either of two accounts.
#[test]
fn t4_independent_people_alone_approve() {
    const PEOPLE: [&str; 4] = ["ann", "bo", "cy", "di"];
    const SAYS: [Option<Word>; 4] = [None, Some(Word::Approve), Some(Word::Reject), Some(Word::Abstain)];
    let tables = names(&["price"]);
    for authors in (0u32..16).filter(|authors| authors.count_ones() <= 3) {
        for says in 0..256usize {
            for second in 0..16u32 {
                let actor = |n: usize, of: u32| format!("{}{}", PEOPLE[n], if of >> n & 1 == 1 { "2" } else { "" });
                let said = |n: usize| SAYS[says >> (2 * n) & 3];
                let given: Vec<Vote> = (0..4).filter_map(|n| Some(vote(&actor(n, second), said(n)?))).collect();
                // Authored with whichever account they did not vote with.
                let wrote: Vec<String> = (0..4).filter(|n| authors >> n & 1 == 1).map(|n| actor(n, !second)).collect();
                let person = |actor: &str, _: &str| Voter { person: actor.trim_end_matches('2').into(), may_vote: true, is_agent: false };
                let (offered_at, now) = (day(0), day(1));
                let ask = Ask {
                    tables: &tables,
                    revision: 1,
                    digest: &NOW,
                    authors: &wrote,
                    votes: &given,
                    actors: &[],
                    offered_at,
                    now,
                    voter: &person,
                };
                let of = |word, anybody: bool| (0..4).filter(|&n| said(n) == Some(word) && (anybody || authors >> n & 1 == 0)).count();
                let (approving, rejecting) = (of(Word::Approve, false), of(Word::Reject, true));
                let is_approved = approving >= 2 && approving > rejecting;
                let verdict = tally(&Policy::default(), &ask).verdict;
                assert_eq!(verdict == Verdict::Approved, is_approved, "{given:?} on what {wrote:?} wrote");
            }
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    prop::sample::select(&Word::ALL[..])
}

fn ballot() -> impl Strategy<Value = Vote> {
    (prop::sample::select(&EVERYONE[..]), word(), any::<bool>(), 0..9u64).prop_map(|(actor, word, is_stale, at)| {
        let mut vote = vote(actor, word);
        vote.at = day(at);
        if is_stale {
            vote.ballot.digest = BEFORE;
        }
        vote
    })
}

fn rules() -> impl Strategy<Value = Vec<&'static str>> {
    const RULES: [&str; 16] = [
        "approvals=1",
        "approvals=3",
        "majority=two-thirds",
        "majority=unanimous",
        "quorum=3",
        "quorum=60%",
        "owners=ann,cy",
        "price.owners=bo,bot",
        "voters=owners",
        "veto=cy,fay",
        "stock.veto=*",
        "self_approval=allowed",
        "voting_days=5",
        "price.voting_agents=bot",
        "price.quorum=2",
        "stock.majority=simple",
    ];
    prop::sample::subsequence(&RULES[..], 0..6)
}

const TABLES: [&str; 2] = ["price", "stock"];

/// One vote each, as a proposal keeps them.
fn given() -> impl Strategy<Value = Vec<Vote>> {
    prop::collection::vec(ballot(), 0..8).prop_map(|votes| {
        let mut one: Vec<Vote> = Vec::new();
        for vote in votes {
            one.retain(|earlier| earlier.actor != vote.actor);
            one.push(vote);
        }
        one
    })
}

proptest! {
    #[test]
    fn an_approval_of_somebody_new_takes_no_approval_away(rule in rules(), given in given(), now in 0..9u64) {
        let policy = policy(&rule);
        let before = count_on(&TABLES, &policy, &given, now);
        let person = |actor: &str| voter(actor, "").person;
        for actor in EVERYONE.iter().filter(|actor| given.iter().all(|vote| person(&vote.actor) != person(actor))) {
            let mut more = given.clone();
            more.push(vote(actor, Word::Approve));
            let after = count_on(&TABLES, &policy, &more, now);
            prop_assert!(before.verdict != Verdict::Approved || after.verdict == Verdict::Approved);
            prop_assert!(before.verdict == Verdict::Rejected || after.verdict != Verdict::Rejected);
        }
    }

    #[test]
    fn a_rejection_approves_only_where_a_quorum_is_asked_for(rule in rules(), given in given(), now in 0..9u64) {
        let rule: Vec<&str> = rule.into_iter().filter(|setting| !setting.contains("quorum")).collect();
        let policy = policy(&rule);
        let before = count_on(&TABLES, &policy, &given, now);
        let person = |actor: &str| voter(actor, "").person;
        for actor in EVERYONE.iter().filter(|actor| given.iter().all(|vote| person(&vote.actor) != person(actor))) {
            let mut more = given.clone();
            more.push(vote(actor, Word::Reject));
            let after = count_on(&TABLES, &policy, &more, now);
            prop_assert!(before.verdict == Verdict::Approved || after.verdict != Verdict::Approved);
        }
    }

    #[test]
    fn the_order_of_different_people_does_not_matter(rule in rules(), given in given(), turn in 0..8usize, now in 0..9u64) {
        let policy = policy(&rule);
        let given: Vec<Vote> = given.into_iter().filter(|vote| vote.actor != "ann2").collect();
        let mut turned = given.clone();
        turned.rotate_left(if given.is_empty() { 0 } else { turn % given.len() });
        let (a, b) = (count_on(&TABLES, &policy, &given, now), count_on(&TABLES, &policy, &turned, now));
        prop_assert_eq!((a.verdict, a.counted.len()), (b.verdict, b.counted.len()));
    }

    #[test]
    fn stale_votes_of_others_change_nothing(rule in rules(), given in given(), now in 0..9u64) {
        let policy = policy(&rule);
        let is_fresh = |vote: &&Vote| vote.ballot.digest == NOW;
        let given: Vec<Vote> = given.into_iter().filter(|vote| vote.actor != "ann2").collect();
        let fresh: Vec<Vote> = given.iter().filter(is_fresh).cloned().collect();
        let (all, some) = (count_on(&TABLES, &policy, &given, now), count_on(&TABLES, &policy, &fresh, now));
        prop_assert_eq!((all.verdict, all.missing, all.counted), (some.verdict, some.missing, some.counted));
    }

    #[test]
    fn every_vote_is_counted_or_passed_over_and_silence_means_approved(rule in rules(), given in given(), now in 0..9u64) {
        let tally = count_on(&TABLES, &policy(&rule), &given, now);
        prop_assert_eq!(tally.counted.len() + tally.passed_over.len(), given.len());
        prop_assert!(tally.counted.iter().all(|vote| vote.ballot.digest == NOW && vote.actor != "fay"));
        prop_assert_eq!(tally.missing.is_empty(), tally.verdict == Verdict::Approved);
    }

    #[test]
    fn one_table_more_never_helps(rule in rules(), given in given(), now in 0..9u64) {
        let policy = policy(&rule);
        let one = count_on(&TABLES[..1], &policy, &given, now);
        let both = count_on(&TABLES, &policy, &given, now);
        prop_assert!(both.verdict != Verdict::Approved || one.verdict == Verdict::Approved);
    }
}

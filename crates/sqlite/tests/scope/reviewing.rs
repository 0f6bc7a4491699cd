//! Proposals of those who see a part: they offer what they see, and hear of nothing else (T3, I-52).
use crate::office::{Office, quiet};
use mainstem::core::proposal::{Anchor, Ballot, Decision, MergeWish, Origin, Remark, Stage, Word};
use mainstem::core::value::Value;
use mainstem::ledger::ProposalsWanted;
use mainstem::proposing::{self, Asked, Proposing};
use mainstem::replica::Replica;
use mainstem::review::{By, Deed, Everybody, Judged};

const POLICY: &str = "approvals = 1\nself_approval = 'allowed'\nmode = 'review'\n";

fn by(actor: &str) -> By<'_> {
    By { actor, token: None, people: &Everybody, request: None }
}

/// Ada sees all; bob and cem their own tasks, dan every task.
fn office() -> Office {
    let mut office = Office::new();
    office.whole().set_policy(POLICY, "ada").unwrap();
    office.permit("bob", "task: owner = 'bob'");
    office.permit("cem", "task: owner = 'cem'");
    office.permit("dan", "task");
    for name in ["bob", "cem", "dan"] {
        office.join(name, "*");
    }
    office.sync("ada");
    office
}

fn propose(office: &Office, name: &str, sql: &str) -> u64 {
    office.sql(name, sql);
    let asked = Asked { title: Some(format!("by {name}")), ..Asked::default() };
    proposing::propose(&mut office.open(name), &mut *office.primary_of(name), name, &asked, &mut quiet).unwrap().proposal
}

fn told(office: &Office, name: &str, id: u64) -> Option<Judged> {
    office.primary_of(name).proposal(id, by(name)).unwrap()
}

fn listed(office: &Office, name: &str) -> Vec<u64> {
    office.primary_of(name).proposals(&ProposalsWanted { limit: 10, ..ProposalsWanted::default() }).unwrap()
}

fn vote(office: &Office, name: &str, id: u64) -> mainstem::Result<()> {
    let assessment = told(office, name, id).and_then(|judged| judged.assessment);
    let assessment = assessment.unwrap_or_else(|| office.whole().proposal(id, by(name)).unwrap().unwrap().assessment.unwrap());
    let ballot = Ballot { revision: assessment.revision, digest: assessment.digest, word: Word::Approve, comment: String::new() };
    office.primary_of(name).act(id, &Deed::Vote(ballot), by(name))
}

fn merge(office: &Office, id: u64) {
    office.whole().merge(id, &MergeWish::new(u128::from(id)), by("ada")).unwrap();
}

/// Whatever is asked of a proposal that is not told is answered as of one that is not there.
fn assert_absent(office: &Office, name: &str, id: u64) {
    let digest = office.whole().proposal(id, by("ada")).unwrap().unwrap().assessment.map(|assessment| assessment.digest);
    let absent = id + 1_000;
    let mut primary = office.primary_of(name);
    let mut answers = |id: u64| {
        let said = Deed::Comment(Remark { text: "so?".into(), ..Remark::default() });
        let closed = Deed::Decide(Decision { stage: Stage::Withdrawn, reason: String::new() });
        let ballot = Ballot { revision: 1, digest: digest.unwrap_or_default(), word: Word::Approve, comment: String::new() };
        let of = |e: mainstem::Error| {
            (e.kind, e.code, e.message.replace(&id.to_string(), "N"), e.hint.map(|hint| hint.replace(&id.to_string(), "N")))
        };
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            primary.proposal(id, by(name)).map(|judged| judged.is_none()).map_err(of),
            primary.act(id, &said, by(name)).map_err(of),
            primary.act(id, &closed, by(name)).map_err(of),
            primary.act(id, &Deed::Vote(ballot), by(name)).map_err(of),
            primary.merge(id, &MergeWish::new(5), by(name)).map_err(of),
            primary.answer(id, &[], by(name)).map_err(of),
            primary.accept_part(id, &[], by(name)).map_err(of),
            primary.shown_page(id, &digest.unwrap_or_default(), 0).map_err(of),
            primary.staged_page(id, 1, 0).map_err(of),
        )
    };
    assert_eq!(answers(id), answers(absent), "{name} of proposal {id}");
    assert!(!listed(office, name).contains(&id), "{name} is told of proposal {id}");
}

#[test]
fn a_part_is_offered_seen_voted_on_and_merged() {
    let office = office();
    let id = propose(&office, "bob", "UPDATE task SET what = 'swept' WHERE id = 1; INSERT INTO task VALUES (5, NULL, 'bob', 0, 'rest')");
    let seen = told(&office, "bob", id).expect("his own");
    assert_eq!(seen.assessment.as_ref().unwrap().outcome.count, 2);
    assert_eq!((listed(&office, "bob"), listed(&office, "dan"), listed(&office, "cem")), (vec![id], vec![id], vec![]));
    assert_absent(&office, "cem", id);
    let (digest, page) = (seen.assessment.unwrap().digest, 0);
    for name in ["bob", "dan"] {
        assert_eq!(office.primary_of(name).shown_page(id, &digest, page).unwrap(), office.whole().shown_page(id, &digest, page).unwrap());
    }
    vote(&office, "dan", id).expect("he sees all of it");
    let refused = office.primary_of("dan").merge(id, &MergeWish::new(1), by("dan")).unwrap_err();
    assert_eq!(refused.code, "partial_view", "the dataset is for whoever sees it");
    merge(&office, id);
    let report = office.sync("bob");
    assert_eq!((report.merged_proposals, office.open("bob").kept().unwrap().len()), (vec![id], 0));
    assert_eq!(told(&office, "bob", id).expect("merged").proposal.version, Some(2));
    assert_absent(&office, "cem", id);
    office.settle(&["ada", "bob", "cem", "dan"]);
}

#[test]
fn of_a_proposal_that_touches_what_is_hidden_nothing_is_told() {
    let office = office();
    // Another's row, a row that leaves, one that comes, another table, and the tables themselves.
    let hidden = [
        "UPDATE task SET what = 'topsecret' WHERE id IN (1, 2)",
        "UPDATE task SET owner = 'cem' WHERE id = 1",
        "UPDATE task SET owner = 'bob' WHERE id = 2",
        "UPDATE task SET what = 'x' WHERE id = 3; UPDATE safe SET x = 'topsecret 2'",
        "DELETE FROM task WHERE id IN (3, 4)",
        "INSERT INTO task VALUES (9, NULL, 'bob', 0, 'x'), (10, NULL, 'ada', 0, 'topsecret')",
        "ALTER TABLE task ADD COLUMN topsecret TEXT",
    ];
    let before = office.open("bob").standing().unwrap();
    for sql in hidden {
        let id = propose(&office, "ada", sql);
        assert_absent(&office, "bob", id);
        let judged = office.whole().proposal(id, by("ada")).unwrap().unwrap();
        let write_id = judged.proposal.head().front.header.write_id;
        assert!(vote(&office, "bob", id).is_err_and(|e| e.code == "not_found"), "{sql}");
        let withdrawn = Deed::Decide(Decision { stage: Stage::Withdrawn, reason: String::new() });
        office.whole().act(id, &withdrawn, by("ada")).unwrap();
        office.open("ada").note_stage(id, Stage::Withdrawn).unwrap();
        assert_absent(&office, "bob", id);
        office.open("ada").take_back(id).or_else(|e| if sql.starts_with("ALTER") { Ok(0) } else { Err(e) }).unwrap();
        assert_eq!(office.whole().find_revision(write_id).unwrap(), Some((id, 1)));
    }
    assert_eq!(office.open("bob").standing().unwrap().base_version, before.base_version);
}

#[test]
fn what_others_said_of_hidden_rows_is_not_told_with_a_proposal() {
    let office = office();
    let id = propose(&office, "ada", "UPDATE task SET what = 'swept' WHERE id = 1; UPDATE safe SET x = 'topsecret 2'");
    assert_absent(&office, "bob", id);
    // The next revision is of his row alone.
    let only = [mainstem::review::Chosen { table: "task".into(), key: None, columns: vec![] }];
    assert_eq!(office.whole().accept_part(id, &only, by("ada")).unwrap(), Some(id + 1));
    let say = |anchor: Anchor, text: &str| {
        let remark = Remark { anchor, text: text.into(), ..Remark::default() };
        office.whole().act(id, &Deed::Comment(remark), by("ada")).unwrap();
    };
    say(Anchor::Row("safe".into(), vec![Value::Integer(1)]), "the safe is topsecret");
    say(Anchor::Cell("task".into(), vec![Value::Integer(2)], "what".into()), "topsecret, too");
    say(Anchor::Row("task".into(), vec![Value::Integer(1)]), "this is yours");
    office
        .whole()
        .set_policy(&format!("{POLICY}[gates.locked]\nrule = 'no-rows'\nsql = 'SELECT x FROM safe'\nseverity = 'warn'\n"), "ada")
        .unwrap();
    let judged = told(&office, "bob", id).expect("his row alone");
    let texts: Vec<&str> = judged.proposal.comments.iter().map(|comment| comment.remark.text.as_str()).collect();
    assert_eq!(texts, ["", "", "this is yours"], "they keep their numbers");
    let all = format!("{judged:?}");
    for word in ["safe", "topsecret", &format!("{:?}", b"topsecret")] {
        assert!(!all.contains(word.trim_matches(['[', ']'])), "{word} is told: {all}");
    }
    assert_eq!(office.primary_of("bob").staged_page(id, 1, 0).unwrap(), None, "the first revision had more in it");
    assert!(office.primary_of("bob").staged_page(id, 2, 0).unwrap().is_some());
    vote(&office, "bob", id).expect("he sees all of it");
    assert_absent(&office, "bob", id + 1);
    merge(&office, id);
    office.settle(&["ada", "bob", "cem", "dan"]);
    assert_eq!(office.primary_of("bob").chronicle().unwrap().now().table("safe").map(|table| table.name.clone()), None);
}

#[test]
fn what_a_part_offers_is_merged_by_whoever_sees_the_rest() {
    let office = office();
    // His number is taken by a row that he does not see.
    let taken = propose(&office, "cem", "INSERT INTO task VALUES (7, NULL, 'cem', 0, 'of cem')");
    let id = propose(&office, "bob", "INSERT INTO task VALUES (7, NULL, 'bob', 0, 'of bob')");
    let origin = |id: u64| office.whole().proposal(id, by("ada")).unwrap().unwrap().proposal.head().origin;
    assert_eq!(origin(id), Origin::Partial, "there may be rows that he did not know");
    vote(&office, "dan", taken).unwrap();
    merge(&office, taken);
    vote(&office, "dan", id).unwrap();
    merge(&office, id);
    office.settle(&["ada", "bob", "cem", "dan"]);
    let mut primary = office.primary_of("ada");
    let head = primary.describe().unwrap().head.version;
    let mut whats = Vec::new();
    let keep = &mut |_: &[String], row: &mainstem::core::value::Row| {
        whats.push(row[4].clone());
        Ok(())
    };
    primary.rows("task", head, keep).unwrap();
    for what in ["of cem", "of bob"] {
        assert!(whats.contains(&Value::text(what)), "{what} in {whats:?}");
    }
    // A row that left his sight is nobody's to offer from here, and his copy syncs all the same.
    let id = propose(&office, "bob", "UPDATE task SET what = 'planted' WHERE id = 3");
    let away = propose(&office, "ada", "UPDATE task SET owner = 'cem' WHERE id = 3");
    vote(&office, "dan", away).unwrap();
    merge(&office, away);
    office.sync("bob");
    assert_absent(&office, "bob", id);
    assert_eq!(office.open("bob").kept().unwrap().len(), 1, "it stays open for the others");
}

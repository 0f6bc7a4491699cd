//! Clones that end in the middle, and those that go on from what they left.
use crate::team::{Team, one, quiet};
use mainstem::core::ErrorKind;
use mainstem::core::scope::Scope;
use mainstem::error::{Error, Result};
use mainstem::primary::Primary;
use mainstem::scoped::Scoped;
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::{CloneOptions, Cloned, Earlier, InitOptions};
use mainstem_testkit::between::{Between, Moment, Turn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

const MANY: &str = "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 20009)
    INSERT INTO task(id, list, what) SELECT i, 1, 'task ' || i FROM n;";
/// The rows that are in the file when the clone ends after this many.
const ENDS_AT: u64 = 18_500;
const TASKS: &str = "SELECT count(*) || ' ' || sum(length(what)) || ' ' || max(what) FROM task";

fn team() -> Team {
    let team = Team::new(&["ada"]);
    team.edit("ada", MANY);
    team
}

fn clone(team: &Team, primary: &mut dyn Primary, scope: &Scope, file: &Path, progress: &mut dyn FnMut(&str, u64, u64)) -> Result<Cloned> {
    let address = team.primary_folder();
    let wanted = CloneOptions { address: &address.to_string_lossy(), actor: Some("bob"), scope };
    SqliteReplica::clone_part(primary, &wanted, file, team.around.clone(), progress)
}

/// A clone that ends in the middle, as if it were killed: what it has not committed is gone.
fn cut_off(team: &Team, file: &Path) {
    let end = |_: &str, done: u64, _: u64| assert!(done < ENDS_AT, "killed");
    let ended = catch_unwind(AssertUnwindSafe(|| clone(team, &mut *team.primary(), &Scope::everything(), file, &mut { end })));
    assert!(ended.is_err() && !file.exists());
    assert!(part(file).exists());
}

fn part(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".mainstem-part");
    name.into()
}

/// Clones again, and says what became of what was there and how many rows came first.
fn again(team: &Team, file: &Path) -> (Earlier, u64) {
    let mut first = None;
    let mut listen = |what: &str, done: u64, _: u64| {
        if what == "cloning rows" {
            first.get_or_insert(done);
        }
    };
    let cloned = clone(team, &mut *team.primary(), &Scope::everything(), file, &mut listen).unwrap();
    assert!(!part(file).exists());
    (cloned.earlier, first.unwrap_or_default())
}

fn assert_whole(team: &Team, file: &Path) {
    assert_eq!(one(file, TASKS), one(&team.primary_db(), TASKS));
    let mut replica = SqliteReplica::open(file, team.around.clone()).unwrap();
    let verified = mainstem::replica::Replica::verify(&mut replica, Some(&mut *team.primary()), &mut quiet).unwrap();
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    assert!(one(file, "SELECT count(*) FROM sqlite_schema WHERE name = 'mainstem_cloning'") == "0");
}

#[test]
fn a_clone_goes_on_where_another_run_ended() {
    let team = team();
    let file = team.path("bob");
    cut_off(&team, &file);
    cut_off(&team, &file);
    let (earlier, first) = again(&team, &file);
    let Earlier::Taken { rows } = earlier else { panic!("{earlier:?}") };
    assert!((10_000..ENDS_AT).contains(&rows) && rows < first, "{rows} {first}");
    assert_whole(&team, &file);
    team.edit("bob", "UPDATE task SET done = 1 WHERE id = 20;");
    team.settle(&["ada", "bob"]);
    assert_eq!(team.value("ada", "SELECT done FROM task WHERE id = 20"), "1");
}

#[test]
fn whoever_gives_up_a_broken_line_keeps_what_came_and_is_told_so() {
    let team = team();
    let file = team.path("bob");
    let mut primary = team.primary();
    let mut broken = Between::new(&mut *primary, |moment| match moment {
        Moment::After("snapshot") => Err(Error::new(ErrorKind::Unavailable, "line", "the line broke")),
        _ => Ok(Turn::Once),
    });
    let given_up = clone(&team, &mut broken, &Scope::everything(), &file, &mut quiet).unwrap_err();
    assert!(given_up.hint.as_ref().is_some_and(|hint| hint.contains("goes on")), "{given_up:?}");
    // Nothing had come yet where it was refused at once.
    let mut refused = Between::new(&mut *primary, |_| Err(Error::new(ErrorKind::Unavailable, "line", "nobody answers")));
    let nothing = team.path("cem");
    assert!(clone(&team, &mut refused, &Scope::everything(), &nothing, &mut quiet).is_err());
    assert!(part(&file).exists() && !part(&nothing).exists());
    assert_eq!(again(&team, &file), (Earlier::Taken { rows: 20_008 }, 0));
    assert_whole(&team, &file);
}

#[test]
fn what_is_of_another_state_is_not_used() {
    type Meanwhile = fn(&Team, &Path);
    let meanwhile: [Meanwhile; 3] = [
        |team, _| drop(team.edit("ada", "UPDATE task SET what = 'new' WHERE id = 11;")),
        |team, copy| {
            team.edit("ada", "UPDATE task SET what = 'lost' WHERE id = 11;");
            team.restore(copy);
        },
        |team, copy| team.restore(copy),
    ];
    for happens in meanwhile {
        let team = team();
        let copy = team.copy_primary("copy");
        let file = team.path("bob");
        cut_off(&team, &file);
        happens(&team, &copy);
        assert_eq!(again(&team, &file).0, Earlier::GivenUp);
        assert_whole(&team, &file);
    }
}

#[test]
fn what_is_of_another_dataset_or_part_is_not_used() {
    let (team, other) = (team(), Team::new(&["ada", "eve"]));
    other.edit("ada", MANY);
    let file = team.path("bob");
    cut_off(&other, &file);
    assert_eq!(again(&team, &file).0, Earlier::GivenUp);
    assert_whole(&team, &file);
    let file = team.path("cem");
    cut_off(&team, &file);
    let scope: Scope = "task: id > 100\n".parse().unwrap();
    let mut shown = Scoped::new(team.primary(), scope.clone(), Scope::everything());
    let cloned = clone(&team, &mut shown, &scope, &file, &mut quiet).unwrap();
    assert_eq!(cloned.earlier, Earlier::GivenUp);
    assert_eq!(one(&file, "SELECT min(id) FROM task"), "101");
    // A part goes on by its own pages.
    let file = team.path("dan");
    let mut end = |_: &str, done: u64, _: u64| assert!(done < ENDS_AT, "killed");
    let mut shown = Scoped::new(team.primary(), scope.clone(), Scope::everything());
    assert!(catch_unwind(AssertUnwindSafe(|| clone(&team, &mut shown, &scope, &file, &mut end))).is_err());
    let cloned = clone(&team, &mut shown, &scope, &file, &mut quiet).unwrap();
    assert!(matches!(cloned.earlier, Earlier::Taken { rows } if rows > 0), "{:?}", cloned.earlier);
    assert_eq!(one(&file, TASKS), one(&team.path("cem"), TASKS));
}

#[test]
fn what_a_clone_leaves_is_no_replica_and_of_one_clone_alone() {
    let team = team();
    let file = team.path("bob");
    cut_off(&team, &file);
    assert!(SqliteReplica::open(&part(&file), team.around.clone()).is_err());
    let refused = SqliteReplica::init(&part(&file), &InitOptions::default(), team.around.clone(), &mut quiet).unwrap_err();
    assert_eq!(refused.code, "reserved");
    let mut second = None;
    let mut meanwhile = |_: &str, _: u64, _: u64| {
        second.get_or_insert_with(|| clone(&team, &mut *team.primary(), &Scope::everything(), &file, &mut quiet).map(drop));
    };
    clone(&team, &mut *team.primary(), &Scope::everything(), &file, &mut meanwhile).unwrap();
    let refused = second.unwrap().unwrap_err();
    assert_eq!((refused.kind, refused.code), (ErrorKind::Unavailable, "locked"));
    assert_whole(&team, &file);
    // What cannot be read is no beginning of anything.
    let file = team.path("cem");
    std::fs::write(part(&file), "no database at all").unwrap();
    assert_eq!(again(&team, &file).0, Earlier::Nothing);
    assert_whole(&team, &file);
}

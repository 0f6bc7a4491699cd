//! The rules of a dataset: which strategy a column has, what a delete does against an edit, who outranks whom, who
//! must agree.
//!
//! Invariant: a policy holds only keys and values that are known here; anything else was refused when it was set.
//! Invariant: names of tables and columns are compared without ASCII case, as SQLite does.
//! Deliberately absent: the text a policy is written in.
mod reviewed;
mod voting;

pub use reviewed::{REVIEW_HOURS, Sent};
pub use voting::{APPROVALS, Majority, Quorum, SelfApproval, Voters, VotingRule};

use crate::error::{Error, Result};
use crate::gate::Gate;
use crate::stamp::ReplicaId;
use crate::strategy::Strategy;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How far, in milliseconds, a stamp may be ahead of the primary's clock where the policy does not say.
pub const CLOCK_SKEW_MS_MAX: u64 = 300_000;

/// How many days a tombstone is kept where the policy does not say.
pub const TOMBSTONE_DAYS: u32 = 90;

const FOREVER: &str = "forever";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// How long something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Life {
    /// So many days.
    Days(u32),
    /// For ever.
    Forever,
}

impl Life {
    /// When what began at that wall-clock millisecond ends; none where it never does.
    pub fn end_ms(self, began_ms: u64) -> Option<u64> {
        match self {
            Life::Days(days) => Some(began_ms.saturating_add(u64::from(days) * DAY_MS)),
            Life::Forever => None,
        }
    }

    /// What began then or before has ended by that wall-clock millisecond; none where nothing has.
    pub fn begin_ms(self, now_ms: u64) -> Option<u64> {
        match self {
            Life::Days(days) => now_ms.checked_sub(u64::from(days) * DAY_MS),
            Life::Forever => None,
        }
    }
}

/// What a delete does against an edit of the same row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Deletes {
    /// The row stays, and a person decides.
    #[default]
    Manual,
    /// The row goes.
    DeleteWins,
    /// The row stays.
    UpdateWins,
    /// Whichever was written later holds.
    LastWriteWins,
}

impl Deletes {
    /// Every rule.
    pub const ALL: [Deletes; 4] = [Deletes::Manual, Deletes::DeleteWins, Deletes::UpdateWins, Deletes::LastWriteWins];
    /// The name used in policies and conflicts.
    pub fn name(self) -> &'static str {
        match self {
            Deletes::Manual => "manual",
            Deletes::DeleteWins => "delete-wins",
            Deletes::UpdateWins => "update-wins",
            Deletes::LastWriteWins => "last-write-wins",
        }
    }
}

/// Whether a changeset is merged as it arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It is.
    #[default]
    Direct,
    /// It waits for approval.
    Review,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 2] = [Mode::Direct, Mode::Review];
    /// The name used in policies.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Direct => "direct",
            Mode::Review => "review",
        }
    }
}

/// A value in a policy, before it is checked against its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// A word. Lists of ranks may be written `name=rank, name=rank`.
    Text(String),
    /// A number.
    Number(i64),
    /// Ranks by name.
    Ranks(Vec<(String, i64)>),
    /// Names. They may be written `name, name`; ranks may be written as names, too.
    Names(Vec<String>),
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Setting::Text(text.to_string())
    }
}

impl From<i64> for Setting {
    fn from(number: i64) -> Self {
        Setting::Number(number)
    }
}

/// One line of a policy: an empty path is the dataset, `[table]` a table, `[table, column]` a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it applies.
    pub path: Vec<String>,
    /// What it sets.
    pub key: String,
    /// To what.
    pub value: Setting,
}

/// The rule for one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnRule {
    /// How concurrent edits of its cells combine.
    pub strategy: Strategy,
    /// What separates the parts of a list; none for the default.
    pub delimiter: Option<String>,
}

/// The rule for one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRule {
    /// The strategy of columns that have none of their own. [`Strategy::Strict`] here is about whole rows.
    pub strategy: Strategy,
    /// What a delete does against an edit.
    pub deletes: Deletes,
    /// Whether changes need approval.
    pub mode: Mode,
    /// The column whose value is a row's rank for [`Strategy::Priority`].
    pub priority_column: Option<String>,
    /// How long its tombstones are kept.
    pub tombstones: Life,
    /// The column by which the app marks rows as deleted.
    pub soft_delete: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    name: String,
    strategy: Option<Strategy>,
    deletes: Option<Deletes>,
    mode: Option<Mode>,
    priority_column: Option<String>,
    tombstones: Option<Life>,
    soft_delete: Option<String>,
    voting: voting::Keys,
    columns: BTreeMap<String, ColumnRules>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ColumnRules {
    name: String,
    strategy: Option<Strategy>,
    delimiter: Option<String>,
}

/// The rules of a dataset. The default one is last-write-wins, with deletes against edits left to people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    dataset: Rules,
    tables: BTreeMap<String, Rules>,
    actors: Vec<(String, i64)>,
    replicas: Vec<(String, i64)>,
    clock_skew_ms_max: Option<u64>,
    history_life: Option<Life>,
    replica_life: Option<Life>,
    staging_life: Option<Life>,
    review_above: Option<u64>,
    review_above_hours: Option<u64>,
    gates: Vec<Gate>,
}

const DATASET_KEYS: &str = "strategy, deletes, mode, priority_column, tombstones, soft_delete, history, replicas, staging, \
                            priority_actors, priority_replicas, clock_skew_ms_max, review_above, \
                            review_above_hours";
const TABLE_KEYS: &str = "strategy, deletes, mode, priority_column, tombstones, soft_delete";
const COLUMN_KEYS: &str = "strategy, delimiter";

impl Policy {
    /// Builds a policy from entries. Later entries replace earlier ones.
    pub fn from_entries(entries: &[Entry]) -> Result<Policy> {
        let mut policy = Policy::default();
        for entry in entries {
            policy.set(&entry.path, &entry.key, &entry.value)?;
        }
        Ok(policy)
    }

    /// Sets one key. An unknown key or value is [`Error::Invalid`], names the key and lists what is allowed.
    pub fn set<S: AsRef<str>>(&mut self, path: &[S], key: &str, value: &Setting) -> Result<()> {
        match path {
            [] => self.set_dataset(key, value),
            [table] => {
                let table = table.as_ref();
                let whole = format!("{}.{key}", quoted(table));
                set_rules(self.rules(table), &whole, key, value, TABLE_KEYS)
            }
            [table, column] => {
                let (table, column) = (table.as_ref(), column.as_ref());
                let whole = format!("{}.{}.{key}", quoted(table), quoted(column));
                let rules = self.rules(table).columns.entry(column.to_ascii_lowercase()).or_default();
                rules.name = column.to_string();
                match key {
                    "strategy" => rules.strategy = Some(strategy(&whole, value)?),
                    "delimiter" => rules.delimiter = Some(delimiter(&whole, value)?),
                    _ => return Err(unknown_key(&whole, COLUMN_KEYS)),
                }
                Ok(())
            }
            _ => Err(Error::invalid(format!("policy key {key}"), "a path is empty, a table, or a table and a column")),
        }
    }

    fn rules(&mut self, table: &str) -> &mut Rules {
        let rules = self.tables.entry(table.to_ascii_lowercase()).or_default();
        rules.name = table.to_string();
        rules
    }

    fn set_dataset(&mut self, key: &str, value: &Setting) -> Result<()> {
        match key {
            "priority_actors" => self.actors = ranks(key, value)?,
            "priority_replicas" => {
                let list = ranks(key, value)?;
                if let Some((name, _)) = list.iter().find(|(name, _)| !is_replica_name(name)) {
                    let why = format!("{name:?} is not a replica; allowed: 8 to 32 hexadecimal digits of its id");
                    return Err(Error::invalid(format!("policy key {key}"), why));
                }
                self.replicas = list;
            }
            "clock_skew_ms_max" => self.clock_skew_ms_max = Some(milliseconds(key, value)?),
            "history" => self.history_life = Some(life(key, value)?),
            "replicas" => self.replica_life = Some(life(key, value)?),
            "staging" => self.staging_life = Some(life(key, value)?),
            "review_above" => self.review_above = Some(voting::rows(key, value)?),
            "review_above_hours" => self.review_above_hours = Some(voting::hours(key, value)?),
            _ => set_rules(&mut self.dataset, key, key, value, DATASET_KEYS)?,
        }
        Ok(())
    }

    /// The same policy with these gates.
    pub fn with_gates(self, gates: Vec<Gate>) -> Policy {
        Policy { gates, ..self }
    }

    /// What must hold of the rows after a merge.
    pub fn gates(&self) -> &[Gate] {
        &self.gates
    }

    /// Everything that is set, as entries that build the same policy again. Gates are no entries.
    pub fn entries(&self) -> Vec<Entry> {
        let mut out = Vec::new();
        push_rules(&mut out, &[], &self.dataset);
        for (key, list) in [("priority_actors", &self.actors), ("priority_replicas", &self.replicas)] {
            if !list.is_empty() {
                out.push(Entry { path: Vec::new(), key: key.to_string(), value: Setting::Ranks(list.clone()) });
            }
        }
        for (key, life) in [("history", self.history_life), ("replicas", self.replica_life), ("staging", self.staging_life)] {
            if let Some(life) = life {
                out.push(Entry { path: Vec::new(), key: key.to_string(), value: life_setting(life) });
            }
        }
        let numbers = [
            ("clock_skew_ms_max", self.clock_skew_ms_max),
            ("review_above", self.review_above),
            ("review_above_hours", self.review_above_hours),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                let value = Setting::Number(i64::try_from(number).unwrap_or(i64::MAX));
                out.push(Entry { path: Vec::new(), key: key.to_string(), value });
            }
        }
        for table in self.tables.values() {
            push_rules(&mut out, &[&table.name], table);
            for column in table.columns.values() {
                let mut push = |key: &str, value: Option<&str>| {
                    if let Some(value) = value {
                        let path = [table.name.clone(), column.name.clone()].to_vec();
                        out.push(Entry { path, key: key.to_string(), value: value.into() });
                    }
                };
                push("strategy", column.strategy.map(Strategy::name));
                push("delimiter", column.delimiter.as_deref());
            }
        }
        out
    }

    /// The rule for a column: its own, else its table's, else the dataset's.
    pub fn column(&self, table: &str, column: &str) -> ColumnRule {
        let own = self.tables.get(&table.to_ascii_lowercase()).and_then(|t| t.columns.get(&column.to_ascii_lowercase()));
        ColumnRule {
            strategy: own.and_then(|c| c.strategy).unwrap_or_else(|| self.table(table).strategy),
            delimiter: own.and_then(|c| c.delimiter.clone()),
        }
    }

    /// The rule for a table: its own, else the dataset's.
    pub fn table(&self, table: &str) -> TableRule {
        let own = self.tables.get(&table.to_ascii_lowercase());
        let dataset = &self.dataset;
        TableRule {
            strategy: own.and_then(|t| t.strategy).or(dataset.strategy).unwrap_or_default(),
            deletes: own.and_then(|t| t.deletes).or(dataset.deletes).unwrap_or_default(),
            mode: own.and_then(|t| t.mode).or(dataset.mode).unwrap_or_default(),
            priority_column: own.and_then(|t| t.priority_column.clone()).or_else(|| dataset.priority_column.clone()),
            tombstones: own.and_then(|t| t.tombstones).unwrap_or_else(|| self.tombstones()),
            soft_delete: own.and_then(|t| t.soft_delete.clone()).or_else(|| dataset.soft_delete.clone()),
        }
    }

    /// Who must agree to changes of a table: by each key of its own, else of the dataset's.
    pub fn voting(&self, table: &str) -> VotingRule {
        let own = self.tables.get(&table.to_ascii_lowercase());
        voting::Keys::rule(own.map(|t| &t.voting), &self.dataset.voting)
    }

    /// More rows than this need review whatever their tables say, in one changeset or in several; none where any may go.
    pub fn review_above(&self) -> Option<u64> {
        self.review_above
    }

    /// For so many hours, what one person sends without review is added up; zero where each changeset is by itself.
    pub fn review_above_hours(&self) -> u64 {
        self.review_above_hours.unwrap_or(REVIEW_HOURS)
    }

    /// How long tombstones are kept in tables that have no rule of their own.
    fn tombstones(&self) -> Life {
        self.dataset.tombstones.unwrap_or(Life::Days(TOMBSTONE_DAYS))
    }

    /// How long the row changes of versions are kept: for ever, unless the policy says otherwise.
    pub fn history(&self) -> Life {
        self.history_life.unwrap_or(Life::Forever)
    }

    /// How long after it was last seen a replica holds back what it has not heard of: as long as tombstones are kept,
    /// unless the policy says otherwise.
    pub fn replicas(&self) -> Life {
        self.replica_life.unwrap_or_else(|| self.tombstones())
    }

    /// How long the staged rows of a proposal are kept once it is closed: as long as tombstones, unless the policy says otherwise.
    pub fn staging(&self) -> Life {
        self.staging_life.unwrap_or_else(|| self.tombstones())
    }

    /// The rank of who wrote something: the actor's where it is listed, else the replica's, else zero.
    pub fn rank(&self, actor: &str, replica: ReplicaId) -> i64 {
        let id = replica.to_string();
        let by_actor = self.actors.iter().find(|(name, _)| name == actor);
        let by_replica = || self.replicas.iter().find(|(name, _)| id.starts_with(name.to_ascii_lowercase().as_str()));
        by_actor.or_else(by_replica).map_or(0, |&(_, rank)| rank)
    }

    /// How far, in milliseconds, a stamp may be ahead of the primary's clock.
    pub fn clock_skew_ms_max(&self) -> u64 {
        self.clock_skew_ms_max.unwrap_or(CLOCK_SKEW_MS_MAX)
    }
}

fn push_rules(out: &mut Vec<Entry>, path: &[&String], rules: &Rules) {
    let mut push = |key: &str, value: Option<Setting>| {
        if let Some(value) = value {
            let path = path.iter().map(|&part| part.clone()).collect();
            out.push(Entry { path, key: key.to_string(), value });
        }
    };
    push("strategy", rules.strategy.map(|s| s.name().into()));
    push("deletes", rules.deletes.map(|d| d.name().into()));
    push("mode", rules.mode.map(|m| m.name().into()));
    push("priority_column", rules.priority_column.as_deref().map(Setting::from));
    push("tombstones", rules.tombstones.map(life_setting));
    push("soft_delete", rules.soft_delete.as_deref().map(Setting::from));
    rules.voting.each(push);
}

fn set_rules(rules: &mut Rules, whole: &str, key: &str, value: &Setting, allowed: &str) -> Result<()> {
    match key {
        "strategy" => rules.strategy = Some(strategy(whole, value)?),
        "deletes" => rules.deletes = Some(choice(whole, value, &Deletes::ALL, Deletes::name)?),
        "mode" => rules.mode = Some(choice(whole, value, &Mode::ALL, Mode::name)?),
        "priority_column" => rules.priority_column = Some(word(whole, value, "a column's name")?),
        "tombstones" => rules.tombstones = Some(life(whole, value)?),
        "soft_delete" => rules.soft_delete = Some(word(whole, value, "a column's name")?),
        _ if rules.voting.set(whole, key, value)? => {}
        _ => return Err(unknown_key(whole, &format!("{allowed}, {}", voting::KEYS))),
    }
    Ok(())
}

/// A name as it stands in a policy key: in double quotes where it holds more than letters, digits, `_` and `-`.
pub fn quoted(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) {
        return name.to_string();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

fn unknown_key(whole: &str, allowed: &str) -> Error {
    Error::invalid(format!("policy key {whole}"), format!("there is no such key here; allowed: {allowed}"))
}

fn unknown_value(whole: &str, value: &Setting, allowed: &str) -> Error {
    let shown = match value {
        Setting::Text(text) => format!("{text:?}"),
        Setting::Number(number) => number.to_string(),
        Setting::Ranks(_) => "a list of ranks".to_string(),
        Setting::Names(list) => format!("{list:?}"),
    };
    Error::invalid(format!("policy key {whole}"), format!("{shown} is not a value for it; allowed: {allowed}"))
}

fn choice<T: Copy>(whole: &str, value: &Setting, all: &[T], name: fn(T) -> &'static str) -> Result<T> {
    let found = match value {
        Setting::Text(text) => all.iter().copied().find(|&one| name(one) == text),
        _ => None,
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|&one| name(one)).collect();
        unknown_value(whole, value, &names.join(", "))
    })
}

fn strategy(whole: &str, value: &Setting) -> Result<Strategy> {
    choice(whole, value, &Strategy::ALL, Strategy::name)
}

fn word(whole: &str, value: &Setting, allowed: &str) -> Result<String> {
    match value {
        Setting::Text(text) if !text.is_empty() => Ok(text.clone()),
        _ => Err(unknown_value(whole, value, allowed)),
    }
}

fn delimiter(whole: &str, value: &Setting) -> Result<String> {
    let text = word(whole, value, "text of at least one character that is not blank")?;
    // Parts are compared without the blanks around them, so a blank delimiter would be eaten with them.
    let is_blank = text.trim_matches(' ').is_empty();
    if is_blank { Err(unknown_value(whole, value, "text of at least one character that is not blank")) } else { Ok(text) }
}

fn milliseconds(whole: &str, value: &Setting) -> Result<u64> {
    let number = match value {
        Setting::Number(number) => u64::try_from(*number).ok(),
        Setting::Text(text) => text.parse().ok(),
        Setting::Ranks(_) | Setting::Names(_) => None,
    };
    number.ok_or_else(|| unknown_value(whole, value, "milliseconds, zero or more"))
}

fn life(whole: &str, value: &Setting) -> Result<Life> {
    let days = match value {
        Setting::Number(number) => u32::try_from(*number).ok(),
        Setting::Text(text) if text == FOREVER => return Ok(Life::Forever),
        Setting::Text(text) => text.parse().ok(),
        Setting::Ranks(_) | Setting::Names(_) => None,
    };
    days.map(Life::Days).ok_or_else(|| unknown_value(whole, value, "days, zero or more, or \"forever\""))
}

fn life_setting(life: Life) -> Setting {
    match life {
        Life::Days(days) => Setting::Number(i64::from(days)),
        Life::Forever => FOREVER.into(),
    }
}

fn ranks(whole: &str, value: &Setting) -> Result<Vec<(String, i64)>> {
    let refuse = || unknown_value(whole, value, "name=rank, name=rank (a rank is a whole number)");
    let parse = |part: &str| {
        let (name, rank) = part.rsplit_once('=').ok_or_else(refuse)?;
        let rank = rank.trim().parse().map_err(|_| refuse())?;
        Ok((name.trim().to_string(), rank))
    };
    match value {
        Setting::Ranks(list) => Ok(list.clone()),
        Setting::Number(_) => Err(refuse()),
        Setting::Names(list) => list.iter().map(|part| parse(part)).collect(),
        Setting::Text(text) => text.split(',').filter(|part| !part.trim().is_empty()).map(parse).collect(),
    }
}

fn is_replica_name(name: &str) -> bool {
    (8..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn entry(path: &[&str], key: &str, value: impl Into<Setting>) -> Entry {
        let path = path.iter().map(|part| part.to_string()).collect();
        Entry { path, key: key.to_string(), value: value.into() }
    }

    #[track_caller]
    fn refused(path: &[&str], key: &str, value: impl Into<Setting>, what: &str, why: &str) {
        let error = Policy::default().set(path, key, &value.into()).expect_err("refused");
        let Error::Invalid { what: named, why: listed } = &error else { panic!("{error}") };
        assert_eq!(named, what);
        assert!(listed.contains(why), "{listed}");
    }

    #[test]
    fn the_default_is_last_write_wins_and_manual_deletes() {
        let policy = Policy::default();
        let rule = policy.table("any");
        assert_eq!((rule.strategy, rule.deletes, rule.mode), (Strategy::LastWriteWins, Deletes::Manual, Mode::Direct));
        assert_eq!(policy.column("any", "any"), ColumnRule { strategy: Strategy::LastWriteWins, delimiter: None });
        assert_eq!((policy.clock_skew_ms_max(), policy.rank("a", ReplicaId(1))), (300_000, 0));
        assert_eq!(policy.entries(), []);
    }

    #[test]
    fn the_column_wins_over_the_table_over_the_dataset() {
        let policy = Policy::from_entries(&[
            entry(&[], "strategy", "manual"),
            entry(&["Artist"], "strategy", "text"),
            entry(&["artist", "NAME"], "strategy", "max"),
            entry(&["Album", "Tags"], "delimiter", ";"),
            entry(&[], "deletes", "delete-wins"),
            entry(&["Artist"], "mode", "review"),
        ])
        .expect("a valid policy");
        assert_eq!(policy.column("ARTIST", "name").strategy, Strategy::Max);
        assert_eq!(policy.column("artist", "other").strategy, Strategy::Text);
        let tags = ColumnRule { strategy: Strategy::Manual, delimiter: Some(";".into()) };
        assert_eq!(policy.column("album", "tags"), tags);
        assert_eq!((policy.table("artist").mode, policy.table("album").mode), (Mode::Review, Mode::Direct));
        assert_eq!(policy.table("artist").deletes, Deletes::DeleteWins);
        assert_eq!(Policy::from_entries(&policy.entries()), Ok(policy));
    }

    #[test]
    fn what_is_kept_how_long_is_days_or_for_ever() {
        let default = Policy::default();
        assert_eq!(
            (default.table("any").tombstones, default.history(), default.replicas()),
            (Life::Days(90), Life::Forever, Life::Days(90))
        );
        let policy = Policy::from_entries(&[
            entry(&[], "tombstones", "30"),
            entry(&["Artist"], "tombstones", "forever"),
            entry(&["Artist"], "soft_delete", "deleted"),
            entry(&[], "history", Setting::Number(7)),
        ])
        .expect("a valid policy");
        assert_eq!((policy.table("artist").tombstones, policy.table("album").tombstones), (Life::Forever, Life::Days(30)));
        assert_eq!((policy.table("ARTIST").soft_delete.as_deref(), policy.table("album").soft_delete), (Some("deleted"), None));
        assert_eq!((policy.history(), policy.replicas()), (Life::Days(7), Life::Days(30)), "a replica lives as long as tombstones");
        assert_eq!(Policy::from_entries(&policy.entries()), Ok(policy));
        assert_eq!((Life::Days(2).end_ms(5), Life::Forever.end_ms(5)), (Some(172_800_005), None));
    }

    #[test]
    fn actors_rank_before_replicas() {
        let id = ReplicaId(0xabcd << 96);
        let policy = Policy::from_entries(&[
            entry(&[], "priority_actors", Setting::Ranks(vec![("ann".into(), 3), ("bob".into(), -1)])),
            entry(&[], "priority_replicas", "0000ABCD = 7"),
        ])
        .expect("a valid policy");
        assert_eq!(policy.rank("ann", id), 3);
        assert_eq!(policy.rank("carl", id), 7);
        assert_eq!(policy.rank("carl", ReplicaId(1)), 0);
        assert_eq!(policy.rank("bob", ReplicaId(1)), -1);
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        refused(&[], "strateg", "manual", "policy key strateg", "clock_skew_ms_max");
        refused(&["Order Details"], "delimiter", ",", "policy key \"Order Details\".delimiter", "priority_column");
        refused(&["t", "c"], "mode", "review", "policy key t.c.mode", "strategy, delimiter");
        refused(&["t", "c"], "strategy", "newest", "policy key t.c.strategy", "last-write-wins, priority");
        refused(&["t"], "deletes", "never", "policy key t.deletes", "manual, delete-wins, update-wins");
        refused(&["t"], "mode", Setting::Number(1), "policy key t.mode", "direct, review");
        refused(&["t", "c"], "delimiter", " ", "policy key t.c.delimiter", "not blank");
        refused(&["t"], "priority_column", "", "policy key t.priority_column", "column");
        refused(&[], "priority_actors", "ann", "policy key priority_actors", "name=rank");
        refused(&[], "priority_replicas", "laptop=1", "policy key priority_replicas", "hexadecimal");
        refused(&[], "clock_skew_ms_max", Setting::Number(-1), "policy key clock_skew_ms_max", "zero or more");
        refused(&["t"], "tombstones", Setting::Number(-1), "policy key t.tombstones", "days, zero or more, or \"forever\"");
        refused(&[], "history", "never", "policy key history", "forever");
        refused(&["t"], "history", "forever", "policy key t.history", "tombstones, soft_delete");
        refused(&["t"], "soft_delete", "", "policy key t.soft_delete", "column");
        refused(&["a", "b", "c"], "strategy", "manual", "policy key strategy", "a table and a column");
    }
}

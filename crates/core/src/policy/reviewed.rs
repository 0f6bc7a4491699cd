//! Whether a changeset as a whole needs review, whatever its rows are in: by itself, or with what the same person sent before.
use super::{Mode, Policy};
use crate::change::Front;
use crate::schema::{Schema, SchemaChange};
use crate::stamp::Time;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// For how many hours rows are added up for `review_above` where the policy does not say.
pub const REVIEW_HOURS: u64 = 24;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// What somebody sent without review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// When it was accepted.
    pub at: Time,
    /// Its rows, each by a name that no other has.
    pub rows: BTreeSet<Vec<u8>>,
}

impl Policy {
    /// True where changes of a table need approval.
    pub fn is_reviewed(&self, table: &str) -> bool {
        self.table(table).mode == Mode::Review
    }

    /// Why a changeset as a whole needs review: it changes a reviewed table itself, an index or a trigger of one, or more rows
    /// than may go without. None where its rows alone decide. The schema, as it is before, tells whose an object is that goes.
    pub fn reviewed_whole(&self, front: &Front, schema: &Schema) -> Option<String> {
        if let Some(table) = front.schema.iter().find_map(|step| self.reviewed_by(step, schema)) {
            return Some(format!("table {table} is changed by review only"));
        }
        let above = self.review_above().filter(|above| front.count > *above)?;
        Some(format!("a change of {} rows needs review; {above} may go without", front.count))
    }

    /// The reviewed table that a step changes.
    fn reviewed_by(&self, step: &SchemaChange, schema: &Schema) -> Option<String> {
        let of_object = |name: &str| schema.objects.iter().find(|object| object.name.eq_ignore_ascii_case(name));
        let reviewed = |table: &str| self.is_reviewed(table).then(|| table.to_string());
        match step {
            SchemaChange::CreateTable { table } | SchemaChange::Rebuild { table, .. } => reviewed(&table.name),
            SchemaChange::DropTable { name } => reviewed(name),
            SchemaChange::RenameTable { from, to } => (self.is_reviewed(from) || self.is_reviewed(to)).then(|| from.clone()),
            SchemaChange::AddColumn { table, .. } | SchemaChange::DropColumn { table, .. } | SchemaChange::RenameColumn { table, .. } => {
                reviewed(table)
            }
            // One that stands in the place of another takes that away.
            SchemaChange::PutObject { object } => {
                reviewed(&object.table).or_else(|| of_object(&object.name).and_then(|before| reviewed(&before.table)))
            }
            SchemaChange::DropObject { name, .. } => of_object(name).and_then(|before| reviewed(&before.table)),
        }
    }

    /// From when on what one person sent without review is added up; none where each changeset is by itself.
    pub fn added_up_from(&self, now: Time) -> Option<Time> {
        let hours = self.review_above().map(|_| self.review_above_hours()).filter(|hours| *hours > 0)?;
        // What is exactly so old is over.
        Some(Time::from_ms((now.ms() + 1).saturating_sub(hours * HOUR_MS)))
    }

    /// Why a changeset of these rows needs review where its sender has sent others lately. None where it does not, or where it
    /// needs it by itself ([`Policy::reviewed_whole`]). With `review_above = 10`:
    ///
    /// | sent without review before | rows now | needs review |
    /// |---|---|---|
    /// | | 10 | no |
    /// | | 11 | by itself |
    /// | 1 h ago: a-f | g-j | no |
    /// | 1 h ago: a-f | g-k | yes |
    /// | 1 h ago: a-j | a-j | no |
    /// | 1 h ago: a-j | k | yes |
    /// | 1 h ago: a-e; 2 h ago: f-j | j | no |
    /// | 1 h ago: a-e; 2 h ago: f-j | k | yes |
    /// | 1 h ago: a; 2 h ago: a; 3 h ago: a | b-j | no |
    /// | 1 h ago: a; 2 h ago: b; 3 h ago: c | d-k | yes |
    /// | 23 h ago: a-j | k | yes |
    /// | 24 h ago: a-j | k-t | no |
    pub fn reviewed_together(&self, earlier: &[Sent], rows: &BTreeSet<Vec<u8>>, now: Time) -> Option<String> {
        let (from, above) = (self.added_up_from(now)?, self.review_above()?);
        let lately = earlier.iter().filter(|sent| sent.at >= from).flat_map(|sent| &sent.rows);
        let all: BTreeSet<&Vec<u8>> = lately.chain(rows).collect();
        let (count, hours) = (all.len() as u64, self.review_above_hours());
        (rows.len() as u64 <= above && count > above)
            .then(|| format!("{count} rows changed by one person within {hours} hours need review; {above} may go without"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;
    use crate::schema::Object;
    use alloc::vec;

    fn policy(hours: Option<i64>) -> Policy {
        let set = |key: &str, value: i64| Entry { path: vec![], key: key.into(), value: value.into() };
        let mode = Entry { path: vec!["Recipe".into()], key: "mode".into(), value: "review".into() };
        let hours = hours.map(|hours| set("review_above_hours", hours));
        Policy::from_entries(&[mode, set("review_above", 10)].into_iter().chain(hours).collect::<Vec<_>>()).expect("a valid policy")
    }

    fn object(kind: &str, name: &str, table: &str) -> Object {
        Object { kind: kind.into(), name: name.into(), table: table.into(), sql: String::new() }
    }

    #[test]
    fn tables_themselves_and_many_rows_need_review() {
        let policy = policy(None);
        let schema = Schema {
            tables: Vec::new(),
            objects: vec![object("index", "by_name", "recipe"), object("trigger", "noted", "note"), object("view", "short", "short")],
        };
        let of = |step: SchemaChange| policy.reviewed_whole(&Front { schema: vec![step], ..Front::default() }, &schema);
        let says = |table: &str| Some(format!("table {table} is changed by review only"));
        let dropped = |name: &str| SchemaChange::DropTable { name: name.into() };
        assert_eq!(of(dropped("recipe")), says("recipe"));
        assert_eq!(of(SchemaChange::RenameTable { from: "x".into(), to: "RECIPE".into() }), says("x"));
        assert_eq!(of(dropped("note")), None);
        let put = |kind: &str, name: &str, table: &str| of(SchemaChange::PutObject { object: object(kind, name, table) });
        assert_eq!(put("index", "unique_name", "Recipe"), says("Recipe"), "what it refuses, it refuses of every merge");
        assert_eq!(put("trigger", "cleans", "recipe"), says("recipe"));
        assert_eq!(put("index", "BY_NAME", "note"), says("recipe"), "it takes the place of one of theirs");
        assert_eq!(put("index", "by_text", "note"), None);
        assert_eq!(put("view", "short", "short"), None, "it shows rows, and changes none");
        let gone = |kind: &str, name: &str| of(SchemaChange::DropObject { kind: kind.into(), name: name.into() });
        assert_eq!(gone("index", "By_Name"), says("recipe"));
        for free in [gone("trigger", "noted"), gone("view", "short"), gone("index", "unheard_of")] {
            assert_eq!(free, None);
        }
        let rows = |count| policy.reviewed_whole(&Front { count, ..Front::default() }, &schema);
        assert_eq!(rows(10), None);
        assert_eq!(rows(11).as_deref(), Some("a change of 11 rows needs review; 10 may go without"));
    }

    /// Rows by letter: `a-f` is six, `a` is one.
    fn rows(said: &str) -> BTreeSet<Vec<u8>> {
        let ends = said.split_once('-').unwrap_or((said, said));
        let first = |text: &str| text.bytes().next();
        match (first(ends.0), first(ends.1)) {
            (Some(from), Some(to)) => (from..=to).map(|row| vec![row]).collect(),
            _ => BTreeSet::new(),
        }
    }

    const NOW_MS: u64 = 1_800_000_000_000;

    /// `1 h ago: a-f; 2 h ago: g`, newest first.
    fn earlier(said: &str) -> Vec<Sent> {
        let one = |said: &str| {
            let (ago, named) = said.trim().split_once(" h ago: ").expect("hours, and rows");
            let hours: u64 = ago.parse().expect("hours");
            Sent { at: Time::from_ms(NOW_MS - hours * HOUR_MS), rows: rows(named) }
        };
        said.split(';').filter(|said| !said.trim().is_empty()).map(one).collect()
    }

    /// The table in the comment of the rule, line by line.
    #[test]
    fn parts_are_added_up() {
        let source = include_str!("reviewed.rs");
        let table = source.lines().filter_map(|line| line.trim().strip_prefix("/// |")).skip(2);
        let mut cases = 0;
        for line in table {
            let cells: Vec<&str> = line.trim_end_matches('|').split('|').map(str::trim).collect();
            let [before, now, expect] = cells[..] else { panic!("{line}") };
            let now_rows = rows(now);
            let (count, expect_set) = match now.parse::<u64>() {
                Ok(count) => (count, (0..count).map(|row| vec![row as u8]).collect()),
                Err(_) => (now_rows.len() as u64, now_rows),
            };
            let policy = policy(None);
            let alone = policy.reviewed_whole(&Front { count, ..Front::default() }, &Schema::default()).is_some();
            let together = policy.reviewed_together(&earlier(before), &expect_set, Time::from_ms(NOW_MS)).is_some();
            let found = match (alone, together) {
                (true, false) => "by itself",
                (false, true) => "yes",
                (false, false) => "no",
                (true, true) => "twice",
            };
            assert_eq!(found, expect, "{line}");
            cases += 1;
        }
        assert_eq!(cases, 12);
    }

    #[test]
    fn hours_and_people_decide_what_is_added_up() {
        let now = Time::from_ms(NOW_MS);
        let (before, more) = (earlier("1 h ago: a-j; 30 h ago: k-o"), rows("p"));
        for (hours, expect) in [(Some(0), None), (Some(1), None), (Some(2), Some(11)), (None, Some(11)), (Some(31), Some(16))] {
            let expect = expect.map(|count| {
                let hours = hours.unwrap_or(24);
                format!("{count} rows changed by one person within {hours} hours need review; 10 may go without")
            });
            assert_eq!(policy(hours).reviewed_together(&before, &more, now), expect);
        }
        assert_eq!(Policy::default().reviewed_together(&before, &more, now), None, "as it comes there is no limit");
        assert_eq!(policy(None).added_up_from(Time::from_ms(5)), Some(Time::default()));
    }
}

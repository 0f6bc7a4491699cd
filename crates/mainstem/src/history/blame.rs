//! Who wrote each cell of a row: when, in which version, and by which rule it came to be what it is.
use super::{Happening, RowPlace, TOUCHES_AT_ONCE, TableThen, happening};
use crate::error::{Error, Result};
use crate::policy_text;
use crate::store::Transaction;
use mainstem_core::change::{Choice, Edit, Header};
use mainstem_core::chronicle::{ColumnId, Place};
use mainstem_core::conflict::Conflict;
use mainstem_core::event::Event;
use mainstem_core::format::event as event_format;
use mainstem_core::stamp::{ReplicaId, Time};
use mainstem_core::three_way::Touch;
use mainstem_core::value::{Key, Row, Value};

/// Why a cell has the value that its version gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It was there when the dataset was published.
    Published,
    /// Its author wrote it, and nobody else had.
    Written,
    /// The strategy of its column combined it with what others had written meanwhile.
    Merged(String),
    /// It answers a conflict.
    Resolved {
        /// The conflict.
        conflict: u64,
        /// The side that was chosen.
        choice: Choice,
    },
    /// Another program wrote it straight into the primary's tables.
    Direct,
    /// The row waited for its parent.
    Released,
    /// The column was added, and gave every row its default.
    ColumnAdded,
    /// It was written in this version or before; what versions up to it did is not kept any more, nor who did it.
    Collected,
}

impl Rule {
    /// The name used in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Published => "published",
            Rule::Written => "written",
            Rule::Merged(_) => "merged",
            Rule::Resolved { .. } => "resolved",
            Rule::Direct => "direct",
            Rule::Released => "released",
            Rule::ColumnAdded => "column_added",
            Rule::Collected => "collected",
        }
    }
}

/// Somebody whose writing a merged value was combined with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contributor {
    /// The version.
    pub version: u64,
    /// Who.
    pub actor: String,
    /// On which replica.
    pub replica: ReplicaId,
    /// What the cell was then.
    pub value: Value,
}

/// Where a cell's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The version that wrote it.
    pub version: u64,
    /// Who, where, when, and what the changeset is called.
    pub header: Header,
    /// When the primary accepted it.
    pub accepted_at: Time,
    /// When its author wrote the cell.
    pub at: Time,
    /// Why it is what it is.
    pub rule: Rule,
    /// Those whose writing it was merged with, newest first.
    pub contributors: Vec<Contributor>,
    /// Conflicts about the cell that the version found, with the answers they have had since.
    pub conflicts: Vec<Conflict>,
}

/// One cell and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellBlame {
    /// The column, by its name at the version asked for.
    pub column: String,
    /// Its value.
    pub value: Value,
    /// Where that comes from.
    pub origin: Origin,
}

/// A row's number that was taken, so that it got another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenumberedAway {
    /// The version that gave it another.
    pub version: u64,
    /// Who made the row.
    pub actor: String,
    /// On which replica.
    pub replica: ReplicaId,
    /// The number it has since.
    pub to: i64,
}

/// The end of a row that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Its deletion.
    pub deletion: Happening,
}

/// Where each cell of a row comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// The names of the key's columns.
    pub key_columns: Vec<String>,
    /// The cells in the order of the table's columns; empty where the row is not there.
    pub cells: Vec<CellBlame>,
    /// The deletion of a row that is not there any more.
    pub gone: Option<Gone>,
    /// Keys that the row had before, newest first, each with the version that moved it.
    pub moved: Vec<(u64, Key)>,
    /// The number it was made with, where its own was taken, and the version that gave it this one.
    pub renumbered_from: Option<(u64, i64)>,
    /// Other rows that were made under this key and have another since.
    pub renumbered_away: Vec<RenumberedAway>,
}

/// Tells where each cell of a row comes from. [`mainstem_core::ErrorKind::NotFound`] where no version ever had such a row.
pub fn blame(tx: &mut dyn Transaction, place: &RowPlace) -> Result<Blame> {
    let table = TableThen::find(tx, &place.table, place.version)?;
    let mut blame = Blame { key_columns: table.then.key_names(), ..Blame::default() };
    blame.renumbered_away = renumbered_away(tx, &table, place)?;
    let Some(row) = table.row(tx, &place.key, place.version)? else {
        let last = tx.past(table.then.id, &place.key, 1..=place.version, 1)?.into_iter().next();
        blame.gone = last.map(|touch| happening(tx, touch)).transpose()?.map(|deletion| Gone { deletion });
        if blame.gone.is_none() && blame.renumbered_away.is_empty() {
            let message = format!("{} had no such row up to version {}", table.then.name, place.version);
            return Err(Error::not_found(message).hint(format!("mainstem show --at {} {}", place.version, table.then.name)));
        }
        return Ok(blame);
    };
    let mut search = Search::new(tx, table, row)?;
    search.walk(place)?;
    let (cells, moved, renumbered_from) = search.finish()?;
    (blame.cells, blame.moved, blame.renumbered_from) = (cells, moved, renumbered_from);
    Ok(blame)
}

/// Rows that replicas made under this number, and that have another since.
fn renumbered_away(tx: &mut dyn Transaction, table: &TableThen, place: &RowPlace) -> Result<Vec<RenumberedAway>> {
    let [Value::Integer(number)] = place.key.as_slice() else { return Ok(Vec::new()) };
    let mut away = Vec::new();
    for number_of_version in tx.renumberings()?.into_iter().filter(|version| *version <= place.version) {
        let Some(version) = tx.version(number_of_version)? else { continue };
        let called = table.chronicle.at(version.version).find(table.then.id).map(|then| then.name.clone());
        let is_it = |r: &&mainstem_core::event::Renumbered| {
            r.from == *number && called.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&r.table))
        };
        away.extend(version.renumbered.iter().filter(is_it).map(|r| RenumberedAway {
            version: version.version,
            actor: version.header.actor.clone(),
            replica: version.header.replica,
            to: r.to,
        }));
    }
    Ok(away)
}

/// A cell whose origin is looked for, or found and perhaps merged with what is older.
struct Sought {
    column: ColumnId,
    origin: Option<Origin>,
    /// Writings after this version were merged into it.
    merged_after: u64,
}

struct Search<'t> {
    tx: &'t mut dyn Transaction,
    table: TableThen,
    row: Row,
    sought: Vec<Sought>,
    moved: Vec<(u64, Key)>,
    renumbered_from: Option<(u64, i64)>,
    primary: ReplicaId,
}

impl<'t> Search<'t> {
    fn new(tx: &'t mut dyn Transaction, table: TableThen, row: Row) -> Result<Self> {
        let first = tx.event(1)?.map(|(bytes, _)| event_format::decode(&bytes)).transpose()?;
        let Some(Event::Genesis(genesis)) = first else { return Err(Error::corrupt("the primary's first event is not its genesis")) };
        let columns = table.then.columns.iter();
        let sought = columns.map(|column| Sought { column: column.id, origin: None, merged_after: u64::MAX }).collect();
        Ok(Search { tx, table, row, sought, moved: Vec::new(), renumbered_from: None, primary: ReplicaId(genesis.lineage) })
    }

    /// Goes back through the row's touches until every cell's origin and those merged with it are known.
    fn walk(&mut self, from: &RowPlace) -> Result<()> {
        let (mut key, mut until) = (from.key.clone(), from.version);
        while until > 0 && !self.is_over(until) {
            let touches = self.tx.past(self.table.then.id, &key, 1..=until, TOUCHES_AT_ONCE)?;
            let Some(oldest) = touches.last() else { break };
            until = oldest.version - 1;
            for touch in &touches {
                let moved_from = touch.change.moved_from.clone();
                match (&touch.change.edit, moved_from) {
                    (Edit::Insert(_), None) => return self.made(touch),
                    (Edit::Insert(_), Some(former)) => {
                        self.moved_here(touch, &former)?;
                        (key, until) = (former, touch.version - 1);
                        break;
                    }
                    (Edit::Update(_), _) => self.updated(touch)?,
                    // The row that is there now is a later one, whose insert was met before.
                    (Edit::Delete(_), _) => return Ok(()),
                }
            }
        }
        Ok(())
    }

    /// True where nothing at or before a version can matter.
    fn is_over(&self, until: u64) -> bool {
        self.sought.iter().all(|sought| sought.origin.is_some() && sought.merged_after >= until)
    }

    fn updated(&mut self, touch: &Touch) -> Result<()> {
        let Some(place) = self.table.chronicle.place(touch.version, &touch.shape) else { return Ok(()) };
        let Edit::Update(cells) = &touch.change.edit else { return Ok(()) };
        for cell in cells {
            if let Some(id) = place.columns[cell.column] {
                self.written(touch, id, cell.at, &cell.after)?;
            }
        }
        Ok(())
    }

    /// An insert wrote every cell, but for columns that were added later.
    fn made(&mut self, touch: &Touch) -> Result<()> {
        let Some(place) = self.table.chronicle.place(touch.version, &touch.shape) else { return Ok(()) };
        let Edit::Insert(row) = &touch.change.edit else { return Ok(()) };
        for (id, value) in place.columns.iter().zip(row) {
            if let Some(id) = id {
                self.written(touch, *id, touch.change.at, value)?;
            }
        }
        let told = self.tx.version(touch.version)?;
        let number = touch.change.key.first().and_then(Value::as_integer);
        let is_it = |r: &&mainstem_core::event::Renumbered| r.table.eq_ignore_ascii_case(&touch.shape.table) && Some(r.to) == number;
        let renumbered = told.iter().flat_map(|told| &told.renumbered).find(is_it);
        self.renumbered_from = renumbered.map(|r| (touch.version, r.from));
        Ok(())
    }

    /// A move wrote the key, and what else differs from the row as it was under its old key.
    fn moved_here(&mut self, touch: &Touch, former: &Key) -> Result<()> {
        self.moved.push((touch.version, former.clone()));
        let Some(place) = self.table.chronicle.place(touch.version, &touch.shape) else { return Ok(()) };
        let Edit::Insert(row) = &touch.change.edit else { return Ok(()) };
        let left = self.tx.past(self.table.then.id, former, touch.version..=touch.version, TOUCHES_AT_ONCE)?;
        let left: Option<(Place, Row)> = left.iter().find_map(|left| match &left.change.edit {
            Edit::Delete(image) => Some((self.table.chronicle.place(left.version, &left.shape)?, image.clone())),
            _ => None,
        });
        let before = |id: ColumnId| {
            let (place, image) = left.as_ref()?;
            image.get(place.columns.iter().position(|column| *column == Some(id))?)
        };
        for (id, value) in place.columns.iter().zip(row) {
            if let Some(id) = id.filter(|id| before(*id) != Some(value)) {
                self.written(touch, id, touch.change.at, value)?;
            }
        }
        Ok(())
    }

    /// A touch wrote a cell: it is its origin, or one that was merged into it, or too old to matter.
    fn written(&mut self, touch: &Touch, column: ColumnId, at: Time, value: &Value) -> Result<()> {
        let Some(index) = self.sought.iter().position(|sought| sought.column == column) else { return Ok(()) };
        if self.sought[index].origin.is_none() {
            let origin = self.origin(touch, column, at)?;
            self.sought[index].merged_after = origin.header.base_version;
            self.sought[index].origin = Some(origin);
            return Ok(());
        }
        if touch.version <= self.sought[index].merged_after {
            return Ok(());
        }
        let base = self.tx.version(touch.version)?.map_or(0, |told| told.header.base_version);
        let strategy = self.strategy(index, column)?;
        let sought = &mut self.sought[index];
        let Some(origin) = &mut sought.origin else { return Ok(()) };
        if touch.replica == origin.header.replica && origin.contributors.is_empty() {
            // What a replica wrote before is what it was made on.
            return Ok(());
        }
        if matches!(origin.rule, Rule::Written) {
            origin.rule = Rule::Merged(strategy);
        }
        let contributor =
            Contributor { version: touch.version, actor: touch.actor.to_string(), replica: touch.replica, value: value.clone() };
        origin.contributors.push(contributor);
        sought.merged_after = sought.merged_after.min(base);
        Ok(())
    }

    /// The strategy that the policy had for a column when its origin was merged.
    fn strategy(&mut self, index: usize, column: ColumnId) -> Result<String> {
        let version = self.sought[index].origin.as_ref().map_or(0, |origin| origin.version);
        let policy = policy_text::parse(&self.tx.policy_at(version)?)?;
        let Some(then) = self.table.chronicle.at(version).find(self.table.then.id) else { return Ok(String::new()) };
        let name = then.position(column).map(|at| then.columns[at].name.as_str()).unwrap_or_default();
        Ok(policy.column(&then.name, name).strategy.name().to_owned())
    }

    fn origin(&mut self, touch: &Touch, column: ColumnId, at: Time) -> Result<Origin> {
        let found = happening(self.tx, touch.clone())?;
        let then = self.table.chronicle.at(touch.version).find(self.table.then.id);
        let name = then.and_then(|then| then.position(column).map(|at| then.columns[at].name.clone()));
        let is_about = |conflict: &&Conflict| match (&conflict.column, &name) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            (about, _) => about.is_none(),
        };
        let answered = found.answered.iter().find(is_about).and_then(|c| c.answer.as_ref().map(|answer| (c.id, answer.choice)));
        let rule = match answered {
            Some((conflict, choice)) => Rule::Resolved { conflict, choice },
            None if found.is_released => Rule::Released,
            None if touch.replica == self.primary => Rule::Direct,
            None => Rule::Written,
        };
        let conflicts = found.conflicts.iter().filter(is_about).cloned().collect();
        let (header, accepted_at) = (found.header, found.accepted_at);
        Ok(Origin { version: touch.version, header, accepted_at, at, rule, contributors: Vec::new(), conflicts })
    }

    /// What no touch wrote came with its column, or with the publication.
    #[expect(clippy::type_complexity, reason = "the parts of the blame, taken apart at once")]
    fn finish(mut self) -> Result<(Vec<CellBlame>, Vec<(u64, Key)>, Option<(u64, i64)>)> {
        let mut cells = Vec::with_capacity(self.sought.len());
        for (index, sought) in std::mem::take(&mut self.sought).into_iter().enumerate() {
            let origin = match sought.origin {
                Some(origin) => origin,
                None => self.unwritten(sought.column)?,
            };
            let (column, value) = (self.table.then.columns[index].name.clone(), self.row[index].clone());
            cells.push(CellBlame { column, value, origin });
        }
        Ok((cells, self.moved, self.renumbered_from))
    }

    fn unwritten(&mut self, column: ColumnId) -> Result<Origin> {
        let made = self.table.chronicle.made_in(self.table.then.id, column).unwrap_or_default();
        let horizon = self.tx.horizon()?;
        if horizon > made {
            let (header, accepted_at, at) = (Header::default(), Time::default(), Time::default());
            let rule = Rule::Collected;
            return Ok(Origin { version: horizon, header, accepted_at, at, rule, contributors: Vec::new(), conflicts: Vec::new() });
        }
        let version = made.max(1);
        let told = self.tx.version(version)?.ok_or_else(|| Error::corrupt(format!("version {version} is missing in the ledger")))?;
        let rule = if made > 0 { Rule::ColumnAdded } else { Rule::Published };
        let (at, header, accepted_at) = (told.header.at, told.header, told.accepted_at);
        Ok(Origin { version, header, accepted_at, at, rule, contributors: Vec::new(), conflicts: Vec::new() })
    }
}

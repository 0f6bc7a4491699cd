//! A scope in terms of the dataset as it is: which tables and columns its names are, and what is seen of each.
//!
//! Invariant: names are followed through renames by what they are; what is gone is never taken for everything.
use crate::error::{Error, Result};
use crate::history::no_table;
use crate::policy_text;
use mainstem_core::ErrorKind;
use mainstem_core::change::Shape;
use mainstem_core::chronicle::{Chronicle, ColumnId, NamedTable, Place, TableId};
use mainstem_core::conflict::Image;
use mainstem_core::event::Digest;
use mainstem_core::schema::{Object, Schema};
use mainstem_core::scope::{Filter, Part, Scope};
use mainstem_core::value::{Row, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// What is seen of one table, over the names that its columns have now.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    /// What the replica is shown.
    pub shown: Filter,
    /// What it may see, whatever it asked for.
    pub permitted: Filter,
}

/// A scope resolved at the head.
pub(super) struct View {
    /// Every table, to be read by.
    pub chronicle: Chronicle,
    /// The visible ones, to be shown.
    pub visible: Chronicle,
    /// Names what is shown.
    pub mark: Digest,
    /// True where nothing is hidden.
    pub is_whole: bool,
    /// True where something is hidden that the replica may not see.
    pub is_restricted: bool,
    sights: HashMap<TableId, Sight>,
    objects: Vec<Object>,
}

/// One table's rows in the columns of some version, and what is seen of them.
pub(super) struct Eye<'v> {
    pub table: TableId,
    pub sight: &'v Sight,
    /// For each column, its name now; empty where it is gone.
    names: Vec<String>,
}

impl Eye<'_> {
    /// True where the replica is shown the row.
    pub fn sees(&self, row: &Row) -> bool {
        self.sight.shown.sees(&self.names, row)
    }

    /// True where it may see it.
    pub fn may_see(&self, row: &Row) -> bool {
        self.sight.permitted.sees(&self.names, row)
    }

    /// True where every row of the table is shown.
    pub fn sees_all(&self) -> bool {
        self.sight.shown.is_everything()
    }
}

impl View {
    /// Resolves what was asked for within what is permitted.
    pub fn new(asked: &Scope, permitted: &Scope, chronicle: Chronicle, schema: &Schema) -> Result<View> {
        let is_whole = asked.is_everything() && permitted.is_everything();
        let asked = resolve(asked, &chronicle, &gone)?;
        let may = resolve(permitted, &chronicle, &|_, _| Ok(Filter::Always(false)))?;
        let mut sights: HashMap<TableId, Sight> = HashMap::new();
        for (table, filter) in asked {
            if let Some(permitted) = may.get(&table) {
                sights.insert(table, Sight { shown: filter.and(permitted.clone()), permitted: permitted.clone() });
            }
        }
        declare_parents(&mut sights, &may, &chronicle, schema);
        let named = |(id, sight): (&TableId, &Sight)| {
            chronicle.now().find(*id).map(|table| Part { table: table.name.clone(), filter: sight.shown.clone() })
        };
        let mark = if is_whole { Digest::default() } else { Scope::of(sights.iter().filter_map(named)).mark() };
        let visible = if is_whole { chronicle.clone() } else { chronicle.only(&|id| sights.contains_key(&id)) };
        let is_restricted = !permitted.is_everything();
        let mut view = View { chronicle, visible, mark, is_whole, is_restricted, sights, objects: Vec::new() };
        view.objects = view.schema(u64::MAX, schema).objects;
        Ok(view)
    }

    /// What is seen of a table; none where it is hidden.
    pub fn sight(&self, table: TableId) -> Option<&Sight> {
        self.sights.get(&table)
    }

    /// A visible table by the name it had at a version or has now, as it was then.
    pub fn table(&self, name: &str, version: u64) -> Result<&Arc<NamedTable>> {
        let era = self.visible.at(version);
        let renamed = || self.visible.now().table(name).and_then(|now| era.find(now.id));
        era.table(name).or_else(renamed).ok_or_else(|| no_table(era, name, version))
    }

    /// The eye on a change of a version; none where its table is hidden.
    pub fn eye(&self, version: u64, shape: &Shape) -> Option<(Eye<'_>, Place)> {
        let place = self.chronicle.place(version, shape)?;
        let sight = self.sights.get(&place.table)?;
        let names = place.columns.iter().map(|id| id.map_or_else(String::new, |id| self.name_now(place.table, id))).collect();
        Some((Eye { table: place.table, sight, names }, place))
    }

    /// The eye on rows of a visible table as it was.
    pub fn eye_of(&self, table: &NamedTable) -> Option<Eye<'_>> {
        let sight = self.sights.get(&table.id)?;
        let names = table.columns.iter().map(|column| self.name_now(table.id, column.id)).collect();
        Some(Eye { table: table.id, sight, names })
    }

    /// A row by the column names of a table as it was, in that table's columns; what the image lacks is not there at all.
    pub fn image(&self, table: &NamedTable, image: &Image, which: impl Fn(&Sight) -> &Filter) -> bool {
        let Some(sight) = self.sights.get(&table.id) else { return false };
        let now = |name: &String| table.column(name).map_or_else(String::new, |column| self.name_now(table.id, column.id));
        let names: Vec<String> = image.iter().map(|(name, _)| now(name)).collect();
        let row: Vec<Value> = image.iter().map(|(_, value)| value.clone()).collect();
        which(sight).sees(&names, &row)
    }

    /// The rules that are told: to whoever may see some tables only, those of these tables, without comments, which may speak
    /// of others.
    pub fn policy(&self, text: &str) -> Result<String> {
        if !self.is_restricted {
            return Ok(text.to_owned());
        }
        policy_text::only(text, &|table| self.visible.now().table(table).is_some())
    }

    fn name_now(&self, table: TableId, column: ColumnId) -> String {
        let now = self.chronicle.now().find(table);
        now.and_then(|now| now.position(column).map(|at| now.columns[at].name.clone())).unwrap_or_default()
    }

    /// The visible part of the schema at a version.
    pub fn schema(&self, version: u64, schema: &Schema) -> Schema {
        let is_shown = |name: &str| self.visible.at(version).table(name).is_some();
        let (tables, hidden): (Vec<_>, Vec<_>) = schema.tables.iter().cloned().partition(|table| is_shown(&table.name));
        let mut hidden: Vec<String> = hidden.into_iter().map(|table| table.name).collect();
        let mut known: Vec<String> = tables.iter().map(|table| table.name.clone()).collect();
        let mut objects = Vec::new();
        for object in &schema.objects {
            if speaks_of_these_alone(object, &known, &hidden) {
                known.push(object.name.clone());
                objects.push(object.clone());
            } else {
                hidden.push(object.name.clone());
            }
        }
        Schema { tables, objects }
    }

    /// True where an index, a view or a trigger is there now as it is here, and shown.
    pub fn shows_object(&self, object: &Object) -> bool {
        self.objects.contains(object)
    }
}

/// True where an object names something visible and nothing hidden: else it would fail, or tell.
fn speaks_of_these_alone(object: &Object, visible: &[String], hidden: &[String]) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
    let sql = object.sql.to_ascii_lowercase();
    let names = |name: &String| {
        let name = name.to_ascii_lowercase();
        sql.match_indices(&name).any(|(at, _)| {
            let (before, after) = (sql[..at].chars().next_back(), sql[at + name.len()..].chars().next());
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    };
    visible.iter().any(names) && !hidden.iter().any(names)
}

fn gone(table: &str, column: &str) -> Result<Filter> {
    let message = format!("the filter of {table} names column {column}, which is not there");
    Err(Error::new(ErrorKind::Invalid, "scope_column", message).hint("mainstem scope set, with a filter over the columns that are there"))
}

/// What a scope's names are at the head. Tables that are not there are left out.
fn resolve(scope: &Scope, chronicle: &Chronicle, is_gone: &dyn Fn(&str, &str) -> Result<Filter>) -> Result<HashMap<TableId, Filter>> {
    let Some(parts) = scope.parts() else {
        return Ok(chronicle.now().tables.iter().map(|table| (table.id, Filter::Always(true))).collect());
    };
    let mut resolved: HashMap<TableId, Filter> = HashMap::new();
    for part in parts {
        let Some(table) = chronicle.follow(&part.table) else { continue };
        let missing = part.filter.columns().into_iter().find(|column| chronicle.follow_column(table.id, column).is_none());
        let filter = match missing {
            Some(column) => is_gone(&table.name, column)?,
            None => part.filter.renamed(&|name| chronicle.follow_column(table.id, name).map_or_else(String::new, |c| c.name.clone())),
        };
        resolved.insert(table.id, filter);
    }
    Ok(resolved)
}

/// A table that a visible one refers to is declared, empty: without it nobody could write to the child at all.
fn declare_parents(sights: &mut HashMap<TableId, Sight>, may: &HashMap<TableId, Filter>, chronicle: &Chronicle, schema: &Schema) {
    let mut open: Vec<TableId> = sights.keys().copied().collect();
    while let Some(table) = open.pop() {
        let Some(table) = chronicle.now().find(table).and_then(|table| schema.table(&table.name)) else { continue };
        for link in &table.foreign_keys {
            let Some(parent) = chronicle.now().table(&link.parent).filter(|parent| !sights.contains_key(&parent.id)) else { continue };
            let permitted = may.get(&parent.id).cloned().unwrap_or(Filter::Always(false));
            sights.insert(parent.id, Sight { shown: Filter::Always(false), permitted });
            open.push(parent.id);
        }
    }
}

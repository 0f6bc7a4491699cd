//! Who may do what, where a tape has it: actors with roles, copies of a part, and the door that every request goes through.
//!
//! Invariant: what is shown of the primary, and what is taken, is decided by the real functions (`decide`, `Author`, `Scoped`);
//! what should come of it is the model's own view of rows.
use crate::image::{Held, Image, differences, words};
use crate::tally::{Invariant, Situation, Verdict, Wrong};
use crate::tape::{Part, Role};
use crate::traces::{Aside, words_claimed};
use crate::world::{World, unexpected};
use mainstem::accounts::{Registrar, Wish};
use mainstem::author::{Author, permit};
use mainstem::core::account::{ActorId, Fact};
use mainstem::core::authority::{self, Object, Right};
use mainstem::core::change::{Change, Edit, Front, Shape};
use mainstem::core::scope::{self, Comparison, Filter, Scope};
use mainstem::core::value::{Row, Value};
use mainstem::error::{Error, Result};
use mainstem::primary::{Acquaintance, Primary, Seen};
use mainstem::registry::MemoryRegistry;
use mainstem::replica::{Replica, Since};
use mainstem::scoped::Scoped;
use mainstem::sync::Report;
use mainstem::token::Secret;
use mainstem_sqlite::SqliteReplica;
use mainstem_testkit::between::{Between, Late, Middle, Moment, Turn};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// The dataset's name.
const DATASET: &str = "world";

/// The accounts of one world.
pub(crate) struct Office {
    registrar: Registrar,
    administrator: ActorId,
    /// Each actor's number and token, by name.
    people: BTreeMap<String, (ActorId, Secret)>,
}

/// What a copy holds and may see.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) asked: Scope,
    pub(crate) permitted: Scope,
    pub(crate) role: Role,
}

/// The server's side of the wire: it knows who asks.
struct Door<'p> {
    primary: &'p mut dyn Primary,
    author: Author<'p>,
}

/// The right that a call needs, as the server's routes have it.
fn right_of(call: &str) -> Right {
    match call {
        "push" => Right::Write,
        "set_policy" | "cleanup" | "begin_epoch" => Right::Own,
        _ => Right::Read,
    }
}

impl Middle for Door<'_> {
    fn with<T>(&mut self, call: impl FnOnce(&mut dyn Primary) -> Result<T>) -> Result<T> {
        call(self.primary)
    }
    fn meddle(&mut self, moment: Moment) -> Result<Turn> {
        let Moment::Before(name) = moment else { return Ok(Turn::Once) };
        let right = right_of(name);
        let object = if right == Right::Write { Object::Within(DATASET) } else { Object::Dataset(DATASET) };
        permit(self.author.identity, right, object).map(|()| Turn::Once)
    }
    fn keep(&mut self, _: Late) -> Error {
        Error::internal("a door keeps nothing")
    }
    fn admit(&mut self, known: &Acquaintance, front: &Front) -> Result<Option<Front>> {
        self.author.front(known, front.clone(), self.primary).map(Some)
    }
    fn admit_seen(&mut self, known: &Acquaintance, seen: &Seen) -> Result<Option<Seen>> {
        self.author.seen(known, seen.clone()).map(Some)
    }
}

fn wrong(what: &'static str) -> impl Fn(Error) -> Wrong {
    move |e| unexpected(what, &e)
}

impl World {
    /// Accounts, where a tape has parts.
    pub(crate) fn open_office(&mut self) -> Verdict {
        let around = self.primary_place.machine.clone();
        let registrar = Registrar::open(Box::new(MemoryRegistry::default()), around).map_err(wrong("accounts"))?;
        let setup = registrar.create_setup_token().map_err(wrong("accounts"))?;
        let (administrator, _) = registrar.set_up(&setup, "boss", "first").map_err(wrong("accounts"))?;
        self.office = Some(Office { registrar, administrator, people: BTreeMap::new() });
        Ok(())
    }

    /// A copy of a part, or of everything.
    pub(crate) fn place_part(&mut self, who: usize, part: &Part) -> Verdict {
        let scope = |text: &str| text.parse::<Scope>().map_err(|e| Wrong::new(Invariant::Calm, format!("a scope: {e:?}")));
        let (asked, permitted) = (scope(&part.asked)?, scope(&part.permitted)?);
        self.sights.insert(who, Sight { asked, permitted, role: Role::Contributor });
        Ok(())
    }

    /// Gives or takes a role.
    pub(crate) fn set_role(&mut self, who: usize, role: Role) -> Verdict {
        let Some(sight) = self.sights.get_mut(&who) else { return Ok(()) };
        sight.role = role;
        self.tally.reach(if role == Role::Contributor { Situation::Granted } else { Situation::Revoked });
        let name = self.copies[who].actor.clone();
        self.person(&name)?;
        let Some(office) = &self.office else { return Ok(()) };
        let actor = office.people[&name].0;
        let role = match role {
            Role::Nobody => None,
            Role::Viewer => Some(authority::Role::Viewer),
            Role::Contributor => Some(authority::Role::Contributor),
        };
        let fact = Fact::RoleSet { actor, dataset: DATASET.into(), table: None, role };
        office.registrar.change(office.administrator, |_| Ok(vec![fact.clone()])).map_err(wrong("a role"))
    }

    /// What a copy may see, or asks for, from now on.
    pub(crate) fn set_sight(&mut self, who: usize, text: &str, is_asked: bool) -> Verdict {
        if !self.sights.contains_key(&who) {
            return Ok(());
        }
        let scope: Scope = text.parse().map_err(|e| Wrong::new(Invariant::Calm, format!("a scope: {e:?}")))?;
        if is_asked {
            self.tally.reach(Situation::Rescoped);
            self.replica(who)?.set_scope(&scope).map_err(wrong("a scope"))?;
        } else if let Some(sight) = self.sights.get_mut(&who) {
            sight.permitted = scope;
            self.tally.reach(Situation::Rescoped);
        }
        Ok(())
    }

    /// The number and token of somebody, who comes for the first time with the role of whoever works.
    fn person(&mut self, name: &str) -> Verdict {
        let Some(office) = &mut self.office else { return Ok(()) };
        if office.people.contains_key(name) {
            return Ok(());
        }
        let add = || -> Result<(ActorId, Secret)> {
            let actor = office.registrar.add_actor(office.administrator, name)?;
            // Those who hold everything may bring back what a primary lost, and begin another epoch for it.
            let role = Some(if name == "a0" { authority::Role::Owner } else { authority::Role::Contributor });
            let fact = Fact::RoleSet { actor, dataset: DATASET.into(), table: None, role };
            office.registrar.change(office.administrator, |_| Ok(vec![fact.clone()]))?;
            let (_, secret) = office.registrar.create_token(office.administrator, actor, Wish::default())?;
            Ok((actor, secret))
        };
        let found = add().map_err(wrong("accounts"))?;
        office.people.insert(name.to_owned(), found);
        Ok(())
    }

    /// Makes a call of the primary as a copy is shown it.
    pub(crate) fn shown<T>(&mut self, who: usize, call: impl FnOnce(&mut dyn Primary) -> Result<T>) -> Verdict<Result<T>> {
        if self.office.is_none() {
            return Ok(call(self.serve()?));
        }
        let name = self.copies.get(who).map_or_else(|| format!("a{who}"), |copy| copy.actor.clone());
        self.person(&name)?;
        let sight = self.sights.get(&who).cloned();
        self.serve()?;
        let Some(office) = &self.office else { return Ok(call(self.serve()?)) };
        let primary = self.primary.as_mut().expect("it was just opened");
        let Some(identity) = office.registrar.identity(&office.people[&name].1) else {
            return Err(Wrong::new(Invariant::Calm, "a token is worth nothing: accounts"));
        };
        let author = Author { registrar: &office.registrar, identity: &identity, dataset: DATASET };
        Ok(match sight {
            None => call(&mut Between::of(Door { primary: &mut **primary, author })),
            Some(sight) => {
                let mut scoped = Scoped::new(&mut **primary, sight.asked, sight.permitted);
                call(&mut Between::of(Door { primary: &mut scoped, author }))
            }
        })
    }

    /// True for the refusal that the role of a copy explains.
    pub(crate) fn is_refused(&self, who: usize, error: &Error) -> bool {
        let Some(sight) = self.sights.get(&who) else { return false };
        match sight.role {
            Role::Nobody => error.code == "no_primary",
            Role::Viewer => error.code == "forbidden",
            Role::Contributor => false,
        }
    }

    /// I-52 and I-53: nobody is served, and nothing taken, beyond a role.
    pub(crate) fn check_role(&mut self, who: usize, done: &Result<Report>) -> Verdict {
        let Some(sight) = self.sights.get(&who) else { return Ok(()) };
        self.tally.check(Invariant::Permitted);
        match (sight.role, done) {
            (Role::Nobody, Ok(_)) => Err(Wrong::new(Invariant::Permitted, format!("served without a role: replica {who}"))),
            (Role::Viewer, Ok(report)) if report.pushed > 0 => {
                Err(Wrong::new(Invariant::Untouched, format!("taken from a viewer: replica {who}")))
            }
            _ => Ok(()),
        }
    }

    /// I-54, where a copy of a part stands at the head and has no work of its own.
    pub(crate) fn look_at_sight(&mut self, who: usize, replica: &mut SqliteReplica) -> Verdict {
        if !self.sights.contains_key(&who) {
            return Ok(());
        }
        let standing = replica.standing().map_err(wrong("standing"))?;
        let head = self.serve()?.describe().map_err(wrong("describe"))?.head.version;
        let mut is_idle = standing.unsent == 0 && standing.pending == 0 && standing.base_version == head && !self.copies[who].has_unseen;
        let worked = replica.changes(Since::Base, &mut |_, _| {
            is_idle = false;
            Ok(())
        });
        worked.map_err(wrong("changes"))?;
        if !is_idle {
            return Ok(());
        }
        let rows = self.primary_image()?;
        self.check_sight(who, &rows)
    }

    /// I-9: what may not be sent any more lies aside, where its author finds it.
    pub(crate) fn words_aside(&mut self, who: usize) -> Verdict<BTreeSet<u64>> {
        let mut found = BTreeSet::new();
        for (_, change) in laid_aside(&*self.replica(who)?, |_| true)? {
            self.tally.check(Invariant::Aside);
            match &change.edit {
                Edit::Insert(row) | Edit::Delete(row) => row.iter().for_each(|value| words(value, &mut found)),
                Edit::Update(cells) => cells.iter().for_each(|cell| words(&cell.after, &mut found)),
            }
        }
        for front in self.replica(who)?.stashes().map_err(wrong("stashes"))? {
            found.extend(words_claimed(&front.conflicts));
        }
        Ok(found)
    }

    /// What changes take away that their copies may not send.
    pub(crate) fn taken_aside(&mut self) -> Verdict<Aside> {
        let mut taken = Aside::new();
        for who in self.sights.keys().copied().collect::<Vec<_>>() {
            for (shape, change) in laid_aside(&*self.replica(who)?, is_outside)? {
                let mut found = BTreeSet::new();
                match &change.edit {
                    Edit::Insert(_) => {}
                    Edit::Delete(row) => row.iter().for_each(|value| words(value, &mut found)),
                    Edit::Update(cells) => cells.iter().for_each(|cell| words(&cell.before, &mut found)),
                }
                taken.extend(found.into_iter().map(|word| (who, shape.table.clone(), word)));
            }
        }
        Ok(taken)
    }

    /// I-9: what a meeting has set aside, its author may not see. Rows are looked for where they stay under their keys.
    pub(crate) fn check_set_aside(&mut self, who: usize, replica: &SqliteReplica, count: u64) -> Verdict {
        let Some(sight) = self.sights.get(&who).cloned() else { return Ok(()) };
        let rows = self.primary_image()?;
        for (shape, change) in laid_aside(replica, is_outside)?.into_iter().take(count as usize) {
            self.tally.check(Invariant::Aside);
            let may_see = |row: &Row| sight.may_see(&shape.table, &shape.columns, row);
            let there = rows.get(&shape.table).and_then(|held| held.rows.get(&change.key)).filter(|_| !shape.is_numbered).map(may_see);
            let may_send = match &change.edit {
                Edit::Insert(row) => may_see(row) && there != Some(false) && !shape.is_numbered,
                Edit::Update(_) | Edit::Delete(_) => there == Some(true),
            };
            if may_send || sight.may_see_all(&shape.table) {
                let why = format!("set aside: replica {who} may see {} {:?}", shape.table, change.key);
                return Err(Wrong::new(Invariant::Aside, why));
            }
        }
        Ok(())
    }

    /// I-54: a copy of a part holds exactly the rows that it asks for and may see.
    pub(crate) fn check_sight(&mut self, who: usize, rows: &Image) -> Verdict {
        let Some(sight) = self.sights.get(&who).cloned() else { return Ok(()) };
        self.tally.check(Invariant::Visible);
        let expected = sight.of(rows);
        let held = self.copies[who].place.read(self.keeps_links)?;
        let found = differences(&expected, &held);
        if found.is_empty() {
            return Ok(());
        }
        let why = format!(
            "sees otherwise: replica {who} asks for {:?} and may see {:?}\n    {}",
            sight.asked,
            sight.permitted,
            found.join("\n    ")
        );
        Err(Wrong::new(Invariant::Visible, why))
    }
}

impl Sight {
    /// What is visible of these rows, by the model's own reading of filters.
    pub(crate) fn of(&self, rows: &Image) -> Image {
        let mut seen = Image::new();
        for (name, held) in rows {
            let part = |row: &Row| self.sees(name, &held.columns, row);
            let rows = held.rows.iter().filter(|(_, row)| part(row)).map(|(key, row)| (key.clone(), row.clone())).collect();
            seen.insert(name.clone(), Held { rows, ..held.clone() });
        }
        seen
    }

    /// True where both what is asked for and what is permitted let a row through.
    pub(crate) fn sees(&self, table: &str, columns: &[String], row: &Row) -> bool {
        [&self.asked, &self.permitted].iter().all(|scope| is_within(scope, table, columns, row))
    }

    /// True where what is permitted does.
    pub(crate) fn may_see(&self, table: &str, columns: &[String], row: &Row) -> bool {
        is_within(&self.permitted, table, columns, row)
    }

    /// True where it lets every row of a table through.
    fn may_see_all(&self, table: &str) -> bool {
        let is_all = |part: &scope::Part| part.table.eq_ignore_ascii_case(table) && part.filter == Filter::Always(true);
        self.permitted.parts().is_none_or(|parts| parts.iter().any(is_all))
    }
}

fn is_within(scope: &Scope, table: &str, columns: &[String], row: &Row) -> bool {
    let Some(parts) = scope.parts() else { return true };
    let part = parts.iter().find(|part| part.table.eq_ignore_ascii_case(table));
    part.is_some_and(|part| lets_through(&part.filter, columns, row))
}

/// True for what was set aside since its copy may not see it; else a person put it aside.
fn is_outside(front: &Front) -> bool {
    front.header.title.as_ref().is_some_and(|title| title.starts_with("outside what this copy may see"))
}

/// The changes that lie aside in a file, what was put there last coming first, each with its shape.
fn laid_aside(replica: &SqliteReplica, is_meant: impl Fn(&Front) -> bool) -> Verdict<Vec<(Shape, Change)>> {
    let mut found = Vec::new();
    for front in replica.stashes().map_err(wrong("stashes"))?.iter().filter(|front| is_meant(front)) {
        let mut pages = replica.stash_pages(front);
        while let Some(page) = pages.next().map_err(wrong("stashes"))? {
            found.extend(page.into_iter().map(|change| (front.shapes[change.table].clone(), change)));
        }
    }
    Ok(found)
}

/// True where a row fulfils a filter, told anew: nothing here is the system's own way to look at it.
fn lets_through(filter: &Filter, columns: &[String], row: &Row) -> bool {
    let cell = |name: &String| columns.iter().zip(row).find(|(column, _)| column.eq_ignore_ascii_case(name)).map(|(_, cell)| cell);
    match filter {
        Filter::Always(is_so) => *is_so,
        Filter::IsNull { column } => matches!(cell(column), Some(Value::Null)),
        Filter::In { column, values } => cell(column).is_some_and(|cell| values.iter().any(|value| value == cell)),
        Filter::And(all) => all.iter().all(|part| lets_through(part, columns, row)),
        Filter::Or(any) => any.iter().any(|part| lets_through(part, columns, row)),
        Filter::Not(part) => !lets_through(part, columns, row),
        Filter::Compare { column, comparison, value } => {
            let Some(cell) = cell(column).filter(|cell| !cell.is_null()) else { return false };
            let order = match (cell, value) {
                (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
                (Value::Text(a), Value::Text(b)) => Some(a.as_slice().cmp(b.as_slice())),
                // Tapes compare with whole numbers; a real is before or after by its value.
                (Value::Real(a), Value::Integer(b)) => a.partial_cmp(&(*b as f64)),
                _ => None,
            };
            match comparison {
                Comparison::Equal => cell == value,
                Comparison::Unequal => cell != value,
                Comparison::Less => order == Some(Ordering::Less),
                Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
                Comparison::Greater => order == Some(Ordering::Greater),
                Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            }
        }
    }
}

//! Makes tapes from seeds: what programs do, and when, and what goes wrong meanwhile.
use crate::dice::Dice;
use crate::features::Features;
use crate::remake::{made_again, remake};
use crate::tables::{Kind, Spec};
use crate::tape::{ClockFault, Datum, Delivery, DiskFault, Event, Loss, Manner, Session, Setup, Statement, Tape};
use crate::values::{Draft, Values};
use crate::weather;
use crate::{parts, rarities, reviews};
use mainstem::core::policy::Deletes;
use mainstem::core::strategy::Strategy;
use mainstem::core::value::Value;
use mainstem::policy_text;

/// Ten years, in milliseconds.
const DECADE_MS: i64 = 10 * 365 * 86_400_000;

/// Longer than any memory of deletions lasts: 400 days, in milliseconds.
pub(crate) const AWAY_MS: u64 = 400 * 86_400_000;

struct Making<'a> {
    features: &'a Features,
    values: Values<'a>,
    dice: &'a Dice,
}

fn plain(sql: &str) -> Statement {
    Statement::plain(sql)
}

impl Making<'_> {
    fn spec(&self) -> &'static Spec {
        self.features.specs[self.dice.below(self.features.specs.len())]
    }

    fn key_value(&mut self, spec: &Spec, name: &str) -> Datum {
        let kind = spec.columns.iter().find(|(column, _)| *column == name).map_or(Kind::Small, |(_, kind)| *kind);
        self.values.fresh(if kind == Kind::Number { Kind::Small } else { kind })
    }

    fn condition(&mut self, spec: &Spec, draft: &mut Draft) {
        if self.dice.one_in(12) && !spec.sql.contains("WITHOUT ROWID") {
            draft.text("rowid % 5 = 0");
            return;
        }
        let values: Vec<(&str, Datum)> = spec.key.iter().map(|name| (*name, self.key_value(spec, name))).collect();
        draft.join(&values, " AND ", |draft, (name, value)| {
            draft.text(name).text(" = ").bind(value.clone());
        });
    }

    fn insert(&mut self, spec: &Spec) -> Statement {
        let columns: Vec<(&str, Kind)> = spec.columns.iter().filter(|(_, kind)| *kind != Kind::Derived).copied().collect();
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let verb = match self.dice.below(14) {
            0 | 1 => "INSERT OR REPLACE",
            2 => "REPLACE",
            3 => *self.dice.of(&["INSERT OR IGNORE", "INSERT OR FAIL", "INSERT OR ROLLBACK", "INSERT OR ABORT"]),
            _ => "INSERT",
        };
        let mut draft = Draft::new(format!("{verb} INTO {}({}) VALUES ", spec.name, names.join(", ")));
        let rows = if self.dice.one_in(8) { self.dice.between(2, 4) } else { 1 };
        for row in 0..rows {
            let values: Vec<Datum> = columns.iter().map(|(_, kind)| self.values.fresh(*kind)).collect();
            draft.text(if row == 0 { "(" } else { ", (" });
            draft.join(&values, ", ", |draft, value| {
                draft.bind(value.clone());
            });
            draft.text(")");
        }
        let updated = names.iter().find(|name| !spec.key.contains(name));
        if let (Some(name), "INSERT", true) = (updated, verb, self.dice.one_in(5)) {
            let tail = if self.dice.one_in(4) { "NOTHING".to_owned() } else { format!("UPDATE SET {name} = excluded.{name}") };
            draft.text(" ON CONFLICT DO ").text(&tail);
        }
        if self.dice.one_in(20) {
            draft.text(" RETURNING *");
        }
        draft.done()
    }

    fn update(&mut self, spec: &Spec) -> Statement {
        let verb = match self.dice.below(12) {
            0 | 1 => "UPDATE OR REPLACE",
            2 => *self.dice.of(&["UPDATE OR IGNORE", "UPDATE OR FAIL", "UPDATE OR ABORT", "UPDATE OR ROLLBACK"]),
            _ => "UPDATE",
        };
        let mut draft = Draft::new(format!("{verb} {} SET ", spec.name));
        let mut chosen: Vec<(&str, Kind)> = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let column = *self.dice.of(spec.columns);
            let is_key = spec.key.contains(&column.0);
            if (is_key && !(self.features.moves && self.dice.one_in(4))) || chosen.contains(&column) {
                continue;
            }
            chosen.push(column);
        }
        if chosen.is_empty() {
            let others: Vec<_> = spec.columns.iter().filter(|(name, _)| !spec.key.contains(name)).collect();
            chosen.push(**self.dice.of(&others));
        }
        for (at, (name, kind)) in chosen.iter().enumerate() {
            draft.text(if at == 0 { "" } else { ", " }).text(name).text(" = ");
            self.values.change(&mut draft, name, *kind);
        }
        draft.text(" WHERE ");
        self.condition(spec, &mut draft);
        draft.done()
    }

    fn delete(&mut self, spec: &Spec) -> Statement {
        let mut draft = Draft::new(format!("DELETE FROM {} WHERE ", spec.name));
        self.condition(spec, &mut draft);
        draft.done()
    }

    /// Two rows exchange a unique value or their keys.
    fn swap(&mut self, spec: &Spec) -> Vec<Statement> {
        let unique = spec.columns.iter().find(|(_, kind)| *kind == Kind::Unique).copied();
        let key = spec.columns.iter().find(|(name, _)| spec.key.contains(name)).copied();
        let (column, kind) = match (unique, key) {
            (Some(unique), _) if !self.features.moves || !self.dice.one_in(3) => unique,
            (_, Some(key)) if self.features.moves => key,
            _ => return vec![self.update(spec)],
        };
        let kind = if kind == Kind::Number { Kind::Small } else { kind };
        let aside = Datum::Value(if kind == Kind::Small { Value::Integer(-99) } else { Value::text("aside") });
        let (one, two) = (self.values.fresh(kind), self.values.fresh(kind));
        let step = |from: &Datum, to: &Datum| {
            let mut draft = Draft::new(format!("UPDATE {} SET {column} = ", spec.name));
            draft.bind(to.clone()).text(&format!(" WHERE {column} = ")).bind(from.clone());
            draft.done()
        };
        vec![step(&one, &aside), step(&two, &one), step(&aside, &two)]
    }

    fn failing(&mut self, spec: &Spec) -> Statement {
        match self.dice.below(4) {
            0 => plain(&format!("INSERT INTO {}(no_such_column) VALUES (1)", spec.name)),
            1 => plain("SELECT * FROM no_such_table"),
            2 => plain("INSERT INTO person(id) VALUES (1), (1)"),
            _ => plain(&format!("CREATE TEMP TABLE IF NOT EXISTS aside AS SELECT * FROM {}", spec.name)),
        }
    }

    fn statement(&mut self) -> Vec<Statement> {
        let spec = self.spec();
        if self.dice.permille(self.features.schema) {
            return vec![self.schema_step(spec)];
        }
        match self.dice.weighted(&self.features.statement_weights) {
            0 => vec![self.insert(spec)],
            1 => vec![self.update(spec)],
            2 => vec![self.delete(spec)],
            3 => self.swap(spec),
            4 => {
                let (name, _) = *self.dice.of(spec.columns);
                vec![plain(&format!("UPDATE {} SET {name} = {name}", spec.name))]
            }
            _ => vec![self.failing(spec)],
        }
    }

    /// Statements that belong together, and the transaction around them.
    fn work(&mut self) -> Vec<Statement> {
        let count = 1 + self.dice.below(2 * self.features.statements);
        let mut inner: Vec<Statement> = Vec::new();
        while inner.len() < count {
            inner.extend(self.statement());
        }
        let mut all = Vec::with_capacity(inner.len() + 4);
        match self.dice.weighted(&self.features.transaction_weights) {
            0 if inner.len() < 12 => return inner,
            0 | 1 => {
                all.push(plain("BEGIN"));
                all.append(&mut inner);
                all.push(plain("COMMIT"));
            }
            2 => {
                let end = if self.dice.one_in(2) { "ROLLBACK TO s" } else { "RELEASE s" };
                let at = self.dice.below(inner.len());
                let tail = inner.split_off(at);
                all.push(plain("BEGIN"));
                all.append(&mut inner);
                all.push(plain("SAVEPOINT s"));
                all.extend(tail);
                all.push(plain(end));
                all.push(self.statement().remove(0));
                all.push(plain("COMMIT"));
            }
            _ => {
                all.push(plain("BEGIN IMMEDIATE"));
                all.append(&mut inner);
                all.push(plain(if self.dice.one_in(2) { "ROLLBACK" } else { "COMMIT" }));
            }
        }
        all
    }

    fn session(&mut self) -> Session {
        let features = self.features;
        // More replicas than there are at first: copies and clones. A session of one that is not there does nothing.
        let who = if self.dice.permille(features.direct) { None } else { Some(self.who()) };
        let manner = Manner {
            is_recursive: self.dice.one_in(5),
            is_distrustful: self.dice.one_in(5),
            is_blind: who.is_some() && self.dice.permille(features.blind),
        };
        let is_remaking = who.is_some() && self.dice.permille(features.remake);
        let statements = if is_remaking { remake(self.dice, self.spec(), features.keeps_links) } else { self.work() };
        let again = if self.dice.permille(30) { made_again(self.spec()) } else { Vec::new() };
        Session { who, manner, statements: again.into_iter().chain(statements).collect() }
    }

    fn who(&self) -> usize {
        let copies = self.features.copies;
        self.dice.below(if self.dice.one_in(8) { copies + 2 } else { copies })
    }

    fn policy(&mut self) -> Vec<(String, String)> {
        let mut policy = Vec::new();
        if self.dice.one_in(3) {
            policy.push(("strategy".into(), self.dice.of(&Strategy::ALL).name().into()));
        }
        if self.dice.one_in(3) {
            policy.push(("priority_actors".into(), "a0=1, a1=2, a2=2".into()));
        }
        for spec in &self.features.specs {
            if self.dice.one_in(2) {
                policy.push((format!("{}.deletes", spec.name), self.dice.of(&Deletes::ALL).name().into()));
            }
            if self.dice.one_in(8) {
                policy.push((format!("{}.strategy", spec.name), "strict".into()));
            }
            for (name, kind) in spec.columns {
                let strategy = match kind {
                    _ if self.dice.one_in(2) => continue,
                    Kind::Json => Strategy::Json,
                    Kind::List => *self.dice.of(&[Strategy::List, Strategy::Set]),
                    Kind::Text => *self.dice.of(&[Strategy::Text, Strategy::Text, Strategy::Manual]),
                    Kind::Count => *self.dice.of(&[Strategy::Counter, Strategy::Max, Strategy::Min]),
                    _ => *self.dice.of(&Strategy::ALL),
                };
                policy.push((format!("{}.{name}.strategy", spec.name), strategy.name().into()));
            }
        }
        policy
    }

    fn policy_text(&mut self) -> String {
        let lines = self.policy();
        lines.iter().fold(String::new(), |text, (key, value)| policy_text::set(&text, key, value).unwrap_or(text))
    }

    fn schema_step(&mut self, spec: &Spec) -> Statement {
        let last = spec.columns[spec.columns.len() - 1].0;
        let (name, rest) = (spec.name, spec.columns[spec.key.len()..].iter().filter(|(_, kind)| *kind != Kind::Derived));
        let plain_columns: Vec<&str> = rest.map(|(name, _)| *name).collect();
        if self.features.reshapes && self.dice.one_in(2) {
            let column = self.dice.of(&plain_columns);
            return plain(&match self.dice.below(3) {
                0 => format!("ALTER TABLE {name} DROP COLUMN {column}"),
                1 => format!("ALTER TABLE {name} RENAME COLUMN {column} TO {column}_now"),
                _ => format!("ALTER TABLE {name} RENAME COLUMN {column}_now TO {column}"),
            });
        }
        plain(&match self.dice.below(4) {
            0 => format!("ALTER TABLE {} ADD COLUMN extra{} TEXT", spec.name, self.dice.below(2)),
            1 => format!("ALTER TABLE {} ADD COLUMN more INTEGER DEFAULT 7", spec.name),
            2 if !spec.extras.is_empty() => (*self.dice.of(spec.extras)).to_owned(),
            _ => format!("CREATE INDEX IF NOT EXISTS i_{} ON {}({last})", spec.name, spec.name),
        })
    }

    fn clock_fault(&self) -> ClockFault {
        match self.dice.below(6) {
            0 => ClockFault::Jump(-(self.dice.below(86_400_000) as i64)),
            1 => ClockFault::Jump(self.dice.below(240_000) as i64),
            2 => ClockFault::Jump(DECADE_MS / (1 + self.dice.below(3000) as i64)),
            3 => ClockFault::Freeze,
            4 => ClockFault::Drift(self.dice.below(100_000) as i64 - 50_000),
            _ => ClockFault::Right,
        }
    }

    fn disk_fault(&mut self, who: usize) -> Event {
        let dice = self.dice;
        let faults = [DiskFault::Kill, DiskFault::Power, DiskFault::Power, DiskFault::Once, DiskFault::Lasting, DiskFault::Full];
        let inner = match dice.below(12) {
            0 => Event::Commit(who, false),
            1 | 2 => Event::Push(who),
            3 | 4 => Event::Pull(who),
            5..=7 => Event::Sync(who),
            8 => Event::Restore(who, self.spec().name.into(), dice.one_in(2)),
            9 => Event::Resolve(who, dice.below(5), dice.below(5)),
            _ => Event::Run(dice.below(self.features.sessions)),
        };
        Event::Disk(*dice.of(&faults), 1 + dice.below(1 << dice.below(7)) as u64, Box::new(inner))
    }

    fn event(&mut self) -> Event {
        let (who, dice) = (self.who(), self.dice);
        match dice.weighted(&self.features.event_weights) {
            0 => Event::Commit(who, dice.one_in(2)),
            1 => Event::Push(who),
            2 => Event::Pull(who),
            4 => Event::Some(who, 1 + dice.below(3)),
            5 => Event::Restore(who, self.spec().name.into(), dice.one_in(2)),
            6 => Event::Resolve(who, dice.below(5), dice.below(5)),
            7 => Event::Wait(dice.below(5000) as u64),
            8 => Event::Copy(who),
            9 => Event::Keep(who),
            10 => Event::Rewind(who),
            11 => Event::Swap(who),
            12 => Event::Clone,
            13 => Event::Policy(self.policy_text()),
            14 => Event::Wire(who, dice.below(4), *dice.of(&[Loss::Request, Loss::Answer, Loss::Double])),
            15 => {
                let how = *dice.of(&[Delivery::Twice, Delivery::Again, Delivery::Gap, Delivery::Truncated]);
                Event::Deliver(who, 1 << dice.below(12), how)
            }
            16 => dice.of(&[Event::Stash(who), Event::Unstash(who), Event::Verify(who)]).clone(),
            17 => dice.of(&[Event::Stranger, Event::Disorder(who), Event::Unheard(who)]).clone(),
            18 if self.features.has_clocks => {
                let whose = if dice.one_in(8) { None } else { Some(who) };
                Event::Clock(whose, self.clock_fault())
            }
            18 => Event::Wait(dice.below(86_400_000) as u64),
            19 => self.disk_fault(who),
            20 => dice.of(&[Event::Cleanup, Event::Cleanup, Event::Wait(AWAY_MS)]).clone(),
            _ => Event::Sync(who),
        }
    }

    fn setup(&mut self) -> Setup {
        let features = self.features;
        let mut schema: Vec<Statement> = features.specs.iter().map(|spec| plain(spec.sql)).collect();
        for extra in features.specs.iter().flat_map(|spec| spec.extras) {
            if self.dice.one_in(2) {
                schema.push(plain(extra));
            }
        }
        for _ in 0..10 + self.dice.below(40) {
            let spec = self.spec();
            schema.push(self.insert(spec));
        }
        if features.specs.iter().any(|spec| spec.name == "loose") {
            // A table that has such rows when tracking begins is not tracked at all.
            schema.push(plain("DELETE FROM loose WHERE k IS NULL"));
        }
        let journals = ["delete", "wal", "truncate", "persist"];
        let offset = |dice: &Dice| match dice.below(if features.has_clocks { 6 } else { 2 }) {
            0 | 1 => dice.below(2000) as i64,
            2 | 3 => dice.below(200_000) as i64 - 100_000,
            4 => -(dice.below(DECADE_MS as usize) as i64),
            _ => dice.below(DECADE_MS as usize) as i64,
        };
        Setup {
            schema,
            policy: self.policy(),
            copies: features.copies,
            keeps_links: features.keeps_links,
            is_still: !features.moves,
            is_wide_text: features.is_wide_text,
            has_disk: features.has_disk,
            journals: (0..3).map(|_| (*self.dice.of(&journals)).to_owned()).collect(),
            offsets: (0..features.copies).map(|_| offset(self.dice)).collect(),
            parts: Vec::new(),
        }
    }
}

/// Work of several copies with everything that may happen to them.
pub fn tape(seed: u64) -> Tape {
    let features = Features::of(&Dice::new(seed, 0));
    let (what, when) = (Dice::new(seed, 1), Dice::new(seed, 2));
    let values = |dice| Values { dice, words: 0, numbers: features.numbers, lengths: features.lengths };
    let mut making = Making { features: &features, values: values(&what), dice: &what };
    let setup = making.setup();
    let workload: Vec<Session> = (0..features.sessions).map(|_| making.session()).collect();
    let mut scheduling = Making { features: &features, values: values(&when), dice: &when };
    let mut schedule = Vec::new();
    for session in 0..workload.len() {
        schedule.push(Event::Run(session));
        for _ in 0..when.below(features.gap) {
            schedule.push(scheduling.event());
        }
    }
    let mut tape = Tape { seed, setup, workload, schedule };
    rarities::lay_behind(&mut tape);
    parts::lay_over(&mut tape, &features);
    reviews::lay_over(&mut tape, &features);
    weather::lay_over(&mut tape);
    reviews::trouble(&mut tape);
    if features.is_wide_text {
        // A UTF-16 file cannot hold it: SQLite puts U+FFFD in its place, so that copies would differ for ever.
        tape.replace(|value| matches!(value, Value::Text(bytes) if std::str::from_utf8(bytes).is_err()), &Value::text("valid"));
    }
    tape
}

impl Tape {
    fn replace(&mut self, is_it: impl Fn(&Value) -> bool, other: &Value) {
        let statements = self.setup.schema.iter_mut().chain(self.workload.iter_mut().flat_map(|session| &mut session.statements));
        for datum in statements.flat_map(|statement| &mut statement.values) {
            if let Datum::Value(value) = datum
                && is_it(value)
            {
                *value = other.clone();
            }
        }
    }
}

/// Work of two copies offline, for which the order of arrival is tried both ways.
pub fn meeting(seed: u64) -> Tape {
    let mut features = Features::of(&Dice::new(seed, 3));
    (features.copies, features.direct, features.blind, features.schema) = (2, 0, 0, 0);
    features.remake = 0;
    (features.has_clocks, features.keeps_links) = (false, true);
    features.statements = features.statements.min(4);
    let dice = Dice::new(seed, 4);
    let values = Values { dice: &dice, words: 0, numbers: features.numbers, lengths: features.lengths };
    let mut making = Making { features: &features, values, dice: &dice };
    let setup = making.setup();
    let workload: Vec<Session> = (0..2 + dice.below(10)).map(|_| making.session()).collect();
    let schedule = (0..workload.len()).flat_map(|session| [Event::Run(session), Event::Wait(dice.below(3) as u64)]).collect();
    let mut tape = Tape { seed, setup, workload, schedule };
    if dice.one_in(2) {
        // One millisecond passes from step to step: so both write at the same time by their clocks.
        tape.setup.offsets = vec![0, -(dice.below(4) as i64)];
    }
    // Keys that differ in case only are one parent to SQLite: which of them a link finds depends on the order.
    tape.replace(|value| *value == Value::text("A"), &Value::text("d"));
    tape
}

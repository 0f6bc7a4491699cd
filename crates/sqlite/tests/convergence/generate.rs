//! Makes tapes from seeds.
use crate::dice::Dice;
use crate::tables::{Kind, Spec, THEMES, Values};
use crate::tape::{Step, Tape};
use mainstem::core::policy::Deletes;
use mainstem::core::strategy::Strategy;
use mainstem::policy_text;

struct Making<'a> {
    specs: Vec<&'static Spec>,
    values: Values<'a>,
    dice: &'a Dice,
}

impl Making<'_> {
    fn spec(&self) -> &'static Spec {
        self.specs[self.dice.below(self.specs.len())]
    }

    fn condition(&mut self, spec: &Spec) -> String {
        let parts: Vec<String> = spec
            .key
            .iter()
            .map(|name| {
                let kind = spec.columns.iter().find(|(column, _)| column == name).map_or(Kind::Small, |(_, kind)| *kind);
                let value = self.values.fresh(if kind == Kind::Number { Kind::Small } else { kind });
                format!("{name} = {value}")
            })
            .collect();
        if self.dice.one_in(8) { format!("{} OR rowid % 2 = 0", parts.join(" AND ")) } else { parts.join(" AND ") }
            .replace(" OR rowid % 2 = 0", if spec.sql.contains("WITHOUT ROWID") { "" } else { " OR rowid % 2 = 0" })
    }

    fn insert(&mut self, spec: &Spec) -> String {
        let names: Vec<&str> = spec.columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<String> = spec.columns.iter().map(|(_, kind)| self.values.fresh(*kind)).collect();
        let (verb, tail) = match self.dice.below(8) {
            0 | 1 => ("INSERT OR REPLACE", String::new()),
            2 => {
                let set: Vec<String> =
                    names.iter().filter(|name| !spec.key.contains(name)).take(1).map(|name| format!("{name} = excluded.{name}")).collect();
                ("INSERT", format!(" ON CONFLICT DO UPDATE SET {}", set.join(", ")))
            }
            _ => ("INSERT", String::new()),
        };
        format!("{verb} INTO {}({}) VALUES ({}){tail}", spec.name, names.join(", "), values.join(", "))
    }

    fn update(&mut self, spec: &Spec) -> String {
        let mut set = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let (name, kind) = *self.dice.of(spec.columns);
            let is_key = spec.key.contains(&name);
            if (is_key && !self.dice.one_in(4)) || set.iter().any(|s: &String| s.starts_with(&format!("{name} ="))) {
                continue;
            }
            set.push(format!("{name} = {}", self.values.changed(name, kind)));
        }
        if set.is_empty() {
            let (name, kind) = *self.dice.of(spec.columns.get(spec.key.len()..).unwrap_or(spec.columns));
            set.push(format!("{name} = {}", self.values.changed(name, kind)));
        }
        let verb = if self.dice.one_in(6) { "UPDATE OR REPLACE" } else { "UPDATE" };
        format!("{verb} {} SET {} WHERE {}", spec.name, set.join(", "), self.condition(spec))
    }

    /// Statements that belong together.
    fn work(&mut self) -> Vec<String> {
        let spec = self.spec();
        match self.dice.below(16) {
            0..=4 => vec![self.insert(spec)],
            5..=9 => vec![self.update(spec)],
            10 | 11 => vec![format!("DELETE FROM {} WHERE {}", spec.name, self.condition(spec))],
            12 => {
                let mut lines = vec!["BEGIN".into(), format!("DELETE FROM {} WHERE {}", spec.name, self.condition(spec))];
                lines.extend([self.insert(spec), self.insert(spec), "COMMIT".into()]);
                lines
            }
            13 => {
                let mut lines = vec!["BEGIN".into()];
                lines.extend([self.update(spec), "SAVEPOINT s".into(), self.insert(spec), self.update(spec)]);
                lines.extend([(*self.dice.of(&["ROLLBACK TO s", "RELEASE s"])).into(), self.update(spec)]);
                lines.push((*self.dice.of(&["COMMIT", "COMMIT", "ROLLBACK"])).into());
                lines
            }
            14 => self.swap(spec),
            _ => {
                let other = self.spec();
                vec!["BEGIN".into(), self.insert(spec), self.insert(other), self.update(other), "COMMIT".into()]
            }
        }
    }

    /// Two rows exchange a unique value or their keys.
    fn swap(&mut self, spec: &Spec) -> Vec<String> {
        let unique = spec.columns.iter().find(|(_, kind)| *kind == Kind::Unique).map(|(name, _)| *name);
        let (column, kind) = match unique {
            Some(name) if !self.dice.one_in(3) => (name, Kind::Unique),
            _ => spec.columns.iter().find(|(name, _)| spec.key.contains(name)).copied().unwrap_or(spec.columns[0]),
        };
        let kind = if kind == Kind::Number { Kind::Small } else { kind };
        let (one, two, table) = (self.values.fresh(kind), self.values.fresh(kind), spec.name);
        let aside = if kind == Kind::Small { "-99" } else { "'aside'" };
        vec![
            "BEGIN".into(),
            format!("UPDATE {table} SET {column} = {aside} WHERE {column} = {one}"),
            format!("UPDATE {table} SET {column} = {one} WHERE {column} = {two}"),
            format!("UPDATE {table} SET {column} = {two} WHERE {column} = {aside}"),
            "COMMIT".into(),
        ]
    }

    fn policy(&mut self) -> Vec<(String, String)> {
        let mut policy = Vec::new();
        if self.dice.one_in(3) {
            policy.push(("strategy".into(), self.dice.of(&Strategy::ALL).name().into()));
        }
        if self.dice.one_in(3) {
            policy.push(("priority_actors".into(), "a0=1, a1=2, a2=2".into()));
        }
        for spec in &self.specs {
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

    fn schema_step(&mut self) -> String {
        let spec = self.spec();
        match self.dice.below(3) {
            0 => format!("ALTER TABLE {} ADD COLUMN extra{} TEXT", spec.name, self.dice.below(2)),
            1 => format!("ALTER TABLE {} ADD COLUMN more INTEGER DEFAULT 7", spec.name),
            _ => format!("CREATE INDEX IF NOT EXISTS i_{} ON {}({})", spec.name, spec.name, spec.columns[spec.columns.len() - 1].0),
        }
    }

    fn step(&mut self, replicas: usize, rare: bool) -> Step {
        // More replicas than there are at first: copies and clones. A step about one that is not there does nothing.
        let who = self.dice.below(if self.dice.one_in(8) { replicas + 2 } else { replicas });
        match self.dice.below(100) {
            0..=47 => Step::Sql(who, self.work()),
            48..=52 => Step::Direct(self.work()),
            53..=56 => Step::Commit(who, self.dice.one_in(2)),
            57..=62 => Step::Push(who),
            63..=69 => Step::Pull(who),
            70..=80 => Step::Sync(who),
            81 | 82 => Step::Some(who, 1 + self.dice.below(3)),
            83 | 84 => Step::Restore(who, self.dice.of(&self.specs).name.into(), self.dice.one_in(2)),
            85..=90 => Step::Resolve(who, self.dice.below(5), self.dice.below(5)),
            91 if rare => Step::Copy(who),
            92 if rare => Step::Keep(who),
            93 if rare => Step::Rewind(who),
            94 if rare => Step::Clone,
            95 if rare => Step::Sql(who, vec![self.schema_step()]),
            96 if rare => Step::Direct(vec![self.schema_step()]),
            97 if rare => Step::Policy(self.policy_text()),
            _ => Step::Wait(self.dice.below(5000) as u64),
        }
    }
}

fn making<'a>(dice: &'a Dice) -> Making<'a> {
    let mut specs: Vec<&'static Spec> = dice.of(THEMES).iter().collect();
    if dice.one_in(4) {
        specs.extend(dice.of(THEMES).iter().collect::<Vec<_>>());
        specs.sort_by_key(|spec| spec.name);
        specs.dedup_by_key(|spec| spec.name);
    }
    Making { specs, values: Values { dice, words: 0 }, dice }
}

fn begin(seed: u64, dice: &Dice, making: &mut Making<'_>, replicas: usize) -> Tape {
    let mut schema: Vec<String> = making.specs.iter().map(|spec| spec.sql.to_owned()).collect();
    for _ in 0..10 + dice.below(40) {
        let spec = making.spec();
        schema.push(making.insert(spec));
    }
    let policy = making.policy();
    Tape { seed, schema, policy, replicas, keeps_links: !dice.one_in(8), steps: Vec::new() }
}

/// Work of two to four replicas with everything that may happen to them.
pub fn tape(seed: u64) -> Tape {
    let dice = &Dice::new(seed);
    let mut making = making(dice);
    let replicas = 2 + dice.below(3);
    let mut tape = begin(seed, dice, &mut making, replicas);
    // Half of the seeds are plain: what rare steps do would hide what plain ones do wrong.
    let rare = dice.one_in(2);
    for _ in 0..10 + dice.below(60) {
        tape.steps.push(making.step(replicas, rare));
    }
    tape
}

/// Work of two replicas offline, for which the order of arrival is tried both ways.
pub fn meeting(seed: u64) -> Tape {
    let dice = &Dice::new(seed ^ 0x5eed);
    let mut making = making(dice);
    let mut tape = begin(seed, dice, &mut making, 2);
    tape.keeps_links = true;
    // Keys that differ in case only are one parent to SQLite: which of them a link finds depends on the order.
    let one_case = |sql: &String| sql.replace("'A'", "'d'");
    tape.schema = tape.schema.iter().map(one_case).collect();
    for _ in 0..2 + dice.below(10) {
        let who = dice.below(2);
        tape.steps.push(Step::Sql(who, making.work().iter().map(one_case).collect()));
        tape.steps.push(Step::Wait(dice.below(3) as u64));
    }
    tape
}

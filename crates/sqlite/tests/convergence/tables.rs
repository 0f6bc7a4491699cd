//! The tables that random work is about, and values that hurt.
use crate::dice::Dice;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A row number, NULL for the next.
    Number,
    /// A small number that is part of a key, or that points to one.
    Small,
    /// As small, or NULL.
    Link,
    /// A short text that is part of a key, or that points to one.
    Code,
    /// A text of a unique index.
    Unique,
    /// Anything.
    Any,
    /// Lines of text.
    Text,
    /// A number.
    Count,
    /// A JSON object.
    Json,
    /// Parts with commas between.
    List,
}

pub struct Spec {
    pub name: &'static str,
    pub sql: &'static str,
    pub key: &'static [&'static str],
    pub columns: &'static [(&'static str, Kind)],
}

/// Tables by theme; a run takes one or two themes.
pub const THEMES: &[&[Spec]] = &[
    &[
        Spec {
            name: "person",
            sql: "CREATE TABLE person(id INTEGER PRIMARY KEY, boss INTEGER REFERENCES person(id), name TEXT, age)",
            key: &["id"],
            columns: &[("id", Kind::Number), ("boss", Kind::Link), ("name", Kind::Text), ("age", Kind::Any)],
        },
        Spec {
            name: "team",
            sql: "CREATE TABLE team(id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT UNIQUE, lead INTEGER REFERENCES person(id) ON DELETE SET NULL, points INTEGER)",
            key: &["id"],
            columns: &[("id", Kind::Number), ("label", Kind::Unique), ("lead", Kind::Link), ("points", Kind::Count)],
        },
        Spec {
            name: "task",
            sql: "CREATE TABLE task(id INTEGER PRIMARY KEY, team INTEGER REFERENCES team(id) ON DELETE CASCADE ON UPDATE CASCADE, title, points INTEGER CHECK (points < 100))",
            key: &["id"],
            columns: &[("id", Kind::Number), ("team", Kind::Link), ("title", Kind::Any), ("points", Kind::Count)],
        },
    ],
    &[
        Spec {
            name: "tag",
            sql: "CREATE TABLE tag(code TEXT PRIMARY KEY COLLATE NOCASE, note, doc TEXT)",
            key: &["code"],
            columns: &[("code", Kind::Code), ("note", Kind::Any), ("doc", Kind::Json)],
        },
        Spec {
            name: "item",
            sql: "CREATE TABLE item(id INTEGER PRIMARY KEY, sku TEXT, parts TEXT, UNIQUE(id, sku))",
            key: &["id"],
            columns: &[("id", Kind::Number), ("sku", Kind::Code), ("parts", Kind::List)],
        },
        Spec {
            name: "link",
            sql: "CREATE TABLE link(item INTEGER REFERENCES item(id) ON DELETE CASCADE, tag TEXT REFERENCES tag(code) ON UPDATE CASCADE, weight, PRIMARY KEY(item, tag)) WITHOUT ROWID",
            key: &["item", "tag"],
            columns: &[("item", Kind::Small), ("tag", Kind::Code), ("weight", Kind::Any)],
        },
        Spec {
            name: "stock",
            sql: "CREATE TABLE stock(id INTEGER PRIMARY KEY, item INTEGER, sku TEXT, n INTEGER, FOREIGN KEY(item, sku) REFERENCES item(id, sku))",
            key: &["id"],
            columns: &[("id", Kind::Number), ("item", Kind::Link), ("sku", Kind::Code), ("n", Kind::Count)],
        },
    ],
    &[
        Spec {
            name: "place",
            sql: "CREATE TABLE place(x INTEGER, y TEXT, what, u TEXT UNIQUE, PRIMARY KEY(x, y))",
            key: &["x", "y"],
            columns: &[("x", Kind::Small), ("y", Kind::Code), ("what", Kind::Any), ("u", Kind::Unique)],
        },
        Spec {
            name: "visit",
            sql: "CREATE TABLE visit(id INTEGER PRIMARY KEY, px INTEGER, py TEXT, body TEXT, FOREIGN KEY(px, py) REFERENCES place(x, y))",
            key: &["id"],
            columns: &[("id", Kind::Number), ("px", Kind::Link), ("py", Kind::Code), ("body", Kind::Text)],
        },
        Spec {
            name: "span",
            sql: "CREATE TABLE span(id TEXT PRIMARY KEY, low INTEGER, high INTEGER, u COLLATE NOCASE, note NOT NULL DEFAULT 'none', CHECK (low <= high), UNIQUE(u))",
            key: &["id"],
            columns: &[("id", Kind::Code), ("low", Kind::Count), ("high", Kind::Count), ("u", Kind::Unique), ("note", Kind::Any)],
        },
    ],
];

const HURTS: &[&str] = &[
    "NULL",
    "-0.0",
    "0.0",
    "9223372036854775807",
    "(-9223372036854775807 - 1)",
    "''",
    "x''",
    "CAST(x'610062' AS TEXT)",
    "CAST(x'ff00fe' AS TEXT)",
    "x'00ff'",
    "CAST(x'c3a9' AS TEXT)",
    "CAST(x'65cc81' AS TEXT)",
    "1",
    "1.0",
    "'1'",
    "9e999",
    "1e300",
    "' '",
];
const CODES: &[&str] = &["'a'", "'A'", "'b'", "'c'", "''", "CAST(x'c3a9' AS TEXT)", "CAST(x'65cc81' AS TEXT)", "CAST(x'ff' AS TEXT)"];

/// Makes values; each word it makes is in no other value.
pub struct Values<'a> {
    pub dice: &'a Dice,
    pub words: u64,
}

impl Values<'_> {
    pub fn word(&mut self) -> String {
        self.words += 1;
        format!("w{}.", self.words)
    }

    /// A value for a new row, as SQL.
    pub fn fresh(&mut self, kind: Kind) -> String {
        let dice = self.dice;
        match kind {
            Kind::Number if dice.one_in(3) => "NULL".into(),
            Kind::Number | Kind::Small => (1 + dice.below(4)).to_string(),
            Kind::Link if dice.one_in(3) => "NULL".into(),
            Kind::Link => (1 + dice.below(4)).to_string(),
            Kind::Code if !dice.one_in(3) => (*dice.of(&CODES[..3])).into(),
            Kind::Code => (*dice.of(CODES)).into(),
            Kind::Unique => match dice.below(6) {
                0 => "NULL".into(),
                1 => format!("'{}'", self.word()),
                n => format!("'u{}'", n % 3),
            },
            Kind::Any if dice.one_in(3) => (*dice.of(HURTS)).into(),
            Kind::Any => format!("'{}'", self.word()),
            Kind::Text => format!("'alpha {} beta' || char(10) || 'gamma {} delta'", self.word(), self.word()),
            Kind::Count => dice.below(30).to_string(),
            Kind::Json => format!("json_object('a', '{}', 'b', {})", self.word(), dice.below(9)),
            Kind::List => format!("'{},{}'", self.word(), self.word()),
        }
    }

    /// A new value for a cell, as SQL that may use the old one.
    pub fn changed(&mut self, column: &str, kind: Kind) -> String {
        let dice = self.dice;
        if dice.one_in(4) {
            return self.fresh(if kind == Kind::Number { Kind::Small } else { kind });
        }
        match kind {
            Kind::Text => match dice.below(3) {
                0 => format!("coalesce({column}, '') || ' {}'", self.word()),
                1 => format!("'{} ' || coalesce({column}, '')", self.word()),
                _ => format!("replace(coalesce({column}, 'beta'), 'beta', 'beta {}')", self.word()),
            },
            Kind::Count => format!("coalesce({column}, 0) + {}", dice.below(40) as i64 - 10),
            Kind::Json => format!("json_set(coalesce({column}, '{{}}'), '$.{}', '{}')", dice.of(&["a", "b", "c"]), self.word()),
            Kind::List => format!("coalesce({column}, '') || ',{}'", self.word()),
            Kind::Number => (1 + dice.below(9)).to_string(),
            _ => self.fresh(kind),
        }
    }
}

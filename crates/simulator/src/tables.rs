//! The tables that random work is about, by theme.

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
    /// A key of any storage class, sometimes NULL.
    Loose,
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
    /// Set by a trigger or computed: no program writes it.
    Derived,
}

/// A table.
#[derive(Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// How it is made.
    pub sql: &'static str,
    /// Its key.
    pub key: &'static [&'static str],
    /// Its columns.
    pub columns: &'static [(&'static str, Kind)],
    /// Triggers, views and indexes of the app's on it, made before or after tracking begins.
    pub extras: &'static [&'static str],
}

const fn table(
    name: &'static str,
    sql: &'static str,
    key: &'static [&'static str],
    columns: &'static [(&'static str, Kind)],
    extras: &'static [&'static str],
) -> Spec {
    Spec { name, sql, key, columns, extras }
}

const FAMILY: &[Spec] = &[
    table(
        "person",
        "CREATE TABLE person(id INTEGER PRIMARY KEY, boss INTEGER REFERENCES person(id), name TEXT, age)",
        &["id"],
        &[("id", Kind::Number), ("boss", Kind::Link), ("name", Kind::Text), ("age", Kind::Any)],
        &["CREATE VIEW bosses AS SELECT DISTINCT boss FROM person"],
    ),
    table(
        "team",
        "CREATE TABLE team(id INTEGER PRIMARY KEY AUTOINCREMENT, label TEXT UNIQUE, lead INTEGER REFERENCES person(id) ON DELETE SET NULL, points INTEGER)",
        &["id"],
        &[("id", Kind::Number), ("label", Kind::Unique), ("lead", Kind::Link), ("points", Kind::Count)],
        &[],
    ),
    table(
        "task",
        "CREATE TABLE task(id INTEGER PRIMARY KEY, team INTEGER REFERENCES team(id) ON DELETE CASCADE ON UPDATE CASCADE, title, points INTEGER CHECK (points < 100))",
        &["id"],
        &[("id", Kind::Number), ("team", Kind::Link), ("title", Kind::Any), ("points", Kind::Count)],
        &["CREATE INDEX task_team ON task(team)"],
    ),
];

const STOCK: &[Spec] = &[
    table(
        "tag",
        "CREATE TABLE tag(code TEXT PRIMARY KEY COLLATE NOCASE, note, doc TEXT)",
        &["code"],
        &[("code", Kind::Code), ("note", Kind::Any), ("doc", Kind::Json)],
        &[],
    ),
    table(
        "item",
        "CREATE TABLE item(id INTEGER PRIMARY KEY, sku TEXT, parts TEXT, UNIQUE(id, sku))",
        &["id"],
        &[("id", Kind::Number), ("sku", Kind::Code), ("parts", Kind::List)],
        &[],
    ),
    table(
        "link",
        "CREATE TABLE link(item INTEGER REFERENCES item(id) ON DELETE CASCADE, tag TEXT REFERENCES tag(code) ON UPDATE CASCADE, weight, PRIMARY KEY(item, tag)) WITHOUT ROWID",
        &["item", "tag"],
        &[("item", Kind::Small), ("tag", Kind::Code), ("weight", Kind::Any)],
        &[],
    ),
    table(
        "stock",
        "CREATE TABLE stock(id INTEGER PRIMARY KEY, item INTEGER, sku TEXT, n INTEGER, FOREIGN KEY(item, sku) REFERENCES item(id, sku))",
        &["id"],
        &[("id", Kind::Number), ("item", Kind::Link), ("sku", Kind::Code), ("n", Kind::Count)],
        &[],
    ),
];

const PLACES: &[Spec] = &[
    table(
        "place",
        "CREATE TABLE place(x INTEGER, y TEXT, what, u TEXT UNIQUE, PRIMARY KEY(y, x))",
        &["y", "x"],
        &[("x", Kind::Small), ("y", Kind::Code), ("what", Kind::Any), ("u", Kind::Unique)],
        &[],
    ),
    table(
        "visit",
        "CREATE TABLE visit(id INTEGER PRIMARY KEY, px INTEGER, py TEXT, body TEXT, FOREIGN KEY(py, px) REFERENCES place(y, x))",
        &["id"],
        &[("id", Kind::Number), ("px", Kind::Link), ("py", Kind::Code), ("body", Kind::Text)],
        &[],
    ),
    table(
        "span",
        "CREATE TABLE span(id TEXT PRIMARY KEY, low INTEGER, high INTEGER, u COLLATE NOCASE, note NOT NULL DEFAULT 'none', CHECK (low <= high), UNIQUE(u))",
        &["id"],
        &[("id", Kind::Code), ("low", Kind::Count), ("high", Kind::Count), ("u", Kind::Unique), ("note", Kind::Any)],
        &[],
    ),
];

const VALUES: &[Spec] = &[
    table(
        "shelf",
        "CREATE TABLE shelf(id INTEGER PRIMARY KEY, i INTEGER, r REAL, n NUMERIC, t TEXT, b BLOB, a)",
        &["id"],
        &[("id", Kind::Number), ("i", Kind::Any), ("r", Kind::Any), ("n", Kind::Any), ("t", Kind::Any), ("b", Kind::Any), ("a", Kind::Any)],
        &[],
    ),
    table(
        "loose",
        "CREATE TABLE loose(k PRIMARY KEY, v, note TEXT)",
        &["k"],
        &[("k", Kind::Loose), ("v", Kind::Any), ("note", Kind::Text)],
        &[],
    ),
    table(
        "exact",
        "CREATE TABLE exact(k ANY, d TEXT, v ANY, n INT, PRIMARY KEY(k, d)) STRICT, WITHOUT ROWID",
        &["k", "d"],
        &[("k", Kind::Loose), ("d", Kind::Code), ("v", Kind::Any), ("n", Kind::Count)],
        &[],
    ),
];

const CLAUSES: &[Spec] = &[
    table(
        "seat",
        "CREATE TABLE seat(id INTEGER PRIMARY KEY, u UNIQUE, w UNIQUE ON CONFLICT REPLACE, note TEXT)",
        &["id"],
        &[("id", Kind::Number), ("u", Kind::Unique), ("w", Kind::Unique), ("note", Kind::Text)],
        &[],
    ),
    table(
        "touched",
        "CREATE TABLE touched(id INTEGER PRIMARY KEY, body TEXT, times INTEGER DEFAULT 0, twice AS (times * 2), whole TEXT AS (body || '!') STORED)",
        &["id"],
        &[("id", Kind::Number), ("body", Kind::Text), ("times", Kind::Derived)],
        &[
            "CREATE TRIGGER touch_insert AFTER INSERT ON touched BEGIN UPDATE touched SET times = coalesce(times, 0) + 1 WHERE id = NEW.id; END",
            "CREATE TRIGGER touch_update AFTER UPDATE OF body ON touched BEGIN UPDATE touched SET times = coalesce(times, 0) + 1 WHERE id = NEW.id; END",
        ],
    ),
    table(
        "audit",
        "CREATE TABLE audit(id TEXT PRIMARY KEY, what) WITHOUT ROWID",
        &["id"],
        &[("id", Kind::Code), ("what", Kind::Any)],
        &[
            "CREATE TRIGGER audit_seat AFTER DELETE ON seat BEGIN INSERT OR REPLACE INTO audit VALUES ('seat' || OLD.id, OLD.note); END",
            "CREATE TRIGGER audit_stop BEFORE INSERT ON audit WHEN NEW.id = 'é' BEGIN SELECT RAISE(IGNORE); END",
            "CREATE TRIGGER audit_refuse BEFORE UPDATE ON audit WHEN NEW.what = 1 BEGIN SELECT RAISE(ABORT, 'no'); END",
        ],
    ),
    table(
        "slot",
        "CREATE TABLE slot(id INTEGER PRIMARY KEY, place TEXT, state INTEGER, note)",
        &["id"],
        &[("id", Kind::Number), ("place", Kind::Unique), ("state", Kind::Small), ("note", Kind::Any)],
        &["CREATE UNIQUE INDEX slot_place ON slot(place) WHERE state = 1"],
    ),
];

/// Tables by theme; a run takes one or two themes.
pub const THEMES: &[&[Spec]] = &[FAMILY, STOCK, PLACES, VALUES, CLAUSES];

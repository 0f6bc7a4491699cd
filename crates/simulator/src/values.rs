//! Values that hurt, and values that can be found again: each word is in no other value.
use crate::dice::Dice;
use crate::tables::Kind;
use crate::tape::{Datum, Statement};
use mainstem::core::value::Value;

/// A statement being written.
#[derive(Debug, Default)]
pub struct Draft {
    /// What there is of it.
    pub sql: String,
    values: Vec<Datum>,
}

impl Draft {
    /// One that begins so.
    pub fn new(sql: impl Into<String>) -> Draft {
        Draft { sql: sql.into(), values: Vec::new() }
    }
    /// Adds text.
    pub fn text(&mut self, sql: &str) -> &mut Draft {
        self.sql.push_str(sql);
        self
    }
    /// Adds a place for a value, and the value.
    pub fn bind(&mut self, value: Datum) -> &mut Draft {
        self.values.push(value);
        self.sql.push_str(&format!("?{}", self.values.len()));
        self
    }
    /// Adds something for each of a list, with text between.
    pub fn join<T>(&mut self, all: &[T], between: &str, mut add: impl FnMut(&mut Draft, &T)) -> &mut Draft {
        for (at, one) in all.iter().enumerate() {
            if at > 0 {
                self.text(between);
            }
            add(self, one);
        }
        self
    }
    /// What was written.
    pub fn done(self) -> Statement {
        Statement { sql: self.sql, values: self.values }
    }
}

/// How large values may get in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// A line or two.
    Short,
    /// Now and then up to a megabyte.
    Long,
    /// One in a while is above ten megabytes.
    Huge,
}

/// Makes values.
pub struct Values<'a> {
    /// What decides.
    pub dice: &'a Dice,
    /// Words made so far.
    pub words: u64,
    /// How many different row numbers there are.
    pub numbers: usize,
    /// How large values may get.
    pub lengths: Lengths,
}

fn text(bytes: &[u8]) -> Datum {
    Datum::Value(Value::Text(bytes.to_vec()))
}

fn integer(n: i64) -> Datum {
    Datum::Value(Value::Integer(n))
}

const CODES: [&[u8]; 10] =
    [b"a", b"A", b"b", b"c", b"", "\u{e9}".as_bytes(), "e\u{301}".as_bytes(), b"\xff", b"ab\0cd", "\u{fffe}".as_bytes()];

fn hurting(dice: &Dice) -> Datum {
    Datum::Value(match dice.below(28) {
        0..=3 => Value::Null,
        4 => Value::Real(-0.0),
        5 => Value::Real(0.0),
        6 => Value::Integer(i64::MAX),
        7 => Value::Integer(i64::MIN),
        8 => Value::Integer((1 << 53) + 1),
        9 => Value::Text(Vec::new()),
        10 => Value::Blob(Vec::new()),
        11 => Value::Text(b"a\0b".to_vec()),
        12 => Value::Text(b"\xff\x00\xfe".to_vec()),
        13 => Value::Blob(b"\x00\xff".to_vec()),
        14 => Value::text("\u{e9}"),
        15 => Value::text("e\u{301}"),
        16 => Value::Integer(1),
        17 => Value::Real(1.0),
        18 => Value::text("1"),
        19 => Value::Blob(b"1".to_vec()),
        20 => Value::Real(f64::INFINITY),
        21 => Value::Real(f64::NEG_INFINITY),
        22 => Value::Real(f64::MAX),
        23 => Value::Real(f64::from_bits(1)),
        24 => Value::text("0012"),
        25 => Value::text(" "),
        26 => Value::text("\u{feff}abc"),
        _ => Value::text("ABC"),
    })
}

impl Values<'_> {
    /// A word that no other value holds.
    pub fn word(&mut self) -> String {
        self.words += 1;
        format!("w{}.", self.words)
    }

    fn small(&self) -> i64 {
        1 + self.dice.below(self.numbers) as i64
    }

    fn any(&mut self) -> Datum {
        let dice = self.dice;
        if dice.one_in(3) {
            return hurting(dice);
        }
        let word = self.word();
        let (is_long, bytes) = match self.lengths {
            Lengths::Huge if dice.one_in(3000) => (true, 11_000_000),
            Lengths::Long | Lengths::Huge if dice.one_in(400) => (true, 1 << dice.between(14, 20)),
            _ => (false, 0),
        };
        match dice.below(4) {
            0 if is_long => Datum::Long { is_text: false, bytes, word },
            _ if is_long => Datum::Long { is_text: true, bytes, word },
            0 => Datum::Value(Value::Blob(word.into_bytes())),
            _ => text(word.as_bytes()),
        }
    }

    /// A value for a new row.
    pub fn fresh(&mut self, kind: Kind) -> Datum {
        let dice = self.dice;
        match kind {
            Kind::Number if dice.one_in(3) => Datum::Value(Value::Null),
            Kind::Number if dice.one_in(400) => integer(*dice.of(&[i64::MIN, -1, 0, (1 << 53) + 1])),
            Kind::Number | Kind::Small => integer(self.small()),
            Kind::Link if dice.one_in(3) => Datum::Value(Value::Null),
            Kind::Link => integer(self.small()),
            Kind::Code if !dice.one_in(3) => text(CODES[dice.below(3)]),
            Kind::Code => text(CODES[dice.below(CODES.len())]),
            Kind::Loose => match dice.below(12) {
                0 => Datum::Value(Value::Null),
                1 => Datum::Value(Value::Real(1.5)),
                2 => Datum::Value(Value::Blob(b"1".to_vec())),
                3 => text(b"1"),
                4 => Datum::Value(Value::Real((1u64 << 53) as f64)),
                5 => integer(*dice.of(&[(1 << 53) + 1, i64::MAX, i64::MIN])),
                6 => text(CODES[dice.below(CODES.len())]),
                _ => integer(self.small()),
            },
            Kind::Unique => match dice.below(6) {
                0 => Datum::Value(Value::Null),
                1 => text(self.word().as_bytes()),
                n => text(format!("u{}", n % 3).as_bytes()),
            },
            Kind::Any => self.any(),
            _ if dice.one_in(10) => Datum::Value(Value::Null),
            Kind::Text => {
                let (one, two) = (self.word(), self.word());
                text(format!("alpha {one} beta\ngamma {two} delta").as_bytes())
            }
            Kind::Count | Kind::Derived => integer(dice.below(30) as i64),
            Kind::Json => text(format!("{{\"a\":\"{}\",\"b\":{}}}", self.word(), dice.below(9)).as_bytes()),
            Kind::List => text(format!("{},{}", self.word(), self.word()).as_bytes()),
        }
    }

    /// Adds a new value for a cell, as an expression that may use the old one.
    pub fn change(&mut self, draft: &mut Draft, column: &str, kind: Kind) {
        let dice = self.dice;
        if dice.one_in(4) {
            draft.bind(self.fresh(if kind == Kind::Number { Kind::Small } else { kind }));
            return;
        }
        match kind {
            Kind::Text => match dice.below(3) {
                0 => draft.text(&format!("coalesce({column}, '') || ' ' || ")).bind(text(self.word().as_bytes())),
                1 => draft.bind(text(self.word().as_bytes())).text(&format!(" || ' ' || coalesce({column}, '')")),
                _ => draft
                    .text(&format!("replace(coalesce({column}, 'beta'), 'beta', 'beta ' || "))
                    .bind(text(self.word().as_bytes()))
                    .text(")"),
            },
            Kind::Count | Kind::Derived => draft.text(&format!("coalesce({column}, 0) + ")).bind(integer(dice.below(40) as i64 - 10)),
            Kind::Json => draft
                .text(&format!("json_set(iif(json_valid({column}), {column}, '{{}}'), '$.{}', ", dice.of(&["a", "b", "c"])))
                .bind(text(self.word().as_bytes()))
                .text(")"),
            Kind::List => draft.text(&format!("coalesce({column}, '') || ',' || ")).bind(text(self.word().as_bytes())),
            Kind::Number => draft.bind(integer(self.small() + dice.below(5) as i64)),
            _ => draft.bind(self.fresh(kind)),
        };
    }
}

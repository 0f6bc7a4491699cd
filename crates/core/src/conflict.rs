//! Conflicts: two sides that cannot both hold, kept as values until somebody answers.
//!
//! Invariant: a conflict's id depends on what clashes, not on which side came first, so every replica and every
//! order of arrival gives the same id.
use crate::change::Choice;
use crate::stamp::{Stamp, Time};
use crate::value::{Key, Value};
use alloc::{string::String, vec::Vec};

/// Why two sides cannot both hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Both made a row with one key and different cells.
    CreateCreate,
    /// Both changed one cell.
    UpdateUpdate,
    /// Ours changed a row that theirs deleted.
    UpdateDelete,
    /// Ours deleted a row that theirs changed.
    DeleteUpdate,
    /// A row points to a parent that the other side deleted.
    MissingParent,
    /// Two rows want one value of a unique index.
    Unique,
    /// Each side keeps a CHECK or NOT NULL, the combination breaks it.
    Constraint,
    /// Schema steps that contradict each other, or an edit of what the other side dropped.
    Schema,
}

impl ConflictKind {
    /// Every kind.
    pub const ALL: [ConflictKind; 8] = [
        ConflictKind::CreateCreate,
        ConflictKind::UpdateUpdate,
        ConflictKind::UpdateDelete,
        ConflictKind::DeleteUpdate,
        ConflictKind::MissingParent,
        ConflictKind::Unique,
        ConflictKind::Constraint,
        ConflictKind::Schema,
    ];
    /// The name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ConflictKind::CreateCreate => "create_create",
            ConflictKind::UpdateUpdate => "update_update",
            ConflictKind::UpdateDelete => "update_delete",
            ConflictKind::DeleteUpdate => "delete_update",
            ConflictKind::MissingParent => "missing_parent",
            ConflictKind::Unique => "unique",
            ConflictKind::Constraint => "constraint",
            ConflictKind::Schema => "schema",
        }
    }
    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.name() == name)
    }
}

/// A row by column name, so that it outlives changes of the schema.
pub type Image = Vec<(String, Value)>;

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// A cell's value.
    Cell(Value),
    /// A whole row, or its absence.
    Row(Option<Image>),
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// What it says.
    pub claim: Claim,
    /// When and where that was written.
    pub stamp: Stamp,
    /// Who wrote it.
    pub actor: String,
}

/// Two sides that cannot both hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Its id: the same on every replica and in every order of arrival.
    pub id: u64,
    /// Why.
    pub kind: ConflictKind,
    /// The table.
    pub table: String,
    /// The row, by the key it has where it is held.
    pub key: Key,
    /// The column, for a conflict about one cell.
    pub column: Option<String>,
    /// What both started from; none where the row did not exist.
    pub base: Claim,
    /// The side that came in.
    pub ours: Side,
    /// The side that was there.
    pub theirs: Side,
    /// The strategy that was asked.
    pub strategy: String,
    /// What the strategy needs said to a person, such as the columns of a unique index. May be empty.
    pub detail: String,
    /// The version in which it was found.
    pub version: u64,
    /// The answer; none while it is open.
    pub answer: Option<Answer>,
}

impl Conflict {
    /// True until somebody or a strategy has answered.
    pub fn is_open(&self) -> bool {
        self.answer.is_none()
    }
}

/// The id of a conflict: the first eight bytes of a digest over what clashes.
///
/// The sides may come in either order, and `update_delete` and `delete_update` are one class, because they are one
/// clash seen from its two ends. Names count without ASCII case, the columns of a row in the order of their names.
pub fn id_of(table: &str, key: &Key, column: Option<&str>, kind: ConflictKind, ours: &Side, theirs: &Side) -> u64 {
    let class = if kind == ConflictKind::DeleteUpdate { ConflictKind::UpdateDelete } else { kind };
    let mut hasher = blake3::Hasher::new();
    put_bytes(&mut hasher, b"mainstem conflict 1");
    put_bytes(&mut hasher, class.name().as_bytes());
    put_bytes(&mut hasher, table.to_ascii_lowercase().as_bytes());
    put_values(&mut hasher, key.iter());
    match column {
        None => put_bytes(&mut hasher, b"row"),
        Some(column) => {
            put_bytes(&mut hasher, b"cell");
            put_bytes(&mut hasher, column.to_ascii_lowercase().as_bytes());
        }
    }
    // The digest breaks the tie of equal stamps, so that even then the order given does not matter.
    let mut sides = [ours, theirs].map(|side| (side.stamp, side_digest(side)));
    sides.sort_unstable();
    for (_, digest) in sides {
        put_bytes(&mut hasher, &digest);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_be_bytes(first)
}

fn side_digest(side: &Side) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&side.stamp.time.0.to_be_bytes());
    hasher.update(&side.stamp.replica.0.to_be_bytes());
    put_bytes(&mut hasher, side.actor.as_bytes());
    match &side.claim {
        Claim::Cell(value) => {
            put_bytes(&mut hasher, b"cell");
            put_values(&mut hasher, core::iter::once(value));
        }
        Claim::Row(None) => put_bytes(&mut hasher, b"absent"),
        Claim::Row(Some(image)) => {
            put_bytes(&mut hasher, b"row");
            let mut cells: Vec<(String, &Value)> = image.iter().map(|(n, v)| (n.to_ascii_lowercase(), v)).collect();
            cells.sort_unstable();
            for (name, value) in cells {
                put_bytes(&mut hasher, name.as_bytes());
                put_values(&mut hasher, core::iter::once(value));
            }
        }
    }
    *hasher.finalize().as_bytes()
}

fn put_bytes(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

fn put_values<'a>(hasher: &mut blake3::Hasher, values: impl ExactSizeIterator<Item = &'a Value>) {
    hasher.update(&(values.len() as u64).to_be_bytes());
    for value in values {
        put_bytes(hasher, value.type_name().as_bytes());
        match value {
            Value::Null => {}
            Value::Integer(i) => put_bytes(hasher, &i.to_be_bytes()),
            Value::Real(r) => put_bytes(hasher, &r.to_bits().to_be_bytes()),
            Value::Text(bytes) | Value::Blob(bytes) => put_bytes(hasher, bytes),
        }
    }
}

/// How a conflict was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The side that holds now.
    pub choice: Choice,
    /// The person who answered; none where the strategy did.
    pub actor: Option<String>,
    /// When.
    pub at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stamp::ReplicaId;
    use alloc::string::ToString;
    use alloc::vec;

    fn side(claim: Claim, time: u64) -> Side {
        Side { claim, stamp: Stamp { time: Time(time), replica: ReplicaId(1) }, actor: "ann".to_string() }
    }

    fn cell(text: &str, time: u64) -> Side {
        side(Claim::Cell(Value::text(text)), time)
    }

    #[test]
    fn ids_do_not_depend_on_the_order_of_sides() {
        let key = vec![Value::Integer(1)];
        let id = |table: &str, column, kind, x: &Side, y: &Side| id_of(table, &key, column, kind, x, y);
        let (x, y, tie) = (cell("x", 1), cell("y", 2), cell("z", 1));
        let kind = ConflictKind::UpdateUpdate;
        assert_eq!(id("T", Some("a"), kind, &x, &y), id("t", Some("A"), kind, &y, &x));
        assert_eq!(id("t", Some("a"), kind, &x, &tie), id("t", Some("a"), kind, &tie, &x));
        let gone = side(Claim::Row(None), 1);
        let row = |cells: &[(&str, i64)]| {
            let image = cells.iter().map(|(name, value)| (name.to_string(), Value::Integer(*value))).collect();
            side(Claim::Row(Some(image)), 2)
        };
        assert_eq!(
            id("t", None, ConflictKind::UpdateDelete, &row(&[("a", 1), ("b", 2)]), &gone),
            id("t", None, ConflictKind::DeleteUpdate, &gone, &row(&[("B", 2), ("a", 1)])),
        );
    }

    #[test]
    fn different_clashes_have_different_ids() {
        let sides = (cell("x", 1), cell("y", 2));
        let kind = ConflictKind::UpdateUpdate;
        let ids = [
            id_of("t", &vec![1.into()], Some("a"), kind, &sides.0, &sides.1),
            id_of("t", &vec!["1".into()], Some("a"), kind, &sides.0, &sides.1),
            id_of("t", &vec![1.into()], Some("b"), kind, &sides.0, &sides.1),
            id_of("t", &vec![1.into()], None, kind, &sides.0, &sides.1),
            id_of("u", &vec![1.into()], Some("a"), kind, &sides.0, &sides.1),
            id_of("t", &vec![1.into()], Some("a"), ConflictKind::Unique, &sides.0, &sides.1),
            id_of("t", &vec![1.into()], Some("a"), kind, &sides.0, &cell("y", 3)),
            id_of("t", &vec![1.into()], Some("a"), kind, &sides.0, &cell("z", 2)),
        ];
        for (i, id) in ids.iter().enumerate() {
            assert!(!ids[..i].contains(id), "{i}");
        }
        assert_eq!(ids[0], 4499594928996838624, "ids are kept for ever: this one must not change");
    }
}

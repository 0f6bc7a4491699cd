//! A dataset: its tables, its latest version, and the copies of it.
use crate::frame::Frame;
use crate::moment::Moment;
use askama::Template;

/// A dataset.
#[derive(Debug, Template)]
#[template(path = "dataset.html")]
pub struct Dataset {
    /// What is around it.
    pub frame: Frame,
    /// Its name.
    pub name: String,
    /// Its latest version.
    pub version: u64,
    /// When that was accepted, and by whom it was made.
    pub latest: Option<(Moment, String)>,
    /// The oldest version that a replica may hold.
    pub horizon: u64,
    /// Whether it is archived.
    pub is_archived: bool,
    /// Its tables.
    pub tables: Vec<Table>,
    /// The replicas that were heard of.
    pub replicas: Vec<Replica>,
    /// Where replicas get it from.
    pub address: String,
    /// Whether one sees a part of it alone.
    pub is_part: bool,
}

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Where its rows are.
    pub to: String,
    /// How many rows it has.
    pub rows: u64,
    /// Its columns: name, declared type, whether it is of the key.
    pub columns: Vec<(String, String, bool)>,
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    /// Its name, in short.
    pub name: String,
    /// Who works on it.
    pub actor: String,
    /// The version its work stands on.
    pub version: u64,
    /// How many versions it is behind.
    pub lag: u64,
    /// When it was last heard of.
    pub seen_at: Moment,
    /// True where it was not heard of for so long that nothing is kept for it.
    pub is_expired: bool,
    /// True where it must begin anew from a snapshot.
    pub must_reseed: bool,
}

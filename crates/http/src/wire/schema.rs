//! What a dataset's tables were at a version (MEX-6): their sizes, their columns, and how they came to be so.
use super::shown::{hex, moment};
use mainstem::core::event::{TableDigest, Version};
use mainstem::core::schema::Table;
use mainstem::history::{Declared, Steps};
use mainstem::schema_merge::describe;
use schemars::JsonSchema;
use serde::Serialize;

/// The tables at a version.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownTables {
    /// The version.
    pub version: u64,
    /// When it was accepted.
    pub accepted_at: String,
    /// The tables.
    pub tables: Vec<ShownTable>,
    /// What changed them since the dataset began, oldest first.
    pub schema_history: Vec<ShownSteps>,
}

/// A table at a version.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownTable {
    /// Its name then.
    pub table: String,
    /// How many rows it had.
    pub rows: u64,
    /// The digest of its rows.
    pub digest: String,
    /// Its columns then, in their order.
    pub columns: Vec<ShownColumn>,
}

/// A column.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownColumn {
    /// Its name.
    pub name: String,
    /// Its declared type; empty where it has none.
    #[serde(rename = "type")]
    pub declared_type: String,
    /// Its place in the key, from 1; null where it is not of the key.
    pub key: Option<usize>,
    /// Whether it is declared NOT NULL.
    pub not_null: bool,
}

/// What one version did to the tables.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ShownSteps {
    /// The version.
    pub version: u64,
    /// When it was accepted.
    pub accepted_at: String,
    /// Who made it.
    pub actor: String,
    /// The steps, in words.
    pub steps: Vec<String>,
}

impl ShownTables {
    /// The tables that a version tells of, as they were declared then.
    pub fn new(version: &Version, declared: &Declared) -> Self {
        let table = |told: &TableDigest| ShownTable {
            table: told.table.clone(),
            rows: told.rows,
            digest: hex(&told.sum),
            columns: declared.schema.table(&told.table).map(columns).unwrap_or_default(),
        };
        ShownTables {
            version: version.version,
            accepted_at: moment(version.accepted_at),
            tables: version.tables.iter().map(table).collect(),
            schema_history: declared.steps.iter().map(ShownSteps::from).collect(),
        }
    }
}

fn columns(table: &Table) -> Vec<ShownColumn> {
    let one = |(at, column): (usize, &mainstem::core::schema::Column)| ShownColumn {
        name: column.name.clone(),
        declared_type: column.declared_type.clone(),
        key: table.key.iter().position(|of| *of == at).map(|place| place + 1),
        not_null: column.not_null,
    };
    table.columns.iter().enumerate().map(one).collect()
}

impl From<&Steps> for ShownSteps {
    fn from(steps: &Steps) -> Self {
        ShownSteps {
            version: steps.version,
            accepted_at: moment(steps.accepted_at),
            actor: steps.actor.clone(),
            steps: steps.steps.iter().map(describe).collect(),
        }
    }
}

//! Who has which role on a dataset and its tables.
use crate::frame::Frame;
use askama::Template;

/// Roles.
#[derive(Debug, Template)]
#[template(path = "members.html")]
pub struct Members {
    /// What is around it.
    pub frame: Frame,
    /// The dataset.
    pub name: String,
    /// Who has which.
    pub roles: Vec<Role>,
    /// Everybody who may be given one.
    pub actors: Vec<String>,
    /// The tables there are.
    pub tables: Vec<String>,
    /// The server's own address, for commands to type.
    pub address: String,
}

/// A role of somebody.
#[derive(Debug)]
pub struct Role {
    /// Who.
    pub actor: String,
    /// On which table; the dataset as a whole where none.
    pub table: Option<String>,
    /// The role.
    pub role: &'static str,
}

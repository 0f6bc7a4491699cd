//! The server itself: who is known to it, and what it has counted.
use crate::frame::Frame;
use crate::moment::Moment;
use askama::Template;

/// What a server has counted.
#[derive(Debug, Template)]
#[template(path = "server.html")]
pub struct Server {
    /// What is around it.
    pub frame: Frame,
    /// Groups of numbers, each with what it counts.
    pub groups: Vec<(&'static str, Vec<Number>)>,
    /// The version of the program.
    pub version: &'static str,
}

/// One number.
#[derive(Debug)]
pub struct Number {
    /// What it counts.
    pub what: String,
    /// It, for people.
    pub text: String,
    /// The moment that it stands for, where it does.
    pub at: Option<Moment>,
}

/// Everybody who is known to a server.
#[derive(Debug, Template)]
#[template(path = "people.html")]
pub struct People {
    /// What is around it.
    pub frame: Frame,
    /// The actors.
    pub actors: Vec<Actor>,
    /// The server's own address, for commands to type.
    pub address: String,
}

/// An actor.
#[derive(Debug)]
pub struct Actor {
    /// Its name.
    pub name: String,
    /// Where its form is sent to.
    pub to: String,
    /// When it was added.
    pub added_at: Moment,
    /// True where it may do nothing.
    pub is_disabled: bool,
    /// True where it administers the server.
    pub is_administrator: bool,
    /// Its roles, in words.
    pub roles: Vec<String>,
}

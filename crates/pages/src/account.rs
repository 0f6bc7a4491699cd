//! One's own account: tokens, replicas, and the browsers in which one is signed in.
use crate::frame::Frame;
use crate::moment::Moment;
use askama::Template;

/// Tokens, and a form for another.
#[derive(Debug, Template)]
#[template(path = "tokens.html")]
pub struct Tokens {
    /// What is around it.
    pub frame: Frame,
    /// The tokens, the latest first.
    pub tokens: Vec<Token>,
    /// The one that was just made.
    pub made: Option<Made>,
    /// Whom an administrator may make tokens for, beside themselves.
    pub others: Vec<String>,
    /// The datasets to which a new one may be limited.
    pub datasets: Vec<String>,
    /// Whether one may make tokens: a limited one makes no others.
    pub may_change: bool,
    /// The server's own address, for commands to type.
    pub address: String,
}

/// A token that was just made.
#[derive(Debug)]
pub struct Made {
    /// Its text, which is shown this once.
    pub text: String,
    /// Whose it is, where it is somebody else's.
    pub whose: Option<String>,
    /// Whether it is the first of the first administrator, who has no other.
    pub is_first: bool,
}

/// A token.
#[derive(Debug)]
pub struct Token {
    /// Its number.
    pub id: u64,
    /// What its owner calls it.
    pub label: String,
    /// What it may be used for, in words.
    pub limit: String,
    /// When it was created.
    pub created_at: Moment,
    /// From when on it is worth nothing.
    pub expires_at: Option<Moment>,
    /// Whether it may be used.
    pub state: TokenState,
    /// Whether one is signed in with it here.
    pub is_current: bool,
}

/// Whether a token may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenState {
    /// It may.
    Good,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// Replicas that are registered to somebody.
#[derive(Debug, Template)]
#[template(path = "replicas.html")]
pub struct Replicas {
    /// What is around it.
    pub frame: Frame,
    /// The replicas.
    pub replicas: Vec<Replica>,
    /// Whether one may shut them out.
    pub may_change: bool,
    /// The server's own address, for commands to type.
    pub address: String,
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    /// Its name.
    pub id: String,
    /// The same in short.
    pub short: String,
    /// Whose it is.
    pub actor: String,
    /// The dataset it is a copy of.
    pub dataset: String,
    /// When it came first.
    pub registered_at: Moment,
    /// When it was shut out.
    pub revoked_at: Option<Moment>,
}

/// Browsers in which one is signed in.
#[derive(Debug, Template)]
#[template(path = "browsers.html")]
pub struct Browsers {
    /// What is around it.
    pub frame: Frame,
    /// The browsers, the one seen last first.
    pub browsers: Vec<Browser>,
}

/// A browser.
#[derive(Debug)]
pub struct Browser {
    /// Its number.
    pub id: u64,
    /// What it calls itself.
    pub name: String,
    /// The token with which one signed in there.
    pub token: String,
    /// When that was.
    pub began_at: Moment,
    /// When it was last seen.
    pub seen_at: Moment,
    /// Whether it is this one.
    pub is_current: bool,
}

//! A server with datasets, people and their copies, all of one test.
use mainstem::core::authority::Role;
use mainstem::core::scope::Scope;
use mainstem::proposing::{self, Asked, Target};
use mainstem::sync;
use mainstem::wiring::{Around, RealSurroundings};
use mainstem_browser::Page;
use mainstem_http::client::HttpPrimary;
use mainstem_http::server::{Door, Limits, Porter, Record};
use mainstem_sqlite::SqliteReplica;
use mainstem_sqlite::replica::{CloneOptions, InitOptions};
use mainstem_traffic::{ADMINISTRATOR, Served};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn quiet(_: &str, _: u64, _: u64) {}

/// A server and the folder that all is in.
pub struct House {
    folder: TempDir,
    pub around: Around,
    pub served: Served,
}

impl House {
    /// With nobody in it but the administrator.
    pub fn begin() -> House {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let around: Around = Arc::new(RealSurroundings);
        let mut limits = Limits::default();
        // A test asks faster than any person.
        for limit in ["address_rate_max", "address_burst_max", "token_rate_max", "token_burst_max"] {
            limits.set(limit, "1000000").expect("a limit");
        }
        let porter = Porter::new(limits, Door::default(), Record::nowhere(around.clone()), around.clone());
        let served = Served::through(porter, None, &folder.path().join("served"), around.clone());
        House { folder, around, served }
    }
    /// An address on the server.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.served.socket())
    }
    /// A file of that name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// A file, opened as an app does.
    pub fn open(&self, name: &str) -> Connection {
        Connection::open(self.file(name)).expect("it opens")
    }
    /// Runs SQL in a file, as an app does.
    pub fn sql(&self, name: &str, sql: &str) {
        self.open(name).execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    /// Tracks a file and makes a dataset of it.
    pub fn publish(&self, name: &str, dataset: &str) {
        let file = self.file(name);
        SqliteReplica::init(&file, &InitOptions::default(), self.around.clone(), &mut quiet).expect("it is tracked");
        let mut replica = self.replica(&file);
        replica.publish_at(&mut self.served.place(dataset), Some(dataset), ADMINISTRATOR, &mut quiet).expect("a dataset");
    }
    /// A dataset's primary, as somebody who contributes to it.
    pub fn primary(&self, dataset: &str, who: &str) -> HttpPrimary {
        let token = if who == ADMINISTRATOR { self.served.token() } else { Some(self.token_of(who, dataset, Role::Contributor)) };
        self.served.primary_as(dataset, token)
    }
    /// Makes somebody's copy of a dataset.
    pub fn clone_to(&self, dataset: &str, name: &str, who: &str) {
        let address = self.served.address(dataset).to_string();
        let wanted = CloneOptions { address: &address, actor: Some(who), scope: &Scope::default() };
        let mut primary = self.primary(dataset, who);
        SqliteReplica::clone_part(&mut primary, &wanted, &self.file(name), self.around.clone(), &mut quiet).expect("a copy");
    }
    /// Syncs somebody's copy.
    pub fn sync(&self, name: &str, dataset: &str, who: &str) {
        let mut replica = self.replica(&self.file(name));
        sync::sync(&mut replica, &mut self.primary(dataset, who), who, &mut quiet).expect("a sync");
    }
    /// A copy as the library sees it.
    pub fn replica(&self, file: &Path) -> SqliteReplica {
        SqliteReplica::open(file, self.around.clone()).expect("it opens")
    }
    /// A token of somebody with a role on a dataset, as they would paste it.
    pub fn token_of(&self, who: &str, dataset: &str, role: Role) -> String {
        self.served.token_of(who, dataset, role).reveal().to_string()
    }
    /// Signs somebody in by their token, as they do it.
    pub fn sign_in(&self, page: &Page, token: &str) {
        page.go(&self.at("/sign-in"));
        page.fill("Token", token);
        page.follow("Sign in");
        assert!(!page.address().contains("/sign-in"), "{}", page.text());
    }
    /// Offers what somebody has edited in their copy for review: as a new proposal, or as a further revision of the one they have.
    pub fn propose(&self, name: &str, dataset: &str, who: &str, title: &str) -> u64 {
        self.propose_as(name, dataset, who, title, Target::Fitting)
    }
    /// The same as a proposal of that kind.
    pub fn propose_as(&self, name: &str, dataset: &str, who: &str, title: &str, target: Target) -> u64 {
        let asked = Asked { title: Some(title.to_string()), description: format!("About: {title}"), target, ..Asked::default() };
        let mut replica = self.replica(&self.file(name));
        proposing::propose(&mut replica, &mut self.primary(dataset, who), who, &asked, &mut quiet).expect("it is offered").proposal
    }
}

//! Replicas that stay open from one command to the next, as those of a program that syncs now and then do.
//!
//! Invariant: whatever a new connection would do to a file (look at its place, heal) is done before each command; a file
//! that is copied, replaced or lost in a crash is open nowhere.
use mainstem_sqlite::SqliteReplica;
use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Where a replica waits for the next command.
pub(crate) type Home = Rc<RefCell<Option<SqliteReplica>>>;

/// A replica for one command, which goes home after it.
pub(crate) struct Lent {
    replica: Option<SqliteReplica>,
    home: Home,
}

impl Lent {
    pub(crate) fn new(replica: SqliteReplica, home: &Home) -> Lent {
        Lent { replica: Some(replica), home: home.clone() }
    }
}

impl Deref for Lent {
    type Target = SqliteReplica;
    fn deref(&self) -> &SqliteReplica {
        self.replica.as_ref().expect("it goes home last")
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut SqliteReplica {
        self.replica.as_mut().expect("it goes home last")
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.home.borrow_mut() = self.replica.take();
    }
}

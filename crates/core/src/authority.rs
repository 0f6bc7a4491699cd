//! Who may do what: roles, rights, what a token is limited to, and the one function that decides.
//!
//! Invariant: what is not granted is denied, and a dataset of which nothing may be read is answered as one that is not there.
//! Deliberately absent: who somebody is (see [`crate::account`]), and what a request needs (its route says).
use crate::scope::{Filter, Part, Scope};
use alloc::{string::String, vec::Vec};

/// What one may be allowed on a dataset, each including those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// To read rows and history.
    Read,
    /// To propose changes that others decide on.
    Propose,
    /// To push changes.
    Write,
    /// To decide on what others propose.
    Review,
    /// To say how the dataset is run: its policy, its roles, what it forgets.
    Own,
}

impl Right {
    /// Every right.
    pub const ALL: [Right; 5] = [Right::Read, Right::Propose, Right::Write, Right::Review, Right::Own];
    /// The name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Propose => "propose",
            Right::Write => "write",
            Right::Review => "review",
            Right::Own => "own",
        }
    }
    /// The right of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == name)
    }
}

/// What somebody is on a dataset, or on one of its tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and proposes.
    Proposer,
    /// Reads, proposes and pushes.
    Contributor,
    /// Decides on proposals as well.
    Reviewer,
    /// Runs the dataset as well.
    Owner,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 5] = [Role::Viewer, Role::Proposer, Role::Contributor, Role::Reviewer, Role::Owner];
    /// The name used on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Proposer => "proposer",
            Role::Contributor => "contributor",
            Role::Reviewer => "reviewer",
            Role::Owner => "owner",
        }
    }
    /// The role of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
    /// The highest right it holds.
    pub fn right(self) -> Right {
        match self {
            Role::Viewer => Right::Read,
            Role::Proposer => Right::Propose,
            Role::Contributor => Right::Write,
            Role::Reviewer => Right::Review,
            Role::Owner => Right::Own,
        }
    }
}

/// A role on a dataset, or on one of its tables. One on a table adds to the one on the dataset; where there is none on the
/// dataset, the tables with a role are all that is seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The dataset.
    pub dataset: String,
    /// The table; none for the dataset as a whole.
    pub table: Option<String>,
    /// The role.
    pub role: Role,
}

/// What a token may be used for, of all that its actor may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// The highest right.
    pub right: Option<Right>,
    /// The one dataset.
    pub dataset: Option<String>,
}

impl Limit {
    /// True where the token may be used for everything that its actor may do.
    pub fn is_none(&self) -> bool {
        *self == Limit::default()
    }
}

/// Everything that decides what a request may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    /// True for whoever administers the server, which includes owning every dataset.
    pub is_administrator: bool,
    /// The actor's roles.
    pub grants: Vec<Grant>,
    /// The token's limit.
    pub limit: Limit,
}

/// What a right is wanted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object<'a> {
    /// The actor's own account: its tokens.
    Account,
    /// The server: actors, administrators, new datasets.
    Server,
    /// A dataset as a whole.
    Dataset(&'a str),
    /// A dataset or any of its tables: what is touched is known later, and asked for then.
    Within(&'a str),
    /// One table of a dataset.
    Table(&'a str, &'a str),
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Allowed,
    /// It may not, and not even be known: answer as where nothing is there.
    Hidden,
    /// The actor's roles do not include it.
    Denied,
    /// They do, but the token is limited.
    Limited,
}

/// Decides whether a right on something is granted.
///
/// | object | allowed where |
/// |---|---|
/// | account | the token has no limit |
/// | server | the actor administers, and the token has no limit |
/// | dataset | a role on it includes the right |
/// | within | that, or a role on one of its tables does |
/// | table | that of the dataset, or a role on this table does |
pub fn decide(authority: &Authority, right: Right, object: Object<'_>) -> Verdict {
    let dataset = match object {
        Object::Account => return unlimited(authority),
        Object::Server if authority.is_administrator => return unlimited(authority),
        Object::Server => return Verdict::Denied,
        Object::Dataset(dataset) | Object::Within(dataset) | Object::Table(dataset, _) => dataset,
    };
    if is_outside(authority, dataset) || !holds(authority, Right::Read, Object::Within(dataset)) {
        Verdict::Hidden
    } else if !holds(authority, right, object) {
        Verdict::Denied
    } else if authority.limit.right.is_some_and(|most| most < right) {
        Verdict::Limited
    } else {
        Verdict::Allowed
    }
}

/// What may be read of a dataset: all of it, or the tables that a role is on.
pub fn sight(authority: &Authority, dataset: &str) -> Scope {
    if decide(authority, Right::Read, Object::Dataset(dataset)) == Verdict::Allowed {
        return Scope::everything();
    }
    let tables = authority.grants.iter().filter(|grant| grant.dataset == dataset && !is_outside(authority, dataset));
    let tables = tables.filter_map(|grant| grant.table.clone());
    Scope::of(tables.map(|table| Part { table, filter: Filter::Always(true) }))
}

fn is_outside(authority: &Authority, dataset: &str) -> bool {
    authority.limit.dataset.as_deref().is_some_and(|only| only != dataset)
}

fn holds(authority: &Authority, right: Right, object: Object<'_>) -> bool {
    authority.is_administrator || authority.grants.iter().any(|grant| grant.role.right() >= right && covers(grant, object))
}

fn covers(grant: &Grant, object: Object<'_>) -> bool {
    match object {
        Object::Account | Object::Server => false,
        Object::Dataset(dataset) => grant.dataset == dataset && grant.table.is_none(),
        Object::Within(dataset) => grant.dataset == dataset,
        Object::Table(dataset, name) => {
            grant.dataset == dataset && grant.table.as_deref().is_none_or(|table| table.eq_ignore_ascii_case(name))
        }
    }
}

fn unlimited(authority: &Authority) -> Verdict {
    if authority.limit.is_none() { Verdict::Allowed } else { Verdict::Limited }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Allowed, Denied, Hidden, Limited};
    use alloc::string::ToString;

    /// `roles` as in `"recipes=viewer recipes.step=owner"`, or `administrator`; `limit` as in `"read"`, `"@recipes"`.
    fn authority(roles: &str, limit: &str) -> Authority {
        let mut authority = Authority::default();
        for role in roles.split_whitespace() {
            let Some((on, role)) = role.split_once('=') else {
                authority.is_administrator = role == "administrator";
                continue;
            };
            let (dataset, table) = on.split_once('.').map_or((on, None), |(d, t)| (d, Some(t)));
            let role = Role::parse(role).expect("a role");
            authority.grants.push(Grant { dataset: dataset.into(), table: table.map(Into::into), role });
        }
        for word in limit.split_whitespace() {
            match word.strip_prefix('@') {
                Some(dataset) => authority.limit.dataset = Some(dataset.into()),
                None => authority.limit.right = Some(Right::parse(word).expect("a right")),
            }
        }
        authority
    }

    #[test]
    fn rights_on_a_dataset() {
        // roles, limit, then: read, propose, write, review, own
        let table = [
            ("", "", [Hidden; 5]),
            ("other=owner", "", [Hidden; 5]),
            ("recipes.step=owner", "", [Denied; 5]),
            ("recipes.step=owner", "@other", [Hidden; 5]),
            ("recipes=viewer", "", [Allowed, Denied, Denied, Denied, Denied]),
            ("recipes=contributor", "", [Allowed, Allowed, Allowed, Denied, Denied]),
            ("recipes=reviewer", "", [Allowed, Allowed, Allowed, Allowed, Denied]),
            ("recipes=owner", "", [Allowed; 5]),
            ("recipes=viewer recipes.step=owner", "", [Allowed, Denied, Denied, Denied, Denied]),
            ("administrator", "", [Allowed; 5]),
            ("recipes=owner", "read", [Allowed, Limited, Limited, Limited, Limited]),
            ("recipes=contributor", "propose", [Allowed, Allowed, Limited, Denied, Denied]),
            ("recipes=viewer", "own", [Allowed, Denied, Denied, Denied, Denied]),
            ("recipes=owner other=owner", "@other", [Hidden; 5]),
            ("recipes=owner other=owner", "@recipes", [Allowed; 5]),
            ("administrator", "@other", [Hidden; 5]),
            ("administrator", "read @recipes", [Allowed, Limited, Limited, Limited, Limited]),
        ];
        for (roles, limit, expected) in table {
            let authority = authority(roles, limit);
            let found = Right::ALL.map(|right| decide(&authority, right, Object::Dataset("recipes")));
            assert_eq!(found, expected, "{roles:?} with a token for {limit:?}");
        }
    }

    #[test]
    fn a_role_on_a_table_adds_to_that_on_the_dataset() {
        let table = [
            ("recipes=viewer recipes.step=contributor", "Step", Right::Write, Allowed),
            ("recipes=viewer recipes.step=contributor", "note", Right::Write, Denied),
            ("recipes=viewer recipes.step=contributor", "step", Right::Own, Denied),
            ("recipes=contributor recipes.step=viewer", "step", Right::Write, Allowed),
            ("recipes.step=contributor", "step", Right::Write, Allowed),
            ("recipes.step=contributor", "note", Right::Read, Denied),
            ("recipes.step=viewer", "step", Right::Write, Denied),
            ("recipes=viewer other.step=contributor", "step", Right::Write, Denied),
            ("administrator", "step", Right::Own, Allowed),
        ];
        for (roles, name, right, expected) in table {
            assert_eq!(decide(&authority(roles, ""), right, Object::Table("recipes", name)), expected, "{roles:?} on {name}");
        }
        let some = authority("recipes=viewer recipes.step=contributor", "");
        assert_eq!(decide(&some, Right::Write, Object::Within("recipes")), Allowed);
        assert_eq!(decide(&authority("recipes=viewer", ""), Right::Write, Object::Within("recipes")), Denied);
        let limited = authority("recipes=viewer recipes.step=contributor", "read");
        assert_eq!(decide(&limited, Right::Write, Object::Table("recipes", "step")), Limited);
    }

    #[test]
    fn a_role_on_a_table_alone_shows_that_table() {
        let table = [
            ("", "", Some("")),
            ("other=owner other.step=owner", "", Some("")),
            ("recipes.step=viewer", "", Some("step")),
            ("recipes.step=viewer recipes.note=owner other.safe=owner", "", Some("note\nstep")),
            ("recipes.step=viewer", "@other", Some("")),
            ("recipes.step=viewer recipes=viewer", "", None),
            ("recipes.step=viewer", "read @recipes", Some("step")),
            ("administrator", "", None),
            ("administrator", "@other", Some("")),
        ];
        for (roles, limit, expected) in table {
            let seen = sight(&authority(roles, limit), "recipes");
            assert_eq!((!seen.is_everything()).then(|| seen.to_string()).as_deref(), expected, "{roles:?} with a token for {limit:?}");
        }
        let some = authority("recipes.step=viewer", "");
        assert_eq!(decide(&some, Right::Read, Object::Within("recipes")), Allowed);
        assert_eq!(decide(&some, Right::Read, Object::Dataset("recipes")), Denied);
        assert_eq!(decide(&some, Right::Write, Object::Within("recipes")), Denied);
    }

    #[test]
    fn accounts_and_the_server_take_a_token_without_limit() {
        let table = [
            ("", "", Allowed, Denied),
            ("recipes=owner", "", Allowed, Denied),
            ("administrator", "", Allowed, Allowed),
            ("administrator", "own", Limited, Limited),
            ("administrator", "@recipes", Limited, Limited),
            ("recipes=owner", "@recipes", Limited, Denied),
        ];
        for (roles, limit, account, server) in table {
            let authority = authority(roles, limit);
            let found = [Object::Account, Object::Server].map(|object| decide(&authority, Right::Read, object));
            assert_eq!(found, [account, server], "{roles:?} with a token for {limit:?}");
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.name()) == Some(role)));
        assert!(Right::ALL.into_iter().all(|right| Right::parse(right.name()) == Some(right)));
        assert_eq!((Role::parse("Owner"), Right::parse("")), (None, None));
    }
}

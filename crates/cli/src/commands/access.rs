//! `mainstem access`.
use crate::access_view as view;
use crate::credentials;
use crate::exit_codes::Exit;
use crate::known_servers;
use crate::output::Output;
use crate::wiring::Session;
use mainstem::Result;
use mainstem_core::authority::Role;
use mainstem_http::address::Address;
use mainstem_http::client::{HttpAccounts, Patience};
use serde_json::{Value as Json, json};

/// Says who may do what on a server: its actors, their roles, tokens and replicas
///
/// A role is one of viewer, proposer, contributor, reviewer, owner; on a dataset, or with --table on one of its tables.
///
/// Examples:
///   mainstem access invite https://data.example.org/recipes ben --role contributor
///   mainstem access roles https://data.example.org/recipes
///   mainstem access tokens https://data.example.org
///   mainstem access revoke https://data.example.org 7
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Access {
    #[command(subcommand)]
    what: What,
}

/// A server: http(s)://HOST:PORT
#[derive(clap::Args, Debug)]
struct Server {
    /// The server: http(s)://HOST:PORT
    #[arg(value_name = "ADDRESS")]
    address: String,
}

#[derive(clap::Args, Debug)]
struct Named {
    /// The server: http(s)://HOST:PORT
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The actor's name
    name: String,
}

#[derive(clap::Args, Debug)]
struct OnDataset {
    /// The dataset: http(s)://HOST:PORT/DATASET
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// The actor's name
    name: String,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Shows whom the token stands for, and what it may do
    Whoami(Server),
    /// Lists the actors
    Actors(Server),
    /// Adds an actor
    Add {
        #[command(flatten)]
        actor: Named,
        /// It is a program: it votes only where the policy names it, and never beside its person
        #[arg(long)]
        agent: bool,
        /// The person who answers for the program [default: you]
        #[arg(long, value_name = "NAME", requires = "agent")]
        answered_by: Option<String>,
    },
    /// Gives an actor another name; the old one is nobody else's for ever
    Rename {
        #[command(flatten)]
        actor: Named,
        /// The new name
        new: String,
    },
    /// Lets an actor do nothing any more, by whatever token
    Disable(Named),
    /// Lets an actor act again
    Enable(Named),
    /// Makes an actor an administrator of the server
    Promote(Named),
    /// Makes an administrator an actor like others
    Demote(Named),
    /// Adds an actor where it is not there, gives it a role, and shows a token for it
    Invite {
        #[command(flatten)]
        actor: OnDataset,
        /// The role [default: contributor; proposer for a program]
        #[arg(long, value_parser = role)]
        role: Option<&'static str>,
        /// It is a program, for which you answer
        #[arg(long)]
        agent: bool,
    },
    /// Lists who has which role on a dataset
    Roles {
        /// The dataset: http(s)://HOST:PORT/DATASET
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    /// Gives an actor a role in place of the one of before
    Grant {
        #[command(flatten)]
        actor: OnDataset,
        /// The role
        #[arg(value_parser = role)]
        role: &'static str,
        /// On this table only
        #[arg(long)]
        table: Option<String>,
    },
    /// Takes an actor's role away
    Withdraw {
        #[command(flatten)]
        actor: OnDataset,
        /// The one on this table only
        #[arg(long)]
        table: Option<String>,
    },
    /// Lists tokens: yours, or as an administrator all
    Tokens(Server),
    /// Creates a token and shows it, this once
    Token(NewToken),
    /// Revokes a token, at once
    Revoke {
        #[command(flatten)]
        server: Server,
        /// The token's number
        token: u64,
    },
    /// Lists the replicas that were registered: yours, or as an administrator all
    Replicas(Server),
    /// Shuts a replica out, such as that of a lost laptop
    Shut {
        #[command(flatten)]
        server: Server,
        /// The replica, as listed
        replica: String,
    },
    /// Lists the browsers in which you are signed in
    Browsers(Server),
    /// Signs you out in a browser, at once
    SignOut {
        #[command(flatten)]
        server: Server,
        /// The browser's number, as listed
        browser: u64,
    },
    /// Shows what happened to accounts, oldest first
    Log {
        #[command(flatten)]
        server: Server,
        /// Only what came after this position
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
}

/// Creates a token and shows it, this once
#[derive(clap::Args, Debug)]
struct NewToken {
    #[command(flatten)]
    server: Server,
    /// For whom, as an administrator [default: for you]
    #[arg(long = "for", value_name = "NAME")]
    actor: Option<String>,
    /// What it is called in lists
    #[arg(long, default_value = "")]
    label: String,
    /// The most it may be used for: read, propose, write, review, own
    #[arg(long)]
    right: Option<String>,
    /// The one dataset that it may be used for
    #[arg(long)]
    dataset: Option<String>,
    /// How many days it lives
    #[arg(long, value_name = "DAYS")]
    days: Option<u64>,
}

fn role(typed: &str) -> std::result::Result<&'static str, String> {
    let names = Role::ALL.map(Role::name).join(", ");
    Role::parse(typed).map(Role::name).ok_or_else(|| format!("it is none of {names}"))
}

impl Access {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let out = &mut session.out;
        match &self.what {
            What::Whoami(server) => view::me(out, &server.accounts()?.get(&["me"])?)?,
            What::Actors(server) => view::actors(out, &server.accounts()?.get(&["actors"])?)?,
            What::Add { actor, agent, answered_by } => {
                let mut wish = newcomer(&actor.name, *agent);
                if let Some(person) = answered_by {
                    wish["answered_by"] = person.as_str().into();
                }
                view::done(out, &actor.accounts()?.post(&["actors"], &wish)?, "added")?;
            }
            What::Rename { actor, new } => view::done(out, &actor.change(&json!({ "name": new }))?, "renamed")?,
            What::Disable(actor) => view::done(out, &actor.change(&json!({ "is_disabled": true }))?, "disabled")?,
            What::Enable(actor) => view::done(out, &actor.change(&json!({ "is_disabled": false }))?, "enabled")?,
            What::Promote(actor) => view::done(out, &actor.change(&json!({ "is_administrator": true }))?, "promoted")?,
            What::Demote(actor) => view::done(out, &actor.change(&json!({ "is_administrator": false }))?, "demoted")?,
            What::Invite { actor, role, agent } => {
                let usual = if *agent { Role::Proposer } else { Role::Contributor };
                invite(session, actor, role.unwrap_or(usual.name()), *agent)?;
            }
            What::Roles { address } => view::roles(out, &dataset(address)?.roles()?)?,
            What::Grant { actor, role, table } => view::roles(out, &actor.set(Some(*role), table.as_deref())?)?,
            What::Withdraw { actor, table } => view::roles(out, &actor.set(None, table.as_deref())?)?,
            What::Tokens(server) => view::tokens(out, &server.accounts()?.get(&["tokens"])?)?,
            What::Token(wish) => view::created(out, &wish.create()?, &wish.server.address)?,
            What::Revoke { server, token } => server.end(out, &["tokens", &token.to_string()], &format!("token {token} is revoked"))?,
            What::Replicas(server) => view::replicas(out, &server.accounts()?.get(&["replicas"])?)?,
            What::Shut { server, replica } => server.end(out, &["replicas", replica], &format!("replica {replica} is shut out"))?,
            What::Browsers(server) => view::browsers(out, &server.accounts()?.get(&["browsers"])?)?,
            What::SignOut { server, browser } => {
                server.end(out, &["browsers", &browser.to_string()], &format!("you are signed out in browser {browser}"))?;
            }
            What::Log { server, after } => log(session, server, *after)?,
        }
        Ok(Exit::Done)
    }
}

impl Server {
    fn accounts(&self) -> Result<HttpAccounts> {
        accounts(Address::parse_server(&self.address)?)
    }
    /// Ends what has that path.
    fn end(&self, out: &mut Output, what: &[&str], said: &str) -> Result<()> {
        view::ended(out, &self.accounts()?.delete(what)?, said)
    }
}

/// A server's JSON interface, spoken to with the token that is kept for it.
pub(super) fn accounts(address: Address) -> Result<HttpAccounts> {
    let server = address.server();
    let token =
        credentials::token_for(&server)?.ok_or_else(|| mainstem::accounts::unauthenticated().hint(format!("mainstem login {server}")))?;
    let accounts = HttpAccounts::new(Address { dataset: String::new(), ..address }, Some(token), Patience::default())?;
    Ok(accounts.trusting(known_servers::trust()))
}

impl Named {
    fn accounts(&self) -> Result<HttpAccounts> {
        accounts(Address::parse_server(&self.address)?)
    }
    fn change(&self, change: &Json) -> Result<Json> {
        self.accounts()?.patch(&["actors", &self.name], change)
    }
}

/// The roles on a dataset.
struct Roles {
    accounts: HttpAccounts,
    dataset: String,
}

fn dataset(typed: &str) -> Result<Roles> {
    let address = Address::parse(typed)?;
    Ok(Roles { dataset: address.dataset.clone(), accounts: accounts(address)? })
}

impl Roles {
    fn roles(&mut self) -> Result<Json> {
        self.accounts.get(&["datasets", &self.dataset, "roles"])
    }
    fn set(&mut self, wish: &Json) -> Result<Json> {
        self.accounts.post(&["datasets", &self.dataset, "roles"], wish)
    }
}

impl OnDataset {
    fn set(&self, role: Option<&str>, table: Option<&str>) -> Result<Json> {
        dataset(&self.address)?.set(&json!({ "actor": self.name, "role": role, "table": table }))
    }
}

impl NewToken {
    fn create(&self) -> Result<Json> {
        let mut wish = json!({ "label": self.label });
        let lives_s = self.days.map(|days| Json::from(days.saturating_mul(86_400)));
        let text = |text: &Option<String>| text.clone().map(Json::from);
        for (name, value) in
            [("actor", text(&self.actor)), ("right", text(&self.right)), ("dataset", text(&self.dataset)), ("lives_s", lives_s)]
        {
            if let Some(value) = value {
                wish[name] = value;
            }
        }
        self.server.accounts()?.post(&["tokens"], &wish)
    }
}

/// Asks for an actor.
fn newcomer(name: &str, is_agent: bool) -> Json {
    if is_agent { json!({ "name": name, "is_agent": true }) } else { json!({ "name": name }) }
}

fn invite(session: &mut Session, actor: &OnDataset, role: &str, is_agent: bool) -> Result<()> {
    let mut roles = dataset(&actor.address)?;
    // Whoever was invited before keeps name and tokens, and gets another.
    match roles.accounts.post(&["actors"], &newcomer(&actor.name, is_agent)) {
        Ok(_) => {}
        // A person of that name is no program.
        Err(e) if e.code == "name_taken" && !is_agent => {}
        Err(e) => return Err(e),
    }
    roles.set(&json!({ "actor": actor.name, "role": role }))?;
    let created = roles.accounts.post(&["tokens"], &json!({ "actor": actor.name, "label": "invitation" }))?;
    let server = Address::parse(&actor.address)?.server();
    view::created(&mut session.out, &created, &server)
}

/// Everything, in as many answers as it takes.
fn log(session: &mut Session, server: &Server, mut after: u64) -> Result<()> {
    let mut accounts = server.accounts()?;
    let mut all = Vec::new();
    loop {
        let some = accounts.events(after)?;
        let Some(last) = some.last().and_then(|event| event["position"].as_u64()) else { break };
        all.extend(some);
        after = last;
    }
    view::events(&mut session.out, &Json::from(all))
}

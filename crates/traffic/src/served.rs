//! A server of this process, on a free port, over datasets in a folder.
use mainstem::accounts::{Registrar, Wish};
use mainstem::core::account::Fact;
use mainstem::core::authority::Role;
use mainstem::local::Large;
use mainstem::sign_in::SignIns;
use mainstem::token::Secret;
use mainstem::wiring::{Around, RealSurroundings};
use mainstem_feed::target::Allowed;
use mainstem_feed::{Office, Tempo};
use mainstem_http::address::Address;
use mainstem_http::client::{HttpAccounts, HttpPlace, HttpPrimary, Patience};
use mainstem_http::server::accept::serve;
use mainstem_http::server::{Door, Finder, Hall, Limits, Porter, Record, Shared, Stop, Tls};
use mainstem_sqlite::primary::FolderDatasets;
use mainstem_sqlite::registry::SqliteRegistry;
use mainstem_sqlite::sign_ins::SqliteSignIns;
use mainstem_sqlite::webhooks::SqliteWebhooks;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Deliveries that are given up soon.
const TEMPO: Tempo = Tempo { first_ms: 10, longest_ms: 40, attempts_max: 4, attempt_ms_max: 1_000 };

/// Any free port of this machine alone.
const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));
/// The administrator that every server begins with.
pub const ADMINISTRATOR: &str = "owner";

/// A running server; dropped, it is gone.
pub struct Served {
    address: SocketAddr,
    is_secret: bool,
    shared: Arc<Shared>,
    token: String,
    _runtime: Runtime,
}

impl Served {
    /// Serves the datasets in a folder.
    pub fn begin(folder: &Path, around: Around) -> Served {
        let porter = Porter::new(Limits::default(), Door::default(), Record::nowhere(around.clone()), around.clone());
        Served::through(porter, None, folder, around)
    }
    /// The same, where other proposals are large.
    pub fn with_large(large: Large, folder: &Path, around: Around) -> Served {
        let porter = Porter::new(Limits::default(), Door::default(), Record::nowhere(around.clone()), around.clone());
        Served::of(ANY_PORT, large, porter, None, folder, around)
    }
    /// Serves the datasets in a folder to those whom a porter lets in.
    pub fn through(porter: Porter, tls: Option<&Tls>, folder: &Path, around: Around) -> Served {
        Served::at(ANY_PORT, porter, tls, folder, around)
    }
    /// The same at an address.
    pub fn at(socket: SocketAddr, porter: Porter, tls: Option<&Tls>, folder: &Path, around: Around) -> Served {
        Served::of(socket, Large::default(), porter, tls, folder, around)
    }
    fn of(socket: SocketAddr, large: Large, porter: Porter, tls: Option<&Tls>, folder: &Path, around: Around) -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be made");
        let datasets = FolderDatasets::new(folder.to_path_buf(), around.clone()).expect("the folder can be made");
        let datasets = Arc::new(datasets.with_large(large));
        let registry = SqliteRegistry::open(folder).expect("accounts can be kept");
        let registrar = Registrar::open(Box::new(registry), Arc::new(RealSurroundings)).expect("a whole chain");
        let token = administrator(&registrar);
        let store = SqliteWebhooks::open(folder).expect("webhooks can be kept");
        let near = Allowed::parse(&["127.0.0.0/8".to_string()]).expect("a network");
        let office = Office::open(datasets.clone(), Arc::new(store), near, TEMPO, around).expect("webhooks can be sent");
        let hall = Hall::new(datasets, &porter.limits);
        let sign_ins = SqliteSignIns::open(folder).expect("sign-ins can be kept");
        let sign_ins = SignIns::new(Box::new(sign_ins), Arc::new(RealSurroundings));
        let shared = Arc::new(Shared {
            hall,
            registrar,
            sign_ins,
            porter,
            webhooks: Some(Arc::new(office)),
            finder: Finder::default(),
            stop: Stop::default(),
        });
        let acceptor = tls.map(|tls| tls.acceptor().expect("TLS can be set up"));
        let listener = runtime.block_on(tokio::net::TcpListener::bind(socket)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        runtime.spawn(serve(listener, shared.clone(), acceptor));
        Served { address, is_secret: tls.is_some(), shared, token: token.reveal().to_string(), _runtime: runtime }
    }
    /// What its handlers share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        self.address
    }
    /// Where a dataset is.
    pub fn address(&self, dataset: &str) -> Address {
        let scheme = if self.is_secret { "https" } else { "http" };
        Address::parse(&format!("{scheme}://{}/{dataset}", self.address)).expect("a good name")
    }
    /// The accounts behind it.
    pub fn registrar(&self) -> &Registrar {
        &self.shared.registrar
    }
    /// The administrator's token, which may do everything.
    pub fn token(&self) -> Option<String> {
        Some(self.token.clone())
    }
    /// A token of an actor that is added where it is not there, with a role on a dataset.
    pub fn token_of(&self, name: &str, dataset: &str, role: Role) -> Secret {
        let registrar = self.registrar();
        let known = registrar.accounts().named(name).map(|actor| actor.id);
        let actor = known.unwrap_or_else(|| registrar.add_actor(1, name).expect("a new name"));
        let fact = Fact::RoleSet { actor, dataset: dataset.to_string(), table: None, role: Some(role) };
        registrar.change(1, |_| Ok(vec![fact.clone()])).expect("a role");
        registrar.create_token(1, actor, Wish::default()).expect("a token").1
    }
    /// A dataset's primary, over a line of its own, as the administrator.
    pub fn primary(&self, dataset: &str) -> HttpPrimary {
        self.primary_as(dataset, self.token())
    }
    /// The same with a token, or none.
    pub fn primary_as(&self, dataset: &str, token: Option<String>) -> HttpPrimary {
        HttpPrimary::new(self.address(dataset), token, Patience::default()).expect("a line")
    }
    /// Where a dataset is or will be, as the administrator.
    pub fn place(&self, dataset: &str) -> HttpPlace {
        HttpPlace::new(self.address(dataset), self.token(), Patience::default())
    }
    /// The accounts as somebody with a token sees them.
    pub fn accounts_as(&self, token: Option<String>) -> HttpAccounts {
        let server = Address::parse_server(&self.address("x").server()).expect("a good address");
        HttpAccounts::new(server, token, Patience::default()).expect("a line")
    }
}

/// A token of the administrator, who is there already where the folder was served before.
fn administrator(registrar: &Registrar) -> Secret {
    if let Some(known) = registrar.accounts().named(ADMINISTRATOR).map(|actor| actor.id) {
        return registrar.create_token(known, known, Wish::default()).expect("a token").1;
    }
    let setup = registrar.create_setup_token().expect("a token");
    registrar.set_up(&setup, ADMINISTRATOR, "test").expect("an administrator").1
}

//! A server of this process, on a free port, over datasets in a folder.
use mainstem::wiring::Around;
use mainstem_http::address::Address;
use mainstem_http::client::{HttpPlace, HttpPrimary, Patience};
use mainstem_http::server::accept::serve;
use mainstem_http::server::{Door, Hall, Limits, Porter, Record, Shared, Stop, Tls};
use mainstem_sqlite::primary::FolderDatasets;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A running server; dropped, it is gone.
pub struct Served {
    address: SocketAddr,
    is_secret: bool,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

impl Served {
    /// Serves the datasets in a folder.
    pub fn begin(folder: &Path, around: Around) -> Served {
        let porter = Porter::new(Limits::default(), Door::default(), Record::nowhere(around.clone()), around.clone());
        Served::through(porter, None, folder, around)
    }
    /// Serves the datasets in a folder to those whom a porter lets in.
    pub fn through(porter: Porter, tls: Option<&Tls>, folder: &Path, around: Around) -> Served {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads can be made");
        let datasets = FolderDatasets::new(folder.to_path_buf(), around).expect("the folder can be made");
        let shared = Arc::new(Shared { hall: Hall::new(Arc::new(datasets), &porter.limits), porter, stop: Stop::default() });
        let acceptor = tls.map(|tls| tls.acceptor().expect("TLS can be set up"));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        runtime.spawn(serve(listener, shared.clone(), acceptor));
        Served { address, is_secret: tls.is_some(), shared, _runtime: runtime }
    }
    /// What its handlers share.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        self.address
    }
    /// A token that may do everything; none where the server asks for none.
    pub fn token(&self) -> Option<String> {
        None
    }
    /// Where a dataset is.
    pub fn address(&self, dataset: &str) -> Address {
        let scheme = if self.is_secret { "https" } else { "http" };
        Address::parse(&format!("{scheme}://{}/{dataset}", self.address)).expect("a good name")
    }
    /// A dataset's primary, over a line of its own.
    pub fn primary(&self, dataset: &str) -> HttpPrimary {
        HttpPrimary::new(self.address(dataset), None, Patience::default()).expect("a line")
    }
    /// Where a dataset is or will be.
    pub fn place(&self, dataset: &str) -> HttpPlace {
        HttpPlace::new(self.address(dataset), None, Patience::default())
    }
}

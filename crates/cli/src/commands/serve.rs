//! `mainstem serve`.
use crate::exit_codes::Exit;
use crate::output;
use crate::serve_settings::{Flags, Settings};
use crate::wiring::Session;
use mainstem::accounts::Registrar;
use mainstem::feed::Webhooks;
use mainstem::sign_in::SignIns;
use mainstem::token::Secret;
use mainstem::{Error, Result};
use mainstem_feed::target::Allowed;
use mainstem_feed::{Office, Tempo};
use mainstem_http::server::{self, Door, Finder, Hall, Porter, Record, Shared, Stop, Tls};
use mainstem_sqlite::primary::FolderDatasets;
use mainstem_sqlite::registry::SqliteRegistry;
use mainstem_sqlite::sign_ins::SqliteSignIns;
use mainstem_sqlite::webhooks::SqliteWebhooks;
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// Serves the datasets in a folder to replicas elsewhere
///
/// The first time, it prints a token with which `mainstem login` makes the administrator.
///
/// Each setting is a flag, a variable (MAINSTEM_LISTEN), a line in a file (listen = "…" in server.toml of the data folder) or
/// its default, in this order. HTTP/1.1 is spoken, with TLS where a certificate is named.
///
/// Examples:
///   mainstem serve
///   mainstem serve --data /srv/mainstem --listen 0.0.0.0:7430 --tls-own
///   mainstem serve --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
///   mainstem serve --limit connections_max=500 --show-config
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Serve {
    /// The folder that holds the datasets; it is made where it is not there [default: mainstem-data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The address and port to listen on [default: 127.0.0.1:7430]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// A name by which the server answers, beside localhost; repeat it for several
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// A proxy (or network of proxies) whose X-Forwarded-For is believed; repeat it for several
    #[arg(long = "trusted-proxy", value_name = "ADDRESS")]
    trusted_proxies: Vec<String>,
    /// A network that webhooks may be sent to, beside public addresses; repeat it for several
    #[arg(long = "webhook-network", value_name = "NETWORK")]
    webhook_networks: Vec<String>,
    /// The certificate to show, with those that vouch for it (PEM); read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Show a certificate of its own, made once and kept in the data folder
    #[arg(long)]
    tls_own: bool,
    /// How the log on standard error looks: json or text [default: json]
    #[arg(long, value_name = "FORM")]
    log: Option<String>,
    /// A limit; --show-config lists them; repeat it for several
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<String>,
    /// The file with settings [default: server.toml in the data folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show what is in force and where each comes from, and serve nothing
    #[arg(long)]
    show_config: bool,
    /// Print a token by which another administrator can be made, where nobody can log in as one any more
    #[arg(long)]
    setup_token: bool,
}

impl Serve {
    /// Runs the command.
    pub fn run(&self, session: &mut Session) -> Result<Exit> {
        let variables: Vec<_> = std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?))).collect();
        let settings = Settings::gather(self.flags(), &self.limits, self.config.as_deref(), &variables)?;
        if self.show_config {
            show(session, &settings)?;
            return Ok(Exit::Done);
        }
        only_for_us();
        let (around, limits) = (session.around.clone(), settings.limits());
        let datasets = Arc::new(FolderDatasets::new(settings.data(), around.clone())?);
        let registrar = Registrar::open(Box::new(SqliteRegistry::open(&settings.data())?), around.clone())?;
        let is_wanted = self.setup_token || !registrar.accounts().is_set_up();
        let setup = is_wanted.then(|| registrar.create_setup_token()).transpose()?;
        let (tls, spools) = (certificate(&settings)?, spools(&settings)?);
        let door = Door::new(&settings.hosts(), &settings.trusted_proxies())?;
        let record = Record::to(Box::new(std::io::stderr()), settings.style()?, around.clone());
        let webhooks = Some(webhooks(&settings, datasets.clone(), session)?);
        let hall = Hall::new(datasets, limits);
        let porter = Porter::new(limits.clone(), door, record, around).keeping(spools);
        let sign_ins = SignIns::new(Box::new(SqliteSignIns::open(&settings.data())?), session.around.clone());
        let shared = Arc::new(Shared { hall, registrar, sign_ins, porter, webhooks, finder: Finder::default(), stop: Stop::default() });
        log_panics(Arc::downgrade(&shared));
        let fingerprint = tls.as_ref().map(|tls| tls.fingerprint().to_string());
        server::run(settings.listen(), shared, tls, &mut |address| {
            warn(&settings, address, fingerprint.is_some());
            begun(session, &settings, address, fingerprint.as_deref(), setup.as_ref())
        })?;
        Ok(Exit::Done)
    }

    fn flags(&self) -> Flags {
        let one = |name, value: Option<String>| value.map(|value| (name, vec![value]));
        let many = |name, values: &[String]| (!values.is_empty()).then(|| (name, values.to_vec()));
        [
            one("data", self.data.as_ref().map(|path| path.display().to_string())),
            one("listen", self.listen.clone()),
            many("hosts", &self.hosts),
            many("trusted_proxies", &self.trusted_proxies),
            many("webhook_networks", &self.webhook_networks),
            one("tls_cert", self.tls_cert.clone()),
            one("tls_key", self.tls_key.clone()),
            one("tls_own", self.tls_own.then(|| "true".to_string())),
            one("log", self.log.clone()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn webhooks(settings: &Settings, datasets: Arc<FolderDatasets>, session: &Session) -> Result<Arc<dyn Webhooks>> {
    let store = Arc::new(SqliteWebhooks::open(&settings.data())?);
    let allowed = Allowed::parse(&settings.webhook_networks())?;
    let office = Office::open(datasets, store, allowed, Tempo::default(), session.around.clone())?;
    Ok(Arc::new(office))
}

/// From here on, what is made is for its owner alone.
fn only_for_us() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Beside the data, so that a disk that is full there is seen before it is, and under no name that a dataset may have.
fn spools(settings: &Settings) -> Result<PathBuf> {
    let folder = settings.data().join(".spool");
    std::fs::create_dir_all(&folder).map_err(|e| Error::invalid(format!("{} cannot be made: {e}", folder.display())).because(e))?;
    Ok(folder)
}

fn certificate(settings: &Settings) -> Result<Option<Tls>> {
    if settings.is_tls_own() {
        return Tls::own(&settings.data().join(".tls"), &settings.hosts()).map(Some);
    }
    settings.tls_files().map(|(certificate, key)| Tls::from_files(&certificate, &key)).transpose()
}

/// A request that meets a bug of ours ends alone; the others and the server go on.
fn log_panics(shared: Weak<Shared>) {
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let what = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        if let Some(shared) = shared.upgrade() {
            shared.porter.record.line("panic", vec![("error", json!(what)), ("place", json!(place))]);
        }
    }));
}

fn show(session: &mut Session, settings: &Settings) -> Result<()> {
    if session.out.is_json() { session.out.json(&settings.as_json()) } else { session.out.line(settings.as_toml()) }
}

fn begun(session: &mut Session, settings: &Settings, at: SocketAddr, fingerprint: Option<&str>, setup: Option<&Secret>) -> Result<()> {
    let (folder, scheme) = (settings.data().display().to_string(), if fingerprint.is_some() { "https" } else { "http" });
    if session.out.is_json() {
        let mut said = json!({"listening": at.to_string(), "scheme": scheme, "data": folder});
        if let Some(fingerprint) = fingerprint {
            said["fingerprint"] = fingerprint.into();
        }
        if let Some(token) = setup {
            said["setup_token"] = token.reveal().into();
        }
        session.out.json(&said)?;
    } else {
        session.out.line(format_args!("serving {folder} at {scheme}://{at}"))?;
        if let Some(fingerprint) = fingerprint {
            session.out.line(format_args!("its certificate is {fingerprint}"))?;
        }
        if let Some(token) = setup {
            session.out.line(format_args!("to make an administrator: mainstem login {scheme}://{at}"))?;
            session.out.line(format_args!("with this token, which works once: {}", token.reveal()))?;
        }
    }
    session.out.flush()
}

fn warn(settings: &Settings, address: SocketAddr, is_secret: bool) {
    if !is_secret && !address.ip().is_loopback() {
        output::note("nothing is encrypted here: tokens and data can be read by whoever is on the way. --tls-own, or a proxy in front");
    }
    let key = settings.tls_files().map(|(_, key)| key);
    for (path, others_may) in [(settings.file.clone(), 0o022), (key, 0o077), (Some(settings.data()), 0o077)] {
        if let Some(mode) = path.as_deref().and_then(mode_of).filter(|mode| mode & others_may != 0) {
            let path = path.unwrap_or_default();
            output::note(format_args!("others than its owner may use {} (its mode is {mode:03o})", path.display()));
        }
    }
}

fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).ok().map(|file| file.permissions().mode() & 0o777)
}

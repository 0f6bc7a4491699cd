//! Whom a client believes to be the server that it looks for.
//!
//! Invariant: nothing is sent to a server that was not recognised, and no token goes over a line that anybody can read
//! unless that was asked for by name.
use super::line::Patience;
use super::way::Ways;
use crate::address::Address;
use crate::fingerprint::Fingerprint;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::fs;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Stored for a server to which tokens may go over lines that anybody can read.
const OPEN: &str = "open";

/// What a client believes.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Those that vouch for servers, in PEM; the system's where none is named.
    pub authorities: Option<PathBuf>,
    /// The servers that are recognised by their certificate alone, one on each line: the server, its fingerprint.
    pub known_servers: Option<PathBuf>,
    /// True where a token may go over a line that anybody can read.
    pub is_open_http_allowed: bool,
    /// Whom it goes through to servers.
    pub ways: Ways,
}

impl Trust {
    /// The fingerprint by which a server is recognised, where one was stored.
    pub fn pinned(&self, origin: &str) -> Result<Option<Fingerprint>> {
        self.stored(origin)?.filter(|word| word != OPEN).map(|word| Fingerprint::parse(&word)).transpose()
    }
    fn stored(&self, origin: &str) -> Result<Option<String>> {
        let Some(path) = &self.known_servers else { return Ok(None) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(unusable(path, e)),
        };
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        Ok(lines.find(|(known, _)| *known == origin).map(|(_, word)| word.trim().to_string()))
    }
    /// Stores the fingerprint by which a server is recognised from now on.
    pub fn pin(&self, origin: &str, fingerprint: Fingerprint) -> Result<()> {
        self.keep(origin, &fingerprint.to_string())
    }
    /// Stores that tokens may go to a server over lines that anybody can read.
    pub fn allow_open(&self, origin: &str) -> Result<()> {
        self.keep(origin, OPEN)
    }
    fn keep(&self, origin: &str, word: &str) -> Result<()> {
        let path = self.known_servers.as_deref().ok_or_else(|| Error::invalid("no file is named that known servers are kept in"))?;
        store(path, origin, word).map_err(|e| unusable(path, e))
    }
    /// Refuses to send a token over a line that anybody can read.
    pub(super) fn allow_token(&self, address: &Address) -> Result<()> {
        if address.is_secret || self.is_open_http_allowed || address.is_loopback() || self.stored(&address.origin())?.is_some() {
            return Ok(());
        }
        let message = format!("the token for {} would go over a line that anybody can read", address.server());
        Err(Error::new(ErrorKind::Denied, "open_line", message).hint("use https://, or --insecure-http where the network itself is safe"))
    }
    pub(super) fn connector(&self, address: &Address) -> Result<TlsConnector> {
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let versions = versions.map_err(|e| Error::internal("TLS cannot be set up").because(e))?;
        let mut config = match self.pinned(&address.origin())? {
            Some(pinned) => {
                let recognised = Recognised { provider, pinned: Some(pinned), seen: Mutex::default() };
                versions.dangerous().with_custom_certificate_verifier(Arc::new(recognised)).with_no_client_auth()
            }
            None => versions.with_root_certificates(self.roots()?).with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        match &self.authorities {
            Some(path) => {
                let all: std::result::Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(|all| all.collect());
                let all = all.map_err(|e| unusable(path, e))?;
                if all.is_empty() {
                    return Err(Error::invalid(format!("{} holds no certificate", path.display())));
                }
                for one in all {
                    roots.add(one).map_err(|e| unusable(path, e))?;
                }
            }
            // Single ones that cannot be read vouch for nobody; that is what is left out here.
            None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
        }
        Ok(roots)
    }
}

fn store(path: &Path, origin: &str, word: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let old = fs::read_to_string(path).unwrap_or_default();
    let others = old.lines().filter(|line| line.split_once(' ').is_some_and(|(known, _)| known != origin));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    others.map(String::from).chain([format!("{origin} {word}")]).try_for_each(|line| writeln!(file, "{line}"))?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

fn unusable(path: &Path, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Invalid, "trust", format!("{} cannot be used: {e}", path.display())).because(e)
}

/// The name that a server's certificate has to be for.
pub(super) fn name(address: &Address) -> Result<ServerName<'static>> {
    let host = address.host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_string()).map_err(|_| Error::invalid(format!("{host} is no name that a certificate can be for")))
}

/// The error of a handshake that came to nothing.
pub(super) fn refused(address: &Address, e: &std::io::Error) -> Option<Error> {
    let server = address.server();
    match e.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => Some(
            Error::new(ErrorKind::Denied, "untrusted", format!("{server} shows another certificate than the one it is known by"))
                .hint("ask whoever runs it; if it was changed there: mainstem trust ADDRESS --fingerprint FINGERPRINT"),
        ),
        rustls::Error::InvalidCertificate(why) => Some(
            Error::new(ErrorKind::Denied, "untrusted", format!("{server} cannot be recognised by its certificate: {why}"))
                .hint("mainstem trust ADDRESS, where it made its own; --ca FILE, where somebody vouches for it"),
        ),
        _ => None,
    }
}

/// Looks at the certificate that a server shows, without sending anything to it.
pub fn shown_by(address: &Address, ways: &Ways, patience: Patience) -> Result<Fingerprint> {
    let unreachable = |why: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Unavailable, "line", format!("{} shows no certificate: {why}", address.server()))
    };
    let provider = Arc::new(ring::default_provider());
    let looking = Arc::new(Recognised { provider: provider.clone(), pinned: None, seen: Mutex::default() });
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|e| Error::internal("TLS cannot be set up").because(e))?;
    let config = versions.dangerous().with_custom_certificate_verifier(looking.clone()).with_no_client_auth();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build().map_err(|e| unreachable(&e))?;
    let name = name(address)?;
    let met = runtime.block_on(async {
        let stream = ways.open(address, patience).await?;
        Ok::<_, Error>(timeout(patience.connect, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.map(|met| met.map(drop)))
    })?;
    let seen = *looking.seen.lock().unwrap_or_else(PoisonError::into_inner);
    match (seen, met) {
        (Some(seen), Ok(Ok(()))) => Ok(seen),
        (_, Ok(Err(e))) => Err(unreachable(&e)),
        (_, Err(_)) => Err(unreachable(&"it does not answer")),
        (None, Ok(Ok(()))) => Err(unreachable(&"it has none")),
    }
}

/// Recognises a server by its certificate alone; where none is known yet, it only looks.
#[derive(Debug)]
struct Recognised {
    provider: Arc<CryptoProvider>,
    pinned: Option<Fingerprint>,
    seen: Mutex<Option<Fingerprint>>,
}

impl ServerCertVerifier for Recognised {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let seen = Fingerprint::of(certificate);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        match self.pinned {
            Some(pinned) if pinned != seen => Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            _ => Ok(ServerCertVerified::assertion()),
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Address {
    /// The server's address without what comes behind it: what a certificate is for.
    pub fn origin(&self) -> String {
        Address { prefix: String::new(), ..self.clone() }.server()
    }
    /// True where it is this machine, so that nobody else hears what is said.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

//! The server's certificate: from files, or one of its own, made once.
//!
//! Invariant: a certificate that cannot be read never takes the place of one that could.
use super::Record;
use crate::fingerprint::Fingerprint;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, crypto};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(30);

/// A certificate and its key in files, and as they were last read.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Tls {
    /// The certificate (with those that vouch for it) and its key, both as PEM.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Tls> {
        let current = Arc::new(Current(RwLock::new(Arc::new(read(certificate, key)?))));
        Ok(Tls { certificate: certificate.to_path_buf(), key: key.to_path_buf(), current })
    }
    /// A certificate that vouches for itself, made when it is not in the folder yet.
    pub fn own(folder: &Path, names: &[String]) -> Result<Tls> {
        let (certificate, key) = (folder.join("own.crt"), folder.join("own.key"));
        if !key.exists() || !certificate.exists() {
            make(folder, &certificate, &key, names).map_err(|e| cannot(folder, "hold a certificate", e))?;
        }
        Tls::from_files(&certificate, &key)
    }
    /// What clients recognise the certificate by.
    pub fn fingerprint(&self) -> Fingerprint {
        let current = self.current.0.read().unwrap_or_else(PoisonError::into_inner);
        Fingerprint::of(&current.cert[0])
    }
    /// What connections are accepted with: HTTP/1.1 over TLS 1.2 or 1.3.
    pub fn acceptor(&self) -> Result<TlsAcceptor> {
        let versions =
            ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider())).with_safe_default_protocol_versions();
        let versions = versions.map_err(|e| Error::internal("TLS cannot be set up").because(e))?;
        let mut config = versions.with_no_client_auth().with_cert_resolver(self.current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
    /// Reads the files again.
    pub fn reload(&self) -> Result<()> {
        let read = Arc::new(read(&self.certificate, &self.key)?);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }
    /// Reads the files again whenever they changed, or a signal says so. Never ends.
    pub(super) async fn keep_current(&self, record: &Record) {
        let mut seen = self.times();
        let mut asked = asked_to_reload();
        loop {
            let is_asked = tokio::select! {
                () = tokio::time::sleep(LOOK) => false,
                () = hangup(&mut asked) => true,
            };
            let times = self.times();
            if is_asked || times != seen {
                seen = times;
                let outcome = match self.reload() {
                    Ok(()) => vec![("fingerprint", Value::from(self.fingerprint().to_string()))],
                    Err(e) => vec![("error", Value::from(e.message))],
                };
                record.line("certificate", outcome);
            }
        }
    }
    fn times(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| fs::metadata(path).and_then(|file| file.modified()).ok())
    }
}

#[cfg(unix)]
fn asked_to_reload() -> Option<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok()
}

#[cfg(unix)]
async fn hangup(asked: &mut Option<tokio::signal::unix::Signal>) {
    match asked {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
fn asked_to_reload() {}

#[cfg(not(unix))]
async fn hangup(_: &mut ()) {
    std::future::pending().await
}

fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(|all| all.collect());
    let chain = chain.map_err(|e| cannot(certificate, "be read as a certificate", e))?;
    if chain.is_empty() {
        return Err(Error::invalid(format!("{} holds no certificate", certificate.display())));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|e| cannot(key, "be read as a private key", e))?;
    let provider = crypto::ring::default_provider();
    CertifiedKey::from_der(chain, secret, &provider).map_err(|e| cannot(key, "be used with its certificate", e))
}

fn make(folder: &Path, certificate: &Path, key: &Path, names: &[String]) -> std::io::Result<()> {
    let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
    all.extend(names.iter().filter(|name| !all.contains(name)).cloned().collect::<Vec<_>>());
    let mut params = CertificateParams::new(all).map_err(std::io::Error::other)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Mainstem server");
    let pair = KeyPair::generate().map_err(std::io::Error::other)?;
    let made = params.self_signed(&pair).map_err(std::io::Error::other)?;
    fs::create_dir_all(folder)?;
    put(key, &pair.serialize_pem())?;
    put(certificate, &made.pem())
}

/// Makes a file that only its owner reads, whole or not at all.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path).map(drop).map_err(|e| e.error)
}

fn cannot(path: &Path, what: &str, e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Invalid, "certificate", format!("{} cannot {what}: {e}", path.display()))
        .because(e)
        .hint("PEM files that the server may read, or --tls-own")
}

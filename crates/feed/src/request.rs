//! Sends one delivery: one connection, one POST, and nothing of the answer but its status.
//!
//! Invariant: it is over within its time, whatever the other side does; no redirect is followed (T23).
use crate::target::{Allowed, Target};
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most of an answer that is read.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Addresses that are tried.
const ADDRESSES_MAX: usize = 3;

/// One delivery as it is sent.
#[derive(Debug)]
pub struct Delivery {
    /// What names it: the same for every attempt.
    pub id: String,
    /// When this attempt was made, in seconds since 1970.
    pub timestamp: u64,
    /// Its signature.
    pub signature: String,
    /// What is sent.
    pub body: Vec<u8>,
}

/// Sends deliveries.
#[derive(Clone)]
pub struct Sender {
    /// Where to.
    pub allowed: Allowed,
    /// How long one takes at most.
    pub within: Duration,
    tls: Arc<ClientConfig>,
}

impl Sender {
    /// One that believes whom the system believes.
    pub fn new(allowed: Allowed, within: Duration) -> Result<Sender> {
        let mut roots = RootCertStore::empty();
        // Without any, every https:// delivery fails with a reason of its own.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|e| Error::internal("TLS cannot be set up").because(e))?;
        Ok(Sender { allowed, within, tls: Arc::new(config.with_root_certificates(roots).with_no_client_auth()) })
    }

    /// Sends a delivery; an error says why it was not taken, in words that tell nothing of the answer but its status.
    pub fn send(&self, url: &str, delivery: &Delivery) -> Result<()> {
        let target = Target::parse(url)?;
        let addresses = target.addresses(&self.allowed)?;
        let deadline = now() + self.within;
        let stream = Timed { stream: connect(&addresses, deadline)?, deadline };
        let status = if target.is_secret {
            let name = ServerName::try_from(target.host.clone()).map_err(|e| failed("its name cannot be certified").because(e))?;
            let connection = ClientConnection::new(self.tls.clone(), name).map_err(|e| failed("TLS cannot be begun").because(e))?;
            converse(StreamOwned::new(connection, stream), &target, delivery)
        } else {
            converse(stream, &target, delivery)
        };
        match status? {
            200..=299 => Ok(()),
            status @ 300..=399 => Err(failed(format!("it answered {status}, and no redirect is followed"))),
            status => Err(failed(format!("it answered {status}"))),
        }
    }
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unavailable, "undelivered", format!("the delivery was not taken: {why}"))
}

fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream> {
    let mut last = None;
    for address in addresses.iter().take(ADDRESSES_MAX) {
        match TcpStream::connect_timeout(address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Some(e),
        }
    }
    let cause = last.map(|e| e.kind().to_string()).unwrap_or_default();
    Err(failed(format!("no connection: {cause}")))
}

fn left(deadline: Instant) -> Result<Duration> {
    let left = deadline.saturating_duration_since(now());
    if left.is_zero() { Err(failed("it took too long")) } else { Ok(left) }
}

fn converse(mut line: impl Read + Write, target: &Target, delivery: &Delivery) -> Result<u16> {
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: mainstem/{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         webhook-id: {}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\nConnection: close\r\n\r\n",
        target.path,
        target.authority,
        env!("CARGO_PKG_VERSION"),
        delivery.body.len(),
        delivery.id,
        delivery.timestamp,
        delivery.signature
    );
    let sent = line.write_all(head.as_bytes()).and_then(|()| line.write_all(&delivery.body)).and_then(|()| line.flush());
    // Who refuses early may close early, and has answered nevertheless.
    let answered = status_of(&mut line);
    match (sent, answered) {
        (_, Ok(status)) => Ok(status),
        (Err(e), Err(_)) | (Ok(()), Err(e)) => Err(failed(format!("the line broke: {}", e.kind()))),
    }
}

/// The status of the answer, whose head is read to its end and no further.
fn status_of(line: &mut impl Read) -> io::Result<u16> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let mut head = Vec::new();
    let mut piece = [0; 1_024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = line.read(&mut piece)?;
        if read == 0 || head.len() > HEAD_BYTES_MAX {
            return Err(if read == 0 { io::ErrorKind::UnexpectedEof.into() } else { malformed() });
        }
        head.extend(&piece[..read]);
    }
    let first = head.split(|byte| *byte == b'\r').next().and_then(|first| std::str::from_utf8(first).ok()).ok_or_else(malformed)?;
    let mut words = first.split(' ');
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    words.next().filter(|_| is_http).and_then(|status| status.parse().ok()).ok_or_else(malformed)
}

/// A connection that must be done by a moment.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        left(self.deadline).map(Some).map_err(|_| io::ErrorKind::TimedOut.into())
    }
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(bytes)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[expect(clippy::disallowed_methods, reason = "how long an attempt has lasted; nothing that is kept depends on it")]
fn now() -> Instant {
    Instant::now()
}

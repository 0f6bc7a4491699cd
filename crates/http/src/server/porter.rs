//! Who lets requests in: one look at each before it reaches its route, and one line in the log once it has left.
//!
//! Invariant: a request that is refused here has cost its head and nothing else.
use super::accept::Ends;
use super::browser::FORM_TYPE;
use super::counting::{Caller, Callers, Counts, Crowded, Entered};
use super::door::{Door, Line};
use super::limits::Limits;
use super::meters::Meters;
use super::rate::Rates;
use super::record::Record;
use crate::spool::SpoolPlace;
use crate::wire::frame::MEDIA_TYPE;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Uri};
use mainstem::core::ErrorKind;
use mainstem::core::account::ActorId;
use mainstem::error::{Error, Result};
use mainstem::wiring::Around;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Lets requests in.
pub struct Porter {
    /// The limits that hold.
    pub limits: Limits,
    /// The log.
    pub record: Record,
    /// What is counted.
    pub meters: Meters,
    /// Where requests and answers are kept that memory is too small for.
    pub spools: SpoolPlace,
    door: Door,
    callers: Callers,
    connections: Counts,
    requests: Counts,
    of_addresses: Rates,
    of_tokens: Rates,
    around: Around,
    began: Instant,
}

/// A request that was let in.
pub struct Admitted {
    /// Who asks, for what is shared out among all who do.
    pub caller: Caller,
    /// Its place among the requests that are being answered.
    pub place: Entered,
}

/// A refusal, and after how many seconds it may be different.
pub type Turned = (Error, Option<u64>);

impl Porter {
    /// One that keeps to these limits.
    pub fn new(limits: Limits, door: Door, record: Record, around: Around) -> Porter {
        Porter {
            of_addresses: Rates::new(limits.address_rate_max, limits.address_burst_max),
            of_tokens: Rates::new(limits.token_rate_max, limits.token_burst_max),
            spools: SpoolPlace::new(std::env::temp_dir(), limits.disk_free_bytes_min),
            limits,
            meters: Meters::default(),
            record,
            door,
            callers: Callers::default(),
            connections: Counts::default(),
            requests: Counts::default(),
            around,
            began: Instant::now(),
        }
    }
    /// The same, with requests and answers kept in that folder.
    pub fn keeping(mut self, folder: PathBuf) -> Porter {
        self.spools = SpoolPlace::new(folder, self.limits.disk_free_bytes_min);
        self
    }
    /// A name for one request.
    pub fn request_id(&self) -> String {
        format!("{:016x}", self.around.random() as u64)
    }
    /// Where a request comes from.
    pub fn origin(&self, ends: &Ends, headers: &HeaderMap) -> IpAddr {
        self.door.origin(ends, headers)
    }
    /// How a browser reaches us.
    pub fn line(&self, ends: &Ends, headers: &HeaderMap) -> Line {
        self.door.line(ends, headers)
    }
    /// Where time and randomness come from.
    pub(super) fn around(&self) -> &Around {
        &self.around
    }
    /// Wall-clock milliseconds since 1970.
    pub(super) fn now_ms(&self) -> u64 {
        self.around.now_ms()
    }
    /// Connections that are open.
    pub fn connections(&self) -> u64 {
        self.connections.all()
    }
    /// Requests that are being answered.
    pub fn requests(&self) -> u64 {
        self.requests.all()
    }

    /// Who somebody is for what is shared out among all, whatever they show.
    pub(super) fn caller(&self, actor: ActorId) -> Caller {
        self.callers.of(&("actor", actor))
    }

    /// A place for a connection, or none; then it is told so where that costs nothing.
    pub(super) fn seat(&self, stream: &TcpStream, remote: SocketAddr, is_secret: bool) -> Option<Entered> {
        let each_max = if self.door.is_trusted_proxy(remote.ip()) { u64::MAX } else { self.limits.connections_per_address_max };
        let entered = self.connections.enter(self.callers.at(remote.ip()), self.limits.connections_max, each_max);
        let refused = |crowded: &Crowded| {
            let status = match crowded {
                Crowded::InAll => "503 Service Unavailable",
                Crowded::OfOne => "429 Too Many Requests",
            };
            let refusal = format!("HTTP/1.1 {status}\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            if !is_secret {
                // A connection that is closed says enough where this cannot be sent.
                let _ = stream.try_write(refusal.as_bytes());
            }
        };
        entered.inspect_err(refused).ok()
    }

    /// Lets a request in, or says why not.
    pub fn admit(&self, ends: &Ends, method: &Method, uri: &Uri, headers: &HeaderMap) -> std::result::Result<Admitted, Turned> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let address = self.callers.at(self.origin(ends, headers));
        let token = headers.get(header::AUTHORIZATION).map(|shown| self.callers.of(&shown.as_bytes()));
        let caller = token.unwrap_or(address);
        self.of_addresses.take(address, now_ms).map_err(too_often)?;
        if let Some(token) = token {
            self.of_tokens.take(token, now_ms).map_err(too_often)?;
        }
        let entered = self.requests.enter(caller, self.limits.requests_max, self.limits.requests_per_token_max);
        let place = entered.map_err(|crowded| match crowded {
            Crowded::InAll => (Error::new(ErrorKind::Unavailable, "busy", "the server answers as many requests as it can"), Some(2)),
            Crowded::OfOne => (limited("too many requests of this token are being answered"), Some(1)),
        })?;
        self.door.admit(ends, headers, uri.authority().map(|authority| authority.as_str())).map_err(|e| (e, None))?;
        self.well_formed(method, uri, headers).map_err(|e| (e, None))?;
        Ok(Admitted { caller, place })
    }

    fn well_formed(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let path_bytes = uri.path_and_query().map_or(0, |path| path.as_str().len());
        if path_bytes as u64 > self.limits.path_bytes_max {
            return Err(Error::new(ErrorKind::Invalid, "path_too_long", "the path is too long"));
        }
        // With both, two readers of one connection may see different requests on it; with one alone, it says nothing that
        // the other does not. Whoever sends rows to us knows how many bytes they are.
        if headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "transfer_encoding",
                "a request has a Content-Length here, and no Transfer-Encoding",
            ));
        }
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(unsupported("requests are taken in no content encoding"));
        }
        let has_body = headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0");
        let media = headers.get(header::CONTENT_TYPE).map(|media| media.to_str().unwrap_or("").split(';').next().unwrap_or("").trim());
        // Forms are for pages alone: no page of another site can make a browser send what programs send.
        let is_form = |media: &str| media.eq_ignore_ascii_case(FORM_TYPE) && !uri.path().starts_with("/api/");
        let is_known = media.is_some_and(|media| {
            media.eq_ignore_ascii_case("application/json") || media.eq_ignore_ascii_case(MEDIA_TYPE) || is_form(media)
        });
        if has_body && !is_known {
            return Err(unsupported(&format!("a request's body is application/json or {MEDIA_TYPE}")));
        }
        if has_body && matches!(*method, Method::GET | Method::HEAD) {
            return Err(Error::invalid(format!("a {method} has no body")));
        }
        Ok(())
    }
}

fn too_often(wait_ms: u64) -> Turned {
    (limited("too many requests come from there"), Some(wait_ms.div_ceil(1_000)))
}

fn limited(why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "rate_limited", why)
}

fn unsupported(why: &str) -> Error {
    Error::new(ErrorKind::Invalid, "unsupported_media_type", why)
}

//! The line to a server: one connection, kept while it is good, and the time that each step may take.
//!
//! Invariant: an answer that does not come from a primary (another media type, no whole body) is an error that says so.
use super::trust::{self, Trust};
use super::way::unreachable;
use crate::address::Address;
use crate::spool::{Spool, SpoolBody};
use crate::wire::failure::Failure;
use crate::wire::frame::{MEDIA_TYPE, QUESTION, broken};
use crate::wire::request::KEY;
use crate::wire::resume::RESUME;
use crate::wire::scope::SCOPE;
use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use mainstem::wiring::{RealSurroundings, Surroundings};
use serde_json::Value as Json;
use std::io::{self, Read};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Turns that a connection gets to hear what happened to it: one to be woken, one to read.
const LISTENS: usize = 2;

/// The longest error body that is read.
const FAILURE_BYTES_MAX: usize = 64 * 1024;
/// The longest answer in JSON that is read.
const JSON_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How fast a changeset is sent and merged at least, in bytes a second.
const BYTES_A_SECOND_MIN: u64 = 32 * 1024;
const JSON: &str = "application/json";

/// How long each step of a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To be connected.
    pub connect: Duration,
    /// Until an answer begins. To this comes what it takes to send a large changeset, and to merge it.
    pub answer: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// Altogether for a server that asks to be asked later.
    pub put_off: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(300),
            idle: Duration::from_secs(60),
            put_off: Duration::from_secs(30),
        }
    }
}

impl Patience {
    /// For whoever syncs by itself and asks again: a line that went dead without a word is given up soon. Longer than the
    /// longest wait for a version.
    pub fn brisk() -> Patience {
        Patience { answer: Duration::from_secs(28), idle: Duration::from_secs(28), ..Patience::default() }
    }
}

/// One line to a server.
pub(super) struct Line {
    address: Address,
    token: Option<String>,
    /// What is asked for of the dataset, as a header says it; everything where none.
    pub scope: Option<String>,
    /// What is had of a snapshot already, as a header says it.
    pub resume: Option<String>,
    /// The key of the request that is asked, as a header says it.
    pub key: Option<String>,
    /// Whom it believes to be that server.
    pub trust: Trust,
    patience: Patience,
    runtime: Runtime,
    connection: Option<SendRequest<SpoolBody>>,
    /// Random bits, and how many questions were asked: together they name a question.
    name: u128,
    questions: u64,
}

impl Line {
    pub fn new(address: Address, token: Option<String>, patience: Patience) -> Result<Line> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(|e| Error::new(ErrorKind::Unavailable, "line", format!("no line can be opened: {e}")).because(e))?;
        let name = RealSurroundings.random();
        Ok(Line {
            address,
            token,
            scope: None,
            resume: None,
            key: None,
            trust: Trust::default(),
            patience,
            runtime,
            connection: None,
            name,
            questions: 0,
        })
    }

    /// Sends a call and gives back the body of its answer, to be read to its end.
    pub fn post(&mut self, call: &str, request: Spool) -> Result<Answer<'_>> {
        let path = format!("/api/v1/datasets/{}/primary/{call}", self.address.dataset);
        let (scope, resume, key) = (self.scope.clone(), self.resume.clone(), self.key.clone());
        let body = request.into_body();
        self.send(Question { method: Method::POST, path, media: MEDIA_TYPE, body, name: String::new(), scope, resume, key })
    }

    /// Asks for something as JSON, by its path on the server.
    pub fn json(&mut self, method: Method, path: &str, body: Option<&Json>) -> Result<Json> {
        let mut request = Spool::new(u64::MAX);
        if let Some(body) = body {
            request.append(body.to_string().as_bytes())?;
        }
        let mut text = Vec::new();
        let question = Question {
            method,
            path: path.to_string(),
            media: JSON,
            body: request.into_body(),
            name: String::new(),
            scope: None,
            resume: None,
            key: None,
        };
        let answer = self.send(question)?;
        answer.take(JSON_BYTES_MAX).read_to_end(&mut text).map_err(|e| broken(e.to_string()))?;
        serde_json::from_slice(&text).map_err(|e| broken(format!("it is no JSON ({e})")))
    }

    /// Asks for something of another media type, to be read to its end.
    pub fn file(&mut self, path: &str, media: &'static str) -> Result<Answer<'_>> {
        let body = Spool::new(0).into_body();
        self.send(Question {
            method: Method::GET,
            path: path.to_string(),
            media,
            body,
            name: String::new(),
            scope: None,
            resume: None,
            key: None,
        })
    }

    /// Says and hears nothing for a while.
    pub fn rest(&mut self, pause: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(pause).await });
    }

    fn send(&mut self, mut question: Question) -> Result<Answer<'_>> {
        self.questions += 1;
        question.name = format!("{:032x}-{}", self.name, self.questions);
        let response = self.answered(&question).inspect_err(|_| self.connection = None)?;
        let wanted = question.media;
        let status = response.status().as_u16();
        let media = response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("").to_string();
        let is_answer = response.headers().get(QUESTION).is_some_and(|answered| *answered == *question.name);
        let is_ours = status == 200 && media == wanted;
        let mut answer = Answer { line: self, body: response.into_body(), piece: Bytes::new(), is_whole: false };
        match (is_ours, is_answer) {
            (true, true) => return Ok(answer),
            (true, false) => return Err(broken("it answers something else")),
            (false, _) => {}
        }
        Err(answer.failure(status, &media))
    }

    /// Asks until the server does not put it off any more, or patience ends.
    fn answered(&mut self, question: &Question) -> Result<Response<Incoming>> {
        let (address, trust, token) = (&self.address, &self.trust, self.token.as_deref());
        let mut left = self.patience.put_off;
        loop {
            let response = self.runtime.block_on(exchange(&mut self.connection, address, trust, token, self.patience, question))?;
            match put_off(&response).filter(|pause| *pause <= left) {
                Some(pause) => {
                    left -= pause;
                    // What was not read of this answer would be taken for the beginning of the next.
                    self.connection = None;
                    self.runtime.block_on(async { tokio::time::sleep(pause).await });
                }
                None => return Ok(response),
            }
        }
    }
}

/// For how long the server asks to be left alone before it is asked again.
fn put_off(response: &Response<Incoming>) -> Option<Duration> {
    let is_later = matches!(response.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let after = response.headers().get(header::RETRY_AFTER).filter(|_| is_later)?;
    after.to_str().ok()?.parse().ok().map(|seconds: u64| Duration::from_secs(seconds.max(1)))
}

/// What is sent.
struct Question {
    method: Method,
    /// Below the server's address.
    path: String,
    /// What is sent and wanted back.
    media: &'static str,
    body: SpoolBody,
    /// What its answer says that it answers.
    name: String,
    /// What is asked for.
    scope: Option<String>,
    /// What is had of it.
    resume: Option<String>,
    /// What names the request, however often it is asked.
    key: Option<String>,
}

async fn exchange(
    kept: &mut Option<SendRequest<SpoolBody>>,
    address: &Address,
    trust: &Trust,
    token: Option<&str>,
    patience: Patience,
    question: &Question,
) -> Result<Response<Incoming>> {
    if token.is_some() {
        trust.allow_token(address)?;
    }
    let mut request = asked(address, token, question)?;
    let within = patience.answer + Duration::from_secs(question.body.len() / BYTES_A_SECOND_MIN);
    if kept.is_some() {
        // Nobody listened to the connection since the last call: whether it was closed meanwhile is heard of here.
        for _ in 0..LISTENS {
            tokio::task::yield_now().await;
        }
    }
    if let Some(connection) = kept.as_mut().filter(|connection| !connection.is_closed()) {
        match timeout(within, connection.try_send_request(request)).await {
            Ok(Ok(response)) => return Ok(response),
            // The server had closed the connection, which is heard of only now: nothing was sent.
            Ok(Err(mut e)) => request = e.take_message().ok_or_else(|| unreachable(address, &e.into_error()))?,
            Err(_) => return Err(unreachable(address, &"it does not answer")),
        }
    }
    let connection = kept.insert(connect(address, trust, patience).await?);
    match timeout(within, connection.send_request(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(e)) => Err(unreachable(address, &e)),
        Err(_) => Err(unreachable(address, &"it does not answer")),
    }
}

fn asked(address: &Address, token: Option<&str>, question: &Question) -> Result<Request<SpoolBody>> {
    let Question { method, path, media, body, name, scope, resume, key } = question;
    let mut head =
        Request::builder().method(method.clone()).uri(format!("{}{path}", address.prefix)).header(header::HOST, address.authority());
    head = head.header(header::USER_AGENT, concat!("mainstem/", env!("CARGO_PKG_VERSION"))).header(header::ACCEPT, *media);
    head = head.header(QUESTION, name);
    if let Some(scope) = scope {
        head = head.header(SCOPE, scope);
    }
    if let Some(resume) = resume {
        head = head.header(RESUME, resume);
    }
    if let Some(key) = key {
        head = head.header(KEY, key);
    }
    if !body.is_empty() {
        head = head.header(header::CONTENT_TYPE, *media);
    }
    if let Some(token) = token {
        let mut shown =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Error::invalid("the token cannot be sent: it is none"))?;
        shown.set_sensitive(true);
        head = head.header(header::AUTHORIZATION, shown);
    }
    head.body(body.again()).map_err(|e| Error::invalid(format!("the address cannot be used: {e}")))
}

async fn connect(address: &Address, trust: &Trust, patience: Patience) -> Result<SendRequest<SpoolBody>> {
    let stream = trust.ways.open(address, patience).await?;
    if !address.is_secret {
        return spoken(address, stream).await;
    }
    let (connector, name) = (trust.connector(address)?, trust::name(address)?);
    match timeout(patience.connect, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => spoken(address, stream).await,
        Ok(Err(e)) => Err(trust::refused(address, &e).unwrap_or_else(|| unreachable(address, &e))),
        Err(_) => Err(unreachable(address, &"it does not answer")),
    }
}

async fn spoken(address: &Address, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<SendRequest<SpoolBody>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| unreachable(address, &e))?;
    // Runs while this line waits for something; ends with it.
    tokio::spawn(connection);
    Ok(sender)
}

/// The body of an answer.
pub(super) struct Answer<'l> {
    line: &'l mut Line,
    body: Incoming,
    piece: Bytes,
    is_whole: bool,
}

impl Answer<'_> {
    fn failure(&mut self, status: u16, media: &str) -> Error {
        let mut bytes = Vec::new();
        let read = self.by_ref().take(FAILURE_BYTES_MAX as u64).read_to_end(&mut bytes);
        let is_json = media.split(';').next().is_some_and(|m| m.trim() == "application/json");
        match serde_json::from_slice::<Failure>(&bytes) {
            Ok(failure) if read.is_ok() && is_json && status >= 400 => failure.into_error(status),
            _ => foreign(&self.line.address.server(), status, media),
        }
    }
}

/// An answer that no primary gives: it comes from something in between.
fn foreign(server: &str, status: u16, media: &str) -> Error {
    let kind = if media.is_empty() { "nothing" } else { media };
    let (why, hint) = match status {
        413 => (
            "something in between takes no request of that size",
            "raise its limit (client_max_body_size in nginx), or mainstem commit more often",
        ),
        429 => ("something in between is asked too often", "wait, then mainstem sync"),
        502..=504 => ("what is in front of the server does not reach it", "all work goes on without it; mainstem sync when it is back"),
        300..=399 => ("it sends elsewhere, and tokens follow nobody", "mainstem config remote ADDRESS, with the address that it is at now"),
        _ if media.starts_with("text/html") => {
            ("a page came where a primary would answer", "log in to the network that you are in, or look whether the address is right")
        }
        _ => return broken(format!("{server} answers {status} with {kind}")),
    };
    broken(format!("{why} ({server} answers {status} with {kind})")).hint(hint)
}

impl Read for Answer<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while !self.piece.has_remaining() && !self.is_whole {
            let next = self.line.runtime.block_on(async { timeout(self.line.patience.idle, self.body.frame()).await });
            match next {
                Ok(Some(Ok(frame))) => self.piece = frame.into_data().unwrap_or_default(),
                Ok(Some(Err(e))) => return Err(io::Error::other(e)),
                Ok(None) => self.is_whole = true,
                Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing comes any more")),
            }
        }
        let count = self.piece.len().min(bytes.len());
        self.piece.copy_to_slice(&mut bytes[..count]);
        Ok(count)
    }
}

impl Drop for Answer<'_> {
    /// A line whose answer was not read to its end would hand the rest to the next call.
    fn drop(&mut self) {
        if !self.is_whole {
            self.line.connection = None;
        }
    }
}

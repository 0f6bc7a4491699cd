//! Takes connections and answers requests on them.
//!
//! HTTP/1.1 (and 1.0) alone: what HTTP/2 adds to attack is not there. Behind a proxy that speaks more, this is what it speaks to us.
//! Invariant: a connection has a place and a deadline from its first moment to its last.
use super::counting::Entered;
use super::pace::{Busy, Paced};
use super::{Shared, router};
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How long nothing is taken after the system could not give us a connection, for want of files or memory.
const AFTER_FAILURE: Duration = Duration::from_millis(50);
/// The system asks after a silent other side so early, then so often.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(15);
/// The most that is read before it is looked at.
const READ_BYTES_MAX: usize = 64 * 1024;

/// The two ends of the connection on which a request came.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The other one.
    pub remote: SocketAddr,
    /// Ours.
    pub local: SocketAddr,
    /// True where it is encrypted.
    pub is_secret: bool,
}

/// Answers what comes until the server is asked to stop, and then until what runs has ended or had its time.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    let router = router(shared.clone());
    let (running, mut ended) = mpsc::channel::<()>(1);
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = shared.stop.asked() => break,
        };
        match taken {
            Ok((stream, remote)) => {
                let (shared, router, tls, running) = (shared.clone(), router.clone(), tls.clone(), running.clone());
                if let Some(place) = shared.porter.seat(&stream, remote, tls.is_some()) {
                    tokio::spawn(async move {
                        connected(stream, place, remote, shared, router, tls).await;
                        drop(running);
                    });
                }
            }
            Err(_) => sleep(AFTER_FAILURE).await,
        }
    }
    drop((listener, running));
    // Each connection gives up by itself within its time; this is for what cannot.
    let within = Duration::from_millis(shared.porter.limits.stop_ms_max) + Duration::from_secs(1);
    let _ = timeout(within, ended.recv()).await;
}

async fn connected(stream: TcpStream, place: Entered, remote: SocketAddr, shared: Arc<Shared>, router: Router, tls: Option<TlsAcceptor>) {
    let Ok(local) = tuned(&stream) else { return };
    let ends = Ends { remote, local, is_secret: tls.is_some() };
    let Some(tls) = tls else { return conversation(stream, place, ends, shared, router).await };
    let within = Duration::from_millis(shared.porter.limits.handshake_ms_max);
    if let Ok(Ok(stream)) = timeout(within, tls.accept(stream)).await {
        conversation(stream, place, ends, shared, router).await;
    }
}

fn tuned(stream: &TcpStream) -> std::io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    let asked = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_AGAIN);
    socket2::SockRef::from(stream).set_tcp_keepalive(&asked)?;
    stream.local_addr()
}

async fn conversation<S>(stream: S, place: Entered, ends: Ends, shared: Arc<Shared>, router: Router)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let busy = Busy::default();
    let paced = Paced::new(stream, &shared.porter.limits, busy.clone(), place);
    let service = service_fn(move |request| answer(request, ends, busy.clone(), router.clone()));
    let limits = &shared.porter.limits;
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.idle_ms_max.max(limits.head_ms_max)))
        .max_header_size(usize::try_from(limits.head_bytes_max).unwrap_or(READ_BYTES_MAX))
        .max_headers(usize::try_from(limits.headers_max).unwrap_or(100))
        .max_buf_size(READ_BYTES_MAX);
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(paced), service).with_upgrades());
    tokio::select! {
        ended = connection.as_mut() => {
            // Requests have their own lines; this is what could not be read as one. The rest is other sides that go away.
            if ended.is_err_and(|e| e.is_parse()) {
                shared.porter.record.line("unreadable", vec![("remote", Value::from(ends.remote.ip().to_canonical().to_string()))]);
            }
        }
        () = shared.stop.asked() => {
            connection.as_mut().graceful_shutdown();
            let _ = timeout(Duration::from_millis(limits.stop_ms_max), connection).await;
        }
    }
}

async fn answer(
    mut request: Request<Incoming>,
    ends: Ends,
    busy: Busy,
    router: Router,
) -> Result<Response<Held>, std::convert::Infallible> {
    busy.set(true);
    request.extensions_mut().insert(ends);
    let response = router.oneshot(request.map(Body::new)).await?;
    // Upgraded, a connection has left this protocol and its deadlines.
    let busy = (response.status() != StatusCode::SWITCHING_PROTOCOLS).then_some(busy);
    Ok(response.map(|body| Held { body, busy }))
}

/// An answer's body; when it goes, the connection waits for the next request.
struct Held {
    body: Body,
    busy: Option<Busy>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(busy) = &self.busy {
            busy.set(false);
        }
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Tells an open page that something changed; the page then fetches itself again.
//!
//! Invariant: what is told is that there is news, never what; a page is asked for with the rights of that moment.
//! Invariant: it ends within seconds once whoever listens is signed out or may not read any more (T1).
use super::{Asked, Shown};
use crate::server::Shared;
use crate::server::asked::Named;
use crate::server::browser::{Visit, Visitor};
use crate::server::counting::Caller;
use crate::server::guard::still;
use crate::server::people::datasets::readable;
use crate::server::reading::read;
use crate::server::routes::Right;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use bytes::Bytes;
use http_body::Frame;
use hyper::header;
use mainstem::accounts::{Identity, unauthenticated};
use mainstem::error::Result;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// It is said so often that nothing happened, and looked so often whether anybody may still listen.
const HEARTBEAT: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(2);
/// Datasets that one page listens to.
const DATASETS_MAX: usize = 30;

/// News of one dataset.
pub async fn dataset(
    State(shared): State<Arc<Shared>>,
    Extension(visit): Asked,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
) -> Shown {
    read(&shared, &identity, &name, |_| Ok(())).await?;
    follow(shared, visit, vec![name])
}

/// News of every dataset that one may read.
pub async fn all(State(shared): State<Arc<Shared>>, Extension(visit): Asked, Extension(identity): Extension<Identity>) -> Shown {
    let mut names = readable(&shared, &identity)?;
    names.truncate(DATASETS_MAX);
    follow(shared, visit, names)
}

fn follow(shared: Arc<Shared>, visit: Visit, names: Vec<String>) -> Shown {
    let visitor = visit.visitor.ok_or_else(unauthenticated)?;
    let (sender, pieces) = mpsc::channel(1);
    let telling = tell(shared, visitor, names, sender);
    match Caller::current() {
        Some(caller) => tokio::spawn(async move { caller.asks(telling).await }),
        None => tokio::spawn(telling),
    };
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((headers, Body::new(Streamed(pieces))).into_response())
}

/// Says what there is to say until nobody listens, or nobody may.
async fn tell(shared: Arc<Shared>, visitor: Visitor, names: Vec<String>, pieces: mpsc::Sender<Bytes>) {
    let (heard, mut news) = mpsc::channel(1);
    let listening: Vec<_> = names.iter().map(|name| tokio::spawn(listen(shared.clone(), name.clone(), heard.clone()))).collect();
    let mut silent = tokio::time::interval(HEARTBEAT);
    let mut over = pin!(over(&shared, &visitor, &names));
    let mut found = shared.finder.news();
    loop {
        let piece: &'static [u8] = tokio::select! {
            biased;
            () = shared.stop.asked() => break,
            () = pieces.closed() => break,
            () = &mut over => {
                // Where there is no room for it, the end of the stream says the same.
                let _ = pieces.try_send(Bytes::from_static(b"event: end\ndata: \n\n"));
                break;
            }
            Some(()) = news.recv() => b"event: changed\ndata: \n\n",
            Ok(()) = found.changed() => b"event: changed\ndata: \n\n",
            _ = silent.tick() => b":\n\n",
        };
        if pieces.send(Bytes::from_static(piece)).await.is_err() {
            break;
        }
    }
    listening.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Says so each time that a dataset has another head. More news while the last is not told is one.
async fn listen(shared: Arc<Shared>, name: String, heard: mpsc::Sender<()>) {
    let look = |primary: &mut crate::server::hall::Handle| Ok(primary.describe()?.head);
    let Ok(mut known) = shared.hall.with(&name, false, look).await else { return };
    while let Ok(head) = shared.hall.wait(&name, known, HEARTBEAT).await {
        if head != known && heard.send(()).await.is_err() {
            return;
        }
        known = head;
    }
}

/// Resolves once whoever listens is signed out, or may not read one of these any more.
async fn over(shared: &Arc<Shared>, visitor: &Visitor, names: &[String]) {
    loop {
        tokio::time::sleep(LOOK).await;
        if !is_in(shared, visitor).unwrap_or(false) || names.iter().any(|name| !may_read(shared, &visitor.identity, name)) {
            return;
        }
    }
}

fn is_in(shared: &Shared, visitor: &Visitor) -> Result<bool> {
    let is_there = shared.sign_ins.of_actor(visitor.identity.actor)?.iter().any(|each| each.id == visitor.sign_in);
    Ok(is_there && shared.registrar.of_token(visitor.identity.token).is_some())
}

fn may_read(shared: &Shared, identity: &Identity, name: &str) -> bool {
    still(shared, identity, Right::Read, name).is_ok()
}

/// Pieces as an answer's body.
struct Streamed(mpsc::Receiver<Bytes>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

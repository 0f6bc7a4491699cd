//! Follows a dataset's feed for one reader.
use super::piece::Style;
use super::{From, HEARTBEAT, PIECE_MAX, first};
use crate::server::Shared;
use crate::server::counting::Caller;
use crate::server::guard;
use crate::server::hall::stopping;
use crate::server::meters::Counted;
use crate::server::routes::Right;
use bytes::Bytes;
use http_body::Frame;
use mainstem::accounts::Identity;
use mainstem::error::{Error, Result};
use mainstem::feed::Batch;
use mainstem::ledger::Head;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// What comes next in a feed.
pub enum Next {
    /// Events.
    Events(Batch),
    /// Nothing for a while.
    Silence,
}

/// One who follows a dataset's feed.
pub struct Reader {
    shared: Arc<Shared>,
    name: String,
    identity: Identity,
    /// What was read and not told.
    ready: Option<(Batch, Head)>,
    from: From,
    head: Option<Head>,
    _counted: Counted,
}

impl Reader {
    /// Begins to follow; an error here is still an answer of its own.
    pub async fn begin(shared: Arc<Shared>, name: String, identity: Identity, from: From) -> Result<Reader> {
        let (batch, head) = first(&shared, &identity, &name, from, PIECE_MAX).await?;
        let _counted = shared.porter.meters.streams.enter();
        Ok(Reader { _counted, shared, name, identity, from: From::Offset(batch.next), head: None, ready: Some((batch, head)) })
    }
    /// Resolves when there is to be no more, whatever there would be: the server stops, or the reader may not read any longer.
    pub fn end(&self) -> impl Future<Output = Error> + Send + 'static {
        let (shared, identity, name) = (self.shared.clone(), self.identity.clone(), self.name.clone());
        async move {
            tokio::select! {
                () = shared.stop.asked() => stopping(),
                why = guard::lost(&shared, &identity, Right::Read, &name) => why,
            }
        }
    }

    /// What comes next: at once where there is anything, else when it is there or after a while.
    pub async fn next(&mut self) -> Result<Next> {
        if self.ready.is_none() {
            if let Some(known) = self.head.take()
                && self.shared.hall.wait(&self.name, known, HEARTBEAT).await? == known
            {
                self.head = Some(known);
                return Ok(Next::Silence);
            }
            self.ready = Some(first(&self.shared, &self.identity, &self.name, self.from, PIECE_MAX).await?);
        }
        let (batch, head) = self.ready.take().ok_or_else(|| Error::internal("a batch was lost"))?;
        self.from = From::Offset(batch.next);
        self.head = batch.is_last.then_some(head);
        self.shared.porter.meters.events.fetch_add(batch.events.len() as u64, Relaxed);
        Ok(Next::Events(batch))
    }

    /// The stream as an answer's body, told by a task that ends with it.
    pub fn into_body(self, style: Style) -> Streamed {
        let (sender, pieces) = mpsc::channel(1);
        let telling = self.tell(style, sender);
        match Caller::current() {
            Some(caller) => tokio::spawn(async move { caller.asks(telling).await }),
            None => tokio::spawn(telling),
        };
        Streamed(pieces)
    }

    async fn tell(mut self, style: Style, pieces: mpsc::Sender<Bytes>) {
        let mut end = pin!(self.end());
        loop {
            // The place is taken first: nothing is read for a reader that has not taken what was.
            let place = tokio::select! {
                // Where there is room, the end is still told.
                biased;
                place = pieces.reserve() => place,
                _ = &mut end => return,
            };
            let Ok(place) = place else { return };
            let next = tokio::select! {
                biased;
                why = &mut end => Err(why),
                () = pieces.closed() => return,
                next = self.next() => next,
            };
            match next {
                Ok(Next::Events(batch)) if batch.events.is_empty() => {}
                Ok(Next::Events(batch)) => place.send(style.told(&batch)),
                Ok(Next::Silence) => place.send(style.heartbeat(&self.at())),
                Err(why) => return place.send(style.ended(&why)),
            }
        }
    }

    fn at(&self) -> mainstem::feed::Offset {
        match self.from {
            From::Offset(offset) => offset,
            From::Now => mainstem::feed::Offset::START,
        }
    }
}

/// Pieces of a stream as an answer's body.
pub struct Streamed(mpsc::Receiver<Bytes>);

impl http_body::Body for Streamed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

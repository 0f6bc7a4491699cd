//! The feed over a WebSocket: one event in a message, nothing in return.
use super::stream::{Next, Reader};
use super::{FeedAsked, From};
use crate::server::Shared;
use crate::server::asked::{Asked, Named};
use crate::server::counting::Caller;
use crate::server::refused::Refused;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, State};
use axum::response::Response;
use hyper::header::HeaderMap;
use mainstem::accounts::Identity;
use mainstem::error::{Error, Result};
use mainstem::feed::to_json;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What a reader may send: answers to pings, and a farewell.
const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// How long a reader may take to make room for one message.
const SLOW: Duration = Duration::from_secs(20);
/// The longest reason that a closing frame holds.
const REASON_BYTES_MAX: usize = 120;

/// The feed over a WebSocket.
pub async fn socket(
    State(shared): State<Arc<Shared>>,
    Extension(identity): Extension<Identity>,
    Named(name): Named<String>,
    Asked(asked): Asked<FeedAsked>,
    headers: HeaderMap,
    upgrade: std::result::Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> std::result::Result<Response, Refused> {
    let upgrade = upgrade.map_err(|e| Error::invalid(format!("this path is for WebSockets: {e}")).hint("GET …/feed is for the rest"))?;
    let reader = Reader::begin(shared, name, identity, From::asked(asked.from.as_deref(), &headers)?).await?;
    let caller = Caller::current();
    let upgrade = upgrade.max_message_size(MESSAGE_BYTES_MAX).max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(async move |socket| match caller {
        Some(caller) => caller.asks(tell(reader, socket)).await,
        None => tell(reader, socket).await,
    }))
}

async fn tell(mut reader: Reader, mut socket: WebSocket) {
    let mut end = pin!(reader.end());
    loop {
        let next = tokio::select! {
            biased;
            why = &mut end => Err(why),
            heard = socket.recv() => match heard {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                // Whatever else it says, it is not spoken to any more.
                _ => return,
            },
            next = reader.next() => next,
        };
        let is_sent = match next {
            Ok(Next::Events(batch)) => {
                let mut all = batch.events.iter().map(|event| Message::text(to_json(event).to_string()));
                send_all(&mut socket, &mut all).await
            }
            Ok(Next::Silence) => send_all(&mut socket, &mut std::iter::once(Message::Ping(bytes::Bytes::new()))).await,
            Err(why) => {
                let reason = why.message.chars().scan(0, |bytes, c| {
                    *bytes += c.len_utf8();
                    (*bytes <= REASON_BYTES_MAX).then_some(c)
                });
                let farewell = CloseFrame { code: close_code::AWAY, reason: reason.collect::<String>().into() };
                let _ = send_all(&mut socket, &mut std::iter::once(Message::Close(Some(farewell)))).await;
                return;
            }
        };
        if is_sent.is_err() {
            return;
        }
    }
}

/// Sends messages, unless the reader is too slow or gone.
async fn send_all(socket: &mut WebSocket, messages: &mut (dyn Iterator<Item = Message> + Send)) -> Result<()> {
    for message in messages {
        match timeout(SLOW, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => return Err(Error::internal("the reader is gone").because(e)),
            Err(e) => return Err(Error::internal("the reader is too slow").because(e)),
        }
    }
    Ok(())
}

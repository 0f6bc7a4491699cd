//! The routes of the replica protocol.
use super::Shared;
use super::answer::{Request, one};
use super::author::Author;
use super::guard::{absent, lost, still};
use super::routes::right_of;
use crate::spool::{Spool, SpoolBody, too_large};
use crate::wire::call::Call;
use crate::wire::failure::{self, Failure};
use crate::wire::frame::MEDIA_TYPE;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::{StatusCode, header};
use mainstem::accounts::Identity;
use mainstem::core::ErrorKind;
use mainstem::error::{Error, Result};
use std::sync::Arc;

/// The most bytes of one request.
const REQUEST_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// An error on its way out.
pub struct Refused(pub Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(failure::status(&self.0)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(Failure::from(&self.0))).into_response()
    }
}

fn is_write(call: Call) -> bool {
    matches!(call, Call::Push | Call::BeginEpoch | Call::SetPolicy | Call::Seen | Call::Cleanup | Call::Found)
}

/// Answers a call.
pub async fn handle(
    call: Call,
    State(shared): State<Arc<Shared>>,
    Path(dataset): Path<String>,
    Extension(identity): Extension<Identity>,
    body: Body,
) -> std::result::Result<Response, Refused> {
    if !crate::address::is_dataset_name(&dataset) {
        return Err(absent(&dataset).into());
    }
    let request = Request { call, body: received(body).await? };
    let name = dataset.clone();
    let answer = match call {
        Call::Found => {
            let datasets = shared.hall.datasets();
            let founded = tokio::task::spawn_blocking(move || request.found(&*datasets, &name, &identity.name));
            founded.await.map_err(|e| Error::internal(format!("a call ended by itself: {e}")))??
        }
        Call::Wait => {
            let (known, at_most) = request.wait()?;
            tokio::select! {
                head = shared.hall.wait(&dataset, known, at_most) => one(&head.map_err(|e| as_absent(e, &name))?)?,
                error = lost(&shared, &identity, right_of(call), &dataset) => return Err(error.into()),
            }
        }
        _ => {
            let accounts = shared.clone();
            let answer = shared.hall.with(&dataset, is_write(call), move |primary| {
                let identity = &still(&accounts, &identity, right_of(call), &name)?;
                request.answer(&mut **primary, &Author { registrar: &accounts.registrar, identity, dataset: &name })
            });
            answer.await.map_err(|e| as_absent(e, &dataset))?
        }
    };
    let body: SpoolBody = answer.into_body()?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], Body::new(body)).into_response())
}

/// A dataset that is not there is told as one that may not be seen.
fn as_absent(error: Error, dataset: &str) -> Error {
    if error.code == "no_primary" { absent(dataset) } else { error }
}

async fn received(mut body: Body) -> Result<Spool> {
    let mut spool = Spool::new(REQUEST_BYTES_MAX);
    if http_body::Body::size_hint(&body).lower() > REQUEST_BYTES_MAX {
        return Err(too_large(REQUEST_BYTES_MAX));
    }
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Error::new(ErrorKind::Unavailable, "line", format!("the request broke off: {e}")))?;
        if let Ok(bytes) = frame.into_data() {
            spool.append(&bytes)?;
        }
    }
    Ok(spool)
}

//! The routes of the replica protocol.
use super::Shared;
use super::answer::{Request, one};
use crate::spool::{Spool, SpoolBody, too_large};
use crate::wire::call::Call;
use crate::wire::failure::{self, Failure};
use crate::wire::frame::MEDIA_TYPE;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::{StatusCode, header};
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
    body: Body,
) -> std::result::Result<Response, Refused> {
    if !crate::address::is_dataset_name(&dataset) {
        return Err(Error::new(ErrorKind::NotFound, "no_primary", format!("there is no dataset {dataset}")).into());
    }
    let request = Request { call, body: received(body).await? };
    let answer = match call {
        Call::Found => {
            let (datasets, name) = (shared.hall.datasets(), dataset.clone());
            let founded = tokio::task::spawn_blocking(move || request.found(&*datasets, &name));
            founded.await.map_err(|e| Error::internal(format!("a call ended by itself: {e}")))??
        }
        Call::Wait => {
            let (known, at_most) = request.wait()?;
            one(&shared.hall.wait(&dataset, known, at_most).await?)?
        }
        _ => shared.hall.with(&dataset, is_write(call), move |primary| request.answer(&mut **primary)).await?,
    };
    let body: SpoolBody = answer.into_body()?;
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], Body::new(body)).into_response())
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

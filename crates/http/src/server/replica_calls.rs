//! The routes of the replica protocol.
use super::Shared;
use super::answer::{Request, one};
use super::guard::{lost, still};
use super::hall::{Handle, stopping};
use super::limits::Limits;
use super::reading::lend;
use super::refused::Refused;
use super::routes::right_of;
use crate::spool::{Spool, SpoolBody, SpoolPlace, too_large};
use crate::wire::call::Call;
use crate::wire::frame::{Bounds, MEDIA_TYPE};
use crate::wire::{request, resume, scope};
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::header::{self, HeaderMap};
use mainstem::accounts::Identity;
use mainstem::author::Author;
use mainstem::core::ErrorKind;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use std::sync::Arc;

/// What is cut short on its way here is no failure of ours, and may be sent again. With a source, it is a spool's.
fn not_whole(e: Error) -> Error {
    if e.code != "line" || e.source.is_some() {
        return e;
    }
    Error::new(ErrorKind::Unavailable, "cut_short", "what came is no whole request").hint("send it again")
}

/// What an archived dataset takes no more.
fn is_write(call: Call) -> bool {
    matches!(
        call,
        Call::Push
            | Call::Propose
            | Call::Act
            | Call::Merge
            | Call::Answer
            | Call::AcceptPart
            | Call::ProposeRevert
            | Call::CleanStaging
            | Call::BeginEpoch
            | Call::SetPolicy
            | Call::Cleanup
    )
}

/// Answers a call.
pub async fn handle(
    call: Call,
    State(shared): State<Arc<Shared>>,
    Path(dataset): Path<String>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: Body,
) -> std::result::Result<Response, Refused> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|media| media != MEDIA_TYPE) {
        return Err(Error::new(ErrorKind::Invalid, "unsupported_media_type", format!("a call is of the media type {MEDIA_TYPE}")).into());
    }
    let limits = &shared.porter.limits;
    let place = shared.porter.spools.clone();
    let request = Request {
        call,
        body: received(body, &place, body_bytes_max(call, limits)).await?,
        bounds: bounds(limits),
        place,
        had: resume::get(&headers)?,
        key: request::get(&headers)?,
    };
    let name = dataset.clone();
    let answer = match call {
        Call::Found => {
            let datasets_max = limits.datasets_max;
            let found = move |datasets: &dyn Datasets| request.found(datasets, &name, &identity.name, datasets_max).map_err(not_whole);
            shared.hall.over_all(found).await?
        }
        Call::Wait => {
            let (known, at_most) = request.wait().map_err(not_whole)?;
            let _waiting = shared.porter.meters.waiting.enter();
            tokio::select! {
                head = shared.hall.wait(&dataset, known, at_most) => one(&head?)?,
                error = lost(&shared, &identity, right_of(call), &dataset) => return Err(error.into()),
                () = shared.stop.asked() => return Err(stopping().into()),
            }
        }
        _ => {
            let asked = scope::get(&headers)?;
            let accounts = shared.clone();
            let answering = move |primary: &mut Handle| {
                let identity = &still(&accounts, &identity, right_of(call), &name)?;
                let author = Author { registrar: &accounts.registrar, identity, dataset: &name };
                lend(primary, asked, identity, &name, |shown| request.answer(shown, &author).map_err(not_whole))
            };
            match call {
                // Whoever reads says where they stand, also of what nobody writes to any more.
                Call::Seen => shared.hall.with(&dataset, true, answering).await?,
                _ if is_write(call) => shared.hall.change(&dataset, answering).await?,
                _ => shared.hall.with(&dataset, false, answering).await?,
            }
        }
    };
    let body: SpoolBody = answer.into_body();
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], Body::new(body)).into_response())
}

fn body_bytes_max(call: Call, limits: &Limits) -> u64 {
    if matches!(call, Call::Push | Call::Propose | Call::Found) { limits.request_bytes_max } else { limits.question_bytes_max }
}

fn bounds(limits: &Limits) -> Bounds {
    Bounds {
        frame_bytes_max: limits.frame_bytes_max,
        unfolded_bytes_max: limits.unfolded_bytes_max,
        ratio_max: limits.unfolded_ratio_max,
        frames_max: limits.frames_max,
        rows_max: limits.push_rows_max,
    }
}

async fn received(mut body: Body, place: &SpoolPlace, bytes_max: u64) -> Result<Spool> {
    let mut spool = Spool::at(place, bytes_max);
    if http_body::Body::size_hint(&body).lower() > bytes_max {
        return Err(too_large(bytes_max));
    }
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(broke_off)?.into_data() {
            spool.append(&bytes)?;
        }
    }
    Ok(spool)
}

fn broke_off(e: axum::Error) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(&e);
    while let Some(inner) = cause {
        if inner.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::TimedOut) {
            return Error::new(ErrorKind::Unavailable, "too_slow", "the request comes too slowly");
        }
        cause = inner.source();
    }
    Error::new(ErrorKind::Unavailable, "line", format!("the request broke off: {e}"))
}

//! The routes of the replica protocol.
use super::Shared;
use super::answer::{Request, one};
use super::guard::{lost, still};
use super::hall::{Handle, stopping};
use super::limits::Limits;
use super::reading::{lend, shows_all};
use super::refused::Refused;
use super::routes::right_of;
use super::told::Told;
use crate::spool::{Spool, SpoolPlace, too_large};
use crate::wire::call::Call;
use crate::wire::frame::{Bounds, MEDIA_TYPE};
use crate::wire::{request, resume, scope};
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{self, HeaderMap};
use mainstem::accounts::Identity;
use mainstem::author::Author;
use mainstem::core::ErrorKind;
use mainstem::core::scope::Scope;
use mainstem::datasets::Datasets;
use mainstem::error::{Error, Result};
use mainstem::ledger::Head;
use mainstem::primary::Primary;
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
    let request = whole(call, &shared, &headers, body).await?;
    let body = match call {
        Call::Found => {
            let (name, datasets_max) = (dataset, shared.porter.limits.datasets_max);
            let found = move |datasets: &dyn Datasets| request.found(datasets, &name, &identity.name, datasets_max).map_err(not_whole);
            sent(shared.hall.over_all(found).await?)
        }
        Call::Wait => {
            let (known, at_most) = request.wait().map_err(not_whole)?;
            let _waiting = shared.porter.meters.waiting.enter();
            tokio::select! {
                head = shared.hall.wait(&dataset, known, at_most) => sent(one(&head?)?),
                error = lost(&shared, &identity, right_of(call), &dataset) => return Err(error.into()),
                () = shared.stop.asked() => return Err(stopping().into()),
            }
        }
        _ => {
            let answering = answering(&shared, request, scope::get(&headers)?, identity, dataset.clone());
            match call {
                // Whoever reads says where they stand, also of what nobody writes to any more; and again the next time.
                Call::Seen => shared.hall.in_passing(&dataset, answering).await?,
                _ if is_write(call) => shared.hall.change(&dataset, answering).await?,
                _ => shared.hall.with(&dataset, false, answering).await?,
            }
        }
    };
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response())
}

/// A call once all of it is here.
async fn whole(call: Call, shared: &Shared, headers: &HeaderMap, body: Body) -> Result<Request> {
    if headers.get(header::CONTENT_TYPE).is_none_or(|media| media != MEDIA_TYPE) {
        return Err(Error::new(ErrorKind::Invalid, "unsupported_media_type", format!("a call is of the media type {MEDIA_TYPE}")));
    }
    let limits = &shared.porter.limits;
    let place = shared.porter.spools.clone();
    let (had, key) = (resume::get(headers)?, request::get(headers)?);
    let body = received(body, &place, body_bytes_max(call, limits)).await?;
    let request = Request { call, body, bounds: bounds(limits), place, had, key };
    match request.is_large_push() {
        true => shared.hall.over_all(|_| request.looked_through().map_err(not_whole)).await,
        false => Ok(request),
    }
}

fn sent(answer: Spool) -> Body {
    Body::new(answer.into_body())
}

/// Asks a primary, by what whoever asks may see and do at that moment.
fn answering(
    shared: &Arc<Shared>,
    request: Request,
    asked: Scope,
    identity: Identity,
    dataset: String,
) -> impl FnOnce(&mut Handle) -> Result<Body> + Send + 'static {
    let shared = shared.clone();
    move |primary| {
        let identity = &still(&shared, &identity, right_of(request.call), &dataset)?;
        if request.call == Call::Pull && shows_all(&asked, identity, &dataset) {
            return alike(&shared, request, &mut **primary).map_err(not_whole);
        }
        let author = Author { registrar: &shared.registrar, identity, dataset: &dataset };
        lend(primary, asked, identity, &dataset, |shown| request.answer(shown, &author).map(sent).map_err(not_whole))
    }
}

/// Answers a pull of everything as it was answered to whoever asked the same before, where the ledger still ends there.
fn alike(shared: &Shared, mut request: Request, primary: &mut dyn Primary) -> Result<Body> {
    if !Told::is_for(request.body.len()) {
        return request.pull(primary).map(sent);
    }
    let question = request.body.bytes()?;
    let told = shared.hall.told();
    let head = primary.wait(&Head::default(), 0)?;
    if let Some(answer) = told.find(&head, &question) {
        return Ok(Body::from(answer));
    }
    let mut answer = request.pull(primary)?;
    // What came meanwhile is in the answer, and not at that end.
    if Told::keeps(answer.len()) && primary.wait(&head, 0)? == head {
        let bytes = Bytes::from(answer.bytes()?);
        told.keep(head, question, bytes.clone());
        return Ok(Body::from(bytes));
    }
    Ok(sent(answer))
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

//! Errors on their way out of the server.
use crate::wire::failure::{self, Failure};
use axum::Json;
use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use mainstem::error::Error;

/// An error on its way out.
pub struct Refused(pub Error);

/// What the log says of an error: its code, and what is told to nobody else.
#[derive(Clone, Debug)]
pub(super) struct Raised {
    pub code: String,
    pub inner: Option<String>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Refused(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(failure::status(&self.0)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let failure = Failure::from(&self.0);
        let cause = self.0.source.as_ref().map(|source| format!(": {source}")).unwrap_or_default();
        let is_ours = status.is_server_error();
        let raised = Raised { code: failure.code.clone(), inner: is_ours.then(|| format!("{}{cause}", self.0.message)) };
        let mut response = (status, Json(failure.clone())).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(failure);
        response.extensions_mut().insert(raised);
        response
    }
}

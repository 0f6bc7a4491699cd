//! What a request says, checked before anybody looks at it: a query string, a path.
use super::refused::Refused;
use axum::extract::{FromRequestParts, Path, Query};
use hyper::http::request::Parts;
use mainstem::error::Error;
use serde::de::DeserializeOwned;

/// A query string that was understood whole.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Asked(asked)),
            Err(e) => Err(Error::invalid(format!("the question cannot be understood: {}", e.body_text())).into()),
        }
    }
}

/// The names in a path.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Refused;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(named)) => Ok(Named(named)),
            Err(e) => Err(Error::invalid(format!("the path cannot be understood: {}", e.body_text())).into()),
        }
    }
}

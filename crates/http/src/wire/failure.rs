//! Errors as they travel: a status and `{"code", "message", "hint", "details"}`.
use mainstem::core::ErrorKind;
use mainstem::error::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An error's body.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct Failure {
    /// A stable name.
    pub code: String,
    /// What happened, to which thing, and why.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What programs may want to know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
    /// The request that failed, as it is called in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Codes that have a status of their own, whatever their kind.
const STATUSES: &[(&str, u16)] = &[
    ("cut_short", 400),
    ("unauthenticated", 401),
    ("forbidden", 403),
    ("forbidden_host", 403),
    ("review_required", 403),
    ("too_slow", 408),
    ("method_not_allowed", 405),
    ("too_large", 413),
    ("path_too_long", 414),
    ("unsupported_media_type", 415),
    ("validation_failed", 422),
    ("rate_limited", 429),
    ("merge_failed", 500),
];

/// The status of an error.
pub fn status(error: &Error) -> u16 {
    let own = STATUSES.iter().find(|(code, _)| *code == error.code);
    own.map_or_else(|| of_kind(error.kind), |(_, status)| *status)
}

fn of_kind(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::Invalid => 400,
        ErrorKind::Denied => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::Conflict => 409,
        ErrorKind::Unavailable => 503,
        ErrorKind::Corrupt | ErrorKind::Internal => 500,
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        // What is inside a primary that is damaged, or in our own bugs, is for its operator's log.
        let is_inner = matches!(error.kind, ErrorKind::Internal);
        let message = if is_inner { "the server failed; its log says why".to_string() } else { error.message.clone() };
        Failure { code: error.code.to_string(), message, hint: error.hint.clone(), details: None, request_id: None }
    }
}

impl Failure {
    /// What a status says by itself.
    pub(crate) fn of_status(status: u16, said: &str) -> Failure {
        let code = match status {
            405 => "method_not_allowed",
            408 => "too_slow",
            413 => "too_large",
            415 => "unsupported_media_type",
            _ => general(status).1,
        };
        let message = match (status, said) {
            (404, _) => "there is nothing by that path",
            (405, _) => "that path takes another method",
            (500.., _) => "the server failed; its log says why",
            (_, "") => "the request cannot be answered",
            (_, said) => said,
        };
        Failure { code: code.to_string(), message: message.to_string(), hint: None, details: None, request_id: None }
    }
    /// The error that a client makes of it. Its kind follows from the code where that is known, else from the status.
    pub fn into_error(self, status: u16) -> Error {
        let (kind, code) = match KNOWN.iter().find(|(_, code)| *code == self.code) {
            Some((kind, code)) => (*kind, *code),
            None => general(status),
        };
        let error = Error::new(kind, code, self.message);
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

fn general(status: u16) -> (ErrorKind, &'static str) {
    match status {
        401 => (ErrorKind::Denied, "unauthenticated"),
        403 => (ErrorKind::Denied, "forbidden"),
        404 => (ErrorKind::NotFound, "not_found"),
        409 => (ErrorKind::Conflict, "conflict"),
        400..=499 => (ErrorKind::Invalid, "invalid"),
        _ => (ErrorKind::Unavailable, "unavailable"),
    }
}

/// Codes that callers act on, as they are raised on the other side.
const KNOWN: &[(ErrorKind, &str)] = &[
    (ErrorKind::Conflict, "ahead"),
    (ErrorKind::Conflict, "archived"),
    (ErrorKind::Conflict, "behind"),
    (ErrorKind::Conflict, "behind_horizon"),
    (ErrorKind::Conflict, "closed"),
    (ErrorKind::Conflict, "collected"),
    (ErrorKind::Conflict, "constraint"),
    (ErrorKind::Conflict, "drift"),
    (ErrorKind::Conflict, "merge_conflict"),
    (ErrorKind::Conflict, "missing_parent"),
    (ErrorKind::Conflict, "not_archived"),
    (ErrorKind::Conflict, "numbers_exhausted"),
    (ErrorKind::Conflict, "occupied"),
    (ErrorKind::Conflict, "other_epoch"),
    (ErrorKind::Conflict, "other_lineage"),
    (ErrorKind::Conflict, "other_scope"),
    (ErrorKind::Conflict, "overlap"),
    (ErrorKind::Conflict, "request_reused"),
    (ErrorKind::Conflict, "resolved"),
    (ErrorKind::Conflict, "reused"),
    (ErrorKind::Conflict, "row_gone"),
    (ErrorKind::Conflict, "schema_changed"),
    (ErrorKind::Conflict, "schema_conflict"),
    (ErrorKind::Conflict, "schema_refused"),
    (ErrorKind::Conflict, "stale_base"),
    (ErrorKind::Conflict, "too_many"),
    (ErrorKind::Conflict, "unique"),
    (ErrorKind::Conflict, "validation_failed"),
    (ErrorKind::Corrupt, "broken_chain"),
    (ErrorKind::Corrupt, "corrupt"),
    (ErrorKind::Conflict, "disabled"),
    (ErrorKind::Conflict, "last_administrator"),
    (ErrorKind::Conflict, "name_taken"),
    (ErrorKind::Conflict, "no_person"),
    (ErrorKind::Denied, "forbidden"),
    (ErrorKind::Denied, "forbidden_host"),
    (ErrorKind::Denied, "others_replica"),
    (ErrorKind::Denied, "outside_scope"),
    (ErrorKind::Denied, "partial"),
    (ErrorKind::Denied, "partial_view"),
    (ErrorKind::Denied, "replica_revoked"),
    (ErrorKind::Denied, "review_required"),
    (ErrorKind::Denied, "unauthenticated"),
    (ErrorKind::Internal, "internal"),
    (ErrorKind::Internal, "merge_failed"),
    (ErrorKind::Invalid, "clock_skew"),
    (ErrorKind::Invalid, "invalid"),
    (ErrorKind::Invalid, "path_too_long"),
    (ErrorKind::Invalid, "scope_column"),
    (ErrorKind::Invalid, "too_large"),
    (ErrorKind::Invalid, "transfer_encoding"),
    (ErrorKind::Invalid, "unsupported_media_type"),
    (ErrorKind::NotFound, "no_primary"),
    (ErrorKind::NotFound, "no_row"),
    (ErrorKind::NotFound, "not_found"),
    (ErrorKind::Unavailable, "busy"),
    (ErrorKind::Unavailable, "cut_short"),
    (ErrorKind::Unavailable, "disk_failed"),
    (ErrorKind::Unavailable, "disk_full"),
    (ErrorKind::Unavailable, "line"),
    (ErrorKind::Unavailable, "locked"),
    (ErrorKind::Unavailable, "moved_on"),
    (ErrorKind::Unavailable, "rate_limited"),
    (ErrorKind::Unavailable, "read_only"),
    (ErrorKind::Unavailable, "too_slow"),
    (ErrorKind::Unavailable, "unavailable"),
];

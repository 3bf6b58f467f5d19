//! What a request fails with: JSON of kind, message and hint, and the status that fits.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::error::{Error, Kind};

/// A request's failure.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    kind: serde_json::Value,
    error: Box<Error>,
}

/// What handlers return.
pub(super) type Answer<T> = Result<T, Failure>;

impl Failure {
    fn new(status: StatusCode, kind: &str, error: Error) -> Self {
        Self { status, kind: kind.into(), error: Box::new(error) }
    }

    /// What the request asks is not as it must be.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Error::config(message).into()
    }

    /// There is no such thing.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", Error::config(message))
    }

    /// It cannot be done now.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", Error::config(message))
    }

    /// Whoever asks may not.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", Error::config(message))
    }

    /// The address is longer than any of ours.
    pub(super) fn too_long(message: impl Into<String>) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "too_long", Error::config(message))
    }

    /// The path is another method's.
    pub(super) fn method() -> Self {
        let error = Error::config("this path is not asked so");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", error)
    }

    /// Adds how to mend it.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = Box::new(self.error.hint(hint));
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.kind {
            Kind::Config | Kind::Data => StatusCode::BAD_REQUEST,
            Kind::Unavailable | Kind::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Plugin | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let kind = serde_json::to_value(error.kind).unwrap_or_default();
        Self { status, kind, error: Box::new(error) }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, kind, error } = self;
        let body = serde_json::json!({ "error": { "kind": kind, "message": error.message, "hint": error.hint } });
        (status, Json(body)).into_response()
    }
}

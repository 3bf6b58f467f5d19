//! A request's failure as its response: the HTTP status, and JSON with kind, message and hint.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use host_core::error::{Error, Kind};

/// Why a request failed.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    /// The name of an error kind, or a reason that only requests have.
    kind: &'static str,
    error: Error,
}

/// What handlers return.
pub(super) type ApiResult<T> = Result<T, ApiError>;

/// The body of the response.
#[derive(serde::Serialize)]
struct ErrorBody {
    error: ErrorText,
}

#[derive(serde::Serialize)]
struct ErrorText {
    kind: &'static str,
    message: String,
    hint: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, kind: &'static str, error: Error) -> Self {
        Self { status, kind, error }
    }

    /// The request is not valid.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Error::config(message).into()
    }

    /// What the request names does not exist.
    pub(super) fn not_found(error: Error) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", error)
    }

    /// Same as [`ApiError::not_found`] if the caller has to fix the name; any other error keeps its status.
    pub(super) fn not_found_if_config(error: Error) -> Self {
        if error.kind == Kind::Config { Self::not_found(error) } else { error.into() }
    }

    /// The request cannot be served in the present state.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", Error::config(message))
    }

    /// The caller is not allowed to send the request.
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", Error::config(message))
    }

    /// The request has no valid token.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", Error::config(message))
    }

    /// The body of the request is larger than any that the server reads.
    pub(super) fn body_too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", Error::config(message))
    }

    /// The body of the request did not arrive in time.
    pub(super) fn body_too_slow(message: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "too_slow", Error::config(message))
    }

    /// The URL is longer than any that the server has.
    pub(super) fn uri_too_long(message: impl Into<String>) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "too_long", Error::config(message))
    }

    /// The path exists, but not for this method.
    pub(super) fn method_not_allowed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", Error::config(message))
    }

    /// Adds a hint.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = match error.kind {
            Kind::Config | Kind::Data => StatusCode::BAD_REQUEST,
            Kind::Unavailable | Kind::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
            Kind::Plugin | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.kind.name(), error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, kind, error } = self;
        let text = ErrorText { kind, message: error.message(), hint: error.hint_text() };
        (status, Json(ErrorBody { error: text })).into_response()
    }
}

//! The pages that the binary brings.

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

/// What `/` says where the pages were not built.
const NOT_BUILT: &str = "The pages were not built: `make build` builds them into the binary. The API is below /api.\n";

/// The page of a path.
pub(super) async fn page() -> impl IntoResponse {
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], NOT_BUILT)
}

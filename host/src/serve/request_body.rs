//! Reads the body of a request before its handler runs, whatever its path: up to a size, and within a time.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;

use super::api_error::{ApiError, ApiResult};
use super::connections::Limits;

/// The largest body of a request, in bytes.
const MAX_BYTES: usize = 64 << 10;
/// How much is read of a larger one, in bytes: a client that is still sending does not see the response.
const MAX_DISCARDED_BYTES: usize = 1 << 20;

/// Reads the body, and passes the request on with its bytes.
pub(super) async fn read_body(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let read = tokio::time::timeout(limits.body_time, read(body)).await.unwrap_or_else(|_| {
        let seconds = limits.body_time.as_secs();
        Err(ApiError::body_too_slow(format!("the body of the request did not arrive within {seconds} s")))
    });
    match read {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(error) => error.into_response(),
    }
}

async fn read(body: Body) -> ApiResult<Vec<u8>> {
    let (mut chunks, mut bytes, mut length) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk =
            chunk.map_err(|cause| ApiError::bad_request(format!("the body of the request cannot be read: {cause}")))?;
        length += chunk.len();
        if length <= MAX_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if length > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if length > MAX_BYTES {
        return Err(ApiError::body_too_large(format!(
            "the body of the request exceeds the limit of {MAX_BYTES} bytes"
        )));
    }
    Ok(bytes)
}

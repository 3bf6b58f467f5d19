//! Sends one request and receives its response, within limits for the body and the headers. Memory is reserved before it
//! is allocated.

use std::sync::OnceLock;

use reqwest::header::HeaderMap;

use super::connection::Connection;
use super::error::{RequestError, RequestErrorKind};
use super::response::HttpResponse;
use crate::memory::{HostMemory, MemoryExceeded};

/// The largest body, in bytes: a page of 100 records with a 5 MB property each fits.
const MAX_BODY: usize = 512 * 1024 * 1024;
/// The most bytes of a response's headers.
const MAX_HEADERS: usize = 64 * 1024;
/// Bytes of a response beside its body and its headers' texts.
const RESPONSE_OVERHEAD: usize = 1024;
/// Bytes of a header beside its texts.
const HEADER_OVERHEAD: usize = 128;
/// The capacity of a new body, at most.
const FIRST_CAPACITY: usize = 1 << 20;

/// Sends a request once.
pub(super) async fn exchange(
    connection: &Connection,
    request: reqwest::Request,
    memory: &HostMemory,
) -> Result<HttpResponse, RequestError> {
    let host = connection.base.host_str().unwrap_or_default().to_owned();
    let failed = |cause| no_response(connection, &host, &cause);
    let mut response = connection.client.execute(request).await.map_err(failed)?;
    connection.note_response();
    let headers = header_bytes(response.headers());
    if headers > MAX_HEADERS {
        let message = format!("the headers of the response of `{host}` are larger than {} KiB", MAX_HEADERS >> 10);
        return Err(RequestError::new(RequestErrorKind::Data, "header_limit", message));
    }
    let length = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let too_long = || {
        let message = format!("the response of `{host}` is larger than {} MiB", MAX_BODY >> 20);
        RequestError::new(RequestErrorKind::Data, "body_limit", message)
    };
    // The plugin never sees this error: exceeding the memory limit traps it.
    let exceeded =
        |cause: MemoryExceeded| RequestError::new(RequestErrorKind::Internal, "held_limit", cause.to_string());
    if length > MAX_BODY {
        return Err(too_long());
    }
    let beside = RESPONSE_OVERHEAD + headers + HEADER_OVERHEAD * response.headers().len();
    let mut reservation = memory.reserve(beside + length).map_err(exceeded)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        let needed = body.len() + chunk.len();
        if needed > MAX_BODY {
            return Err(too_long());
        }
        if needed > body.capacity() {
            // The whole body if its length is known, but not before it arrives.
            let next = (2 * body.capacity()).max(FIRST_CAPACITY);
            let next = if length > 0 { next.min(length) } else { next.min(needed.next_power_of_two()) };
            let capacity = next.max(needed);
            reservation.grow_to(beside + capacity).map_err(exceeded)?;
            body.reserve_exact(capacity - body.len());
        }
        body.extend_from_slice(&chunk);
    }
    let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
    Ok(HttpResponse { status, headers, body, depth: OnceLock::new(), _reservation: reservation })
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// The error of a request without a response. It names the innermost cause: outer ones repeat the URL.
fn no_response(connection: &Connection, host: &str, cause: &reqwest::Error) -> RequestError {
    let mut message = cause.to_string();
    let mut source = std::error::Error::source(cause);
    let mut is_refused = false;
    while let Some(inner) = source {
        // The resolver refuses addresses with an error of the host.
        is_refused |= inner.downcast_ref::<host_core::error::Error>().is_some();
        message = inner.to_string();
        source = inner.source();
    }
    let kind = if is_refused { RequestErrorKind::Config } else { RequestErrorKind::Transient };
    let error = RequestError::new(kind, "no_answer", format!("no response from `{host}`: {message}"));
    if connection.has_responded() {
        return error;
    }
    error.hint("check `base_url`, and that this machine reaches the server")
}

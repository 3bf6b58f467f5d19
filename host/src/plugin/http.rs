//! Sends a plugin's requests: pace, secret, retries with backoff, jitter and Retry-After, capped bodies.

use std::time::Duration;

use backon::BackoffBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::bindings::source_world::elt::plugin::http as wit_http;
use super::bindings::types as wit;
use super::connection::Connection;
use super::resources::Response;

/// Bodies over this are refused: a page of 100 records with a 5 MB property each still fits.
const BODY_LIMIT: usize = 512 * 1024 * 1024;
/// Tries after the first. With waits of 0.5 s doubling to 30 s this rides out about two minutes.
const RETRIES: usize = 8;
/// Tries after the first while the server has never answered: more likely the address is wrong.
const RETRIES_UNANSWERED: usize = 3;

fn error(kind: wit::ErrorKind, code: &str, message: String) -> wit::Error {
    wit::Error { kind, code: code.to_owned(), message, retry_after_ms: None, details_json: None }
}

/// Sends a request until it is answered for good; `statuses` are those worth another try beside 429 and 5xx.
pub(crate) async fn send(
    connection: &Connection,
    request: wit_http::Request,
    statuses: &[u16],
) -> Result<Response, wit::Error> {
    let prepared = prepare(connection, &request)?;
    let backoff = backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .with_max_times(if connection.has_answered() { RETRIES } else { RETRIES_UNANSWERED })
        .with_jitter();
    let mut delays = backoff.build();
    loop {
        connection.wait(request.bucket.as_deref()).await;
        let copy = prepared
            .try_clone()
            .ok_or_else(|| error(wit::ErrorKind::Internal, "request", "a request cannot be repeated".to_owned()))?;
        let answer = once(connection, copy).await;
        let again = match &answer {
            Ok(response) => response.status == 429 || response.status >= 500 || statuses.contains(&response.status),
            Err(failed) => failed.kind == wit::ErrorKind::Transient,
        };
        let delay = if again { delays.next() } else { None };
        let Some(delay) = delay else { return answer };
        let asked = answer.ok().and_then(|response| retry_after(&response.headers));
        // A daily limit asks for hours: that is for the next run, not for this loop.
        if asked.is_some_and(|asked| asked > Duration::from_secs(120)) {
            let message = format!("the server asks to wait {} s", asked.unwrap_or_default().as_secs());
            return Err(error(wit::ErrorKind::RateLimited, "retry_after", message));
        }
        tokio::time::sleep(asked.map_or(delay, |asked| asked.max(delay))).await;
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn prepare(connection: &Connection, request: &wit_http::Request) -> Result<reqwest::Request, wit::Error> {
    let refused = |why: String| error(wit::ErrorKind::Config, "request_refused", why);
    if !request.path.starts_with('/') || request.path.starts_with("//") {
        return Err(refused(format!("the path `{}` does not start with one `/`", request.path)));
    }
    let base = connection.base.as_str().trim_end_matches('/');
    let url = reqwest::Url::parse(&format!("{base}{}", request.path)).map_err(|cause| refused(cause.to_string()))?;
    if url.origin() != connection.base.origin() || !url.path().starts_with(connection.base.path()) {
        return Err(refused(format!("the path `{}` leads out of the connection", request.path)));
    }
    let method = request.method.parse::<reqwest::Method>().map_err(|cause| refused(cause.to_string()))?;
    let mut builder = connection.client.request(method, url);
    if !request.query.is_empty() {
        builder = builder.query(&request.query);
    }
    for (name, value) in &request.headers {
        let name: HeaderName = name.parse().map_err(|_| refused(format!("`{name}` is no header name")))?;
        if [AUTHORIZATION, reqwest::header::HOST, reqwest::header::COOKIE].contains(&name) {
            return Err(refused(format!("a plugin may not set the header `{name}`")));
        }
        let value: HeaderValue = value.parse().map_err(|_| refused(format!("the header `{name}` has a bad value")))?;
        builder = builder.header(name, value);
    }
    if let Some(token) = &connection.token {
        builder = builder.bearer_auth(token.expose());
    }
    if let Some(body) = &request.body {
        builder = builder.body(body.clone());
    }
    builder.build().map_err(|cause| refused(cause.without_url().to_string()))
}

async fn once(connection: &Connection, request: reqwest::Request) -> Result<Response, wit::Error> {
    let host = connection.base.host_str().unwrap_or_default().to_owned();
    let failed = |cause: reqwest::Error| {
        let mut message = cause.to_string();
        let mut source = std::error::Error::source(&cause);
        let mut refused = false;
        while let Some(inner) = source {
            refused |= inner.downcast_ref::<crate::error::Error>().is_some();
            message = inner.to_string();
            source = inner.source();
        }
        let kind = if refused { wit::ErrorKind::Config } else { wit::ErrorKind::Transient };
        let mut failed = error(kind, "no_answer", format!("`{host}` did not answer: {message}"));
        if !connection.has_answered() {
            let hint = "is `base_url` right, and does this machine reach it?";
            failed.details_json = Some(serde_json::json!({ "hint": hint }).to_string());
        }
        failed
    };
    let mut response = connection.client.execute(request).await.map_err(failed)?;
    connection.note_answer();
    let mut body =
        Vec::with_capacity(response.content_length().and_then(|l| usize::try_from(l).ok()).unwrap_or(0).min(1 << 22));
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > BODY_LIMIT {
            let message = format!("`{host}` answered with more than {BODY_LIMIT} bytes");
            return Err(error(wit::ErrorKind::Data, "body_limit", message));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status: response.status().as_u16(), headers: response.headers().clone(), body })
}

//! Sends a plugin's requests: pace, credential, retries with backoff, jitter and Retry-After, capped bodies.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::BackoffBuilder;
use reqwest::header::{self, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::bindings::source_world::elt::plugin::http as wit_http;
use super::bindings::types as wit;
use super::connection::{Connection, Patience};
use super::credential::{Access, Refused};
use super::held::Held;
use super::resources::Response;

/// Bodies over this are refused: a page of 100 records with a 5 MB property each still fits.
const BODY_LIMIT: usize = 512 * 1024 * 1024;
/// Tries after the first while the server has never answered: more likely the address is wrong.
const RETRIES_UNANSWERED: usize = 3;
/// A longer wait is for the next run, not for this loop.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// Which answers are worth another try beside 429 and 5xx, and which are not.
#[derive(Debug, Clone, Default)]
pub struct Retry {
    /// Statuses, each with the least wait.
    pub statuses: BTreeMap<u16, Duration>,
    /// Answers that are final.
    pub last: Vec<Final>,
}

/// An answer that no wait within a run will better.
#[derive(Debug, Clone)]
pub struct Final {
    /// The status.
    pub status: u16,
    /// If need be: a pointer into the body, and the value there.
    pub value: Option<(String, String)>,
}

impl Retry {
    fn is_worth(&self, response: &Response) -> bool {
        let status = response.status;
        let may_pass = status == 429 || status >= 500 || self.statuses.contains_key(&status);
        let is_it = |last: &Final| {
            let says = |(pointer, value): &(String, String)| response.get(pointer).as_ref() == Some(value);
            last.status == status && last.value.as_ref().is_none_or(says)
        };
        may_pass && !self.last.iter().any(is_it)
    }

    fn least_wait(&self, response: &Response) -> Duration {
        self.statuses.get(&response.status).copied().unwrap_or_default()
    }
}

fn error(kind: wit::ErrorKind, code: &str, message: String) -> wit::Error {
    wit::Error { kind, code: code.to_owned(), message, retry_after_ms: None, details_json: None }
}

/// Sends a request until it is answered for good.
pub(crate) async fn send(
    connection: &Connection,
    request: wit_http::Request,
    retry: &Retry,
    held: &Held,
) -> Result<Response, wit::Error> {
    let prepared = prepare(connection, &request)?;
    let bucket = request.bucket.as_deref();
    let mut delays = backoff(connection).build();
    let mut access = access(connection, None).await?;
    let mut is_fresh = false;
    let mut tries = 0;
    loop {
        let mut copy = prepared
            .try_clone()
            .ok_or_else(|| error(wit::ErrorKind::Internal, "request", "a request cannot be repeated".to_owned()))?;
        let header = access.header();
        let header =
            header.map_err(|_| error(wit::ErrorKind::Auth, "token", "the token is no header value".to_owned()))?;
        header.map(|header| copy.headers_mut().insert(AUTHORIZATION, header));
        let place = connection.place(bucket).await;
        let answer = once(connection, copy, held).await;
        drop(place);
        if let Ok(response) = &answer {
            connection.learn(bucket, &response.headers);
            if response.status == 401 && connection.credential.can_refresh() && !is_fresh {
                access = self::access(connection, Some(&access)).await?;
                is_fresh = true;
                continue;
            }
        }
        let again = match &answer {
            Ok(response) => retry.is_worth(response),
            Err(failed) => failed.kind == wit::ErrorKind::Transient,
        };
        tries += 1;
        let is_nobody_there = !connection.has_answered() && tries > RETRIES_UNANSWERED;
        let delay = if again && !is_nobody_there { delays.next() } else { None };
        let Some(delay) = delay else { return answer };
        let asked = answer.as_ref().ok().and_then(|response| retry_after(&response.headers));
        if let Some(asked) = asked.filter(|asked| *asked > LONGEST_ASKED) {
            let message = format!("the server asks to wait {} s", asked.as_secs());
            return Err(error(wit::ErrorKind::RateLimited, "retry_after", message));
        }
        let least = answer.as_ref().map_or(Duration::ZERO, |response| retry.least_wait(response));
        let wait = asked.unwrap_or_default().max(least).max(delay);
        // Whoever else would ask after a 429 would be refused too: the bucket waits, and this request with it.
        let is_limit = answer.is_ok_and(|response| response.status == 429);
        if !is_limit || !connection.pause(bucket, wait) {
            tokio::time::sleep(wait).await;
        }
    }
}

/// The token to send; a token server that does not answer is asked again.
async fn access(connection: &Connection, refused: Option<&Access>) -> Result<Access, wit::Error> {
    let mut delays = backoff(connection).build();
    loop {
        let access = connection.credential.access(&connection.client, &connection.base, refused).await;
        let Refused { may_pass, why } = match access {
            Ok(access) => return Ok(access),
            Err(refused) => refused,
        };
        match delays.next().filter(|_| may_pass) {
            Some(delay) => tokio::time::sleep(delay).await,
            None if may_pass => return Err(error(wit::ErrorKind::Transient, "oauth", why)),
            None => return Err(error(wit::ErrorKind::Auth, "oauth", why)),
        }
    }
}

fn backoff(connection: &Connection) -> backon::ExponentialBuilder {
    let Patience { retries, first, longest, .. } = connection.patience;
    backon::ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(longest)
        .with_max_times(retries)
        .with_jitter()
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
    let root = connection.base.path().trim_end_matches('/');
    let is_below = url.path().strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if url.origin() != connection.base.origin() || !is_below {
        return Err(refused(format!("the path `{}` leads out of the connection", request.path)));
    }
    // A server may answer TRACE with the request itself, secret and all.
    if !["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&request.method.as_str()) {
        return Err(refused(format!("a plugin may not send `{}`", request.method)));
    }
    let method = request.method.parse::<reqwest::Method>().map_err(|cause| refused(cause.to_string()))?;
    let mut builder = connection.client.request(method, url);
    if !request.query.is_empty() {
        builder = builder.query(&request.query);
    }
    for (name, value) in &request.headers {
        let name: HeaderName = name.parse().map_err(|_| refused(format!("`{name}` is no header name")))?;
        // What is the host's, and what tells where a request ends: by that a guest could send a second one.
        let is_own = [AUTHORIZATION, header::PROXY_AUTHORIZATION, header::COOKIE, header::HOST].contains(&name)
            || [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TE, header::TRAILER].contains(&name)
            || [header::CONNECTION, header::UPGRADE, header::EXPECT].contains(&name);
        if is_own {
            return Err(refused(format!("a plugin may not set the header `{name}`")));
        }
        let value: HeaderValue = value.parse().map_err(|_| refused(format!("the header `{name}` has a bad value")))?;
        builder = builder.header(name, value);
    }
    if let Some(body) = &request.body {
        builder = builder.body(body.clone());
    }
    builder.build().map_err(|cause| refused(cause.without_url().to_string()))
}

async fn once(connection: &Connection, request: reqwest::Request, held: &Held) -> Result<Response, wit::Error> {
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
    let length = response.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let too_long = || {
        let message = format!("`{host}` answered with more than {BODY_LIMIT} bytes");
        error(wit::ErrorKind::Data, "body_limit", message)
    };
    // The guest does not live to see it.
    let too_many = || error(wit::ErrorKind::Internal, "held_limit", "too many answers are held".to_owned());
    if length > BODY_LIMIT {
        return Err(too_long());
    }
    let mut hold = held.take(length).ok_or_else(too_many)?;
    let mut body = Vec::with_capacity(length.min(1 << 22));
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        let length = body.len() + chunk.len();
        if length > BODY_LIMIT {
            return Err(too_long());
        }
        if !hold.grow(length) {
            return Err(too_many());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status: response.status().as_u16(), headers: response.headers().clone(), body, _hold: hold })
}

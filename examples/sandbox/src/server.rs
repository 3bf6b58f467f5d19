//! Serves a network over HTTP on loopback: auth, scopes, rate limits, and a log of requests that tests question.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::api::{self, Call};
use crate::network::Network;

/// The token that the sandbox accepts.
pub const TOKEN: &str = "pat-na1-sandbox";

/// How the server behaves.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Requests allowed within 10 seconds; none: no limit.
    pub rate_limit: Option<usize>,
    /// Scopes that the token lacks.
    pub missing_scopes: Vec<String>,
    /// Properties that the portal does not have.
    pub missing_properties: Vec<String>,
    /// The portal's id, instead of the usual one.
    pub portal: Option<u64>,
    /// Answers to give instead, once each, in order: path part, status, body, Retry-After in seconds.
    pub faults: Vec<Fault>,
}

/// An answer to give instead of the right one.
#[derive(Debug, Clone)]
pub struct Fault {
    /// A part of the path that it waits for.
    pub path: String,
    /// How many such requests pass before it.
    pub skip: usize,
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// The header Retry-After, in seconds.
    pub retry_after: Option<u64>,
}

struct Shared {
    network: Network,
    options: ServerOptions,
    recent: VecDeque<Instant>,
    log: Vec<String>,
}

/// A running sandbox; it stops when dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    requested: Arc<Condvar>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// Starts serving on a loopback port, 0 for a free one, on a thread of its own.
    pub fn start(network: Network, options: ServerOptions, port: u16) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Shared { network, options, recent: VecDeque::new(), log: Vec::new() };
        let shared = Arc::new(Mutex::new(shared));
        let requested = Arc::new(Condvar::new());
        let router = Router::new().fallback(handle).with_state((Arc::clone(&shared), Arc::clone(&requested)));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let serve = axum::serve(listener, router.into_make_service());
                tokio::select! {
                    _ = serve.into_future() => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { address, shared, requested, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the network, or changes it, between requests.
    pub fn with<T>(&self, work: impl FnOnce(&mut Network) -> T) -> T {
        work(&mut lock(&self.shared).network)
    }

    /// Waits until so many requests are in the log; false where they do not come within a minute.
    #[must_use]
    pub fn wait_for_requests(&self, count: usize) -> bool {
        let minute = Duration::from_secs(60);
        let waited = self.requested.wait_timeout_while(lock(&self.shared), minute, |shared| shared.log.len() < count);
        waited.is_ok_and(|(_, timeout)| !timeout.timed_out())
    }

    /// Changes how the server behaves from now on.
    pub fn configure(&self, work: impl FnOnce(&mut ServerOptions)) {
        work(&mut lock(&self.shared).options);
    }

    /// Gives these answers instead of the right ones, once each.
    pub fn inject(&self, faults: Vec<Fault>) {
        lock(&self.shared).options.faults.extend(faults);
    }

    /// The requests so far, each `METHOD path?query`, and forgets them.
    #[must_use]
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared).log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that ended by itself needs no word.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handle(
    State((shared, requested)): State<(Arc<Mutex<Shared>>, Arc<Condvar>)>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut shared = lock(&shared);
    shared.log.push(format!("{method} {uri}"));
    requested.notify_all();
    if let Some(fault) = shared.fault(uri.path()) {
        let mut response = (StatusCode::from_u16(fault.status).unwrap_or_default(), fault.body).into_response();
        if let Some(seconds) = fault.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        return response;
    }
    if headers.get(header::AUTHORIZATION).is_none_or(|value| value != format!("Bearer {TOKEN}").as_str()) {
        let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication.";
        return json_answer(api::error(StatusCode::UNAUTHORIZED, "INVALID_AUTHENTICATION", message));
    }
    if let Some(answer) = shared.over_limit() {
        return json_answer(answer);
    }
    let scope = api::scope(uri.path());
    if let Some(scope) = scope.filter(|scope| shared.options.missing_scopes.contains(scope)) {
        let (status, mut body) = api::error(
            StatusCode::FORBIDDEN,
            "MISSING_SCOPES",
            "This app hasn't been granted all required scopes to make this call.",
        );
        body["errors"] = json!([{ "message": "One or more of the following scopes are required.",
            "context": { "requiredGranularScopes": [scope] } }]);
        return json_answer((status, body));
    }
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap_or_default() };
    let now = now();
    let call = Call { method: &method, path: uri.path(), query, body, now };
    let portal = shared.options.portal;
    let mut answer = api::answer(&mut shared.network, &call);
    if let (Some(portal), Some(id)) = (portal, answer.1.get_mut("portalId")) {
        *id = json!(portal);
    }
    shared.hide_properties(uri.path(), &mut answer.1);
    json_answer(answer)
}

/// Milliseconds since 1970. The sandbox stands for a server, whose clock is its own.
#[expect(clippy::disallowed_methods, reason = "the sandbox's one clock")]
pub fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn json_answer((status, body): api::Answer) -> Response {
    (status, axum::Json(body)).into_response()
}

impl Shared {
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let at = self.options.faults.iter().position(|fault| path.contains(&fault.path))?;
        if self.options.faults[at].skip > 0 {
            self.options.faults[at].skip -= 1;
            return None;
        }
        Some(self.options.faults.remove(at))
    }

    /// Takes what the portal does not have out of an answer.
    fn hide_properties(&self, path: &str, body: &mut Value) {
        let missing = &self.options.missing_properties;
        let Some(results) = body.get_mut("results").and_then(Value::as_array_mut) else { return };
        if path.contains("/properties/") {
            results.retain(|property| missing.iter().all(|name| property["name"] != name.as_str()));
        }
        for values in results.iter_mut().filter_map(|record| record.get_mut("properties")?.as_object_mut()) {
            values.retain(|name, _| !missing.contains(name));
        }
    }

    fn over_limit(&mut self) -> Option<api::Answer> {
        let limit = self.options.rate_limit?;
        let now = Instant::now();
        while self.recent.front().is_some_and(|then| now.duration_since(*then) > Duration::from_secs(10)) {
            self.recent.pop_front();
        }
        if self.recent.len() < limit {
            self.recent.push_back(now);
            return None;
        }
        let (status, mut body) = api::error(
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMITS",
            "You have reached your ten_secondly_rolling limit.",
        );
        body["errorType"] = json!("RATE_LIMIT");
        body["policyName"] = json!("TEN_SECONDLY_ROLLING");
        Some((status, body))
    }
}

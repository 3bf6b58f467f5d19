//! Serves a network over HTTP on loopback: auth, scopes, limits, failures, and a log of requests that tests question.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::api::{self, Call};
use crate::faults::{Chaos, Failure, Fault, rate_limit_body};
use crate::limits::{Limits, Recent};
use crate::network::Network;

/// The private app's token that the sandbox accepts.
pub const TOKEN: &str = "pat-na1-sandbox";
/// The refresh token that it takes, with any client's id and secret.
pub const REFRESH_TOKEN: &str = "refresh-na1-sandbox";

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// How many requests pass.
    pub limits: Limits,
    /// Scopes that the token lacks.
    pub missing_scopes: Vec<String>,
    /// Properties that the portal does not have.
    pub missing_properties: Vec<String>,
    /// The portal's id, instead of the usual one.
    pub portal: Option<u64>,
    /// Failures, once each, in order.
    pub faults: Vec<Fault>,
    /// Failures and edits by a seed.
    pub chaos: Option<Chaos>,
    /// How long each answer takes.
    pub latency: Duration,
    /// For how long a change is hidden from search.
    pub search_lag: Duration,
    /// Links of one record on one page.
    pub association_page: usize,
    /// The longest path with query.
    pub longest_url: usize,
    /// The time that the server tells, in milliseconds since 1970; none: the machine's.
    pub clock: Option<i64>,
    /// Whether tokens of a private app are refused, so that an OAuth token is needed.
    pub is_oauth: bool,
    /// Changes answers that are otherwise right, by their path.
    pub rewrite: Option<fn(&str, &mut Value)>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            missing_scopes: Vec::new(),
            missing_properties: Vec::new(),
            portal: None,
            faults: Vec::new(),
            chaos: None,
            latency: Duration::ZERO,
            search_lag: Duration::ZERO,
            association_page: 100,
            longest_url: 16_200,
            clock: None,
            is_oauth: false,
            rewrite: None,
        }
    }
}

/// A request as the log keeps it.
#[derive(Debug, Clone)]
pub struct Logged {
    /// When it came.
    pub at: Instant,
    /// `METHOD path?query`.
    pub line: String,
    /// Its body.
    pub body: Value,
    /// The status of its answer.
    pub status: u16,
}

impl Logged {
    /// Whether the line holds a text.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.line.contains(text)
    }
}

struct Shared {
    network: Network,
    options: ServerOptions,
    recent: Recent,
    log: Vec<Logged>,
    /// Tokens given out for the refresh token; the last one is valid.
    tokens: usize,
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
        let shared = Shared { network, options, recent: Recent::default(), log: Vec::new(), tokens: 0 };
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

    /// Waits until the log, or the world, is as wanted; it is looked at with each request and now and then between.
    pub fn wait_until(&self, mut is_so: impl FnMut(&[Logged]) -> bool) {
        let mut shared = lock(&self.shared);
        while !is_so(&shared.log) {
            let now_and_then = Duration::from_millis(20);
            let waited = self.requested.wait_timeout(shared, now_and_then);
            shared = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Changes how the server behaves from now on.
    pub fn configure(&self, work: impl FnOnce(&mut ServerOptions)) {
        work(&mut lock(&self.shared).options);
    }

    /// The time that the server tells, in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        lock(&self.shared).now()
    }

    /// Puts the server's clock forward; it stands still from then on.
    pub fn advance(&self, time: Duration) {
        let mut shared = lock(&self.shared);
        let later = shared.now() + i64::try_from(time.as_millis()).unwrap_or_default();
        shared.options.clock = Some(later);
    }

    /// Makes the OAuth token that was given out last invalid.
    pub fn expire_token(&self) {
        lock(&self.shared).tokens += 1;
    }

    /// The requests so far, and forgets them.
    #[must_use]
    pub fn take_log(&self) -> Vec<Logged> {
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
    let request = Request { method, uri, query, headers, body };
    let (response, failure, latency) = {
        let mut shared = lock(&shared);
        let (mut response, failure) = shared.respond(&request);
        let date = jiff::Timestamp::from_millisecond(shared.now()).unwrap_or_default();
        if let Ok(date) = HeaderValue::from_str(&date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
            response.headers_mut().insert(header::DATE, date);
        }
        let body = serde_json::from_slice(&request.body).unwrap_or_default();
        let line = format!("{} {}", request.method, request.uri);
        shared.log.push(Logged { at: Instant::now(), line, body, status: response.status().as_u16() });
        (response, failure, shared.options.latency)
    };
    requested.notify_all();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match failure {
        Some(failure) => spoiled(response, &failure).await,
        None => response,
    }
}

/// The right answer, with its body gone wrong on the way.
async fn spoiled(response: Response, failure: &Failure) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let broken = || Err(std::io::Error::other("the connection drops"));
    let half = bytes.slice(..bytes.len() / 2);
    let body = match failure {
        Failure::Drop => Body::from_stream(stream::iter([broken()]).map(|one: std::io::Result<Bytes>| one)),
        Failure::Cut => Body::from_stream(stream::iter([Ok(half), broken()])),
        Failure::Truncate => return (parts.status, [(header::CONTENT_TYPE, "application/json")], half).into_response(),
        Failure::Slow => {
            let chunks: Vec<_> = bytes.chunks(bytes.len() / 4 + 1).map(Bytes::copy_from_slice).collect();
            Body::from_stream(stream::iter(chunks).then(|chunk| async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok::<_, std::io::Error>(chunk)
            }))
        }
        Failure::Answer { .. } => Body::from(bytes),
    };
    Response::from_parts(parts, body)
}

struct Request {
    method: Method,
    uri: Uri,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
}

/// Milliseconds since 1970. The sandbox stands for a server, whose clock is its own.
#[expect(clippy::disallowed_methods, reason = "the sandbox's one clock")]
fn machine_time() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn json_answer((status, body): api::Answer) -> Response {
    (status, axum::Json(body)).into_response()
}

impl Shared {
    fn now(&self) -> i64 {
        self.options.clock.unwrap_or_else(machine_time)
    }

    /// The answer, and how it goes wrong on its way.
    fn respond(&mut self, request: &Request) -> (Response, Option<Failure>) {
        let path = request.uri.path();
        let (struck, disturbs) = self.struck(request);
        if let Some(Failure::Answer { status, body, retry_after }) = &struck {
            let mut response = (StatusCode::from_u16(*status).unwrap_or_default(), body.clone()).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            return (response, None);
        }
        if request.uri.to_string().len() > self.options.longest_url {
            return (
                (StatusCode::URI_TOO_LONG, "<html><body>414 Request-URI Too Large</body></html>").into_response(),
                None,
            );
        }
        if path.starts_with("/oauth/") {
            return (self.token(request), struck);
        }
        if let Some(refused) = self.refused(request) {
            return (refused, None);
        }
        let is_search = path.ends_with("/search");
        if let Some(policy) = self.recent.count(self.options.limits, is_search) {
            let mut response = (StatusCode::TOO_MANY_REQUESTS, rate_limit_body(policy)).into_response();
            self.recent.headers(self.options.limits, is_search, response.headers_mut());
            return (response, None);
        }
        let mut response = json_answer(self.answer(request));
        self.recent.headers(self.options.limits, is_search, response.headers_mut());
        if let (Some(mut rng), Some(kind)) = (disturbs, api::kind(path)) {
            let now = self.now();
            self.network.disturb(kind, &mut rng, now);
        }
        (response, struck)
    }

    /// What goes wrong with a request, and what changes after it.
    fn struck(&mut self, request: &Request) -> (Option<Failure>, Option<rand::rngs::ChaCha12Rng>) {
        let path = request.uri.path();
        let waiting = self.options.faults.iter().position(|fault| path.contains(&fault.path));
        if let Some(at) = waiting {
            return (Some(self.options.faults.remove(at).failure), None);
        }
        let Some(chaos) = &mut self.options.chaos else { return (None, None) };
        chaos.strike(&format!("{} {} {}", request.method, request.uri, String::from_utf8_lossy(&request.body)))
    }

    /// Without a valid token or scope there is no answer.
    fn refused(&self, request: &Request) -> Option<Response> {
        let given =
            request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let valid = if self.options.is_oauth { format!("oauth-{}", self.tokens) } else { TOKEN.to_owned() };
        let is_known = self.tokens > 0 || !self.options.is_oauth;
        if !is_known || given != format!("Bearer {valid}") {
            let expired = given.starts_with("Bearer oauth-");
            let category = if expired { "EXPIRED_AUTHENTICATION" } else { "INVALID_AUTHENTICATION" };
            let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication.";
            return Some(json_answer(api::error(StatusCode::UNAUTHORIZED, category, message)));
        }
        let scopes = api::scopes(request.uri.path());
        let scope =
            scopes.into_iter().find(|scope| self.options.missing_scopes.iter().any(|missing| missing == scope))?;
        let message = "This app hasn't been granted all required scopes to make this call.";
        let (status, mut body) = api::error(StatusCode::FORBIDDEN, "MISSING_SCOPES", message);
        body["errors"] = json!([{ "message": "One or more of the following scopes are required.",
            "context": { "requiredGranularScopes": [scope] } }]);
        Some(json_answer((status, body)))
    }

    /// A new access token for the refresh token.
    fn token(&mut self, request: &Request) -> Response {
        let form = String::from_utf8_lossy(&request.body);
        let fields: BTreeMap<_, _> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let complete =
            ["client_id", "client_secret"].iter().all(|name| fields.get(name).is_some_and(|v| !v.is_empty()));
        let is_refresh = fields.get("grant_type") == Some(&"refresh_token") && complete;
        if !is_refresh || fields.get("refresh_token") != Some(&REFRESH_TOKEN) {
            let message = "missing or unknown refresh token";
            return json_answer(api::error(StatusCode::BAD_REQUEST, "BAD_REFRESH_TOKEN", message));
        }
        self.tokens += 1;
        let access = format!("oauth-{}", self.tokens);
        let body = json!({ "access_token": access, "refresh_token": REFRESH_TOKEN, "expires_in": 1800, "token_type": "bearer" });
        json_answer((StatusCode::OK, body))
    }

    fn answer(&mut self, request: &Request) -> api::Answer {
        let body = if request.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&request.body).unwrap_or_default()
        };
        let call = Call {
            method: &request.method,
            path: request.uri.path(),
            query: request.query.clone(),
            body,
            now: self.now(),
            search_lag: i64::try_from(self.options.search_lag.as_millis()).unwrap_or_default(),
            association_page: self.options.association_page,
        };
        let mut answer = api::answer(&mut self.network, &call);
        if let (Some(portal), Some(id)) = (self.options.portal, answer.1.get_mut("portalId")) {
            *id = json!(portal);
        }
        self.hide_properties(call.path, &mut answer.1);
        if let Some(rewrite) = self.options.rewrite {
            rewrite(call.path, &mut answer.1);
        }
        answer
    }

    /// Takes what the portal does not have out of an answer.
    fn hide_properties(&self, path: &str, body: &mut Value) {
        let missing = &self.options.missing_properties;
        let Some(results) = body.get_mut("results").and_then(Value::as_array_mut).filter(|_| !missing.is_empty())
        else {
            return;
        };
        if path.contains("/properties/") {
            results.retain(|property| missing.iter().all(|name| property["name"] != name.as_str()));
        }
        for values in results.iter_mut().filter_map(|record| record.get_mut("properties")?.as_object_mut()) {
            values.retain(|name, _| !missing.contains(name));
        }
    }
}

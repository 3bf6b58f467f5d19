//! From a request to its answer: auth, scopes, limits, failures. The network is read by many requests at once, so that
//! the sandbox does not hold up whom it is to measure.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use rand::rngs::ChaCha12Rng;
use serde_json::{Value, json};

use crate::api::{self, Call};
use crate::faults::{Failure, rate_limit_body};
use crate::limits::Recent;
use crate::network::Network;
use crate::server::{Logged, REFRESH_TOKEN, ServerOptions, TOKEN};

/// What requests meet: the records, and all that decides how they are answered.
pub(crate) struct Portal {
    network: RwLock<Network>,
    shared: Mutex<Shared>,
    /// Told with each request.
    pub(crate) requested: Condvar,
}

pub(crate) struct Shared {
    pub(crate) options: ServerOptions,
    recent: Recent,
    pub(crate) log: Vec<Logged>,
    /// Tokens given out for the refresh token; the last one is valid.
    pub(crate) tokens: usize,
}

impl Portal {
    pub(crate) fn new(network: Network, options: ServerOptions) -> Self {
        let shared = Shared { options, recent: Recent::default(), log: Vec::new(), tokens: 0 };
        Self { network: RwLock::new(network), shared: Mutex::new(shared), requested: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn network_mut(&self) -> RwLockWriteGuard<'_, Network> {
        self.network.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a request that was let through.
    fn answer(&self, request: &Request, admitted: &mut Admitted) -> Response {
        let call = Call {
            method: &request.method,
            path: request.uri.path(),
            query: &request.query,
            body: &request.json,
            now: admitted.now,
            search_lag: admitted.search_lag,
            association_page: admitted.association_page,
        };
        let mut answer = if request.method == Method::PATCH {
            api::change(&mut self.network_mut(), &call)
        } else {
            api::answer(&self.network.read().unwrap_or_else(PoisonError::into_inner), &call)
        };
        if let (Some(portal), Some(id)) = (admitted.portal, answer.1.get_mut("portalId")) {
            *id = json!(portal);
        }
        hide_properties(call.path, &admitted.missing_properties, &mut answer.1);
        if let Some(rewrite) = admitted.rewrite {
            rewrite(call.path, &mut answer.1);
        }
        if let (Some(mut rng), Some(kind)) = (admitted.disturbs.take(), api::kind(call.path)) {
            self.network_mut().disturb(kind, &mut rng, admitted.now);
        }
        json_answer(answer)
    }
}

/// A request that was let through, and what decides its answer.
struct Admitted {
    now: i64,
    search_lag: i64,
    association_page: usize,
    portal: Option<u64>,
    missing_properties: Vec<String>,
    rewrite: Option<fn(&str, &mut Value)>,
    disturbs: Option<ChaCha12Rng>,
    limits: HeaderMap,
}

pub(crate) async fn handle(
    State(portal): State<Arc<Portal>>,
    method: Method,
    uri: Uri,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let json = serde_json::from_slice(&body).unwrap_or_default();
    let request = Request { method, uri, query, headers, body, json };
    let (admitted, failure, latency, now) = {
        let mut shared = portal.lock();
        let (admitted, failure) = shared.admit(&request);
        (admitted, failure, shared.options.latency, shared.now())
    };
    let mut response = match admitted {
        Err(refused) => refused,
        Ok(mut admitted) => {
            let mut response = portal.answer(&request, &mut admitted);
            response.headers_mut().extend(admitted.limits);
            response
        }
    };
    let date = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    if let Ok(date) = HeaderValue::from_str(&date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        response.headers_mut().insert(header::DATE, date);
    }
    let line = format!("{} {}", request.method, request.uri);
    let logged = Logged { at: Instant::now(), line, body: request.json, status: response.status().as_u16() };
    portal.lock().log.push(logged);
    portal.requested.notify_all();
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
    /// The body, if it is JSON.
    json: Value,
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
    pub(crate) fn now(&self) -> i64 {
        self.options.clock.unwrap_or_else(machine_time)
    }

    /// Whether a request is answered, or the refusal; and how the answer goes wrong on its way.
    fn admit(&mut self, request: &Request) -> (Result<Admitted, Response>, Option<Failure>) {
        let path = request.uri.path();
        let (struck, disturbs) = self.struck(request);
        if let Some(Failure::Answer { status, body, retry_after }) = &struck {
            let mut response = (StatusCode::from_u16(*status).unwrap_or_default(), body.clone()).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            return (Err(response), None);
        }
        if request.uri.to_string().len() > self.options.longest_url {
            let too_long = "<html><body>414 Request-URI Too Large</body></html>";
            return (Err((StatusCode::URI_TOO_LONG, too_long).into_response()), None);
        }
        if path.starts_with("/oauth/") {
            return (Err(self.token(request)), struck);
        }
        if let Some(refused) = self.refused(request) {
            return (Err(refused), None);
        }
        let is_search = path.ends_with("/search");
        let policy = self.recent.count(self.options.limits, is_search);
        let mut limits = HeaderMap::new();
        self.recent.headers(self.options.limits, is_search, &mut limits);
        if let Some(policy) = policy {
            return (Err((StatusCode::TOO_MANY_REQUESTS, limits, rate_limit_body(policy)).into_response()), None);
        }
        let options = &self.options;
        let admitted = Admitted {
            now: self.now(),
            search_lag: i64::try_from(options.search_lag.as_millis()).unwrap_or_default(),
            association_page: options.association_page,
            portal: options.portal,
            missing_properties: options.missing_properties.clone(),
            rewrite: options.rewrite,
            disturbs,
            limits,
        };
        (Ok(admitted), struck)
    }

    /// What goes wrong with a request, and what changes after it.
    fn struck(&mut self, request: &Request) -> (Option<Failure>, Option<ChaCha12Rng>) {
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
}

/// Takes what the portal does not have out of an answer.
fn hide_properties(path: &str, missing: &[String], body: &mut Value) {
    let Some(results) = body.get_mut("results").and_then(Value::as_array_mut).filter(|_| !missing.is_empty()) else {
        return;
    };
    if path.contains("/properties/") {
        results.retain(|property| missing.iter().all(|name| property["name"] != name.as_str()));
    }
    for values in results.iter_mut().filter_map(|record| record.get_mut("properties")?.as_object_mut()) {
        values.retain(|name, _| !missing.contains(name));
    }
}

//! Handles requests: faults, authorization, scopes, rate limits, then the API. Requests read the network in parallel,
//! so that the sandbox does not slow down the client that it is used to measure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use rand::rngs::ChaCha12Rng;
use serde_json::{Value, json};

use crate::api::{self, ApiCall, ApiResponse};
use crate::faults::{FaultKind, rate_limit_body};
use crate::options::{REFRESH_TOKEN, TOKEN};
use crate::portal::{LoggedRequest, Portal, ServerState};

impl Portal {
    /// Responds to an admitted request.
    fn respond(&self, request: &IncomingRequest, admitted: &mut Admitted) -> Response {
        let call = ApiCall {
            method: &request.method,
            path: request.uri.path(),
            query: &request.query,
            body: &request.json,
            now: admitted.now,
            search_lag: admitted.search_lag,
            association_page_size: admitted.association_page_size,
        };
        let mut response = if request.method == Method::PATCH {
            api::patch(&mut self.network_mut(), &call)
        } else {
            api::respond(&self.network(), &call)
        };
        if let (Some(portal_id), Some(id)) = (admitted.portal_id, response.1.get_mut("portalId")) {
            *id = json!(portal_id);
        }
        hide_properties(call.path, &admitted.missing_properties, &mut response.1);
        if let Some(rewrite) = admitted.rewrite {
            rewrite(call.path, &mut response.1);
        }
        if let (Some(mut rng), Some(object_type)) = (admitted.edit_rng.take(), api::object_type(call.path)) {
            self.network_mut().random_edit(object_type, &mut rng, admitted.now);
        }
        json_response(response)
    }
}

/// The state that an admitted request needs, copied so that the lock is not held.
struct Admitted {
    now: i64,
    search_lag: i64,
    association_page_size: usize,
    portal_id: Option<u64>,
    missing_properties: Vec<String>,
    rewrite: Option<fn(&str, &mut Value)>,
    /// If set, a random edit follows the request.
    edit_rng: Option<ChaCha12Rng>,
    rate_limit_headers: HeaderMap,
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
    let request = IncomingRequest { method, uri, query, headers, body, json };
    let (admitted, fault, latency, now) = {
        let mut state = portal.lock();
        let (admitted, fault) = state.admit(&request);
        (admitted, fault, state.options.latency, state.now())
    };
    let mut response = match admitted {
        Err(refusal) => refusal,
        Ok(mut admitted) => {
            let mut response = portal.respond(&request, &mut admitted);
            response.headers_mut().extend(admitted.rate_limit_headers);
            response
        }
    };
    let date = jiff::Timestamp::from_millisecond(now).unwrap_or_default();
    if let Ok(date) = HeaderValue::from_str(&date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()) {
        response.headers_mut().insert(header::DATE, date);
    }
    let line = format!("{} {}", request.method, request.uri);
    let logged = LoggedRequest { at: Instant::now(), line, body: request.json, status: response.status().as_u16() };
    portal.lock().log.push(logged);
    portal.request_logged.notify_all();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    match fault {
        Some(fault) => apply_fault(response, &fault).await,
        None => response,
    }
}

/// Breaks the body of a response as the fault says.
async fn apply_fault(response: Response, fault: &FaultKind) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let dropped = || Err(std::io::Error::other("the connection drops"));
    let half = bytes.slice(..bytes.len() / 2);
    let body = match fault {
        FaultKind::Drop => Body::from_stream(stream::iter([dropped()]).map(|one: std::io::Result<Bytes>| one)),
        FaultKind::Cut => Body::from_stream(stream::iter([Ok(half), dropped()])),
        FaultKind::Truncate => {
            return (parts.status, [(header::CONTENT_TYPE, "application/json")], half).into_response();
        }
        FaultKind::Slow => {
            let chunks: Vec<_> = bytes.chunks(bytes.len() / 4 + 1).map(Bytes::copy_from_slice).collect();
            Body::from_stream(stream::iter(chunks).then(|chunk| async move {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok::<_, std::io::Error>(chunk)
            }))
        }
        FaultKind::Response { .. } => Body::from(bytes),
    };
    Response::from_parts(parts, body)
}

struct IncomingRequest {
    method: Method,
    uri: Uri,
    query: BTreeMap<String, String>,
    headers: HeaderMap,
    body: Bytes,
    /// The parsed body; null if it is not JSON.
    json: Value,
}

fn json_response((status, body): ApiResponse) -> Response {
    (status, axum::Json(body)).into_response()
}

impl ServerState {
    /// Admits a request, or returns the response that refuses it; and the fault that applies to the response body.
    fn admit(&mut self, request: &IncomingRequest) -> (Result<Admitted, Response>, Option<FaultKind>) {
        let path = request.uri.path();
        let (fault, edit_rng) = self.next_fault(request);
        if let Some(FaultKind::Response { status, body, retry_after }) = &fault {
            let mut response = (StatusCode::from_u16(*status).unwrap_or_default(), body.clone()).into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(*seconds));
            }
            return (Err(response), None);
        }
        if request.uri.to_string().len() > self.options.max_url_length {
            let too_long = "<html><body>414 Request-URI Too Large</body></html>";
            return (Err((StatusCode::URI_TOO_LONG, too_long).into_response()), None);
        }
        if path.starts_with("/oauth/") {
            return (Err(self.issue_token(request)), fault);
        }
        if let Some(refusal) = self.check_authorization(request) {
            return (Err(refusal), None);
        }
        let is_search = path.ends_with("/search");
        let policy = self.rate_limiter.count(self.options.limits, is_search);
        let mut rate_limit_headers = HeaderMap::new();
        self.rate_limiter.set_headers(self.options.limits, is_search, &mut rate_limit_headers);
        if let Some(policy) = policy {
            let refusal = (StatusCode::TOO_MANY_REQUESTS, rate_limit_headers, rate_limit_body(policy));
            return (Err(refusal.into_response()), None);
        }
        let options = &self.options;
        let admitted = Admitted {
            now: self.now(),
            search_lag: i64::try_from(options.search_lag.as_millis()).unwrap_or_default(),
            association_page_size: options.association_page_size,
            portal_id: options.portal_id,
            missing_properties: options.missing_properties.clone(),
            rewrite: options.rewrite,
            edit_rng,
            rate_limit_headers,
        };
        (Ok(admitted), fault)
    }

    /// The fault of a request, queued or random, or a generator for a random edit after it.
    fn next_fault(&mut self, request: &IncomingRequest) -> (Option<FaultKind>, Option<ChaCha12Rng>) {
        let path = request.uri.path();
        let queued = self.options.faults.iter().position(|fault| path.contains(&fault.path));
        if let Some(at) = queued {
            return (Some(self.options.faults.remove(at).kind), None);
        }
        let Some(chaos) = &mut self.options.chaos else { return (None, None) };
        chaos.decide(&format!("{} {} {}", request.method, request.uri, String::from_utf8_lossy(&request.body)))
    }

    /// Returns the error response to a request without a valid token or a required scope.
    fn check_authorization(&self, request: &IncomingRequest) -> Option<Response> {
        let given =
            request.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let valid = if self.options.is_oauth { format!("oauth-{}", self.tokens) } else { TOKEN.to_owned() };
        let is_token_issued = self.tokens > 0 || !self.options.is_oauth;
        if !is_token_issued || given != format!("Bearer {valid}") {
            let expired = given.starts_with("Bearer oauth-");
            let category = if expired { "EXPIRED_AUTHENTICATION" } else { "INVALID_AUTHENTICATION" };
            let message = "Authentication credentials not found. This API supports OAuth 2.0 authentication.";
            return Some(json_response(api::error(StatusCode::UNAUTHORIZED, category, message)));
        }
        let scopes = api::scopes(request.uri.path());
        let scope =
            scopes.into_iter().find(|scope| self.options.missing_scopes.iter().any(|missing| missing == scope))?;
        let message = "This app hasn't been granted all required scopes to make this call.";
        let (status, mut body) = api::error(StatusCode::FORBIDDEN, "MISSING_SCOPES", message);
        body["errors"] = json!([{ "message": "One or more of the following scopes are required.",
            "context": { "requiredGranularScopes": [scope] } }]);
        Some(json_response((status, body)))
    }

    /// Issues an access token for a valid refresh token.
    fn issue_token(&mut self, request: &IncomingRequest) -> Response {
        let form = String::from_utf8_lossy(&request.body);
        let fields: BTreeMap<_, _> = form.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let complete =
            ["client_id", "client_secret"].iter().all(|name| fields.get(name).is_some_and(|v| !v.is_empty()));
        let is_refresh = fields.get("grant_type") == Some(&"refresh_token") && complete;
        if !is_refresh || fields.get("refresh_token") != Some(&REFRESH_TOKEN) {
            let message = "missing or unknown refresh token";
            return json_response(api::error(StatusCode::BAD_REQUEST, "BAD_REFRESH_TOKEN", message));
        }
        self.tokens += 1;
        let access = format!("oauth-{}", self.tokens);
        let body = json!({ "access_token": access, "refresh_token": REFRESH_TOKEN, "expires_in": 1800, "token_type": "bearer" });
        json_response((StatusCode::OK, body))
    }
}

/// Removes missing properties from a response, both definitions and values.
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

//! Admits only requests of the server's own pages, sent to a loopback name. Pages of other sites run in the same
//! browser, and a name of such a site may resolve to a loopback address.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use host_core::error::Error;

use super::api_error::ApiError;
use super::app_state::AppState;
use super::connections::Connection;

/// The longest path and query together, in bytes.
const MAX_URI_BYTES: usize = 8_192;
/// The header that the server's pages send with every request that changes something. Forms and links of other sites
/// cannot send it.
const REQUESTED_WITH: &str = "x-requested-with";
/// Scripts, data and images come from this server only. Charts set inline styles.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; \
                                       style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'self'; \
                                       frame-ancestors 'none'; object-src 'none'";

/// Refuses a request that is not of the server's pages, and sets the security headers of every response.
pub(super) async fn guard(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match check(&request, state.address.port()).and_then(|()| admit(&request)) {
        Err(error) => error.into_response(),
        Ok(()) => next.run(request).await,
    };
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if is_api {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

fn check(request: &Request, port: u16) -> Result<(), ApiError> {
    let length = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if length > MAX_URI_BYTES {
        return Err(ApiError::uri_too_long(format!("a URL of {length} bytes exceeds the limit of {MAX_URI_BYTES}")));
    }
    let headers = request.headers();
    let Some(host) = text(headers, header::HOST.as_str()).filter(|host| is_loopback(host, port)) else {
        let error = ApiError::forbidden("this server accepts requests to its loopback address only");
        return Err(error.hint(format!("open http://127.0.0.1:{port}")));
    };
    let origin = text(headers, header::ORIGIN.as_str());
    if headers.contains_key(header::ORIGIN) && origin != Some(&format!("http://{host}")) {
        return Err(ApiError::forbidden("the request comes from another origin"));
    }
    let is_api = request.uri().path().starts_with("/api/");
    let is_cross_site = text(headers, "sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    if is_api && is_cross_site {
        return Err(ApiError::forbidden("the request comes from another site"));
    }
    let is_change = ![Method::GET, Method::HEAD].contains(request.method());
    if is_change && text(headers, REQUESTED_WITH) != Some("host") {
        let error = ApiError::forbidden("a request that changes something needs the header `X-Requested-With: host`");
        return Err(error.hint("send it from a script: `curl -H 'X-Requested-With: host'`"));
    }
    Ok(())
}

/// Keeps the connection of a valid request open if there are too many others.
fn admit(request: &Request) -> Result<(), ApiError> {
    let connection = request.extensions().get::<Connection>();
    if connection.is_some_and(|connection| !connection.admit()) {
        let error = Error::unavailable("the server has too many connections");
        return Err(error.hint("close other pages of this server").into());
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a `Host` header is a loopback name with the server's port.
fn is_loopback(host: &str, port: u16) -> bool {
    let named = host.rsplit_once(':').filter(|(_, given)| given.parse() == Ok(port));
    named.is_some_and(|(name, _)| ["127.0.0.1", "localhost", "[::1]"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_names_with_the_port_are_accepted() {
        let check = |host: &str, expect: bool| assert_eq!(is_loopback(host, 7700), expect, "{host}");
        check("127.0.0.1:7700", true);
        check("localhost:7700", true);
        check("[::1]:7700", true);
        check("localhost", false);
        check("localhost:7701", false);
        check("rebound.example:7700", false);
        check("127.0.0.1.example:7700", false);
        check("127.0.0.1:7700:7700", false);
    }
}

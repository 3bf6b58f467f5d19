//! Admits only requests with the server's token, of its own pages or of scripts, sent to a loopback name. Pages of other
//! sites run in the same browser, and a name of such a site may resolve to a loopback address. Other users of the machine
//! reach the address too.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use host_core::error::Error;

use super::access::{self, ServerToken};
use super::api_error::ApiError;
use super::app_state::AppState;
use super::connections::ClientConnection;
use super::pages;

/// The longest path and query together, in bytes.
const MAX_URI_BYTES: usize = 8_192;
/// The header that the server's pages send with every request that changes something. Forms and links of other sites
/// cannot send it.
const REQUESTED_WITH: &str = "x-requested-with";
/// The header in which a browser says which site sent a request.
const FETCH_SITE: &str = "sec-fetch-site";
/// Scripts, data and images come from this server only. Charts set inline styles.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; \
                                       style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'self'; \
                                       frame-ancestors 'none'; object-src 'none'";

/// Refuses a request that is not of the server's pages or that has no token, and sets the security headers of every
/// response.
pub(super) async fn guard(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let is_api = is_api(request.uri());
    let port = state.address.port();
    let refusal = check_origin(&request, port).err().map(IntoResponse::into_response);
    let refusal = refusal.or_else(|| check_token(&request, &state.token, port));
    let mut response = match refusal.or_else(|| check_change(&request).err().map(IntoResponse::into_response)) {
        Some(refusal) => refusal,
        None => next.run(request).await,
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

fn is_api(uri: &Uri) -> bool {
    uri.path().starts_with("/api/")
}

fn is_read(request: &Request) -> bool {
    [Method::GET, Method::HEAD].contains(request.method())
}

/// Refuses what another site may have sent.
fn check_origin(request: &Request, port: u16) -> Result<(), ApiError> {
    let length = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if length > MAX_URI_BYTES {
        return Err(ApiError::uri_too_long(format!("a URL of {length} bytes exceeds the limit of {MAX_URI_BYTES}")));
    }
    let headers = request.headers();
    // A second name could be the one that something before this server goes by.
    let is_single = headers.get_all(header::HOST).iter().count() == 1;
    let host = text(headers, header::HOST.as_str()).filter(|host| is_single && is_loopback(host, port));
    let Some(host) = host else {
        let error = ApiError::forbidden("this server accepts requests to its loopback address only");
        return Err(error.hint(format!("open http://127.0.0.1:{port}")));
    };
    let origin = text(headers, header::ORIGIN.as_str());
    if headers.contains_key(header::ORIGIN) && origin != Some(&format!("http://{host}")) {
        return Err(ApiError::forbidden("the request comes from another origin"));
    }
    let is_cross_site = text(headers, FETCH_SITE).is_some_and(|site| site == "cross-site" || site == "same-site");
    if is_api(request.uri()) && is_cross_site {
        return Err(ApiError::forbidden("the request comes from another site"));
    }
    Ok(())
}

/// What a request gets instead of its response: an error if it has no token, and if the token is in its address, the
/// address without it.
fn check_token(request: &Request, token: &ServerToken, port: u16) -> Option<Response> {
    let (uri, headers) = (request.uri(), request.headers());
    let is_page = is_read(request) && !is_api(uri);
    let query = uri.query().filter(|query| is_page && access::has_parameter(query));
    if token.is_in_headers(headers, port) || query.is_some_and(|query| token.is_in_query(query)) {
        let connection = request.extensions().get::<ClientConnection>();
        if connection.is_some_and(|connection| !connection.admit()) {
            let error = Error::unavailable("the server has too many connections");
            return Some(ApiError::from(error.hint("close other pages of this server")).into_response());
        }
        return query.map(|_| token.redirect(uri, port));
    }
    // A browser does not send the cookie if a link of another site leads here. The page without data, which it gets, then
    // asks for data with the cookie.
    let is_link =
        text(headers, FETCH_SITE) == Some("cross-site") && text(headers, "sec-fetch-mode") == Some("navigate");
    if is_page && (pages::is_asset(uri.path()) || (is_link && query.is_none())) {
        return None;
    }
    if !is_api(uri) {
        return Some(access::refusal(port));
    }
    let error = ApiError::unauthorized("the request has no valid token").hint(format!(
        "open the whole address that `host serve` showed when it started, http://127.0.0.1:{port}/?token=…; a script \
         sends the header `Authorization: Bearer TOKEN`"
    ));
    Some(([(header::WWW_AUTHENTICATE, "Bearer")], error).into_response())
}

/// Refuses a change that was not sent by the pages or by a script.
fn check_change(request: &Request) -> Result<(), ApiError> {
    if !is_read(request) && text(request.headers(), REQUESTED_WITH) != Some("host") {
        let error = ApiError::forbidden("a request that changes something needs the header `X-Requested-With: host`");
        return Err(error.hint("send it from a script: `curl -H 'X-Requested-With: host'`"));
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

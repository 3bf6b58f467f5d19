//! Who may ask: only pages of this server, under a loopback name. Other sites' pages run in the same browser, and a name
//! of theirs may lead to loopback.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::failure::Failure;
use super::state::Server;

/// The longest path and query together, in bytes.
const LONGEST_ADDRESS: usize = 8_192;
/// What a page of ours sends with whatever changes something: no form and no link of another site can.
const REQUESTED_WITH: &str = "x-requested-with";
/// Scripts, data and images come from here alone; charts set styles of their own on what they draw.
const POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/// Checks a request, and sets what holds for every answer.
pub(super) async fn guard(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let mut response = match refused(&request, server.address.port()) {
        Some(failure) => failure.into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if is_api {
        set(header::CACHE_CONTROL, "no-store");
    }
    response
}

fn refused(request: &Request, port: u16) -> Option<Failure> {
    let length = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if length > LONGEST_ADDRESS {
        return Some(Failure::too_long(format!("an address of {length} bytes is over {LONGEST_ADDRESS}")));
    }
    let headers = request.headers();
    let Some(host) = text(headers, header::HOST.as_str()).filter(|host| is_loopback(host, port)) else {
        let hint = format!("ask for http://127.0.0.1:{port}");
        return Some(Failure::forbidden("this server answers to its loopback address alone").hint(hint));
    };
    let origin = text(headers, header::ORIGIN.as_str());
    if headers.contains_key(header::ORIGIN) && origin != Some(&format!("http://{host}")) {
        return Some(Failure::forbidden("the request comes from another origin"));
    }
    let is_api = request.uri().path().starts_with("/api/");
    let is_cross = text(headers, "sec-fetch-site").is_some_and(|site| site == "cross-site" || site == "same-site");
    if is_api && is_cross {
        return Some(Failure::forbidden("the request comes from another site"));
    }
    let changes = ![Method::GET, Method::HEAD].contains(request.method());
    if changes && text(headers, REQUESTED_WITH) != Some("host") {
        let failure = Failure::forbidden("a request that changes something comes from the server's own pages");
        return Some(failure.hint("a script sends the header `X-Requested-With: host`"));
    }
    None
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether it is a name of this machine's alone, with the server's port.
fn is_loopback(host: &str, port: u16) -> bool {
    let named = host.rsplit_once(':').filter(|(_, given)| given.parse() == Ok(port));
    named.is_some_and(|(name, _)| ["127.0.0.1", "localhost", "[::1]"].contains(&name))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn a_name_that_leads_here_is_no_name_of_ours() {
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

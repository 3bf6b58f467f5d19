//! The pages, as `make pages` built them into this binary: each file at its path, and `index.html` at every other path.

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::response::IntoResponse as _;
use include_dir::{Dir, File, include_dir};
use sha2::{Digest as _, Sha256};

use super::api_error::ApiError;

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/pages/dist");
const INDEX: &str = "index.html";
/// Shown if the binary was built without the pages.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>host</title>\
    <h1>The pages were not built into this binary</h1>\
    <p><code>make pages</code> builds them, with Node.js 20.19 or newer; then build host again. \
    The API works without them: <a href=\"/api/dashboard\">/api/dashboard</a>.</p></html>";

/// Responds to a path outside of the API with its file, or with `index.html`, whose script shows the page of the path.
pub(super) async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
    if ![Method::GET, Method::HEAD].contains(&method) {
        return ([(header::ALLOW, "GET, HEAD")], method_not_allowed(method, uri).await).into_response();
    }
    let path = uri.path().trim_start_matches('/');
    let file = PAGES.get_file(path);
    // An asset that an update removed is not a page: the browser would run `index.html` as a script.
    if file.is_none() && path.starts_with("assets/") {
        return respond(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "no-store",
            None,
            "this file no longer exists: reload the page\n".as_bytes(),
        );
    }
    let Some(file) = file.or_else(|| PAGES.get_file(INDEX)) else {
        return respond(StatusCode::OK, "text/html; charset=utf-8", "no-store", None, NOT_BUILT.as_bytes());
    };
    let tag = entity_tag(file);
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let (status, body) = if is_known { (StatusCode::NOT_MODIFIED, &[][..]) } else { (StatusCode::OK, file.contents()) };
    respond(status, content_type(file), cache_control(file), Some(&tag), body)
}

/// Whether a path is that of a script, a style or an image of the pages, which have no data.
pub(super) fn is_asset(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    path.starts_with("assets/") || (path != INDEX && PAGES.get_file(path).is_some())
}

/// Responds to a method that a path does not have.
pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let error = ApiError::method_not_allowed(format!("method not allowed: `{}` does not accept {method}", uri.path()));
    error.hint("the header `Allow` of this response lists the methods")
}

/// The entity tag: a hash of the file.
fn entity_tag(file: &File<'_>) -> String {
    let hash = Sha256::digest(file.contents());
    format!("\"{}\"", hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Assets have a hash in their names and never change. Browsers check every other file on each load.
fn cache_control(file: &File<'_>) -> &'static str {
    if file.path().starts_with("assets") { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn content_type(file: &File<'_>) -> &'static str {
    match file.path().extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    cache_control: &'static str,
    tag: Option<&str>,
    body: &'static [u8],
) -> Response<Body> {
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::CACHE_CONTROL, cache_control);
    if let Some(tag) = tag {
        response = response.header(header::ETAG, tag);
    }
    // Constants and a hexadecimal hash are always valid in a header.
    response.body(Body::from(body)).unwrap_or_default()
}

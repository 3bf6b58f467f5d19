//! Builds a plugin's request. It cannot leave the connection's base URL, nor set the headers that belong to the host.

use reqwest::Method;
use reqwest::header::{self, HeaderName, HeaderValue};

use super::connection::Connection;
use super::error::{RequestError, RequestErrorKind};

/// The methods that a plugin may use. A server may echo a TRACE request, including the secret.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// Headers that only the host sets: credentials, and those that mark the end of a request. With the latter a plugin
/// could smuggle a second request.
const RESERVED_HEADERS: [HeaderName; 11] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::CONNECTION,
    header::UPGRADE,
    header::EXPECT,
];

/// A request as a plugin describes it.
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    /// The path below the connection's base URL.
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    /// The rate bucket that it counts against.
    pub(crate) bucket: Option<String>,
}

fn refused(why: impl Into<String>) -> RequestError {
    RequestError::new(RequestErrorKind::Config, "request_refused", why)
}

impl HttpRequest {
    /// Checks and builds the request, without its credential.
    pub(super) fn build(&self, connection: &Connection) -> Result<reqwest::Request, RequestError> {
        if !self.path.starts_with('/') || self.path.starts_with("//") {
            return Err(refused(format!("path `{}` does not start with exactly one `/`", self.path)));
        }
        let base = connection.base.as_str().trim_end_matches('/');
        let url = reqwest::Url::parse(&format!("{base}{}", self.path)).map_err(|cause| refused(cause.to_string()))?;
        let root = connection.base.path().trim_end_matches('/');
        let is_below = url.path().strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if url.origin() != connection.base.origin() || !is_below {
            return Err(refused(format!("path `{}` leaves the connection's base URL", self.path)));
        }
        if !METHODS.contains(&self.method.as_str()) {
            let methods = METHODS.join("`, `");
            return Err(refused(format!("method `{}` is not allowed: expected one of `{methods}`", self.method)));
        }
        let method = self.method.parse::<Method>().map_err(|cause| refused(cause.to_string()))?;
        let mut builder = connection.client.request(method, url);
        if !self.query.is_empty() {
            builder = builder.query(&self.query);
        }
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().map_err(|_| refused(format!("`{name}` is not a valid header name")))?;
            if RESERVED_HEADERS.contains(&name) {
                return Err(refused(format!("header `{name}` is reserved for the host")));
            }
            let value: HeaderValue =
                value.parse().map_err(|_| refused(format!("the value of header `{name}` is not valid")))?;
            builder = builder.header(name, value);
        }
        if let Some(body) = &self.body {
            builder = builder.body(body.clone());
        }
        builder.build().map_err(|cause| refused(cause.without_url().to_string()))
    }
}

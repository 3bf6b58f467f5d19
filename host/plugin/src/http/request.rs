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

/// The most bytes of a request beside its body.
const MAX_TEXTS: usize = 256 << 10;
/// Bytes of a request, and of a pair of texts, beside their texts.
const OVERHEAD: usize = 512;
/// How often the texts of a request exist at once: as the plugin gave them, and in the request that is sent.
const COPIES: usize = 3;

impl HttpRequest {
    /// The memory that the request needs until it is answered.
    pub(crate) fn bytes(&self) -> usize {
        let pair = |(name, value): &(String, String)| OVERHEAD + COPIES * (name.len() + value.len());
        let pairs: usize = self.query.iter().chain(&self.headers).map(pair).sum();
        OVERHEAD + COPIES * self.path.len() + pairs + self.body.as_ref().map_or(0, Vec::len)
    }

    /// Checks and builds the request, without its credential. Takes the body.
    pub(super) fn build(&mut self, connection: &Connection) -> Result<reqwest::Request, RequestError> {
        let pairs = self.query.iter().chain(&self.headers).map(|(name, value)| name.len() + value.len());
        if self.path.len() + pairs.sum::<usize>() > MAX_TEXTS {
            return Err(refused(format!("its path, query and headers are larger than {} KiB", MAX_TEXTS >> 10)));
        }
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
        if let Some(body) = self.body.take() {
            builder = builder.body(body);
        }
        builder.build().map_err(|cause| refused(cause.without_url().to_string()))
    }
}

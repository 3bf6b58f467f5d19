//! HTTP requests over a connection that the pipeline grants.

use crate::bindings::source_plugin::elt::plugin::http as wit;
use crate::error::{Error, ErrorKind, Result};

/// A request. The host adds the base URL and the secret, enforces the rate limits and retries failed requests.
///
/// ```no_run
/// use plugin_sdk::prelude::*;
///
/// # fn read() -> Result<()> {
/// let response = Request::get("/records").query("limit", 100).bucket("general").send("service")?.ok()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    wit: wit::Request,
}

impl Request {
    fn new(method: &str, path: impl Into<String>) -> Self {
        let (query, headers) = (Vec::new(), Vec::new());
        Self {
            wit: wit::Request {
                method: method.to_owned(),
                path: path.into(),
                query,
                headers,
                body: None,
                bucket: None,
            },
        }
    }

    /// A GET request. The path starts with `/` and is appended to the connection's base URL.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A POST request with a JSON body.
    #[must_use]
    pub fn post(path: impl Into<String>, body: &impl serde::Serialize) -> Self {
        let mut request = Self::new("POST", path);
        request.wit.headers.push(("content-type".to_owned(), "application/json".to_owned()));
        // Serialization fails only for maps whose keys are not text.
        request.wit.body = Some(serde_json::to_vec(body).unwrap_or_default());
        request
    }

    /// Adds a query parameter. The host escapes the value.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.wit.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Counts the request against a rate bucket of the plugin's needs, see [`Need::rate_bucket`].
    ///
    /// [`Need::rate_bucket`]: crate::schema::Need::rate_bucket
    #[must_use]
    pub fn bucket(mut self, name: &str) -> Self {
        self.wit.bucket = Some(name.to_owned());
        self
    }

    /// Sends the request and waits for the response, whatever its status.
    ///
    /// # Errors
    ///
    /// If no response came, after all retries.
    pub fn send(self, connection: &str) -> Result<Response> {
        Ok(Response { wit: wit::fetch(connection, &self.wit)? })
    }

    /// Sends requests concurrently and waits for all responses, in the order of the requests.
    ///
    /// # Errors
    ///
    /// If one of the requests got no response, after all retries.
    pub fn send_all(requests: Vec<Self>, connection: &str) -> Result<Vec<Response>> {
        Self::start_all(requests, connection).answers()
    }

    /// Sends requests concurrently without waiting for the responses, so that the plugin can do other work meanwhile.
    ///
    /// ```no_run
    /// use plugin_sdk::prelude::*;
    ///
    /// # fn read() -> Result<()> {
    /// let sent = Request::start_all(vec![Request::get("/a"), Request::get("/b")], "service");
    /// // ... decode the previous responses ...
    /// let responses = sent.answers()?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn start_all(requests: Vec<Self>, connection: &str) -> Sent {
        let requests: Vec<_> = requests.into_iter().map(|request| request.wit).collect();
        Sent { wit: wit::send_all(connection, &requests) }
    }
}

/// Requests that are being sent. Dropping it cancels them.
#[derive(Debug)]
pub struct Sent {
    wit: wit::Sent,
}

impl Sent {
    /// Waits for the responses, in the order of the requests.
    ///
    /// # Errors
    ///
    /// If one of the requests got no response, after all retries.
    pub fn answers(self) -> Result<Vec<Response>> {
        self.wit.answers().into_iter().map(|response| Ok(Response { wit: response? })).collect()
    }
}

/// A response. Its body stays in the host until the plugin asks for it; [`JsonTable`] decodes it there.
///
/// [`JsonTable`]: crate::source::JsonTable
#[derive(Debug)]
pub struct Response {
    pub(crate) wit: wit::Response,
}

impl Response {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.wit.status()
    }

    /// The value of a header; names are case-insensitive.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.wit.header(name)
    }

    /// The value at a JSON pointer of the body: a string without its quotes, any other value as JSON text. None if the
    /// value is absent or null, or the body is not JSON.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<String> {
        self.wit.get(&[pointer.to_owned()]).pop().flatten()
    }

    /// The JSON body as a type of the plugin. Use [`JsonTable`](crate::source::JsonTable) for records: it does not copy
    /// the body into the plugin.
    ///
    /// # Errors
    ///
    /// If the body is not JSON of this type. [`Error::is_broken_body`] is true for such an error.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.wit.body())
            .map_err(|cause| Error::data(format!("the response body is not the expected JSON: {cause}")))
    }

    /// The response itself if its status is 2xx.
    ///
    /// # Errors
    ///
    /// If the status is not 2xx. 401 and 403 give an error of kind `Auth`, 429 `RateLimited`, other 4xx `Data`, and
    /// everything else `Transient`. The message has the text at `/message` of the body.
    pub fn ok(self) -> Result<Self> {
        let status = self.status();
        let kind = match status {
            200..=299 => return Ok(self),
            401 | 403 => ErrorKind::Auth,
            429 => ErrorKind::RateLimited,
            400..=499 => ErrorKind::Data,
            _ => ErrorKind::Transient,
        };
        let message = self.get("/message").unwrap_or_default();
        let separator = if message.is_empty() { "" } else { ": " };
        Err(Error::new(kind, &format!("http_{status}"), format!("the server answered {status}{separator}{message}")))
    }
}

//! Requests over a granted connection: built in one line, answered with what the host decoded.

use crate::bindings::source_plugin::elt::plugin::http as wit;
use crate::error::{Error, ErrorKind, Result};

/// A request; the host adds base URL and secret, paces it and retries it.
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

    /// A GET of this path.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A POST of a JSON body to this path.
    #[must_use]
    pub fn post(path: impl Into<String>, body: &impl serde::Serialize) -> Self {
        let mut request = Self::new("POST", path);
        request.wit.headers.push(("content-type".to_owned(), "application/json".to_owned()));
        // Bodies are maps with text keys, which always have a JSON text.
        request.wit.body = Some(serde_json::to_vec(body).unwrap_or_default());
        request
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.wit.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Names the rate bucket that it counts against.
    #[must_use]
    pub fn bucket(mut self, name: &str) -> Self {
        self.wit.bucket = Some(name.to_owned());
        self
    }

    /// Sends it; the answer may have any status.
    pub fn send(self, connection: &str) -> Result<Response> {
        Ok(Response { wit: wit::fetch(connection, &self.wit)? })
    }

    /// Sends all at once; answers in the order of the requests.
    pub fn send_all(requests: Vec<Self>, connection: &str) -> Result<Vec<Response>> {
        Self::start_all(requests, connection).answers()
    }

    /// Sends all at once without waiting: the plugin works on while they are on their way.
    #[must_use]
    pub fn start_all(requests: Vec<Self>, connection: &str) -> Sent {
        let requests: Vec<_> = requests.into_iter().map(|request| request.wit).collect();
        Sent { wit: wit::send_all(connection, &requests) }
    }
}

/// Requests on their way; dropped, they are given up.
#[derive(Debug)]
pub struct Sent {
    wit: wit::Sent,
}

impl Sent {
    /// Waits for the answers, in the order of the requests.
    pub fn answers(self) -> Result<Vec<Response>> {
        self.wit.answers().into_iter().map(|answer| Ok(Response { wit: answer? })).collect()
    }
}

/// An answer whose body stays in the host until it is asked for.
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

    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.wit.header(name)
    }

    /// The value at a JSON pointer, as text; none where absent, null or not JSON.
    #[must_use]
    pub fn get(&self, pointer: &str) -> Option<String> {
        self.wit.get(&[pointer.to_owned()]).pop().flatten()
    }

    /// The body as a type of one's own.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.wit.body())
            .map_err(|cause| Error::data(format!("the answer is not as expected: {cause}")))
    }

    /// The answer itself if its status is 2xx; else an error of the kind that the status tells.
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

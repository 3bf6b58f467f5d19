//! Why a request has no response.

/// What the reader of an error does next, as the contract tells kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestErrorKind {
    /// Fix the plugin's request or the pipeline.
    Config,
    /// Fix the secret.
    Auth,
    /// Run again after the server's limit has passed.
    RateLimited,
    /// Run again later.
    Transient,
    /// Check the response.
    Data,
    /// Report a bug in the host.
    Internal,
}

/// A request without a response.
#[derive(Debug, Clone)]
pub(crate) struct RequestError {
    pub(crate) kind: RequestErrorKind,
    /// A word for the plugin's code.
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl RequestError {
    pub(crate) fn new(kind: RequestErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

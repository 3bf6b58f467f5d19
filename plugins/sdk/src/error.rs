//! The contract's error, with a constructor for each kind: what the reader should do next decides which.

use crate::bindings::source_plugin::elt::plugin::types as wit;
pub use wit::ErrorKind;

/// What plugin functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// An error as the contract carries it: a kind by the next step, a code for machines, a message for people.
#[derive(Debug, Clone)]
pub struct Error {
    /// What the reader should do next.
    pub kind: ErrorKind,
    /// A stable word for machines, such as `missing_scopes`.
    pub code: String,
    /// What failed, on which thing; lowercase, no final period.
    pub message: String,
    /// How long to wait before another try, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// How to mend it, shown as `hint:`.
    pub hint: Option<String>,
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), retry_after_ms: None, hint: None }
    }

    /// The pipeline must be mended.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, "config", message)
    }

    /// A record or an answer is not what it should be.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, "data", message)
    }

    /// Whether an answer's body could not be read, so that the same request may do better.
    #[must_use]
    pub fn is_broken_body(&self) -> bool {
        self.kind == ErrorKind::Data && ["host", "data"].contains(&self.code.as_str())
    }

    /// Adds how to mend it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        let hint = error.details_json.as_deref().and_then(|details| {
            let details: serde_json::Value = serde_json::from_str(details).ok()?;
            Some(details.get("hint")?.as_str()?.to_owned())
        });
        Self { kind: error.kind, code: error.code, message: error.message, retry_after_ms: error.retry_after_ms, hint }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let details_json = error.hint.map(|hint| serde_json::json!({ "hint": hint }).to_string());
        Self {
            kind: error.kind,
            code: error.code,
            message: error.message,
            retry_after_ms: error.retry_after_ms,
            details_json,
        }
    }
}

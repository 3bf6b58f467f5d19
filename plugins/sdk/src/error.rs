//! The error that plugin functions return: a kind, a code, a message and a hint.

use crate::bindings::source_plugin::elt::plugin::types as wit;
/// The kind of an error, which decides what a person should do next.
///
/// - `Config`: fix the pipeline.
/// - `Auth`: fix the secret or its scopes.
/// - `RateLimited`, `Transient`: run again later.
/// - `Data`: inspect the record or the response.
/// - `Internal`: report a bug in the plugin.
pub use wit::ErrorKind;

/// The result of plugin functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error for the host: a kind that says what to do next, a code for programs, a message and a hint for people.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// let error = Error::config("`columns` is empty").hint("name at least one column");
/// assert_eq!(error.kind, ErrorKind::Config);
///
/// let error = Error::new(ErrorKind::Transient, "locked", "the account is being migrated");
/// assert_eq!(error.code, "locked");
/// ```
#[derive(Debug, Clone)]
pub struct Error {
    /// What a person should do next.
    pub kind: ErrorKind,
    /// A stable word for programs, such as `missing_scopes`.
    pub code: String,
    /// What failed, on which thing and why; starts in lower case, without a final period.
    pub message: String,
    /// How long to wait before the next attempt, in milliseconds.
    pub retry_after_ms: Option<u64>,
    /// How to fix it, shown after `hint:`.
    pub hint: Option<String>,
}

impl Error {
    /// An error of any kind.
    pub fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self { kind, code: code.to_owned(), message: message.into(), retry_after_ms: None, hint: None }
    }

    /// An error of kind `Config`: the pipeline must be fixed.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, "config", message)
    }

    /// An error of kind `Data`: a record or a response is not as it should be.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, "data", message)
    }

    /// Whether the body of a response could not be decoded, for example because it was cut off. The same request may
    /// succeed if it is sent again.
    #[must_use]
    pub fn is_broken_body(&self) -> bool {
        self.kind == ErrorKind::Data && ["host", "data"].contains(&self.code.as_str())
    }

    /// Adds how to fix it: a command to run or a line to add.
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

//! What a plugin needs from the pipeline and the host.

use crate::bindings::source_plugin::elt::plugin::types as wit;

/// Something that a plugin needs: a grant of the pipeline, or a rate limit or retry policy of the host.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// let needs = vec![
///     Need::connection("service"),
///     Need::rate_bucket("general", 190, 10_000), // 190 requests in 10 s
///     Need::file("map", true),
/// ];
/// ```
#[derive(Debug, Clone)]
pub struct Need {
    pub(crate) wit: wit::Need,
}

impl Need {
    fn new(kind: &str, name: &str, details: &serde_json::Value) -> Self {
        Self { wit: wit::Need { kind: kind.to_owned(), name: name.to_owned(), details_json: details.to_string() } }
    }

    /// A connection. The pipeline grants it with `connections = { NAME = "CONNECTION" }`.
    #[must_use]
    pub fn connection(name: &str) -> Self {
        Self::new("connection", name, &serde_json::json!({}))
    }

    /// A file. The pipeline grants it with `files = { NAME = "PATH" }`, and may leave an optional one out.
    #[must_use]
    pub fn file(name: &str, optional: bool) -> Self {
        Self::new("file", name, &serde_json::json!({ "optional": optional }))
    }

    /// Another stream that a rule of table scope reads. The pipeline grants it with
    /// `inputs = { NAME = "source.stream" }`, and may leave an optional one out.
    #[must_use]
    pub fn input(name: &str, optional: bool) -> Self {
        Self::new("input", name, &serde_json::json!({ "optional": optional }))
    }

    /// A rate limit: at most `requests` requests of this bucket start in any `per_ms` milliseconds.
    #[must_use]
    pub fn rate_bucket(name: &str, requests: u32, per_ms: u32) -> Self {
        Self::new("rate-bucket", name, &serde_json::json!({ "requests": requests, "per-ms": per_ms }))
    }

    /// Lets response headers adjust a rate bucket. The arguments are the names of the headers with the allowed number
    /// of requests, the interval in milliseconds, and the remaining number of requests.
    ///
    /// ```
    /// use plugin_sdk::prelude::*;
    ///
    /// let general = Need::rate_bucket("general", 190, 10_000).corrected_by(
    ///     "x-ratelimit-max",
    ///     "x-ratelimit-interval-milliseconds",
    ///     "x-ratelimit-remaining",
    /// );
    /// ```
    #[must_use]
    pub fn corrected_by(self, max: &str, interval_ms: &str, remaining: &str) -> Self {
        let headers = [("max-header", max), ("interval-ms-header", interval_ms), ("remaining-header", remaining)];
        headers.into_iter().fold(self, |need, (key, header)| need.with(key, header))
    }

    /// Changes which responses the host retries.
    ///
    /// `statuses` are HTTP statuses to retry in addition to 429 and 5xx, each with the shortest wait in milliseconds.
    /// `last` are responses that are never retried: a status and, if given, a JSON pointer into the body and the text
    /// at that pointer.
    ///
    /// ```
    /// use plugin_sdk::prelude::*;
    ///
    /// // Retry 423 after 2 s. A 429 whose body says that a daily limit is reached is not retried.
    /// let retry = Need::retry(&[(423, 2000)], &[(429, Some(("/policyName", "DAILY")))]);
    /// ```
    #[must_use]
    pub fn retry(statuses: &[(u16, u32)], last: &[(u16, Option<(&str, &str)>)]) -> Self {
        let status = |&(status, wait): &(u16, u32)| serde_json::json!({ "status": status, "wait-ms": wait });
        let is_final = |&(status, value): &(u16, Option<(&str, &str)>)| match value {
            Some((pointer, value)) => serde_json::json!({ "status": status, "pointer": pointer, "value": value }),
            None => serde_json::json!({ "status": status }),
        };
        let statuses: Vec<_> = statuses.iter().map(status).collect();
        let last: Vec<_> = last.iter().map(is_final).collect();
        Self::new("retry", "http", &serde_json::json!({ "statuses": statuses, "final": last }))
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        // `new` wrote the details, so they are a JSON object.
        let mut details: serde_json::Value = serde_json::from_str(&self.wit.details_json).unwrap_or_default();
        details[key] = value.into();
        self.wit.details_json = details.to_string();
        self
    }
}

//! Which requests are retried, and after which delay.

use std::collections::BTreeMap;
use std::time::Duration;

use super::response::HttpResponse;

/// How often a failed request is retried, and after which delays.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// The most retries of a request.
    pub max_retries: usize,
    /// The delay before the first retry. It doubles with each retry.
    pub first_delay: Duration,
    /// The longest delay.
    pub max_delay: Duration,
}

impl RetryPolicy {
    pub(super) fn backoff(&self) -> backon::ExponentialBuilder {
        backon::ExponentialBuilder::default()
            .with_min_delay(self.first_delay)
            .with_max_delay(self.max_delay)
            .with_max_times(self.max_retries)
            .with_jitter()
    }
}

/// Which responses are retried: status 429, 5xx and the listed ones, except for final responses.
#[derive(Debug, Clone, Default)]
pub struct RetryableResponses {
    /// Further statuses, each with the shortest delay that the plugin asks for.
    pub statuses: BTreeMap<u16, Duration>,
    /// Responses that are never retried.
    pub final_responses: Vec<FinalResponse>,
}

/// A response that a retry would not change.
#[derive(Debug, Clone)]
pub struct FinalResponse {
    /// The status.
    pub status: u16,
    /// A JSON pointer into the body, and the value that it must have there. None matches every body.
    pub value: Option<(String, String)>,
}

impl RetryableResponses {
    pub(super) fn is_retryable(&self, response: &HttpResponse) -> bool {
        let status = response.status;
        let may_pass = status == 429 || status >= 500 || self.statuses.contains_key(&status);
        let matches = |last: &FinalResponse| {
            let has_value = |(pointer, value): &(String, String)| response.get(pointer).as_ref() == Some(value);
            last.status == status && last.value.as_ref().is_none_or(has_value)
        };
        may_pass && !self.final_responses.iter().any(matches)
    }

    pub(super) fn min_delay(&self, response: &HttpResponse) -> Duration {
        self.statuses.get(&response.status).copied().unwrap_or_default()
    }
}

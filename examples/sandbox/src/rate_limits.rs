//! HubSpot's rate limits: a rolling 10 s window for most requests, a 1 s window for search, and a daily total.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

/// Requests allowed per window; `None` means unlimited.
#[derive(Debug, Clone, Copy, Default)]
pub struct RateLimits {
    /// Requests in 10 seconds, searches not counted.
    pub ten_secondly: Option<usize>,
    /// Searches in one second.
    pub search_secondly: Option<usize>,
    /// Requests in a day. The day starts with the server and does not end.
    pub daily: Option<usize>,
}

const TEN_SECONDS: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// Counts the accepted requests of each window.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    general: VecDeque<Instant>,
    searches: VecDeque<Instant>,
    today: usize,
}

impl RateLimiter {
    /// Counts a request, or returns the name of the policy that it exceeds.
    pub(crate) fn count(&mut self, limits: RateLimits, is_search: bool) -> Option<&'static str> {
        if limits.daily.is_some_and(|limit| self.today >= limit) {
            return Some("DAILY");
        }
        let (window, limit, length, policy) = match is_search {
            true => (&mut self.searches, limits.search_secondly, SECOND, "SECONDLY"),
            false => (&mut self.general, limits.ten_secondly, TEN_SECONDS, "TEN_SECONDLY_ROLLING"),
        };
        let now = Instant::now();
        while window.front().is_some_and(|then| now.duration_since(*then) >= length) {
            window.pop_front();
        }
        if limit.is_some_and(|limit| window.len() >= limit) {
            return Some(policy);
        }
        window.push_back(now);
        self.today += 1;
        None
    }

    /// Sets the rate limit headers of a response. HubSpot sends none with search results.
    pub(crate) fn set_headers(&self, limits: RateLimits, is_search: bool, headers: &mut HeaderMap) {
        let Some(limit) = limits.ten_secondly.filter(|_| !is_search) else { return };
        let mut set = |name: &'static str, value: usize| {
            headers.insert(name, value.into());
        };
        set("x-hubspot-ratelimit-max", limit);
        set("x-hubspot-ratelimit-remaining", limit.saturating_sub(self.general.len()));
        set("x-hubspot-ratelimit-interval-milliseconds", 10_000);
        if let Some(daily) = limits.daily {
            set("x-hubspot-ratelimit-daily", daily);
            set("x-hubspot-ratelimit-daily-remaining", daily.saturating_sub(self.today));
        }
    }
}

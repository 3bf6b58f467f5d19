//! Rate limits as HubSpot has them: a rolling window for most requests, one a second for search, one a day.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;

/// How many requests pass; none: no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Within ten seconds, beside search.
    pub ten_secondly: Option<usize>,
    /// Searches within a second.
    pub search_secondly: Option<usize>,
    /// In a day, which is as long as the server runs.
    pub daily: Option<usize>,
}

const TEN_SECONDS: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// What came so far.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    general: VecDeque<Instant>,
    searches: VecDeque<Instant>,
    today: usize,
}

impl Recent {
    /// Counts a request; the policy that it breaks, if any.
    pub(crate) fn count(&mut self, limits: Limits, is_search: bool) -> Option<&'static str> {
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

    /// The headers of an answer; search has none.
    pub(crate) fn headers(&self, limits: Limits, is_search: bool, headers: &mut HeaderMap) {
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

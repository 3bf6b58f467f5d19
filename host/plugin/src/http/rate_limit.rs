//! Rate limits: a rolling window per bucket, adapted to the limits that the server reports.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;

/// The rate limit of a bucket: the most requests within any window of its length.
#[derive(Debug, Clone)]
pub struct RateBucket {
    /// The most requests within a window.
    pub requests: u32,
    /// The length of the window.
    pub window: Duration,
    /// Response headers that adapt the limit. None if the pipeline sets the limit.
    pub headers: Option<RateLimitHeaders>,
    /// Whether the pipeline sets the limit. If not, a plugin or a server does, and may not make requests wait for long.
    pub is_of_pipeline: bool,
}

/// Names of the response headers that report a server's limit.
#[derive(Debug, Clone)]
pub struct RateLimitHeaders {
    /// The most requests within a window.
    pub max: String,
    /// The length of the window, in milliseconds.
    pub interval_ms: String,
    /// The requests that are left in the window.
    pub remaining: String,
}

/// How much the time to reach the server may differ between two requests.
const JITTER: Duration = Duration::from_millis(100);
/// How long to wait while other clients use up the same limit.
const SHARED_LIMIT_PAUSE: Duration = Duration::from_secs(1);
/// The shortest window.
const SHORTEST_WINDOW: Duration = Duration::from_millis(1);
/// The longest wait for a limit that the pipeline does not set. A longer one is left to the next run.
const MAX_WAIT: Duration = Duration::from_secs(600);
/// The longest window that a plugin or a server may set. A request is remembered until its window ends.
const MAX_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// A rolling window over the requests of a bucket. A leaky bucket would exceed such a limit in bursts or leave a good part
/// of it unused.
pub(super) struct RollingWindow {
    headers: Option<RateLimitHeaders>,
    max_wait: Duration,
    state: Mutex<WindowState>,
}

struct WindowState {
    requests: usize,
    length: Duration,
    sent: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl RollingWindow {
    pub(super) fn new(bucket: &RateBucket) -> Self {
        let requests = bucket.requests.max(1) as usize;
        let longest = if bucket.is_of_pipeline { Duration::MAX } else { MAX_WINDOW };
        let max_wait = if bucket.is_of_pipeline { Duration::MAX } else { MAX_WAIT };
        let length = padded(bucket.window.clamp(SHORTEST_WINDOW, longest));
        let state = WindowState { requests, length, sent: VecDeque::new(), paused_until: None };
        Self { headers: bucket.headers.clone(), max_wait, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, WindowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request. Returns how long to wait if the window is full.
    pub(super) fn take(&self, now: Instant) -> Option<Duration> {
        let mut state = self.state();
        if let Some(until) = state.paused_until.filter(|until| *until > now) {
            return Some(until - now);
        }
        let length = state.length;
        while state.sent.front().is_some_and(|then| now.duration_since(*then) >= length) {
            state.sent.pop_front();
        }
        if state.sent.len() < state.requests {
            state.sent.push_back(now);
            return None;
        }
        state.sent.front().map(|then| length.saturating_sub(now.duration_since(*then)))
    }

    /// Whether the wait for a full window is too long for this run. A pause has limits of its own.
    pub(super) fn is_too_long(&self, now: Instant, wait: Duration) -> bool {
        wait > self.max_wait && self.state().paused_until.is_none_or(|until| until <= now)
    }

    /// Blocks all requests for a while.
    pub(super) fn pause(&self, now: Instant, wait: Duration) {
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(now + wait));
    }

    /// Adapts the limit to a response's headers.
    pub(super) fn adapt(&self, now: Instant, response: &HeaderMap) {
        let Some(names) = &self.headers else { return };
        let number = |name: &String| response.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let mut state = self.state();
        if let Some(max) = number(&names.max).filter(|max| *max > 0) {
            state.requests = max as usize;
        }
        if let Some(interval) = number(&names.interval_ms).filter(|interval| *interval > 0) {
            state.length = padded(Duration::from_millis(interval.into()).min(MAX_WINDOW));
        }
        // None are left although few were sent: other clients share the limit.
        if number(&names.remaining) == Some(0) && state.sent.len() < state.requests - state.requests / 10 {
            state.paused_until = state.paused_until.max(Some(now + SHARED_LIMIT_PAUSE));
        }
    }

    /// The allowed requests per second.
    pub(super) fn requests_per_second(&self) -> f64 {
        let state = self.state();
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let requests = state.requests as f64;
        requests / state.length.as_secs_f64()
    }
}

/// A slightly longer window: the server's window starts when a request arrives, so jitter could count a request twice.
fn padded(length: Duration) -> Duration {
    length + JITTER.min(length / 10)
}

#[cfg(test)]
mod tests {
    use super::{RateBucket, RateLimitHeaders, RollingWindow};
    use reqwest::header::{HeaderMap, HeaderValue};
    use std::time::{Duration, Instant};

    fn window(requests: u32) -> RollingWindow {
        let name = |name: &str| name.to_owned();
        let headers =
            RateLimitHeaders { max: name("x-max"), interval_ms: name("x-interval"), remaining: name("x-left") };
        let (window, headers) = (Duration::from_secs(10), Some(headers));
        RollingWindow::new(&RateBucket { requests, window, headers, is_of_pipeline: false })
    }

    fn allowed(window: &RollingWindow, now: Instant) -> usize {
        (0..1000).take_while(|_| window.take(now).is_none()).count()
    }

    #[test]
    fn a_full_window_blocks_until_its_oldest_request_leaves() {
        let window = window(3);
        let start = Instant::now();
        assert_eq!(allowed(&window, start), 3);
        let later = start + Duration::from_secs(9);
        let wait = window.take(later).expect("the window is full");
        assert!(wait > Duration::from_secs(1), "{wait:?}");
        assert!(window.take(later + wait).is_none());
    }

    #[test]
    fn a_window_adapts_to_headers() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
        };
        let start = Instant::now();
        let adapted = window(190);
        adapted.adapt(start, &headers(&[("x-max", "110"), ("x-interval", "10000"), ("x-left", "109")]));
        assert_eq!(allowed(&adapted, start), 110);
        let shared = window(190);
        shared.adapt(start, &headers(&[("x-left", "0")]));
        assert_eq!(allowed(&shared, start), 0);
        assert!(shared.take(start + Duration::from_secs(2)).is_none());
    }

    #[test]
    fn a_window_that_the_pipeline_does_not_set_is_bounded() {
        let window = |window: Duration, is_of_pipeline: bool| {
            let window = RollingWindow::new(&RateBucket { requests: 1, window, headers: None, is_of_pipeline });
            let start = Instant::now();
            assert!(window.take(start).is_none());
            let wait = window.take(start).expect("the window is full");
            (wait, window.is_too_long(start, wait))
        };
        let (year, minute) = (Duration::from_secs(365 * 24 * 3600), Duration::from_secs(60));
        assert!(!window(minute, false).1 && window(year, false).1 && !window(year, true).1);
        assert!(window(Duration::from_millis(u64::MAX), false).0 < year);
        assert!(!window(Duration::ZERO, false).1);
    }

    #[test]
    fn a_paused_window_blocks() {
        let paused = window(190);
        let start = Instant::now();
        paused.pause(start, Duration::from_secs(2));
        assert_eq!(paused.take(start), Some(Duration::from_secs(2)));
        assert!(paused.take(start + Duration::from_secs(2)).is_none());
    }
}

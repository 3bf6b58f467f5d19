//! The pace of requests: rolling windows, one a rate bucket, corrected by what the server says of its limits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;

/// At most so many requests within any stretch of this length.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Requests.
    pub requests: u32,
    /// The stretch.
    pub length: Duration,
    /// The headers that correct it; none where the pipeline says what it is.
    pub headers: Option<PaceHeaders>,
}

/// Names of headers in which a server tells its limit.
#[derive(Debug, Clone)]
pub struct PaceHeaders {
    /// Requests in a stretch.
    pub max: String,
    /// The stretch, in milliseconds.
    pub interval_ms: String,
    /// Requests left in it.
    pub remaining: String,
}

/// By how much the way of two requests to the server may differ.
const JITTER: Duration = Duration::from_millis(100);
/// How long to wait where others use up the same limit.
const CROWDED: Duration = Duration::from_secs(1);

/// A rolling window: so many requests within any stretch of its length, as HubSpot counts them. (A leaky bucket
/// either bursts over such a limit or leaves a good part of it unused.)
pub(super) struct Window {
    headers: Option<PaceHeaders>,
    state: Mutex<State>,
}

struct State {
    requests: usize,
    length: Duration,
    sent: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl Window {
    pub(super) fn new(pace: &Pace) -> Self {
        let requests = pace.requests.max(1) as usize;
        let state = State { requests, length: padded(pace.length), sent: VecDeque::new(), paused_until: None };
        Self { headers: pace.headers.clone(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place, or says how long until one may be free.
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

    /// Lets no request pass for a while.
    pub(super) fn pause(&self, now: Instant, wait: Duration) {
        let mut state = self.state();
        state.paused_until = state.paused_until.max(Some(now + wait));
    }

    /// Corrects the pace by an answer's headers.
    pub(super) fn learn(&self, now: Instant, answer: &HeaderMap) {
        let Some(names) = &self.headers else { return };
        let number = |name: &String| answer.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
        let mut state = self.state();
        if let Some(max) = number(&names.max).filter(|max| *max > 0) {
            state.requests = max as usize;
        }
        if let Some(interval) = number(&names.interval_ms).filter(|interval| *interval > 0) {
            state.length = padded(Duration::from_millis(interval.into()));
        }
        // None left although we sent few: others share the limit.
        if number(&names.remaining) == Some(0) && state.sent.len() < state.requests - state.requests / 10 {
            state.paused_until = state.paused_until.max(Some(now + CROWDED));
        }
    }

    /// Requests a second that it allows.
    pub(super) fn rate(&self) -> f64 {
        let state = self.state();
        #[expect(clippy::cast_precision_loss, reason = "shown to a digit")]
        let requests = state.requests as f64;
        requests / state.length.as_secs_f64()
    }
}

/// The server's window starts when a request arrives: a little longer here keeps jitter from counting twice.
fn padded(length: Duration) -> Duration {
    length + JITTER.min(length / 10)
}

#[cfg(test)]
mod tests {
    use super::{Pace, PaceHeaders, Window};
    use reqwest::header::{HeaderMap, HeaderValue};
    use std::time::{Duration, Instant};

    fn window(requests: u32) -> Window {
        let name = |name: &str| name.to_owned();
        let headers = PaceHeaders { max: name("x-max"), interval_ms: name("x-interval"), remaining: name("x-left") };
        Window::new(&Pace { requests, length: Duration::from_secs(10), headers: Some(headers) })
    }

    fn passes(window: &Window, now: Instant) -> usize {
        (0..1000).take_while(|_| window.take(now).is_none()).count()
    }

    #[test]
    fn no_window_holds_more_than_its_limit() {
        let window = window(3);
        let start = Instant::now();
        assert_eq!(passes(&window, start), 3);
        let later = start + Duration::from_secs(9);
        let wait = window.take(later).expect("the window is full");
        assert!(wait > Duration::from_secs(1), "{wait:?}");
        assert!(window.take(later + wait).is_none());
    }

    #[test]
    fn a_window_learns_from_headers() {
        let answer = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().expect("a name"), HeaderValue::from_static(value))).collect()
        };
        let start = Instant::now();
        let learned = window(190);
        learned.learn(start, &answer(&[("x-max", "110"), ("x-interval", "10000"), ("x-left", "109")]));
        assert_eq!(passes(&learned, start), 110);
        let crowded = window(190);
        crowded.learn(start, &answer(&[("x-left", "0")]));
        assert_eq!(passes(&crowded, start), 0);
        assert!(crowded.take(start + Duration::from_secs(2)).is_none());
    }

    #[test]
    fn a_paused_window_waits() {
        let paused = window(190);
        let start = Instant::now();
        paused.pause(start, Duration::from_secs(2));
        assert_eq!(paused.take(start), Some(Duration::from_secs(2)));
        assert!(paused.take(start + Duration::from_secs(2)).is_none());
    }
}

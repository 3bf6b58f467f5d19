//! Progress events of a run. The command or the server that started the run decides how to show them.

use std::sync::Arc;

/// A progress event.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step of a run started.
    Step {
        /// `prepare`, `extract`, `clean` or `marts`.
        step: &'static str,
    },
    /// A step failed for a temporary reason and will be retried.
    Retry {
        /// The step.
        step: &'static str,
        /// Why it failed.
        why: String,
        /// Seconds until the retry.
        seconds: u64,
    },
    /// A stream is being read.
    Extract {
        /// `source.stream`.
        stream: String,
        /// Rows so far.
        rows: u64,
        /// Requests so far.
        requests: u64,
        /// Requests per second that the rate limit allows. None without a limit.
        allowed: Option<f64>,
        /// Rows expected, if known.
        total: Option<u64>,
        /// Whether it is finished.
        done: bool,
    },
    /// A stream is being cleaned.
    Clean {
        /// `source.stream`.
        stream: String,
        /// Rows so far.
        rows: u64,
        /// Whether it is finished.
        done: bool,
    },
    /// A model or check is finished.
    Model {
        /// `schema.name`.
        model: String,
        /// Whether it failed.
        failed: bool,
        /// How many are finished.
        done: usize,
        /// How many there are.
        of: usize,
    },
}

/// A sink for events, shared by the tasks of a run.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Event) + Send + Sync>);

impl Progress {
    /// Sends events to a function. It must return quickly, because the run waits for it.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Discards all events.
    #[must_use]
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Sends an event.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }
}

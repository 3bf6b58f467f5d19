//! What a run tells while it runs; the command decides how it looks.

use std::sync::Arc;

/// Something that happened.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A step of a run began.
    Step {
        /// `prepare`, `extract`, `clean` or `marts`.
        step: &'static str,
    },
    /// A step failed for a reason that may pass, and is run again.
    Again {
        /// The step.
        step: &'static str,
        /// Why it failed.
        why: String,
        /// Seconds until then.
        seconds: u64,
    },
    /// A stream's reading went on.
    Extract {
        /// `source.stream`.
        stream: String,
        /// Rows so far.
        rows: u64,
        /// Requests so far.
        requests: u64,
        /// Requests a second that the source's limit allows, if it has one.
        allowed: Option<f64>,
        /// Rows that this reading will bring, if known.
        total: Option<u64>,
        /// Whether it is finished.
        done: bool,
    },
    /// A stream's cleaning went on.
    Clean {
        /// `source.stream`.
        stream: String,
        /// Rows so far.
        rows: u64,
        /// Whether it is finished.
        done: bool,
    },
    /// A model or check is done.
    Model {
        /// `schema.name`.
        model: String,
        /// Whether it could not be built, or did not hold.
        failed: bool,
        /// How many are done.
        done: usize,
        /// Of how many.
        of: usize,
    },
}

/// Where events go; shared by the tasks of a run.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Event) + Send + Sync>);

impl Progress {
    /// Sends events to a function, which must return soon.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Tells an event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

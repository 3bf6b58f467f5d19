//! The active runs, and what workers and requests share about them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use host_core::clock::Clock;

use super::active_run::ActiveRun;
use super::alerts::AlertSender;
use super::events::EventBroadcast;

/// What workers and requests share.
pub(super) struct RunRegistry {
    pub(super) clock: Clock,
    pub(super) events: EventBroadcast,
    pub(super) alerts: AlertSender,
    active: Mutex<ActiveRuns>,
}

/// The active runs. A pipeline has one at most.
#[derive(Default)]
pub(super) struct ActiveRuns {
    pub(super) by_pipeline: BTreeMap<String, Arc<ActiveRun>>,
    /// The greatest id of any run: the runs of a warehouse start in the order of their ids.
    pub(super) last_id: Option<String>,
}

impl RunRegistry {
    /// Without active runs. `last_id` is the greatest id of any run in the warehouses.
    pub(super) fn new(clock: Clock, events: EventBroadcast, alerts: AlertSender, last_id: Option<String>) -> Self {
        let active = Mutex::new(ActiveRuns { by_pipeline: BTreeMap::new(), last_id });
        Self { clock, events, alerts, active }
    }

    /// The active runs, locked.
    pub(super) fn lock(&self) -> MutexGuard<'_, ActiveRuns> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a run that ended, so that the pipeline may start the next one.
    pub(super) fn remove(&self, run: &ActiveRun) {
        self.lock().by_pipeline.remove(&run.pipeline);
    }
}

//! What happens, to whoever listens. Telling never waits: who listens too slowly misses some, and is told all anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio::sync::broadcast;

/// Events that wait for the slowest listener.
const WAITING: usize = 1_024;

/// Where events go.
#[derive(Clone)]
pub(super) struct Events {
    sender: broadcast::Sender<Event>,
    told: Arc<AtomicU64>,
}

/// One event.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Its number since the server started.
    pub(super) id: u64,
    /// `run`, `progress`, `log` or `snapshot`.
    pub(super) name: &'static str,
    /// JSON.
    pub(super) data: Arc<str>,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { sender: broadcast::Sender::new(WAITING), told: Arc::default() }
    }

    /// Tells an event.
    pub(super) fn tell(&self, name: &'static str, data: &Value) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        // Nobody may listen any more.
        let _ = self.sender.send(self.event(name, data));
    }

    /// An event for one listener alone.
    pub(super) fn event(&self, name: &'static str, data: &Value) -> Event {
        Event { id: self.told.fetch_add(1, Ordering::Relaxed), name, data: data.to_string().into() }
    }

    /// Hears all events from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }
}

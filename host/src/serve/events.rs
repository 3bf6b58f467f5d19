//! Events of runs, broadcast to every open page. Publishing never waits: a subscriber that falls behind loses events
//! and gets a new snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use tokio::sync::broadcast;

/// Events kept for the slowest subscriber.
const CAPACITY: usize = 1_024;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerEventKind {
    /// The state of all pipelines.
    Snapshot,
    /// A run with its status.
    Run,
    /// A stream or a model of a run.
    Progress,
    /// A line of a run's log.
    Log,
}

impl ServerEventKind {
    /// The name in the event stream.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Run => "run",
            Self::Progress => "progress",
            Self::Log => "log",
        }
    }
}

/// An event as it is sent.
#[derive(Debug, Clone)]
pub(super) struct ServerEvent {
    /// Its number since the server started.
    pub(super) id: u64,
    /// What it is about.
    pub(super) kind: ServerEventKind,
    /// JSON.
    pub(super) data: Arc<str>,
}

/// The sender of events to all subscribers.
#[derive(Clone)]
pub(super) struct EventBroadcast {
    sender: broadcast::Sender<ServerEvent>,
    next_id: Arc<AtomicU64>,
}

impl EventBroadcast {
    pub(super) fn new() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), next_id: Arc::default() }
    }

    /// Sends an event to all subscribers.
    pub(super) fn publish(&self, kind: ServerEventKind, data: &impl Serialize) {
        if self.sender.receiver_count() == 0 {
            return;
        }
        if let Some(event) = self.event(kind, data) {
            // The last subscriber may have left since.
            let _ = self.sender.send(event);
        }
    }

    /// An event for one subscriber. None if the data has no JSON form.
    pub(super) fn event(&self, kind: ServerEventKind, data: &impl Serialize) -> Option<ServerEvent> {
        let data = serde_json::to_string(data);
        let data = data.inspect_err(|cause| tracing::error!("event `{}` not sent: {cause}", kind.name())).ok()?;
        Some(ServerEvent { id: self.next_id.fetch_add(1, Ordering::Relaxed), kind, data: data.into() })
    }

    /// Receives all events from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<ServerEvent> {
        self.sender.subscribe()
    }
}

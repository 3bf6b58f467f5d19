//! Server-sent events: a snapshot of all pipelines, then every change.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use futures_util::Stream;
use futures_util::stream::unfold;
use host_core::error::Error;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{NoParameters, QueryParameters};
use crate::serve::api_error::{ApiError, ApiResult};
use crate::serve::app_state::AppState;
use crate::serve::events::{ServerEvent, ServerEventKind};

/// How often a comment is sent, so that a closed connection is detected.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/events", get(events))
}

/// One open stream of events.
struct Subscription {
    state: Arc<AppState>,
    receiver: Receiver<ServerEvent>,
    /// Whether the subscriber needs a snapshot: it is new, or it fell behind.
    needs_snapshot: bool,
    /// Its place among the streams that may be open.
    _permit: OwnedSemaphorePermit,
}

async fn events(
    State(state): State<Arc<AppState>>,
    _: QueryParameters<NoParameters>,
) -> ApiResult<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let permit = Arc::clone(&state.event_streams).try_acquire_owned().map_err(|_| {
        let most = state.limits.event_streams;
        let error = Error::unavailable(format!("{most} pages receive events, which is the limit"));
        ApiError::from(error.hint("close other pages of this server"))
    })?;
    let receiver = state.runs.events().subscribe();
    let subscription = Subscription { state, receiver, needs_snapshot: true, _permit: permit };
    let stream = unfold(subscription, |mut subscription| async move {
        let event = subscription.next().await?;
        let event = Event::default().id(event.id.to_string()).event(event.kind.name()).data(&*event.data);
        Some((Ok(event), subscription))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

impl Subscription {
    /// The next event. None once the server shuts down.
    async fn next(&mut self) -> Option<ServerEvent> {
        loop {
            if std::mem::take(&mut self.needs_snapshot) {
                // If it fails, the stream ends and the browser connects again.
                let overview = self.state.overview().await.ok()?;
                return self.state.runs.events().event(ServerEventKind::Snapshot, &overview);
            }
            let received = tokio::select! {
                received = self.receiver.recv() => received,
                () = self.state.shutdown.cancelled() => return None,
            };
            match received {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {
                    // A slow subscriber gets a fresh snapshot. The events that wait are older than it.
                    self.receiver = self.state.runs.events().subscribe();
                    self.needs_snapshot = true;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

//! What happens, as server-sent events: first all as it is, then what changes.

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
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::serve::events;
use crate::serve::failure::Answer;
use crate::serve::state::Server;

/// How often a word is sent that says nothing, so that a browser that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/api/events", get(all))
}

struct Listening {
    server: Arc<Server>,
    heard: Receiver<events::Event>,
    /// Whether the listener is to be told all as it is: it is new, or was too slow.
    is_behind: bool,
}

async fn all(State(server): State<Arc<Server>>) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let heard = server.runs.events().listen();
    let listening = Listening { server, heard, is_behind: true };
    let stream = unfold(listening, |mut listening| async move {
        let event = listening.next().await?;
        let event = Event::default().id(event.id.to_string()).event(event.name).data(&*event.data);
        Some((Ok(event), listening))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

impl Listening {
    /// The next event; none once the server ends.
    async fn next(&mut self) -> Option<events::Event> {
        loop {
            if std::mem::take(&mut self.is_behind) {
                // Without it the stream ends, and the browser asks again.
                let overview = self.server.overview().await.ok()?;
                return Some(self.server.runs.events().event("snapshot", &overview));
            }
            let mut closing = self.server.closing.clone();
            let heard = tokio::select! {
                heard = self.heard.recv() => heard,
                _ = closing.wait_for(|closing| *closing) => return None,
            };
            match heard {
                Ok(event) => return Some(event),
                Err(RecvError::Lagged(_)) => {
                    // What waits is older than what it will be told.
                    self.heard = self.server.runs.events().listen();
                    self.is_behind = true;
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

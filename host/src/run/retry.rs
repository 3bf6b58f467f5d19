//! Retries a step that failed for a temporary reason, with exponential backoff.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use host_core::error::{Error, Kind, Result};
use host_core::progress::Event;
use host_ledger::steps::StepName;

use super::session::{Session, StepRetry};

/// The longest wait.
const MAX_DELAY: Duration = Duration::from_secs(3600);

/// Runs a step until it succeeds, fails permanently, or has used all retries.
///
/// # Errors
/// The error of the last attempt.
pub(super) async fn retry<T>(session: &Session<'_>, step: StepName, work: impl AsyncFn() -> Result<T>) -> Result<T> {
    let StepRetry { times, first_delay } = session.server.retry;
    let delays = ExponentialBuilder::default()
        .with_min_delay(first_delay)
        .with_max_delay(MAX_DELAY)
        .with_max_times(times as usize)
        .with_factor(2.0);
    // A stop ends the wait; the next attempt then fails as stopped.
    let stop = session.stop.clone();
    let sleep = move |delay| {
        let stop = stop.clone();
        async move {
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stop.cancelled() => {}
            }
        }
    };
    (async || work().await)
        .retry(delays)
        .sleep(sleep)
        .when(|error: &Error| error.kind == Kind::Unavailable)
        .notify(|error: &Error, delay| {
            let seconds = delay.as_secs();
            tracing::warn!("{step} failed, retrying in {seconds} s: {error}");
            session.progress.send(Event::Retry { step: step.name(), why: error.message(), seconds });
        })
        .await
}

//! Sends alerts to webhooks: failures, recoveries, lateness, bad quality. A hook that hangs delays nothing. The URL of
//! a hook may be a secret and appears in no log and on no page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use host_core::error::{Error, Result};
use host_core::secret::Secret;
use host_ledger::log::{self, LogLevel};
use host_ledger::runs::{self, RunEnd, RunStatus};
use host_warehouse::Warehouse;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;

use super::served_pipeline::ServedPipeline;
use super::shared_warehouse::SharedWarehouse;
use super::webhook::Webhook;
use crate::pipeline::AlertEvent;

/// The time limit of one request to a hook.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Requests that are sent at the same time.
const MAX_REQUESTS: usize = 16;
/// Alerts that are sent or wait. Further ones are dropped.
const MAX_ALERTS: usize = 256;
/// The longest message of an alert, in characters.
const MAX_MESSAGE_CHARS: usize = 4_000;
/// Failed requests are retried after 1, 5 and 25 seconds.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const DELAY_FACTOR: f32 = 5.0;
const RETRIES: usize = 3;

/// Sends alerts, and remembers what each pipeline's hooks already know.
pub(super) struct AlertSender {
    runtime: tokio::runtime::Handle,
    client: reqwest::Client,
    permits: Arc<Semaphore>,
    places: Arc<Semaphore>,
    /// By pipeline.
    health: Mutex<BTreeMap<String, PipelineHealth>>,
}

struct PipelineHealth {
    /// When it last succeeded; before that, when the server started.
    last_success: Timestamp,
    /// By hook: whether the hook was notified that the pipeline is late.
    notified_late: Vec<bool>,
}

/// What an alert says, as the body of the request.
#[derive(serde::Serialize)]
struct AlertBody<'a> {
    alert: AlertEvent,
    pipeline: &'a str,
    /// The id of the run; empty if the alert is about no run.
    run: &'a str,
    at: String,
    message: &'a str,
    /// The text that chat programs show.
    text: String,
}

/// A run that ended.
pub(super) struct EndedRun<'a> {
    pub(super) id: &'a str,
    pub(super) end: &'a RunEnd,
    /// How the run before it ended.
    pub(super) status_before: Option<RunStatus>,
}

impl AlertSender {
    /// A sender for these pipelines, none of which is late yet.
    ///
    /// # Errors
    /// A warehouse that cannot be read.
    pub(super) fn new(pipelines: &[Arc<ServedPipeline>], now: Timestamp) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(REQUEST_TIME).redirect(reqwest::redirect::Policy::none());
        let client =
            client.build().map_err(|cause| Error::internal(format!("cannot start the HTTP client: {cause}")))?;
        let mut health = BTreeMap::new();
        for served in pipelines {
            let last = runs::last_success(&served.warehouse.connect()?, served.name())?;
            let last_success = last.and_then(|at| at.parse().ok()).unwrap_or(now);
            let notified_late = vec![false; served.webhooks.len()];
            health.insert(served.name().to_owned(), PipelineHealth { last_success, notified_late });
        }
        let runtime = tokio::runtime::Handle::current();
        let (permits, places) = (Arc::new(Semaphore::new(MAX_REQUESTS)), Arc::new(Semaphore::new(MAX_ALERTS)));
        Ok(Self { runtime, client, permits, places, health: Mutex::new(health) })
    }

    /// Sends the alerts that the end of a run calls for.
    pub(super) fn on_run_end(
        &self,
        served: &Arc<ServedPipeline>,
        run: &EndedRun<'_>,
        warehouse: &Warehouse,
        now: Timestamp,
    ) {
        if run.end.status == RunStatus::Failed {
            let message = run.end.message.as_deref().unwrap_or_default();
            self.send_to_all(served, AlertEvent::Failure, run.id, message, now);
        }
        if !run.end.status.is_success() {
            return;
        }
        let was_late = {
            let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            health.get_mut(served.name()).is_some_and(|health| {
                health.last_success = now;
                let was_late = health.notified_late.contains(&true);
                health.notified_late.fill(false);
                was_late
            })
        };
        if run.status_before == Some(RunStatus::Failed) || was_late {
            self.send_to_all(served, AlertEvent::Recovery, run.id, "the pipeline has recovered", now);
        }
        for hook in served.webhooks.iter().filter(|hook| hook.receives(AlertEvent::Quality)) {
            match hook.check_quality(warehouse) {
                Ok(None) => {}
                Ok(Some(message)) => self.send(served, hook, AlertEvent::Quality, run.id, &message, now),
                Err(error) => {
                    let message = format!("the `query` of an alert failed: {error}");
                    tracing::warn!(pipeline = served.name(), "{message}");
                    // The run has ended; a log that cannot be written must not fail it.
                    let _ = log::append(warehouse, run.id, LogLevel::Warn, &message);
                }
            }
        }
    }

    /// Sends alerts for pipelines that have become late.
    pub(super) fn check_late(&self, pipelines: &[Arc<ServedPipeline>], now: Timestamp) {
        for served in pipelines {
            for (index, hook) in served.webhooks.iter().enumerate() {
                let Some(seconds) = hook.late_after_seconds() else { continue };
                let became_late = {
                    let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some(health) = health.get_mut(served.name()) else { continue };
                    let is_late = now.duration_since(health.last_success) > SignedDuration::from_secs(seconds.into());
                    is_late && !std::mem::replace(&mut health.notified_late[index], true)
                };
                if became_late {
                    let message = format!("no run has succeeded for more than {seconds} s");
                    self.send(served, hook, AlertEvent::Late, "", &message, now);
                }
            }
        }
    }

    fn send_to_all(&self, served: &Arc<ServedPipeline>, event: AlertEvent, run: &str, message: &str, now: Timestamp) {
        for hook in served.webhooks.iter().filter(|hook| hook.receives(event)) {
            self.send(served, hook, event, run, message, now);
        }
    }

    /// Sends one alert in a task of its own, with retries.
    fn send(
        &self,
        served: &Arc<ServedPipeline>,
        hook: &Webhook,
        event: AlertEvent,
        run: &str,
        message: &str,
        now: Timestamp,
    ) {
        let pipeline = served.name().to_owned();
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return tracing::warn!(pipeline, "alert not sent: {MAX_ALERTS} others wait");
        };
        let message = match message.char_indices().nth(MAX_MESSAGE_CHARS) {
            Some((end, _)) => &format!("{}…", &message[..end]),
            None => message,
        };
        let body = AlertBody {
            alert: event,
            pipeline: &pipeline,
            run,
            at: now.to_string(),
            message,
            text: format!("{pipeline}: {message}"),
        };
        let body = match serde_json::to_string(&body) {
            Ok(body) => body,
            Err(cause) => return tracing::error!(pipeline, "alert not sent: {cause}"),
        };
        let (client, url, permits) = (self.client.clone(), hook.url().clone(), Arc::clone(&self.permits));
        let (warehouse, run) = (Arc::clone(&served.warehouse), run.to_owned());
        self.runtime.spawn(async move {
            let _place = place;
            let Ok(_permit) = permits.acquire().await else { return };
            let delays = ExponentialBuilder::default()
                .with_min_delay(FIRST_DELAY)
                .with_factor(DELAY_FACTOR)
                .with_max_times(RETRIES);
            let sent = (async || post(&client, &url, body.clone()).await).retry(delays).sleep(tokio::time::sleep).await;
            let (level, message) = match sent {
                Ok(()) => (LogLevel::Info, "alert sent".to_owned()),
                Err(why) => (LogLevel::Warn, format!("alert not sent: {why}")),
            };
            match level {
                LogLevel::Info => tracing::info!(pipeline, "{message}"),
                LogLevel::Warn | LogLevel::Error => tracing::warn!(pipeline, "{message}"),
            }
            if !run.is_empty() {
                append_to_log(warehouse, run, level, message).await;
            }
        });
    }
}

/// Adds a line to the log of a run that has ended.
async fn append_to_log(warehouse: Arc<SharedWarehouse>, run: String, level: LogLevel, message: String) {
    let append = move || log::append(&warehouse.connect()?, &run, level, &message);
    // The alert matters more than the line about it, which the process logs too.
    let _ = tokio::task::spawn_blocking(append).await;
}

async fn post(client: &reqwest::Client, url: &Secret, body: String) -> Result<(), String> {
    let request = client.post(url.expose()).header("content-type", "application/json").body(body);
    // The error would show the URL.
    let response = request.send().await.map_err(|cause| cause.without_url().to_string())?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("the webhook responded {status}")) }
}

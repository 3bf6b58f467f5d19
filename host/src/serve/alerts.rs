//! Tells web hooks of failures, recoveries, lateness and bad quality. A hook that hangs keeps nothing waiting, and its
//! URL, which may be a secret, is in no log and on no page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::shared::Shared;
use super::state::Served;
use crate::error::{Error, Result};
use crate::pipeline::{Alert, AlertOn, AlertUrl, Pipeline, Secret};
use crate::warehouse::{Ended, Warehouse};

/// How long a hook may take to answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Waits between tries.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(25)];
/// Hooks that are told something at once.
const AT_ONCE: usize = 16;

/// A web hook of a pipeline.
pub(super) struct Hook {
    alert: Alert,
    url: Secret,
}

/// What is told to whom.
pub(super) struct Alerts {
    runtime: tokio::runtime::Handle,
    client: reqwest::Client,
    places: Arc<Semaphore>,
    /// By pipeline.
    health: Mutex<BTreeMap<String, Health>>,
}

/// How a pipeline is.
struct Health {
    /// When it last succeeded, or the server started.
    succeeded: Timestamp,
    /// Whether the hook of this place was told that it is late.
    late: Vec<bool>,
}

/// The hooks of a pipeline, with their URLs.
pub(super) fn hooks(pipeline: &Pipeline) -> Result<Vec<Hook>> {
    let hook = |(index, alert): (usize, &Alert)| {
        let place = || pipeline.places.at(&["alert".into(), index.into(), "url".into()]);
        let url = match &alert.url {
            AlertUrl::Plain(url) => Secret::new(url.clone()),
            AlertUrl::Secret(reference) => {
                let secret = pipeline.environment.secret(reference, pipeline).map_err(|error| error.on(place()))?;
                secret.ok_or_else(|| {
                    let error = Error::config("the secret that holds the URL of this alert is not set").on(place());
                    error.hint("put it into the environment, or into .env beside the pipeline")
                })?
            }
        };
        Pipeline::check_alert_url(url.expose()).map_err(|error| error.on(place()))?;
        Ok(Hook { alert: alert.clone(), url })
    };
    let (hooks, problems): (Vec<_>, Vec<_>) = pipeline.file.alert.iter().enumerate().map(hook).partition(Result::is_ok);
    let problems = problems.into_iter().filter_map(Result::err).collect();
    Error::all(problems).map_or_else(|| Ok(hooks.into_iter().flatten().collect()), Err)
}

impl Alerts {
    /// Nobody is late yet.
    pub(super) fn new(pipelines: &[Arc<Served>], now: Timestamp) -> Result<Self> {
        let client = reqwest::Client::builder().timeout(ANSWER).redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|cause| Error::internal(format!("no client for web hooks: {cause}")))?;
        let mut health = BTreeMap::new();
        for served in pipelines {
            let last = served.warehouse.connect()?.last_success(served.name())?;
            let succeeded = last.and_then(|at| at.parse().ok()).unwrap_or(now);
            health.insert(served.name().to_owned(), Health { succeeded, late: vec![false; served.hooks.len()] });
        }
        let (runtime, places) = (tokio::runtime::Handle::current(), Arc::new(Semaphore::new(AT_ONCE)));
        Ok(Self { runtime, client, places, health: Mutex::new(health) })
    }

    /// Tells how a run ended; `before` is how the one before did.
    pub(super) fn after(
        &self,
        served: &Arc<Served>,
        run: &str,
        ended: &Ended,
        before: Option<&str>,
        warehouse: &Warehouse,
        now: Timestamp,
    ) {
        if ended.status == "failed" {
            self.tell(served, AlertOn::Failure, run, &ended.message, now);
        }
        if !["ok", "partial"].contains(&ended.status) {
            return;
        }
        let was_late = {
            let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
            health.get_mut(served.name()).is_some_and(|health| {
                health.succeeded = now;
                let was_late = health.late.contains(&true);
                health.late.fill(false);
                was_late
            })
        };
        if before == Some("failed") || was_late {
            self.tell(served, AlertOn::Recovery, run, "the pipeline succeeded again", now);
        }
        for hook in served.hooks.iter().filter(|hook| hook.alert.on.contains(&AlertOn::Quality)) {
            match hook.quality(warehouse) {
                Ok(None) => {}
                Ok(Some(message)) => self.send(served, hook, AlertOn::Quality, run, &message, now),
                Err(error) => {
                    let message = format!("the query of an alert: {}", error.message);
                    // It can be told nowhere else.
                    let _ = warehouse.append_log(run, "warn", &message);
                }
            }
        }
    }

    /// Tells of pipelines that have become late.
    pub(super) fn check_late(&self, pipelines: &[Arc<Served>], now: Timestamp) {
        for served in pipelines {
            for (index, hook) in served.hooks.iter().enumerate() {
                let Some(seconds) = hook.alert.late_after_seconds else { continue };
                if !hook.alert.on.contains(&AlertOn::Late) {
                    continue;
                }
                let is_news = {
                    let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
                    let Some(health) = health.get_mut(served.name()) else { continue };
                    let is_late = now.duration_since(health.succeeded) > SignedDuration::from_secs(seconds.into());
                    is_late && !std::mem::replace(&mut health.late[index], true)
                };
                if is_news {
                    let message = format!("no run has succeeded for more than {seconds} s");
                    self.send(served, hook, AlertOn::Late, "", &message, now);
                }
            }
        }
    }

    fn tell(&self, served: &Arc<Served>, on: AlertOn, run: &str, message: &str, now: Timestamp) {
        for hook in served.hooks.iter().filter(|hook| hook.alert.on.contains(&on)) {
            self.send(served, hook, on, run, message, now);
        }
    }

    /// Sends it from a task of its own, a few times if need be.
    fn send(&self, served: &Arc<Served>, hook: &Hook, on: AlertOn, run: &str, message: &str, now: Timestamp) {
        let name = served.name();
        let body = json!({
            "alert": on, "pipeline": name, "run": run, "at": now.to_string(), "message": message,
            // What chat programs show.
            "text": format!("{name}: {message}"),
        });
        let (client, url, places) = (self.client.clone(), hook.url.clone(), Arc::clone(&self.places));
        let (warehouse, run) = (Arc::clone(&served.warehouse), run.to_owned());
        self.runtime.spawn(async move {
            let Ok(_place) = places.acquire().await else { return };
            let mut outcome = post(&client, &url, body.to_string()).await;
            for wait in WAITS {
                if outcome.is_ok() {
                    break;
                }
                tokio::time::sleep(wait).await;
                outcome = post(&client, &url, body.to_string()).await;
            }
            let (level, message) = match outcome {
                Ok(()) => ("info", "an alert was sent".to_owned()),
                Err(why) => ("warn", format!("an alert could not be sent: {why}")),
            };
            note(&warehouse, run, level, message).await;
        });
    }
}

async fn note(warehouse: &Arc<Shared>, run: String, level: &'static str, message: String) {
    if !run.is_empty() {
        // The alert matters more than the note of it.
        let _ = warehouse.read(move |warehouse| warehouse.append_log(&run, level, &message)).await;
    }
}

async fn post(client: &reqwest::Client, url: &Secret, body: String) -> Result<(), String> {
    let request = client.post(url.expose()).header("content-type", "application/json").body(body);
    // The error would show the URL.
    let response = request.send().await.map_err(|cause| cause.without_url().to_string())?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("the answer was {status}")) }
}

impl Hook {
    /// As pages see it: all but where it goes.
    pub(super) fn shown(&self) -> Value {
        let Alert { on, late_after_seconds, query, threshold, .. } = &self.alert;
        json!({ "on": on, "late_after_seconds": late_after_seconds, "query": query, "threshold": threshold })
    }

    /// What is wrong with the quality, if anything is.
    fn quality(&self, warehouse: &Warehouse) -> Result<Option<String>> {
        let (Some(query), Some(threshold)) = (&self.alert.query, self.alert.threshold) else { return Ok(None) };
        let Some(value) = warehouse.value(query, &[])? else { return Ok(None) };
        let number: f64 = value.parse().map_err(|_| Error::config(format!("`{value}` is no number")))?;
        Ok((number > threshold).then(|| format!("quality: {value} is over {threshold} ({query})")))
    }
}

//! A run under way: what is asked of it, where it is, its log, and its stop.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::events::Events;
use super::state::Served;
use crate::clock::Clock;
use crate::pipeline::Secret;
use crate::progress;
use crate::warehouse::Line;

/// Lines of a run's log that are kept.
const LOG_LINES: u64 = 5_000;
/// The shortest time between two words on one stream, unless it is done.
const PAUSE: Duration = Duration::from_millis(100);

/// What a run is asked to do.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ask {
    /// Read everything again; from `clean` on, run the rules on all rows; from `marts` on, build all models.
    pub(super) full_refresh: bool,
    /// Read everything changed from this day or instant.
    pub(super) since: Option<String>,
    /// The streams to load; all where empty.
    pub(super) streams: Vec<String>,
    /// The step to begin with.
    pub(super) from: From,
}

/// The step that a run begins with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum From {
    /// The first.
    #[default]
    Start,
    /// Cleaning.
    Clean,
    /// Building the models.
    Marts,
    /// The models that failed, with what was built of the others.
    Failed,
}

/// Why a run was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cause {
    /// Somebody asked for it.
    Asked,
    /// Its time came.
    Schedule,
    /// The process ended during the run before.
    Resume,
}

impl Cause {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Schedule => "schedule",
            Self::Resume => "resume",
        }
    }
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody asked for it.
    Cancelled,
    /// It took longer than the pipeline allows.
    TimedOut,
    /// The server ends.
    Closing,
}

/// A run that waits or is under way.
pub(super) struct Live {
    pub(super) run: String,
    pub(super) pipeline: String,
    pub(super) cause: Cause,
    pub(super) asked: Ask,
    secrets: Vec<Secret>,
    clock: Clock,
    events: Events,
    stop: watch::Sender<bool>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    started_at: Option<Timestamp>,
    step: &'static str,
    why: Option<Why>,
    nodes: BTreeMap<String, Node>,
    lines: Vec<Line>,
    /// How many of the lines are in the warehouse.
    written: usize,
}

impl Inside {
    fn status(&self) -> &'static str {
        match (self.started_at, self.why) {
            (_, Some(_)) => "stopping",
            (None, None) => "queued",
            (Some(_), None) => "running",
        }
    }
}

/// A stream or model, as far as the run is with it.
#[derive(Clone, serde::Serialize)]
struct Node {
    status: &'static str,
    rows: Option<u64>,
    total: Option<u64>,
    seconds: f64,
    #[serde(skip)]
    since: Instant,
    #[serde(skip)]
    told: Option<Instant>,
}

impl Live {
    pub(super) fn new(
        run: String,
        served: &Served,
        (cause, asked): (Cause, Ask),
        clock: Clock,
        events: Events,
    ) -> Self {
        let (stop, inside) = (watch::Sender::new(false), Mutex::default());
        let (pipeline, secrets) = (served.name().to_owned(), served.secrets.clone());
        Self { run, pipeline, cause, asked, secrets, clock, events, stop, inside }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns true when the run should stop.
    pub(super) fn stop(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Stops it; the first reason counts.
    pub(super) fn end(&self, why: Why) {
        self.inside().why.get_or_insert(why);
        self.stop.send_replace(true);
        self.tell();
    }

    /// Why it was stopped, if it was.
    pub(super) fn why(&self) -> Option<Why> {
        self.inside().why
    }

    /// The step that it is at.
    pub(super) fn step(&self) -> &'static str {
        self.inside().step
    }

    /// It waits no more.
    pub(super) fn begin(&self) {
        self.inside().started_at = Some(self.clock.now());
        self.tell();
    }

    /// `queued`, `running` or `stopping`.
    pub(super) fn status(&self) -> &'static str {
        self.inside().status()
    }

    /// As pages see it.
    pub(super) fn shown(&self) -> Value {
        let inside = self.inside();
        let status = inside.status();
        json!({
            "run": self.run, "pipeline": self.pipeline, "status": status, "cause": self.cause, "options": self.asked,
            "started_at": inside.started_at.map(|at| at.to_string()), "step": inside.step, "nodes": inside.nodes,
        })
    }

    fn tell(&self) {
        self.events.tell("run", &self.shown());
    }

    /// A text without the pipeline's secrets.
    pub(super) fn hide(&self, text: impl Into<String>) -> String {
        self.secrets.iter().fold(text.into(), |text, secret| secret.hide(&text))
    }

    /// The streams and models.
    pub(super) fn nodes(&self) -> Value {
        serde_json::to_value(&self.inside().nodes).unwrap_or_default()
    }

    /// The log so far.
    pub(super) fn log(&self) -> Value {
        serde_json::to_value(&self.inside().lines).unwrap_or_default()
    }

    /// Lines that are not in the warehouse yet; they count as written.
    pub(super) fn unwritten(&self) -> Vec<Line> {
        let mut inside = self.inside();
        let lines = inside.lines[inside.written..].to_vec();
        inside.written = inside.lines.len();
        lines
    }

    /// Adds a line to the log. Of one that is too long, errors alone are kept.
    pub(super) fn say(&self, level: &'static str, message: impl Into<String>) {
        let mut inside = self.inside();
        let line = inside.lines.len() as u64;
        let message = match line.cmp(&LOG_LINES) {
            std::cmp::Ordering::Less => self.hide(message),
            std::cmp::Ordering::Equal => "further lines are left out".to_owned(),
            std::cmp::Ordering::Greater if level == "error" => self.hide(message),
            std::cmp::Ordering::Greater => return,
        };
        let line = Line { line, at: self.clock.now().to_string(), level, message };
        self.events.tell("log", &json!({ "run": self.run, "pipeline": self.pipeline, "line": line }));
        inside.lines.push(line);
    }

    /// Hears what the run tells.
    pub(super) fn hear(&self, event: &progress::Event) {
        use progress::Event;
        match event {
            Event::Step { step } => {
                self.inside().step = step;
                self.say("info", *step);
                self.tell();
            }
            Event::Again { step, why, seconds } => {
                self.say("warn", format!("{step}: {why}; again in {seconds} s"));
            }
            Event::Extract { stream, rows, total, done, requests, .. } => {
                self.node(format!("stream:{stream}"), Some(*rows), *total, *done, event);
                if *done {
                    self.say("info", format!("{stream}: {rows} rows, {requests} requests"));
                }
            }
            Event::Clean { stream, rows, done } => {
                self.node(format!("clean:{stream}"), Some(*rows), None, *done, event);
                if *done {
                    self.say("info", format!("{stream}: {rows} rows cleaned"));
                }
            }
            Event::Model { model, failed, .. } => {
                let id = format!("model:{model}");
                self.node(id.clone(), None, None, true, event);
                if *failed && let Some(node) = self.inside().nodes.get_mut(&id) {
                    node.status = "failed";
                }
                self.say(if *failed { "error" } else { "info" }, model.clone());
            }
        }
    }

    fn node(&self, id: String, rows: Option<u64>, total: Option<u64>, done: bool, event: &progress::Event) {
        let now = Instant::now();
        let mut inside = self.inside();
        let node = inside.nodes.entry(id.clone()).or_insert_with(|| Node {
            status: "running",
            rows: None,
            total: None,
            seconds: 0.0,
            since: now,
            told: None,
        });
        node.rows = rows;
        node.total = total;
        node.status = if done { "done" } else { "running" };
        node.seconds = node.since.elapsed().as_secs_f64();
        if !done && node.told.is_some_and(|told| told.elapsed() < PAUSE) {
            return;
        }
        node.told = Some(now);
        let told = json!({ "run": self.run, "pipeline": self.pipeline, "id": id, "node": node, "progress": event });
        self.events.tell("progress", &told);
    }

    /// What was under way when it ended is done, or failed, or was stopped.
    pub(super) fn settle(&self, failure: Option<&str>) {
        let mut inside = self.inside();
        for (id, node) in inside.nodes.iter_mut().filter(|(_, node)| node.status == "running") {
            let name = id.split_once(':').map_or(id.as_str(), |(_, name)| name);
            node.status = match failure {
                None => "done",
                Some(message) if message.contains(&format!("`{name}`")) => "failed",
                Some(_) => "stopped",
            };
        }
    }
}

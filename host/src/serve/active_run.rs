//! An active run: its request, progress, log and cancellation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use host_core::clock::Clock;
use host_core::error::{Error, Subject};
use host_core::progress::Event;
use host_ledger::log::LogLine;
use host_ledger::runs::{NodeState, NodeStatus, Nodes, RunRecord, RunStatus, RunSummary, Trigger};
use host_ledger::steps::StepName;
use jiff::Timestamp;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as NameError;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::events::{EventBroadcast, ServerEventKind};

/// The shortest time between two progress events of one node while it is running.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// The request for a run, as pages send it and as the ledger stores it.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RunRequest {
    /// Read everything. From cleaning on: run the rules on all rows. From the models on: build all of them.
    pub(super) full_refresh: bool,
    /// Read everything changed from this day or instant.
    pub(super) since: Option<String>,
    /// The streams to load; all if empty.
    pub(super) streams: Vec<String>,
    /// The step that the run starts at.
    #[serde(rename = "from")]
    pub(super) start_at: StartAt,
}

/// The step that a run starts at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StartAt {
    /// The first step.
    #[default]
    Start,
    /// Cleaning.
    Clean,
    /// Building the models.
    #[serde(rename = "marts")]
    Models,
    /// The models that failed last; those that were built then are kept.
    Failed,
}

impl RunRequest {
    /// The command of the command line that does the same.
    pub(super) const fn command(&self) -> &'static str {
        match self.start_at {
            StartAt::Start => "run",
            StartAt::Clean => "clean",
            StartAt::Models | StartAt::Failed => "build",
        }
    }

    /// What was asked of an earlier run. The ledger stores only the command of a run of the command line.
    pub(super) fn of_record(record: &RunRecord) -> Self {
        Self::deserialize(&record.request).unwrap_or_else(|_| {
            let start_at = match record.summary.command.as_str() {
                "clean" => StartAt::Clean,
                "build" => StartAt::Models,
                _ => StartAt::Start,
            };
            Self { start_at, ..Self::default() }
        })
    }
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// A person cancelled it.
    Cancelled,
    /// It took longer than the pipeline allows.
    TimedOut,
    /// The server shuts down.
    Shutdown,
}

/// A run that is queued or running.
pub(super) struct ActiveRun {
    pub(super) id: String,
    pub(super) pipeline: String,
    pub(super) trigger: Trigger,
    pub(super) request: RunRequest,
    /// The span of everything that the run logs. Events in it belong to the log of the run.
    pub(super) span: Span,
    clock: Clock,
    events: EventBroadcast,
    stop: CancellationToken,
    state: Mutex<RunState>,
}

#[derive(Default)]
struct RunState {
    started_at: Option<Timestamp>,
    step: Option<StepName>,
    stop_reason: Option<StopReason>,
    nodes: BTreeMap<String, TrackedNode>,
    lines: Vec<LogLine>,
    /// How many of the lines are stored in the warehouse.
    stored: usize,
}

impl RunState {
    fn status(&self) -> RunStatus {
        match (self.started_at, self.stop_reason) {
            (_, Some(_)) => RunStatus::Stopping,
            (None, None) => RunStatus::Queued,
            (Some(_), None) => RunStatus::Running,
        }
    }

    fn nodes(&self) -> Nodes {
        self.nodes.iter().map(|(id, node)| (id.clone(), node.state.clone())).collect()
    }
}

/// A stream or a model of the run.
struct TrackedNode {
    /// What an error of it is about.
    subject: Subject,
    state: NodeState,
    started: Instant,
    /// When its last event was published.
    published: Option<Instant>,
}

/// An active run as pages show it.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct ActiveRunView {
    pub(super) run: String,
    pub(super) pipeline: String,
    pub(super) status: RunStatus,
    #[serde(rename = "cause")]
    pub(super) trigger: Trigger,
    #[serde(rename = "options")]
    pub(super) request: RunRequest,
    pub(super) started_at: Option<String>,
    pub(super) step: Option<StepName>,
    pub(super) nodes: Nodes,
}

/// The data of a progress event.
#[derive(serde::Serialize)]
struct ProgressData<'a> {
    run: &'a str,
    pipeline: &'a str,
    id: &'a str,
    node: &'a NodeState,
    progress: &'a Event,
}

/// The data of a log event.
#[derive(serde::Serialize)]
struct LogData<'a> {
    run: &'a str,
    pipeline: &'a str,
    line: &'a LogLine,
}

/// What a new run is made of.
pub(super) struct NewRun<'a> {
    pub(super) id: String,
    pub(super) pipeline: &'a str,
    pub(super) trigger: Trigger,
    pub(super) request: RunRequest,
}

impl ActiveRun {
    /// A run that waits.
    pub(super) fn new(run: NewRun<'_>, clock: Clock, events: EventBroadcast) -> Self {
        let NewRun { id, pipeline, trigger, request } = run;
        Self {
            span: tracing::info_span!("run", run = %id, pipeline),
            id,
            pipeline: pipeline.to_owned(),
            trigger,
            request,
            clock,
            events,
            stop: CancellationToken::new(),
            state: Mutex::default(),
        }
    }

    /// The state. Nothing may be logged while it is locked: a captured line locks it too.
    fn state(&self) -> MutexGuard<'_, RunState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cancelled when the run should stop.
    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Stops the run. The first reason counts.
    pub(super) fn stop(&self, reason: StopReason) {
        self.state().stop_reason.get_or_insert(reason);
        self.stop.cancel();
        self.publish();
    }

    /// Why it was stopped, if it was.
    pub(super) fn stop_reason(&self) -> Option<StopReason> {
        self.state().stop_reason
    }

    /// The step that it is at.
    pub(super) fn step(&self) -> Option<StepName> {
        self.state().step
    }

    /// Marks it as started.
    pub(super) fn start(&self) {
        self.state().started_at = Some(self.clock.now());
        self.publish();
    }

    /// How it stands: queued, running or stopping.
    pub(super) fn status(&self) -> RunStatus {
        self.state().status()
    }

    /// As pages show it.
    pub(super) fn view(&self) -> ActiveRunView {
        let state = self.state();
        ActiveRunView {
            run: self.id.clone(),
            pipeline: self.pipeline.clone(),
            status: state.status(),
            trigger: self.trigger,
            request: self.request.clone(),
            started_at: state.started_at.map(|at| at.to_string()),
            step: state.step,
            nodes: state.nodes(),
        }
    }

    /// As lists show it.
    pub(super) fn summary(&self) -> RunSummary {
        let state = self.state();
        RunSummary {
            run: self.id.clone(),
            pipeline: self.pipeline.clone(),
            command: self.request.command().to_owned(),
            trigger: Some(self.trigger),
            started_at: state.started_at.map(|at| at.to_string()),
            finished_at: None,
            seconds: None,
            status: state.status(),
            message: None,
            step: state.step,
        }
    }

    fn publish(&self) {
        self.events.publish(ServerEventKind::Run, &self.view());
    }

    /// The streams and models.
    pub(super) fn nodes(&self) -> Nodes {
        self.state().nodes()
    }

    /// The log so far.
    pub(super) fn log(&self) -> Vec<LogLine> {
        self.state().lines.clone()
    }

    /// Adds a line to the log and publishes it.
    pub(super) fn add_line(&self, line: LogLine) {
        let data = LogData { run: &self.id, pipeline: &self.pipeline, line: &line };
        self.events.publish(ServerEventKind::Log, &data);
        self.state().lines.push(line);
    }

    /// The lines that are not stored in the warehouse yet. They count as stored from now on.
    pub(super) fn take_unstored_lines(&self) -> Vec<LogLine> {
        let mut state = self.state();
        let lines = state.lines.get(state.stored..).unwrap_or_default().to_vec();
        state.stored = state.lines.len();
        lines
    }

    /// Takes a progress event of the run. The code that does the work logs what it finished.
    pub(super) fn on_progress(&self, event: &Event) {
        match event {
            Event::Step { step } => {
                let name: Result<_, NameError> = StepName::deserialize((*step).into_deserializer());
                self.state().step = name.ok();
                self.span.in_scope(|| tracing::info!("step `{step}` started"));
                self.publish();
            }
            // The retry itself logs it.
            Event::Retry { .. } => {}
            Event::Extract { stream, rows, total, done, .. } => {
                let state = NodeState { total: *total, ..running_or_done(*done, Some(*rows)) };
                self.update_node(format!("stream:{stream}"), Subject::Stream(stream.clone()), state, event);
            }
            Event::Clean { stream, rows, done } => {
                let state = running_or_done(*done, Some(*rows));
                self.update_node(format!("clean:{stream}"), Subject::Stream(stream.clone()), state, event);
            }
            Event::Model { model, failed, .. } => {
                let status = if *failed { NodeStatus::Failed } else { NodeStatus::Done };
                let state = NodeState { status, ..running_or_done(true, None) };
                self.update_node(format!("model:{model}"), Subject::Model(model.clone()), state, event);
                if *failed {
                    self.span.in_scope(|| tracing::error!("model `{model}` failed"));
                }
            }
        }
    }

    fn update_node(&self, id: String, subject: Subject, now: NodeState, event: &Event) {
        let mut state = self.state();
        let node = state.nodes.entry(id.clone()).or_insert_with(|| TrackedNode {
            subject,
            state: now.clone(),
            started: Instant::now(),
            published: None,
        });
        node.state = NodeState { seconds: node.started.elapsed().as_secs_f64(), ..now };
        let is_recent = node.published.is_some_and(|published| published.elapsed() < PROGRESS_INTERVAL);
        if node.state.status == NodeStatus::Running && is_recent {
            return;
        }
        node.published = Some(Instant::now());
        let (run, pipeline) = (&self.id, &self.pipeline);
        let data = ProgressData { run, pipeline, id: &id, node: &node.state, progress: event };
        self.events.publish(ServerEventKind::Progress, &data);
    }

    /// Settles the nodes that were running when the run ended: done, failed if the error is about them, else
    /// stopped.
    pub(super) fn settle_nodes(&self, failure: Option<&Error>) {
        let mut state = self.state();
        for node in state.nodes.values_mut().filter(|node| node.state.status == NodeStatus::Running) {
            node.state.status = match failure {
                None => NodeStatus::Done,
                Some(error) if error.is_about(&node.subject) => NodeStatus::Failed,
                Some(_) => NodeStatus::Stopped,
            };
        }
    }
}

fn running_or_done(is_done: bool, rows: Option<u64>) -> NodeState {
    let status = if is_done { NodeStatus::Done } else { NodeStatus::Running };
    NodeState { status, rows, total: None, seconds: 0.0 }
}

#[cfg(test)]
mod tests {
    use host_core::clock::Clock;
    use host_core::error::{Error, Subject};
    use host_core::progress::Event;
    use host_ledger::runs::{NodeStatus, RunStatus, Trigger};

    use super::{ActiveRun, NewRun, RunRequest, StopReason};
    use crate::serve::events::EventBroadcast;

    fn active_run() -> ActiveRun {
        let (id, trigger, request) = ("R1".to_owned(), Trigger::Manual, RunRequest::default());
        let run = NewRun { id, pipeline: "people", trigger, request };
        ActiveRun::new(run, Clock::system(), EventBroadcast::new())
    }

    #[test]
    fn only_the_nodes_that_an_error_is_about_fail() {
        let run = active_run();
        for stream in ["crm.deals", "crm.contacts"] {
            let stream = stream.to_owned();
            run.on_progress(&Event::Clean { stream, rows: 1, done: false });
        }
        let error = Error::data("`crm.contacts` has no key").about(&Subject::Stream("crm.deals".to_owned()));
        run.settle_nodes(Some(&error));
        let nodes = run.nodes();
        assert_eq!(nodes["clean:crm.deals"].status, NodeStatus::Failed);
        assert_eq!(nodes["clean:crm.contacts"].status, NodeStatus::Stopped);
    }

    #[test]
    fn the_first_reason_of_a_stop_counts() {
        let run = active_run();
        assert_eq!(run.status(), RunStatus::Queued);
        run.stop(StopReason::TimedOut);
        run.stop(StopReason::Shutdown);
        assert_eq!((run.status(), run.stop_reason()), (RunStatus::Stopping, Some(StopReason::TimedOut)));
        assert!(run.stop_token().is_cancelled());
    }
}

//! Which runs wait and are under way: one of a pipeline at a time, one of a warehouse after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;

use super::alerts::Alerts;
use super::events::Events;
use super::failure::{Answer, Failure};
use super::live::{Ask, Cause, From, Live, Why};
use super::state::Served;
use super::worker::{Job, work};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::pipeline::Interrupted;

/// Resumed runs of a pipeline, one after the other, that may end with their process before it is left alone.
const RESUMED: usize = 2;

/// The runs of all pipelines.
pub(super) struct Runs {
    board: Arc<Board>,
    /// By the warehouse's file; none once the server ends.
    workers: Mutex<BTreeMap<PathBuf, Worker>>,
}

struct Worker {
    jobs: mpsc::Sender<Job>,
    thread: JoinHandle<()>,
}

/// What workers and requests share.
pub(super) struct Board {
    pub(super) clock: Clock,
    pub(super) events: Events,
    pub(super) alerts: Alerts,
    active: Mutex<Active>,
}

#[derive(Default)]
struct Active {
    by_pipeline: BTreeMap<String, Arc<Live>>,
    /// The greatest id of any run so far: runs of a warehouse begin in the order of their ids.
    last: Option<String>,
}

impl Board {
    fn active(&self) -> MutexGuard<'_, Active> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run that ended makes room for the next.
    pub(super) fn done(&self, live: &Live) {
        self.active().by_pipeline.remove(&live.pipeline);
    }
}

impl Runs {
    /// A thread a warehouse, which waits for runs.
    pub(super) fn new(pipelines: &[Arc<Served>], clock: Clock, events: Events, alerts: Alerts) -> Result<Self> {
        let mut active = Active::default();
        let warehouses: BTreeMap<_, _> =
            pipelines.iter().map(|served| (served.warehouse.path().to_path_buf(), &served.warehouse)).collect();
        for shared in warehouses.values() {
            active.last = active.last.max(shared.connect()?.last_load_id()?);
        }
        let board = Arc::new(Board { clock, events, alerts, active: Mutex::new(active) });
        let mut workers = BTreeMap::new();
        for path in warehouses.into_keys() {
            let (jobs, waiting) = mpsc::channel();
            let board = Arc::clone(&board);
            let thread = std::thread::Builder::new().name("runs".to_owned()).spawn(move || work(&waiting, &board));
            let thread = thread.map_err(|cause| Error::internal(format!("no thread for runs: {cause}")))?;
            workers.insert(path, Worker { jobs, thread });
        }
        Ok(Self { board, workers: Mutex::new(workers) })
    }

    /// Starts a run, or has it wait for its warehouse; gives back its id.
    pub(super) fn start(&self, served: &Arc<Served>, cause: Cause, asked: Ask) -> Answer<String> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = workers.get(served.warehouse.path()).ok_or_else(|| Failure::conflict("the server ends"))?;
        let mut active = self.board.active();
        if let Some(other) = active.by_pipeline.get(served.name()) {
            let failure = Failure::conflict(format!("run {} of pipeline `{}` is under way", other.run, served.name()));
            return Err(failure.hint("wait for its end, or cancel it"));
        }
        let run = self.board.clock.load_id(active.last.as_deref());
        let (clock, events) = (self.board.clock, self.board.events.clone());
        let live = Arc::new(Live::new(run.clone(), served, (cause, asked), clock, events.clone()));
        events.tell("run", &live.shown());
        let job = Job { served: Arc::clone(served), live: Arc::clone(&live) };
        worker.jobs.send(job).map_err(|_| Error::internal("the thread of runs is gone"))?;
        active.last = Some(run.clone());
        active.by_pipeline.insert(served.name().to_owned(), live);
        Ok(run)
    }

    /// Runs that wait or are under way, by pipeline.
    pub(super) fn live(&self) -> BTreeMap<String, Arc<Live>> {
        self.board.active().by_pipeline.clone()
    }

    /// The run of this id, if it waits or is under way.
    pub(super) fn find(&self, run: &str) -> Option<Arc<Live>> {
        self.board.active().by_pipeline.values().find(|live| live.run == run).cloned()
    }

    /// What happens, to listen to.
    pub(super) fn events(&self) -> &Events {
        &self.board.events
    }

    /// What is told to whom.
    pub(super) fn alerts(&self) -> &Alerts {
        &self.board.alerts
    }

    /// Marks runs of a process that is gone, and runs those again whose pipeline says so.
    pub(super) fn resume(&self, pipelines: &[Arc<Served>]) -> Result<()> {
        let mut seen = Vec::new();
        for served in pipelines {
            if seen.contains(&served.warehouse.path()) {
                continue;
            }
            seen.push(served.warehouse.path());
            let warehouse = served.warehouse.connect()?;
            for run in warehouse.interrupt_runs()? {
                let text = |key: &str| run.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let of_it = |served: &&Arc<Served>| served.name() == text("pipeline");
                let Some(served) = pipelines.iter().find(of_it) else { continue };
                let may = served.loaded.pipeline.file.pipeline.interrupted == Interrupted::Resume;
                // A run that takes the process down with it would do so without end.
                let last = warehouse.runs(served.name(), "", RESUMED as u32, 0)?;
                let is_vain = |run: &&crate::warehouse::Row| {
                    let is = |key: &str, value: &str| run.get(key).and_then(Value::as_str) == Some(value);
                    is("status", "interrupted") && is("cause", Cause::Resume.name())
                };
                let is_hopeless = last.iter().filter(is_vain).count() == RESUMED;
                if may && !is_hopeless && text("command") != "forget" {
                    let asked = asked_before(&text("options"), &text("command"));
                    // One that was started meanwhile does the same.
                    let _ = self.start(served, Cause::Resume, asked);
                }
            }
        }
        Ok(())
    }

    /// Stops all runs and waits for their end; blocks.
    pub(super) fn close(&self) {
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        self.live().values().for_each(|live| live.end(Why::Closing));
        for Worker { jobs, thread } in workers.into_values() {
            drop(jobs);
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

/// What a run was asked, from what is noted of it; a command's notes say less.
fn asked_before(options: &str, command: &str) -> Ask {
    let from = match command {
        "clean" => From::Clean,
        "build" => From::Marts,
        _ => From::Start,
    };
    serde_json::from_str(options).unwrap_or(Ask { from, ..Ask::default() })
}

//! Does the runs of one warehouse, one after the other, each on a thread and a runtime of its own, so that no page waits
//! for what a run waits for.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use serde_json::Value;

use super::live::{Ask, From, Live, Why};
use super::runs::Board;
use super::state::Served;
use crate::error::{Error, Kind, Result};
use crate::marts;
use crate::progress::Progress;
use crate::report::Report;
use crate::run::{Context, Given, Options, Retry, instant};
use crate::warehouse::{Ended, Warehouse};

/// How often a run's log goes to the warehouse.
const FLUSH: Duration = Duration::from_secs(1);

/// A run to do.
pub(super) struct Job {
    pub(super) served: Arc<Served>,
    pub(super) live: Arc<Live>,
}

/// What a run gave.
struct Outcome {
    is_partial: bool,
    report: Value,
}

/// Does jobs until no more can come.
pub(super) fn work(jobs: &mpsc::Receiver<Job>, board: &Arc<Board>) {
    for Job { served, live } in jobs {
        // Without a warehouse nothing can be noted; whoever listens hears of it.
        let status = one(&served, &live, board).unwrap_or_else(|error| {
            live.say("error", error.to_string());
            "failed"
        });
        served.warehouse.run_ended();
        board.done(&live);
        let mut shown = live.shown();
        shown["status"] = Value::from(status);
        board.events.tell("run", &shown);
    }
}

/// Does it and notes it; gives back how it ended.
fn one(served: &Arc<Served>, live: &Arc<Live>, board: &Arc<Board>) -> Result<&'static str> {
    let notes = served.warehouse.connect()?;
    let options = serde_json::to_string(&live.asked).unwrap_or_default();
    notes.open_run(&live.run, &live.pipeline, live.cause.name(), &options)?;
    live.begin();
    let done = match live.why() {
        Some(_) => Err(Error::new(Kind::Interrupted, "stopped")),
        None => watched(served, live, board, &notes),
    };
    if let Ok(Outcome { report, .. }) = &done {
        warnings(report).into_iter().for_each(|warning| live.say("warn", warning));
    }
    let mut ended = ended(live, served, &done);
    match &done {
        Ok(_) => live.say("info", "done"),
        Err(_) => live.say("error", [ended.message.as_str(), ended.hint.as_str()].join("\n").trim_end()),
    }
    live.settle(done.as_ref().err().map(|error| error.message.as_str()));
    ended.nodes = live.nodes().to_string();
    let before = notes.last_outcome(&live.pipeline, &live.run)?;
    notes.close_run(&live.run, &ended)?;
    notes.write_log(&live.run, &live.unwritten())?;
    board.alerts.after(served, &live.run, &ended, before.as_deref(), &notes, board.clock.now());
    Ok(ended.status)
}

/// Runs it on a thread of its own, which may panic, and writes its log meanwhile.
fn watched(served: &Arc<Served>, live: &Arc<Live>, board: &Arc<Board>, notes: &Warehouse) -> Result<Outcome> {
    let watching = std::thread::current();
    std::thread::scope(|scope| {
        let running = std::thread::Builder::new().name("run".to_owned()).spawn_scoped(scope, || {
            let done = run(served, live, board);
            watching.unpark();
            done
        });
        let running = running.map_err(|cause| Error::internal(format!("no thread for a run: {cause}")))?;
        while !running.is_finished() {
            std::thread::park_timeout(FLUSH);
            // The run matters more than its log.
            let _ = notes.write_log(&live.run, &live.unwritten());
        }
        running.join().unwrap_or_else(|_| Err(Error::internal("the run panicked")))
    })
}

fn run(served: &Arc<Served>, live: &Arc<Live>, board: &Arc<Board>) -> Result<Outcome> {
    let settings = &served.loaded.pipeline.file.pipeline;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|cause| Error::internal(format!("the async runtime does not start: {cause}")))?;
    let warehouse = served.warehouse.connect()?;
    let hears = Arc::clone(live);
    let progress = Progress::new(move |event| hears.hear(&event));
    let retry = Retry { times: settings.retries, wait: Duration::from_secs(settings.retry_wait_seconds.into()) };
    let given = Given { warehouse: Some(&warehouse), load_id: Some(&live.run), retry };
    let context = Context { given, ..served.context(&warehouse, &progress, live.stop(), board.clock) };
    runtime.block_on(async {
        if let Some(seconds) = settings.timeout_seconds {
            let live = Arc::clone(live);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(seconds.into())).await;
                live.end(Why::TimedOut);
            });
        }
        perform(&context, &live.asked).await
    })
}

async fn perform(context: &Context<'_>, asked: &Ask) -> Result<Outcome> {
    let report = |report: Report| {
        let shown = serde_json::to_value(&report).map_err(|cause| Error::internal(cause.to_string()))?;
        Ok(Outcome { is_partial: report.is_partial, report: shown })
    };
    match asked.from {
        From::Start => {
            let zone = &context.pipeline.file.pipeline.timezone;
            let since = asked.since.as_deref().map(|since| instant(since, zone)).transpose()?;
            let options = Options { select: asked.streams.clone(), full_refresh: asked.full_refresh, since };
            report(context.run(&options).await?)
        }
        From::Clean => report(context.clean(asked.full_refresh).await?),
        From::Marts | From::Failed => {
            let (full_refresh, retry) = (asked.full_refresh, asked.from == From::Failed);
            let (built, _) = context.build(&marts::Options { full_refresh, retry, ..marts::Options::default() })?;
            Ok(Outcome { is_partial: false, report: serde_json::json!({ "built": built }) })
        }
    }
}

fn ended(live: &Live, served: &Served, done: &Result<Outcome>) -> Ended {
    let step = live.step().to_owned();
    match done {
        Ok(Outcome { is_partial, report }) => {
            let status = if *is_partial { "partial" } else { "ok" };
            let message =
                report.get("skipped").map(|skipped| format!("skipped {}", names(skipped))).unwrap_or_default();
            let report = live.hide(report.to_string());
            Ended { status, message, report, ..Ended::default() }
        }
        Err(error) => {
            let (status, message) = match live.why().filter(|_| error.kind == Kind::Interrupted) {
                Some(Why::Cancelled) => ("cancelled", "it was cancelled".to_owned()),
                Some(Why::Closing) => ("interrupted", "the server ended".to_owned()),
                Some(Why::TimedOut) => {
                    let seconds = served.loaded.pipeline.file.pipeline.timeout_seconds.unwrap_or_default();
                    ("failed", format!("it took more than {seconds} s (`timeout_seconds`)"))
                }
                None => ("failed", live.hide(&error.message)),
            };
            Ended {
                status,
                message,
                hint: live.hide(error.hint.as_deref().unwrap_or_default()),
                step,
                ..Ended::default()
            }
        }
    }
}

fn names(skipped: &Value) -> String {
    let names = skipped.as_array().into_iter().flatten().filter_map(|one| one.get("stream")?.as_str());
    names.collect::<Vec<_>>().join(", ")
}

/// What a report warns of, and who warns.
fn warnings(report: &Value) -> Vec<String> {
    let texts = |value: &Value| {
        let warnings = value.get("warnings").and_then(Value::as_array).into_iter().flatten();
        warnings.filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = texts(report);
    all.extend(report.get("built").map(&texts).unwrap_or_default());
    for one in ["extracted", "cleaned"].iter().filter_map(|key| report.get(key)?.as_array()).flatten() {
        let stream = one.get("stream").and_then(Value::as_str).unwrap_or_default();
        all.extend(texts(one).into_iter().map(|warning| format!("{stream}: {warning}")));
    }
    for one in report.get("skipped").and_then(Value::as_array).into_iter().flatten() {
        let text = |pointer: &str| one.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        all.push(format!("skipped {}: {}", text("/stream"), text("/error/message")));
    }
    all
}

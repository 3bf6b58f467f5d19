//! Runs of `host serve`: progress, one at a time, cancellation, retries, time limit, schedule, and kills.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sandbox::{Fault, ServerOptions};
use serde_json::Value;

use crate::serve_support::Serving;
use crate::support::{Project, people, root};

/// Longer than any test: a response that does not come.
const NEVER: Duration = Duration::from_secs(3600);

/// A pipeline of the companies of a sandbox, with these lines in `[pipeline]`.
fn companies(project: &Project, settings: &str) -> PathBuf {
    let path = project.hubspot(&["companies"], "");
    let text = std::fs::read_to_string(&path).expect("a pipeline");
    project.write("served.toml", &text.replacen("[connection", &format!("{settings}\n[connection"), 1))
}

fn answer_after(project: &Project, latency: Duration) {
    project.server.configure(|options| options.latency = latency);
}

/// The last run of the first pipeline.
fn last_run(serving: &Serving) -> Value {
    serving.get("/api/runs")["runs"][0].clone()
}

#[test]
fn a_run_sends_events_and_is_recorded() {
    let project = Project::new(20);
    let serving = Serving::start(&project, &companies(&project, ""), &[]);
    assert_eq!(serving.get("/api/pipelines")["pipelines"][0]["status"], Value::Null);
    let mut events = serving.listen();
    let run = serving.run("hubspot", "");
    assert_eq!(events.end_of(&run), "ok");
    let heard = |name: &str, pointer: &str, value: &str| {
        events.heard.iter().any(|(event, data)| event == name && data.pointer(pointer).is_some_and(|one| one == value))
    };
    assert!(heard("run", "/status", "queued") && heard("run", "/status", "running"), "{:#?}", events.heard);
    assert!(
        heard("progress", "/id", "stream:hubspot.companies") && heard("log", "/line/message", "run ended status=ok")
    );
    let detail = serving.get(&format!("/api/runs/{run}"));
    assert_eq!((&detail["run"]["status"], &detail["run"]["cause"]), (&"ok".into(), &"asked".into()));
    let companies = project.server.with(|network| network.records[&sandbox::object_types::ObjectType::Company].len());
    assert_eq!(
        (&detail["steps"][0]["name"], &detail["steps"][0]["rows_read"]),
        (&"hubspot.companies".into(), &companies.into())
    );
    let started: Result<jiff::Timestamp, _> = detail["run"]["started_at"].as_str().expect("a time").parse();
    assert!(started.is_ok(), "{detail:#}");
    assert!(detail["log"].as_array().is_some_and(|lines| !lines.is_empty()));
    let list = serving.get("/api/runs?pipeline=hubspot&status=ok");
    assert_eq!((&list["total"], &list["page"], &list["runs"][0]["run"]), (&1.into(), &1.into(), &run.as_str().into()));
    let graph = serving.get("/api/pipelines/hubspot/graph");
    let stream = graph["nodes"].as_array().and_then(|nodes| nodes.iter().find(|node| node["kind"] == "stream"));
    assert_eq!(stream.map(|node| (&node["status"], &node["rows"])), Some((&"done".into(), &companies.into())));
}

#[test]
fn one_run_at_a_time_is_cancelled_and_started_again() {
    let project = Project::with(20, ServerOptions { latency: NEVER, ..ServerOptions::default() });
    let serving = Serving::start(&project, &companies(&project, ""), &[]);
    let mut events = serving.listen();
    let run = serving.run("hubspot", r#"{"full_refresh": true}"#);
    assert!(project.server.wait_for_requests(1));
    let (status, refused) = serving.post("/api/pipelines/hubspot/runs", "");
    assert_eq!((status, &refused["error"]["kind"]), (409, &"conflict".into()), "{refused}");
    assert!(refused["error"]["message"].as_str().is_some_and(|message| message.contains(&run)), "{refused}");
    assert_eq!(serving.post(&format!("/api/runs/{run}/cancel"), "").0, 200);
    assert_eq!(events.end_of(&run), "cancelled");
    assert_eq!(last_run(&serving)["status"], "cancelled");
    answer_after(&project, Duration::ZERO);
    // It continues where it stopped, with the same options.
    let again = serving.run_to_end("hubspot", r#"{"from": "failed"}"#);
    assert_eq!((&again["run"]["status"], &again["run"]["options"]["full_refresh"]), (&"ok".into(), &true.into()));
    let (status, refused) = serving.post("/api/pipelines/hubspot/runs", r#"{"from": "failed"}"#);
    assert_eq!((status, &refused["error"]["message"]), (409, &"the last run did not fail".into()));
}

#[test]
fn a_failed_step_is_retried_and_a_run_ends_at_its_time_limit() {
    // More failures than the retries of the connection.
    let faults = (0..12).map(|_| Fault::response("/objects/2026-03/companies", 503, "")).collect();
    let project = Project::with(20, ServerOptions { faults, ..ServerOptions::default() });
    let settings = "retries = 3\nretry_wait_seconds = 1\ntimeout_seconds = 20";
    let serving = Serving::start(&project, &companies(&project, settings), &[]);
    let tried = serving.run_to_end("hubspot", "");
    assert_eq!(tried["run"]["status"], "ok", "{tried:#}");
    assert!(tried["log"].to_string().contains("extract failed, retrying in 1 s: "), "{tried:#}");
    drop(serving);
    answer_after(&project, NEVER);
    let serving = Serving::start(&project, &companies(&project, "timeout_seconds = 1"), &[]);
    let late = serving.run_to_end("hubspot", "");
    let why = "the run took more than 1 s (`timeout_seconds`)";
    assert_eq!((&late["run"]["status"], &late["run"]["message"]), (&"failed".into(), &why.into()));
}

/// The published models, with their rows.
fn published(serving: &Serving) -> Vec<(Value, Value)> {
    let models = serving.get("/api/models");
    models["models"].as_array().expect("models").iter().map(|one| (one["model"].clone(), one["rows"].clone())).collect()
}

#[test]
fn a_kill_leaves_the_tables_and_the_next_server_resumes_the_run() {
    let project = Project::new(40);
    let pipeline = root().join("pipelines/hubspot.toml");
    project.run(&[]);
    let before = project.fingerprint();
    let mut serving = Serving::start(&project, &pipeline, &[]);
    let models = published(&serving);
    let count = project.server.with(|network| network.records.len());
    assert!(count > 0 && models.iter().any(|(_, rows)| rows.as_u64().is_some_and(|rows| rows > 0)));
    answer_after(&project, NEVER);
    let _ = project.server.take_log();
    let killed = serving.run("hubspot", r#"{"full_refresh": true}"#);
    assert!(project.server.wait_for_requests(1));
    serving.kill();
    assert_eq!(project.fingerprint(), before, "a killed run changed a table");

    let serving = Serving::start(&project, &pipeline, &[]);
    let live = serving.get("/api/pipelines")["pipelines"][0]["live"].clone();
    assert_eq!((&live["cause"], &live["options"]["full_refresh"]), (&"resume".into(), &true.into()), "{live:#}");
    assert_eq!(serving.get(&format!("/api/runs/{killed}"))["run"]["status"], "interrupted");
    assert_eq!(published(&serving), models, "the published models are gone");
    let mut events = serving.listen();
    drop(serving.post(&format!("/api/runs/{}/cancel", live["run"].as_str().expect("an id")), ""));
    events.end_of(live["run"].as_str().expect("an id"));
    answer_after(&project, Duration::ZERO);
    assert_eq!(serving.run_to_end("hubspot", r#"{"full_refresh": true}"#)["run"]["status"], "ok");
    drop(serving);
    assert_eq!(project.fingerprint(), before);
}

#[test]
fn a_killed_run_stays_interrupted_if_the_pipeline_says_so() {
    let project = Project::with(20, ServerOptions { latency: NEVER, ..ServerOptions::default() });
    let pipeline = companies(&project, "interrupted = \"leave\"");
    let mut serving = Serving::start(&project, &pipeline, &[]);
    let killed = serving.run("hubspot", "");
    assert!(project.server.wait_for_requests(1));
    serving.kill();
    let serving = Serving::start(&project, &pipeline, &[]);
    let entry = serving.get("/api/pipelines")["pipelines"][0].clone();
    assert_eq!((&entry["live"], &entry["last_run"]["run"]), (&Value::Null, &killed.into()));
    assert_eq!(entry["status"], "interrupted");
}

fn move_runs_back_a_day(warehouse: &Path) {
    let warehouse = host::ledger::open(warehouse, "1GB").expect("a warehouse");
    let sql = "UPDATE _host.run_starts SET started_at = started_at - INTERVAL 1 DAY; \
               UPDATE _host.run_ends SET ended_at = ended_at - INTERVAL 1 DAY";
    warehouse.execute(sql).expect("an update");
}

#[test]
fn missed_times_of_a_schedule_cause_one_run() {
    let project = Project::new(20);
    project.write("people.csv", "id,name\n1,Ana\n");
    let served = |missed: &str| {
        let settings = format!("schedule = \"0 * * * *\"\nmissed = \"{missed}\"");
        project.write("people.toml", &people(&settings, &["id", "name"], ""))
    };
    let pipeline = served("skip");
    assert!(project.try_run(&pipeline, &[]).status.success());
    move_runs_back_a_day(&project.warehouse_path());
    let serving = Serving::start(&project, &pipeline, &[]);
    let mut events = serving.listen();
    let entry = events.heard.remove(0).1["pipelines"][0].clone();
    assert!(entry["next_run"].is_string() && entry["live"].is_null(), "{entry:#}");
    assert_eq!(serving.get("/api/runs")["total"], 1);
    drop(serving);
    let serving = Serving::start(&project, &served("run_once"), &[]);
    let mut events = serving.listen();
    // The run may have started or ended before the subscription.
    let mut run = last_run(&serving);
    while run["cause"] != "schedule" {
        events.next();
        run = last_run(&serving);
    }
    if run["finished_at"].is_null() {
        events.end_of(run["run"].as_str().expect("an id"));
    }
    assert_eq!(last_run(&serving)["status"], "ok");
    assert_eq!(serving.get("/api/runs")["total"], 2);
}

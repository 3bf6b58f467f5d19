//! Runs of `host serve` that continue: after a kill, and from failed models.

use std::io::Read as _;
use std::time::Duration;

use sandbox::object_types::ObjectType;
use sandbox::{Fault, ServerOptions};
use serde_json::json;

use crate::serve_support::Serving;
use crate::support::{Project, people, root};

#[test]
fn a_run_that_is_resumed_after_a_kill_ends_in_the_tables_of_an_undisturbed_run() {
    let still = || ServerOptions { clock: Some(1_800_000_000_000), ..ServerOptions::default() };
    let (project, undisturbed) = (Project::with(60, still()), Project::with(60, still()));
    for project in [&project, &undisturbed] {
        project.run(&[]);
        project.server.advance(Duration::from_secs(3_600));
        let now = project.server.now();
        project.server.with(|network| {
            let deals: Vec<u64> = network.records[&ObjectType::Deal].keys().copied().collect();
            let edited =
                deals.iter().filter(|id| network.edit(ObjectType::Deal, **id, "amount", Some("12345.67"), now));
            assert!(edited.count() > 50);
        });
    }
    let before = undisturbed.fingerprint();
    undisturbed.run(&[]);
    let after = undisturbed.fingerprint();
    assert_ne!(before, after);

    let pipeline = root().join("pipelines/hubspot.toml");
    let mut serving = Serving::start(&project, &pipeline, &[]);
    let _ = project.server.take_log();
    let killed = serving.run("hubspot", "");
    assert!(project.server.wait_for_requests(8));
    serving.kill();

    let serving = Serving::start(&project, &pipeline, &[]);
    let mut events = serving.listen();
    let newest = serving.get("/api/runs")["runs"][0].clone();
    assert_eq!(newest["cause"], "resume", "{newest:#}");
    if newest["finished_at"].is_null() {
        assert_eq!(events.end_of(newest["run"].as_str().expect("an id")), "ok");
    }
    let was = serving.get(&format!("/api/runs/{killed}"))["run"].clone();
    assert_eq!((&was["status"], &was["seconds"]), (&json!("interrupted"), &json!(null)), "{was:#}");
    drop(serving);
    assert_eq!(project.fingerprint(), after);
}

#[test]
fn a_run_from_failed_models_reads_no_source() {
    let project = Project::new(1);
    project.write("people.csv", "id,age\n1,seven\n");
    project.write("sql/marts/ages.sql", "SELECT id, CAST(age AS INTEGER) AS age FROM clean_people.people");
    let pipeline = project.write("pipeline.toml", &people("", &["id", "age"], "[marts]\npath = \"sql\"\n"));
    let serving = Serving::start(&project, &pipeline, &[]);
    let failed = serving.run_to_end("people", "")["run"].clone();
    assert_eq!((&failed["status"], &failed["step"]), (&json!("failed"), &json!("marts")), "{failed:#}");
    assert_eq!(failed["nodes"]["model:marts.ages"]["status"], "failed", "{failed:#}");
    for key in ["started_at", "finished_at"] {
        let at = failed[key].as_str().expect("a time");
        assert!(at.contains('T') && at.parse::<jiff::Timestamp>().is_ok(), "{key} is `{at}`");
    }
    project.write("sql/marts/ages.sql", "SELECT id, length(age) AS age FROM clean_people.people");
    // Reading the source would fail now.
    std::fs::remove_file(project.folder.path().join("people.csv")).expect("a file");
    let resumed = serving.run_to_end("people", r#"{"from": "failed"}"#);
    assert_eq!(resumed["run"]["status"], "ok", "{resumed:#}");
    assert_eq!(serving.get("/api/models")["models"][0]["rows"], 1);
}

#[test]
fn a_run_whose_process_died_three_times_is_left_to_a_person() {
    let project = Project::with(20, ServerOptions { latency: Duration::from_secs(3_600), ..ServerOptions::default() });
    let pipeline = project.hubspot(&["companies"], "");
    let kill = |mut serving: Serving| {
        assert!(project.server.wait_for_requests(1));
        serving.kill();
        let _ = project.server.take_log();
    };
    let serving = Serving::start(&project, &pipeline, &[]);
    serving.run("hubspot", "");
    kill(serving);
    for _ in 0..2 {
        let serving = Serving::start(&project, &pipeline, &[]);
        assert_eq!(serving.get("/api/pipelines")["pipelines"][0]["live"]["cause"], "resume");
        kill(serving);
    }
    let mut serving = Serving::start(&project, &pipeline, &[]);
    let entry = serving.get("/api/pipelines")["pipelines"][0].clone();
    assert_eq!((&entry["live"], &entry["status"]), (&json!(null), &json!("interrupted")), "{entry:#}");
    let last = serving.get("/api/runs")["runs"][0].clone();
    let run = serving.get(&format!("/api/runs/{}", last["run"].as_str().expect("an id")))["run"].clone();
    let message = "the process ended during the run, as in 3 runs in a row: it is not resumed";
    assert_eq!((&run["message"], &run["finished_at"]), (&json!(message), &json!(null)), "{run:#}");
    assert!(run["hint"].as_str().is_some_and(|hint| hint.contains("by hand")), "{run:#}");
    assert_eq!(serving.get("/api/runs")["total"], 3);
    serving.kill();
    let mut log = String::new();
    serving.child.stderr.take().expect("a pipe").read_to_string(&mut log).expect("UTF-8");
    assert!(log.contains(message) && log.contains("hint: "), "{log}");

    // A person starts it, and the count begins anew.
    project.server.configure(|options| options.latency = Duration::ZERO);
    let serving = Serving::start(&project, &pipeline, &[]);
    assert_eq!(serving.run_to_end("hubspot", "")["run"]["status"], "ok");
    project.server.configure(|options| options.latency = Duration::from_secs(3_600));
    let _ = project.server.take_log();
    serving.run("hubspot", r#"{"full_refresh": true}"#);
    kill(serving);
    let serving = Serving::start(&project, &pipeline, &[]);
    assert_eq!(serving.get("/api/pipelines")["pipelines"][0]["live"]["cause"], "resume");
}

#[test]
fn a_server_survives_a_response_that_is_nested_too_deeply() {
    let project = Project::new(20);
    let pipeline = project.hubspot(&["companies"], "");
    let body = format!("{{\"results\":[],\"z\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let path = "/crm/objects/2026-03/companies";
    project.server.configure(|options| options.faults = vec![Fault::response(path, 200, &body)]);
    let serving = Serving::start(&project, &pipeline, &[]);
    let failed = serving.run_to_end("hubspot", "")["run"].clone();
    assert_eq!(failed["status"], "failed", "{failed:#}");
    let message = failed["message"].as_str().expect("a message");
    let request = format!("the response to `GET {path}` is nested deeper than 256 levels");
    assert!(message.contains("stream `hubspot.companies`") && message.contains(&request), "{message}");
    assert_eq!(serving.run_to_end("hubspot", "")["run"]["status"], "ok");
}

//! Runs of `host serve` that continue: after a kill, and from failed models.

use std::time::Duration;

use sandbox::ServerOptions;
use sandbox::object_types::ObjectType;
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

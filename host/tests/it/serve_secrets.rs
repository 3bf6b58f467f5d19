//! What `host serve` shows and sends has no secret in it, whatever a source answers; and times that any browser reads.

use sandbox::{Fault, TOKEN};
use serde_json::json;

use crate::serve_support::{Hook, Serving};
use crate::support::{Project, people};

#[test]
fn a_source_that_repeats_its_token_puts_it_into_no_alert_no_log_and_no_page() {
    let project = Project::new(1);
    let hook = Hook::start("/hook", false);
    let pipeline = project.hubspot(&["owners"], "");
    let text = std::fs::read_to_string(&pipeline).expect("a pipeline");
    let alert = format!("[[alert]]\non = [\"failure\"]\nurl = \"{}\"\n", hook.url);
    std::fs::write(&pipeline, text + &alert).expect("a pipeline");
    let body = json!({ "status": "error", "message": format!("no such token: {TOKEN}") }).to_string();
    project.server.configure(|options| options.faults = vec![Fault::answer("/owners", 401, &body)]);
    let serving = Serving::start(&project, &pipeline, &[]);
    let mut events = serving.listen();
    let run = serving.run("hubspot", "");
    assert_eq!(events.end_of(&run), "failed");
    let told = hook.until("failure");
    assert!(told["message"].as_str().is_some_and(|message| message.contains("no such token: ***")), "{told}");
    let mut shown = vec![told, json!(events.heard), serving.get(&format!("/api/runs/{run}"))];
    shown.extend(["/api/runs", "/api/pipelines", "/api/plugins"].map(|path| serving.get(path)));
    for shown in shown {
        assert!(!shown.to_string().contains(TOKEN), "{shown:#}");
    }
}

#[test]
fn a_run_goes_on_from_the_models_that_failed_and_asks_no_source() {
    let project = Project::new(1);
    project.write("people.csv", "id,age\n1,seven\n");
    project.write("sql/marts/ages.sql", "SELECT id, CAST(age AS INTEGER) AS age FROM clean_people.people");
    let pipeline = project.write("pipeline.toml", &people("", &["id", "age"], "[marts]\npath = \"sql\"\n"));
    let serving = Serving::start(&project, &pipeline, &[]);
    let failed = serving.run_to_end("people", "")["run"].clone();
    assert_eq!((&failed["status"], &failed["step"]), (&json!("failed"), &json!("marts")), "{failed:#}");
    assert_eq!(failed["nodes"]["model:marts.ages"]["state"], "failed", "{failed:#}");
    for key in ["started_at", "finished_at"] {
        let at = failed[key].as_str().expect("a time");
        assert!(at.contains('T') && at.parse::<jiff::Timestamp>().is_ok(), "{key} is `{at}`");
    }
    project.write("sql/marts/ages.sql", "SELECT id, length(age) AS age FROM clean_people.people");
    // A source that was asked would fail now.
    std::fs::remove_file(project.folder.path().join("people.csv")).expect("a file");
    let mended = serving.run_to_end("people", r#"{"from": "failed"}"#);
    assert_eq!(mended["run"]["status"], "ok", "{mended:#}");
    assert_eq!(serving.get("/api/models")["models"][0]["rows"], 1);
}

//! Alerts of `host serve`: failure, recovery, late runs, quality; a webhook that hangs; a URL that is a secret.

use sandbox::{Fault, TOKEN};
use serde_json::json;

use crate::serve_support::{Hook, Serving};
use crate::support::{Project, people};

#[test]
fn webhooks_receive_alerts_and_a_webhook_that_hangs_delays_nothing() {
    let project = Project::new(20);
    let hook = Hook::start("/services/secret-of-the-hook", false);
    let hanging = Hook::start("/hangs", true);
    let alerts = format!(
        r#"
[[alert]]
on = ["failure"]
url = "{}"
[[alert]]
on = ["failure", "recovery", "late"]
url = {{ secret = "HOOK" }}
late_after_seconds = 1
[[alert]]
on = ["quality"]
url = {{ secret = "HOOK" }}
query = "SELECT count(*) FROM raw_people.people"
threshold = 1
"#,
        hanging.url
    );
    project.write("people.csv", "id,wrong\n1,Ana\n");
    let pipeline = project.write("people.toml", &people("retries = 0", &["id", "name"], &alerts));
    let serving = Serving::start(&project, &pipeline, &[("HOOK", &hook.url)]);

    let failed = serving.run_to_end("people", "");
    assert_eq!(failed["run"]["status"], "failed", "{failed:#}");
    let failure = hook.until("failure");
    assert_eq!((&failure["pipeline"], &failure["run"]), (&"people".into(), &failed["run"]["run"]));
    assert_eq!(failure["message"], failed["run"]["message"]);
    assert!(hanging.next().contains("\"failure\""));

    // The other webhook still hangs.
    project.write("people.csv", "id,name\n1,Ana\n2,Rui\n");
    let done = serving.run_to_end("people", "");
    assert_eq!(done["run"]["status"], "ok", "{done:#}");
    assert_eq!(hook.until("recovery")["run"], done["run"]["run"]);
    let quality = hook.until("quality");
    assert!(
        quality["message"].as_str().is_some_and(|message| message.contains("2 exceeds the threshold of 1")),
        "{quality}"
    );
    let late = hook.until("late");
    assert_eq!(late["message"], "no run has succeeded for more than 1 s");
    assert_eq!(hanging.next(), "gone", "the connection of a webhook that hangs stays open");

    let run = |detail: &serde_json::Value| format!("/api/runs/{}", detail["run"]["run"].as_str().expect("an id"));
    let pages = [run(&failed), run(&done), "/api/pipelines".to_owned(), "/api/plugins".to_owned()];
    let mut shown: Vec<_> = pages.iter().map(|path| serving.get(path).to_string()).collect();
    assert!(shown[2].contains("\"late_after_seconds\":1"), "{}", shown[2]);
    shown.extend([failure, quality, late].map(|body| body.to_string()));
    for text in shown {
        assert!(!text.contains("secret-of-the-hook") && !text.contains(&hook.url), "{text}");
    }
}

#[test]
fn a_token_in_an_error_of_a_source_is_not_in_alerts_logs_or_pages() {
    let project = Project::new(1);
    let hook = Hook::start("/hook", false);
    let pipeline = project.hubspot(&["owners"], "");
    let text = std::fs::read_to_string(&pipeline).expect("a pipeline");
    let alert = format!("[[alert]]\non = [\"failure\"]\nurl = \"{}\"\n", hook.url);
    std::fs::write(&pipeline, text + &alert).expect("a pipeline");
    let body = json!({ "status": "error", "message": format!("no such token: {TOKEN}") }).to_string();
    project.server.configure(|options| options.faults = vec![Fault::response("/owners", 401, &body)]);
    let serving = Serving::start(&project, &pipeline, &[]);
    let mut events = serving.listen();
    let run = serving.run("hubspot", "");
    assert_eq!(events.end_of(&run), "failed");
    let failure = hook.until("failure");
    assert!(failure["message"].as_str().is_some_and(|message| message.contains("no such token: ***")), "{failure}");
    let mut shown = vec![failure, json!(events.heard), serving.get(&format!("/api/runs/{run}"))];
    shown.extend(["/api/runs", "/api/pipelines", "/api/plugins"].map(|path| serving.get(path)));
    for shown in shown {
        assert!(!shown.to_string().contains(TOKEN), "{shown:#}");
    }
}

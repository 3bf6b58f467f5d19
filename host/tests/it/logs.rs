//! Logs of commands: lines of plugins in the stored log of a run, JSON lines with spans, levels, and no secrets.

use std::path::PathBuf;

use sandbox::{Fault, ServerOptions, TOKEN};
use serde_json::Value;

use crate::support::{Project, stderr};

/// A pipeline of a source and a rule that write to the log.
fn logging(project: &Project) -> PathBuf {
    project.write(
        "pipeline.toml",
        r#"
[pipeline]
name = "logging"
warehouse = "warehouse.duckdb"
[connection.api]
base_url = "${HUBSPOT_BASE_URL}"
token = { secret = "HUBSPOT_ACCESS_TOKEN" }
[[source]]
plugin = "evil-source"
name = "evil"
connections = { api = "api" }
config = { mode = "log", path = "/rows" }
[[rule]]
plugin = "evil-guest"
name = "observe"
streams = ["evil.rows"]
config = { mode = "log" }
"#,
    )
}

#[test]
fn lines_of_plugins_are_in_the_log_of_a_command_line_run() {
    let project = Project::new(10);
    let output = project.try_run(&logging(&project), &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let rows = project.query("SELECT load_id, level, message FROM _host.log ORDER BY line");
    assert!(rows.iter().all(|row| row["load_id"] == report["load_id"]), "{rows:#?}");
    let position = |level: &str, message: &str| {
        let is_it = |text: &str| text == message || text.starts_with(&format!("{message} "));
        let found = rows.iter().position(|row| row["level"] == level && row["message"].as_str().is_some_and(is_it));
        found.unwrap_or_else(|| unreachable!("no line `{message}` of the level {level}: {rows:#?}"))
    };
    let lines = [
        position("info", "run started"),
        position("info", "reading /rows"),
        position("warn", "one row is not of this month"),
        position("info", "a batch of 3 rows"),
        position("info", "run ended"),
    ];
    assert!(lines.is_sorted(), "{rows:#?}");
    assert!(stderr(&output).is_empty(), "a command without `--log-format` or `RUST_LOG` logs: {}", stderr(&output));
}

#[test]
fn json_logs_have_the_fields_and_the_spans_of_an_event() {
    let project = Project::new(10);
    let pipeline = logging(&project);
    let pipeline = pipeline.to_str().expect("a path in UTF-8");
    let output = project.command(&["run", pipeline, "--format", "json", "--log-format", "json"]).output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let text = stderr(&output);
    let events: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| unreachable!("not JSON: {line}")))
        .collect();
    let event = |message: &str| {
        let found = events.iter().find(|event| event["fields"]["message"] == message);
        found.unwrap_or_else(|| unreachable!("no event `{message}`: {text}"))
    };
    let span = |message: &str, name: &str, field: &str| {
        let spans = event(message)["spans"].as_array().cloned().unwrap_or_default();
        let found = spans.into_iter().find(|span| span["name"] == name);
        found.map(|span| span[field].clone()).unwrap_or_default()
    };
    for (message, level) in
        [("reading /rows", "INFO"), ("one row is not of this month", "WARN"), ("a batch of 3 rows", "INFO")]
    {
        assert_eq!(event(message)["level"], level);
        assert!(event(message)["timestamp"].is_string(), "{}", event(message));
        assert_eq!(span(message, "run", "run"), report["load_id"], "{}", event(message));
        assert_eq!(span(message, "stream", "stream"), "evil.rows", "{}", event(message));
    }
    assert_eq!(event("reading /rows")["fields"]["plugin"], "evil-source");
    assert_eq!(span("a batch of 3 rows", "rule", "rule"), "observe", "{}", event("a batch of 3 rows"));
}

#[test]
fn a_failed_run_is_logged_with_its_error() {
    let project = Project::new(10);
    let body = r#"{"status":"error","message":"in maintenance"}"#;
    project.server.configure(|options| options.faults = vec![Fault::response("/owners", 400, body)]);
    let pipeline = project.hubspot(&["owners"], "");
    let output = project.try_run(&pipeline, &[]);
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let errors = project.query("SELECT message FROM _host.log WHERE level = 'error'");
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0]["message"].as_str().is_some_and(|text| text.contains("in maintenance")), "{errors:?}");
}

#[test]
fn a_fetched_token_is_hidden_in_every_form_and_command() {
    // `oauth-1` as it is, in capitals, in a URL, in JSON, in hexadecimal, and in base64 after `Bearer `.
    let body =
        r#"{"status":"error","message":"<oauth-1> <OAUTH-1> <oauth%2D1> <6f617574682d31> <QmVhcmVyIG9hdXRoLTE=>"}"#;
    for command in ["check", "discover", "run"] {
        // A project of its own for each command: the first token of a server is `oauth-1`.
        let project = Project::with(10, ServerOptions { is_oauth: true, ..ServerOptions::default() });
        let text = std::fs::read_to_string(project.hubspot(&["owners"], "")).expect("a pipeline");
        let oauth = "oauth = { token_path = \"/oauth/2026-03/token\", client_id = { secret = \"ID\" }, client_secret = { secret = \"SECRET\" }, refresh_token = { secret = \"REFRESH\" } }";
        let pipeline =
            project.write("hubspot.toml", &text.replace("token = { secret = \"HUBSPOT_ACCESS_TOKEN\" }", oauth));
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        let arguments = [command, pipeline, "--format", "json"];
        let path = if command == "run" { "/owners" } else { "/account-info" };
        let faults = vec![Fault::response(path, 400, body)];
        project.server.configure(|options| options.faults = faults);
        let is_run = command == "run";
        let mut command = project.command(&arguments);
        command.env("ID", "client").env("SECRET", "very-secret").env("REFRESH", sandbox::REFRESH_TOKEN);
        let output = command.env("RUST_LOG", "debug").output().expect("the binary runs");
        let shown = format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout)).to_lowercase();
        assert!(shown.contains("<***>"), "{arguments:?}: {shown}");
        for form in
            ["oauth-1", "oauth%2d1", "6f617574682d31", "vhdxroltE".to_lowercase().as_str(), sandbox::REFRESH_TOKEN]
        {
            assert!(!shown.contains(form), "{arguments:?} shows {form}: {shown}");
        }
        if is_run {
            let texts = "SELECT message FROM _host.log UNION ALL SELECT message FROM _host.run_ends";
            let stored = format!("{:?}", project.query(texts)).to_lowercase();
            assert!(stored.contains("<***>") && !stored.contains("oauth-1"), "{stored}");
            assert!(!stored.contains("6f617574682d31") && !stored.contains("oauth%2d1"), "{stored}");
        }
    }
}

#[test]
fn secrets_are_not_in_logs() {
    let body = format!(r#"{{"status":"error","message":"no such token: {TOKEN}"}}"#);
    let faults = vec![Fault::response("/owners", 401, &body)];
    let project = Project::with(10, ServerOptions { faults, ..ServerOptions::default() });
    let pipeline = project.hubspot(&["owners"], "");
    let pipeline = pipeline.to_str().expect("a path in UTF-8");
    let run = |arguments: &[&str]| {
        let mut command = project.command(&[&["run", pipeline], arguments].concat());
        command.env("RUST_LOG", "debug").output().expect("the binary runs")
    };
    let output = run(&["--log-format", "json"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.lines().any(|line| line.contains("\"level\":\"DEBUG\"")), "`RUST_LOG` is ignored: {text}");
    assert!(text.contains("no such token: ***") && !text.contains(TOKEN), "{text}");
    let stored = project.query("SELECT message FROM _host.log UNION ALL SELECT message FROM _host.run_ends");
    let stored = format!("{stored:?}");
    assert!(stored.contains("no such token: ***") && !stored.contains(TOKEN), "{stored}");
    project.server.configure(|options| options.faults.clear());
    let output = run(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stderr(&output).contains(TOKEN) && !String::from_utf8_lossy(&output.stdout).contains(TOKEN));
}

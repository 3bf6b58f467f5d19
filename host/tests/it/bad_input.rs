//! Every bad input leads to one clear error with its exit code, and leaves the warehouse unchanged.

use std::process::Output;

use sandbox::{Fault, ServerOptions};

use crate::support::{Project, json_error, plugins, root, stderr};

/// The shipped pipeline, with its paths made absolute.
fn shipped() -> String {
    let text = std::fs::read_to_string(root().join("pipelines/hubspot.toml")).expect("the pipeline");
    text.replace("\"../sql", &format!("\"{}/sql", root().display()))
}

fn check(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}

/// Runs the shipped pipeline with one edit, which must fail before anything is loaded.
fn check_edit(from: &str, to: &str, code: i32, parts: &[&str]) {
    let project = Project::new(20);
    let text = shipped();
    assert!(text.contains(from), "{from}");
    check(&project.run_text(&text.replacen(from, to, 1)), code, parts);
    let rows = project.warehouse_path().is_file().then(|| project.query("SELECT * FROM _host.streams"));
    assert_eq!(rows.unwrap_or_default().len(), 0, "something was loaded");
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    check_edit(
        "currency = ",
        "curency = ",
        2,
        &["pipeline.toml:8:1: unknown key `curency`", "hint: did you mean `currency`"],
    );
}

#[test]
fn an_error_in_json_has_its_kind_and_the_message_place_and_hint_of_each_problem() {
    let project = Project::new(20);
    let text = shipped().replacen("currency = \"BRL\"", "curency = \"BRL\"", 1);
    let path = project.write("pipeline.toml", &text);
    let output = project.try_run(&path, &[]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "an error is not a result");
    let error = json_error(&output);
    assert_eq!(error["kind"], "config", "{error:#}");
    let file = path.display().to_string();
    assert_eq!(error["message"], format!("{file}:8:1: unknown key `curency`"), "{error:#}");
    assert_eq!(error["hint"], "did you mean `currency`?", "{error:#}");
    let problem = serde_json::json!({
        "message": "unknown key `curency`", "place": { "file": file, "line": 8, "column": 1 },
        "hint": "did you mean `currency`?",
    });
    assert_eq!(error["problems"], serde_json::json!([problem]), "{error:#}");
    // The line of a place is shown to people, with a mark.
    let output = project.run_text(&text);
    check(&output, 2, &["8 | curency = \"BRL\"\n", "| ^^^^^^^\nhint: did you mean `currency`?\n"]);
}

#[test]
fn an_invalid_value_is_named_with_its_place_and_the_description_of_its_key() {
    let meant = "hint: `currency`: ISO 4217 code of the home currency";
    check_edit(
        "currency = \"BRL\"",
        "currency = 5",
        2,
        &["pipeline.toml:8:1: `5` has the wrong type: expected text", meant],
    );
    check_edit(
        "currency = \"BRL\"",
        "currency = \"real\"",
        2,
        &["pipeline.toml:8:1: `real` is not a valid `currency`", meant],
    );
}

#[test]
fn a_syntax_error_is_named_with_its_place() {
    check_edit("currency = \"BRL\"", "currency = ", 2, &["pipeline.toml:8:"]);
}

#[test]
fn plugin_config_is_checked_against_the_plugins_schema() {
    check_edit(
        "action = \"flag\"",
        "action = \"drop\"",
        2,
        &["unknown value `drop`", "expected one of `flag`, `reject`"],
    );
    check_edit("\"trim\"", "\"trimm\"", 2, &["unknown value `trimm`", "did you mean `trim`"]);
    check_edit("config = { column = ", "config = { colum = ", 2, &["unknown key `colum`"]);
}

#[test]
fn unknown_plugins_streams_and_columns_are_named_with_the_nearest() {
    check_edit(
        "plugin = \"canonicalize\"",
        "plugin = \"canonicalise\"",
        2,
        &["plugin `canonicalise`: not found in", "did you mean `canonicalize`?"],
    );
    check_edit("\"owners\"", "\"ownres\"", 2, &["source `hubspot`: unknown stream `ownres`", "did you mean `owners`"]);
    check_edit(
        "column = \"especialidade_medica\"",
        "column = \"especialidade\"",
        2,
        &["rule `specialties`", "no column `especialidade`", "`especialidade_medica`"],
    );
}

#[test]
fn a_file_that_is_not_a_component_is_refused() {
    let project = Project::new(20);
    let path = project.write("bad.wasm", "not wasm");
    let text = shipped().replacen("plugin = \"require\"", &format!("plugin = \"{}\"", path.display()), 1);
    check(&project.run_text(&text), 4, &["is not a WebAssembly component", "host plugin build"]);
}

#[test]
fn another_contract_version_is_refused() {
    let project = Project::new(20);
    let component = std::fs::read(plugins().join("require.wasm")).expect("a component");
    let (ours, other) = (b"elt:plugin/rule@0.1.0", b"elt:plugin/rule@0.9.0");
    let mut bytes = component.clone();
    for at in 0..component.len() - ours.len() {
        if component[at..].starts_with(ours) {
            bytes[at..at + other.len()].copy_from_slice(other);
        }
    }
    let path = project.folder.path().join("newer.wasm");
    std::fs::write(&path, bytes).expect("a file");
    let text = shipped().replacen("plugin = \"require\"", &format!("plugin = \"{}\"", path.display()), 1);
    check(
        &project.run_text(&text),
        4,
        &["plugin `newer`: it implements contract version 0.9.0, but this host supports 0.1.0", "elt:plugin@0.1.0"],
    );
}

#[test]
fn a_rule_that_is_named_as_a_source_is_refused() {
    check_edit("plugin = \"csv\"", "plugin = \"text\"", 2, &["plugin `text` is a rule", "[[rule]]"]);
}

#[test]
fn a_missing_grant_names_the_line_to_add() {
    check_edit(
        "connections = { hubspot = \"hubspot\" }\n",
        "",
        2,
        &["needs the connection `hubspot`", "connections = { hubspot = "],
    );
}

#[test]
fn a_missing_secret_names_its_place() {
    let project = Project::new(20);
    let path = project.write("pipeline.toml", &shipped());
    let mut command = project.command(&["run", path.to_str().expect("a path")]);
    let output = command.env_remove("HUBSPOT_ACCESS_TOKEN").output().expect("the binary runs");
    check(
        &output,
        2,
        &[
            "pipeline.toml:13:1",
            "the secret `HUBSPOT_ACCESS_TOKEN` is not set",
            "hint: add `HUBSPOT_ACCESS_TOKEN=…` to .env",
        ],
    );
}

#[test]
fn a_wrong_token_is_reported_and_not_shown() {
    let project = Project::new(20);
    let path = project.write("pipeline.toml", &shipped());
    let mut command = project.command(&["run", path.to_str().expect("a path")]);
    let output = command.env("HUBSPOT_ACCESS_TOKEN", "pat-wrong-secret").output().expect("the binary runs");
    check(&output, 2, &["HubSpot answered 401", "the token is not valid"]);
    assert!(!stderr(&output).contains("pat-wrong-secret"));
}

#[test]
fn a_missing_scope_is_named() {
    let missing_scopes = vec!["crm.objects.deals.read".to_owned()];
    let project = Project::with(20, ServerOptions { missing_scopes, ..ServerOptions::default() });
    check(&project.run_text(&shipped()), 2, &["HubSpot answered 403", "scope `crm.objects.deals.read`"]);
}

#[test]
fn forbidden_and_unreachable_base_urls_are_errors() {
    let url = "${HUBSPOT_BASE_URL:-https://api.hubapi.com}";
    check_edit(
        url,
        "http://api.hubapi.com",
        2,
        &["pipeline.toml:12:1", "is not allowed: `http` would send the token unencrypted"],
    );
    check_edit(url, "https://10.1.2.3", 2, &["`https://10.1.2.3` is not allowed: its address is not public"]);
    check_edit(url, "https://nowhere.invalid", 3, &["no response from `nowhere.invalid`", "check `base_url`"]);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let closed = format!("http://{}", closed.expect("a port that is no longer in use"));
    check_edit(url, &closed, 3, &["no response from `127.0.0.1`", "refused", "check `base_url`"]);
}

#[test]
fn responses_that_are_not_json_or_are_cut_off_are_data_errors() {
    for body in ["<html>maintenance</html>", r#"{"results":[{"id":"1","properties":{"#] {
        // A body that is cut off once is requested again; one that is cut off every time is an error.
        let faults = vec![Fault::response("/objects/2026-03/contacts", 200, body); 4];
        let project = Project::with(20, ServerOptions { faults, ..ServerOptions::default() });
        check(&project.run_text(&shipped()), 5, &["stream `hubspot.contacts`: page 1", "it is safe to run again"]);
        let output = project.run_text(&shipped());
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn models_are_checked_before_anything_is_loaded() {
    for (sql, part) in [
        ("-- a\nSELECT FROM\nWHERE", "sql/marts/a.sql:3: model `marts.a`: syntax error"),
        ("SELECT 1\nFROM marts.nowhere", "sql/marts/a.sql:2: model `marts.a`: unknown table `marts.nowhere`"),
        (
            "SELECT * FROM marts.b",
            "sql/marts/a.sql:1: model `marts.a`: circular dependency: marts.a → marts.b → marts.a",
        ),
    ] {
        let project = Project::new(20);
        project.write("sql/marts/a.sql", sql);
        project.write("sql/marts/b.sql", "SELECT * FROM marts.a");
        let start = shipped().find("[marts]").expect("marts");
        let text = format!("{}[marts]\npath = \"sql\"\n", &shipped()[..start]);
        check(&project.run_text(&text), 2, &[part]);
        assert!(!project.warehouse_path().exists(), "the warehouse was created");
    }
}

#[test]
fn a_model_that_does_not_build_is_named_with_its_line() {
    for (sql, code, part) in [
        (
            "SELECT\n    id,\n    nonsense\nFROM raw_hubspot.owners",
            2,
            "sql/marts/a.sql:3: model `marts.a`: Referenced column \"nonsense\" not found",
        ),
        ("SELECT CAST(email AS INTEGER) AS n\nFROM raw_hubspot.owners", 5, "model `marts.a`: Could not convert string"),
    ] {
        let project = Project::new(20);
        project.write("sql/marts/a.sql", sql);
        let start = shipped().find("[marts]").expect("marts");
        let text = format!("{}[marts]\npath = \"sql\"\n", &shipped()[..start]);
        check(&project.run_text(&text), code, &[part, "it is safe to run again"]);
    }
}

#[test]
fn a_failing_check_publishes_nothing() {
    let project = Project::new(20);
    let start = shipped().find("[marts]").expect("marts");
    let text = format!("{}[marts]\npath = \"sql\"\n", &shipped()[..start]);
    project.write("sql/marts/a.sql", "SELECT 1 AS good");
    assert!(project.run_text(&text).status.success());
    project.write("sql/marts/a.sql", "SELECT 2 AS bad");
    project.write("sql/checks/never.sql", "SELECT * FROM marts.a WHERE bad = 2");
    check(&project.run_text(&text), 5, &["check `checks.never` returned rows: {\"bad\":2}", "nothing was published"]);
    assert_eq!(project.query("SELECT good FROM marts.a")[0]["good"], 1);
}

#[test]
fn an_invalid_spend_file_is_named_with_the_line() {
    for (text, code, part) in [
        ("month,chanel,campaign,cost_type,amount,currency\n", 5, "the header has no column `channel`"),
        (
            "month,channel,campaign,cost_type,amount,currency\n2026-01,google_ads,a,media,\"1.234,50\",BRL\n",
            5,
            "bad.csv:2: column `amount`",
        ),
        (
            "month,channel,campaign,cost_type,amount,currency\n2026-01,ads,a,media,1,BRL\n2026-01-01,ads,a,media,2,BRL\n",
            5,
            "bad.csv:3: duplicate key month, channel, campaign, cost_type = `2026-01-01, ads, a, media`, first in line 2",
        ),
    ] {
        let mut project = Project::new(20);
        project.spend = Some(project.write("bad.csv", text));
        check(&project.run_text(&shipped()), code, &[part]);
    }
    let mut project = Project::new(20);
    project.spend = Some(project.folder.path().join("absent.csv"));
    check(&project.run_text(&shipped()), 2, &["file `file`", "absent.csv", "No such file"]);
}

#[test]
fn a_locked_or_unwritable_warehouse_is_an_error() {
    let project = Project::new(20);
    let held = host::ledger::open(&project.warehouse_path(), "256MB").expect("a warehouse");
    check(&project.run_text(&shipped()), 3, &["another process has it open"]);
    drop(held);
    let text = shipped().replacen("${WAREHOUSE:-../warehouse.duckdb}", "/proc/nowhere/warehouse.duckdb", 1);
    check(&project.run_text(&text), 2, &["warehouse /proc/nowhere/warehouse.duckdb"]);
}

#[test]
fn a_full_disk_is_an_error_and_loses_no_data() {
    let undisturbed = Project::new(400);
    assert!(undisturbed.run_text(&shipped()).status.success());
    let project = Project::new(400);
    let path = project.write("pipeline.toml", &shipped());
    // A file may grow to 2 MiB, no further: writing fails as on a full disk. The memory of a plugin is a file for wasmtime.
    let host = project.command(&["run", path.to_str().expect("a path")]);
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "bash"]).arg(host.get_program());
    shell.args(host.get_args()).env_clear();
    shell.envs(host.get_envs().filter_map(|(name, value)| Some((name, value?))));
    check(&shell.output().expect("bash runs"), 2, &["free disk space"]);
    assert!(project.run_text(&shipped()).status.success());
    assert_eq!(project.fingerprint(), undisturbed.fingerprint());
}

#[test]
fn an_interrupted_run_continues() {
    let project = Project::new(400);
    let path = project.write("pipeline.toml", &shipped());
    let mut command = project.command(&["run", path.to_str().expect("a path")]);
    let child = command.stderr(std::process::Stdio::piped()).spawn().expect("the binary runs");
    assert!(project.server.wait_for_requests(8), "the run sends requests");
    let interrupted =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupted.success());
    let output = child.wait_with_output().expect("it ends");
    check(&output, 130, &["stopped"]);
    assert!(project.run_text(&shipped()).status.success());
}

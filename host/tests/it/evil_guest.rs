//! Plugins that break the contract: each ends within its limits in an error that names it, and the warehouse stays as it
//! was before the run. No plugin sees a secret.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Output;

use host::warehouse::Row;
use sandbox::{Fault, REFRESH_TOKEN, ServerOptions, TOKEN};

use crate::support::{self, Project, stderr};

/// Mode, exit code, and a text of the error beside the plugin's name.
const RULES: &[(&str, i32, &str)] = &[
    ("spin", 4, "`apply` failed: exceeded its time limit of 1 s"),
    ("allocate", 4, "`apply` failed: exceeded its memory limit of 1024 MiB"),
    ("recurse", 4, "call stack exhausted"),
    ("giant_text", 4, "`apply` failed: passed more than 128 MiB to the host in one call"),
    ("giant_offsets", 4, "offsets do not rise from 0 to the length of the values"),
    ("short_buffer", 4, "40 bytes for 11 values of 4 bytes"),
    ("bad_offsets", 4, "offsets do not rise from 0 to the length of the values"),
    ("bad_utf8", 4, "malformed buffers: Invalid argument error: Encountered non UTF-8 data"),
    ("split_character", 4, "malformed buffers: Invalid argument error: Split UTF-8 codepoint"),
    ("too_many_rows", 4, "84 bytes for 11 values of 4 bytes"),
    ("unknown_row", 4, "a note is on row 15, but the batch has 10 rows"),
    ("many_notes", 4, "`apply` failed: passed more than 128 MiB to the host in one call"),
    ("notes_a_row", 4, "300000 notes on 10 rows: the limit is 256 per row"),
    ("bad_confidence", 4, "the confidence of a note is NaN: expected 0 to 1"),
    ("changed_key", 4, "it sets `id`, a primary key of `people.people`"),
    ("key_in_capitals", 4, "it sets `ID`, a primary key of `people.people`"),
    ("host_column", 4, "it sets `_host_row`, which is reserved for the host"),
    ("twin_columns", 4, "it sets `Name`, which the warehouse cannot distinguish from `name`"),
    ("smuggled_key", 4, "it sets `id`, which its plan does not name"),
    ("unknown_column", 4, "it sets `extra`, which its plan does not name"),
    ("log_flood", 4, "logged more than 100000 lines in one call\n         info: a line of a flood"),
    ("giant_error", 5, "plugin `evil-guest`: [2Jall is well!!"),
    ("merge_into_none", 4, "merges a record into one without a key"),
    ("merge_twice", 4, "merges or rejects a record twice"),
    ("merge_into_stranger", 4, "merges records into `nobody`, which is not in the clean table"),
    ("merge_in_circle", 4, "which is not in the clean table"),
    ("uneven_merge", 4, "`merged-into` has "),
    ("reject_stranger", 4, "or a record that does not exist"),
    ("empty_verdicts", 4, "returned too many verdicts: 0 on 10 records, and 101 empty pages"),
    ("endless_verdicts", 4, "returned too many verdicts: 3000 on 10 records"),
];

/// Mode, path, exit code, and a text of the error.
const SOURCES: &[(&str, &str, i32, &str)] = &[
    ("spin", "", 4, "plugin `evil-source`: `next` failed: exceeded its time limit of 1 s"),
    ("sleep", "", 4, "plugin `evil-source`: `next` failed: exceeded its time limit of 1 s"),
    ("many_requests", "", 4, "plugin `evil-source`: `next` failed: sent more than 10000 requests in one call"),
    ("stream_name", "", 4, "source `evil`: plugin `evil-source`: `` is not a valid stream name"),
    ("stream_name", "a.b", 4, "plugin `evil-source`: `a.b` is not a valid stream name"),
    (
        "stream_name",
        "rows\t",
        4,
        "hint: a name has 1 to 200 letters, digits, `_` and `-`, and does not contain `__next`",
    ),
    ("stream_name", "rows__next", 4, "plugin `evil-source`: `rows__next` is not a valid stream name"),
    ("twin_streams", "", 4, "plugin `evil-source`: duplicate stream `ROWS`"),
    ("column_name", "", 4, "plugin `evil-source`: stream `rows`: `` is not a valid column name"),
    ("column_name", "_Load_Id", 4, "plugin `evil-source`: stream `rows`: column `_Load_Id` is reserved for the host"),
    ("column_name", "_host_key", 4, "plugin `evil-source`: stream `rows`: column `_host_key` is reserved for the host"),
    ("hinted_column", "words", 4, "plugin `evil-source`: stream `rows`: a hint names the unknown column `words`"),
    ("trap", "", 4, "plugin `evil-source`: `next` failed: wasm trap: wasm `unreachable`"),
    ("undeclared_connection", "", 2, "connection `other` is not granted"),
    ("own_authorization", "", 2, "header `authorization` is reserved for the host"),
    ("smuggled_header", "", 2, "header `transfer-encoding` is reserved for the host"),
    ("trace", "", 2, "method `TRACE` is not allowed"),
    ("path", "//evil.test/x", 2, "does not start with exactly one `/`"),
    ("path", "https://evil.test/x", 2, "does not start with exactly one `/`"),
    ("path", "@evil.test/x", 2, "does not start with exactly one `/`"),
    ("path", "\\evil.test/x", 2, "does not start with exactly one `/`"),
    ("path", "/..", 2, "path `/..` leaves the connection's base URL"),
    ("path", "/../crm-admin/x", 2, "leaves the connection's base URL"),
    ("path", "/a/../../x", 2, "leaves the connection's base URL"),
    ("path", "/%2e%2e/x", 2, "leaves the connection's base URL"),
    ("path", "/\\..\\..\\x", 2, "leaves the connection's base URL"),
    ("file", "../secret.txt", 2, "file `../secret.txt` is not granted"),
    ("file", "file/../../secret.txt", 2, "is not granted"),
    ("file", "/etc/passwd", 2, "file `/etc/passwd` is not granted"),
    ("file", "granted.csv", 2, "file `granted.csv` is not granted"),
    (
        "greedy",
        "/greedy",
        4,
        "plugin `evil-source`: `next` failed: took more than 256 MiB of values from a response in one call",
    ),
    ("deep_path", "/deep", 4, "a JSON path has more than 100 steps"),
    ("decode", "/deep", 5, "the response to `GET /crm/deep` is nested deeper than 256 levels"),
    ("big_state", "", 4, "plugin `evil-source`: its state has 104857600 bytes: the limit is 16 MiB"),
    ("endless", "", 4, "plugin `evil-source`: 10001 empty pages in a row"),
    ("other_stream", "", 4, "sent rows of `others`, which was not requested"),
    ("no_key", "", 4, "the schema has no primary key"),
    ("claimed_rows", "", 4, "4294967295 rows, but a batch has at most 1048576"),
    ("few_columns", "", 4, "1 columns, but the schema has 2"),
];

/// A rule that keeps to the contract.
const HONEST: &str = r#"
[[rule]]
plugin = "text"
streams = ["people.people"]
[rule.config.columns]
name = ["lower"]
"#;

/// A project with a file of this number of people.
fn people(count: usize) -> Project {
    let project = Project::new(10);
    let rows: String = (1..=count).map(|id| format!("{id},Ana {id}\n")).collect();
    project.write("people.csv", &format!("id,name\n{rows}"));
    project
}

/// A pipeline of that file and a rule.
fn cleaned_by(settings: &str, rule: &str) -> String {
    support::people(settings, &["id", "name"], rule)
}

/// A pipeline of that file and the rule `evil-guest` in a mode.
fn cleaned_by_evil(mode: &str) -> String {
    let rule =
        format!("[[rule]]\nplugin = \"evil-guest\"\nstreams = [\"people.people\"]\nconfig = {{ mode = \"{mode}\" }}\n");
    cleaned_by(limit(mode), &rule)
}

/// A plugin that computes or sleeps without end is stopped after a second.
fn limit(mode: &str) -> &'static str {
    if ["spin", "sleep"].contains(&mode) { "plugin_seconds = 1" } else { "" }
}

/// A pipeline of the source `evil-source` in a mode, over a connection to `base` with a line of credentials.
fn read_from_evil(base: &str, credential: &str, mode: &str, config: &str) -> String {
    let settings = limit(mode);
    format!(
        r#"
[pipeline]
name = "evil"
warehouse = "warehouse.duckdb"
{settings}
[connection.api]
base_url = "{base}"
{credential}
retry = {{ first_ms = 5, longest_ms = 40 }}
[[source]]
plugin = "evil-source"
name = "evil"
connections = {{ api = "api" }}
files = {{ file = "granted.csv" }}
[source.config]
mode = "{mode}"
{config}
"#
    )
}

const CREDENTIAL: &str = r#"token = { secret = "HUBSPOT_ACCESS_TOKEN" }"#;

fn succeed(output: &Output) {
    assert!(output.status.success(), "{}", stderr(output));
}

fn check(what: &str, output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    // The message does not include a text of 100 MB.
    assert!(text.len() < 20_000, "{what}: an error of {} bytes", text.len());
    assert_eq!(output.status.code(), Some(code), "{what}: {text}");
    assert!(!text.contains("panicked") && !text.contains('\u{1b}'), "{what}: {text}");
    for part in parts {
        assert!(text.contains(part), "{what}: no `{part}` in: {text}");
    }
}

/// All that a failed run leaves unchanged: raw and clean tables, the ledger's facts about them, the journal.
fn kept(project: &Project) -> Vec<Row> {
    let mut rows = project.fingerprint();
    for table in ["cleanings", "segments", "changes", "rejects", "notes", "merges", "streams", "table_changes"] {
        rows.extend(project.query(&format!("SELECT * FROM _host.{table} ORDER BY ALL")));
    }
    rows
}

#[test]
fn a_rule_that_breaks_the_contract_changes_nothing() {
    let project = people(10);
    succeed(&project.run_text(&cleaned_by("", HONEST)));
    let before = kept(&project);
    for &(mode, code, part) in RULES {
        let output = project.run_text(&cleaned_by_evil(mode));
        check(mode, &output, code, &["evil-guest", part]);
        assert_eq!(kept(&project), before, "{mode}");
    }
    succeed(&project.run_text(&cleaned_by("", HONEST)));
    assert_eq!(kept(&project), before);
}

#[test]
fn a_first_run_that_fails_leaves_no_clean_table() {
    // More than one batch, for the mode that traps at the second.
    for (mode, count) in [("trap", 20_000), ("bad_offsets", 10), ("merge_twice", 10), ("merge_in_circle", 10)] {
        let project = people(count);
        let output = project.run_text(&cleaned_by_evil(mode));
        check(mode, &output, 4, &["evil-guest", "it is safe to run again"]);
        assert!(mode != "trap" || stderr(&output).contains("`apply` failed: wasm trap: wasm `unreachable`"));
        let raw = project.query("SELECT count(*) AS rows FROM raw_people.people WHERE name LIKE 'Ana %'");
        assert_eq!(raw[0]["rows"], count, "{mode}");
        let clean =
            project.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'clean_people'");
        assert_eq!(clean.len(), 0, "{mode}: {clean:?}");
        for table in ["cleanings", "segments", "changes", "rejects", "notes", "merges"] {
            assert_eq!(project.query(&format!("SELECT * FROM _host.{table}")).len(), 0, "{mode}: {table}");
        }
        assert_eq!(project.query("SELECT status FROM _host.runs")[0]["status"], "failed", "{mode}");
        succeed(&project.run_text(&cleaned_by("", HONEST)));
        let clean = project.query("SELECT count(*) AS rows FROM clean_people.people WHERE name LIKE 'ana %'");
        assert_eq!(clean[0]["rows"], count, "{mode}");
    }
}

#[test]
fn a_source_that_breaks_the_contract_changes_nothing() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    // Where `../secret.txt` and `file/../../secret.txt` would lead from the file and from its folder.
    project.write("secret.txt", "nobody reads this");
    let base = format!("{}/crm", project.server.url());
    let run = |mode: &str, path: &str| {
        project.run_text(&read_from_evil(&base, CREDENTIAL, mode, &format!("path = {path:?}")))
    };
    succeed(&run("honest", ""));
    let before = kept(&project);
    for &(mode, path, code, part) in SOURCES {
        let what = format!("{mode} {path}");
        let body = match mode {
            "greedy" => format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20)),
            "decode" => format!("{{\"rows\":[],\"x\":{}{}}}", "{\"x\":[".repeat(50_000), "]}".repeat(50_000)),
            _ => "{}".to_owned(),
        };
        let asks = ["greedy", "deep_path", "decode"].contains(&mode);
        project.server.configure(|options| options.faults = vec![Fault::response(path, 200, &body)]);
        let _ = project.server.take_log();
        let output = run(mode, path);
        check(&what, &output, code, &["evil", part]);
        assert!(!stderr(&output).contains("nobody reads this"), "{what}");
        let log = project.server.take_log();
        assert_eq!(log.len(), usize::from(asks), "{what}: {log:?}");
        assert_eq!(kept(&project), before, "{what}");
    }
    succeed(&run("honest", ""));
    assert_eq!(kept(&project), before);
}

/// A server that responds to every request with a status and headers, and without a body.
fn respond_with(status: &str, headers: &str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let head = format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n");
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let request = BufReader::new(stream.try_clone().expect("a connection"));
            let ends = |line: &std::io::Result<String>| line.as_ref().is_ok_and(String::is_empty);
            assert!(request.lines().any(|line| ends(&line)), "a request ends with an empty line");
            stream.write_all(head.as_bytes()).expect("a response");
            open.push(stream);
        }
    });
    url
}

#[test]
fn a_redirect_to_another_server_is_not_followed() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    let elsewhere = project.server.url();
    let server = respond_with("302 Found", &format!("location: {elsewhere}/stolen\r\ncontent-length: 0"));
    let pipeline = read_from_evil(&server, CREDENTIAL, "path", "path = \"/moved\"");
    let part = format!("the server answered 302, {elsewhere}/stolen");
    check("redirect", &project.run_text(&pipeline), 5, &["stream `evil.rows`", &part]);
    let log = project.server.take_log();
    assert!(log.is_empty(), "the secret was sent: {log:?}");
}

#[test]
fn the_time_of_a_server_does_not_count_as_the_time_of_a_plugin() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    let slow = std::time::Duration::from_millis(1500);
    project.server.configure(|options| {
        options.latency = slow;
        options.faults = vec![Fault::response("/slow", 200, "{}")];
    });
    // One waits in `fetch`, the other for the responses of `send-all`.
    for (mode, part) in [("path", "the server answered 200"), ("hoard", "the host keeps 3 responses")] {
        let pipeline = read_from_evil(&project.server.url(), CREDENTIAL, mode, "path = \"/slow\"");
        let pipeline = pipeline.replace("[connection.api]", "plugin_seconds = 1\n[connection.api]");
        check(mode, &project.run_text(&pipeline), 5, &["stream `evil.rows`", part]);
    }
}

#[test]
fn responses_that_a_plugin_does_not_read_are_bounded() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    // Two such responses are within the limit. No body ever arrives.
    let server = respond_with("200 OK", "content-length: 400000000");
    let output = project.run_text(&read_from_evil(&server, CREDENTIAL, "hoard", "path = \"/big\""));
    let part = "plugin `evil-source`: `next` failed: holds more than 1024 MiB of responses and rows in the host";
    check("hoard", &output, 4, &["stream `evil.rows`", part]);
}

/// How often a plugin finds texts in its whole memory, after a request that the host sent with the secret.
fn found(project: &Project, credential: &str, texts: &[(&str, &str)], known: &str) -> BTreeMap<String, String> {
    project.write("granted.csv", "id,name\n");
    let mut config =
        format!("path = \"/account-info/2026-03/details\"\nknown = {known:?}\n[source.config.backwards]\n");
    for (name, text) in texts {
        let backwards: String = text.chars().rev().collect();
        config.push_str(&format!("{name} = {backwards:?}\n"));
    }
    let pipeline = read_from_evil(&project.server.url(), credential, "dump", &config);
    let path = project.write("pipeline.toml", &pipeline);
    let mut command = project.command(&["run", path.to_str().expect("a path in UTF-8")]);
    command.env("ID", "the-client").env("SECRET", "the-clients-secret").env("REFRESH", REFRESH_TOKEN);
    succeed(&command.output().expect("the binary runs"));
    let log = project.server.take_log();
    assert!(log.iter().any(|logged| logged.contains("/account-info/") && logged.status == 200), "{log:?}");
    let text = |row: &Row, column: &str| row[column].as_str().expect("a text").to_owned();
    let rows = project.query("SELECT id, name FROM raw_evil.rows");
    rows.iter().map(|row| (text(row, "id"), text(row, "name"))).collect()
}

#[test]
fn no_plugin_sees_a_secret() {
    let known = "a text of the config";
    let is_found = |found: &BTreeMap<String, String>, name: &str| found[name] != "0";

    let project = Project::new(10);
    let bearer = format!("Bearer {TOKEN}");
    let texts = [("token", TOKEN), ("header", bearer.as_str()), ("variable", "HUBSPOT_ACCESS_TOKEN"), ("known", known)];
    let with_token = found(&project, CREDENTIAL, &texts, known);
    assert!(is_found(&with_token, "known"), "the control text was not found: {with_token:?}");
    let secrets = ["token", "header", "variable"];
    assert!(!secrets.iter().any(|name| is_found(&with_token, name)), "{with_token:?}");

    let project = Project::with(10, ServerOptions { is_oauth: true, ..ServerOptions::default() });
    let oauth = "oauth = { token_path = \"/oauth/2026-03/token\", client_id = { secret = \"ID\" }, client_secret = { secret = \"SECRET\" }, refresh_token = { secret = \"REFRESH\" } }";
    let texts = [("access", "oauth-1"), ("refresh", REFRESH_TOKEN), ("client", "the-clients-secret"), ("known", known)];
    let with_oauth = found(&project, oauth, &texts, known);
    assert!(is_found(&with_oauth, "known"), "the control text was not found: {with_oauth:?}");
    let secrets = ["access", "refresh", "client"];
    assert!(!secrets.iter().any(|name| is_found(&with_oauth, name)), "{with_oauth:?}");
}

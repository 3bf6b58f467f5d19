//! Plugins that misbehave: each ends within its limit in an error that names it, with nothing half-written and a
//! warehouse that the next run works on. And no plugin sees a secret.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Output;

use host::warehouse::Row;
use sandbox::{Fault, REFRESH_TOKEN, ServerOptions, TOKEN};

use crate::support::{self, Project, stderr};

/// Mode, exit code, what the error says beside the plugin's name.
const RULES: &[(&str, i32, &str)] = &[
    ("spin", 4, "failed in `apply`: ran over its 1 s"),
    ("allocate", 4, "failed in `apply`: wants more than its 1024 MiB of memory"),
    ("recurse", 4, "call stack exhausted"),
    ("giant_text", 4, "failed in `apply`: hands over more than 128 MiB in one call"),
    ("giant_offsets", 4, "its offsets do not rise from 0 to the length of its values"),
    ("short_buffer", 4, "40 bytes where 11 rows of 4 bytes belong"),
    ("bad_offsets", 4, "its offsets do not rise from 0 to the length of its values"),
    ("bad_utf8", 4, "a malformed column came back: Invalid argument error: Encountered non UTF-8 data"),
    ("split_character", 4, "a malformed column came back: Invalid argument error: Split UTF-8 codepoint"),
    ("too_many_rows", 4, "84 bytes where 11 rows of 4 bytes belong"),
    ("unknown_row", 4, "it speaks of row 15 of a batch of 10"),
    ("many_notes", 4, "failed in `apply`: hands over more than 128 MiB in one call"),
    ("notes_a_row", 4, "it makes 300000 remarks on 10 rows"),
    ("bad_confidence", 4, "it is NaN sure of a remark"),
    ("changed_key", 4, "it sets `id`, a primary key of `people.people`"),
    ("key_in_capitals", 4, "it sets `ID`, a primary key of `people.people`"),
    ("host_column", 4, "it sets `_host_row`, which is the host's own"),
    ("twin_columns", 4, "it sets `Name` beside `name`"),
    ("smuggled_key", 4, "it sets `id` without having said so"),
    ("unknown_column", 4, "it sets `extra` without having said so"),
    ("log_flood", 4, "wrote more than 100000 lines to the log in one call\n         info: a line of a flood"),
    ("giant_error", 5, "plugin `evil-guest`: [2Jall is well!!"),
    ("merge_into_none", 4, "merges a record into none"),
    ("merge_twice", 4, "merges or refuses a record twice"),
    ("merge_into_stranger", 4, "merges records into `nobody`, which does not stay"),
    ("merge_in_circle", 4, "which does not stay"),
    ("uneven_merge", 4, "its survivors do not run beside its keys"),
    ("reject_stranger", 4, "or one that is not there"),
    ("empty_verdicts", 4, "has verdicts without end: 0 on 10 records, and 101 pages without any"),
    ("endless_verdicts", 4, "has verdicts without end: 3000 on 10 records"),
];

/// Mode, path, exit code, what the error says.
const SOURCES: &[(&str, &str, i32, &str)] = &[
    ("spin", "", 4, "plugin `evil-source` failed in `next`: ran over its 1 s"),
    ("sleep", "", 4, "plugin `evil-source` failed in `next`: ran over its 1 s"),
    ("many_requests", "", 4, "plugin `evil-source` failed in `next`: sends more than 10000 requests in one call"),
    ("stream_name", "", 4, "source `evil`: plugin `evil-source`: `` is no name of a stream"),
    ("stream_name", "a.b", 4, "plugin `evil-source`: `a.b` is no name of a stream"),
    ("stream_name", "rows\t", 4, "hint: letters, digits, `_` and `-` are allowed, 200 at most, without `__next`"),
    ("stream_name", "rows__next", 4, "plugin `evil-source`: `rows__next` is no name of a stream"),
    ("twin_streams", "", 4, "plugin `evil-source`: the stream `ROWS` is there twice"),
    ("column_name", "", 4, "plugin `evil-source`: stream `rows`: `` is no name of a column"),
    ("column_name", "_Load_Id", 4, "plugin `evil-source`: stream `rows`: its column `_Load_Id` is the host's own"),
    ("column_name", "_host_key", 4, "plugin `evil-source`: stream `rows`: its column `_host_key` is the host's own"),
    (
        "hinted_column",
        "words",
        4,
        "plugin `evil-source`: stream `rows`: a hint names `words`, which is no column of it",
    ),
    ("trap", "", 4, "plugin `evil-source` failed in `next`: wasm trap: wasm `unreachable`"),
    ("undeclared_connection", "", 2, "the connection `other` is not granted"),
    ("own_authorization", "", 2, "a plugin may not set the header `authorization`"),
    ("smuggled_header", "", 2, "a plugin may not set the header `transfer-encoding`"),
    ("trace", "", 2, "a plugin may not send `TRACE`"),
    ("path", "//evil.test/x", 2, "does not start with one `/`"),
    ("path", "https://evil.test/x", 2, "does not start with one `/`"),
    ("path", "@evil.test/x", 2, "does not start with one `/`"),
    ("path", "\\evil.test/x", 2, "does not start with one `/`"),
    ("path", "/..", 2, "the path `/..` leads out of the connection"),
    ("path", "/../crm-admin/x", 2, "leads out of the connection"),
    ("path", "/a/../../x", 2, "leads out of the connection"),
    ("path", "/%2e%2e/x", 2, "leads out of the connection"),
    ("path", "/\\..\\..\\x", 2, "leads out of the connection"),
    ("file", "../secret.txt", 2, "the file `../secret.txt` is not granted"),
    ("file", "file/../../secret.txt", 2, "is not granted"),
    ("file", "/etc/passwd", 2, "the file `/etc/passwd` is not granted"),
    ("file", "granted.csv", 2, "the file `granted.csv` is not granted"),
    ("greedy", "/greedy", 4, "plugin `evil-source` failed in `next`: asks for more than 256 MiB in one call"),
    ("deep_path", "/deep", 4, "a path into JSON of more than 100 steps"),
    ("big_state", "", 4, "plugin `evil-source`: a state of 104857600 bytes, of 16 MiB at most"),
    ("endless", "", 4, "plugin `evil-source`: 10001 pages one after the other bring nothing"),
    ("other_stream", "", 4, "sent rows of `others`, which was not asked for"),
    ("no_key", "", 4, "it names no primary key"),
    ("claimed_rows", "", 4, "4294967295 rows where a batch holds at most 1048576"),
    ("few_columns", "", 4, "1 columns where the schema has 2"),
];

/// A rule that does as it should.
const HONEST: &str = r#"
[[rule]]
plugin = "text"
streams = ["people.people"]
[rule.config.columns]
name = ["lower"]
"#;

/// A project with a file of so many people.
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

/// A pipeline of that file and a rule that misbehaves so.
fn cleaned_by_evil(mode: &str) -> String {
    let rule =
        format!("[[rule]]\nplugin = \"evil-guest\"\nstreams = [\"people.people\"]\nconfig = {{ mode = \"{mode}\" }}\n");
    cleaned_by(limit(mode), &rule)
}

/// What computes or sleeps without end is stopped after a second.
fn limit(mode: &str) -> &'static str {
    if ["spin", "sleep"].contains(&mode) { "plugin_seconds = 1" } else { "" }
}

/// A pipeline of a source that misbehaves so, over a connection to `base` with this line of credentials.
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
    // Not a text of 100 MB in a message of its own.
    assert!(text.len() < 20_000, "{what}: an error of {} bytes", text.len());
    assert_eq!(output.status.code(), Some(code), "{what}: {text}");
    assert!(!text.contains("panicked") && !text.contains('\u{1b}'), "{what}: {text}");
    for part in parts {
        assert!(text.contains(part), "{what}: no `{part}` in: {text}");
    }
}

/// All that a failed run leaves alone: raw and clean tables, what is known of them, the journal.
fn kept(project: &Project) -> Vec<Row> {
    let mut rows = project.fingerprint();
    for table in ["cleans", "changes", "rejects", "notes", "merges", "streams", "table_versions"] {
        rows.extend(project.query(&format!("SELECT * FROM _host.{table} ORDER BY ALL")));
    }
    rows
}

#[test]
fn a_rule_that_misbehaves_changes_nothing() {
    let project = people(10);
    succeed(&project.run_text(&cleaned_by("", HONEST)));
    let before = kept(&project);
    for &(mode, code, says) in RULES {
        let output = project.run_text(&cleaned_by_evil(mode));
        check(mode, &output, code, &["evil-guest", says]);
        assert_eq!(kept(&project), before, "{mode}");
    }
    succeed(&project.run_text(&cleaned_by("", HONEST)));
    assert_eq!(kept(&project), before);
}

#[test]
fn a_first_run_that_fails_leaves_no_clean_table() {
    // More than one batch, for the one that stops at the second.
    for (mode, count) in [("trap", 20_000), ("bad_offsets", 10), ("merge_twice", 10), ("merge_in_circle", 10)] {
        let project = people(count);
        let output = project.run_text(&cleaned_by_evil(mode));
        check(mode, &output, 4, &["evil-guest", "running again is safe"]);
        assert!(mode != "trap" || stderr(&output).contains("failed in `apply`: wasm trap: wasm `unreachable`"));
        let raw = project.query("SELECT count(*) AS rows FROM raw_people.people WHERE name LIKE 'Ana %'");
        assert_eq!(raw[0]["rows"], count, "{mode}");
        let clean =
            project.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'clean_people'");
        assert_eq!(clean.len(), 0, "{mode}: {clean:?}");
        for table in ["cleans", "changes", "rejects", "notes", "merges"] {
            assert_eq!(project.query(&format!("SELECT * FROM _host.{table}")).len(), 0, "{mode}: {table}");
        }
        assert_eq!(project.query("SELECT status FROM _host.runs")[0]["status"], "failed", "{mode}");
        succeed(&project.run_text(&cleaned_by("", HONEST)));
        let clean = project.query("SELECT count(*) AS rows FROM clean_people.people WHERE name LIKE 'ana %'");
        assert_eq!(clean[0]["rows"], count, "{mode}");
    }
}

#[test]
fn a_source_that_misbehaves_changes_nothing() {
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
    for &(mode, path, code, says) in SOURCES {
        let what = format!("{mode} {path}");
        let body = if mode == "greedy" { format!("{{\"x\":\"{}\"}}", "x".repeat(1 << 20)) } else { "{}".to_owned() };
        let asks = ["greedy", "deep_path"].contains(&mode);
        project.server.configure(|options| options.faults = vec![Fault::response(path, 200, &body)]);
        let _ = project.server.take_log();
        let output = run(mode, path);
        check(&what, &output, code, &["evil", says]);
        assert!(!stderr(&output).contains("nobody reads this"), "{what}");
        let log = project.server.take_log();
        assert_eq!(log.len(), usize::from(asks), "{what}: {log:?}");
        assert_eq!(kept(&project), before, "{what}");
    }
    succeed(&run("honest", ""));
    assert_eq!(kept(&project), before);
}

/// A server that answers whoever asks with this status and these headers, and with no body.
fn answering(status: &str, headers: &str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let head = format!("HTTP/1.1 {status}\r\n{headers}\r\n\r\n");
    std::thread::spawn(move || {
        let mut asked = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let request = BufReader::new(stream.try_clone().expect("a connection"));
            let ends = |line: &std::io::Result<String>| line.as_ref().is_ok_and(String::is_empty);
            assert!(request.lines().any(|line| ends(&line)), "a request ends with an empty line");
            stream.write_all(head.as_bytes()).expect("it takes the answer");
            asked.push(stream);
        }
    });
    url
}

#[test]
fn a_redirect_elsewhere_is_not_followed() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    let elsewhere = project.server.url();
    let server = answering("302 Found", &format!("location: {elsewhere}/stolen\r\ncontent-length: 0"));
    let pipeline = read_from_evil(&server, CREDENTIAL, "path", "path = \"/moved\"");
    let says = format!("the server answered 302, {elsewhere}/stolen");
    check("redirect", &project.run_text(&pipeline), 5, &["stream `evil.rows`", &says]);
    let log = project.server.take_log();
    assert!(log.is_empty(), "the secret went along: {log:?}");
}

#[test]
fn what_a_server_takes_is_not_a_plugins_time() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    let slow = std::time::Duration::from_millis(1500);
    project.server.configure(|options| {
        options.latency = slow;
        options.faults = vec![Fault::response("/slow", 200, "{}")];
    });
    // One waits in `fetch`, the other for what `send-all` sent.
    for (mode, says) in [("path", "the server answered 200"), ("hoard", "the host keeps 3 responses")] {
        let pipeline = read_from_evil(&project.server.url(), CREDENTIAL, mode, "path = \"/slow\"");
        let pipeline = pipeline.replace("[connection.api]", "plugin_seconds = 1\n[connection.api]");
        check(mode, &project.run_text(&pipeline), 5, &["stream `evil.rows`", says]);
    }
}

#[test]
fn answers_that_nobody_reads_are_bounded() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    // Two of them are within the limit, and none of them ever comes.
    let server = answering("200 OK", "content-length: 400000000");
    let output = project.run_text(&read_from_evil(&server, CREDENTIAL, "hoard", "path = \"/big\""));
    let says = "plugin `evil-source` failed in `next`: keeps more than 1024 MiB of answers and rows in the host";
    check("hoard", &output, 4, &["stream `evil.rows`", says]);
}

/// How often a plugin finds these texts in its whole memory, after a request that was sent with the secret.
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
    let known = "what a plugin is told";
    let is_found = |found: &BTreeMap<String, String>, name: &str| found[name] != "0";

    let project = Project::new(10);
    let bearer = format!("Bearer {TOKEN}");
    let texts = [("token", TOKEN), ("header", bearer.as_str()), ("variable", "HUBSPOT_ACCESS_TOKEN"), ("known", known)];
    let with_token = found(&project, CREDENTIAL, &texts, known);
    assert!(is_found(&with_token, "known"), "what is there is found: {with_token:?}");
    let secrets = ["token", "header", "variable"];
    assert!(!secrets.iter().any(|name| is_found(&with_token, name)), "{with_token:?}");

    let project = Project::with(10, ServerOptions { is_oauth: true, ..ServerOptions::default() });
    let oauth = "oauth = { token_path = \"/oauth/2026-03/token\", client_id = { secret = \"ID\" }, client_secret = { secret = \"SECRET\" }, refresh_token = { secret = \"REFRESH\" } }";
    let texts = [("access", "oauth-1"), ("refresh", REFRESH_TOKEN), ("client", "the-clients-secret"), ("known", known)];
    let with_oauth = found(&project, oauth, &texts, known);
    assert!(is_found(&with_oauth, "known"), "what is there is found: {with_oauth:?}");
    let secrets = ["access", "refresh", "client"];
    assert!(!secrets.iter().any(|name| is_found(&with_oauth, name)), "{with_oauth:?}");
}

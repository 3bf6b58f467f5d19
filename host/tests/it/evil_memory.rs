//! Plugins and files that make the host use much memory or time for little: each ends in an error, within the memory that
//! the pipeline allows and without a wait. The process has a limit of its own here, at which it would die.

use std::process::{Command, Output};
use std::time::Duration;

use sandbox::{Fault, ServerOptions};

use crate::support::{Project, people, stderr};

/// Kilobytes of data that the process may have: more than `plugin_memory` below, and less than the host used before it
/// counted what plugins use.
const DATA_LIMIT: &str = "1500000";

/// Runs a pipeline with the limit.
fn run(project: &Project, pipeline: &str) -> Output {
    let path = project.write("pipeline.toml", pipeline);
    let host = project.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -d {DATA_LIMIT} && exec \"$@\""), "sh"]);
    shell.arg(host.get_program()).arg("run").arg(&path).env_clear();
    shell.envs(host.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.output().expect("the binary runs")
}

/// A pipeline of `evil-source` in a mode.
fn evil(project: &Project, mode: &str, path: &str) -> String {
    let base = project.server.url();
    format!(
        r#"
[pipeline]
name = "evil"
warehouse = "warehouse.duckdb"
plugin_memory = "256MiB"
[connection.api]
base_url = "{base}"
retry = {{ first_ms = 5, longest_ms = 40 }}
[[source]]
plugin = "evil-source"
name = "evil"
connections = {{ api = "api" }}
files = {{ file = "granted.csv" }}
[source.config]
mode = "{mode}"
path = "{path}"
"#
    )
}

fn check(output: &Output, code: i32, part: &str) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(part) && !text.contains("panicked") && text.len() < 20_000, "{text}");
}

const BUDGET: &str =
    "plugin `evil-source`: `next` failed: the plugins need more than the 256 MiB of `plugin_memory` together";

#[test]
fn memory_that_a_plugin_makes_the_host_use_is_within_the_budget() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    let rows = |row: &str, count: usize| format!("{{\"rows\":[{}]}}", vec![row; count].join(","));
    let text = |megabytes: usize| "x".repeat(megabytes << 20);
    let cases = [
        ("wide_rows", rows("{}", 400_000), 4, BUDGET),
        (
            "long_texts",
            rows(&format!("{{\"x\":\"{}\",\"l\":[{}]}}", text(20), vec!["{}"; 110].join(",")), 1),
            4,
            BUDGET,
        ),
        ("same_column", rows(&format!("{{\"x\":\"{}\"}}", text(4)), 1), 4, BUDGET),
        ("slices", rows("{}", 10), 4, "plugin `evil-source`: `next` failed: "),
        ("many_files", String::new(), 4, "plugin `evil-source`: `next` failed: opened more than 32 files at a time"),
    ];
    for (mode, body, code, part) in cases {
        project.server.configure(|options| options.faults = vec![Fault::response("/evil", 200, &body)]);
        let output = run(&project, &evil(&project, mode, "/evil"));
        check(&output, code, part);
        let has_hint = stderr(&output).contains("hint: set `plugin_memory`");
        assert_eq!(has_hint, part == BUDGET, "{mode}: {}", stderr(&output));
    }
}

#[test]
fn linear_memory_of_all_streams_is_within_the_budget() {
    let latency = Duration::from_secs(3_600);
    let project = Project::with(10, ServerOptions { latency, ..ServerOptions::default() });
    project.write("granted.csv", "id,name\n");
    let pipeline = evil(&project, "allocate", "/evil").replace("256MiB", "2GiB");
    // The pages of this memory are never written, so that the process needs no limit of its own.
    check(
        &project.run_text(&pipeline),
        4,
        "`next` failed: the plugins need more than the 2048 MiB of `plugin_memory` together",
    );
}

#[test]
fn waits_that_a_plugin_asks_for_end_the_run() {
    let project = Project::new(10);
    project.write("granted.csv", "id,name\n");
    project.server.configure(|options| options.faults = vec![Fault::response("/evil", 423, "{}")]);
    let part = "the plugin asks to wait 1000000000000 s for retries after status 423: the limit is 600 s";
    check(&run(&project, &evil(&project, "path", "/evil")), 4, part);
    let faults = || vec![Fault::response("/evil", 200, "{}"), Fault::response("/evil", 200, "{}")];
    project.server.configure(|options| options.faults = faults());
    let part = "the rate limit `slow` allows the next request in ";
    check(&run(&project, &evil(&project, "bucket", "/evil")), 3, part);
}

#[test]
fn a_csv_file_without_end_is_an_error() {
    let project = Project::new(10);
    let pipeline = people("plugin_memory = \"256MiB\"", &["id", "name"], "");
    for text in ["id,name\n1,a\n2,\"b", "id,name\n1,a\n2,b", "id,name"] {
        let path = project.write("people.csv", text);
        let file = std::fs::OpenOptions::new().write(true).open(path).expect("a file");
        // The file is sparse.
        file.set_len(1 << 40).expect("a length");
        check(&run(&project, &pipeline), 5, "a record is longer than 64 MiB");
    }
    let endless = pipeline.replace("people.csv", "/dev/zero");
    check(&run(&project, &endless), 2, "file `file`: /dev/zero: not a regular file");
}

#[test]
fn too_little_memory_for_plugins_is_refused_with_its_place() {
    let project = Project::new(10);
    project.write("people.csv", "id,name\n1,a\n");
    let pipeline = people("plugin_memory = \"1MB\"", &["id", "name"], "");
    check(&run(&project, &pipeline), 2, "`1MB` is too little memory for plugins");
}

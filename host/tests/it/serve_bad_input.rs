//! Invalid requests and invalid starts of `host serve` are errors with a reason; a closed connection is released.

use std::process::Output;

use crate::serve_support::Serving;
use crate::support::{Project, people, stderr};

fn served(project: &Project, settings: &str) -> std::path::PathBuf {
    project.write("people.csv", "id,name\n1,Ana\n");
    project.write("people.toml", &people(settings, &["id", "name"], ""))
}

#[test]
fn invalid_requests_are_refused() {
    let project = Project::new(20);
    let serving = Serving::start(&project, &served(&project, ""), &[]);
    let own = ("host", serving.address.as_str());
    let ours = ("x-requested-with", "host");
    let long = format!("/api/runs?status={}", "a".repeat(9_000));
    let origin = format!("http://{}", serving.address);
    let runs = "/api/pipelines/people/runs";
    let port = serving.address.rsplit_once(':').expect("a port").1;
    let (elsewhere, other_port) = (format!("evil.example:{port}"), "127.0.0.1:1".to_owned());
    type Case<'a> = (u16, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);
    let cases: &[Case<'_>] = &[
        (404, "GET", "/api/nothing", &[own], "", "unknown path `/api/nothing`"),
        (404, "GET", "/api/runs/01NOSUCHRUN", &[own], "", "unknown run `01NOSUCHRUN`"),
        (404, "GET", "/api/pipelines/peopel/graph", &[own], "", "did you mean `people`?"),
        (404, "GET", "/api/runs?pipeline='%20OR%201=1", &[own], "", "unknown pipeline `' OR 1=1`"),
        (404, "GET", "/api/preview?stream=people.people&rule=x", &[own], "", "no rule `x` cleans `people.people`"),
        (404, "POST", "/api/runs/01NOSUCHRUN/cancel", &[own, ours], "", "run `01NOSUCHRUN` is not active"),
        (400, "GET", "/api/runs?page=minus", &[own], "", "page"),
        (414, "GET", &long, &[own], "", "bytes exceeds the limit of 8192"),
        (405, "DELETE", "/api/runs", &[own, ours], "", "method not allowed: `/api/runs` does not accept DELETE"),
        (403, "GET", "/api/pipelines", &[], "", "loopback address only"),
        (403, "GET", "/api/pipelines", &[("host", &elsewhere)], "", "loopback address only"),
        (403, "GET", "/api/pipelines", &[("host", &other_port)], "", "loopback address only"),
        (403, "GET", "/api/pipelines", &[own, ("origin", "https://evil.example")], "", "another origin"),
        (403, "GET", "/api/pipelines", &[own, ("sec-fetch-site", "cross-site")], "", "another site"),
        (403, "POST", runs, &[own, ours, ("origin", "null")], "", "another origin"),
        (403, "POST", runs, &[own, ("origin", &origin)], "", "X-Requested-With: host"),
        (400, "POST", runs, &[own, ours], "{\"form\": \"marts\"}", "unknown field `form`"),
        (400, "POST", runs, &[own, ours], "{\"since\": \"yesterday\"}", "`since`"),
        (400, "POST", runs, &[own, ours], "{\"since\": \"2026-01-01\", \"full_refresh\": true}", "give one of them"),
        (409, "POST", runs, &[own, ours], "{\"from\": \"failed\"}", "did not fail"),
    ];
    for (status, method, path, headers, body, part) in cases {
        let (found, answer) = serving.request(method, path, headers, body);
        assert_eq!(found, *status, "{method} {path} {headers:?} {body}: {answer}");
        assert!(answer["error"].to_string().contains(part), "{method} {path}: no `{part}` in {answer}");
    }
    assert_eq!(serving.get("/api/runs")["total"], 0, "something ran");
    let big = "a".repeat(100_000);
    assert!(serving.request("POST", runs, &[own, ours], &big).0 >= 400);
}

/// Checks that a command failed with an exit code and an error that contains these texts.
fn fails(output: &Output, code: i32, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    parts.iter().for_each(|part| assert!(text.contains(part), "no `{part}` in: {text}"));
}

#[test]
fn errors_of_the_start_are_reported_at_once() {
    let project = Project::new(20);
    let serve = |pipeline: &std::path::Path, port: &str| {
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        project.command(&["serve", pipeline, "--port", port]).output().expect("the binary runs")
    };
    let wrong = serve(&served(&project, "schedule = \"every day\""), "0");
    fails(&wrong, 2, &["people.toml:5:1: `every day` is not a valid schedule", "`0 */6 * * *` runs every six hours"]);
    let never = serve(&served(&project, "schedule = \"0 0 30 2 *\""), "0");
    fails(&never, 2, &["people.toml:5:1: the schedule `0 0 30 2 *` never matches a time"]);
    let text = people("", &["id", "name"], "[[alert]]\non = [\"failure\"]\nurl = \"http://example.com/x\"");
    let insecure = serve(&project.write("people.toml", &text), "0");
    fails(&insecure, 2, &["the URL of an alert must start with `https://`"]);

    let pipeline = served(&project, "");
    let serving = Serving::start(&project, &pipeline, &[]);
    let port = serving.address.rsplit_once(':').expect("a port").1;
    fails(
        &serve(&pipeline, port),
        2,
        &[&format!("port {port} of 127.0.0.1 is in use"), "hint: stop the other program, such as another `host serve`"],
    );
    fails(&serve(&pipeline, "0"), 3, &["another process has it open", "a server owns its warehouse"]);
    fails(&project.try_run(&pipeline, &[]), 3, &["another process has it open", "`host serve`"]);
    assert_eq!(serving.run_to_end("people", "")["run"]["status"], "ok");
}

/// Connections and files that a process has open.
#[cfg(target_os = "linux")]
fn open_files(serving: &Serving) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", serving.child.id())).expect("a process").count()
}

#[cfg(target_os = "linux")]
#[test]
fn connections_that_browsers_close_are_released() {
    let project = Project::new(20);
    let serving = Serving::start(&project, &served(&project, ""), &[]);
    drop(serving.listen());
    let before = open_files(&serving);
    let listening: Vec<_> = (0..50).map(|_| serving.listen()).collect();
    let most = open_files(&serving);
    assert!(most >= before + 45, "{before}, then {most}");
    drop(listening);
    let begin = std::time::Instant::now();
    while open_files(&serving) > before + 5 {
        assert!(begin.elapsed().as_secs() < 30, "{before}, then {most}, then {}", open_files(&serving));
        std::thread::yield_now();
    }
    assert_eq!(serving.run_to_end("people", "")["run"]["status"], "ok");
}

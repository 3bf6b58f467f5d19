//! Who may use `host serve`: every request for data needs the token of the address that the server prints, and the token
//! appears nowhere else.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::serve_support::{Serving, routes};
use crate::support::{Project, people};

fn served(project: &Project) -> PathBuf {
    project.write("people.csv", "id,name\n1,Ana\n");
    project.write("people.toml", &people("", &["id", "name"], ""))
}

/// The value of a header of a response.
fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = response.split_once("\r\n\r\n")?;
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn every_path_of_the_api_needs_the_token() {
    let project = Project::new(1);
    let serving = Serving::start(&project, &served(&project), &[]);
    let port = serving.address.rsplit_once(':').expect("a port").1;
    let (own, ours) = (("host", serving.address.as_str()), ("x-requested-with", "host"));
    let token = &serving.token;
    let changed = format!("{}{}", if token.starts_with('0') { '1' } else { '0' }, &token[1..]);
    let wrong = [
        String::new(),
        format!("Bearer {changed}"),
        format!("Bearer {}", token.to_uppercase()),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Bearer {token}{token}"),
        format!("Basic {token}"),
        token.clone(),
    ];
    let wrong_cookies = [
        format!("host-{port}={changed}"),
        format!("host-1={token}"),
        format!("token={token}"),
        format!("host-{port}=\"{token}\""),
        format!("host-{port}={changed}; ").repeat(200),
    ];
    for (method, path) in routes() {
        for value in &wrong {
            let (status, response) = serving.response(&method, &path, &[own, ours, ("authorization", value)], "");
            assert_eq!(status, 401, "{method} {path} with `{value}`: {response}");
            assert_eq!(header(&response, "www-authenticate"), Some("Bearer"));
            assert_eq!(header(&response, "cache-control"), Some("no-store"));
            assert!(response.contains(r#""kind":"unauthorized""#) && response.contains("host serve"), "{response}");
        }
        for value in &wrong_cookies {
            let (status, response) = serving.response(&method, &path, &[own, ours, ("cookie", value)], "");
            assert_eq!(status, 401, "{method} {path} with `{value}`: {response}");
        }
        for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"] {
            let (status, response) = serving.response(method, &path, &[own, ours], "");
            assert_eq!(status, 401, "{method} {path}: {response}");
        }
        let in_query = format!("{path}?token={token}");
        assert_eq!(serving.response(&method, &in_query, &[own, ours], "").0, 401, "only pages take it from an address");
    }
    let paths = ["/api/nothing", "/api/", "/api", "//api/runs", "/%61pi/runs", "/API/runs", "/api%2Fruns", "/api/../x"];
    for path in paths.into_iter().chain(["/", "/index.html", "/runs/01", "/pipelines", "/%2e%2e/etc/passwd"]) {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let (status, response) = serving.response(method, path, &[own, ours], "");
            assert_eq!(status, 401, "{method} {path}: {response}");
        }
    }
    // A wrong name is refused whatever token comes with it.
    let elsewhere = format!("evil.example:{port}");
    assert_eq!(serving.request("GET", "/api/runs", &[("host", &elsewhere)], "").0, 403);
    assert_eq!(serving.request("GET", "/api/runs", &[own, ("host", &elsewhere)], "").0, 403);
    assert_eq!(serving.get("/api/runs")["total"], 0, "something ran");
}

#[test]
fn the_printed_address_gives_a_cookie_that_opens_everything() {
    let project = Project::new(1);
    let serving = Serving::start(&project, &served(&project), &[]);
    let port = serving.address.rsplit_once(':').expect("a port").1;
    let own = ("host", serving.address.as_str());
    let token = &serving.token;
    for (path, target) in [
        (format!("/?token={token}"), "/"),
        (format!("/runs/01?page=2&token={token}&q=%26"), "/runs/01?page=2&q=%26"),
        (format!("//evil.example/?token={token}"), "/evil.example/"),
    ] {
        let (status, response) = serving.response("GET", &path, &[own], "");
        assert_eq!((status, header(&response, "location")), (303, Some(target)), "{response}");
        let cookie = format!("host-{port}={token}; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(header(&response, "set-cookie"), Some(cookie.as_str()), "{response}");
        assert_eq!(header(&response, "referrer-policy"), Some("no-referrer"));
        assert_eq!(header(&response, "cache-control"), Some("no-store"));
    }
    let cookie = format!("a=b; host-{port}=of-another-program; host-{port}={token}; c=d");
    let cookie = ("cookie", cookie.as_str());
    for path in ["/", "/runs/01", "/api/runs", "/api/pipelines/people/graph"] {
        assert_eq!(serving.response("GET", path, &[own, cookie], "").0, 200, "{path}");
        assert_eq!(serving.response("HEAD", path, &[own, cookie], "").0, 200, "{path}");
    }
    let (status, response) = serving.response("GET", "/?token=of-an-earlier-start", &[own, cookie], "");
    assert_eq!((status, header(&response, "location")), (303, Some("/")), "{response}");
    let run = "/api/pipelines/people/runs";
    assert_eq!(serving.response("POST", run, &[own, cookie], "").0, 403, "a change needs more than the cookie");
    assert_eq!(serving.response("POST", run, &[own, cookie, ("x-requested-with", "host")], "").0, 200);
    assert_eq!(serving.response("POST", "/runs/01", &[own, cookie, ("x-requested-with", "host")], "").0, 405);

    // Without a token, a page says how to open it, in both languages. Scripts and styles have no data.
    for path in ["/", "/runs/01", "/?token=wrong", "/?token="] {
        let (status, response) = serving.response("GET", path, &[own], "");
        assert_eq!((status, header(&response, "content-type")), (401, Some("text/html; charset=utf-8")));
        let example = format!("http://127.0.0.1:{port}/?token=…");
        for part in ["Open these pages with their full address", "Abra estas páginas com o endereço completo", &example]
        {
            assert!(response.contains(part), "no `{part}` in {response}");
        }
    }
    assert_eq!(serving.response("GET", "/assets/none.js", &[own], "").0, 404);
    // A browser leaves out the cookie if a link of another site leads to a page. The page alone has no data.
    let link = [own, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    assert_eq!(serving.response("GET", "/runs/01", &link, "").0, 200);
    assert_eq!(serving.response("GET", "/?token=wrong", &link, "").0, 401);
    assert_eq!(serving.response("GET", "/api/runs", &link, "").0, 403);
    assert_eq!(serving.response("POST", "/", &link, "").0, 401);
}

#[test]
fn the_token_is_in_no_log_no_error_and_no_table() {
    let project = Project::new(1);
    let mut serving = Serving::start(&project, &served(&project), &[("RUST_LOG", "trace")]);
    let mut errors = serving.child.stderr.take().expect("a pipe");
    let log = std::thread::spawn(move || {
        let mut text = Vec::new();
        errors.read_to_end(&mut text).expect("a log");
        String::from_utf8_lossy(&text).into_owned()
    });
    let token = serving.token.clone();
    let own = ("host", serving.address.as_str());
    let ours = ("x-requested-with", "host");
    let mut responses = String::new();
    for path in [
        format!("/api/{token}"),
        format!("/api/runs/{token}"),
        format!("/api/pipelines/{token}/graph"),
        format!("/api/runs?pipeline={token}"),
        format!("/api/runs?token={token}"),
        format!("/api/runs?{token}=1"),
        format!("/api/records/people.people/{token}"),
        format!("/api/items/{token}"),
        format!("/api/changes?q={token}"),
    ] {
        responses += &serving.request("GET", &path, &[own], "").1.to_string();
    }
    for body in [format!("{{\"since\": \"{token}\"}}"), format!("{{\"{token}\": 1}}"), token.clone()] {
        let (status, answer) = serving.post("/api/pipelines/people/runs", &body);
        assert_eq!(status, 400, "{answer}");
        responses += &answer.to_string();
    }
    drop(serving.response("GET", &format!("/{token}?token={token}"), &[own, ours], ""));
    serving.run_to_end("people", "");
    responses += &serving.get("/api/runs").to_string();
    serving.kill();
    let log = log.join().expect("a log");
    assert!(log.contains("server started") && log.contains("/api/changes"), "{log}");
    assert!(!log.contains(&token), "{log}");
    assert!(!responses.contains(&token) && responses.contains("***"), "{responses}");
    let runs = project.query("SELECT * FROM _host.runs");
    let lines = project.query("SELECT * FROM _host.log");
    assert!(!format!("{runs:?} {lines:?}").contains(&token) && !lines.is_empty());
}

#[test]
fn a_token_file_keeps_the_token_over_a_restart() {
    let project = Project::new(1);
    let pipeline = served(&project);
    let file = project.folder.path().join("token");
    let arguments = ["--token-file", file.to_str().expect("a path in UTF-8")];
    let start = || Serving::start_with(&project, &pipeline, &arguments, &[]);
    let first = start().token.clone();
    assert_eq!(std::fs::read_to_string(&file).expect("a file").trim(), first);
    let serving = start();
    assert_eq!(serving.token, first);
    assert_eq!(serving.get("/api/runs")["total"], 0);
    drop(serving);
    assert_ne!(Serving::start(&project, &pipeline, &[]).token, first, "without a file the token is new");
    std::fs::write(&file, "short").expect("a file");
    let mut command = project.command(&["serve", pipeline.to_str().expect("a path in UTF-8"), "--port", "0"]);
    let output = command.args(arguments).output().expect("the binary runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("token file") && error.contains("hint: delete it:") && !error.contains("short\n"),
        "{error}"
    );
}

/// Writes a program that records its arguments and the file that they name.
#[cfg(unix)]
fn recorder(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    let script = "#!/bin/sh\nexec >\"$0.part\"\necho \"$@\"\nls -l \"$1\"\ncat \"$1\"\nmv \"$0.part\" \"$0.out\"\n";
    for name in ["xdg-open", "open"] {
        std::fs::write(bin.join(name), script).expect("a file");
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    bin
}

#[cfg(unix)]
#[test]
fn the_browser_gets_the_address_in_a_private_file() {
    let project = Project::new(1);
    let pipeline = served(&project);
    let bin = recorder(project.folder.path());
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut serving = Serving::start_with(&project, &pipeline, &["--open"], &[("PATH", &path)]);
    let recorded = || ["xdg-open.out", "open.out"].iter().find_map(|name| std::fs::read_to_string(bin.join(name)).ok());
    let begin = std::time::Instant::now();
    let text = loop {
        if let Some(text) = recorded() {
            break text;
        }
        assert!(begin.elapsed().as_secs() < 60, "the browser was not opened");
        std::thread::yield_now();
    };
    let mut lines = text.lines();
    let arguments = lines.next().expect("arguments");
    assert!(arguments.ends_with(".html") && !text.lines().next().is_some_and(|line| line.contains(&serving.token)));
    assert!(lines.next().is_some_and(|line| line.starts_with("-rw-------")), "{text}");
    assert!(text.contains(&format!("url=http://{}/?token={}", serving.address, serving.token)), "{text}");
    let stop = std::process::Command::new("kill").arg(serving.child.id().to_string()).status().expect("a signal");
    assert!(stop.success() && serving.child.wait().expect("it ends").success());
    assert!(!Path::new(arguments).exists(), "the file stays");
}

#[test]
fn pipelined_requests_are_each_checked() {
    let project = Project::new(1);
    let serving = Serving::start(&project, &served(&project), &[]);
    let (address, bearer) = (&serving.address, serving.bearer());
    let get = |path: &str, rest: &str| format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{rest}\r\n");
    let admitted = get("/api/runs", &format!("authorization: {bearer}\r\n"));
    let last = get("/api/runs", "connection: close\r\n");
    let mut stream = serving.connect();
    stream.write_all((admitted.clone() + &get("/api/runs", "") + &admitted + &last).as_bytes()).expect("requests");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("responses");
    let statuses: Vec<_> = text.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
    assert_eq!(statuses, ["200", "401", "200", "401"], "{text}");
    // A head that is too large is refused before the token is looked for.
    let mut stream = serving.connect();
    let rest = format!("authorization: {bearer}\r\nconnection: close\r\nx: {}\r\n", "a".repeat(40_000));
    stream.write_all(get("/api/runs", &rest).as_bytes()).expect("a request");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response");
    assert!(text.starts_with("HTTP/1.1 431"), "{text}");
}

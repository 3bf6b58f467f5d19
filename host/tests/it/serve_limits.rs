//! What `host serve` limits: connections, streams of events, parameters, bodies.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::serve_support::{Serving, routes};
use crate::support::{Project, people, stderr};

/// A pipeline with a dashboard that has one filter, one item and one drill.
fn with_dashboard(project: &Project) -> Serving {
    project.write("people.csv", "id,name\n1,Ana\n2,Bia\n");
    project.write("sql/core/persons.sql", "SELECT id, name FROM clean_people.people");
    project.write("sql/marts/people.sql", "SELECT 'a' AS part, count(*) AS people FROM core.persons");
    project.write(
        "sql/marts/people.toml",
        "[[drill]]\nname = \"persons\"\nkey = [\"part\"]\nsql = \"SELECT 'a' AS part, id, name FROM core.persons\"\n",
    );
    project.write(
        "sql/dashboard.toml",
        r#"title = { en = "People" }
[[filter]]
name = "part"
kind = "many"
label = { en = "Part" }
values = "SELECT part FROM marts.people"
[[view]]
name = "parts"
mart = "marts.people"
sql = "FROM marts.people"
[[section]]
label = { en = "All" }
[[section.item]]
name = "people"
label = { en = "People" }
kind = "table"
sql = "SELECT part, people FROM parts"
behind = ["parts"]
drill_key = ["part"]
"#,
    );
    let path = project.write("people.toml", &people("", &["id", "name"], "[marts]\npath = \"sql\"\n"));
    let output = project.try_run(&path, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    Serving::start(project, &path, &[])
}

#[test]
fn unknown_parameters_are_refused_on_every_path() {
    let project = Project::new(1);
    let serving = with_dashboard(&project);
    let headers = [("host", serving.address.as_str()), ("x-requested-with", "host")];
    for (method, path) in routes() {
        let unknown = format!("{path}?stream=people.people&rule=x&nonsense=1");
        let unknown = if path == "/api/preview" { unknown } else { format!("{path}?nonsense=1") };
        for unknown in [unknown.clone(), unknown.replace("=1", "=")] {
            let (status, answer) = serving.request(&method, &unknown, &headers, "");
            assert_eq!(status, 400, "{method} {unknown}: {answer}");
            assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("nonsense")), "{answer}");
        }
    }
    assert_eq!(serving.get("/api/runs")["total"], 1, "something ran");
    let drill = "/api/items/people/drills/persons";
    let long = format!("{drill}?row.part={}", "a".repeat(2_000));
    let long_name = format!("/api/changes?stream={}", "a".repeat(2_000));
    for (path, part) in [
        (format!("{drill}?row.part=a&row.id=1"), "unknown column `id`"),
        (format!("{drill}?row.=1"), "unknown column ``"),
        (format!("{drill}?row.Part=a"), "unknown column `Part`"),
        (format!("{drill}?row.part=a&row.part=b"), "parameter `row.part`: it is given twice"),
        (format!("{drill}?page=1&page=2"), "parameter `page`: it is given twice"),
        (format!("{drill}?page=0"), "parameter `page`: expected a number from 1 to 1000000"),
        (format!("{drill}?page=1000001"), "parameter `page`: expected a number"),
        (format!("{drill}?page=x"), "parameter `page`: expected a number"),
        (format!("{drill}?%72ow.x=1"), "unknown column `x`"),
        (format!("{drill}.csv?page=1"), "unknown parameter `page`"),
        ("/api/items/people?row.part=a".to_owned(), "unknown parameter `row.part`"),
        ("/api/items/people?page=1".to_owned(), "unknown parameter `page`"),
        ("/api/items/people.csv?page=1".to_owned(), "unknown parameter `page`"),
        ("/api/items/people?parts=".to_owned(), "did you mean `part`"),
        (long, "parameter `row.part`: a value of 2000 bytes exceeds the limit of 1024"),
        (long_name, "parameter `stream`: a value of 2000 bytes exceeds the limit of 1024"),
    ] {
        let (status, answer) = serving.request("GET", &path, &headers, "");
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(answer["error"].to_string().contains(part), "{path}: no `{part}` in {answer}");
    }
    assert_eq!(serving.get(&format!("{drill}?row.part=a&part=a&page=1"))["total"], 2);
    assert_eq!(serving.get(&format!("{drill}?row.part=none"))["total"], 0);
    assert_eq!(serving.get("/api/items/people?part=a&part=a&part=")["rows"][0][1], 2);
}

#[test]
fn bodies_that_are_too_large_are_refused() {
    let project = Project::new(1);
    let serving = with_dashboard(&project);
    let headers = [("host", serving.address.as_str()), ("x-requested-with", "host")];
    let big = "a".repeat(100_000);
    for (method, path) in routes() {
        let (status, answer) = serving.request(&method, &path, &headers, &big);
        assert_eq!(status, 413, "{method} {path}: {answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("65536 bytes")), "{answer}");
    }
}

/// Whether the server closed a connection. It sends nothing on it.
fn is_closed(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a mode");
    match stream.read(&mut [0; 64]) {
        Ok(length) => length == 0,
        Err(cause) => cause.kind() != std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn slow_connections_do_not_keep_others_out() {
    let project = Project::new(1);
    let serving = with_dashboard(&project);
    let mut events = serving.listen();
    let begun = format!("GET /api/runs HTTP/1.1\r\nhost: {}\r\nx-slow: ", serving.address);
    // More than may be open without a request that was admitted. Some wait with a token, some for their body.
    let slow: Vec<_> = (0..400)
        .map(|number| {
            let mut stream = serving.connect();
            let text = match number % 4 {
                0 => String::new(),
                1 => begun.clone(),
                2 => format!("{begun}\r\nauthorization: {}\r\n", serving.bearer()),
                _ => begun.replace("GET", "POST").replace("x-slow: ", "content-length: 10\r\n\r\nab"),
            };
            // It may be closed already.
            let _ = stream.write_all(text.as_bytes());
            stream
        })
        .collect();
    assert_eq!(serving.get("/api/runs")["total"], 1);
    let begin = std::time::Instant::now();
    while slow.iter().filter(|stream| is_closed(stream)).count() < 200 {
        assert!(begin.elapsed().as_secs() < 60, "the connections stay open");
    }
    // The events of an open page go on.
    let run = serving.run("people", "");
    assert_eq!(events.end_of(&run), "ok");
}

#[test]
fn streams_of_events_leave_room_for_other_requests() {
    let project = Project::new(1);
    let serving = with_dashboard(&project);
    let mut open = Vec::new();
    let own = ("host", serving.address.as_str());
    let bearer = serving.bearer();
    let refused = loop {
        let (status, text) = serving.first_bytes("/api/events", &[own, ("authorization", &bearer)], &mut open);
        if status != 200 {
            break text;
        }
        assert!(open.len() < 1_000, "there is no limit");
    };
    assert!(refused.contains("503") && refused.contains("pages receive events, which is the limit"), "{refused}");
    assert!(open.len() >= 16);
    assert_eq!(serving.get("/api/runs")["total"], 1);
    drop(open);
    // Places are free again once the server notices.
    let begin = std::time::Instant::now();
    while serving.first_bytes("/api/events", &[own, ("authorization", &bearer)], &mut Vec::new()).0 != 200 {
        assert!(begin.elapsed().as_secs() < 60, "the places stay taken");
    }
}

//! What `host serve` limits: parameters and bodies.

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

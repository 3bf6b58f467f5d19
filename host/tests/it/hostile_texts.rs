//! Texts of sources, plugins and values: a terminal obeys none of them, none looks like a line of the host, and none shows a
//! secret.

use std::path::PathBuf;
use std::process::Output;

use host::text::is_hidden;
use sandbox::TOKEN;

use crate::serve_support::Serving;
use crate::support::{Project, plugins, stderr};

/// Clears the screen, sets the title, starts a line, overwrites it, turns the direction, and ends it in Unicode's ways.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}\r\nFAKE ok\r\u{202e}b\u{2066}\u{2028}FAKE\u{85}\u{9b}2J\u{feff}=1+1";

/// As much of it as the name of a column may contain.
const HOSTILE_NAME: &str = "n\u{202e}b\u{2066}\u{2028}FAKE \u{200b}=1";

/// A pipeline of one stream, on which the source and a rule say a text wherever they can.
fn pipeline(project: &Project, text: &str, table: &str) -> PathBuf {
    let text = toml::Value::from(text).to_string();
    project.write(
        "pipeline.toml",
        &format!(
            r#"
[pipeline]
name = "evil"
warehouse = "warehouse.duckdb"
[connection.api]
base_url = "${{HUBSPOT_BASE_URL}}"
token = {{ secret = "HUBSPOT_ACCESS_TOKEN" }}
[[source]]
plugin = "evil-source"
name = "evil"
connections = {{ api = "api" }}
[source.config]
mode = "table"
[source.config.table]
{table}
[[rule]]
plugin = "evil-guest"
name = "echo"
streams = ["evil.t"]
config = {{ mode = "echo", text = {text} }}
[marts]
path = "sql"
[[report]]
title = "names"
query = "SELECT * FROM raw_evil.t"
"#
        ),
    )
}

fn table(columns: &[&str], says: &str, rest: &str) -> String {
    let text = |text: &str| toml::Value::from(text).to_string();
    let columns = columns.iter().map(|name| text(name)).collect::<Vec<_>>().join(", ");
    let says = text(says);
    format!(
        "stream = \"t\"\ncolumns = [{columns}]\nkey = [\"id\"]\npages = [[[\"1\", {says}, {says}], [{says}, \"b\", \"c\"]]]\n\
         description = {says}\nidentity = {says}\nsays = {says}\n{rest}"
    )
}

/// Checks what a command printed: nothing that a terminal interprets, and no line that a text made up.
fn check(what: &str, output: &Output) {
    for printed in [String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)] {
        let hidden = printed.chars().find(|letter| is_hidden(*letter) && !"\n\t".contains(*letter));
        assert_eq!(hidden, None, "{what}: {printed:?}");
        assert!(!printed.lines().any(|line| line.starts_with("FAKE")), "{what}: {printed}");
        assert!(!printed.contains("panicked"), "{what}: {printed}");
    }
}

/// All commands that print texts of a pipeline's sources and plugins.
fn commands(pipeline: &str) -> Vec<Vec<String>> {
    let commands: [&[&str]; 12] = [
        &["plan", pipeline],
        &["check", pipeline],
        &["discover", pipeline],
        &["run", pipeline],
        &["run", pipeline, "--full-refresh", "--log-format", "text"],
        &["quality", pipeline],
        &["quality", pipeline, "--record", "t/1"],
        &["models", pipeline],
        &["test", pipeline],
        &["explain", pipeline, "marts.m", "--where", "part IS NOT NULL"],
        &["plugin", "test", "evil-source", "--pipeline", pipeline],
        &["plugin", "test", "echo", "--pipeline", pipeline, "--schema", "id,name", "--rows", "10"],
    ];
    let words = |words: &&[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let text = commands.iter().map(words);
    let json = commands.iter().map(|command| [words(command), vec!["--format".into(), "json".into()]].concat());
    text.chain(json).collect()
}

const MART: &str = "SELECT id AS part, count(*) AS records, max(name) AS name FROM clean_evil.t GROUP BY id";
const DRILL: &str = "[[drill]]\nname = \"rows\"\nkey = [\"part\"]\nrecord = \"id\"\nstream = \"evil.t\"\n\
                     sql = \"SELECT *, id AS part FROM clean_evil.t\"\nagrees = { records = \"count(*)\" }\n";

#[test]
fn no_command_prints_what_a_terminal_interprets() {
    let project = Project::new(10);
    project.write("sql/marts/m.sql", MART);
    project.write("sql/marts/m.toml", DRILL);
    let table = table(&["id", "name", HOSTILE_NAME], HOSTILE, "");
    let pipeline = pipeline(&project, HOSTILE, &table);
    for command in commands(pipeline.to_str().expect("a path in UTF-8")) {
        let words: Vec<_> = command.iter().map(String::as_str).collect();
        let output = project.command(&words).env("RUST_LOG", "info").output().expect("the binary runs");
        check(&format!("{command:?}"), &output);
        // The rule does not conform in all modes: its tests say so.
        let may_fail = words.starts_with(&["plugin", "test", "echo"]);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() || may_fail, "{command:?}: {}{printed}", stderr(&output));
        if command.contains(&"json".to_owned()) {
            let parsed = serde_json::from_slice::<serde_json::Value>(&output.stdout);
            assert!(parsed.is_ok(), "{command:?}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
    // Nothing is lost: the values are what the source sent.
    let rows = project.query("SELECT name FROM raw_evil.t WHERE id = '1'");
    assert_eq!(rows[0]["name"], HOSTILE);
    // An error of the source, and a stream that it says is not available.
    for rest in [
        "fails = true".to_owned(),
        format!("hints = {{ unavailable = {0}, unavailable-hint = {0}, scope = {0} }}", toml::Value::from(HOSTILE)),
    ] {
        let table = self::table(&["id", "name", HOSTILE_NAME], HOSTILE, &rest);
        let path = self::pipeline(&project, HOSTILE, &table);
        let path = path.to_str().expect("a path in UTF-8");
        for command in
            [&["run", path] as &[_], &["check", path], &["discover", path], &["run", path, "--format", "json"]]
        {
            let output = project.command(command).env("RUST_LOG", "info").output().expect("the binary runs");
            check(&format!("{rest}: {command:?}"), &output);
        }
    }
}

#[test]
fn what_a_plugin_says_of_itself_is_one_line() {
    let project = Project::new(10);
    // A component says its name. Of the same length, so that it stays a component.
    let mut bytes = std::fs::read(plugins().join("evil-guest.wasm")).expect("a component");
    let (own, other) = (b"evil-guest", "a\nFAKE\u{1b}[J".as_bytes());
    for at in 0..bytes.len() - own.len() {
        if bytes[at..].starts_with(own) {
            bytes[at..at + other.len()].copy_from_slice(other);
        }
    }
    let path = project.folder.path().join("other.wasm");
    std::fs::write(&path, bytes).expect("a file");
    let path = path.to_str().expect("a path in UTF-8");
    std::fs::create_dir(project.folder.path().join("plugins")).expect("a folder");
    for command in [
        &["plugin", "inspect", path] as &[_],
        &["plugin", "inspect", path, "--format", "json"],
        &["plugin", "add", path],
        &["plugin", "test", path, "--config", "{\"mode\": \"log\"}", "--schema", "id,name", "--rows", "10"],
    ] {
        let mut command_line = project.command(command);
        let output = command_line.env_remove("HOST_PLUGINS").current_dir(project.folder.path()).output();
        let output = output.expect("the binary runs");
        // The rule does not conform in all modes: its tests say so.
        assert!(output.status.success() || command[1] == "test", "{command:?}: {}", stderr(&output));
        check(&format!("{command:?}"), &output);
    }
    let config = format!("{{\"mode\": \"echo\", \"text\": {}}}", serde_json::Value::from(HOSTILE));
    let words = ["plugin", "test", "evil-guest", "--config", &config, "--schema", "id,name", "--rows", "10"];
    check("plugin test", &project.command(&words).output().expect("the binary runs"));
}

#[test]
fn files_of_the_server_hold_no_formula_and_its_json_is_whole() {
    let project = Project::new(10);
    project.write("sql/marts/m.sql", MART);
    project.write("sql/marts/m.toml", DRILL);
    project.write(
        "sql/dashboard.toml",
        "title = { en = \"T\" }\n[[view]]\nname = \"parts\"\nsql = \"FROM marts.m\"\nmart = \"marts.m\"\n[[section]]\n\
         label = { en = \"All\" }\n[[section.item]]\nname = \"parts\"\nlabel = { en = \"Parts\" }\nkind = \"table\"\n\
         sql = \"FROM parts\"\nbehind = [\"parts\"]\n",
    );
    let formulas = ["=1+1", "+1;cmd", "-1-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "a\n=1", HOSTILE];
    let quoted = |text: &&str| toml::Value::from(*text).to_string();
    let row = |(at, text): (usize, &&str)| format!("[\"{at}\", {0}, {0}]", quoted(text));
    let rows = formulas.iter().enumerate().map(row).collect::<Vec<_>>().join(", ");
    let columns = [&"id", &"name", &"=1+1"].map(quoted).join(", ");
    let table = format!("stream = \"t\"\ncolumns = [{columns}]\nkey = [\"id\"]\npages = [[{rows}]]\n");
    let path = pipeline(&project, HOSTILE, &table);
    let output = project.try_run(&path, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    let serving = Serving::start(&project, &path, &[]);
    for file in ["/api/items/parts.csv", "/api/items/parts/drills/rows.csv"] {
        let text = serving.get(file);
        let mut reader = csv::Reader::from_reader(text.as_str().expect("a file").as_bytes());
        let headers = reader.headers().expect("a header").clone();
        let records: Vec<_> = reader.records().collect::<Result<_, _>>().expect("rows");
        assert_eq!(records.len(), formulas.len(), "{file}");
        for cell in headers.iter().chain(records.iter().flatten()) {
            let start = cell.trim_start_matches(' ');
            assert!(!start.starts_with(['=', '+', '-', '@', '\t', '\r']), "{file}: {cell:?}");
        }
    }
    for page in
        ["/api/items/parts", "/api/items/parts/drills/rows", "/api/runs", "/api/changes", "/api/rejects", "/api/models"]
    {
        let (status, answer) = serving.request("GET", page, &[("host", &serving.address)], "");
        assert!(status == 404 || answer.is_object() || answer.is_array(), "{page}: {answer}");
    }
}

/// Every file below a folder that contains a text.
fn files_with(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).expect("a file").windows(text.len()).any(|bytes| bytes == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_that_a_source_repeats_is_nowhere() {
    // Where the source repeats the token: a table of the source, whether the run succeeds, and what names it.
    let echo = format!("<{TOKEN}>");
    let honest = |rest: &str| {
        format!(
            "stream = \"t\"\ncolumns = [\"id\", \"name\"]\nkey = [\"id\"]\npages = [[[\"1\", \"a\"]]]\n\
             description = \"{echo}\"\nidentity = \"{echo}\"\nsays = \"{echo}\"\n{rest}"
        )
    };
    let cases: [(String, bool, &str); 7] = [
        (honest(""), true, ""),
        (honest("fails = true"), false, "<***>"),
        (
            honest(&format!(
                "hints = {{ unavailable = \"{echo}\", unavailable-hint = \"{echo}\", scope = \"{echo}\" }}"
            )),
            false,
            "<***>",
        ),
        (
            honest("").replace("\"name\"]", &format!("\"{TOKEN}\"]")),
            false,
            "the name of the column `***` repeats a secret",
        ),
        (
            honest("").replace("\"name\"]", &format!("\"{}\"]", TOKEN.to_uppercase())),
            false,
            "the name of the column `***` repeats a secret",
        ),
        (
            honest("").replace("stream = \"t\"", &format!("stream = \"{TOKEN}\"")),
            false,
            "the name of the stream `***` repeats a secret",
        ),
        (honest(&format!("state = \"{{\\\"token\\\": \\\"{TOKEN}\\\"}}\"")), false, "its state repeats a secret"),
    ];
    for (table, succeeds, why) in cases {
        let project = Project::new(10);
        project.write("sql/marts/m.sql", "SELECT id AS part, count(*) AS records FROM clean_evil.t GROUP BY id");
        let path = pipeline(&project, &echo, &table);
        let name = path.to_str().expect("a path in UTF-8");
        let mut shown = String::new();
        for command in [
            &["check", name] as &[_],
            &["discover", name],
            &["run", name],
            &["run", name, "--format", "json"],
            &["quality", name],
            &["quality", name, "--record", "t/1"],
            &["plan", name],
            &["plugin", "test", "evil-source", "--pipeline", name],
        ] {
            let output = project.command(command).env("RUST_LOG", "debug").output().expect("the binary runs");
            let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), stderr(&output));
            assert!(!printed.to_lowercase().contains(&TOKEN.to_lowercase()), "{table}\n{command:?}: {printed}");
            if command == ["run", name] {
                assert_eq!(output.status.success(), succeeds, "{table}: {printed}");
                assert!(printed.contains(why), "{table}: no `{why}` in {printed}");
            }
            shown.push_str(&printed);
        }
        assert!(shown.contains("***"), "{table}: {shown}");
        // Neither the warehouse nor another file than the pipeline itself holds it.
        let folder = project.folder.path();
        let served = project.warehouse_path().is_file().then(|| Serving::start(&project, &path, &[]));
        if let Some(serving) = &served {
            let last = project_run(serving);
            for page in [
                "/api/pipelines",
                "/api/runs",
                "/api/changes",
                "/api/rejects",
                "/api/models",
                "/api/plugins",
                "/api/dashboard",
            ]
            .map(str::to_owned)
            .into_iter()
            .chain(last)
            {
                let (_, answer) = serving.request("GET", &page, &[("host", &serving.address)], "");
                assert!(
                    !answer.to_string().to_lowercase().contains(&TOKEN.to_lowercase()),
                    "{table}\n{page}: {answer}"
                );
            }
        }
        drop(served);
        let mut found = files_with(folder, TOKEN);
        found.retain(|file| !file.ends_with("pipeline.toml"));
        assert_eq!(found, Vec::<String>::new(), "{table}");
    }
}

/// The page of the last run, if there is one.
fn project_run(serving: &Serving) -> Option<String> {
    let runs = serving.get("/api/runs");
    let run = runs["runs"].as_array().or_else(|| runs.as_array())?.first()?["run"].as_str()?.to_owned();
    Some(format!("/api/runs/{run}"))
}

//! The kit for plugin authors: a new crate builds to a component that works and passes its tests; components of any language
//! are tested, inspected and added to a project.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::support::{Project, people, plugins, root, stderr};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// `host plugin …` in the project's folder.
fn kit(project: &Project, arguments: &[&str]) -> Output {
    let mut command = project.command(&[&["plugin"], arguments].concat());
    command.current_dir(project.folder.path()).output().expect("the binary runs")
}

/// A process that is killed when it is dropped.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // A process that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Adds the environment that building crates needs.
fn can_build<'a>(command: &'a mut Command, target: &Path) -> &'a mut Command {
    for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME"] {
        command.envs(std::env::var_os(name).map(|value| (name, value)));
    }
    command.env("CARGO_TARGET_DIR", target)
}

fn new(project: &Project, arguments: &[&str]) -> Output {
    let sdk = root().join("plugins/sdk");
    let arguments = [&["plugin", "new"], arguments, &["--sdk", sdk.to_str().expect("a path in UTF-8")]].concat();
    project.command(&arguments).current_dir(project.folder.path()).output().expect("the binary runs")
}

#[test]
fn a_new_rule_builds_passes_its_tests_and_cleans() {
    let project = Project::new(10);
    for kind in ["rule", "source"] {
        let output = new(&project, &[kind, &format!("my-{kind}")]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let folder = project.folder.path();
    let target = root().join("target/test-kit");
    for kind in ["rule", "source"] {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["test", "--quiet"]).current_dir(folder.join(format!("my-{kind}"))).env("CARGO_TARGET_DIR", &target);
        let output = cargo.output().expect("cargo runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    // Each crate is a workspace of its own.
    let mut build = project.command(&["plugin", "build", "my-rule", "my-source", "--output", "plugins"]);
    let output = can_build(&mut build, &target).current_dir(folder).output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    project.write("people.csv", "id,name\n1, Ana \n2,   \n");
    let rule =
        "[[rule]]\nplugin = \"plugins/my-rule.wasm\"\nstreams = [\"people.people\"]\nconfig = { column = \"name\" }\n";
    let output = project.run_text(&people("", &["id", "name"], rule));
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = project.query("SELECT name FROM clean_people.people ORDER BY id");
    assert_eq!((&rows[0]["name"], rows[1]["name"].is_null()), (&"Ana".into(), true), "{rows:?}");
    let mut dev = project.command(&["plugin", "dev", "my-rule", "--pipeline", "pipeline.toml"]);
    let dev = can_build(&mut dev, &target).current_dir(folder).stdout(Stdio::piped());
    let mut dev = Reaped(dev.spawn().expect("the binary runs"));
    let mut lines = BufReader::new(dev.0.stdout.take().expect("its output")).lines().map(|line| line.expect("a line"));
    let unchanged = lines.find(|line| line.starts_with("my-rule on people.people: 2 rows"));
    assert_eq!(unchanged.as_deref(), Some("my-rule on people.people: 2 rows · 0 fields changed · 0 notes"));
    let code = folder.join("my-rule/src/lib.rs");
    let text = std::fs::read_to_string(&code).expect("its code");
    std::fs::write(&code, text.replace("value.trim().to_owned()", "value.to_uppercase()")).expect("a change");
    let changed = lines.find(|line| line.starts_with("my-rule on people.people: 2 rows"));
    assert_eq!(changed.as_deref(), Some("my-rule on people.people: 2 rows · 1 field changed · 0 notes"));
    assert_eq!(lines.next().as_deref(), Some("  1                name: `Ana` → `ANA`"));
    drop(dev);
    let mut stranger = project.command(&["plugin", "dev", "my-source", "--pipeline", "pipeline.toml", "--once"]);
    let output = can_build(&mut stranger, &target).current_dir(folder).output().expect("the binary runs");
    assert!(stderr(&output).contains("no rule with the plugin `my-source`"), "{}", stderr(&output));
    let config = r#"{"column": "name"}"#;
    let output = kit(&project, &["test", "plugins/my-rule.wasm", "--config", config, "--rows", "20000"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    // A missing export is an error of the build.
    let text = std::fs::read_to_string(&code).expect("its code");
    std::fs::write(&code, text.replace("export_rule!", "// export_rule!")).expect("a change");
    let mut build = project.command(&["plugin", "build", "my-rule", "--output", "plugins"]);
    let output = can_build(&mut build, &target).current_dir(folder).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stderr(&output).contains("export_rule!(MyRule);"), "{}", stderr(&output));
}

#[test]
fn an_invalid_new_plugin_is_refused() {
    let project = Project::new(10);
    for name in ["My-Rule", "1st", "self"] {
        let output = new(&project, &["rule", name]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("is not a valid plugin name"), "{}", stderr(&output));
    }
    project.write("taken/file", "");
    assert!(stderr(&new(&project, &["rule", "taken"])).contains("already exists"));
    let mut alone = project.command(&["plugin", "new", "rule", "my-rule"]);
    let output = alone.current_dir(project.folder.path()).output().expect("the binary runs");
    assert!(stderr(&output).contains("--sdk"), "{}", stderr(&output));
}

#[test]
fn rules_of_every_language_conform() {
    let project = Project::new(10);
    let email = r#"{"column": "email"}"#;
    let dedupe = r#"{"matches": [{"same": {"email": "email"}}]}"#;
    let rules = [("minimal-rule", email), ("javascript-rule", email), ("python-rule", email), ("dedupe", dedupe)];
    for (rule, config) in rules {
        let output = kit(&project, &["test", rule, "--config", config, "--rows", "20000"]);
        assert!(output.status.success(), "{rule}: {}{}", stdout(&output), stderr(&output));
        let shown = stdout(&output);
        assert!(shown.contains("ok       many rows      20000 rows, "), "{rule}: {shown}");
        assert!(shown.ends_with("14 checks, none failed\n"), "{rule}: {shown}");
    }
    project.write("people.csv", "email,age\nANA@EXEMPLO.COM,41\n,\n");
    let own = ["--input", "people.csv", "--schema", "age:integer", "--rows", "10", "--format", "json"];
    let output = kit(&project, &[&["test", "minimal-rule", "--config", email], own.as_slice()].concat());
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(answer["checks"].as_array().is_some_and(|checks| checks.iter().all(|check| check["outcome"] == "ok")));
}

#[test]
fn a_plugin_that_does_not_conform_is_reported_with_the_reason() {
    let project = Project::new(10);
    for (mode, what, why) in [
        ("smuggled_key", "one row", "it sets `id`, which its plan does not name"),
        ("trap", "cut in two", "`apply` failed"),
        ("changed_key", "open", "a primary key of `test.rows`"),
    ] {
        let config = format!(r#"{{"mode": "{mode}"}}"#);
        let output =
            kit(&project, &["test", "evil-guest", "--config", &config, "--schema", "id,name", "--rows", "10000"]);
        assert_eq!(output.status.code(), Some(4), "{mode}: {}", stderr(&output));
        let shown = stdout(&output);
        let line = shown.lines().find(|line| line.starts_with(&format!("FAILED   {what}")));
        assert!(line.is_some_and(|line| line.contains(why)), "{mode}: {shown}");
        assert!(stderr(&output).contains("checks failed"), "{mode}: {}", stderr(&output));
    }
    let output = kit(&project, &["test", "minimal-rule", "--config", "{}"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert!(stdout(&output).contains("FAILED   config"), "{}", stdout(&output));
    let column = r#"{"column": "email"}"#;
    let output = kit(&project, &["test", "minimal-rule", "--config", column, "--schema", "email:string"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("unknown column type `string`"), "{}", stderr(&output));
}

#[test]
fn sources_conform_with_what_they_are_granted() {
    let project = Project::new(40);
    project.write("people.csv", "id,email\n1,ana@exemplo.com\n2,\n");
    let config = r#"{"stream": "people", "primary_key": ["id"], "columns": {"id": "text", "email": "text"}}"#;
    let output = kit(&project, &["test", "csv", "--config", config, "--file", "file=people.csv"]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("ok       read people    2 rows in "), "{}", stdout(&output));
    let output = kit(&project, &["test", "minimal-source", "--config", r#"{"path": "/rates"}"#]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("it needs the connection `rates`, which is not granted"));
    let pipeline = project.hubspot(&["owners", "contacts"], "");
    let pipeline = pipeline.to_str().expect("a path in UTF-8");
    let output = kit(&project, &["test", "hubspot", "--pipeline", pipeline]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert!(stdout(&output).contains("ok       resume contacts"), "{}", stdout(&output));
}

#[test]
fn another_version_of_the_contract_is_named() {
    let project = Project::new(10);
    let shown = stdout(&kit(&project, &["inspect", "minimal-rule"]));
    assert!(shown.contains("contract elt:plugin@0.1.0"), "{shown}");
    let mut bytes = std::fs::read(plugins().join("minimal-rule.wasm")).expect("a component");
    let (ours, other) = (b"@0.1.0", b"@0.9.0");
    for at in 0..bytes.len() - ours.len() {
        if bytes[at..].starts_with(ours) {
            bytes[at..at + other.len()].copy_from_slice(other);
        }
    }
    std::fs::write(project.folder.path().join("later.wasm"), bytes).expect("a file");
    let output = kit(&project, &["inspect", "later.wasm"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    for what in
        ["it implements contract version 0.9.0, but this host supports 0.1.0", "build it against `elt:plugin@0.1.0`"]
    {
        assert!(stderr(&output).contains(what), "{}", stderr(&output));
    }
}

#[test]
fn a_component_is_added_and_pinned() {
    let project = Project::new(10);
    let folder = project.folder.path();
    std::fs::create_dir(folder.join("plugins")).expect("a folder");
    project.write("people.csv", "id,email\n1,ANA@EXEMPLO.COM\n");
    // The author's comments stay.
    let people = format!("# People, by hand.{}", people("", &["id", "email"], "# To do: clean them."));
    let pipeline = project.write("pipeline.toml", &people);
    let text = || std::fs::read_to_string(&pipeline).expect("a pipeline");
    let component = plugins().join("minimal-rule.wasm");
    let component = component.to_str().expect("a path in UTF-8");
    let add = |arguments: &[&str]| {
        let mut command = project.command(&[&["plugin", "add", component], arguments].concat());
        command.env_remove("HOST_PLUGINS").current_dir(folder).output().expect("the binary runs")
    };
    let refused = |arguments: &[&str], why: &str| {
        let output = add(arguments);
        assert_eq!(output.status.code(), Some(2), "{why}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
        assert_eq!(text(), people);
    };
    refused(&["--pipeline", "pipeline.toml"], "sources are `people`");
    refused(&["--pipeline", "pipeline.toml", "--stream", "nobody.people"], "and was not changed");
    refused(&["--file", "map=people.csv"], "needs no file `map`");
    assert!(!folder.join("plugins/minimal-rule.wasm").exists());
    let shown = stdout(&add(&[]));
    assert!(shown.contains("[[rule]]\nplugin = \"minimal-rule\"\nsha256 = \""), "{shown}");
    assert!(shown.contains("# config = { column = … }"), "{shown}");
    let config = r#"{"column": "email"}"#;
    let output = add(&["--pipeline", "pipeline.toml", "--stream", "people.people", "--config", config]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(text().starts_with(&people) && text().contains("config = { column = \"email\" }"), "{}", text());
    let again = add(&["--pipeline", "pipeline.toml", "--stream", "people.people", "--config", config]);
    assert!(stderr(&again).contains("already has this entry"), "{}", stderr(&again));
    let output = project.command(&["run", pipeline.to_str().expect("a path")]).output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(project.query("SELECT email FROM clean_people.people")[0]["email"], "ana@exemplo.com");
    project.write("plugins/minimal-rule.wasm", "another");
    assert!(stderr(&add(&[])).contains("is a different component"));
}

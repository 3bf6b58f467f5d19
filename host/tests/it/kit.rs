//! The kit: a new crate builds to a component that works, and passes its tests.

use std::process::{Command, Output};

use crate::support::{Project, root, stderr};

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
        let mut build = project.command(&["plugin", "build", &format!("my-{kind}"), "--output", "plugins"]);
        for name in ["HOME", "CARGO_HOME", "RUSTUP_HOME"] {
            build.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let output = build.current_dir(folder).env("CARGO_TARGET_DIR", &target).output().expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }
    project.write("people.csv", "id,name\n1, Ana \n2,   \n");
    let output = project.run_text(
        r#"
[pipeline]
name = "people"
warehouse = "warehouse.duckdb"
[[source]]
plugin = "csv"
name = "people"
files = { file = "people.csv" }
[source.config]
stream = "people"
primary_key = ["id"]
columns = { id = "text", name = "text" }
[[rule]]
plugin = "plugins/my-rule.wasm"
streams = ["people.people"]
config = { column = "name" }
"#,
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = project.query("SELECT name FROM clean_people.people ORDER BY id");
    assert_eq!((&rows[0]["name"], rows[1]["name"].is_null()), (&"Ana".into(), true), "{rows:?}");
}

#[test]
fn a_new_plugin_is_refused_where_it_cannot_stand() {
    let project = Project::new(10);
    for (name, why) in [("My-Rule", "is no name for a plugin"), ("1st", "is no name for a plugin")] {
        let output = new(&project, &["rule", name]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
    project.write("taken/file", "");
    assert!(stderr(&new(&project, &["rule", "taken"])).contains("is there already"));
    let mut alone = project.command(&["plugin", "new", "rule", "my-rule"]);
    let output = alone.current_dir(project.folder.path()).output().expect("the binary runs");
    assert!(stderr(&output).contains("--sdk"), "{}", stderr(&output));
}

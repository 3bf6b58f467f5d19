//! Files that commands write: which they are, what a full disk leaves of them, and that no link is followed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Project, people, plugins, root, stderr};

/// A command, run after those before it, and the files that it creates, changes or removes.
struct Step {
    arguments: &'static [&'static str],
    writes: &'static [&'static str],
}

const fn step(arguments: &'static [&'static str], writes: &'static [&'static str]) -> Step {
    Step { arguments, writes }
}

const WAREHOUSE: &str = "warehouse.duckdb";
/// The compiled components, by their hashes, and the key that authenticates them.
const CACHE: &str = "cache/host/plugins/*";
const CONFIG: &str = r#"{"column": "email"}"#;
const ADD: &[&str] =
    &["plugin", "add", "COMPONENT", "--pipeline", "pipeline.toml", "--stream", "people.people", "--config", CONFIG];

/// The commands in the order in which a project uses them. `*` stands for any name of a file or folder.
const STEPS: &[Step] = &[
    step(&["init", "clinic"], &["clinic/*"]),
    step(&["schema", "pipeline"], &[]),
    step(&["discover", "pipeline.toml"], &[CACHE]),
    step(&["check", "pipeline.toml"], &[CACHE]),
    step(&["plan", "pipeline.toml"], &[]),
    step(&["models", "pipeline.toml"], &[]),
    step(&["run", "pipeline.toml"], &[WAREHOUSE]),
    step(&["plugin", "new", "rule", "my-rule", "--sdk", "SDK"], &["my-rule/*"]),
    step(&["plugin", "inspect", "COMPONENT"], &[CACHE]),
    step(&["plugin", "test", "COMPONENT", "--config", CONFIG, "--rows", "10"], &[]),
    step(ADD, &["plugins/minimal-rule.wasm", "pipeline.toml"]),
    step(&["clean", "pipeline.toml"], &[WAREHOUSE]),
    step(&["build", "pipeline.toml", "--full-refresh"], &[WAREHOUSE]),
    step(&["test", "pipeline.toml"], &[]),
    step(&["quality", "pipeline.toml"], &[]),
    step(&["compare", "pipeline.toml"], &["warehouse.without-rules.duckdb"]),
    step(&["explain", "pipeline.toml", "core.emails", "--where", "id IS NOT NULL"], &[]),
    step(&["forget", "pipeline.toml", "people/1"], &[WAREHOUSE]),
    step(&["recover", "pipeline.toml"], &[]),
];

/// A project with a file of people, a model, and a pipeline with comments.
fn project() -> Project {
    let project = Project::new(1);
    project.write("people.csv", "id,email\n1,ANA@EXEMPLO.COM\n2,RUI@EXEMPLO.COM\n");
    project.write("sql/core/emails.sql", "SELECT id, email FROM clean_people.people");
    let comments = "# A comment that stays where it is.\n".repeat(6000);
    let config = "# config = { column = \"email\" }\n[marts]\npath = \"sql\"\n";
    project.write("pipeline.toml", &format!("{comments}{}", people("", &["id", "email"], config)));
    std::fs::create_dir(project.folder.path().join("plugins")).expect("a folder");
    project
}

fn component() -> PathBuf {
    plugins().join("minimal-rule.wasm")
}

/// A command of the project with a cache of its own.
fn command(project: &Project, arguments: &[&str]) -> Command {
    let (component, sdk) = (component(), root().join("plugins/sdk"));
    let argument = |argument: &&str| match *argument {
        "COMPONENT" => component.display().to_string(),
        "SDK" => sdk.display().to_string(),
        other => other.to_owned(),
    };
    let arguments: Vec<_> = arguments.iter().map(argument).collect();
    let mut command = project.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let folder = project.folder.path();
    // The sources of the pipeline are found where the test plugins are, and components are added to the project.
    command.current_dir(folder).env("XDG_CACHE_HOME", folder.join("cache"));
    if arguments.iter().any(|argument| argument == "add") {
        command.env_remove("HOST_PLUGINS");
    }
    command
}

/// The files below a folder with their contents; what a link leads to is not read.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(&inner).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("a file of the folder").display().to_string();
            if path.is_symlink() {
                found.insert(name, b"a link".to_vec());
            } else if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn commands_write_the_files_that_are_listed_and_no_others() {
    let project = project();
    let folder = project.folder.path();
    for Step { arguments, writes } in STEPS {
        let before = contents(folder);
        let output = command(&project, arguments).output().expect("the binary runs");
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        let after = contents(folder);
        let names = before.keys().chain(after.keys());
        for name in names.filter(|name| before.get(*name) != after.get(*name)) {
            let is_listed = writes.iter().any(|listed| match listed.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == listed,
            });
            assert!(is_listed, "{arguments:?} wrote {name}");
        }
    }
}

/// A limit in which a plugin runs, but that its file exceeds. The shell counts blocks of 512 or 1024 bytes.
const PLUGIN_RUNS: u32 = 160;

/// The same command where no file can have more than this many blocks. A limit of a process stands for a full disk.
fn on_full_disk(command: &Command, blocks: u32) -> Output {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    limited.arg(command.get_program()).args(command.get_args()).env_clear();
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    limited.current_dir(command.get_current_dir().expect("a folder")).output().expect("a shell")
}

#[test]
fn a_full_disk_leaves_the_old_files_and_no_parts_of_new_ones() {
    let project = project();
    let folder = project.folder.path();
    let before = contents(folder);
    let refused = |arguments: &[&str], blocks: u32| {
        let output = on_full_disk(&command(&project, arguments), blocks);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains("cannot write "), "{arguments:?}: {}", stderr(&output));
        let mut after = contents(folder);
        after.remove("cache/host/plugins/key");
        assert!(after == before, "{arguments:?} left {:?}", after.keys());
    };
    refused(&["init", "clinic"], 1);
    refused(&["plugin", "new", "rule", "my-rule", "--sdk", "SDK"], 1);
    refused(ADD, PLUGIN_RUNS);
    // The component is there already, so that the pipeline is what does not fit.
    std::fs::copy(component(), folder.join("plugins/minimal-rule.wasm")).expect("a component");
    let output = on_full_disk(&command(&project, ADD), PLUGIN_RUNS);
    assert!(stderr(&output).contains("cannot write "), "{}", stderr(&output));
    std::fs::remove_file(folder.join("plugins/minimal-rule.wasm")).expect("a component");
    std::fs::remove_dir_all(folder.join("cache")).expect("a folder");
    assert!(contents(folder) == before, "a file was changed");
}

#[test]
fn nothing_is_written_through_a_link_that_leads_nowhere() {
    let places: &[(&str, &[&str])] = &[
        ("plugins/minimal-rule.wasm", &["plugin", "add", "COMPONENT"]),
        ("my-rule", &["plugin", "new", "rule", "my-rule", "--sdk", "SDK"]),
        ("clinic", &["init", "clinic"]),
        ("warehouse.duckdb", &["run", "pipeline.toml"]),
        ("warehouse.duckdb.wal", &["run", "pipeline.toml"]),
    ];
    for (place, arguments) in places {
        let project = project();
        let elsewhere = tempfile::tempdir().expect("a folder");
        let link = project.folder.path().join(place);
        std::os::unix::fs::symlink(elsewhere.path().join("missing"), &link).expect("a link");
        let output = command(&project, arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert_eq!(contents(elsewhere.path()), BTreeMap::new(), "{arguments:?}");
        assert!(link.is_symlink(), "{arguments:?}");
    }
}

#[test]
fn a_pipeline_behind_a_link_is_replaced_in_its_own_folder() {
    let project = project();
    let folder = project.folder.path();
    std::fs::create_dir(folder.join("real")).expect("a folder");
    std::fs::rename(folder.join("pipeline.toml"), folder.join("real/pipeline.toml")).expect("a file");
    std::os::unix::fs::symlink("real/pipeline.toml", folder.join("pipeline.toml")).expect("a link");
    let output = command(&project, ADD).output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(folder.join("pipeline.toml").is_symlink());
    let text = std::fs::read_to_string(folder.join("real/pipeline.toml")).expect("a pipeline");
    assert!(text.contains("plugin = \"minimal-rule\""), "{text}");
}

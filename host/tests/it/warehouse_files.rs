//! The files of the warehouse: readable by their owner only, cleared of what killed runs left, and open in one process at a
//! time, whatever a command or a server does.
#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::serve_support::Serving;
use crate::support::{Project, json_error, people, stderr};

/// Names a file for [`the_other_process`].
const FILE: &str = "OPEN_WITH_DUCKDB";
/// The exit code of a process that finds the file locked.
const LOCKED: i32 = 7;

/// Not a test of its own: the process that opens a file as any program does that uses DuckDB.
#[test]
fn the_other_process() {
    let Ok(path) = std::env::var(FILE) else { return };
    std::process::exit(match duckdb::Connection::open(&path) {
        Ok(_) => 0,
        Err(error) if error.to_string().contains("Could not set lock") => LOCKED,
        Err(_) => 1,
    });
}

/// Whether another process can open a warehouse.
fn opens_elsewhere(path: &Path) -> bool {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "warehouse_files::the_other_process"]).env(FILE, path).stdout(Stdio::null());
    match command.status().expect("it runs").code() {
        Some(0) => true,
        Some(LOCKED) => false,
        other => unreachable!("{}: {other:?}", path.display()),
    }
}

/// A pipeline of one file with one person, a rule and a model, and further sections.
fn pipeline(project: &Project, rest: &str) -> PathBuf {
    project.write("people.csv", "id,name\n1,Ana\n2,Rui\n");
    project.write("sql/marts/names.sql", "SELECT id, name FROM clean_people.people");
    let rules = "[[rule]]\nplugin = \"text\"\nstreams = [\"people.people\"]\n[rule.config.columns]\nname = [\"upper\"]\n\
                 [marts]\npath = \"sql\"\n";
    project.write("pipeline.toml", &people("", &["id", "name"], &format!("{rules}{rest}")))
}

fn host(project: &Project, pipeline: &Path, arguments: &[&str]) -> Command {
    let pipeline = pipeline.to_str().expect("a path in UTF-8");
    project.command(&[&[arguments[0], pipeline], &arguments[1..]].concat())
}

fn succeed(mut command: Command) {
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
}

/// A process that is held at a kill point.
struct Held {
    child: Option<Child>,
    pipe: std::fs::File,
}

impl Held {
    /// Starts a command and waits until it reaches the point.
    fn at(project: &Project, point: &str, mut command: Command) -> Self {
        let path = project.folder.path().join("held");
        assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
        command.env("HOST_KILL_POINT", format!("{point}={}", path.display()));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let options = {
            use std::os::unix::fs::OpenOptionsExt as _;
            let mut options = std::fs::OpenOptions::new();
            // Without a reader, opening fails instead of waiting.
            options.write(true).custom_flags(0o4000);
            options
        };
        loop {
            if let Ok(pipe) = options.open(&path) {
                std::fs::remove_file(&path).expect("a pipe");
                return Self { child: Some(child), pipe };
            }
            if child.try_wait().expect("a process").is_some() {
                unreachable!("{point}: {}", stderr(&child.wait_with_output().expect("it ended")));
            }
            std::thread::yield_now();
        }
    }

    /// Lets the command go on to its end.
    fn release(mut self) -> Output {
        let child = self.child.take().expect("a process");
        drop(self.pipe);
        child.wait_with_output().expect("it ends")
    }
}

/// The files beside the warehouse that other users may read.
fn readable_by_others(project: &Project) -> Vec<String> {
    let entries = std::fs::read_dir(project.folder.path()).expect("a folder").map(|entry| entry.expect("an entry"));
    let of_warehouse = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("warehouse.duckdb"));
    let is_open = |entry: &std::fs::DirEntry| entry.metadata().expect("a file").permissions().mode() & 0o077 != 0;
    of_warehouse.filter(is_open).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn no_command_leaves_the_warehouse_locked_or_readable_by_others() {
    let project = Project::new(1);
    let pipeline = pipeline(&project, "");
    let commands: &[&[&str]] = &[
        &["run"],
        &["run", "--full-refresh"],
        &["clean"],
        &["build", "--full-refresh"],
        &["test"],
        &["models"],
        &["plan"],
        &["check"],
        &["discover"],
        &["quality"],
        &["compare"],
        &["explain", "names", "--where", "true"],
        &["forget", "people/9"],
        &["forget", "people/1"],
        &["forget", "people/1", "--undo"],
    ];
    for arguments in commands {
        succeed(host(&project, &pipeline, arguments));
        assert!(opens_elsewhere(&project.warehouse_path()), "{arguments:?}");
        assert_eq!(readable_by_others(&project), Vec::<String>::new(), "{arguments:?}");
        assert!(!project.folder.path().join("warehouse.duckdb.lock").exists(), "{arguments:?}");
    }
}

#[test]
fn a_warehouse_that_a_run_has_open_opens_in_no_other_process() {
    let project = Project::new(1);
    // The plugin reads the warehouse's own file: closing it drops the lock that DuckDB holds.
    let own = "[[source]]\nplugin = \"csv\"\nname = \"own\"\nfiles = { file = \"warehouse.duckdb\" }\n[source.config]\n\
               stream = \"rows\"\nprimary_key = [\"a\"]\ncolumns = { a = \"text\" }\n";
    let alone = pipeline(&project, "");
    let alone = project.write("alone.toml", &std::fs::read_to_string(alone).expect("a pipeline"));
    succeed(host(&project, &alone, &["run"]));
    let warehouse = project.warehouse_path();
    let link = project.folder.path().join("link.csv");
    std::fs::hard_link(&warehouse, &link).expect("a link");
    for file in ["warehouse.duckdb", "link.csv"] {
        let both = pipeline(&project, &own.replace("warehouse.duckdb", file));
        let serving = Serving::start(&project, &both, &[]);
        assert!(!opens_elsewhere(&warehouse));
        serving.run_to_end("people", "");
        for path in ["/api/pipelines", "/api/runs", "/api/models", "/"] {
            serving.request("GET", path, &[("host", &serving.address)], "");
        }
        assert!(!opens_elsewhere(&warehouse), "{file}: after a run");
        let refused = host(&project, &alone, &["run", "--format", "json"]).output().expect("the binary runs");
        assert_eq!(refused.status.code(), Some(3), "{}", stderr(&refused));
        drop(serving);
        assert!(opens_elsewhere(&warehouse), "{file}: after the server");
    }
    std::fs::remove_file(link).expect("a link");
    let held = Held::at(&project, "load.commit", host(&project, &alone, &["run", "--full-refresh"]));
    assert!(!opens_elsewhere(&warehouse), "in the midst of a load");
    assert!(held.release().status.success());
    assert!(opens_elsewhere(&warehouse), "after the run");
}

#[test]
fn no_process_opens_a_warehouse_whose_file_is_being_replaced() {
    let project = Project::new(1);
    let pipeline = pipeline(&project, "");
    succeed(host(&project, &pipeline, &["run"]));
    for (point, person) in
        [("rewrite.copied", "people/1"), ("rewrite.closed", "people/2"), ("rewrite.renamed", "people/3")]
    {
        project.write("people.csv", "id,name\n1,Ana\n2,Rui\n3,Eva\n");
        succeed(host(&project, &pipeline, &["run"]));
        let held = Held::at(&project, point, host(&project, &pipeline, &["forget", person]));
        for arguments in [&["serve", "--port", "0", "--format", "json"][..], &["run", "--format", "json"]] {
            let refused = host(&project, &pipeline, arguments).output().expect("the binary runs");
            assert_eq!(refused.status.code(), Some(3), "{point}: {}", stderr(&refused));
            assert!(json_error(&refused).to_string().contains("another process has it open"), "{point}");
        }
        let output = held.release();
        assert!(output.status.success(), "{point}: {}", stderr(&output));
        let serving = Serving::start(&project, &pipeline, &[]);
        assert_eq!(serving.run_to_end("people", "")["run"]["status"], "ok");
        drop(serving);
        let runs = project.query("SELECT count(*) AS runs FROM _host.runs WHERE cause = 'asked' AND status = 'ok'");
        assert_ne!(runs[0]["runs"], 0, "{point}: the run of the server is in the file");
    }
}

#[test]
fn what_a_killed_run_moved_to_disk_is_gone_once_a_command_opens_the_warehouse() {
    let project = Project::new(1);
    let pipeline = pipeline(&project, "");
    succeed(host(&project, &pipeline, &["run"]));
    let spill = project.folder.path().join("warehouse.duckdb.tmp");
    for arguments in [&["run"][..], &["forget", "people/1"], &["quality"]] {
        std::fs::create_dir_all(&spill).expect("a folder");
        std::fs::write(spill.join("duckdb_temp_storage_DEFAULT-0.tmp"), "ana@example.com").expect("a file");
        succeed(host(&project, &pipeline, arguments));
        assert!(!spill.exists(), "{arguments:?}");
    }
}

#[test]
fn a_memory_limit_that_is_too_low_is_an_error_of_the_pipeline() {
    let project = Project::new(1);
    for (limit, part) in [("8MB", "too low"), ("0.5KiB", "too low"), ("0B", "memory_limit")] {
        let path = project.write("p.toml", &people(&format!("memory_limit = \"{limit}\""), &["id", "name"], ""));
        let output = project.try_run(&path, &[]);
        assert_eq!(output.status.code(), Some(2), "{limit}: {}", stderr(&output));
        let error = json_error(&output).to_string();
        assert!(error.contains(part) && error.contains("p.toml"), "{error}");
        assert!(!project.warehouse_path().exists());
    }
    project.write("people.csv", "id,name\n1,Ana\n2,Rui\n");
    let path = project.write("p.toml", &people("memory_limit = \"64MB\"", &["id", "name"], ""));
    let output = project.try_run(&path, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn streams_that_are_loaded_at_the_same_time_bind_their_source_once() {
    let project = Project::new(40);
    let streams =
        ["companies", "contacts", "deals", "deals_companies", "deals_contacts", "contacts_companies", "owners"];
    let pipeline = project.hubspot(&streams, "");
    let held = Held::at(&project, "load.commit", host(&project, &pipeline, &["run"]));
    // The other streams are read meanwhile, and reach their first checkpoint.
    project.server.wait_until(|log| {
        streams.iter().take(3).all(|stream| log.iter().any(|line| format!("{line:?}").contains(stream)))
    });
    let output = held.release();
    assert!(output.status.success(), "{}", stderr(&output));
    let rows = project.query("SELECT count(*) AS rows, count(DISTINCT source) AS sources FROM _host.identities");
    assert_eq!((&rows[0]["rows"], &rows[0]["sources"]), (&1.into(), &1.into()));
}

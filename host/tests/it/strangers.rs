//! Files of others: `.env` and components are searched in the project only, and used only if no stranger can have written
//! them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{Project, people, plugins, root, stderr};

/// A user who is neither root nor whoever runs the tests.
const STRANGER: u32 = 54_321;
/// The variable without which the pipeline is not valid.
const LINE: &str = "WAREHOUSE_OF_ENV=warehouse.duckdb\n";

/// A project with a pipeline that needs a variable and two plugins by name, in a folder below another one.
struct Shared {
    project: Project,
    outside: TempDir,
}

impl Shared {
    fn new() -> Self {
        let outside = tempfile::tempdir().expect("a folder");
        let shared = Self { project: Project::new(1), outside };
        let rule =
            "[[rule]]\nplugin = \"text\"\nstreams = [\"people.people\"]\n[rule.config.columns]\nemail = [\"lower\"]\n";
        let text = people("", &["id", "email"], rule).replace("\"warehouse.duckdb\"", "\"${WAREHOUSE_OF_ENV}\"");
        shared.write("pipelines/people.toml", &text);
        shared.write("pipelines/people.csv", "id,email\n1,ANA@EXEMPLO.COM\n");
        shared
    }

    /// With `.env` and the plugins in the project's root.
    fn complete() -> Self {
        let shared = Self::new();
        shared.write(".env", LINE);
        for name in ["csv", "text"] {
            shared.add_plugin("plugins", name);
        }
        shared
    }

    fn at(&self, name: &str) -> PathBuf {
        self.outside.path().join("project").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn add_plugin(&self, folder: &str, name: &str) {
        let folder = self.at(folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::copy(plugins().join(name).with_extension("wasm"), folder.join(name).with_extension("wasm"))
            .expect("a component");
    }

    /// `host plan` of a pipeline file, with the plugins that are found beside it only.
    fn plan(&self, pipeline: &Path) -> Output {
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        let mut command = self.project.command(&["plan", pipeline]);
        command.env_remove("HOST_PLUGINS").output().expect("the binary runs")
    }

    fn is_refused(&self, why: &str) {
        let output = self.plan(&self.at("pipelines/people.toml"));
        assert_eq!(output.status.code(), Some(2), "{why}: {}", stderr(&output));
        assert!(stderr(&output).contains(why), "{why}: {}", stderr(&output));
    }

    fn is_planned(&self, pipeline: &Path) {
        let output = self.plan(pipeline);
        assert!(output.status.success(), "{}: {}", pipeline.display(), stderr(&output));
    }
}

/// Whether the tests may give files to other users.
fn is_root() -> bool {
    let own = tempfile::NamedTempFile::new().expect("a file");
    own.as_file().metadata().expect("a file").uid() == 0
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("permissions");
}

#[test]
fn nothing_above_the_project_is_used() {
    let shared = Shared::new();
    shared.write("../.env", LINE);
    for name in ["csv", "text"] {
        shared.add_plugin("../plugins", name);
    }
    shared.is_refused("variable `WAREHOUSE_OF_ENV` is not set");
    shared.write(".env", LINE);
    shared.is_refused("plugin `csv`: not found");
    for name in ["csv", "text"] {
        shared.add_plugin("plugins", name);
    }
    shared.is_planned(&shared.at("pipelines/people.toml"));
    // Outside of a folder `pipelines`, the pipeline's folder is the project's root.
    std::fs::rename(shared.at("pipelines"), shared.at("flows")).expect("a folder");
    let output = shared.plan(&shared.at("flows/people.toml"));
    assert!(stderr(&output).contains("variable `WAREHOUSE_OF_ENV` is not set"), "{}", stderr(&output));
}

#[test]
fn a_project_is_found_through_links() {
    let shared = Shared::complete();
    symlink(shared.at(""), shared.at("../link")).expect("a link");
    shared.is_planned(&shared.at("../link/pipelines/people.toml"));
    symlink(shared.at("pipelines"), shared.at("../short")).expect("a link");
    shared.is_planned(&shared.at("../short/people.toml"));
    // The folder itself is a link: names count as they are given.
    std::fs::rename(shared.at("pipelines"), shared.at("../flows")).expect("a folder");
    symlink(shared.at("../flows"), shared.at("pipelines")).expect("a link");
    shared.is_planned(&shared.at("pipelines/people.toml"));
}

#[test]
fn files_that_every_user_may_write_to_are_refused_and_files_of_a_group_are_not() {
    let shared = Shared::complete();
    // A umask of 002 gives files to a group.
    for name in [".env", "plugins/csv.wasm", "plugins/text.wasm"] {
        set_mode(&shared.at(name), 0o664);
    }
    shared.is_planned(&shared.at("pipelines/people.toml"));
    for name in [".env", "plugins/csv.wasm", "plugins/text.wasm"] {
        set_mode(&shared.at(name), 0o666);
        shared.is_refused("is not used: every user of this machine can write to it");
        set_mode(&shared.at(name), 0o644);
    }
    // A path in the pipeline is no exception, nor is a folder of the command line.
    set_mode(&shared.at("plugins/csv.wasm"), 0o666);
    let mut command = shared.project.command(&["plan", shared.at("pipelines/people.toml").to_str().expect("a path")]);
    let output = command.env("HOST_PLUGINS", shared.at("plugins")).output().expect("the binary runs");
    assert!(stderr(&output).contains("plugin `csv`: "), "{}", stderr(&output));
    let text = std::fs::read_to_string(shared.at("pipelines/people.toml")).expect("a pipeline");
    shared.write("pipelines/people.toml", &text.replace("plugin = \"csv\"", "plugin = \"../plugins/csv.wasm\""));
    shared.is_refused("is not used: every user of this machine can write to it");
}

#[test]
fn files_of_strangers_are_refused_unless_the_pipeline_is_theirs() {
    if !is_root() {
        return;
    }
    let shared = Shared::complete();
    let give = |name: &str, user: u32| std::os::unix::fs::lchown(shared.at(name), Some(user), None).expect("an owner");
    for name in [".env", "plugins/csv.wasm"] {
        give(name, STRANGER);
        shared.is_refused(&format!("is not used: it belongs to user {STRANGER}"));
        give(name, 0);
    }
    // A link of a stranger to a file of root.
    std::fs::rename(shared.at("plugins"), shared.at("real")).expect("a folder");
    symlink("real", shared.at("plugins")).expect("a link");
    shared.is_planned(&shared.at("pipelines/people.toml"));
    give("plugins", STRANGER);
    shared.is_refused(&format!("is not used: it belongs to user {STRANGER}"));
    // Root works on the clone of another user.
    for name in [".env", "plugins/csv.wasm", "pipelines/people.toml"] {
        give(name, STRANGER);
    }
    shared.is_planned(&shared.at("pipelines/people.toml"));
    chown(shared.at("plugins/text.wasm"), Some(STRANGER + 1), None).expect("an owner");
    shared.is_refused(&format!("is not used: it belongs to user {}", STRANGER + 1));
}

#[test]
fn a_project_on_a_bind_mount_is_used() {
    let shared = Shared::complete();
    let (project, mounted) = (shared.at(""), shared.at("../mounted"));
    std::fs::create_dir(&mounted).expect("a folder");
    // Runs a command in a namespace in which the project is mounted.
    let run = |command: &Command| {
        let mut inside = Command::new("unshare");
        inside.args(["--mount", "sh", "-c", "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"", "sh"]);
        inside.args([&project, &mounted]).arg(command.get_program()).args(command.get_args()).env_clear();
        inside.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).output()
    };
    // Only root may mount, and not everywhere.
    if run(&Command::new("true")).is_ok_and(|output| output.status.success()) {
        let pipeline = mounted.join("pipelines/people.toml");
        let mut command = shared.project.command(&["plan", pipeline.to_str().expect("a path")]);
        let output = run(command.env_remove("HOST_PLUGINS")).expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn the_commands_of_a_new_project_work_with_the_plugins_beside_the_binary() {
    let project = Project::new(10);
    // On the disk of the binary, where a hard link mostly is enough.
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let (built, binary) = (env!("CARGO_BIN_EXE_host"), folder.path().join("host"));
    std::fs::hard_link(built, &binary).or_else(|_| std::fs::copy(built, &binary).map(drop)).expect("a binary");
    symlink(plugins(), folder.path().join("plugins")).expect("a link");
    let run = |arguments: &str| {
        let command = project.command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("umask 002 && {arguments}")]).arg(&binary).env_clear();
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        for name in ["HOST_PLUGINS", "HUBSPOT_ACCESS_TOKEN", "WAREHOUSE"] {
            shell.env_remove(name);
        }
        let output = shell.current_dir(project.folder.path()).output().expect("a shell");
        assert!(output.status.success(), "{arguments}: {}", stderr(&output));
    };
    run("\"$0\" init clinic");
    run(&format!("cd clinic && cp .env.example .env && echo HUBSPOT_ACCESS_TOKEN={} >> .env", sandbox::TOKEN));
    run("cd clinic && \"$0\" check pipelines/hubspot.toml");
    run("cd clinic/pipelines && \"$0\" check hubspot.toml");
    run("cd clinic && \"$0\" run pipelines/hubspot.toml");
    assert!(
        root().join("pipelines/hubspot.toml").is_file()
            && project.folder.path().join("clinic/warehouse.duckdb").is_file()
    );
}

#[test]
fn the_sdk_of_a_stranger_is_not_used() {
    let project = Project::new(1);
    project.write("plugins/sdk/Cargo.toml", "[package]\nname = \"plugin-sdk\"\n");
    let manifest = project.folder.path().join("plugins/sdk/Cargo.toml");
    set_mode(&manifest, 0o666);
    let new = |folder: &str| {
        let mut command = project.command(&["plugin", "new", "rule", folder]);
        command.current_dir(project.folder.path()).output().expect("the binary runs")
    };
    let output = new("my-rule");
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("every user of this machine"), "{}", stderr(&output));
    set_mode(&manifest, 0o644);
    let output = new("my-rule");
    assert!(output.status.success(), "{}", stderr(&output));
}

//! The cache of compiled components: where it is, and that no entry runs but those that this user's host compiled.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::support::{plugins, stderr};

/// `host plugin inspect` of a test plugin, in a folder and with only these variables.
fn inspect(folder: &Path, plugin: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
    command.args(["plugin", "inspect"]).arg(plugins().join(plugin).with_extension("wasm"));
    command.current_dir(folder).env_clear().envs(variables.iter().copied());
    command
}

fn succeeds(command: &mut Command) -> Output {
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// The names in a folder. None if it does not exist.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
}

/// The only entry of a cache.
fn entry(cache: &Path) -> PathBuf {
    let entries: Vec<_> = names(cache).into_iter().filter(|name| name.ends_with(".cwasm")).collect();
    assert_eq!(entries.len(), 1, "{entries:?}");
    cache.join(&entries[0])
}

#[test]
fn no_cache_is_below_the_folder_in_which_a_command_runs() {
    let folder = TempDir::new().expect("a folder");
    let relative = [("XDG_CACHE_HOME", ".cache"), ("HOME", "")];
    for variables in [&relative[..], &[("XDG_CACHE_HOME", ""), ("HOME", ".")], &[("HOME", "")], &[]] {
        succeeds(&mut inspect(folder.path(), "minimal-rule", variables));
        assert_eq!(names(folder.path()), Vec::<String>::new(), "{variables:?}");
    }
    // A relative path does not hide the user's home.
    let home = TempDir::new().expect("a folder");
    let variables = [("XDG_CACHE_HOME", "cache"), ("HOME", home.path().to_str().expect("a path"))];
    succeeds(&mut inspect(folder.path(), "minimal-rule", &variables));
    entry(&home.path().join(".cache/host/plugins"));
}

#[test]
fn an_entry_that_is_damaged_or_has_another_name_is_compiled_anew() {
    let folder = TempDir::new().expect("a folder");
    let of = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (rule, source) = (of("rule"), of("source"));
    let rule = [("XDG_CACHE_HOME", rule.as_str())];
    let first = succeeds(&mut inspect(folder.path(), "minimal-rule", &rule));
    let of_rule = entry(&folder.path().join("rule/host/plugins"));
    let whole = std::fs::read(&of_rule).expect("an entry");
    for part in 0..8 {
        let mut damaged = whole.clone();
        damaged[part * (whole.len() - 1) / 7] ^= 1 << part;
        std::fs::write(&of_rule, &damaged).expect("an entry");
        let output = succeeds(&mut inspect(folder.path(), "minimal-rule", &rule));
        assert_eq!(output.stdout, first.stdout);
        // It was compiled and stored again.
        assert_ne!(std::fs::read(&of_rule).expect("an entry"), damaged);
    }
    // The entry of a rule does not pass for that of a source, even with the key that made it.
    let source = [("XDG_CACHE_HOME", source.as_str())];
    succeeds(&mut inspect(folder.path(), "minimal-source", &source));
    let of_source = entry(&folder.path().join("source/host/plugins"));
    std::fs::copy(&of_source, of_rule.with_file_name(of_source.file_name().expect("a name"))).expect("an entry");
    std::fs::copy(&of_rule, &of_source).expect("an entry");
    let output = succeeds(&mut inspect(folder.path(), "minimal-source", &source));
    assert!(String::from_utf8_lossy(&output.stdout).contains("(source)"));
    let output = succeeds(&mut inspect(folder.path(), "minimal-source", &rule));
    assert!(String::from_utf8_lossy(&output.stdout).contains("(source)"));
}

#[test]
fn a_full_or_read_only_disk_costs_only_time() {
    let folder = TempDir::new().expect("a folder");
    let cache = folder.path().join("cache").to_str().expect("a path").to_owned();
    let command = inspect(folder.path(), "minimal-rule", &[("XDG_CACHE_HOME", &cache)]);
    let on = |before: &str| {
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("{before} && exec \"$0\" \"$@\"")]);
        limited.arg(command.get_program()).args(command.get_args()).env_clear().env("XDG_CACHE_HOME", &cache);
        limited
    };
    // A limit of a process stands for a full disk: the plugin runs in it, but what it was compiled to exceeds it.
    succeeds(&mut on("trap '' XFSZ && ulimit -f 160"));
    let stored = folder.path().join("cache/host/plugins");
    assert_eq!(names(&stored), ["key"]);
    // A file where the folder should be, like a disk that is read-only, takes no folder.
    std::fs::remove_dir_all(&cache).expect("a folder");
    std::fs::write(&cache, "").expect("a file");
    succeeds(&mut inspect(folder.path(), "minimal-rule", &[("XDG_CACHE_HOME", &cache)]));
}

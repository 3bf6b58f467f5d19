//! The rules of the code that no compiler checks: which part may import which, who names which crate, SQL of the ledger,
//! lengths of files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::imports::{ModuleGraph, imports, without_comments, without_test_modules};
use crate::support::root;

/// Crate of the workspace → the crates of the workspace that it depends on. ARCHITECTURE.md gives the reasons.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("host/core", &[]),
    ("host/document", &["host-core"]),
    ("host/warehouse", &["host-core"]),
    ("host/ledger", &["host-core", "host-warehouse"]),
    ("host/models", &["host-core", "host-document", "host-ledger", "host-warehouse"]),
    ("host/plugin", &["host-core", "host-document"]),
    ("host", &["host-core", "host-document", "host-ledger", "host-models", "host-plugin", "host-warehouse"]),
];

/// Crate of others → the folders and files that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("annotate_snippets", &["host/src/render"]),
    ("axum", &["host/src/serve"]),
    ("clap", &["host/src/cli", "host/src/reference", "host/src/logs.rs", "host/src/main.rs"]),
    ("comfy_table", &["host/src/render"]),
    ("croner", &["host/src/pipeline"]),
    ("duckdb", &["host/warehouse/src"]),
    ("hyper", &["host/src/serve"]),
    ("hyper_util", &["host/src/serve"]),
    ("indicatif", &["host/src/cli"]),
    ("jsonschema", &["host/document/src"]),
    ("moka", &["host/src/serve"]),
    ("reqwest", &["host/plugin/src/http", "host/plugin/src/runtime", "host/src/serve"]),
    ("secrecy", &["host/core/src/secret.rs"]),
    ("toml", &["host/document/src", "host/src/kit"]),
    ("toml_edit", &["host/src/kit"]),
    ("wasmtime", &["host/plugin/src/runtime"]),
];

/// Who writes files, and why it may. Everything else goes through `host_core::files`.
const WRITERS: &[(&str, &str)] = &[
    ("host/core/src/files.rs", "writes files as a whole"),
    ("host/warehouse/src/backup.rs", "gives a copy that DuckDB wrote and synced the name of the warehouse"),
    ("host/warehouse/src/lock.rs", "locks the warehouse's file, which DuckDB creates"),
    ("host/warehouse/src/private.rs", "creates the lock file, which contains no data, without following links"),
    ("host/warehouse/src/recover.rs", "moves a damaged write-ahead log aside"),
];

/// Calls that create, write or rename a file.
const WRITES: &[&str] = &[
    "fs::write(",
    "File::create",
    "File::options(",
    "OpenOptions",
    "fs::copy(",
    "fs::rename(",
    "fs::hard_link(",
    "fs::symlink(",
    ".extract(",
    ".persist",
    "Writer::from_path(",
    ".set_len(",
];

/// Files below a folder, without those that were built or installed.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a source file")
}

/// The `src` folders of the host's crates.
fn host_sources() -> Vec<PathBuf> {
    DEPENDENCIES.iter().map(|(crate_folder, _)| root().join(crate_folder).join("src")).collect()
}

/// A path from the root of the repository.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).expect("a file of the repository").display().to_string()
}

#[test]
fn crates_depend_only_on_the_crates_that_the_table_allows() {
    for (folder, allowed) in DEPENDENCIES {
        let manifest: toml::Table = read(&root().join(folder).join("Cargo.toml")).parse().expect("TOML");
        let dependencies = manifest["dependencies"].as_table().expect("a table").keys();
        let found: Vec<_> = dependencies.filter(|name| name.starts_with("host-")).collect();
        assert_eq!(found, *allowed, "{folder}/Cargo.toml");
    }
}

#[test]
fn modules_are_listed_in_an_order_in_which_each_imports_only_earlier_ones() {
    let source = root().join("host/src");
    let lib = read(&source.join("lib.rs"));
    let modules: Vec<_> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    let is_module =
        |path: &PathBuf| !["main", "lib"].map(Some).contains(&path.file_stem().and_then(|stem| stem.to_str()));
    let top = std::fs::read_dir(&source).expect("a folder").map(|entry| entry.expect("an entry").path());
    let found: BTreeSet<_> =
        top.filter(is_module).filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    assert_eq!(
        modules.iter().map(|module| (*module).to_owned()).collect::<BTreeSet<_>>(),
        found,
        "lib.rs lists other modules"
    );
    let position = |module: &str| modules.iter().position(|other| *other == module).expect("a module");
    let graph = ModuleGraph::read(&source, files(&source, "rs"));
    for ((from, to), file) in graph.modules() {
        assert!(
            position(&to) < position(&from),
            "host/src/{}: `{from}` imports the later module `{to}`",
            file.display()
        );
    }
}

#[test]
fn files_of_a_crate_do_not_form_import_cycles() {
    let plugins = std::fs::read_dir(root().join("plugins")).expect("a folder");
    let plugins = plugins.map(|entry| entry.expect("an entry").path().join("src"));
    let cycles = host_sources().into_iter().chain(plugins).filter_map(|source| {
        let graph = ModuleGraph::read(&source, files(&source, "rs"));
        let cycle = graph.cycle()?.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        Some(format!("{}: {}", shown(&source), cycle.join(" → ")))
    });
    assert_eq!(cycles.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn third_party_crates_are_named_only_where_the_table_allows() {
    for path in host_sources().iter().flat_map(|source| files(source, "rs")) {
        let found = imports(&read(&path));
        let first = found.uses.iter().chain(&found.paths).filter_map(|import| import.path.first());
        let named: BTreeSet<_> = first.map(String::as_str).collect();
        let path = shown(&path);
        for (name, owners) in CRATES.iter().filter(|(name, _)| named.contains(name)) {
            // A module may have the name of a crate.
            let is_owner = owners.iter().any(|owner| Path::new(&path).starts_with(owner));
            assert!(is_owner, "{path}: only {owners:?} may name the crate `{name}`");
        }
    }
}

#[test]
fn files_are_written_as_a_whole_in_one_place() {
    let sources = host_sources().into_iter().chain([root().join("examples/sandbox/src")]);
    for path in sources.flat_map(|source| files(&source, "rs")) {
        let code = without_comments(&without_test_modules(&read(&path)));
        let found: Vec<_> = WRITES.iter().filter(|call| code.contains(*call)).collect();
        let shown = shown(&path);
        let is_writer = WRITERS.iter().any(|(writer, _)| *writer == shown);
        assert!(is_writer || found.is_empty(), "{shown}: only {WRITERS:?} may write files, it has {found:?}");
    }
}

#[test]
fn actions_of_ci_are_pinned_by_their_commits() {
    for path in files(&root().join(".github/workflows"), "yml") {
        for used in
            read(&path).lines().filter_map(|line| line.trim_start().trim_start_matches("- ").strip_prefix("uses: "))
        {
            let commit = used.split_once('@').and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or_default();
            let is_pinned = commit.len() == 40 && commit.chars().all(|digit| digit.is_ascii_hexdigit());
            assert!(is_pinned, "{}: {used}", path.display());
        }
    }
}

#[expect(clippy::print_stdout, reason = "a build script prints for cargo")]
#[path = "../../warehouse/build.rs"]
#[expect(dead_code, reason = "cargo runs the rest of the build script")]
mod build_script;

#[test]
fn a_release_binary_looks_for_libraries_in_its_own_folder_only() {
    let folder = || Some("/home/somebody/host/.cache/duckdb".to_owned());
    let release = build_script::search_path("release", folder());
    assert_eq!(release.len(), 1);
    assert!(release[0] == "$ORIGIN" || release[0] == "@executable_path", "{release:?}");
    assert_eq!(build_script::search_path("debug", folder()), [release[0].clone(), folder().expect("a folder")]);
}

/// The first statement's part on a table of the ledger, outside of comments and test modules.
fn sql_on_ledger(text: &str) -> Option<String> {
    let keywords = ["from", "join", "into", "update", "table", "view"];
    let code = without_comments(&without_test_modules(text)).to_lowercase();
    let is_between = |letter: char| letter.is_whitespace() || "(\"`\\".contains(letter);
    let words: Vec<_> = code.split(is_between).filter(|word| !word.is_empty()).collect();
    let is_ledger = |pair: &&[&str]| {
        keywords.contains(&pair[0]) && (pair[1].starts_with("_host.") || pair[1].starts_with("ledger_"))
    };
    words.windows(2).find(is_ledger).map(|pair| pair.join(" "))
}

#[test]
fn only_the_ledger_has_sql_on_its_tables() {
    assert!(sql_on_ledger("warehouse.query(\"SELECT 1 FROM _host.runs\", ())").is_some());
    assert!(sql_on_ledger("execute(\"UPDATE \\\n    ledger_hubspot.deals__cursors SET x = 1\")").is_some());
    assert!(
        sql_on_ledger("// FROM _host.runs\nlet name = \"_host.runs\"; #[cfg(test)] mod tests { \"FROM _host.runs\" }")
            .is_none()
    );
    // The hint of an alert without a query.
    let example = "query = \\\"SELECT count(*) FROM _host.rejects\\\"";
    let ledger = root().join("host/ledger");
    for path in host_sources().iter().flat_map(|source| files(source, "rs")).filter(|path| !path.starts_with(&ledger)) {
        let found = sql_on_ledger(&read(&path).replace(example, ""));
        assert_eq!(found, None, "{}: only host/ledger may have SQL on tables of the ledger", shown(&path));
    }
}

#[test]
fn the_host_does_not_name_a_source() {
    for path in host_sources().iter().flat_map(|source| files(source, "rs")) {
        let mut text = without_test_modules(&read(&path));
        // Paths of the example, and examples of `--help`.
        text = text.replace("pipelines/hubspot.toml", "");
        while let Some(start) = text.find("after_help") {
            let literal = text[start..].find('"').map_or(text.len(), |quote| start + quote + 1);
            let end = text[literal..].replace("\\\"", "\\_").find('"').map_or(text.len(), |quote| literal + quote);
            text.replace_range(start..end, "");
        }
        for (number, line) in text.lines().enumerate() {
            let is_doc = line.trim_start().starts_with("//");
            // A comment may quote an example in backticks.
            let line: String = if is_doc { line.split('`').step_by(2).collect() } else { line.to_owned() };
            let is_named = line.to_lowercase().contains("hubspot");
            assert!(!is_named, "{}:{}: it names a source: {}", shown(&path), number + 1, line.trim());
        }
    }
}

#[test]
fn files_are_short_and_start_with_their_purpose() {
    for folder in ["host", "plugins", "examples"] {
        for path in files(&root().join(folder), "rs") {
            let text = read(&path);
            assert!(text.starts_with("//!"), "{}: the first line is not `//! …`", path.display());
            assert!(text.lines().count() <= 600, "{}: more than 600 lines", path.display());
        }
    }
}

#[test]
fn scripts_of_the_pages_are_short_and_start_with_their_purpose() {
    for folder in ["host/pages/src", "host/pages/tests"] {
        for path in files(&root().join(folder), "ts") {
            let text = read(&path);
            assert!(text.starts_with("// "), "{}: the first line is not `// …`", path.display());
            assert!(text.lines().count() <= 300, "{}: more than 300 lines", path.display());
            // Data is text, never markup.
            assert!(!text.contains("innerHTML"), "{}: it uses innerHTML", path.display());
        }
    }
}

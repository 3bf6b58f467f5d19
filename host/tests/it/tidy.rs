//! The house rules that no compiler keeps: who may import whom, who may name which crate, how long a file may be.

use std::path::{Path, PathBuf};

use crate::support::root;

/// Room → rooms that it may import, beside `error` and `schema`. ARCHITECTURE.md says why.
const EDGES: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("error", &[]),
    ("schema", &[]),
    ("progress", &[]),
    ("pipeline", &[]),
    ("plugin", &["pipeline"]),
    ("prepare", &["pipeline", "plugin"]),
    ("warehouse", &[]),
    ("extract", &["plugin", "prepare", "progress", "warehouse"]),
    ("clean", &["pipeline", "plugin", "prepare", "progress", "warehouse"]),
    ("marts", &["pipeline", "progress", "warehouse"]),
    ("explain", &["marts", "warehouse"]),
    ("dashboard", &["explain", "marts", "pipeline", "warehouse"]),
    ("report", &["clean", "extract", "marts", "pipeline", "prepare", "warehouse"]),
    (
        "run",
        &["clean", "clock", "extract", "marts", "pipeline", "plugin", "prepare", "progress", "report", "warehouse"],
    ),
    (
        "serve",
        &[
            "clean",
            "clock",
            "dashboard",
            "explain",
            "marts",
            "pipeline",
            "plugin",
            "prepare",
            "progress",
            "report",
            "run",
            "warehouse",
        ],
    ),
    (
        "cli",
        &[
            "clean",
            "clock",
            "dashboard",
            "explain",
            "marts",
            "pipeline",
            "plugin",
            "prepare",
            "progress",
            "report",
            "run",
            "serve",
            "warehouse",
        ],
    ),
];

/// Crate → the rooms that may name it.
const CRATES: &[(&str, &[&str])] = &[
    ("axum", &["serve"]),
    ("croner", &["pipeline"]),
    ("duckdb", &["warehouse"]),
    ("reqwest", &["plugin", "serve"]),
    ("toml", &["pipeline"]),
    ("wasmtime", &["plugin"]),
];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files(folder, "rs")
}

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

#[test]
fn rooms_import_only_what_the_table_allows() {
    let source = root().join("host/src");
    for path in rust_files(&source) {
        let inside = path.strip_prefix(&source).expect("a source file");
        let room = inside.components().next().expect("a name").as_os_str().to_string_lossy().replace(".rs", "");
        if ["main", "lib"].contains(&room.as_str()) {
            continue;
        }
        let (_, allowed) = EDGES
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| unreachable!("no room `{room}` in the table"));
        let text = std::fs::read_to_string(&path).expect("a source file");
        for used in text.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let is_room = EDGES.iter().any(|(name, _)| *name == used);
            let fine = !is_room
                || used == room
                || ["error", "schema"].contains(&used.as_str())
                || allowed.contains(&used.as_str());
            assert!(fine, "{}: `{room}` may not import `{used}`", path.display());
        }
        for (name, owners) in CRATES {
            let named = text.contains(&format!("{name}::")) && !text.contains(&format!("mod {name}"));
            let may = owners.contains(&room.as_str());
            assert!(!named || may, "{}: only {owners:?} may name the crate `{name}`", path.display());
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    for folder in ["host", "plugins", "examples"] {
        for path in rust_files(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).expect("a source file");
            assert!(text.starts_with("//!"), "{}: no first `//!` line", path.display());
            assert!(text.lines().count() <= 600, "{}: over 600 lines", path.display());
        }
    }
}

#[test]
fn scripts_of_the_pages_are_short_and_say_what_they_are_for() {
    for folder in ["host/pages/src", "host/pages/tests"] {
        for path in files(&root().join(folder), "ts") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            assert!(text.starts_with("// "), "{}: no first `//` line", path.display());
            assert!(text.lines().count() <= 300, "{}: over 300 lines", path.display());
            // Data is text, never markup.
            assert!(!text.contains("innerHTML"), "{}: names innerHTML", path.display());
        }
    }
}

#[test]
fn the_readmes_rule_is_the_example() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a page");
    let example = std::fs::read_to_string(root().join("examples/minimal-rule/src/lib.rs")).expect("an example");
    assert!(readme.contains(&format!("```rust\n{example}```")), "README.md shows another rule than the example");
}

#[test]
fn pages_keep_their_length() {
    for (page, most) in [("README.md", 200), ("ARCHITECTURE.md", 150)] {
        let text = std::fs::read_to_string(root().join(page)).expect("a page");
        assert!(text.lines().count() <= most, "{page}: over {most} lines");
    }
}

//! A folder of models and a warehouse with tables that a load could have made, for tests of the commands on models.

use std::path::PathBuf;
use std::process::{Command, Output};

use host::ledger;
use host::warehouse::{Row, Table, Warehouse};
use tempfile::TempDir;

use crate::support::{root, stderr};

/// A pipeline of models alone.
pub(crate) struct Models {
    pub(crate) folder: TempDir,
}

impl Models {
    /// These files below `sql/`.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let models = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        models.pipeline("1GB", "");
        files.iter().for_each(|(name, text)| models.write(name, text));
        models
    }

    /// Writes the pipeline file in place of the one before.
    pub(crate) fn pipeline(&self, memory: &str, variables: &str) {
        let text = format!(
            "[pipeline]\nname = \"models\"\nwarehouse = \"warehouse.duckdb\"\nmemory_limit = \"{memory}\"\n\
             [marts]\npath = \"sql\"\nreads = [\"raw_shop.*\"]\nvariables = {{ {variables} }}\n"
        );
        std::fs::write(self.folder.path().join("pipeline.toml"), text).expect("a file");
    }

    /// Writes a file below `sql/`.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("sql").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Removes a file below `sql/`.
    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join("sql").join(name)).expect("a file");
    }

    pub(crate) fn warehouse_path(&self) -> PathBuf {
        self.folder.path().join("warehouse.duckdb")
    }

    pub(crate) fn warehouse(&self) -> Warehouse {
        ledger::open(&self.warehouse_path(), "1GB").expect("a warehouse")
    }

    /// Runs SQL as a load would, and records that it changed `raw_shop.orders`.
    pub(crate) fn load(&self, load_id: &str, sql: &str) {
        let warehouse = self.warehouse();
        warehouse.execute("CREATE SCHEMA IF NOT EXISTS raw_shop").expect("a schema");
        warehouse.execute(sql).expect("a load");
        let orders = Table::new("raw_shop", "orders");
        ledger::versions::record_change(&warehouse, &orders, load_id).expect("a version");
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<Row> {
        self.warehouse().query(sql, ()).expect("a query")
    }

    /// The first value of a query, as text.
    pub(crate) fn value(&self, sql: &str) -> String {
        self.warehouse().value_text(sql, ()).expect("a query").unwrap_or_default()
    }

    /// The binary with these arguments; the pipeline file follows the first of them.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        command.arg(words[0]).arg("pipeline.toml").args(&words[1..]).current_dir(self.folder.path());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("XDG_CACHE_HOME", root().join("target/test-cache"));
        command
    }

    pub(crate) fn try_to(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the binary runs")
    }

    /// Runs a command that must succeed; returns what it printed.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        let output = self.try_to(words);
        assert!(output.status.success(), "{words:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Builds, and returns what was built.
    pub(crate) fn build(&self, words: &[&str]) -> serde_json::Value {
        let words = [&["build", "--format", "json"], words].concat();
        let report: serde_json::Value = serde_json::from_str(&self.run(&words)).expect("a report");
        report["built"].clone()
    }

    /// Runs a command that must fail with an exit code and an error that contains these texts.
    pub(crate) fn fails(&self, words: &[&str], code: i32, parts: &[&str]) {
        let output = self.try_to(words);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        for part in parts {
            assert!(text.contains(part), "no `{part}` in: {text}");
        }
    }
}

/// The names of the models that were built.
pub(crate) fn names(built: &serde_json::Value) -> Vec<String> {
    let models = built["models"].as_array().expect("models");
    models.iter().map(|model| model["model"].as_str().expect("a name").to_owned()).collect()
}

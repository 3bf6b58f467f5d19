//! A sandbox and a warehouse for one test, and the binary to run on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use host::warehouse::{Row, Warehouse};
use sandbox::{GeneratorOptions, Network, SandboxServer, ServerOptions, TOKEN, spend};
use tempfile::TempDir;

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// Where the test plugins were built.
pub(crate) fn plugins() -> PathBuf {
    PathBuf::from(std::env::var("HOST_TEST_PLUGINS").expect("HOST_TEST_PLUGINS: run the tests with `make test`"))
}

/// A sandbox with a warehouse folder.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
    pub(crate) server: SandboxServer,
    pub(crate) options: GeneratorOptions,
    pub(crate) spend: Option<PathBuf>,
}

impl Project {
    /// A small clinic network.
    pub(crate) fn new(patients: usize) -> Self {
        Self::with(patients, ServerOptions::default())
    }

    /// A small clinic network on a server with these options.
    pub(crate) fn with(patients: usize, server: ServerOptions) -> Self {
        Self::of(GeneratorOptions { patients, ..GeneratorOptions::default() }, server)
    }

    /// The network of these options on a server with those options.
    pub(crate) fn of(options: GeneratorOptions, server: ServerOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("spend.csv");
        let file = std::fs::File::create(&path).expect("a file");
        spend::write(&spend::generate(&options), file).expect("a spend file");
        let server = SandboxServer::start(Network::generate(&options), server, 0).expect("a loopback port");
        Self { folder, server, options, spend: Some(path) }
    }

    pub(crate) fn warehouse_path(&self) -> PathBuf {
        self.folder.path().join("warehouse.duckdb")
    }

    /// The binary with the environment of this project alone.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("XDG_CACHE_HOME", root().join("target/test-cache"))
            .env("HOST_PLUGINS", plugins())
            .env("HUBSPOT_BASE_URL", self.server.url())
            .env("HUBSPOT_ACCESS_TOKEN", TOKEN)
            .env("WAREHOUSE", self.warehouse_path());
        if let Some(spend) = &self.spend {
            command.env("MARKETING_SPEND_CSV", spend);
        }
        command
    }

    /// Runs the shipped pipeline, which must succeed; returns its report.
    pub(crate) fn run(&self, arguments: &[&str]) -> serde_json::Value {
        let pipeline = root().join("pipelines/hubspot.toml");
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        let output = self
            .command(&[&["run", pipeline, "--format", "json"], arguments].concat())
            .output()
            .expect("the binary runs");
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    /// Runs a pipeline text written into the project's folder.
    pub(crate) fn run_text(&self, pipeline: &str) -> Output {
        let path = self.write("pipeline.toml", pipeline);
        self.command(&["run", path.to_str().expect("a path in UTF-8")]).output().expect("the binary runs")
    }

    /// A pipeline of the HubSpot source alone: its streams, and lines of its config.
    pub(crate) fn hubspot(&self, streams: &[&str], config: &str) -> PathBuf {
        let streams = streams.iter().map(|stream| format!("{stream:?}")).collect::<Vec<_>>().join(", ");
        self.write(
            "hubspot.toml",
            &format!(
                r#"
[pipeline]
name = "hubspot"
warehouse = "warehouse.duckdb"
[connection.hubspot]
base_url = "${{HUBSPOT_BASE_URL}}"
token = {{ secret = "HUBSPOT_ACCESS_TOKEN" }}
retry = {{ first_ms = 5, longest_ms = 40 }}
[connection.hubspot.rate_limits]
general = {{ requests = 100000, per_seconds = 1 }}
search = {{ requests = 100000, per_seconds = 1 }}
[[source]]
plugin = "hubspot"
connections = {{ hubspot = "hubspot" }}
streams = [{streams}]
[source.config]
{config}
"#
            ),
        )
    }

    /// Runs a pipeline file and kills the run after this number of requests, unless it ended before.
    pub(crate) fn kill_at(&self, pipeline: &Path, requests: usize) {
        let _ = self.server.take_log();
        let mut child = self
            .command(&["run", pipeline.to_str().expect("a path in UTF-8"), "--quiet"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the binary runs");
        self.server.wait_until(|log| log.len() >= requests || matches!(child.try_wait(), Ok(Some(_)) | Err(_)));
        // A process that has ended cannot be killed.
        let _ = child.kill();
        child.wait().expect("it ends");
    }

    /// Runs a pipeline file and kills the run when DuckDB's write-ahead log has this many bytes, unless it ended before.
    pub(crate) fn kill_at_log_of(&self, pipeline: &Path, bytes: u64) {
        let mut command = self.command(&["run", pipeline.to_str().expect("a path in UTF-8"), "--quiet"]);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("the binary runs");
        let log = self.warehouse_path().with_extension("duckdb.wal");
        let is_short = || !std::fs::metadata(&log).is_ok_and(|log| log.len() >= bytes);
        while is_short() && matches!(child.try_wait(), Ok(None)) {
            std::thread::yield_now();
        }
        // A process that has ended cannot be killed.
        let _ = child.kill();
        child.wait().expect("it ends");
    }

    /// Runs a pipeline file with further arguments.
    pub(crate) fn try_run(&self, pipeline: &Path, arguments: &[&str]) -> Output {
        let pipeline = pipeline.to_str().expect("a path in UTF-8");
        let arguments = [&["run", pipeline, "--format", "json"], arguments].concat();
        self.command(&arguments).output().expect("the binary runs")
    }

    /// Loads these HubSpot streams, which must succeed; returns the report.
    pub(crate) fn load(&self, streams: &[&str], config: &str) -> serde_json::Value {
        let output = self.try_run(&self.hubspot(streams, config), &[]);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).expect("a report")
    }

    /// Writes a file into the project's folder.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// The rows of a query on the warehouse.
    pub(crate) fn query(&self, sql: &str) -> Vec<Row> {
        let warehouse = Warehouse::open(&self.warehouse_path(), "2GB").expect("a warehouse");
        warehouse.query(sql, ()).expect("a query")
    }

    /// One row per table: the number and the hash of its rows, without `_load_id` and `_extracted_at`.
    pub(crate) fn fingerprint(&self) -> Vec<Row> {
        let tables = self.query(
            "SELECT schema_name || '.' || table_name AS name FROM duckdb_tables() \
             WHERE schema_name IN ('core', 'seeds') OR schema_name LIKE 'raw_%' OR schema_name LIKE 'clean_%' OR schema_name LIKE 'kept_%' ORDER BY 1",
        );
        let name = |row: &Row| row["name"].as_str().expect("a name").to_owned();
        let hash = |row: &Row| {
            let table = name(row);
            let columns = if ["raw_", "clean_", "kept_"].iter().any(|of_streams| table.starts_with(of_streams)) {
                "* EXCLUDE (_load_id, _extracted_at)"
            } else {
                "*"
            };
            format!(
                "SELECT '{table}' AS name, count(*) AS rows, sum(hash(t)::HUGEINT)::VARCHAR AS sum FROM (SELECT {columns} FROM {table}) t"
            )
        };
        tables.iter().flat_map(|row| self.query(&hash(row))).collect()
    }
}

/// A pipeline that loads the file `people.csv` as the stream `people.people` with the key `id`: lines of `[pipeline]`, the
/// text columns of the file, and further sections.
pub(crate) fn people(settings: &str, columns: &[&str], rest: &str) -> String {
    let columns = columns.iter().map(|column| format!("{column} = \"text\"")).collect::<Vec<_>>().join(", ");
    format!(
        r#"
[pipeline]
name = "people"
warehouse = "warehouse.duckdb"
{settings}
[[source]]
plugin = "csv"
name = "people"
files = {{ file = "people.csv" }}
[source.config]
stream = "people"
primary_key = ["id"]
columns = {{ {columns} }}
{rest}
"#
    )
}

/// The error that a command printed with `--format json`: the last line of standard error.
pub(crate) fn json_error(output: &Output) -> serde_json::Value {
    let text = stderr(output);
    let error = text.lines().rev().find(|line| line.starts_with("{\"error\":")).expect("an error in JSON");
    serde_json::from_str::<serde_json::Value>(error).expect("JSON")["error"].take()
}

/// What a command wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

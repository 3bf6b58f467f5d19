//! Connections to the warehouse: opened, configured, and the statements that they run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use duckdb::{Connection, Params};
use host_core::error::{Error, Result};
use tokio_util::sync::CancellationToken;

use crate::fault::{convert, convert_open};
use crate::literal;
use crate::stop::{Interrupter, StopGuard, StopState, Stopped};

/// The size of the write-ahead log at which DuckDB writes it into the file. With the default of 16 MB, a load would compress
/// the same half-filled row groups many times.
const CHECKPOINT_THRESHOLD: &str = "64MB";

/// Memory of DuckDB itself while streams are loaded, in bytes.
const LOAD_MEMORY: u64 = 100 << 20;
/// Memory for one column of a row group while it is compressed, in bytes.
const LOAD_MEMORY_PER_COLUMN: u64 = 512 << 10;

/// One connection to the warehouse. [`Warehouse::connect`] makes more, for other threads.
pub struct Warehouse {
    pub(crate) connection: Connection,
    path: PathBuf,
    /// The memory limit of the pipeline, as DuckDB writes it.
    memory: String,
    pub(crate) stop: Arc<StopState>,
    /// Whether this connection alone is stopped.
    pub(crate) is_stopped: Stopped,
    /// The macros of the file, once they were asked for. Only another process could create one.
    macros: Arc<OnceLock<Vec<UserMacro>>>,
}

/// A macro that a user created in the file.
#[derive(Debug, Clone)]
pub struct UserMacro {
    /// Its name, in lower case.
    pub name: String,
    /// Whether a built-in function has the same name.
    pub hides_built_in: bool,
}

impl Warehouse {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// A path that cannot be written, a file that is not DuckDB's, a file that another process has open, and a memory limit
    /// that does not parse.
    pub fn open(path: &Path, memory_limit: &str) -> Result<Self> {
        let on = |error: Error| error.on(format!("warehouse {}", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|cause| on(Error::config(cause.to_string())))?;
        }
        let config = duckdb::Config::default()
            .max_memory(memory_limit)
            .and_then(|config| config.with("preserve_insertion_order", "false"))
            .and_then(|config| config.with("checkpoint_threshold", CHECKPOINT_THRESHOLD))
            .map_err(|cause| on(convert_open(&cause)))?;
        let connection = Connection::open_with_flags(path, config).map_err(|cause| on(convert_open(&cause)))?;
        let warehouse =
            Self::new(connection, path.to_path_buf(), memory_limit.to_owned(), Arc::default(), Arc::default())?;
        warehouse.restrict().map_err(on)?;
        Ok(warehouse)
    }

    /// Limits the files that SQL can reach to the folder of the warehouse, where the host keeps copies, and turns off
    /// extensions. Settings are not locked, because the host changes the limits of loading; the SQL of a project cannot
    /// change them, because it is only ever one SELECT.
    fn restrict(&self) -> Result<()> {
        if !self.is_in_memory() {
            // Copies are beside the path as it was given, and a rewritten file beside the file that a link leads to.
            let given = std::path::absolute(&self.path).map_err(Error::internal)?;
            let linked = std::fs::canonicalize(&self.path).map_err(Error::internal)?;
            let folders = [given, linked].map(|path| path.parent().map(Path::to_path_buf).unwrap_or_default());
            let folders = folders.map(|folder| literal(&folder.to_string_lossy())).join(", ");
            self.execute(&format!("SET allowed_directories = [{folders}]"))?;
        }
        self.execute(
            "SET autoload_known_extensions = false; SET autoinstall_known_extensions = false; \
             SET allow_community_extensions = false; SET enable_external_access = false",
        )
    }

    /// A database in memory, for DuckDB's parser and for empty tables.
    ///
    /// # Errors
    /// As [`Warehouse::open`].
    pub fn memory() -> Result<Self> {
        Self::open(Path::new(":memory:"), "256MB")
    }

    /// Another connection to the same database, which stops when this one does.
    ///
    /// # Errors
    /// DuckDB refuses another connection.
    pub fn connect(&self) -> Result<Self> {
        self.clone_connection(Arc::clone(&self.stop))
    }

    /// Another connection to the same database, which does not stop when this one does.
    ///
    /// # Errors
    /// As [`Warehouse::connect`].
    pub fn connect_separately(&self) -> Result<Self> {
        self.clone_connection(Arc::default())
    }

    fn clone_connection(&self, stop: Arc<StopState>) -> Result<Self> {
        let connection = self.connection.try_clone().map_err(|cause| convert(&cause, ""))?;
        Self::new(connection, self.path.clone(), self.memory.clone(), stop, Arc::clone(&self.macros))
    }

    fn new(
        connection: Connection,
        path: PathBuf,
        memory: String,
        stop: Arc<StopState>,
        macros: Arc<OnceLock<Vec<UserMacro>>>,
    ) -> Result<Self> {
        stop.register(&connection);
        let warehouse = Self { connection, path, memory, stop, is_stopped: Arc::default(), macros };
        warehouse.execute("SET errors_as_json = true")?;
        // Time zones need DuckDB's extension ICU: its shared library contains it, a bundled build downloads it once.
        let zone = warehouse.execute("SET TimeZone = 'UTC'");
        zone.map_err(|error| {
            error.hint("this build of DuckDB lacks the extension ICU: run once with network access, so that DuckDB downloads it")
        })?;
        Ok(warehouse)
    }

    /// Limits threads and memory while streams are loaded, each on a connection of its own. `columns` is the number of
    /// columns of all tables being written.
    ///
    /// # Errors
    /// DuckDB refuses a setting.
    pub fn limit_for_loading(&self, columns: usize) -> Result<()> {
        let needed = LOAD_MEMORY + columns as u64 * LOAD_MEMORY_PER_COLUMN;
        let sql = format!("SELECT least(parse_formatted_bytes({}), {needed})", literal(&self.memory));
        let bytes = self.count(&sql, ())?;
        self.execute(&format!("SET threads = 1; SET memory_limit = '{bytes}B'"))
    }

    /// Lifts the limits of loading: all threads, and the memory limit of the pipeline.
    ///
    /// # Errors
    /// DuckDB refuses a setting.
    pub fn lift_limits(&self) -> Result<()> {
        self.execute(&format!("RESET threads; SET memory_limit = {}", literal(&self.memory)))
    }

    /// A handle that stops this connection.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        Interrupter::new(&self.connection, &self.is_stopped)
    }

    /// Fails if the connection is stopped.
    pub(crate) fn check_stopped(&self) -> Result<()> {
        if self.is_stopped.load(Ordering::Acquire) { Err(Error::stopped()) } else { self.stop.check() }
    }

    /// The memory limit of the pipeline.
    pub(crate) fn memory_limit(&self) -> &str {
        &self.memory
    }

    /// The macros that users created in the file, and that SQL can call without the name of a schema.
    ///
    /// # Errors
    /// As [`Warehouse::query`].
    pub fn user_macros(&self) -> Result<&[UserMacro]> {
        if let Some(known) = self.macros.get() {
            return Ok(known);
        }
        // These queries call nothing by a name that a macro could hide.
        let functions = |condition: &str| -> Result<Vec<String>> {
            let sql = format!("SELECT function_name FROM system.main.duckdb_functions() WHERE {condition}");
            Ok(self.values::<String>(&sql, ())?.iter().map(|name| name.to_lowercase()).collect())
        };
        let own = if self.is_in_memory() { Vec::new() } else { functions("NOT internal AND schema_name = 'main'")? };
        let built_in: BTreeSet<_> =
            if own.is_empty() { BTreeSet::new() } else { functions("internal")?.into_iter().collect() };
        let found = own.into_iter().map(|name| UserMacro { hides_built_in: built_in.contains(&name), name });
        Ok(self.macros.get_or_init(|| found.collect()))
    }

    /// Stops all connections that stop with this one once the token is cancelled, until the guard is dropped. Needs a tokio
    /// runtime.
    #[must_use]
    pub fn stop_on(&self, token: &CancellationToken) -> StopGuard {
        StopGuard::new(&self.stop, token)
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the database is in memory, without a file.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.path == Path::new(":memory:")
    }

    /// Runs one or more statements.
    ///
    /// # Errors
    /// The failure that DuckDB reports, with its class as the error's fault.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.check_stopped()?;
        self.connection.execute_batch(sql).map_err(|cause| convert(&cause, sql))
    }

    /// Runs one statement; returns the number of rows that it changed.
    ///
    /// # Errors
    /// As [`Warehouse::execute`].
    pub fn change(&self, sql: &str, parameters: impl Params) -> Result<u64> {
        self.check_stopped()?;
        let changed = self.connection.execute(sql, parameters).map_err(|cause| convert(&cause, sql))?;
        Ok(changed as u64)
    }

    /// Runs `work` in one transaction, which is rolled back if it fails.
    ///
    /// # Errors
    /// The error of `work`, and a commit that fails.
    pub fn transaction<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.execute("BEGIN")?;
        let done = work().and_then(|done| self.execute("COMMIT").map(|()| done));
        done.inspect_err(|_| {
            // The failure matters more than a transaction that is already rolled back.
            let _ = self.connection.execute_batch("ROLLBACK");
        })
    }

    /// Runs `work` in a transaction in which tables cannot change.
    ///
    /// # Errors
    /// The error of `work`.
    pub fn read_only<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.execute("BEGIN TRANSACTION READ ONLY")?;
        let done = work();
        // Nothing was changed, and the result of `work` matters more.
        let _ = self.connection.execute_batch("ROLLBACK");
        done
    }

    /// The name of the database in DuckDB's catalog, which may contain attached databases too.
    ///
    /// # Errors
    /// As [`Warehouse::query`].
    pub fn database(&self) -> Result<String> {
        Ok(self.value("SELECT current_database()", ())?.unwrap_or_default())
    }
}

//! Connections to the warehouse: opened, configured, and the statements that they run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use duckdb::{Connection, Params};
use host_core::error::{Error, Result};
use host_core::files::folder_of;
use tokio_util::sync::CancellationToken;

use crate::fault::{convert, convert_open};
use crate::files::with_suffix;
use crate::lock::FileLock;
use crate::stop::{Interrupter, StopGuard, StopState, Stopped};
use crate::{literal, private};

/// The size of the write-ahead log at which DuckDB writes it into the file. With the default of 16 MB, a load would compress
/// the same half-filled row groups many times.
const CHECKPOINT_THRESHOLD: &str = "64MB";

/// Memory of DuckDB itself while streams are loaded, in bytes.
const LOAD_MEMORY: u64 = 100 << 20;
/// Memory for one column of a row group while it is compressed, in bytes.
const LOAD_MEMORY_PER_COLUMN: u64 = 512 << 10;

/// The path of a database in memory.
const MEMORY: &str = ":memory:";

/// The lowest memory limit. With less, DuckDB lacks the memory even for small statements.
const MIN_MEMORY: u64 = 64_000_000;

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
    /// Dropped after the connection. None in memory.
    pub(crate) lock: Option<Arc<FileLock>>,
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
    /// Opens the file, or creates it. Until the last connection is closed, no other process can open it. All files that the
    /// process creates from then on are readable by their owner only.
    ///
    /// # Errors
    /// A path that cannot be written or is a symbolic link that leads nowhere, a file that is not DuckDB's, a file that
    /// another process has open, and a memory limit that does not parse or is too low.
    pub fn open(path: &Path, memory_limit: &str) -> Result<Self> {
        let on = |error: Error| error.on(format!("warehouse {}", path.display()));
        let config = configuration(memory_limit).map_err(on)?;
        if path == Path::new(MEMORY) {
            // Rows of a database in memory are few, and DuckDB would move them to the current folder.
            let config = config.with("temp_directory", "").map_err(|cause| on(convert_open(&cause)))?;
            let connection = Connection::open_with_flags(path, config).map_err(|cause| on(convert_open(&cause)))?;
            return Self::new(
                connection,
                path.to_path_buf(),
                memory_limit.to_owned(),
                Arc::default(),
                Arc::default(),
                None,
            )
            .and_then(Self::restricted)
            .map_err(on);
        }
        let failed = |cause: std::io::Error| on(Error::config(cause.to_string()));
        std::fs::create_dir_all(folder_of(path)).map_err(failed)?;
        refuse_links(path).map_err(on)?;
        private::create_private_files();
        let database = private::real_path(path).map_err(failed)?;
        refuse_links(&database).map_err(on)?;
        let lock = FileLock::acquire(&database).map_err(on)?;
        Self::open_locked(path, memory_limit, lock)
    }

    /// Opens a file that this process has locked.
    pub(crate) fn open_locked(path: &Path, memory_limit: &str, mut lock: FileLock) -> Result<Self> {
        let on = |error: Error| error.on(format!("warehouse {}", path.display()));
        let database = lock.database().to_path_buf();
        let prepared = lock.while_closed(|| {
            private::restrict_files(&database);
            private::remove_if_empty(&database)?;
            private::remove_rewritten(&database)?;
            private::clear_spill(&database)
        });
        prepared.map_err(on)?;
        let spill = private::spill_folder(&database);
        let config = configuration(memory_limit).map_err(on)?;
        let config =
            config.with("temp_directory", spill.to_string_lossy()).map_err(|cause| on(convert_open(&cause)))?;
        let connection = Connection::open_with_flags(path, config).map_err(|cause| on(convert_open(&cause)))?;
        if let Err(error) = lock.replace_lock_of_duckdb() {
            // Closing the file would write to it, while another process has it open.
            std::mem::forget(connection);
            return Err(on(error));
        }
        let lock = Some(Arc::new(lock));
        Self::new(connection, path.to_path_buf(), memory_limit.to_owned(), Arc::default(), Arc::default(), lock)
            .and_then(Self::restricted)
            .map_err(on)
    }

    /// Opens a file that this process has locked, to read it. Transactions of its write-ahead log are replayed in memory.
    pub(crate) fn open_read_only(database: &Path, memory_limit: &str) -> Result<Self> {
        let config = configuration(memory_limit)?.access_mode(duckdb::AccessMode::ReadOnly);
        let config = config.map_err(|cause| convert_open(&cause))?;
        let connection = Connection::open_with_flags(database, config).map_err(|cause| convert_open(&cause))?;
        Self::new(connection, database.to_path_buf(), memory_limit.to_owned(), Arc::default(), Arc::default(), None)
            .and_then(Self::restricted)
    }

    /// Limits the files that SQL can reach to the folder of the warehouse, where the host keeps copies, and turns off
    /// extensions. Settings are not locked, because the host changes the limits of loading; the SQL of a project cannot
    /// change them, because it is only ever one SELECT.
    fn restricted(self) -> Result<Self> {
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
        )?;
        Ok(self)
    }

    /// A database in memory, for DuckDB's parser and for empty tables.
    ///
    /// # Errors
    /// Same as [`Warehouse::open`].
    pub fn memory() -> Result<Self> {
        Self::open(Path::new(MEMORY), "256MB")
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
    /// Same as [`Warehouse::connect`].
    pub fn connect_separately(&self) -> Result<Self> {
        self.clone_connection(Arc::default())
    }

    fn clone_connection(&self, stop: Arc<StopState>) -> Result<Self> {
        let connection = self.connection.try_clone().map_err(|cause| convert(&cause, ""))?;
        Self::new(connection, self.path.clone(), self.memory.clone(), stop, Arc::clone(&self.macros), self.lock.clone())
    }

    fn new(
        connection: Connection,
        path: PathBuf,
        memory: String,
        stop: Arc<StopState>,
        macros: Arc<OnceLock<Vec<UserMacro>>>,
        lock: Option<Arc<FileLock>>,
    ) -> Result<Self> {
        stop.register(&connection);
        let warehouse = Self { connection, path, memory, stop, is_stopped: Arc::default(), macros, lock };
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
        let bytes = bytes(&self.memory).map_or(needed, |limit| limit.min(needed));
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

    /// The memory limit of the pipeline, in bytes.
    pub(crate) fn memory_limit(&self) -> u64 {
        // `configuration` refuses a limit that does not parse.
        bytes(&self.memory).unwrap_or(u64::MAX)
    }

    /// The macros that users created in the file, and that SQL can call without the name of a schema.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
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
        self.path == Path::new(MEMORY)
    }

    /// Runs one or more statements.
    ///
    /// # Errors
    /// The failure that DuckDB reports, with its class as the error's fault.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.check_stopped()?;
        self.connection.execute_batch(sql).map_err(|cause| convert(&cause, sql))
    }

    /// Writes everything that is committed into the file, so that nothing of it is in the write-ahead log alone. Outside of a
    /// transaction only.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
    pub fn checkpoint(&self) -> Result<()> {
        self.execute("CHECKPOINT")
    }

    /// Runs one statement; returns the number of rows that it changed.
    ///
    /// # Errors
    /// Same as [`Warehouse::execute`].
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
    /// Same as [`Warehouse::query`].
    pub fn database(&self) -> Result<String> {
        Ok(self.value("SELECT current_database()", ())?.unwrap_or_default())
    }
}

/// Checks a memory limit of a pipeline.
///
/// # Errors
/// A limit that does not parse, or that is too low.
pub fn check_memory_limit(memory_limit: &str) -> Result<()> {
    let invalid = || {
        let error = Error::config(format!("`{memory_limit}` is not a valid `memory_limit`"));
        error.hint("write a size such as `2GB` or `512MB` in `[pipeline]`")
    };
    if bytes(memory_limit).ok_or_else(invalid)? < MIN_MEMORY {
        let error = Error::config(format!("`memory_limit` is too low: `{memory_limit}`"));
        return Err(error.hint("set at least `64MB` in `[pipeline]`"));
    }
    Ok(())
}

/// DuckDB's settings before a file is opened.
fn configuration(memory_limit: &str) -> Result<duckdb::Config> {
    check_memory_limit(memory_limit)?;
    duckdb::Config::default()
        .max_memory(memory_limit)
        .and_then(|config| config.with("preserve_insertion_order", "false"))
        .and_then(|config| config.with("checkpoint_threshold", CHECKPOINT_THRESHOLD))
        .map_err(|cause| convert_open(&cause))
}

/// The bytes of a size such as `512MB`. None if it has no unit, or is of another form.
fn bytes(size: &str) -> Option<u64> {
    let size = size.trim();
    let (number, unit) = size.split_at(size.find(|c: char| !c.is_ascii_digit() && c != '.')?);
    let factor = match unit.trim().to_lowercase().as_str() {
        "b" | "byte" | "bytes" => 1.0,
        "k" | "kb" | "kilobyte" | "kilobytes" => 1e3,
        "m" | "mb" | "megabyte" | "megabytes" => 1e6,
        "g" | "gb" | "gigabyte" | "gigabytes" => 1e9,
        "t" | "tb" | "terabyte" | "terabytes" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "tib" => 1_099_511_627_776.0,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * factor) as u64)
}

/// Refuses the links through which DuckDB would create a file elsewhere. A link to an existing warehouse is followed.
fn refuse_links(path: &Path) -> Result<()> {
    let log = with_suffix(path, ".wal");
    let refused = |link: &Path, why: &str| {
        let error = Error::config(format!("{} is a symbolic link{why}", link.display()));
        Err(error.hint("remove the link, or let it lead to the warehouse that you mean"))
    };
    if path.is_symlink() && !path.exists() {
        return refused(path, " to a file that does not exist");
    }
    if log.is_symlink() { refused(&log, ", and a write-ahead log is a file") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use host_core::error::Kind;

    use super::{Warehouse, bytes, check_memory_limit, configuration};

    #[test]
    fn nothing_is_created_through_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        symlink(at("elsewhere"), at("w.duckdb")).expect("a link");
        symlink(at("elsewhere"), at("v.duckdb.wal")).expect("a link");
        for (name, why) in [("w.duckdb", "does not exist"), ("v.duckdb", "write-ahead log")] {
            let error = Warehouse::open(&at(name), "256MB").err().expect("a refusal");
            assert!(error.message().contains(why), "{error}");
        }
        assert!(!at("elsewhere").exists() && !at("v.duckdb").exists());
    }

    #[test]
    fn a_memory_limit_that_is_invalid_or_too_low_is_an_error_of_the_pipeline() {
        for limit in ["8MB", "0", "0GB", "1 KiB", "63.9 mb", "0.01GiB", "8 apples", "", "GB", "none", "-5MB"] {
            let error = check_memory_limit(limit).expect_err(limit);
            assert_eq!(error.kind, Kind::Config, "{limit}");
            assert!(error.message().contains("`memory_limit`") && error.hint_text().is_some(), "{limit}: {error}");
        }
        for limit in ["64MB", "1.5GB", "2 GiB", "100gb"] {
            assert!(configuration(limit).is_ok() && check_memory_limit(limit).is_ok(), "{limit}");
        }
        assert_eq!(bytes("1.5 KiB"), Some(1536));
    }
}

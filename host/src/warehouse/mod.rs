//! The warehouse: a DuckDB file. The only room that names `duckdb`; its SQL stays within what DuckLake does too,
//! so keys are kept by `MERGE`, never by constraints.

mod erase;
mod forget;
mod freshness;
mod history;
mod keep_out;
mod ledger;
mod load;
mod migrations;
mod rewrite;
mod scan;
mod stop;
mod sweep;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use duckdb::Connection;

pub use forget::Forgotten;
pub use freshness::JournalPage;
pub use history::{Ended, Line};
pub use ledger::{Cursor, LoadedStream, Step};
pub use load::{LoadCounts, StreamLoader, Waiting};
pub use scan::Answer;
pub use stop::{Interrupter, Stopping};
pub use tables::{display_options, displayable};

use crate::error::{Error, Kind, Result};
use crate::schema::{Field, Type};

/// How large the log may grow before DuckDB writes it into the file. At its default of 16 MB a load would compress
/// the same half-filled row groups again and again.
const CHECKPOINT_THRESHOLD: &str = "64MB";

/// Rows that an appender holds, as a copy of its own, before it hands them on.
const FLUSH_ROWS: usize = 20_480;

/// Memory for loading: DuckDB's own, and what a column of a row group takes that is being compressed.
const LOAD_MEMORY: u64 = 100 << 20;
const LOAD_MEMORY_A_COLUMN: u64 = 512 << 10;

/// One connection to the warehouse; `another` makes more, for other threads.
pub struct Warehouse {
    connection: Connection,
    path: PathBuf,
    /// The memory that the pipeline grants, as DuckDB writes it.
    memory: String,
    stop: Arc<stop::Stop>,
}

/// One row of an answer, by column.
pub type Row = serde_json::Map<String, serde_json::Value>;

impl Warehouse {
    /// Opens or creates the file, and brings the host's own tables up to date.
    pub fn open(path: &Path, memory_limit: &str) -> Result<Self> {
        let on = |error: Error| error.on(format!("warehouse {}", path.display()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|cause| on(Error::config(cause.to_string())))?;
        }
        let config = duckdb::Config::default()
            .max_memory(memory_limit)
            .and_then(|config| config.with("preserve_insertion_order", "false"))
            .and_then(|config| config.with("checkpoint_threshold", CHECKPOINT_THRESHOLD))
            .map_err(|cause| on(lift(&cause)))?;
        let connection = Connection::open_with_flags(path, config).map_err(|cause| on(lift(&cause)))?;
        let warehouse = Self::new(connection, path.to_path_buf(), memory_limit.to_owned(), Arc::default())?;
        migrations::run(&warehouse)?;
        Ok(warehouse)
    }

    /// A warehouse in memory, for what needs DuckDB's parser alone.
    pub fn memory() -> Result<Self> {
        Self::open(Path::new(":memory:"), "256MB")
    }

    /// Another connection to the same file.
    pub fn another(&self) -> Result<Self> {
        let connection = self.connection.try_clone().map_err(|cause| lift(&cause))?;
        Self::new(connection, self.path.clone(), self.memory.clone(), Arc::clone(&self.stop))
    }

    /// Another connection to the same file, which a stop of this one's work leaves alone.
    pub fn apart(&self) -> Result<Self> {
        let connection = self.connection.try_clone().map_err(|cause| lift(&cause))?;
        Self::new(connection, self.path.clone(), self.memory.clone(), Arc::default())
    }

    fn new(connection: Connection, path: PathBuf, memory: String, stop: Arc<stop::Stop>) -> Result<Self> {
        stop.register(&connection);
        let warehouse = Self { connection, path, memory, stop };
        // Time zones are in an extension of DuckDB's, which its own library has inside and a bundled build fetches once.
        let zone = warehouse.execute("SET TimeZone = 'UTC'");
        zone.map_err(|error| {
            error.hint("this build of DuckDB has no ICU: run once where the extension can be fetched")
        })?;
        Ok(warehouse)
    }

    /// While streams are loaded, each on a connection of its own: no threads beside theirs, and little memory, since
    /// what is appended need not stay. `columns` are those of all tables being written.
    pub fn load_modestly(&self, columns: usize) -> Result<()> {
        let enough = LOAD_MEMORY + columns as u64 * LOAD_MEMORY_A_COLUMN;
        let granted = format!("SELECT least(parse_formatted_bytes({}), {enough})", literal(&self.memory));
        let bytes = self.value(&granted, &[])?.unwrap_or_else(|| enough.to_string());
        self.execute(&format!("SET threads = 1; SET memory_limit = '{bytes}B'"))
    }

    /// After that, all that the pipeline grants.
    pub fn work_freely(&self) -> Result<()> {
        self.execute(&format!("RESET threads; SET memory_limit = {}", literal(&self.memory)))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs one or more statements.
    pub fn execute(&self, sql: &str) -> Result<()> {
        self.stop.check()?;
        self.connection.execute_batch(sql).map_err(|cause| lift(&cause))
    }

    /// Runs one statement with text parameters; gives back how many rows it changed.
    pub fn change(&self, sql: &str, parameters: &[&str]) -> Result<usize> {
        self.stop.check()?;
        self.connection.execute(sql, duckdb::params_from_iter(parameters)).map_err(|cause| lift(&cause))
    }

    /// Runs `work` in one transaction: all of it, or nothing.
    pub fn transaction<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.execute("BEGIN")?;
        let done = work().and_then(|done| self.execute("COMMIT").map(|()| done));
        done.inspect_err(|_| {
            // What failed matters, not that a broken transaction cannot be rolled back again.
            let _ = self.connection.execute_batch("ROLLBACK");
        })
    }

    /// All rows of a query, for small answers: values as JSON, decimals and times as text.
    pub fn query(&self, sql: &str, parameters: &[&str]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        self.scan(sql, parameters, |batch| {
            rows.extend(tables::rows(batch)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first value of a query as text; none where there is no row or the value is null.
    pub fn value(&self, sql: &str, parameters: &[&str]) -> Result<Option<String>> {
        let first = self.query(sql, parameters)?.into_iter().next();
        let value = first.and_then(|row| row.into_iter().next()).map(|(_, value)| value);
        Ok(value.filter(|value| !value.is_null()).map(|value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        }))
    }

    /// Appends a batch that has the table's columns in the table's order. `catalog` is `temp` for temporary tables.
    pub(crate) fn append(&self, table: &Table, batch: RecordBatch) -> Result<()> {
        self.append_all(table, std::iter::once(Ok(batch)))
    }

    /// Appends batches; each flush of the appender is a statement of its own to DuckDB, so that many share one.
    pub(crate) fn append_all(&self, table: &Table, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<()> {
        let appender = match table.schema.as_str() {
            "temp" => self.connection.appender_to_catalog_and_db(&table.name, "temp", "main"),
            schema => self.connection.appender_to_db(&table.name, schema),
        };
        let mut appender = appender.map_err(|cause| lift(&cause))?;
        let mut rows = 0;
        for batch in batches {
            let batch = batch?;
            rows += batch.num_rows();
            appender.append_record_batch(batch).map_err(|cause| lift(&cause))?;
            if rows >= FLUSH_ROWS {
                rows = 0;
                appender.flush().map_err(|cause| lift(&cause))?;
            }
        }
        appender.flush().map_err(|cause| lift(&cause))
    }

    /// The columns of a table or view; none where there is no such table.
    pub fn columns(&self, table: &Table) -> Result<Option<Vec<Field>>> {
        // A quarter of what asking `duckdb_columns()` costs, which looks at every table there is.
        let rows = match self.query(&format!("SELECT column_name, column_type FROM (DESCRIBE {table})"), &[]) {
            Ok(rows) => rows,
            Err(error) if error.message.starts_with("Catalog Error") => return Ok(None),
            Err(error) => return Err(error),
        };
        let text = |row: &Row, key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let field = |row: &Row| {
            let data_type = Type::from_sql(&text(row, "column_type"));
            Field { name: text(row, "column_name"), data_type, metadata: Default::default() }
        };
        Ok(Some(rows.iter().map(field).collect()))
    }

    /// Whether it is a view.
    pub fn is_view(&self, table: &Table) -> Result<bool> {
        let sql = "SELECT 1 FROM duckdb_views() WHERE schema_name = ? AND view_name = ? AND database_name = current_database()";
        Ok(self.value(sql, &[&table.schema, &table.name])?.is_some())
    }

    /// Drops a table or view, if there is one.
    pub fn drop_table_or_view(&self, table: &Table) -> Result<()> {
        self.execute(&format!("DROP {} IF EXISTS {table}", if self.is_view(table)? { "VIEW" } else { "TABLE" }))
    }

    /// The tables that are kept of a stream between its rules.
    pub fn kept_tables(&self, source: &str, stream: &str) -> Result<Vec<Table>> {
        let mut kept = Vec::new();
        for segment in 0.. {
            let table = Table::kept(source, stream, segment);
            if self.columns(&table)?.is_none() {
                break;
            }
            kept.push(table);
        }
        Ok(kept)
    }

    /// Drops what earlier runs were building aside when they ended, but for the models that a retry may go on from.
    pub fn drop_leftovers(&self) -> Result<()> {
        let sql = "WITH leftovers AS ( \
                   SELECT schema_name AS s, table_name AS t FROM duckdb_tables() \
                   WHERE database_name = current_database() AND regexp_matches(table_name, '__(next(_[0-9]+)?|delta)$') \
                   UNION ALL SELECT schema_name, view_name FROM duckdb_views() \
                   WHERE database_name = current_database() AND view_name LIKE '%\\_\\_next' ESCAPE '\\') \
                   SELECT s, t FROM leftovers ANTI JOIN _host.models_aside AS aside ON aside.model_schema = s \
                   AND t IN (aside.model || '__next', aside.model || '__delta')";
        let text = |row: &Row, key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let leftovers = self.query(sql, &[])?;
        leftovers.iter().try_for_each(|row| self.drop_table_or_view(&Table::new(text(row, "s"), text(row, "t"))))
    }

    /// The columns of all tables and views, by `schema.name` in lower case: names and SQL types.
    pub fn catalog(&self) -> Result<BTreeMap<String, Vec<Named>>> {
        let sql = "SELECT lower(schema_name || '.' || table_name) AS t, column_name AS c, data_type AS d FROM duckdb_columns() \
                   WHERE database_name = current_database() AND NOT internal ORDER BY table_oid, column_index";
        let mut catalog: BTreeMap<String, Vec<Named>> = BTreeMap::new();
        for row in self.query(sql, &[])? {
            let text = |key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
            catalog.entry(text("t")).or_default().push(Named { name: text("c"), data_type: text("d") });
        }
        Ok(catalog)
    }

    /// The columns that a query gives, without a row being read.
    pub fn describe(&self, sql: &str) -> Result<Vec<Named>> {
        Ok(named(&self.query(&format!("DESCRIBE {sql}"), &[])?))
    }

    /// Renames a table within its schema.
    pub fn rename(&self, table: &Table, name: &str) -> Result<()> {
        self.execute(&format!("ALTER TABLE {table} RENAME TO {}", quote(name)))
    }
}

/// A column as DuckDB names it: any type that it knows, not those of the contract alone.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The SQL type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// The columns that DESCRIBE tells.
fn named(described: &[Row]) -> Vec<Named> {
    let text = |row: &Row, key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    described.iter().map(|row| Named { name: text(row, "column_name"), data_type: text(row, "column_type") }).collect()
}

/// A table: schema and name, quoted where it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Table {
    /// The schema; `temp` for temporary tables.
    pub schema: String,
    /// The name.
    pub name: String,
}

impl Table {
    /// A table of a schema.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// The raw table of a stream.
    #[must_use]
    pub fn raw(source: &str, stream: &str) -> Self {
        Self::new(format!("raw_{source}"), stream)
    }

    /// The clean table of a stream.
    #[must_use]
    pub fn clean(source: &str, stream: &str) -> Self {
        Self::new(format!("clean_{source}"), stream)
    }

    /// The rows of a stream as they leave a segment of its rules that is not the last.
    #[must_use]
    pub fn kept(source: &str, stream: &str, segment: usize) -> Self {
        Self::new(format!("kept_{source}"), format!("{stream}_{segment}"))
    }

    /// The same with `suffix` on its name.
    #[must_use]
    pub fn suffixed(&self, suffix: &str) -> Self {
        Self::new(self.schema.clone(), format!("{}{suffix}", self.name))
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", quote(&self.schema), quote(&self.name))
    }
}

/// A name as SQL writes it.
#[must_use]
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// SQL that makes a text of a row's key: the value itself, or a JSON array of several. The one place that does, so that
/// two texts of one key are always the same.
#[must_use]
pub fn key_text(key: &[String]) -> String {
    let texts: Vec<_> = key.iter().map(|name| format!("{}::VARCHAR", quote(name))).collect();
    match texts.as_slice() {
        [single] => format!("coalesce({single}, '')"),
        many => format!("to_json([{}])::VARCHAR", many.join(", ")),
    }
}

/// Names as SQL lists them.
#[must_use]
pub fn quote_all<'a>(names: impl IntoIterator<Item = &'a str>, prefix: &str) -> String {
    names.into_iter().map(|name| format!("{prefix}{}", quote(name))).collect::<Vec<_>>().join(", ")
}

/// DuckDB's error as the host's, by the next step.
pub(crate) fn lift(cause: &duckdb::Error) -> Error {
    match cause {
        duckdb::Error::DuckDBFailure(_, Some(text)) => lift_text(text),
        other => lift_text(&other.to_string()),
    }
}

fn lift_text(text: &str) -> Error {
    let text = text.trim_end_matches('.');
    if text.contains("Could not set lock") || text.contains("lock on file") {
        let error = Error::unavailable(format!("another process has it open: {text}"));
        let hint = "where it is `host serve`, its pages run the pipeline; close any other (a running `host`, the DuckDB \
                    shell, a BI tool), then run again";
        return error.hint(hint);
    }
    if text.contains("No space left") || text.contains("could not write") || text.contains("Could not write") {
        return Error::config(text.to_owned())
            .hint("make room on the disk; running again goes on where this run stopped");
    }
    if text.starts_with("IO Error") || text.contains("Cannot open") {
        return Error::config(text.to_owned())
            .hint("the warehouse's path must be writable, and its file a DuckDB file");
    }
    if text.contains("INTERRUPT") {
        return Error::new(Kind::Interrupted, "interrupted");
    }
    if text.contains("Out of Memory") {
        // What follows the first line is advice on settings that a pipeline does not have.
        let error = Error::config(text.lines().next().unwrap_or(text).to_owned());
        return error.hint("raise `memory_limit` in `[pipeline]`");
    }
    Error::internal(text.to_owned())
}

//! The host's tables, by numbered migrations that run once each.
//!
//! A migration of a warehouse that holds data first copies it to `<file>.version-<n>`. An erasure removes these copies.

use std::path::{Path, PathBuf};

use host_core::error::{Error, FaultClass, Result};
use host_warehouse::{Warehouse, remove_database, remove_discarded_logs, with_suffix};

use crate::StreamTable;
use crate::streams::{LedgerStream, create_tables, create_views};

/// A change of the host's tables.
enum Migration {
    /// Statements.
    Sql(&'static str),
    /// Statements that depend on what the warehouse holds.
    Code(fn(&Warehouse) -> Result<()>),
}

/// Append only. A warehouse of an earlier version runs the migrations that it lacks.
const MIGRATIONS: &[Migration] = &[
    Migration::Sql(
        "
CREATE TABLE _host.runs (
    load_id VARCHAR, pipeline VARCHAR, command VARCHAR, started_at TIMESTAMPTZ, finished_at TIMESTAMPTZ,
    status VARCHAR, message VARCHAR);
CREATE TABLE _host.steps (
    load_id VARCHAR, step VARCHAR, name VARCHAR, rows_read BIGINT, rows_changed BIGINT, requests BIGINT,
    seconds DOUBLE);
CREATE TABLE _host.identities (source VARCHAR, identity VARCHAR);
CREATE TABLE _host.streams (
    source VARCHAR, stream VARCHAR, primary_key VARCHAR, disposition VARCHAR, read_with VARCHAR);
CREATE TABLE _host.cursors (
    source VARCHAR, stream VARCHAR, state VARCHAR, is_initial BOOLEAN, load_id VARCHAR);
CREATE TABLE _host.table_versions (table_schema VARCHAR, table_name VARCHAR, load_id VARCHAR);
CREATE TABLE _host.schema_changes (
    load_id VARCHAR, table_schema VARCHAR, table_name VARCHAR, column_name VARCHAR, change VARCHAR,
    type_before VARCHAR, type_after VARCHAR);
CREATE TABLE _host.cleans (stream VARCHAR, fingerprint VARCHAR, load_id VARCHAR);
CREATE TABLE _host.rule_runs (
    load_id VARCHAR, stream VARCHAR, position BIGINT, rule VARCHAR, rows_checked BIGINT, fields_changed BIGINT,
    rows_rejected BIGINT, rows_merged BIGINT, notes BIGINT);
CREATE TABLE _host.rejects (
    stream VARCHAR, key VARCHAR, rule VARCHAR, column_name VARCHAR, code VARCHAR, message VARCHAR, load_id VARCHAR);
CREATE TABLE _host.notes (
    stream VARCHAR, key VARCHAR, rule VARCHAR, column_name VARCHAR, code VARCHAR, message VARCHAR, load_id VARCHAR);
CREATE TABLE _host.changes (
    stream VARCHAR, key VARCHAR, rule VARCHAR, column_name VARCHAR, value_before VARCHAR, value_after VARCHAR,
    load_id VARCHAR);
CREATE TABLE _host.merges (
    stream VARCHAR, key VARCHAR, survivor_key VARCHAR, rule VARCHAR, code VARCHAR, confidence DOUBLE,
    load_id VARCHAR);
CREATE TABLE _host.model_builds (
    model_schema VARCHAR, model VARCHAR, kind VARCHAR, row_count BIGINT, seconds DOUBLE, load_id VARCHAR);
CREATE TABLE _host.publications (fingerprint VARCHAR, load_id VARCHAR);
CREATE TABLE _host.variables (name VARCHAR, value VARCHAR);
",
    ),
    Migration::Sql(
        "
ALTER TABLE _host.rule_runs ADD COLUMN rows_failed BIGINT;
",
    ),
    Migration::Sql(
        "
CREATE TABLE _host.seen (source VARCHAR, stream VARCHAR, width BIGINT, key VARCHAR);
",
    ),
    Migration::Sql(
        "
ALTER TABLE _host.notes ADD COLUMN confidence DOUBLE;
ALTER TABLE _host.streams ADD COLUMN refers VARCHAR;
CREATE TABLE _host.forgotten (stream VARCHAR, key_sha256 VARCHAR, forgotten_at TIMESTAMPTZ);
",
    ),
    Migration::Sql(
        "
CREATE TABLE _host.segments (stream VARCHAR, segment BIGINT, fingerprint VARCHAR, digest VARCHAR);
ALTER TABLE _host.merges ADD COLUMN chosen_key VARCHAR;
",
    ),
    Migration::Sql(
        "
ALTER TABLE _host.model_builds ADD COLUMN fingerprint VARCHAR;
ALTER TABLE _host.model_builds ADD COLUMN definition VARCHAR;
ALTER TABLE _host.model_builds ADD COLUMN files VARCHAR;
ALTER TABLE _host.model_builds ADD COLUMN columns VARCHAR;
ALTER TABLE _host.model_builds ADD COLUMN built_at TIMESTAMPTZ;
CREATE TABLE _host.models_aside (
    model_schema VARCHAR, model VARCHAR, fingerprint VARCHAR, status VARCHAR, form VARCHAR, replaced VARCHAR,
    row_count BIGINT, seconds DOUBLE);
",
    ),
    Migration::Sql(
        "
ALTER TABLE _host.runs ADD COLUMN cause VARCHAR;
ALTER TABLE _host.runs ADD COLUMN options VARCHAR;
ALTER TABLE _host.runs ADD COLUMN hint VARCHAR;
ALTER TABLE _host.runs ADD COLUMN step VARCHAR;
ALTER TABLE _host.runs ADD COLUMN nodes VARCHAR;
ALTER TABLE _host.runs ADD COLUMN report VARCHAR;
CREATE TABLE _host.log (load_id VARCHAR, line BIGINT, logged_at TIMESTAMPTZ, level VARCHAR, message VARCHAR);
",
    ),
    Migration::Sql(
        "
ALTER TABLE _host.publications ADD COLUMN published_at TIMESTAMPTZ;
ALTER TABLE _host.publications ADD COLUMN warnings VARCHAR;
",
    ),
    Migration::Sql(
        "
ALTER TABLE _host.streams ADD COLUMN free_text VARCHAR;
ALTER TABLE _host.streams ADD COLUMN merged VARCHAR;
CREATE TABLE _host.gone_links (stream VARCHAR, key_sha256 VARCHAR, linked_stream VARCHAR, linked_sha256 VARCHAR);
CREATE TABLE _host.erasures (load_id VARCHAR, holder VARCHAR);
UPDATE _host.runs SET nodes = replace(nodes, '\"state\":', '\"status\":');
",
    ),
    Migration::Code(many_writers),
    Migration::Sql("ALTER TABLE _host.cleanings RENAME raw_version TO raw_load_id"),
    Migration::Sql(
        "
CREATE TABLE _host.clock_readings (load_id VARCHAR, read_at TIMESTAMPTZ, boot VARCHAR, uptime_seconds DOUBLE);
",
    ),
];

/// Brings the host's tables up to date, in one transaction.
pub(crate) fn run(warehouse: &Warehouse) -> Result<()> {
    let done = match warehouse.value::<usize>("SELECT coalesce(max(version), 0) FROM _host.migrations", ()) {
        Err(error) if error.is_fault(FaultClass::Catalog) => 0,
        version => version?.unwrap_or_default(),
    };
    if done > MIGRATIONS.len() {
        let path = warehouse.path().display();
        let error = Error::config(format!(
            "warehouse {path}: its tables have version {done}, written by a newer host: this host supports up to {}",
            MIGRATIONS.len()
        ));
        return Err(error.hint("use the newer host, or another `warehouse` path"));
    }
    if done == MIGRATIONS.len() {
        return Ok(());
    }
    if done > 0 {
        keep_copy(warehouse, done)?;
    }
    warehouse.transaction(|| {
        warehouse.execute(
            "CREATE SCHEMA IF NOT EXISTS _host; CREATE TABLE IF NOT EXISTS _host.migrations (version BIGINT)",
        )?;
        MIGRATIONS.iter().skip(done).try_for_each(|migration| match migration {
            Migration::Sql(sql) => warehouse.execute(sql),
            Migration::Code(code) => code(warehouse),
        })?;
        warehouse.change("INSERT INTO _host.migrations VALUES (?)", [MIGRATIONS.len()]).map(drop)
    })
}

/// Copies the warehouse as it is before an upgrade.
fn keep_copy(warehouse: &Warehouse, version: usize) -> Result<()> {
    if warehouse.is_in_memory() {
        return Ok(());
    }
    let path = copy_path(warehouse.path(), version);
    let upgrade = format!("upgrading the warehouse from version {version} of its tables to {}", MIGRATIONS.len());
    let file = std::fs::metadata(warehouse.path()).map_err(|cause| Error::config(cause.to_string()).on(&upgrade))?;
    // The copy also holds what a killed process left in the write-ahead log.
    let log = std::fs::metadata(with_suffix(warehouse.path(), ".wal")).map_or(0, |log| log.len());
    let size = file.len() + log;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if let Some(missing) =
        fs4::available_space(folder).ok().and_then(|free| size.checked_sub(free)).filter(|it| *it > 0)
    {
        let error = Error::config(format!(
            "not enough disk space for a copy of the warehouse: {} needs {missing} more bytes",
            folder.display()
        ));
        return Err(error.on(upgrade).hint("free this much space on the disk, then run again"));
    }
    warehouse.copy_to(&path, "").map_err(|error| error.on(upgrade))
}

fn copy_path(warehouse: &Path, version: usize) -> PathBuf {
    with_suffix(warehouse, &format!(".version-{version}"))
}

/// Removes the copies that upgrades made, and the write-ahead logs that a recovery kept: an erasure must leave no data in them.
/// Returns those that existed.
///
/// # Errors
/// A copy that cannot be removed.
pub fn remove_copies(warehouse: &Path) -> Result<Vec<PathBuf>> {
    let copies = (1..MIGRATIONS.len()).map(|version| copy_path(warehouse, version)).filter(|path| path.exists());
    let copies: Vec<_> = copies.collect();
    for path in &copies {
        remove_database(path).map_err(|cause| Error::config(cause.to_string()).on(path.display()))?;
    }
    let logs =
        remove_discarded_logs(warehouse).map_err(|cause| Error::config(cause.to_string()).on(warehouse.display()))?;
    Ok(copies.into_iter().chain(logs).collect())
}

/// Changes the tables for many writers: facts are inserted and the latest counts, or each stream has its own table.
fn many_writers(warehouse: &Warehouse) -> Result<()> {
    warehouse.execute(
        "
CREATE TABLE _host.run_starts AS
    SELECT load_id, pipeline, command, started_at, cause AS \"trigger\", options AS request FROM _host.runs;
CREATE TABLE _host.run_ends AS
    SELECT load_id, 0::BIGINT AS number, finished_at AS ended_at, status, message, hint, step, nodes, report
    FROM _host.runs WHERE status <> 'running';
DROP TABLE _host.runs;
CREATE VIEW _host.runs AS
    SELECT begun.load_id, begun.pipeline, begun.command, begun.started_at, done.ended_at AS finished_at,
        coalesce(done.status, 'running') AS status, done.message, begun.\"trigger\" AS cause,
        begun.request AS options, done.hint, done.step, done.nodes, done.report
    FROM _host.run_starts AS begun LEFT JOIN (
        SELECT * FROM _host.run_ends QUALIFY row_number() OVER (PARTITION BY load_id ORDER BY number DESC) = 1
    ) AS done ON done.load_id = begun.load_id;
ALTER TABLE _host.table_versions RENAME TO table_changes;
ALTER TABLE _host.models_aside RENAME TO staged_models;
CREATE TABLE _host.stream_declarations AS
    SELECT source, stream, 0::BIGINT AS number, primary_key, disposition, read_with, refers, free_text, merged
    FROM _host.streams;
DROP TABLE _host.streams;
CREATE VIEW _host.streams AS
    SELECT * EXCLUDE (number) FROM _host.stream_declarations
    QUALIFY row_number() OVER (PARTITION BY source, stream ORDER BY number DESC) = 1;
CREATE TABLE _host.cleanings AS
    SELECT stream, 0::BIGINT AS number, fingerprint, load_id AS raw_version FROM _host.cleans;
DROP TABLE _host.cleans;
ALTER TABLE _host.segments RENAME TO segments_before;
CREATE TABLE _host.segments AS
    SELECT stream, 0::BIGINT AS cleaning, segment, fingerprint, digest FROM _host.segments_before;
DROP TABLE _host.segments_before;
CREATE TABLE _host.stream_tables (source VARCHAR, stream VARCHAR);
",
    )?;
    let journal: Vec<_> =
        StreamTable::JOURNAL.iter().map(|table| format!("SELECT stream FROM _host.{}", table.name())).collect();
    let streams = format!(
        "SELECT source, stream FROM _host.streams UNION SELECT source, stream FROM _host.cursors \
         UNION SELECT source, stream FROM _host.seen \
         UNION SELECT split_part(stream, '.', 1), substr(stream, length(split_part(stream, '.', 1)) + 2) FROM ({}) \
         ORDER BY ALL",
        journal.join(" UNION ")
    );
    let streams: Vec<LedgerStream> = warehouse.query_as(&streams, ())?;
    for LedgerStream { source, stream } in &streams {
        create_tables(warehouse, source, stream)?;
        for table in StreamTable::ALL {
            let condition = match table {
                StreamTable::Cursor | StreamTable::Seen => "source = ?1 AND stream = ?2",
                _ => "stream = concat(?1, '.', ?2)",
            };
            let sql = format!(
                "INSERT INTO {} BY NAME SELECT * EXCLUDE ({}) FROM _host.{} WHERE {condition}",
                table.of(source, stream),
                match table {
                    StreamTable::Cursor | StreamTable::Seen => "source, stream",
                    _ => "stream",
                },
                table.name()
            );
            warehouse.change(&sql, [source, stream])?;
        }
    }
    StreamTable::ALL.iter().try_for_each(|table| warehouse.execute(&format!("DROP TABLE _host.{}", table.name())))?;
    create_views(warehouse)
}

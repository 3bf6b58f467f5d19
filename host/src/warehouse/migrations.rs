//! The host's own tables, in schema `_host`, by numbered migrations that run once each.

use super::Warehouse;
use crate::error::{Error, Result};

/// Appended to, never edited.
const MIGRATIONS: &[&str] = &[
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
    "
ALTER TABLE _host.rule_runs ADD COLUMN rows_failed BIGINT;
",
    "
CREATE TABLE _host.seen (source VARCHAR, stream VARCHAR, width BIGINT, key VARCHAR);
",
    "
ALTER TABLE _host.notes ADD COLUMN confidence DOUBLE;
ALTER TABLE _host.streams ADD COLUMN refers VARCHAR;
CREATE TABLE _host.forgotten (stream VARCHAR, key_sha256 VARCHAR, forgotten_at TIMESTAMPTZ);
",
    "
CREATE TABLE _host.segments (stream VARCHAR, segment BIGINT, fingerprint VARCHAR, digest VARCHAR);
ALTER TABLE _host.merges ADD COLUMN chosen_key VARCHAR;
",
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
    "
ALTER TABLE _host.runs ADD COLUMN cause VARCHAR;
ALTER TABLE _host.runs ADD COLUMN options VARCHAR;
ALTER TABLE _host.runs ADD COLUMN hint VARCHAR;
ALTER TABLE _host.runs ADD COLUMN step VARCHAR;
ALTER TABLE _host.runs ADD COLUMN nodes VARCHAR;
ALTER TABLE _host.runs ADD COLUMN report VARCHAR;
CREATE TABLE _host.log (load_id VARCHAR, line BIGINT, logged_at TIMESTAMPTZ, level VARCHAR, message VARCHAR);
",
    "
ALTER TABLE _host.publications ADD COLUMN published_at TIMESTAMPTZ;
ALTER TABLE _host.publications ADD COLUMN warnings VARCHAR;
",
    "
ALTER TABLE _host.streams ADD COLUMN free_text VARCHAR;
ALTER TABLE _host.streams ADD COLUMN merged VARCHAR;
CREATE TABLE _host.gone_links (stream VARCHAR, key_sha256 VARCHAR, linked_stream VARCHAR, linked_sha256 VARCHAR);
CREATE TABLE _host.erasures (load_id VARCHAR, holder VARCHAR);
UPDATE _host.runs SET nodes = replace(nodes, '\"state\":', '\"status\":');
",
];

/// Brings `_host` up to date.
pub(super) fn run(warehouse: &Warehouse) -> Result<()> {
    warehouse
        .execute("CREATE SCHEMA IF NOT EXISTS _host; CREATE TABLE IF NOT EXISTS _host.migrations (version BIGINT)")?;
    let done = warehouse.value("SELECT coalesce(max(version), 0) FROM _host.migrations", &[])?;
    let done: usize = done.and_then(|done| done.parse().ok()).unwrap_or_default();
    if done > MIGRATIONS.len() {
        let error = Error::config(format!("the warehouse was written by a newer host (version {done} of its tables)"));
        return Err(error.hint("use that host, or another warehouse file"));
    }
    if done == MIGRATIONS.len() {
        return Ok(());
    }
    warehouse.transaction(|| {
        MIGRATIONS.iter().skip(done).try_for_each(|migration| warehouse.execute(migration))?;
        let version = MIGRATIONS.len().to_string();
        warehouse.change("INSERT INTO _host.migrations VALUES (?::BIGINT)", &[&version]).map(drop)
    })
}

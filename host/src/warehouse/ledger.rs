//! What the host remembers in `_host`: runs, steps, cursors, identities, and which tables changed when.

use super::{Table, Warehouse};
use crate::error::{Error, Result};
use crate::schema::{Disposition, FreeText, Stream};

/// How far a stream was read.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    /// The source's state; none before the first checkpoint.
    pub state: Option<String>,
    /// Whether the first full reading is still under way.
    pub is_initial: bool,
}

/// A stream that has a raw table.
#[derive(Debug, Clone)]
pub struct LoadedStream {
    /// The source's name.
    pub source: String,
    /// The stream's name.
    pub stream: String,
    /// The columns that identify a row.
    pub primary_key: Vec<String>,
    /// Columns that hold the primary key of another stream's record, each with that stream.
    pub refers: Vec<(String, String)>,
    /// The text column that lists the keys of records which were merged into this one, joined by `;`.
    pub merged: Option<String>,
    /// Columns of free text, which may tell who a linked record is.
    pub free_text: Vec<FreeText>,
}

impl LoadedStream {
    /// A stream of a source, as the warehouse will hold it.
    #[must_use]
    pub fn of(source: &str, stream: &Stream) -> Self {
        Self {
            source: source.to_owned(),
            stream: stream.name.clone(),
            primary_key: stream.schema.primary_key.clone(),
            refers: stream.refers.clone(),
            merged: stream.merged.clone(),
            free_text: stream.free_text.clone(),
        }
    }

    /// `source.stream`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.source, self.stream)
    }
}

/// One line of a run's story.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Step {
    /// `extract`, `clean` or `marts`.
    pub step: &'static str,
    /// The stream or model.
    pub name: String,
    /// Rows read.
    pub rows_read: u64,
    /// Rows written because they differ.
    pub rows_changed: u64,
    /// HTTP requests.
    pub requests: u64,
    /// Duration in seconds.
    pub seconds: f64,
}

impl Warehouse {
    /// The id of the last run.
    pub fn last_load_id(&self) -> Result<Option<String>> {
        self.value("SELECT max(load_id) FROM _host.runs", &[])
    }

    /// Notes that a run began; one that never finished is marked interrupted. A server has noted its own before.
    pub fn begin_run(&self, load_id: &str, pipeline: &str, command: &str) -> Result<()> {
        self.change(
            "UPDATE _host.runs SET status = 'interrupted' WHERE status = 'running' AND load_id <> ?",
            &[load_id],
        )?;
        if self.change("UPDATE _host.runs SET command = ? WHERE load_id = ?", &[command, load_id])? == 1 {
            return Ok(());
        }
        let sql = "INSERT INTO _host.runs (load_id, pipeline, command, started_at, status) VALUES (?, ?, ?, now(), 'running')";
        self.change(sql, &[load_id, pipeline, command]).map(drop)
    }

    /// Notes how a run ended.
    pub fn end_run(&self, load_id: &str, status: &str, message: &str) -> Result<()> {
        let sql = "UPDATE _host.runs SET finished_at = now(), status = ?, message = nullif(?, '') WHERE load_id = ?";
        self.change(sql, &[status, message, load_id]).map(drop)
    }

    /// Notes steps.
    pub fn record_steps(&self, load_id: &str, steps: impl IntoIterator<Item = Step>) -> Result<()> {
        let sql = "INSERT INTO _host.steps VALUES (?, ?, ?, ?::BIGINT, ?::BIGINT, ?::BIGINT, ?::DOUBLE)";
        self.transaction(|| {
            steps.into_iter().try_for_each(|step| {
                let [read, changed, requests] =
                    [step.rows_read, step.rows_changed, step.requests].map(|number| number.to_string());
                let seconds = step.seconds.to_string();
                let values = [load_id, step.step, &step.name, &read, &changed, &requests, &seconds];
                self.change(sql, &values).map(drop)
            })
        })
    }

    /// Binds a source to the account whose records are about to be committed.
    pub(super) fn bind_identity(&self, source: &str, identity: &str) -> Result<()> {
        let known = self.value("SELECT 1 FROM _host.identities WHERE source = ?", &[source])?;
        match known {
            Some(_) => Ok(()),
            None => self.change("INSERT INTO _host.identities VALUES (?, ?)", &[source, identity]).map(drop),
        }
    }

    /// Refuses another account than the one that a source was filled from.
    pub fn check_identity(&self, source: &str, identity: &str) -> Result<()> {
        let known = self.value("SELECT identity FROM _host.identities WHERE source = ?", &[source])?;
        match known.filter(|known| known != identity) {
            None => Ok(()),
            Some(known) => {
                let path = self.path().display();
                let error = Error::config(format!(
                    "source `{source}`: warehouse {path} was filled from {known}, this connection reaches {identity}"
                ));
                Err(error.hint("use the token of the same account, or another `warehouse` path for this one"))
            }
        }
    }

    /// Streams whose first full reading is not finished, each with whether it began.
    pub fn unfinished_streams(&self) -> Result<Vec<(String, bool)>> {
        let sql = "SELECT s.source || '.' || s.stream AS name, c.stream IS NOT NULL AS has_begun FROM _host.streams AS s \
                   LEFT JOIN _host.cursors AS c USING (source, stream) \
                   WHERE s.read_with IS NULL AND coalesce(c.is_initial, true) ORDER BY name";
        let of = |row: &super::Row| Some((row.get("name")?.as_str()?.to_owned(), row.get("has_begun")?.as_bool()?));
        Ok(self.query(sql, &[])?.iter().filter_map(of).collect())
    }

    /// Notes the streams that a source is about to load.
    pub fn record_streams(&self, source: &str, streams: &[Stream]) -> Result<()> {
        let known = self.query("SELECT * FROM _host.streams WHERE source = ?", &[source])?;
        self.transaction(|| {
            let mut is_new = false;
            for stream in streams {
                let key = serde_json::json!(stream.schema.primary_key).to_string();
                let disposition = if stream.disposition == Disposition::Merge { "merge" } else { "replace" };
                let carrier = stream.read_with.as_deref().unwrap_or_default();
                let refers = serde_json::json!(stream.refers).to_string();
                let free_text = serde_json::json!(stream.free_text).to_string();
                let merged = stream.merged.as_deref().unwrap_or_default();
                let wanted = [source, stream.name.as_str(), &key, disposition, carrier, &refers, &free_text, merged];
                let columns =
                    ["source", "stream", "primary_key", "disposition", "read_with", "refers", "free_text", "merged"];
                let is_it = |row: &super::Row| {
                    let value = |column| row.get(column).and_then(|value| value.as_str()).unwrap_or_default();
                    columns.map(value) == wanted
                };
                if known.iter().any(is_it) {
                    continue;
                }
                is_new = true;
                self.change("DELETE FROM _host.streams WHERE source = ? AND stream = ?", &wanted[..2])?;
                self.change(
                    "INSERT INTO _host.streams VALUES (?, ?, ?, ?, nullif(?, ''), ?, ?, nullif(?, ''))",
                    &wanted,
                )?;
            }
            // What it tells of links and free text may concern who was forgotten before.
            if is_new && !self.forgotten()?.is_empty() { self.note_erasure("") } else { Ok(()) }
        })
    }

    /// The streams that have raw tables.
    pub fn loaded_streams(&self) -> Result<Vec<LoadedStream>> {
        let rows = self.query("SELECT * FROM _host.streams ORDER BY source, stream", &[])?;
        let text =
            |row: &super::Row, key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let stream = |row: &super::Row| LoadedStream {
            source: text(row, "source"),
            stream: text(row, "stream"),
            primary_key: serde_json::from_str(&text(row, "primary_key")).unwrap_or_default(),
            refers: serde_json::from_str(&text(row, "refers")).unwrap_or_default(),
            merged: Some(text(row, "merged")).filter(|column| !column.is_empty()),
            free_text: serde_json::from_str(&text(row, "free_text")).unwrap_or_default(),
        };
        Ok(rows.iter().map(stream).collect())
    }

    /// With which rules, and from which version of its raw table, a stream was last cleaned.
    pub fn last_clean(&self, stream: &str) -> Result<Option<(String, String)>> {
        let row =
            self.query("SELECT fingerprint, load_id FROM _host.cleans WHERE stream = ?", &[stream])?.into_iter().next();
        let text =
            |row: &super::Row, key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        Ok(row.map(|row| (text(&row, "fingerprint"), text(&row, "load_id"))))
    }

    /// By segment of a stream's rules, the fingerprint and the digest that its last cleaning remembered.
    pub fn known_segments(&self, stream: &str) -> Result<Vec<(String, String)>> {
        let sql = "SELECT fingerprint, digest FROM _host.segments WHERE stream = ? ORDER BY segment";
        let text =
            |row: &super::Row, key: &str| row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let rows = self.query(sql, &[stream])?;
        Ok(rows.iter().map(|row| (text(row, "fingerprint"), text(row, "digest"))).collect())
    }

    /// How far a stream was read.
    pub fn cursor(&self, source: &str, stream: &str) -> Result<Option<Cursor>> {
        let sql = "SELECT state, is_initial FROM _host.cursors WHERE source = ? AND stream = ?";
        let row = self.query(sql, &[source, stream])?.into_iter().next();
        Ok(row.map(|row| Cursor {
            state: row.get("state").and_then(|state| state.as_str()).map(str::to_owned),
            is_initial: row.get("is_initial").and_then(serde_json::Value::as_bool).unwrap_or_default(),
        }))
    }

    /// Sets how far a stream was read; runs inside the transaction that writes its rows.
    pub(super) fn set_cursor(&self, source: &str, stream: &str, cursor: &Cursor, load_id: &str) -> Result<()> {
        let initial = cursor.is_initial.to_string();
        let state = cursor.state.as_deref().unwrap_or_default();
        let values = [state, &initial, load_id, source, stream];
        let sql = "UPDATE _host.cursors SET state = nullif(?, ''), is_initial = ?::BOOLEAN, load_id = ? \
                   WHERE source = ? AND stream = ?";
        if self.change(sql, &values)? == 0 {
            let sql = "INSERT INTO _host.cursors (state, is_initial, load_id, source, stream) \
                       VALUES (nullif(?, ''), ?::BOOLEAN, ?, ?, ?)";
            self.change(sql, &values)?;
        }
        Ok(())
    }

    /// The load that last changed a table.
    pub fn table_version(&self, table: &Table) -> Result<Option<String>> {
        let sql = "SELECT max(load_id) FROM _host.table_versions WHERE table_schema = ? AND table_name = ?";
        self.value(sql, &[&table.schema, &table.name])
    }

    /// Notes that this load changed a table.
    pub fn touch(&self, table: &Table, load_id: &str) -> Result<()> {
        let values = [load_id, table.schema.as_str(), table.name.as_str()];
        let sql = "UPDATE _host.table_versions SET load_id = ? WHERE table_schema = ? AND table_name = ?";
        if self.change(sql, &values)? == 0 {
            let sql = "INSERT INTO _host.table_versions (load_id, table_schema, table_name) VALUES (?, ?, ?)";
            self.change(sql, &values)?;
        }
        Ok(())
    }
}

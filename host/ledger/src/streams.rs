//! The streams that sources declared, and the tables of each stream in the ledger.

use host_core::error::Result;
use host_core::schema::{Disposition, FreeText, Stream};
use host_warehouse::{Table, Warehouse, literal};

use crate::json_text;

/// A stream that has a raw table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct LoadedStream {
    /// The source's name.
    pub source: String,
    /// The stream's name.
    pub stream: String,
    /// The columns that identify a row.
    #[serde(deserialize_with = "json_text::read")]
    pub primary_key: Vec<String>,
    /// Columns that contain keys of records of other streams, each with the name of that stream.
    #[serde(deserialize_with = "json_text::read")]
    pub refers: Vec<(String, String)>,
    /// The text column that lists the keys of records merged into this one, separated by `;`.
    pub merged: Option<String>,
    /// Columns of free text, which may identify a linked person.
    #[serde(deserialize_with = "json_text::read")]
    pub free_text: Vec<FreeText>,
}

impl LoadedStream {
    /// A declared stream of a source.
    #[must_use]
    pub fn new(source: &str, stream: &Stream) -> Self {
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

    /// The raw table.
    #[must_use]
    pub fn raw(&self) -> Table {
        Table::raw(&self.source, &self.stream)
    }

    /// The clean table.
    #[must_use]
    pub fn clean(&self) -> Table {
        Table::clean(&self.source, &self.stream)
    }

    /// A table of the ledger that belongs to this stream.
    #[must_use]
    pub fn ledger(&self, table: StreamTable) -> Table {
        table.of(&self.source, &self.stream)
    }

    /// The tables that keep the outputs of the stream's segments, except for the last.
    ///
    /// # Errors
    /// Same as [`Warehouse::query`].
    pub fn kept_tables(&self, warehouse: &Warehouse) -> Result<Vec<Table>> {
        let mut kept = Vec::new();
        for segment in 0.. {
            let table = Table::kept(&self.source, &self.stream, segment);
            if !warehouse.exists(&table)? {
                break;
            }
            kept.push(table);
        }
        Ok(kept)
    }
}

/// The ledger tables that each stream has: `ledger_<source>.<stream>__<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamTable {
    /// How far the stream was read: one row.
    Cursor,
    /// The keys that the current sweep has seen.
    Seen,
    /// Fields that rules changed.
    Changes,
    /// Records that rules rejected.
    Rejects,
    /// Notes that rules left on records.
    Notes,
    /// Records that rules merged into others.
    Merges,
}

impl StreamTable {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Cursor, Self::Seen, Self::Changes, Self::Rejects, Self::Notes, Self::Merges];
    /// The journal: what rules did.
    pub const JOURNAL: [Self; 4] = [Self::Changes, Self::Rejects, Self::Notes, Self::Merges];

    /// The name: the suffix of each stream's table, and the view in `_host`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cursor => "cursors",
            Self::Seen => "seen",
            Self::Changes => "changes",
            Self::Rejects => "rejects",
            Self::Notes => "notes",
            Self::Merges => "merges",
        }
    }

    /// The columns, as `CREATE TABLE` lists them.
    #[must_use]
    pub const fn columns(self) -> &'static str {
        match self {
            Self::Cursor => "state VARCHAR, is_initial BOOLEAN, load_id VARCHAR",
            Self::Seen => "width BIGINT, key VARCHAR",
            Self::Changes => {
                "key VARCHAR, rule VARCHAR, column_name VARCHAR, value_before VARCHAR, value_after VARCHAR, load_id VARCHAR"
            }
            Self::Rejects => {
                "key VARCHAR, rule VARCHAR, column_name VARCHAR, code VARCHAR, message VARCHAR, load_id VARCHAR"
            }
            Self::Notes => {
                "key VARCHAR, rule VARCHAR, column_name VARCHAR, code VARCHAR, message VARCHAR, load_id VARCHAR, \
                 confidence DOUBLE"
            }
            Self::Merges => {
                "key VARCHAR, survivor_key VARCHAR, rule VARCHAR, code VARCHAR, confidence DOUBLE, load_id VARCHAR, \
                 chosen_key VARCHAR"
            }
        }
    }

    /// The table of a stream.
    #[must_use]
    pub fn of(self, source: &str, stream: &str) -> Table {
        Table::new(format!("ledger_{source}"), format!("{stream}__{}", self.name()))
    }
}

/// The streams that have raw tables, ordered by source and name.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn loaded(warehouse: &Warehouse) -> Result<Vec<LoadedStream>> {
    let sql =
        "SELECT source, stream, primary_key, refers, merged, free_text FROM _host.streams ORDER BY source, stream";
    warehouse.query_as(sql, ())
}

/// Declares the streams that a source is about to load. Returns whether a declaration is new: it may name links and free text
/// of people who were forgotten earlier. Runs inside the caller's transaction.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn declare(warehouse: &Warehouse, source: &str, streams: &[Stream]) -> Result<bool> {
    #[derive(PartialEq, serde::Deserialize)]
    struct Declaration {
        stream: String,
        primary_key: Option<String>,
        disposition: Option<String>,
        read_with: Option<String>,
        refers: Option<String>,
        free_text: Option<String>,
        merged: Option<String>,
    }
    let sql = "SELECT stream, primary_key, disposition, read_with, refers, free_text, merged FROM _host.streams WHERE source = ?";
    let known: Vec<Declaration> = warehouse.query_as(sql, [source])?;
    let mut is_new = false;
    let mut has_new_tables = false;
    for stream in streams {
        let declared = Declaration {
            stream: stream.name.clone(),
            primary_key: Some(json_text::write(&stream.schema.primary_key)),
            disposition: Some(if stream.disposition == Disposition::Merge { "merge" } else { "replace" }.to_owned()),
            read_with: stream.read_with.clone(),
            refers: Some(json_text::write(&stream.refers)),
            free_text: Some(json_text::write(&stream.free_text)),
            merged: stream.merged.clone(),
        };
        if known.contains(&declared) {
            continue;
        }
        is_new = true;
        let Declaration { stream, primary_key, disposition, read_with, refers, free_text, merged } = declared;
        let sql = "INSERT INTO _host.stream_declarations \
                   SELECT ?1, ?2, count(*), ?3, ?4, ?5, ?6, ?7, ?8 FROM _host.stream_declarations WHERE source = ?1 AND stream = ?2";
        warehouse.change(sql, (source, &stream, primary_key, disposition, read_with, refers, free_text, merged))?;
        has_new_tables |= create_tables(warehouse, source, &stream)?;
    }
    if has_new_tables {
        create_views(warehouse)?;
    }
    Ok(is_new)
}

/// Creates the tables of a stream. Returns false if they exist.
pub(crate) fn create_tables(warehouse: &Warehouse, source: &str, stream: &str) -> Result<bool> {
    let sql = "INSERT INTO _host.stream_tables SELECT ?1, ?2 \
               WHERE NOT EXISTS (SELECT 1 FROM _host.stream_tables WHERE source = ?1 AND stream = ?2)";
    if warehouse.change(sql, (source, stream))? == 0 {
        return Ok(false);
    }
    for table in StreamTable::ALL {
        let of_stream = table.of(source, stream);
        warehouse.create_schema_of(&of_stream)?;
        warehouse.execute(&format!("CREATE TABLE {of_stream} ({})", table.columns()))?;
    }
    Ok(true)
}

/// A stream that has tables in the ledger.
#[derive(serde::Deserialize)]
pub(crate) struct LedgerStream {
    pub(crate) source: String,
    pub(crate) stream: String,
}

/// Creates the views of `_host` that show the tables of all streams together.
pub(crate) fn create_views(warehouse: &Warehouse) -> Result<()> {
    let streams: Vec<LedgerStream> =
        warehouse.query_as("SELECT source, stream FROM _host.stream_tables ORDER BY ALL", ())?;
    for table in StreamTable::ALL.into_iter().filter(|table| *table != StreamTable::Seen) {
        let label = |source: &str, stream: &str| match table {
            StreamTable::Cursor => format!("{source} AS source, {stream} AS stream"),
            _ => format!("concat({source}, '.', {stream}) AS stream"),
        };
        let of_stream = |LedgerStream { source, stream }: &LedgerStream| {
            let label = match table {
                StreamTable::Cursor => label(&literal(source), &literal(stream)),
                // A constant, so that a filter on it leaves out the tables of other streams.
                _ => format!("{} AS stream", literal(&format!("{source}.{stream}"))),
            };
            format!("SELECT {label}, * FROM {}", table.of(source, stream))
        };
        let columns = table.columns().split(", ").filter_map(|column| {
            let (name, data_type) = column.trim().split_once(' ')?;
            Some(format!("CAST(NULL AS {data_type}) AS {name}"))
        });
        let none = format!(
            "SELECT {}, {} WHERE false",
            label("CAST(NULL AS VARCHAR)", "CAST(NULL AS VARCHAR)"),
            columns.collect::<Vec<_>>().join(", ")
        );
        let all = std::iter::once(none).chain(streams.iter().map(of_stream)).collect::<Vec<_>>().join(" UNION ALL ");
        warehouse.execute(&format!("CREATE OR REPLACE VIEW _host.{} AS {all}", table.name()))?;
    }
    Ok(())
}

/// The streams whose first full load is not complete.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn unfinished(warehouse: &Warehouse) -> Result<Vec<UnfinishedStream>> {
    let sql = "SELECT s.source || '.' || s.stream AS name, c.stream IS NOT NULL AS has_begun FROM _host.streams AS s \
               LEFT JOIN _host.cursors AS c USING (source, stream) \
               WHERE s.read_with IS NULL AND coalesce(c.is_initial, true) ORDER BY name";
    warehouse.query_as(sql, ())
}

/// A stream whose first full load is not complete.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct UnfinishedStream {
    /// `source.stream`.
    pub name: String,
    /// Whether a checkpoint was committed.
    pub has_begun: bool,
}

/// SQL for the merges of a stream, in parentheses, with the columns `key` and `survivor_key`.
#[must_use]
pub fn merges_of(source: &str, stream: &str) -> String {
    format!("(SELECT key, survivor_key FROM {})", StreamTable::Merges.of(source, stream))
}

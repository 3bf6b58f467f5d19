//! How old the data of each stream is, and how much of it was repaired.

use host_core::error::Result;
use host_warehouse::Warehouse;

/// The age of a stream's data, and how many records rules changed or rejected.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct StreamFreshness {
    /// `source.stream`.
    pub stream: String,
    /// The end of the last run that read the stream, as DuckDB writes instants. None before the first.
    pub loaded_at: Option<String>,
    /// Records that rules changed.
    pub repaired: u64,
    /// Records that rules rejected.
    pub rejected: u64,
}

/// All loaded streams, by name.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn of_streams(warehouse: &Warehouse) -> Result<Vec<StreamFreshness>> {
    warehouse.query_as(
        "SELECT source || '.' || stream AS stream, loaded_at, coalesce(repaired, 0) AS repaired, \
         coalesce(rejected, 0) AS rejected FROM _host.streams \
         LEFT JOIN (SELECT steps.name, max_by(runs.finished_at, runs.load_id) AS loaded_at FROM _host.steps AS steps \
           JOIN _host.runs AS runs USING (load_id) WHERE steps.step = 'extract' GROUP BY ALL) AS loads \
           ON loads.name = source || '.' || stream \
         LEFT JOIN (SELECT stream AS name, count(DISTINCT key) AS repaired FROM _host.changes GROUP BY ALL) AS changes \
           ON changes.name = source || '.' || stream \
         LEFT JOIN (SELECT stream AS name, count(DISTINCT key) AS rejected FROM _host.rejects GROUP BY ALL) AS rejects \
           ON rejects.name = source || '.' || stream \
         ORDER BY stream",
        (),
    )
}

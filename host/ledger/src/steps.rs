//! The steps of runs: what was read, cleaned and built, and how long it took.

use host_core::error::Result;
use host_warehouse::{ROW_ID, Table, Warehouse};

use crate::SCHEMA;

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepName {
    /// Load plugins, discover streams, check everything.
    Prepare,
    /// Read sources.
    Extract,
    /// Run rules.
    Clean,
    /// Build models.
    #[serde(rename = "marts")]
    Models,
}

impl StepName {
    /// The name in tables and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Extract => "extract",
            Self::Clean => "clean",
            Self::Models => "marts",
        }
    }
}

impl std::fmt::Display for StepName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a step did to one stream or model.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Step {
    /// The step.
    pub step: StepName,
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

/// The last step of a stream or model in any run.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct LastStep {
    /// The step.
    pub step: StepName,
    /// The stream or model.
    pub name: String,
    /// The run's id.
    pub run: String,
    /// Rows read.
    pub rows: u64,
    /// Rows written because they differ.
    pub changed: u64,
    /// Duration in seconds.
    pub seconds: f64,
}

/// Records steps of a run.
///
/// # Errors
/// Same as [`Warehouse::execute`].
pub fn record(warehouse: &Warehouse, load_id: &str, steps: impl IntoIterator<Item = Step>) -> Result<()> {
    let sql = "INSERT INTO _host.steps VALUES (?, ?, ?, ?, ?, ?, ?)";
    warehouse.transaction(|| {
        steps.into_iter().try_for_each(|Step { step, name, rows_read, rows_changed, requests, seconds }| {
            warehouse.change(sql, (load_id, step.name(), name, rows_read, rows_changed, requests, seconds)).map(drop)
        })
    })
}

/// The steps of a run: extract, clean, models, each in the order in which they were recorded.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn of_run(warehouse: &Warehouse, load_id: &str) -> Result<Vec<Step>> {
    let sql = format!(
        "SELECT step, name, rows_read, rows_changed, requests, seconds FROM {} WHERE load_id = ? \
         ORDER BY array_position(['extract', 'clean', 'marts'], step), {ROW_ID}",
        warehouse.with_row_ids(&Table::new(SCHEMA, "steps"))?
    );
    warehouse.query_as(&sql, [load_id])
}

/// The last step of each stream and model.
///
/// # Errors
/// Same as [`Warehouse::query_as`].
pub fn last(warehouse: &Warehouse) -> Result<Vec<LastStep>> {
    let last = "SELECT step, name, max_by({'run': load_id, 'rows': rows_read, 'changed': rows_changed, 'seconds': seconds}, \
                load_id) AS last FROM _host.steps GROUP BY step, name";
    warehouse.query_as(&format!("SELECT step, name, last.run, last.rows, last.changed, last.seconds FROM ({last})"), ())
}

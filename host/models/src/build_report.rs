//! The result of a build or of a run of the tests.

use host_ledger::steps::{Step, StepName};

use crate::files::ModelKind;

/// The result of a build or of a run of the tests.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct BuildReport {
    /// Whether nothing was built because neither tables nor files changed.
    pub unchanged: bool,
    /// The tables, views and seeds that were built.
    pub models: Vec<BuiltModel>,
    /// The number of models that were not built because none of their inputs changed.
    pub models_unchanged: usize,
    /// The number of checks that returned no rows.
    pub checks_passed: usize,
    /// The number of passed tests of columns, queries and drills.
    pub tests_passed: usize,
    /// The number of passed unit tests.
    pub unit_tests_passed: usize,
    /// The failed checks and tests of severity `warn`.
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// A model that was built.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BuiltModel {
    /// `schema.name`.
    pub model: String,
    /// The kind of file.
    pub kind: ModelKind,
    /// Whether only new and changed rows were computed.
    #[serde(rename = "grew")]
    pub is_incremental: bool,
    /// The number of rows. `None` for views.
    pub rows: Option<u64>,
    /// Duration in seconds.
    pub seconds: f64,
}

impl BuiltModel {
    /// The model as a step of the run's log.
    #[must_use]
    pub fn step(&self) -> Step {
        let rows = self.rows.unwrap_or_default();
        let (name, seconds) = (self.model.clone(), self.seconds);
        Step { step: StepName::Models, name, rows_read: rows, rows_changed: rows, requests: 0, seconds }
    }
}

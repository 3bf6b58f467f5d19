//! The request for a build, and the target on which it runs.

use std::collections::BTreeMap;

use host_core::progress::Progress;
use host_warehouse::Warehouse;

/// A request to build or test models.
#[derive(Debug, Clone, Default)]
pub struct BuildRequest {
    /// The models to build, in dbt's selection syntax. Empty selects all models.
    pub select: Vec<String>,
    /// The models to leave out, in the same syntax.
    pub exclude: Vec<String>,
    /// Whether to build unchanged models too, and incremental models in full.
    pub full_refresh: bool,
    /// Whether to continue the last failed build.
    pub retry: bool,
    /// Whether the same run cleaned the streams first, so that clean tables have no erased records.
    pub after_cleaning: bool,
}

/// The warehouse and the run of a build.
pub struct BuildTarget<'a> {
    /// The warehouse.
    pub warehouse: &'a Warehouse,
    /// The pipeline's variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The id of the run.
    pub load_id: &'a str,
    /// The time of the run, in RFC 3339.
    pub now: &'a str,
    /// The receiver of progress events.
    pub progress: &'a Progress,
}

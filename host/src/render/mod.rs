//! Results → text for a terminal. Nothing here reads a warehouse or makes a decision.

mod compare;
mod error;
mod explain;
mod models;
mod plan;
mod quality;
mod recover;
mod report;
mod streams;
mod table;

pub use compare::render_comparisons;
pub use error::render_error;
pub use explain::render_explained;
pub use models::{render_built, render_manifest, render_tested};
pub(crate) use plan::checked_sources;
pub use plan::{render_checked, render_plan};
pub use quality::{render_history, render_quality, render_sample};
pub use recover::render_recovered;
pub use report::{render_erased, render_report};
pub use streams::render_streams;
pub(crate) use table::render_count;

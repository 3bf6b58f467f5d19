//! The commands on a pipeline, from end to end: one function each, with a `Session`.

mod check;
mod clock;
mod finish;
mod forget;
mod load;
mod models;
mod plan;
mod recover;
mod retry;
mod session;
mod streams;

pub use check::{CheckReport, CheckedSource, check};
pub use forget::{forget, undo_forget};
pub use load::{LoadRequest, clean, parse_since, run};
pub use models::{build, graph, manifest, test};
pub use plan::{RunPlan, plan};
pub use recover::{RecoveryReport, recover};
pub use session::{ServerContext, Session, StepRetry};
pub use streams::{DiscoveredSource, discover};

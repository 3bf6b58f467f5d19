//! Checks TOML documents against JSON Schemas and reports the place of every problem.

mod bounds;
mod depth;
mod source_map;
mod violations;

pub use depth::check_depth;
pub use source_map::{FillVariables, PathStep, SourceMap};
pub use violations::validator;

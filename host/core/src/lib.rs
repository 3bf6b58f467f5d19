//! Types that all crates of the host share: errors, schemas, files, projects, progress, secrets, texts and the clock.
//! Depends on no other crate of the workspace.

pub mod clock;
pub mod error;
pub mod files;
mod kill_point;
pub mod progress;
pub mod project;
pub mod schema;
pub mod secret;
pub mod text;

pub use kill_point::kill_point;

//! The kit for plugin authors: makes a crate, builds it to a component, tests it by the contract, tries it on rows of
//! the warehouse, and adds it to a pipeline. It prints nothing.

pub mod add;
pub mod build;
pub mod conformance;
pub mod dev;
mod entry;
pub mod inspect;
pub mod scaffold;
pub mod test;
mod watch;

use std::path::Path;

/// The name of a plugin: the name of its file, without folder and extension.
#[must_use]
pub fn plugin_name(plugin: &str) -> &str {
    Path::new(plugin).file_stem().and_then(|stem| stem.to_str()).unwrap_or(plugin)
}

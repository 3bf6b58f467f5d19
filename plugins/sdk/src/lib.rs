//! The SDK for plugins: sources that load data, and rules that clean it.
//!
//! A rule implements [`Rule`](rule::Rule) and calls [`export_rule!`]. A source implements [`Source`](source::Source) and
//! calls [`export_source!`]. Both start with `use plugin_sdk::prelude::*;`. Tests run a rule natively with `testing`.
//!
//! The guide for plugin authors is the `README.md` beside this crate. The contract below the SDK is `wit/plugin.wit`.

#[doc(hidden)]
pub mod bindings;
mod built;
pub mod column;
mod data_type;
mod decode;
pub mod error;
#[doc(hidden)]
pub mod export;
pub mod files;
pub mod http;
mod need;
mod page;
pub mod rows;
pub mod rule;
pub mod schema;
pub mod source;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod text;

/// Everything that most plugins need: `use plugin_sdk::prelude::*;`.
pub mod prelude {
    pub use crate::column::{
        AnyColumn, Builder, Column, Date, Decimal, Key, KeyPart, Text, TextBuilder, TextColumn, TextView, Timestamp,
        View,
    };
    pub use crate::error::{Error, ErrorKind, Result};
    pub use crate::http::{Request, Response, Sent};
    pub use crate::rows::{Built, Patch, Rows, Verdicts};
    pub use crate::rule::{Plan, Rule};
    pub use crate::schema::{Field, Need, Schema, Type};
    pub use crate::source::{JsonTable, Page, Prefixes, Reader, Selection, Source, StreamInfo, Sweep};
    pub use crate::{export_rule, export_source, log};
    pub use schemars::{self, JsonSchema};
    pub use serde::{self, Deserialize, Serialize};
}

/// Writes lines to the run's log.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// log::warn("no file is granted: the stream is empty");
/// ```
pub mod log {
    use crate::bindings::rule_plugin::elt::plugin::log::Level;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::rule_plugin::elt::plugin::log::write;

    #[cfg(not(target_arch = "wasm32"))]
    fn write(_: Level, message: &str) {
        crate::testing::fake_host::write(message);
    }

    /// Writes a line that helps to understand a run. The host shows the last lines of a plugin that fails.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// Writes a warning, which the host shows in the run's report.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }
}

/// Compiles and runs the examples of the README as doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! What a plugin author writes against: typed columns in, typed columns out, a config struct, an error with a kind.
//!
//! A rule implements [`Rule`](rule::Rule) and calls [`export_rule!`]; a source implements
//! [`Source`](source::Source) and calls [`export_source!`]. The contract itself is in `wit/`; raw buffers
//! are read and written in [`mod@column`] alone. Tests run a rule natively, by `testing`.

#[doc(hidden)]
pub mod bindings;
pub mod column;
pub mod error;
#[doc(hidden)]
pub mod export;
pub mod files;
pub mod http;
pub mod rows;
pub mod rule;
pub mod schema;
pub mod source;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod text;

/// Everything a plugin needs, in one line.
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

/// Writes a line into the run's log.
pub mod log {
    use crate::bindings::rule_plugin::elt::plugin::log::Level;
    #[cfg(target_arch = "wasm32")]
    use crate::bindings::rule_plugin::elt::plugin::log::write;

    #[cfg(not(target_arch = "wasm32"))]
    fn write(_: Level, message: &str) {
        crate::testing::granted::write(message);
    }

    /// For people who look into a run that went as it should.
    pub fn info(message: &str) {
        write(Level::Info, message);
    }

    /// For what the reader of the report should know.
    pub fn warn(message: &str) {
        write(Level::Warn, message);
    }
}

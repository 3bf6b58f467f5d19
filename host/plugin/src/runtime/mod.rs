//! The WebAssembly runtime: compiles components, keeps each call within its limits, and offers the host's functions to
//! them.

mod bindings;
mod cache;
mod call;
mod component;
mod contract;
mod description;
mod engine;
mod folders;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod grants;
mod guest;
mod imports;
mod keys;
mod limits;
mod names;
mod resources;
mod rule;
mod source;
mod state;
mod text;
mod wasi;

pub use component::{Component, PluginKind};
pub use description::{Description, Need, NeedKind};
pub use engine::Engine;
pub use folders::{FoundComponent, PluginFolders, is_path};
#[cfg(feature = "fuzzing")]
pub use fuzzing::{description, guest_error, schema};
pub use grants::Grants;
pub use rule::{Note, Patch, RuleInput, RulePlan, RulePlugin, RuleRun, RuleScope, Verdicts};
pub use source::{Part, SourcePage, SourcePlugin, SourceReader, SourceSelection, Sweep};

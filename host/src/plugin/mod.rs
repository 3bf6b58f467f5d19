//! Plugins: finds, checks and runs WebAssembly components. The only room that names `wasmtime`; plugins get
//! what they describe ∩ what the pipeline grants, and nothing else.

mod bindings;
pub mod build;
mod call;
mod codec;
pub mod conformance;
mod connection;
mod credential;
mod decode_csv;
mod decode_json;
mod decode_value;
mod engine;
mod held;
mod http;
mod imports;
mod names;
mod pace;
mod resources;
mod rule;
mod scaffold;
mod source;
mod state;
mod wasi;

pub use connection::{Connection, Patience};
pub use credential::{Credential, OAuth};
pub use engine::{Component, Contract, Engine, Search};
pub use http::{Final, Retry};
pub use pace::{Pace, PaceHeaders};
pub use rule::{Input, Note, Patch, RulePlan, RulePlugin, RuleRun, Scope, Verdicts};
pub use scaffold::scaffold;
pub use source::{Part, Reader, SourcePage, SourcePlugin, SourceSelection, Sweep};
pub use state::Grants;

/// What a plugin says of itself.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Description {
    /// The plugin's name.
    pub name: String,
    /// The plugin's version.
    pub version: String,
    /// JSON Schema of its config.
    pub config_schema: serde_json::Value,
    /// What it wants granted.
    pub needs: Vec<Need>,
}

/// Something that a plugin wants granted.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Need {
    /// `connection`, `file`, `rate-bucket` or `retry`.
    pub kind: String,
    /// Its name in the plugin.
    pub name: String,
    /// As the contract's `need` says.
    pub details: serde_json::Value,
}

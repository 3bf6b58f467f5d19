//! Plugins as the host runs them: WebAssembly components that get what they declare and the pipeline grants, nothing
//! else.
//!
//! `runtime` compiles and calls components. It uses `http` for their requests, `decode` for response bodies and files,
//! and `codec` for the columns that cross the boundary. Only `runtime` names wasmtime.

mod codec;
mod decode;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod memory;
mod runtime;

pub use http::{
    Connection, ConnectionLimits, Credential, FinalResponse, OAuthClient, RateBucket, RateLimitHeaders, RetryPolicy,
    RetryableResponses, install_crypto,
};
pub use memory::RowMemory;
pub use runtime::{
    Component, Description, Engine, FoundComponent, Grants, Need, NeedKind, Note, Part, Patch, PluginFolders,
    PluginKind, RuleInput, RulePlan, RulePlugin, RuleRun, RuleScope, SourcePage, SourcePlugin, SourceReader,
    SourceSelection, Sweep, Verdicts, is_path,
};

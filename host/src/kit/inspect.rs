//! What a component is and needs.

use host_core::error::Result;
use host_plugin::{Component, Description, Engine, Grants, PluginKind, RulePlugin, SourcePlugin};

/// Asks a component for its description. It gets neither grants nor a config.
///
/// # Errors
/// A trap, or a description that is not valid.
pub async fn describe(engine: &Engine, component: &Component) -> Result<Description> {
    let config = serde_json::json!({});
    match component.kind {
        PluginKind::Source => SourcePlugin::new(engine, component, Grants::default(), &config).describe().await,
        PluginKind::Rule => RulePlugin::new(engine, component, Grants::default(), &config).describe().await,
    }
}

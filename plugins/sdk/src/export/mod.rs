//! What the macros that export a plugin expand to. Plugin code never names this module.

pub mod rule;
pub mod source;

pub use serde_json;

/// The JSON Schema of a config struct, strict: a key that the struct does not have is an error.
pub fn config_schema<C: schemars::JsonSchema>() -> String {
    let mut schema = schemars::schema_for!(C);
    schema.ensure_object().entry("additionalProperties").or_insert(serde_json::Value::Bool(false));
    schema.as_value().to_string()
}

/// The config as the plugin's own struct.
pub fn config<C: serde::de::DeserializeOwned>(text: &str) -> crate::error::Result<C> {
    serde_json::from_str(text).map_err(|cause| crate::error::Error::config(cause.to_string()))
}

//! The code that the macros `export_rule!` and `export_source!` expand to. Plugin code does not use this module.

pub mod rule;
pub mod source;

pub use serde_json;

/// The JSON Schema of a config type. Keys that the type does not have are refused.
pub fn config_schema<C: schemars::JsonSchema>() -> String {
    let mut schema = schemars::schema_for!(C);
    schema.ensure_object().entry("additionalProperties").or_insert(serde_json::Value::Bool(false));
    schema.as_value().to_string()
}

/// Parses a config from the JSON that the host sends.
pub fn config<C: serde::de::DeserializeOwned>(text: &str) -> crate::error::Result<C> {
    serde_json::from_str(text).map_err(|cause| crate::error::Error::config(cause.to_string()))
}

//! Entries for the fuzzer of what guests say of themselves.

use host_core::error::Result;
use host_core::schema::Schema;

use super::bindings::types as wit;
use super::contract;
use super::description::Description;

/// Lifts the description of a plugin with one need.
///
/// # Errors
/// As for a plugin that describes itself so.
pub fn description(name: &str, config_schema: &str, details: &str) -> Result<Description> {
    contract::lift_description(wit::Spec {
        name: name.to_owned(),
        version: "1".to_owned(),
        config_schema: config_schema.to_owned(),
        needs: vec![wit::Need { kind: "file".to_owned(), name: name.to_owned(), details_json: details.to_owned() }],
        hints: Vec::new(),
    })
}

/// Lifts a schema: fields with their formats, and the primary key.
///
/// # Errors
/// As for a stream with this schema.
pub fn schema(fields: &[(&str, &str)], primary_key: &str) -> Result<Schema> {
    let field = |(name, format): &(&str, &str)| wit::Field {
        name: (*name).to_owned(),
        format: (*format).to_owned(),
        nullable: true,
        metadata: Vec::new(),
    };
    contract::lift_schema(wit::Schema {
        fields: fields.iter().map(field).collect(),
        primary_key: vec![primary_key.to_owned()],
        cursor: None,
    })
}

/// Lifts an error of a guest; returns its text.
#[must_use]
pub fn guest_error(message: &str, details: &str) -> String {
    let error = wit::Error {
        kind: wit::ErrorKind::Data,
        code: String::new(),
        message: message.to_owned(),
        retry_after_ms: None,
        details_json: Some(details.to_owned()),
    };
    contract::lift_error(error).to_string()
}

//! The pipeline's `config` of a check: its kind, its column, and the further keys of the kind.

use plugin_sdk::prelude::*;
use serde_json::{Map, Value, json};

/// What to do with a value that fails a check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureAction {
    /// Keep the value and write a note.
    #[default]
    Flag,
    /// Set the value to null and write a note.
    Null,
    /// Move the row to `_host.rejects`.
    Reject,
}

/// A check of one column: `is` is its kind, `column` the column to check, `action` what to do with a value that fails.
/// Nulls and blank text pass every check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(transform = schema_by_kind)]
pub(crate) enum Check {
    /// An e-mail address. Reads text columns.
    Email {
        column: String,
        #[serde(default)]
        action: FailureAction,
    },
    /// A CPF with correct check digits, with or without punctuation. Reads text columns.
    Cpf {
        column: String,
        #[serde(default)]
        action: FailureAction,
    },
    /// A CNPJ, numeric or alphanumeric, with correct check digits, with or without punctuation. Reads text columns.
    Cnpj {
        column: String,
        #[serde(default)]
        action: FailureAction,
    },
    /// A phone number that exists in the numbering plan of its country. Reads text columns.
    Phone {
        column: String,
        #[serde(default)]
        action: FailureAction,
        /// The country of numbers without a country code, as two letters such as `BR`.
        #[serde(default = "brazil")]
        region: String,
    },
    /// A date within bounds. Reads columns of text (such as `2026-01-31`), dates, and timestamps (by their UTC day).
    Date {
        column: String,
        #[serde(default)]
        action: FailureAction,
        /// The first day that passes, such as `1900-01-01`.
        min: Option<String>,
        /// The last day that passes, such as `2026-12-31`.
        max: Option<String>,
    },
    /// A number within bounds, of which at least one is given. Reads columns of integers, floats, decimals and text.
    Range {
        column: String,
        #[serde(default)]
        action: FailureAction,
        /// The smallest number that passes.
        min: Option<f64>,
        /// The largest number that passes.
        max: Option<f64>,
    },
    /// Text in which a regular expression matches somewhere; `^` and `$` match its start and end. Reads text columns.
    Pattern {
        column: String,
        #[serde(default)]
        action: FailureAction,
        /// The regular expression, in the syntax of Rust's `regex-lite`.
        regex: String,
    },
    /// One of a list of values, spelled exactly so. Reads text columns.
    Allowed {
        column: String,
        #[serde(default)]
        action: FailureAction,
        /// The values that pass.
        #[schemars(length(min = 1))]
        values: Vec<String>,
    },
    /// Text with a number of characters within bounds, of which at least one is given. Reads text columns.
    Length {
        column: String,
        #[serde(default)]
        action: FailureAction,
        /// The fewest characters that pass.
        min: Option<usize>,
        /// The most characters that pass.
        max: Option<usize>,
    },
}

fn brazil() -> String {
    "BR".to_owned()
}

impl Check {
    /// The column, and what to do with a value that fails.
    pub(crate) fn column_and_action(&self) -> (&str, FailureAction) {
        match self {
            Self::Email { column, action }
            | Self::Cpf { column, action }
            | Self::Cnpj { column, action }
            | Self::Phone { column, action, .. }
            | Self::Date { column, action, .. }
            | Self::Range { column, action, .. }
            | Self::Pattern { column, action, .. }
            | Self::Allowed { column, action, .. }
            | Self::Length { column, action, .. } => (column.as_str(), *action),
        }
    }

    /// The kind, as in the pipeline.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Email { .. } => "email",
            Self::Cpf { .. } => "cpf",
            Self::Cnpj { .. } => "cnpj",
            Self::Phone { .. } => "phone",
            Self::Date { .. } => "date",
            Self::Range { .. } => "range",
            Self::Pattern { .. } => "pattern",
            Self::Allowed { .. } => "allowed",
            Self::Length { .. } => "length",
        }
    }
}

/// Rewrites the schema's `oneOf` as one `if`/`then` for each kind. A validator can only say of `oneOf` that no kind fits;
/// with `if`/`then` it names the wrong key.
fn schema_by_kind(schema: &mut schemars::Schema) {
    let Some(Value::Array(kinds)) = schema.remove("oneOf") else { return };
    let mut names = Vec::new();
    let mut keys = Map::new();
    let mut cases = Vec::new();
    for kind in kinds {
        let Some(Value::Object(properties)) = kind.get("properties").cloned() else { continue };
        let is = properties.get("is").cloned().unwrap_or_default();
        names.extend(is.get("const").cloned());
        keys.extend(properties.into_iter().map(|(key, _)| (key, Value::Bool(true))));
        cases.push(json!({ "if": { "properties": { "is": is }, "required": ["is"] }, "then": kind }));
    }
    keys.insert("is".to_owned(), json!({ "description": "The kind of check.", "enum": names }));
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), Value::Object(keys));
    schema.insert("required".to_owned(), json!(["is"]));
    schema.insert("allOf".to_owned(), Value::Array(cases));
}

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use serde_json::{Value, json};

    use super::Check;

    fn check(config: Value, expect: Option<&str>) {
        let kind = serde_json::from_value::<Check>(config.clone()).ok().map(|check| check.kind());
        assert_eq!(kind, expect, "{config}");
    }

    #[test]
    fn a_check_accepts_only_the_keys_of_its_kind() {
        check(json!({ "column": "email", "is": "email" }), Some("email"));
        check(json!({ "column": "phone", "is": "phone", "region": "PT", "action": "null" }), Some("phone"));
        check(json!({ "column": "amount", "is": "range", "min": 0, "max": 1.5 }), Some("range"));
        check(json!({ "column": "email", "is": "email", "regex": "@" }), None);
        check(json!({ "column": "email", "is": "e-mail" }), None);
        check(json!({ "column": "email" }), None);
        check(json!({ "is": "email" }), None);
        check(json!({ "column": "uf", "is": "allowed" }), None);
        check(json!({ "column": "uf", "is": "length", "min": -1 }), None);
        check(json!({ "column": "email", "is": "email", "action": "drop" }), None);
    }

    #[test]
    fn the_schema_has_a_case_for_each_kind() {
        let schema = schemars::schema_for!(Check).to_value();
        let kinds = ["email", "cpf", "cnpj", "phone", "date", "range", "pattern", "allowed", "length"];
        assert_eq!(schema.pointer("/properties/is/enum"), Some(&json!(kinds)));
        assert_eq!(schema.get("oneOf"), None);
        let cases = schema.get("allOf").and_then(Value::as_array).expect("a case for each kind");
        assert_eq!(cases.len(), kinds.len());
        for (case, kind) in cases.iter().zip(kinds) {
            assert_eq!(case.pointer("/if/properties/is/const"), Some(&json!(kind)));
            assert_eq!(case.pointer("/then/additionalProperties"), Some(&json!(false)), "{kind}");
        }
        assert!(cases[6].pointer("/then/required").is_some_and(|keys| *keys == json!(["is", "column", "regex"])));
    }
}

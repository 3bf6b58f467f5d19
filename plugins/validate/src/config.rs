//! The shape of a check in the pipeline: a kind, a column, and what the kind asks for beside them.

use plugin_sdk::prelude::*;
use serde_json::{Map, Value, json};

/// What happens where a value fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// It stays, with a note.
    #[default]
    Flag,
    /// It becomes null, with a note.
    Null,
    /// Its row goes to `_host.rejects`.
    Reject,
}

/// One check: `is` names its kind, `column` what it looks at, `action` what happens where a value fails. Nulls and
/// blank text pass every check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(transform = by_kind)]
pub(crate) enum Check {
    /// An e-mail address. Reads text.
    Email {
        column: String,
        #[serde(default)]
        action: Action,
    },
    /// A CPF with right check digits, with or without punctuation. Reads text.
    Cpf {
        column: String,
        #[serde(default)]
        action: Action,
    },
    /// A CNPJ, numeric or alphanumeric, with right check digits, with or without punctuation. Reads text.
    Cnpj {
        column: String,
        #[serde(default)]
        action: Action,
    },
    /// A phone number that exists in its country's plan. Reads text.
    Phone {
        column: String,
        #[serde(default)]
        action: Action,
        /// The country of numbers without a country code, such as `BR`.
        #[serde(default = "brazil")]
        region: String,
    },
    /// A date, in text as `2026-01-31`. Reads text, dates and timestamps, these by their UTC day.
    Date {
        column: String,
        #[serde(default)]
        action: Action,
        /// The first day that passes.
        min: Option<String>,
        /// The last day that passes.
        max: Option<String>,
    },
    /// A number between bounds, of which one may be left out. Reads whole numbers, floats, decimals and text.
    Range {
        column: String,
        #[serde(default)]
        action: Action,
        /// The smallest number that passes.
        min: Option<f64>,
        /// The largest number that passes.
        max: Option<f64>,
    },
    /// Text in which a regular expression matches somewhere; `^` and `$` tie it to the ends. Reads text.
    Pattern {
        column: String,
        #[serde(default)]
        action: Action,
        /// The expression, in the syntax of Rust's `regex-lite`.
        regex: String,
    },
    /// One of some values, by their exact spelling. Reads text.
    Allowed {
        column: String,
        #[serde(default)]
        action: Action,
        /// The values that pass.
        #[schemars(length(min = 1))]
        values: Vec<String>,
    },
    /// Text of so many characters; one bound may be left out. Reads text.
    Length {
        column: String,
        #[serde(default)]
        action: Action,
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
    /// The column, and what happens where a value fails.
    pub(crate) fn subject(&self) -> (&str, Action) {
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

    /// The kind as the pipeline writes it.
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

/// Holds a check to the shape of its own kind. Of `oneOf`, an error can only tell that no kind fits; this way it names
/// the key that is wrong.
fn by_kind(schema: &mut schemars::Schema) {
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
    fn a_check_takes_the_keys_of_its_kind() {
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
    fn the_schema_holds_a_check_to_its_kind() {
        let schema = schemars::schema_for!(Check).to_value();
        let kinds = ["email", "cpf", "cnpj", "phone", "date", "range", "pattern", "allowed", "length"];
        assert_eq!(schema.pointer("/properties/is/enum"), Some(&json!(kinds)));
        assert_eq!(schema.get("oneOf"), None);
        let cases = schema.get("allOf").and_then(Value::as_array).expect("a case a kind");
        assert_eq!(cases.len(), kinds.len());
        for (case, kind) in cases.iter().zip(kinds) {
            assert_eq!(case.pointer("/if/properties/is/const"), Some(&json!(kind)));
            assert_eq!(case.pointer("/then/additionalProperties"), Some(&json!(false)), "{kind}");
        }
        assert!(cases[6].pointer("/then/required").is_some_and(|keys| *keys == json!(["is", "column", "regex"])));
    }
}

//! Bounds of an untrusted JSON Schema: how much work and memory it may cause.

use std::collections::HashMap;

use host_core::error::{Error, Result};
use serde_json::Value;

/// The most references and combinations that follow each other without a step into the value.
const MAX_STEPS: usize = 128;
/// The most schemas that apply to one value. References make a small schema apply billions of times.
const MAX_SCHEMAS: u64 = 10_000;
/// The most regular expressions. Each may take [`MAX_PATTERN_BYTES`].
const MAX_PATTERNS: usize = 200;
/// The size of a compiled regular expression.
pub(crate) const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Keywords whose schemas apply to the same value.
const SAME_VALUE: [&str; 8] = ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];
/// Keywords that hold values, not schemas.
const VALUES: [&str; 4] = ["const", "default", "enum", "examples"];

/// Checks a schema against the limits.
///
/// # Errors
/// A schema that exceeds one, as an error of the plugin that declares it.
pub(crate) fn check(schema: &Value) -> Result<()> {
    let mut bounds = BoundsCheck { root: schema, sizes: HashMap::new(), patterns: 0 };
    bounds.walk(schema)
}

fn refused(why: String) -> Error {
    Error::plugin(format!("invalid config schema: {why}"))
}

struct BoundsCheck<'a> {
    root: &'a Value,
    /// How many schemas apply with each, by its address.
    sizes: HashMap<*const Value, u64>,
    patterns: usize,
}

impl<'a> BoundsCheck<'a> {
    /// Checks every schema in a value. The depth of the value is limited by the parser that read it.
    fn walk(&mut self, value: &'a Value) -> Result<()> {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.walk(item)),
            Value::Object(keys) => {
                self.size(value, 0)?;
                for (key, value) in keys.iter().filter(|(key, _)| !VALUES.contains(&key.as_str())) {
                    self.patterns += match (key.as_str(), value) {
                        ("pattern", Value::String(_)) => 1,
                        ("patternProperties", Value::Object(patterns)) => patterns.len(),
                        _ => 0,
                    };
                    if self.patterns > MAX_PATTERNS {
                        return Err(refused(format!("it has more than {MAX_PATTERNS} patterns")));
                    }
                    self.walk(value)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The number of schemas that apply to a value together with this one, itself included.
    fn size(&mut self, schema: &'a Value, steps: usize) -> Result<u64> {
        let Some(keys) = schema.as_object() else { return Ok(1) };
        if let Some(size) = self.sizes.get(&std::ptr::from_ref(schema)) {
            return Ok(*size);
        }
        if steps > MAX_STEPS {
            return Err(refused(format!("more than {MAX_STEPS} references follow each other")));
        }
        let mut size = 1_u64;
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(reference) = keys.get(keyword).and_then(Value::as_str) else { continue };
            let pointer = reference.strip_prefix('#').filter(|pointer| pointer.is_empty() || pointer.starts_with('/'));
            let target = pointer.and_then(|pointer| self.root.pointer(pointer));
            let unknown = || refused(format!("the reference `{reference}` does not lead to a part of the schema"));
            size = size.saturating_add(self.size(target.ok_or_else(unknown)?, steps + 1)?);
        }
        for parts in SAME_VALUE.iter().filter_map(|keyword| keys.get(*keyword)) {
            let nested: Vec<&Value> = match parts {
                Value::Array(items) => items.iter().collect(),
                // A schema, or schemas by key.
                Value::Object(keys) => std::iter::once(parts).chain(keys.values()).collect(),
                _ => Vec::new(),
            };
            for part in nested {
                size = size.saturating_add(self.size(part, steps + 1)?);
            }
        }
        if size > MAX_SCHEMAS {
            return Err(refused(format!("more than {MAX_SCHEMAS} schemas apply to one value")));
        }
        self.sizes.insert(std::ptr::from_ref(schema), size);
        Ok(size)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use crate::validator;

    fn check(schema: &Value, why: Option<&str>) {
        match (validator(schema), why) {
            (Ok(_), None) => {}
            (Err(error), Some(why)) => assert!(error.message().contains(why), "{error}"),
            (result, _) => assert_eq!(result.err().map(|error| error.message()), why.map(str::to_owned)),
        }
    }

    /// Definitions of which each refers to the next one.
    fn chain(length: usize, link: impl Fn(&str) -> Value) -> Value {
        let mut definitions: Map<String, Value> =
            (0..length).map(|index| (format!("d{index}"), link(&format!("#/$defs/d{}", index + 1)))).collect();
        definitions.insert(format!("d{length}"), json!({ "type": "object" }));
        json!({ "$ref": "#/$defs/d0", "$defs": definitions })
    }

    #[test]
    fn references_are_bounded() {
        check(&chain(100, |next| json!({ "$ref": next })), None);
        check(&chain(100_000, |next| json!({ "$ref": next })), Some("more than 128 references follow each other"));
        let twice = |next: &str| json!({ "allOf": [{ "$ref": next }, { "$ref": next }] });
        check(&chain(4, twice), None);
        check(&chain(40, twice), Some("more than 10000 schemas apply to one value"));
        check(&json!({ "$ref": "#" }), Some("follow each other"));
        check(&json!({ "anyOf": [{ "not": { "$ref": "#" } }] }), Some("follow each other"));
        check(&json!({ "$ref": "https://example.com/schema.json" }), Some("does not lead to a part of the schema"));
        check(&json!({ "$ref": "#/$defs/none" }), Some("does not lead to a part of the schema"));
    }

    #[test]
    fn a_schema_may_describe_values_of_any_depth() {
        let tree =
            json!({ "type": "object", "properties": { "inner": { "$ref": "#" } }, "additionalProperties": false });
        check(&tree, None);
        assert!(validator(&tree).expect("a schema").is_valid(&json!({ "inner": { "inner": {} } })));
        check(&json!({ "enum": [{ "$ref": "no reference" }] }), None);
    }

    #[test]
    fn patterns_are_counted() {
        let patterns = |count: usize| json!({ "allOf": vec![json!({ "pattern": "a" }); count] });
        check(&patterns(200), None);
        check(&patterns(201), Some("more than 200 patterns"));
        check(&json!({ "pattern": r"\p{L}{3000}" }), Some("invalid config schema"));
    }
}

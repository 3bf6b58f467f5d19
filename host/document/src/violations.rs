//! Converts violations of a JSON Schema to errors: the wrong value, the accepted values, and the place.

use host_core::error::{Error, Result, nearest, one_of};
use jsonschema::error::{TypeKind, ValidationErrorKind as Violated};
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::bounds::{self, MAX_PATTERN_BYTES};
use crate::source_map::{PathStep, SourceMap};

/// Compiles a JSON Schema, which may be a plugin's: its size is bounded. Patterns use the `regex` crate, which never
/// backtracks: a pattern of an untrusted plugin takes time linear in the length of the text.
///
/// # Errors
/// A schema that is not valid, as an error of the plugin that declares it.
pub fn validator(schema: &Value) -> Result<Validator> {
    bounds::check(schema)?;
    let patterns = PatternOptions::regex().size_limit(MAX_PATTERN_BYTES);
    let options = jsonschema::options().with_pattern_options(patterns);
    options.build(schema).map_err(|cause| Error::plugin(format!("invalid config schema: {cause}")))
}

impl SourceMap {
    /// The violations of a JSON Schema by a value of the document, each with its place. `base` is the path to the value.
    #[must_use]
    pub fn violations(&self, base: &[PathStep], schema: &Value, value: &Value) -> Vec<Error> {
        match validator(schema) {
            Ok(validator) => {
                validator.iter_errors(value).flat_map(|it| self.violation(base, schema, value, &it)).collect()
            }
            Err(error) => vec![error.at(&self.at(base))],
        }
    }

    fn violation(
        &self,
        base: &[PathStep],
        schema: &Value,
        value: &Value,
        violation: &ValidationError<'_>,
    ) -> Vec<Error> {
        let mut path = base.to_vec();
        let pointer = violation.instance_path().as_str().to_owned();
        for step in pointer.split('/').skip(1) {
            let name = step.replace("~1", "/").replace("~0", "~");
            path.push(name.parse().map_or(PathStep::Key(name), PathStep::Index));
        }
        if let Violated::AdditionalProperties { unexpected } = violation.kind() {
            let known = allowed_keys(schema, &pointer);
            let present = value.pointer(&pointer);
            let is_free = |key: &&str| present.is_none_or(|present| present.get(*key).is_none());
            let unknown_key = |key: &String| {
                let hint = nearest(key, known.iter().map(String::as_str).filter(is_free));
                let hint = hint.or_else(|| one_of(known.iter().map(String::as_str)));
                let place = self.at(&[path.as_slice(), &[PathStep::Key(key.clone())]].concat());
                Error::config(format!("unknown key `{key}`")).maybe_hint(hint).at(&place)
            };
            return unexpected.iter().map(unknown_key).collect();
        }
        let name = match path.last() {
            Some(PathStep::Key(key)) => Some(key.as_str()),
            _ => None,
        };
        let is_secret = self.is_secret(&path);
        let error = describe(violation, name, is_secret);
        // Accepted words are the better hint; otherwise the description of the key is.
        let description = if error.hint_text().is_some() { None } else { description(schema, &pointer) };
        let key = pointer.rsplit('/').next().unwrap_or_default();
        let hint = description.map(|text| format!("`{key}`: {}", text.trim_end_matches('.')));
        vec![error.maybe_hint(hint).at(&self.at(&path))]
    }
}

/// The violation as a message, with accepted words as its hint.
fn describe(violation: &ValidationError<'_>, name: Option<&str>, is_secret: bool) -> Error {
    let kind = violation.kind();
    if let Some(branch) = nearest_branch(kind, violation.instance()) {
        return describe(branch, name, is_secret);
    }
    let value = if is_secret { "the value".to_owned() } else { shown(violation.instance()) };
    if let Some(words) = words(kind).filter(|words| !words.is_empty()) {
        let given = violation.instance().as_str().filter(|_| !is_secret);
        let near = given.and_then(|given| nearest(given, words.iter().map(String::as_str)));
        let hint = near.or_else(|| one_of(words.iter().map(String::as_str)));
        return Error::config(format!("unknown value {value}")).maybe_hint(hint);
    }
    let range = |relation: &str, limit: &Value| format!("{value} is out of range: expected {relation} {limit}");
    let size = |relation: &str, limit: u64, unit: &str| {
        format!("{value} has the wrong length: expected {relation} {limit} {unit}{}", if limit == 1 { "" } else { "s" })
    };
    Error::config(match kind {
        Violated::Required { property } => format!("missing key {}", shown(property)),
        Violated::Type { kind } => format!("{value} has the wrong type: expected {}", type_names(kind).join(" or ")),
        Violated::AnyOf { context } | Violated::OneOfNotValid { context } => match expected_types(context).as_slice() {
            [] => format!("{value} has none of the expected forms"),
            types => format!("{value} has the wrong type: expected {}", types.join(" or ")),
        },
        Violated::Minimum { limit } => range("at least", limit),
        Violated::Maximum { limit } => range("at most", limit),
        Violated::ExclusiveMinimum { limit } => range("more than", limit),
        Violated::ExclusiveMaximum { limit } => range("less than", limit),
        Violated::MinLength { limit } => size("at least", *limit, "character"),
        Violated::MaxLength { limit } => size("at most", *limit, "character"),
        Violated::MinItems { limit } => size("at least", *limit, "item"),
        Violated::MaxItems { limit } => size("at most", *limit, "item"),
        Violated::MinProperties { limit } => size("at least", *limit, "key"),
        Violated::MaxProperties { limit } => size("at most", *limit, "key"),
        Violated::UniqueItems => format!("{value} contains a duplicate item"),
        Violated::Format { format } => format!("{value} is not a valid {format}"),
        Violated::Pattern { .. } => match name {
            Some(name) => format!("{value} is not a valid `{name}`"),
            None => format!("{value} does not match the expected pattern"),
        },
        _ if is_secret => violation.masked().to_string(),
        _ => violation.to_string(),
    })
}

/// The violation of the alternative that was probably meant: the only one of the value's type. None if there are several.
fn nearest_branch<'a>(kind: &'a Violated, instance: &Value) -> Option<&'a ValidationError<'static>> {
    let (Violated::AnyOf { context } | Violated::OneOfNotValid { context }) = kind else { return None };
    if words(kind).is_some_and(|words| !words.is_empty()) && instance.is_string() {
        return None;
    }
    let is_of_type = |branch: &&Vec<ValidationError<'static>>| {
        let is_wrong_type = |violation: &ValidationError<'static>| matches!(violation.kind(), Violated::Type { .. });
        !branch.is_empty()
            && !branch.iter().any(|it| is_wrong_type(it) && it.instance_path() == branch[0].instance_path())
    };
    let mut fitting = context.iter().filter(is_of_type);
    match (fitting.next(), fitting.next()) {
        (Some(branch), None) => branch.first(),
        _ => None,
    }
}

/// The accepted words: of a list, or of alternatives that are words or lists.
fn words(kind: &Violated) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match kind {
        Violated::Enum { options } => options.as_array()?.iter().map(text).collect(),
        Violated::Constant { expected_value } => Some(vec![text(expected_value)?]),
        Violated::AnyOf { context } | Violated::OneOfNotValid { context } => {
            // An optional value has an alternative for null, which has no word.
            let branches = context.iter().flatten().map(|violation| match violation.kind() {
                Violated::Type { .. } => Some(Vec::new()),
                kind => words(kind),
            });
            Some(branches.collect::<Option<Vec<_>>>()?.concat())
        }
        _ => None,
    }
}

/// The types of JSON Schema in the words of the reference. `null` stands for a missing key, which no file writes.
fn type_names(kind: &TypeKind) -> Vec<String> {
    let name = |name: String| match name.as_str() {
        "string" => "text".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "`true` or `false`".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "a table".to_owned(),
        _ => name,
    };
    match kind {
        TypeKind::Single(one) => vec![name(one.to_string())],
        TypeKind::Multiple(several) => {
            several.iter().map(|one| one.to_string()).filter(|name| name != "null").map(name).collect()
        }
    }
}

/// The types that the alternatives of a value expect, each once.
fn expected_types(alternatives: &[Vec<ValidationError<'static>>]) -> Vec<String> {
    let mut types = Vec::new();
    for violation in alternatives.iter().flatten() {
        let expected = match violation.kind() {
            Violated::Type { kind } => type_names(kind),
            Violated::AnyOf { context } | Violated::OneOfNotValid { context } => expected_types(context),
            _ => Vec::new(),
        };
        for name in expected {
            if name != "null" && !types.contains(&name) {
                types.push(name);
            }
        }
    }
    types
}

/// A value as errors show it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// The keys that a JSON Schema allows at a pointer of the value.
fn allowed_keys(schema: &Value, pointer: &str) -> Vec<String> {
    let (_, node) = locate(schema, pointer);
    let properties = node.get("properties").and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// The description of the value at a pointer.
fn description(schema: &Value, pointer: &str) -> Option<String> {
    locate(schema, pointer).0
}

/// The description and the schema of the value at a pointer.
fn locate(schema: &Value, pointer: &str) -> (Option<String>, Value) {
    let resolve = |node: &Value| -> Value {
        // schemars puts a reference with a description inside `allOf`.
        let node = node.pointer("/allOf/0").unwrap_or(node);
        let reference = node.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        reference.and_then(|reference| schema.pointer(reference)).unwrap_or(node).clone()
    };
    let (mut description, mut node) = (None, schema.clone());
    for step in pointer.split('/').skip(1) {
        let next = match step.parse::<usize>() {
            Ok(_) => node.get("items"),
            Err(_) => node.pointer(&format!("/properties/{step}")).or_else(|| node.get("additionalProperties")),
        };
        let text = next.and_then(|next| next.get("description")?.as_str()).map(str::to_owned);
        let mut next = next.map(&resolve).unwrap_or_default();
        if let Some(options) = next.get("anyOf").and_then(Value::as_array) {
            next = options.iter().map(&resolve).find(|option| option.get("properties").is_some()).unwrap_or_default();
        }
        (description, node) = (text, next);
    }
    (description, node)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::validator;
    use crate::SourceMap;

    #[test]
    fn patterns_match_in_linear_time() {
        let of = |pattern: &str| validator(&json!({ "type": "string", "pattern": pattern }));
        let text = json!("a".repeat(100_000) + "b");
        assert!(!of("^(a|aa)+$").expect("a schema").is_valid(&text));
        assert!(!of("^(a+)+(a+)+$").expect("a schema").is_valid(&text));
        for backtracks in [r"^(a+)+\1$", "^(a+(?!c))+$", "(a{1000}){1000000}"] {
            let error = of(backtracks).expect_err(backtracks);
            assert!(error.message().starts_with("invalid config schema: "), "{error}");
        }
        let recursive = validator(&json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": [{ "$ref": "#" }] } } }));
        assert!(recursive.is_err() || recursive.is_ok_and(|schema| schema.is_valid(&text)));
    }

    /// The message and the hint for a document with one key.
    fn check(schema: serde_json::Value, line: &str, message: &str, hint: Option<&str>) {
        let map = SourceMap::parse(line, "p.toml").expect("a document");
        let schema = json!({ "properties": { "key": schema }, "additionalProperties": false });
        let (value, _) = map.value(None);
        let problems = map.violations(&[], &schema, &value);
        let texts: Vec<_> = problems.iter().map(|problem| (problem.message(), problem.hint_text())).collect();
        assert_eq!(texts, [(format!("p.toml:1:1: {message}"), hint.map(str::to_owned))]);
    }

    #[test]
    fn a_violation_names_the_wrong_value_and_the_accepted_ones() {
        let either = json!({ "oneOf": [{ "type": "null" }, { "type": "number", "minimum": 0, "maximum": 1 }] });
        check(either, "key = 3", "`3` is out of range: expected at most 1", None);
        let word = json!({ "enum": ["flag", "reject"] });
        check(word.clone(), "key = \"drop\"", "unknown value `drop`", Some("expected one of `flag`, `reject`"));
        check(word, "key = \"flags\"", "unknown value `flags`", Some("did you mean `flag`?"));
        let described = json!({ "type": "string", "pattern": "^[A-Z]{3}$", "description": "An ISO 4217 code." });
        check(described.clone(), "key = \"real\"", "`real` is not a valid `key`", Some("`key`: An ISO 4217 code"));
        check(described, "key = 5", "`5` has the wrong type: expected text", Some("`key`: An ISO 4217 code"));
        check(json!({}), "kei = 1", "unknown key `kei`", Some("did you mean `key`?"));
    }
}

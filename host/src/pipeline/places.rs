//! Where each value stands in a TOML file, so that any later check can point at it.

use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Environment;
use crate::error::{Error, Result, nearest};

/// One step on the way to a value: a key or an index.
#[derive(Debug, Clone)]
pub enum Step {
    /// A key of a table.
    Key(String),
    /// An index of an array.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A TOML text with the position of everything in it, parsed anew for each question: only errors ask.
#[derive(Debug, Clone)]
pub struct Places {
    name: String,
    text: String,
}

impl Places {
    /// Checks a text's syntax; `name` is how errors call the file.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let places = Self { name: name.to_owned(), text: text.to_owned() };
        let (_, errors) = DeTable::parse_recoverable(text);
        let problem = |error: toml::de::Error| {
            let at = places.position(error.span().map_or(0, |span| span.start));
            Error::config(error.message().to_owned()).on(at)
        };
        Error::all(errors.into_iter().map(problem).collect()).map_or(Ok(()), Err)?;
        Ok(places)
    }

    /// `file:line:column` of the value at a path, or of the nearest thing above it.
    #[must_use]
    pub fn at(&self, path: &[Step]) -> String {
        let mut start = 0;
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let mut table = Some(root.get_ref());
        let mut array = None;
        for step in path {
            let found = match step {
                Step::Key(key) => table.and_then(|table: &DeTable<'_>| {
                    let (key, value) = table.get_key_value(key.as_str())?;
                    start = key.span().start;
                    Some(value)
                }),
                Step::Index(index) => array.and_then(|array: &toml::de::DeArray<'_>| array.get(*index)),
            };
            let Some(value) = found else { break };
            if matches!(step, Step::Index(_)) {
                start = value.span().start;
            }
            table = match value.get_ref() {
                DeValue::Table(table) => Some(table),
                _ => None,
            };
            array = match value.get_ref() {
                DeValue::Array(array) => Some(array),
                _ => None,
            };
        }
        self.position(start)
    }

    fn position(&self, byte: usize) -> String {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        format!("{}:{line}:{column}", self.name)
    }

    /// The file as JSON, variables of an environment filled in, with the problems met on the way.
    #[must_use]
    pub fn value(&self, environment: Option<&Environment>) -> (Value, Vec<Error>) {
        let mut walk = Walk { places: self, environment, problems: Vec::new() };
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let value = walk.table(root.get_ref());
        (value, walk.problems)
    }

    /// Where a value violates a JSON Schema, each violation at its place; `base` is the path to the value.
    #[must_use]
    pub fn violations(&self, base: &[Step], schema: &Value, value: &Value) -> Vec<Error> {
        let validator = match validator(schema) {
            Ok(validator) => validator,
            Err(error) => return vec![error.on(self.at(base))],
        };
        let violations = validator.iter_errors(value).map(|violation| {
            let mut path = base.to_vec();
            let pointer = violation.instance_path().as_str().to_owned();
            for step in pointer.split('/').skip(1) {
                let name = step.replace("~1", "/").replace("~0", "~");
                path.push(name.parse().map_or(Step::Key(name), Step::Index));
            }
            // What stands below `connection` may be a secret that was written in place of its name, and a web hook's URL
            // is one by itself.
            let key = |step: Option<&Step>, is: &str| matches!(step, Some(Step::Key(key)) if key == is);
            let secret = key(path.first(), "connection") || (key(path.first(), "alert") && key(path.get(2), "url"));
            let message = if secret { violation.masked().to_string() } else { violation.to_string() };
            let unexpected = message.strip_prefix("Additional properties are not allowed (");
            let unexpected = unexpected.and_then(|rest| rest.split('\'').nth(1)).map(str::to_owned);
            match unexpected {
                Some(key) => {
                    let parent = value.pointer(&pointer);
                    let error = Error::config(format!("unknown key `{key}`"));
                    let known = allowed(schema, &pointer);
                    path.push(Step::Key(key.clone()));
                    let hint = nearest(
                        &key,
                        known.iter().map(String::as_str).filter(|k| parent.is_none_or(|p| p.get(k).is_none())),
                    );
                    let hint =
                        hint.or_else(|| (!known.is_empty()).then(|| format!("the keys here are {}", list(&known))));
                    let error = match hint {
                        Some(hint) => error.hint(hint),
                        None => error,
                    };
                    error.on(self.at(&path))
                }
                None if secret => described(Error::config(plain(&message)), schema, &pointer).on(self.at(&path)),
                None => {
                    let unfit = || described(unfit(&violation, path.last(), &message), schema, &pointer);
                    outside_list(&violation).unwrap_or_else(unfit).on(self.at(&path))
                }
            }
        });
        violations.collect()
    }
}

/// A JSON Schema at work. Its patterns are those of the `regex` crate, which never go back: their time is bounded by the
/// length of what they look at, whoever wrote them.
pub fn validator(schema: &Value) -> Result<jsonschema::Validator> {
    let options = jsonschema::options().with_pattern_options(jsonschema::PatternOptions::regex());
    options.build(schema).map_err(|cause| Error::plugin(format!("its config schema is not valid: {cause}")))
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A word that is none of those that a list allows, with the nearest, or all, as the hint.
fn outside_list(violation: &jsonschema::ValidationError<'_>) -> Option<Error> {
    let word = violation.instance().as_str()?;
    let words = words(violation.kind()).filter(|words| !words.is_empty())?;
    let hint = nearest(word, words.iter().map(String::as_str));
    Some(
        Error::config(format!("no `{word}` is known here"))
            .hint(hint.unwrap_or_else(|| format!("there are {}", list(&words)))),
    )
}

/// What does not fit; a pattern is told by the name of what has it.
fn unfit(violation: &jsonschema::ValidationError<'_>, step: Option<&Step>, message: &str) -> Error {
    match (violation.kind(), violation.instance().as_str(), step) {
        (ValidationErrorKind::Pattern { .. }, Some(text), Some(Step::Key(key))) => {
            Error::config(format!("`{text}` is no `{key}`"))
        }
        _ => Error::config(plain(message)),
    }
}

/// An error with what the schema says of the place as its hint.
fn described(error: Error, schema: &Value, pointer: &str) -> Error {
    let description = at(schema, pointer).0;
    let name = pointer.rsplit('/').next().unwrap_or_default();
    match description {
        Some(description) => error.hint(format!("`{name}`: {}", description.trim_end_matches('.'))),
        None => error,
    }
}

/// The words that would do: of a list, or of several of which each is a word or a list.
fn words(kind: &ValidationErrorKind) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match kind {
        ValidationErrorKind::Enum { options } => options.as_array()?.iter().map(text).collect(),
        ValidationErrorKind::Constant { expected_value } => Some(vec![text(expected_value)?]),
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            // Of what may be left out one branch is null, which a word is not.
            let branches = context.iter().flatten().map(|violation| match violation.kind() {
                ValidationErrorKind::Type { .. } => Some(Vec::new()),
                kind => words(kind),
            });
            Some(branches.collect::<Option<Vec<_>>>()?.concat())
        }
        _ => None,
    }
}

/// A validator's message in the style of the host's: lowercase first letter, backticks for quotes.
fn plain(message: &str) -> String {
    let message = message.replace('"', "`");
    let mut letters = message.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// The property names that a JSON Schema allows at a pointer of the instance.
fn allowed(schema: &Value, pointer: &str) -> Vec<String> {
    let (_, node) = at(schema, pointer);
    let properties = node.get("properties").and_then(Value::as_object);
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}

/// What a JSON Schema holds for a pointer of the instance, and how it describes it there.
fn at(schema: &Value, pointer: &str) -> (Option<String>, Value) {
    let resolve = |node: &Value| -> Value {
        // A reference with a description beside it stands inside `allOf`.
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
        let told = next.and_then(|next| next.get("description")?.as_str()).map(str::to_owned);
        let mut next = next.map(&resolve).unwrap_or_default();
        if let Some(options) = next.get("anyOf").and_then(Value::as_array) {
            next = options.iter().map(&resolve).find(|option| option.get("properties").is_some()).unwrap_or_default();
        }
        (description, node) = (told, next);
    }
    (description, node)
}

struct Walk<'a> {
    places: &'a Places,
    environment: Option<&'a Environment>,
    problems: Vec<Error>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Value {
        let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), self.value(value)));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => {
                match self.environment.map_or_else(|| Ok(text.to_string()), |variables| variables.fill(text)) {
                    Ok(text) => Value::String(text),
                    Err(error) => {
                        self.problems.push(error.on(self.places.position(value.span().start)));
                        Value::Null
                    }
                }
            }
            DeValue::Integer(integer) => {
                i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Value::Null, Value::from)
            }
            DeValue::Float(float) => float.as_str().parse::<f64>().map_or(Value::Null, Value::from),
            DeValue::Boolean(boolean) => Value::Bool(*boolean),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Array(array) => Value::Array(array.iter().map(|item| self.value(item)).collect()),
            DeValue::Table(table) => self.table(table),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::validator;

    #[test]
    fn no_schema_takes_time_without_end() {
        let of = |pattern: &str| validator(&json!({ "type": "string", "pattern": pattern }));
        let text = json!("a".repeat(100_000) + "b");
        assert!(!of("^(a|aa)+$").expect("a schema").is_valid(&text));
        assert!(!of("^(a+)+(a+)+$").expect("a schema").is_valid(&text));
        for goes_back in [r"^(a+)+\1$", "^(a+(?!c))+$", "(a{1000}){1000000}"] {
            let error = of(goes_back).expect_err(goes_back);
            assert!(error.message.starts_with("its config schema is not valid: "), "{error}");
        }
        let circle = validator(&json!({ "$ref": "#/$defs/a", "$defs": { "a": { "allOf": [{ "$ref": "#" }] } } }));
        assert!(circle.is_err() || circle.is_ok_and(|circle| circle.is_valid(&text)));
    }
}

//! The position of each value in a TOML document, so that any later check can point at it.

use host_core::error::{Error, Place, Result};
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::depth;

/// One step of the path to a value: a key or an index.
#[derive(Debug, Clone)]
pub enum PathStep {
    /// A key of a table.
    Key(String),
    /// An index of an array.
    Index(usize),
}

impl From<&str> for PathStep {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for PathStep {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Fills variables into a text.
///
/// # Errors
/// A variable that is not set.
pub type FillVariables<'a> = &'a dyn Fn(&str) -> Result<String>;

/// A TOML document with the position of every value. It is parsed again for each look-up, which only errors need.
#[derive(Debug, Clone)]
pub struct SourceMap {
    name: String,
    text: String,
    is_secret: fn(&[PathStep]) -> bool,
}

impl SourceMap {
    /// Parses a document. `name` is the file's name in errors.
    ///
    /// # Errors
    /// Every syntax error, at its place.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        Self::parse_with_secrets(text, name, |_| false)
    }

    /// Parses a document that may contain secrets. `is_secret` returns true for the path of a value that errors must not show.
    ///
    /// # Errors
    /// Every syntax error, at its place and without the text of its line.
    pub fn parse_with_secrets(text: &str, name: &str, is_secret: fn(&[PathStep]) -> bool) -> Result<Self> {
        let map = Self { name: name.to_owned(), text: text.to_owned(), is_secret };
        if let Some(byte) = depth::first_too_deep(text) {
            let place = map.position(byte);
            return Err(depth::too_deep().at(&Place { excerpt: None, ..place }));
        }
        let (_, errors) = DeTable::parse_recoverable(text);
        let problem = |error: toml::de::Error| {
            // The line may contain a secret without its quotes.
            let place = map.position(error.span().map_or(0, |span| span.start));
            Error::config(error.message()).at(&Place { excerpt: None, ..place })
        };
        Error::check(errors.into_iter().map(problem).collect())?;
        Ok(map)
    }

    /// The place of the value at a path, or of the nearest value above it.
    #[must_use]
    pub fn at(&self, path: &[PathStep]) -> Place {
        let mut start = 0;
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let mut table = Some(root.get_ref());
        let mut array = None;
        for step in path {
            let found = match step {
                PathStep::Key(key) => table.and_then(|table: &DeTable<'_>| {
                    let (key, value) = table.get_key_value(key.as_str())?;
                    start = key.span().start;
                    Some(value)
                }),
                PathStep::Index(index) => array.and_then(|array: &toml::de::DeArray<'_>| array.get(*index)),
            };
            let Some(value) = found else { break };
            if matches!(step, PathStep::Index(_)) {
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
        let place = self.position(start);
        if self.is_secret(path) { Place { excerpt: None, ..place } } else { place }
    }

    pub(crate) fn is_secret(&self, path: &[PathStep]) -> bool {
        (self.is_secret)(path)
    }

    fn position(&self, byte: usize) -> Place {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        let excerpt = self.text.lines().nth(line - 1).map(str::to_owned);
        Place { file: self.name.clone(), line: Some(line), column: Some(column), excerpt }
    }

    /// The document as JSON, and the errors of `fill` for its texts.
    #[must_use]
    pub fn value(&self, fill: Option<FillVariables<'_>>) -> (Value, Vec<Error>) {
        let mut walk = Walk { map: self, fill, problems: Vec::new() };
        let (root, _) = DeTable::parse_recoverable(&self.text);
        let value = walk.table(root.get_ref());
        (value, walk.problems)
    }
}

/// Converts the document's values to JSON.
struct Walk<'a> {
    map: &'a SourceMap,
    fill: Option<FillVariables<'a>>,
    problems: Vec<Error>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Value {
        let entries = table.iter().map(|(key, value)| (key.get_ref().to_string(), self.value(value)));
        Value::Object(entries.collect::<Map<_, _>>())
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => match self.fill.map_or_else(|| Ok(text.to_string()), |fill| fill(text)) {
                Ok(text) => Value::String(text),
                Err(error) => {
                    let place = self.map.position(value.span().start);
                    self.problems.push(error.at(&Place { excerpt: None, ..place }));
                    Value::Null
                }
            },
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
    use super::{PathStep, SourceMap};

    const TEXT: &str = "[pipeline]\nname = \"clinic\"\n\n[connection.hubspot]\ntoken = \"pat-na1-0123\"\n";

    #[test]
    fn a_value_has_a_place_and_an_excerpt() {
        let map = SourceMap::parse(TEXT, "p.toml").expect("a document");
        let place = map.at(&["pipeline".into(), "name".into()]);
        assert_eq!((place.to_string().as_str(), place.excerpt.as_deref()), ("p.toml:2:1", Some("name = \"clinic\"")));
        assert_eq!(map.at(&["pipeline".into(), "missing".into()]).to_string(), "p.toml:1:2");
    }

    #[test]
    fn a_line_with_a_secret_is_never_shown() {
        let is_secret = |path: &[PathStep]| matches!(path.first(), Some(PathStep::Key(key)) if key == "connection");
        let map = SourceMap::parse_with_secrets(TEXT, "p.toml", is_secret).expect("a document");
        let place = map.at(&["connection".into(), "hubspot".into(), "token".into()]);
        assert_eq!((place.line, place.excerpt), (Some(5), None));
        let unquoted = "[connection.hubspot]\ntoken = pat-na1-0123\n";
        let error = SourceMap::parse_with_secrets(unquoted, "p.toml", is_secret).expect_err("a syntax error");
        assert!(error.problems().iter().all(|problem| problem.place.as_ref().is_some_and(|at| at.excerpt.is_none())));
        assert!(!error.message().contains("pat-na1"), "{error}");
    }
}

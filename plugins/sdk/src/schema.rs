//! Streams' schemas: fields with types, and handles to columns that are looked up once, by name.

use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::error::{Error, Result};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A 64-bit integer.
    Int64,
    /// A 64-bit float.
    Float64,
    /// A decimal of 38 digits, 9 of them after the point.
    Decimal,
    /// A calendar date.
    Date,
    /// An instant, in microseconds UTC.
    Timestamp,
    /// Text.
    Text,
    /// A JSON object or array, as text.
    Json,
}

impl Type {
    fn format(self) -> &'static str {
        match self {
            Self::Bool => "b",
            Self::Int64 => "l",
            Self::Float64 => "g",
            Self::Decimal => "d:38,9",
            Self::Date => "tdD",
            Self::Timestamp => "tsu:UTC",
            Self::Text | Self::Json => "u",
        }
    }
}

/// One column of a stream.
#[derive(Debug, Clone)]
pub struct Field {
    pub(crate) wit: wit::Field,
}

impl Field {
    /// A nullable column.
    #[must_use]
    pub fn new(name: &str, data_type: Type) -> Self {
        let mut metadata = Vec::new();
        if data_type == Type::Json {
            metadata.push(("json".to_owned(), "true".to_owned()));
        }
        let format = data_type.format().to_owned();
        Self { wit: wit::Field { name: name.to_owned(), format, nullable: true, metadata } }
    }

    /// A nullable text column.
    #[must_use]
    pub fn text(name: &str) -> Self {
        Self::new(name, Type::Text)
    }

    /// Forms beyond JSON's own that the decoder takes: see `json-column` in the contract.
    #[must_use]
    pub fn accept(mut self, forms: &str) -> Self {
        self.wit.metadata.push(("accept".to_owned(), forms.to_owned()));
        self
    }

    /// What the column means.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        self.wit.metadata.push(("description".to_owned(), text.to_owned()));
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.wit.name
    }
}

/// A text column of the stream at hand, found by [`Schema::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextColumn(pub(crate) usize);

/// The columns of a stream, its primary key and its cursor.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) wit: wit::Schema,
}

impl Schema {
    /// A stream's columns and primary key.
    #[must_use]
    pub fn new(fields: Vec<Field>, primary_key: &[&str]) -> Self {
        let fields = fields.into_iter().map(|field| field.wit).collect();
        let primary_key = primary_key.iter().map(|&name| name.to_owned()).collect();
        Self { wit: wit::Schema { fields, primary_key, cursor: None } }
    }

    /// Names the column by which the stream is read incrementally.
    #[must_use]
    pub fn cursor(mut self, column: &str) -> Self {
        self.wit.cursor = Some(column.to_owned());
        self
    }

    /// The text column of this name; an error with the nearest names where there is none.
    pub fn text(&self, name: &str) -> Result<TextColumn> {
        let found = self.wit.fields.iter().position(|field| field.name == name);
        let index = found.ok_or_else(|| self.unknown(name))?;
        let format = &self.wit.fields[index].format;
        if format != "u" {
            return Err(Error::config(format!("column `{name}` is not text (its format is `{format}`)")));
        }
        Ok(TextColumn(index))
    }

    /// The text columns of these names.
    pub fn texts(&self, names: &[String]) -> Result<Vec<TextColumn>> {
        names.iter().map(|name| self.text(name)).collect()
    }

    /// The columns of the primary key, all of them text.
    pub fn primary_key(&self) -> Result<Vec<TextColumn>> {
        self.texts(&self.wit.primary_key)
    }

    /// The name of a column.
    #[must_use]
    pub fn name(&self, column: TextColumn) -> &str {
        &self.wit.fields[column.0].name
    }

    fn unknown(&self, name: &str) -> Error {
        let mut near: Vec<_> = self.wit.fields.iter().map(|f| (strsim::jaro_winkler(name, &f.name), &f.name)).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near: Vec<_> = near.iter().filter(|n| n.0 > 0.6).take(3).map(|n| format!("`{}`", n.1)).collect();
        let error = Error::config(format!("no column `{name}`"));
        if near.is_empty() { error } else { error.hint(format!("the nearest are {}", near.join(", "))) }
    }
}

/// What a plugin wants granted by the pipeline.
#[derive(Debug, Clone)]
pub struct Need {
    pub(crate) wit: wit::Need,
}

impl Need {
    fn new(kind: &str, name: &str, details: &serde_json::Value) -> Self {
        Self { wit: wit::Need { kind: kind.to_owned(), name: name.to_owned(), details_json: details.to_string() } }
    }

    /// A connection of the pipeline.
    #[must_use]
    pub fn connection(name: &str) -> Self {
        Self::new("connection", name, &serde_json::json!({}))
    }

    /// A file; an optional one may stay ungranted.
    #[must_use]
    pub fn file(name: &str, optional: bool) -> Self {
        Self::new("file", name, &serde_json::json!({ "optional": optional }))
    }

    /// At most `requests` within any `per_ms` milliseconds for requests that name this bucket.
    #[must_use]
    pub fn rate_bucket(name: &str, requests: u32, per_ms: u32) -> Self {
        Self::new("rate-bucket", name, &serde_json::json!({ "requests": requests, "per-ms": per_ms }))
    }

    /// Further HTTP statuses worth another try, beside 429 and 5xx.
    #[must_use]
    pub fn retry(statuses: &[u16]) -> Self {
        Self::new("retry", "http", &serde_json::json!({ "statuses": statuses }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Schema};

    #[test]
    fn an_unknown_column_names_the_nearest() {
        let schema = Schema::new(vec![Field::text("especialidade_medica"), Field::text("phone")], &["phone"]);
        let error = schema.text("especialidade").expect_err("no such column");
        assert_eq!(error.message, "no column `especialidade`");
        assert_eq!(error.hint.as_deref(), Some("the nearest are `especialidade_medica`"));
    }
}

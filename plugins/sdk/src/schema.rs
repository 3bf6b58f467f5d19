//! Streams' schemas: fields with types, and handles to columns that are looked up once, by name.

use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::column::{AnyColumn, Column, TextColumn, Value};
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
    /// A decimal; a field made here has 38 digits, 9 of them after the point.
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

    /// The type and, for decimals, the digits after the point.
    pub(crate) fn of(field: &wit::Field) -> Result<(Self, u8)> {
        let data_type = match field.format.as_str() {
            "b" => Self::Bool,
            "l" => Self::Int64,
            "g" => Self::Float64,
            "tdD" => Self::Date,
            "tsu:UTC" => Self::Timestamp,
            "u" if field.metadata.iter().any(|(key, value)| key == "json" && value == "true") => Self::Json,
            "u" => Self::Text,
            format => {
                let scale = format.strip_prefix("d:").and_then(|digits| digits.split_once(',')?.1.parse().ok());
                let unknown = || Error::config(format!("column `{}` has the unknown format `{format}`", field.name));
                return Ok((Self::Decimal, scale.ok_or_else(unknown)?));
            }
        };
        Ok((data_type, 0))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bool => "true or false",
            Self::Int64 => "a whole number",
            Self::Float64 => "a float",
            Self::Decimal => "a decimal",
            Self::Date => "a date",
            Self::Timestamp => "an instant",
            Self::Text => "text",
            Self::Json => "JSON",
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

/// The columns of a stream, its primary key and its cursor.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) wit: wit::Schema,
    /// The schemas of a rule's further inputs.
    pub(crate) others: Vec<(String, Self)>,
}

impl Schema {
    /// A stream's columns and primary key.
    #[must_use]
    pub fn new(fields: Vec<Field>, primary_key: &[&str]) -> Self {
        let fields = fields.into_iter().map(|field| field.wit).collect();
        let primary_key = primary_key.iter().map(|&name| name.to_owned()).collect();
        Self { wit: wit::Schema { fields, primary_key, cursor: None }, others: Vec::new() }
    }

    /// Names the column by which the stream is read incrementally.
    #[must_use]
    pub fn cursor(mut self, column: &str) -> Self {
        self.wit.cursor = Some(column.to_owned());
        self
    }

    /// The column of this name, such as `column::<i64>("visits")`; an error with the nearest names where there is
    /// none, or with its type where it holds another.
    pub fn column<T: Value>(&self, name: &str) -> Result<Column<T>> {
        let (any, scale) = self.any(name)?;
        if !T::holds(any.data_type) {
            let holds = any.data_type.name();
            return Err(Error::config(format!("column `{name}` holds {holds}, which this plugin does not read there")));
        }
        Ok(Column::new(any, scale))
    }

    /// The text column of this name.
    pub fn text(&self, name: &str) -> Result<TextColumn> {
        self.column(name)
    }

    /// The text columns of these names.
    pub fn texts(&self, names: &[String]) -> Result<Vec<TextColumn>> {
        names.iter().map(|name| self.text(name)).collect()
    }

    /// The schema of a further input of a rule; none where the pipeline does not grant it.
    #[must_use]
    pub fn other(&self, input: &str) -> Option<&Self> {
        self.others.iter().find(|(name, _)| name == input).map(|(_, schema)| schema)
    }

    /// The column of this name, whatever it holds.
    pub fn any_column(&self, name: &str) -> Result<AnyColumn> {
        Ok(self.any(name)?.0)
    }

    pub(crate) fn primary_key(&self) -> Result<Vec<AnyColumn>> {
        self.wit.primary_key.iter().map(|name| Ok(self.any(name)?.0)).collect()
    }

    /// The name of a column.
    #[must_use]
    pub fn name(&self, column: impl Into<AnyColumn>) -> &str {
        &self.wit.fields[column.into().index].name
    }

    fn any(&self, name: &str) -> Result<(AnyColumn, u8)> {
        let found = self.wit.fields.iter().position(|field| field.name == name);
        let index = found.ok_or_else(|| self.unknown(name))?;
        let (data_type, scale) = Type::of(&self.wit.fields[index])?;
        Ok((AnyColumn { index, data_type }, scale))
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

    /// A further stream that a rule of table scope reads; an optional one may stay ungranted.
    #[must_use]
    pub fn input(name: &str, optional: bool) -> Self {
        Self::new("input", name, &serde_json::json!({ "optional": optional }))
    }

    /// At most `requests` within any `per_ms` milliseconds for requests that name this bucket.
    #[must_use]
    pub fn rate_bucket(name: &str, requests: u32, per_ms: u32) -> Self {
        Self::new("rate-bucket", name, &serde_json::json!({ "requests": requests, "per-ms": per_ms }))
    }

    /// Names the headers of answers that correct a rate bucket: how many requests, in how many milliseconds, how many
    /// are left.
    #[must_use]
    pub fn corrected_by(self, max: &str, interval_ms: &str, remaining: &str) -> Self {
        let headers = [("max-header", max), ("interval-ms-header", interval_ms), ("remaining-header", remaining)];
        headers.into_iter().fold(self, |need, (key, header)| need.with(key, header))
    }

    /// Further HTTP statuses worth another try, beside 429 and 5xx, each after so many milliseconds at least; and
    /// answers that are worth none: a status, if need be with a pointer into the JSON body and the value there.
    #[must_use]
    pub fn retry(statuses: &[(u16, u32)], last: &[(u16, Option<(&str, &str)>)]) -> Self {
        let status = |&(status, wait): &(u16, u32)| serde_json::json!({ "status": status, "wait-ms": wait });
        let is_final = |&(status, value): &(u16, Option<(&str, &str)>)| match value {
            Some((pointer, value)) => serde_json::json!({ "status": status, "pointer": pointer, "value": value }),
            None => serde_json::json!({ "status": status }),
        };
        let statuses: Vec<_> = statuses.iter().map(status).collect();
        let last: Vec<_> = last.iter().map(is_final).collect();
        Self::new("retry", "http", &serde_json::json!({ "statuses": statuses, "final": last }))
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        // Details are always an object of our own making.
        let mut details: serde_json::Value = serde_json::from_str(&self.wit.details_json).unwrap_or_default();
        details[key] = value.into();
        self.wit.details_json = details.to_string();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Schema, Type};
    use crate::column::{Column, Decimal};

    #[test]
    fn an_unknown_column_names_the_nearest() {
        let schema = Schema::new(vec![Field::text("especialidade_medica"), Field::text("phone")], &["phone"]);
        let error = schema.text("especialidade").expect_err("no such column");
        assert_eq!(error.message, "no column `especialidade`");
        assert_eq!(error.hint.as_deref(), Some("the nearest are `especialidade_medica`"));
    }

    #[test]
    fn columns_are_found_by_name_and_type() {
        let schema = Schema::new(vec![Field::new("amount", Type::Decimal), Field::new("tags", Type::Json)], &[]);
        assert_eq!(schema.column::<Decimal>("amount").map(Column::scale).ok(), Some(9));
        assert!(schema.text("tags").is_ok());
        let error = schema.column::<i64>("amount").expect_err("another type");
        assert_eq!(error.message, "column `amount` holds a decimal, which this plugin does not read there");
    }
}

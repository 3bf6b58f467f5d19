//! The columns of a stream: fields that a plugin declares, and handles to columns, looked up once by name.

use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::column::{AnyColumn, Column, TextColumn, Value};
pub use crate::data_type::Type;
use crate::error::{Error, Result};
pub use crate::need::Need;

/// One column of a stream, as a plugin declares it.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// let amount = Field::new("amount", Type::Decimal).description("The amount in the deal's currency");
/// assert_eq!(amount.name(), "amount");
/// ```
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

    /// Lists further forms of a value that the JSON decoder accepts, separated by commas: `text` (numbers, booleans and
    /// times inside strings), `epoch-ms` (times in milliseconds since 1970), `empty-null` (an empty string is null).
    ///
    /// ```
    /// use plugin_sdk::prelude::*;
    ///
    /// // `{"amount": "12.50"}` and `{"amount": ""}`
    /// let amount = Field::new("amount", Type::Decimal).accept("text,empty-null");
    /// ```
    #[must_use]
    pub fn accept(mut self, forms: &str) -> Self {
        self.wit.metadata.push(("accept".to_owned(), forms.to_owned()));
        self
    }

    /// Describes the column for people.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        self.wit.metadata.push(("description".to_owned(), text.to_owned()));
        self
    }

    /// The name of the column.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.wit.name
    }
}

/// The columns of a stream, its primary key and its cursor.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// # fn main() -> Result<()> {
/// let fields = vec![Field::text("id"), Field::text("name"), Field::new("visits", Type::Int64)];
/// let contacts = Schema::new(fields, &["id"]);
///
/// let name: TextColumn = contacts.text("name")?;
/// let visits: Column<i64> = contacts.column("visits")?;
/// assert_eq!(contacts.name(visits), "visits");
///
/// let error = contacts.text("nmae").expect_err("a name that no column has");
/// assert_eq!(error.message, "no column `nmae`");
/// assert_eq!(error.hint.as_deref(), Some("did you mean `name`?"));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) wit: wit::Schema,
    /// The schemas of a rule's further inputs, by name.
    pub(crate) others: Vec<(String, Self)>,
}

impl Schema {
    /// A schema with these columns and the names of the columns of the primary key.
    #[must_use]
    pub fn new(fields: Vec<Field>, primary_key: &[&str]) -> Self {
        let fields = fields.into_iter().map(|field| field.wit).collect();
        let primary_key = primary_key.iter().map(|&name| name.to_owned()).collect();
        Self { wit: wit::Schema { fields, primary_key, cursor: None }, others: Vec::new() }
    }

    /// Names the column by which the source reads incrementally. It is shown to people; the host does not act on it.
    #[must_use]
    pub fn cursor(mut self, column: &str) -> Self {
        self.wit.cursor = Some(column.to_owned());
        self
    }

    /// The column of this name, with the type that the plugin reads, such as `column::<i64>("visits")`.
    ///
    /// # Errors
    ///
    /// If there is no such column; the hint has similar names. If the column has another type.
    pub fn column<T: Value>(&self, name: &str) -> Result<Column<T>> {
        let (any, scale) = self.find(name)?;
        if !T::accepts(any.data_type) {
            let (found, expected) = (any.data_type, T::TYPE_NAME);
            return Err(Error::config(format!("column `{name}` is of type {found}: expected {expected}")));
        }
        Ok(Column::new(any, scale))
    }

    /// The text column of this name.
    ///
    /// # Errors
    ///
    /// As for [`column`](Self::column).
    pub fn text(&self, name: &str) -> Result<TextColumn> {
        self.column(name)
    }

    /// The text columns of these names.
    ///
    /// # Errors
    ///
    /// As for [`column`](Self::column).
    pub fn texts(&self, names: &[String]) -> Result<Vec<TextColumn>> {
        names.iter().map(|name| self.text(name)).collect()
    }

    /// The schema of a further input of a rule; none if the pipeline does not grant it.
    #[must_use]
    pub fn other(&self, input: &str) -> Option<&Self> {
        self.others.iter().find(|(name, _)| name == input).map(|(_, schema)| schema)
    }

    /// The column of this name, of any type.
    ///
    /// # Errors
    ///
    /// If there is no such column; the hint has similar names.
    pub fn any_column(&self, name: &str) -> Result<AnyColumn> {
        Ok(self.find(name)?.0)
    }

    /// The type of the column of this name.
    ///
    /// ```
    /// use plugin_sdk::prelude::*;
    ///
    /// # fn main() -> Result<()> {
    /// let deals = Schema::new(vec![Field::text("id"), Field::new("amount", Type::Decimal)], &["id"]);
    /// assert_eq!(deals.data_type("amount")?, Type::Decimal);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If there is no such column; the hint has similar names.
    pub fn data_type(&self, name: &str) -> Result<Type> {
        Ok(self.find(name)?.0.data_type)
    }

    pub(crate) fn primary_key(&self) -> Result<Vec<AnyColumn>> {
        self.wit.primary_key.iter().map(|name| Ok(self.find(name)?.0)).collect()
    }

    /// The name of a column.
    #[must_use]
    pub fn name(&self, column: impl Into<AnyColumn>) -> &str {
        &self.wit.fields[column.into().index].name
    }

    fn find(&self, name: &str) -> Result<(AnyColumn, u8)> {
        let found = self.wit.fields.iter().position(|field| field.name == name);
        let index = found.ok_or_else(|| self.unknown(name))?;
        let (data_type, scale) = Type::of_field(&self.wit.fields[index])?;
        Ok((AnyColumn { index, data_type }, scale))
    }

    fn unknown(&self, name: &str) -> Error {
        let similarity = |field: &wit::Field| strsim::jaro_winkler(name, &field.name);
        let mut similar: Vec<_> = self.wit.fields.iter().map(|field| (similarity(field), &field.name)).collect();
        similar.sort_by(|a, b| b.0.total_cmp(&a.0));
        let names = similar.iter().filter(|(similarity, _)| *similarity > 0.6).take(3);
        let names: Vec<_> = names.map(|(_, name)| format!("`{name}`")).collect();
        let error = Error::config(format!("no column `{name}`"));
        match names.split_last() {
            None => error,
            Some((only, [])) => error.hint(format!("did you mean {only}?")),
            Some((last, others)) => error.hint(format!("did you mean {} or {last}?", others.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Field, Schema, Type};
    use crate::column::{Column, Decimal};

    #[test]
    fn an_unknown_column_is_an_error_with_similar_names() {
        let schema = Schema::new(vec![Field::text("especialidade_medica"), Field::text("phone")], &["phone"]);
        let error = schema.text("especialidade").expect_err("no such column");
        assert_eq!(error.message, "no column `especialidade`");
        assert_eq!(error.hint.as_deref(), Some("did you mean `especialidade_medica`?"));
        let error = schema.text("x").expect_err("no such column");
        assert_eq!(error.hint, None);
        let schema = Schema::new(vec![Field::text("name_a"), Field::text("name_b")], &[]);
        let error = schema.text("name").expect_err("no such column");
        assert_eq!(error.hint.as_deref(), Some("did you mean `name_a` or `name_b`?"));
    }

    #[test]
    fn columns_are_found_by_name_and_type() {
        let schema = Schema::new(vec![Field::new("amount", Type::Decimal), Field::new("tags", Type::Json)], &[]);
        assert_eq!(schema.column::<Decimal>("amount").map(Column::scale).ok(), Some(9));
        assert!(schema.text("tags").is_ok());
        let error = schema.column::<i64>("amount").expect_err("another type");
        assert_eq!(error.message, "column `amount` is of type decimal: expected integer");
    }
}

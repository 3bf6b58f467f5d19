//! Sets columns of any type to null without reading them.

use plugin_sdk::column::{AnyColumn, Value};
use plugin_sdk::prelude::*;

/// A column of any type.
#[derive(Clone, Copy)]
pub(crate) enum RedactedColumn {
    Text(TextColumn),
    Bool(Column<bool>),
    Int64(Column<i64>),
    Float64(Column<f64>),
    Decimal(Column<Decimal>),
    Date(Column<Date>),
    Timestamp(Column<Timestamp>),
}

impl From<RedactedColumn> for AnyColumn {
    fn from(redacted: RedactedColumn) -> Self {
        match redacted {
            RedactedColumn::Text(column) => column.into(),
            RedactedColumn::Bool(column) => column.into(),
            RedactedColumn::Int64(column) => column.into(),
            RedactedColumn::Float64(column) => column.into(),
            RedactedColumn::Decimal(column) => column.into(),
            RedactedColumn::Date(column) => column.into(),
            RedactedColumn::Timestamp(column) => column.into(),
        }
    }
}

impl RedactedColumn {
    /// The column of this name.
    pub(crate) fn find(input: &Schema, name: &str) -> Result<Self> {
        match input.data_type(name)? {
            Type::Text | Type::Json => input.text(name).map(Self::Text),
            Type::Bool => input.column(name).map(Self::Bool),
            Type::Int64 => input.column(name).map(Self::Int64),
            Type::Float64 => input.column(name).map(Self::Float64),
            Type::Decimal => input.column(name).map(Self::Decimal),
            Type::Date => input.column(name).map(Self::Date),
            Type::Timestamp => input.column(name).map(Self::Timestamp),
        }
    }

    /// Sets the column to null in all rows of a batch.
    pub(crate) fn redact(self, rows: usize, patch: &mut Patch) {
        match self {
            Self::Text(column) => set_null(column, rows, patch),
            Self::Bool(column) => set_null(column, rows, patch),
            Self::Int64(column) => set_null(column, rows, patch),
            Self::Float64(column) => set_null(column, rows, patch),
            Self::Decimal(column) => set_null(column, rows, patch),
            Self::Date(column) => set_null(column, rows, patch),
            Self::Timestamp(column) => set_null(column, rows, patch),
        }
    }
}

fn set_null<T: Value>(column: Column<T>, rows: usize, patch: &mut Patch) {
    let mut built = column.builder();
    for _ in 0..rows {
        built.push(None);
    }
    patch.set(column, built);
}

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use plugin_sdk::testing::{Trial, Value, json};

    fn check(data_type: Type, value: Value) {
        let schema = Schema::new(vec![Field::text("id"), Field::new("secret", data_type)], &["id"]);
        let trial = Trial::new(crate::component(), schema);
        let output = trial.run(json!({ "columns": { "secret": "redact" } }), json!([{ "secret": value }]));
        assert_eq!(output.expect("a valid config").column("secret"), json!([null]), "{data_type:?}");
    }

    #[test]
    fn every_type_can_be_redacted() {
        check(Type::Bool, json!(true));
        check(Type::Int64, json!(1));
        check(Type::Float64, json!(0.5));
        check(Type::Decimal, json!(1));
        check(Type::Date, json!(7_427));
        check(Type::Timestamp, json!(1));
        check(Type::Text, json!("ana"));
        check(Type::Json, json!("{}"));
    }
}

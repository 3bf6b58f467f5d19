//! Columns of any type, set to null without being read.

use plugin_sdk::column::{AnyColumn, Value};
use plugin_sdk::prelude::*;

/// A column of any type.
#[derive(Clone, Copy)]
pub(crate) enum Redacted {
    Text(TextColumn),
    Bool(Column<bool>),
    Int64(Column<i64>),
    Float64(Column<f64>),
    Decimal(Column<Decimal>),
    Date(Column<Date>),
    Timestamp(Column<Timestamp>),
}

impl From<Redacted> for AnyColumn {
    fn from(redacted: Redacted) -> Self {
        match redacted {
            Redacted::Text(column) => column.into(),
            Redacted::Bool(column) => column.into(),
            Redacted::Int64(column) => column.into(),
            Redacted::Float64(column) => column.into(),
            Redacted::Decimal(column) => column.into(),
            Redacted::Date(column) => column.into(),
            Redacted::Timestamp(column) => column.into(),
        }
    }
}

impl Redacted {
    /// The column of this name, whatever it holds.
    pub(crate) fn find(input: &Schema, name: &str) -> Result<Self> {
        input
            .text(name)
            .map(Self::Text)
            .or_else(|error| input.column(name).map(Self::Bool).map_err(|_| error))
            .or_else(|error| input.column(name).map(Self::Int64).map_err(|_| error))
            .or_else(|error| input.column(name).map(Self::Float64).map_err(|_| error))
            .or_else(|error| input.column(name).map(Self::Decimal).map_err(|_| error))
            .or_else(|error| input.column(name).map(Self::Date).map_err(|_| error))
            .or_else(|error| input.column(name).map(Self::Timestamp).map_err(|_| error))
    }

    /// Null in each of so many rows.
    pub(crate) fn redact(self, rows: usize, patch: &mut Patch) {
        match self {
            Self::Text(column) => nothing(column, rows, patch),
            Self::Bool(column) => nothing(column, rows, patch),
            Self::Int64(column) => nothing(column, rows, patch),
            Self::Float64(column) => nothing(column, rows, patch),
            Self::Decimal(column) => nothing(column, rows, patch),
            Self::Date(column) => nothing(column, rows, patch),
            Self::Timestamp(column) => nothing(column, rows, patch),
        }
    }
}

fn nothing<T: Value>(column: Column<T>, rows: usize, patch: &mut Patch) {
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
        let outcome = trial.run(json!({ "columns": { "secret": "redact" } }), json!([{ "secret": value }]));
        assert_eq!(outcome.expect("a rule").column("secret"), json!([null]), "{data_type:?}");
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

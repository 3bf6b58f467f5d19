//! Streams, columns and types, and the names of types in the contract, in Arrow and in SQL.

use std::collections::BTreeMap;

use arrow_schema::{DataType, TimeUnit};

use crate::error::{Error, Result};

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// True or false.
    Bool,
    /// A 64-bit integer.
    Int64,
    /// A 64-bit float.
    Float64,
    /// A decimal: total digits, digits after the point.
    Decimal(u8, i8),
    /// A calendar date.
    Date,
    /// An instant in UTC, in microseconds.
    Timestamp,
    /// Text.
    Text,
}

impl Type {
    /// Parses the contract's format string.
    ///
    /// # Errors
    /// A format that the contract does not have.
    pub fn parse(format: &str) -> Result<Self> {
        let unknown = || Error::plugin(format!("`{format}` is not a column format of the contract"));
        Ok(match format {
            "b" => Self::Bool,
            "l" => Self::Int64,
            "g" => Self::Float64,
            "tdD" => Self::Date,
            "tsu:UTC" => Self::Timestamp,
            "u" => Self::Text,
            _ => {
                let (precision, scale) =
                    format.strip_prefix("d:").and_then(|digits| digits.split_once(',')).ok_or_else(unknown)?;
                let precision: u8 = precision.parse().map_err(|_| unknown())?;
                let scale: i8 = scale.parse().map_err(|_| unknown())?;
                let fits = (1..=38).contains(&precision) && (0..=precision.cast_signed()).contains(&scale);
                if fits { Self::Decimal(precision, scale) } else { return Err(unknown()) }
            }
        })
    }

    /// As the contract's format string.
    #[must_use]
    pub fn format(self) -> String {
        match self {
            Self::Bool => "b".to_owned(),
            Self::Int64 => "l".to_owned(),
            Self::Float64 => "g".to_owned(),
            Self::Decimal(precision, scale) => format!("d:{precision},{scale}"),
            Self::Date => "tdD".to_owned(),
            Self::Timestamp => "tsu:UTC".to_owned(),
            Self::Text => "u".to_owned(),
        }
    }

    /// As an Arrow type.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int64 => DataType::Int64,
            Self::Float64 => DataType::Float64,
            Self::Decimal(precision, scale) => DataType::Decimal128(precision, scale),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Text => DataType::Utf8,
        }
    }

    /// The type for an Arrow type. An Arrow type that the contract lacks becomes text.
    #[must_use]
    pub fn from_arrow(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int64 => Self::Int64,
            DataType::Float64 => Self::Float64,
            DataType::Decimal128(precision, scale) => Self::Decimal(*precision, *scale),
            DataType::Date32 => Self::Date,
            DataType::Timestamp(..) => Self::Timestamp,
            _ => Self::Text,
        }
    }

    /// As a SQL type.
    #[must_use]
    pub fn sql(self) -> String {
        match self {
            Self::Bool => "BOOLEAN".to_owned(),
            Self::Int64 => "BIGINT".to_owned(),
            Self::Float64 => "DOUBLE".to_owned(),
            Self::Decimal(precision, scale) => format!("DECIMAL({precision},{scale})"),
            Self::Date => "DATE".to_owned(),
            Self::Timestamp => "TIMESTAMP WITH TIME ZONE".to_owned(),
            Self::Text => "VARCHAR".to_owned(),
        }
    }

    /// The type for a SQL type as the warehouse's catalog names it. A type that the host never writes becomes text.
    #[must_use]
    pub fn from_sql(name: &str) -> Self {
        match name {
            "BOOLEAN" => Self::Bool,
            "BIGINT" => Self::Int64,
            "DOUBLE" => Self::Float64,
            "DATE" => Self::Date,
            "TIMESTAMP WITH TIME ZONE" => Self::Timestamp,
            _ => {
                let digits = name.strip_prefix("DECIMAL(").and_then(|rest| rest.strip_suffix(')'));
                let digits = digits.and_then(|digits| digits.split_once(','));
                let parse = |(p, s): (&str, &str)| Some(Self::Decimal(p.trim().parse().ok()?, s.trim().parse().ok()?));
                digits.and_then(parse).unwrap_or(Self::Text)
            }
        }
    }

    /// The narrowest type to which values of both types convert without loss.
    #[must_use]
    pub fn widen(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Self::Int64, Self::Decimal(38, s)) | (Self::Decimal(38, s), Self::Int64) if s <= 19 => {
                Self::Decimal(38, s)
            }
            (Self::Decimal(p, s), Self::Decimal(q, t)) => {
                let scale = s.max(t);
                let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
                let precision = u8::try_from(whole + i16::from(scale)).unwrap_or(u8::MAX);
                if precision <= 38 { Self::Decimal(precision, scale) } else { Self::Text }
            }
            (Self::Date, Self::Timestamp) | (Self::Timestamp, Self::Date) => Self::Timestamp,
            _ => Self::Text,
        }
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Field {
    /// Its name in the warehouse.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub data_type: Type,
    /// Hints of the plugin, such as `json`, `description` and `accept`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// A stream's columns and keys.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Schema {
    /// In the order of the warehouse's columns.
    pub fields: Vec<Field>,
    /// Names of the columns that identify a row.
    pub primary_key: Vec<String>,
    /// The column by which the stream is read incrementally, if any.
    pub cursor: Option<String>,
}

impl Schema {
    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// As an Arrow schema.
    #[must_use]
    pub fn arrow(&self) -> arrow_schema::Schema {
        let field = |field: &Field| arrow_schema::Field::new(&field.name, field.data_type.arrow(), true);
        arrow_schema::Schema::new(self.fields.iter().map(field).collect::<Vec<_>>())
    }
}

/// How rows of a stream are written into the warehouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// A row replaces the one of the same primary key.
    Merge,
    /// Each run replaces the whole stream.
    Replace,
}

/// A stream as its source describes it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Its columns and keys.
    pub schema: Schema,
    /// How it is written.
    pub disposition: Disposition,
    /// The stream whose reader also returns the rows of this one.
    pub read_with: Option<String>,
    /// The permission (OAuth scope) that the account must grant.
    pub scope: Option<String>,
    /// Why it cannot be read now. None if it can.
    pub unavailable: Option<Error>,
    /// Whether it is loaded only if the pipeline names it.
    pub on_request: bool,
    /// The boolean column that marks records which the account no longer has.
    pub deleted: Option<String>,
    /// Columns that contain keys of records of other streams, each with the name of that stream.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refers: Vec<(String, String)>,
    /// The text column that lists the keys of records merged into this one, separated by `;`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged: Option<String>,
    /// Columns of free text, which may identify a linked person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub free_text: Vec<FreeText>,
}

/// A column of free text.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FreeText {
    /// The column.
    pub column: String,
    /// Another column and a value: only rows with this value have free text. If none, all rows have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<(String, String)>,
}

/// The column that keeps values which do not fit their type: a JSON object, column → text as received.
pub const UNFIT: &str = "_unfit";
/// The column with the id of the run that last wrote the row.
pub const LOAD_ID: &str = "_load_id";
/// The column with the instant at which that run read it.
pub const EXTRACTED_AT: &str = "_extracted_at";

#[cfg(test)]
mod tests {
    use super::Type;
    use proptest::prelude::*;

    fn any_type() -> impl Strategy<Value = Type> {
        let decimal = (1u8..=38).prop_flat_map(|p| (Just(p), 0..=p.cast_signed()));
        prop_oneof![
            Just(Type::Bool),
            Just(Type::Int64),
            Just(Type::Float64),
            decimal.prop_map(|(precision, scale)| Type::Decimal(precision, scale)),
            Just(Type::Date),
            Just(Type::Timestamp),
            Just(Type::Text),
        ]
    }

    proptest! {
        #[test]
        fn widening_is_commutative_and_idempotent(a in any_type(), b in any_type()) {
            let wide = a.widen(b);
            prop_assert_eq!(wide, b.widen(a));
            prop_assert_eq!(wide.widen(a), wide);
            prop_assert_eq!(wide.widen(b), wide);
        }

        #[test]
        fn a_type_is_the_same_after_a_round_trip_through_each_format(a in any_type()) {
            prop_assert_eq!(Type::parse(&a.format()).ok(), Some(a));
            prop_assert_eq!(Type::from_sql(&a.sql()), a);
            prop_assert_eq!(Type::from_arrow(&a.arrow()), a);
        }
    }

    #[test]
    fn decimals_widen_without_loss() {
        assert_eq!(Type::Decimal(10, 2).widen(Type::Decimal(12, 4)), Type::Decimal(12, 4));
        assert_eq!(Type::Decimal(10, 0).widen(Type::Decimal(4, 4)), Type::Decimal(14, 4));
        assert_eq!(Type::Decimal(38, 0).widen(Type::Decimal(4, 4)), Type::Text);
    }
}

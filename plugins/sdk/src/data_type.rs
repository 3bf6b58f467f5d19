//! The types of columns and their format strings in the contract.

use std::fmt;

use crate::bindings::source_plugin::elt::plugin::types as wit;
use crate::error::{Error, Result};

/// The type of a column.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// assert_eq!(Type::Timestamp.to_string(), "timestamp");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A 64-bit signed integer.
    Int64,
    /// A 64-bit float.
    Float64,
    /// An exact decimal number. A field that a plugin declares has 38 digits, 9 of them after the point.
    Decimal,
    /// A calendar date, as days since 1970-01-01.
    Date,
    /// A point in time, as microseconds since 1970-01-01 UTC.
    Timestamp,
    /// Text in UTF-8.
    Text,
    /// A JSON object or array, as text.
    Json,
}

impl Type {
    /// The Arrow format string.
    pub(crate) fn format(self) -> &'static str {
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

    /// The type of a field and, for decimals, the number of digits after the point (else 0).
    pub(crate) fn of_field(field: &wit::Field) -> Result<(Self, u8)> {
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
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "boolean",
            Self::Int64 => "integer",
            Self::Float64 => "float",
            Self::Decimal => "decimal",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Text => "text",
            Self::Json => "JSON",
        })
    }
}

//! Columns that hold JSON as text: parsed when a row is read, with an error if the text is not JSON.

use serde::Deserialize as _;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

/// Reads a JSON text; NULL is the type's default.
pub(crate) fn read<'de, T: DeserializeOwned + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.filter(|text| !text.is_empty())
        .map_or_else(|| Ok(T::default()), |text| serde_json::from_str(&text).map_err(D::Error::custom))
}

/// A value as JSON text.
pub(crate) fn write(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).unwrap_or_default().to_string()
}

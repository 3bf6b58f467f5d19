//! A stream that the config describes: names that a source may use, and keys that it may not.

use std::collections::BTreeMap;

use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Batch, Error, ErrorKind, Field, Schema};
use plugin_sdk::bindings::source_plugin::exports::elt::plugin::source as wit;
use plugin_sdk::log;
use serde::Deserialize;

use crate::failure;
use crate::pages::{last, more, nullable, part};

/// The text of a null, which TOML lacks.
const NULL: &str = "NULL";

/// The columns, all of text, and the rows of a stream, and what the source says about it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Table {
    stream: String,
    columns: Vec<String>,
    key: Vec<String>,
    /// Whether each run replaces the stream.
    replaces: bool,
    /// Rows by page, value by value.
    pages: Vec<Vec<Vec<String>>>,
    /// Hints of the stream, by name.
    hints: BTreeMap<String, String>,
    /// The description of each column.
    description: String,
    /// The account.
    pub(crate) identity: Option<String>,
    /// The state after each page.
    state: Option<String>,
    /// A text that is logged, and the message and the hint of the error that follows the last page.
    pub(crate) says: Option<String>,
    /// Whether that error is returned.
    fails: bool,
}

impl Table {
    /// The stream.
    pub(crate) fn stream(&self) -> wit::StreamInfo {
        let replaces = self.replaces.then(|| ("disposition".to_owned(), "replace".to_owned()));
        let hints = self.hints.clone().into_iter().chain(replaces).collect();
        wit::StreamInfo { name: self.stream.clone(), schema: self.schema(), hints }
    }

    /// A page of rows.
    pub(crate) fn page(&self, at: usize) -> Result<wit::Page, Error> {
        if let Some(says) = &self.says {
            log::warn(says);
            if self.fails {
                let hint = serde_json::json!({ "hint": says }).to_string();
                return Err(Error { details_json: Some(hint), ..failure(ErrorKind::Data, says.clone()) });
            }
        }

        let rows = self.pages.get(at).map(Vec::as_slice).unwrap_or_default();
        let column = |column: usize| {
            let value = |row: &'_ Vec<String>| row.get(column).cloned().filter(|value| value != NULL);
            let values: Vec<_> = rows.iter().map(value).collect();
            nullable(&values.iter().map(Option::as_deref).collect::<Vec<_>>())
        };
        let columns = (0..self.columns.len()).map(column).collect();
        let batch = Batch { rows: u32::try_from(rows.len()).unwrap_or(u32::MAX), columns };
        let parts = part(&self.stream, self.schema(), batch);
        let page = if at + 1 < self.pages.len() { more(parts) } else { last(parts) };
        Ok(wit::Page { state: self.state.clone().or(page.state), ..page })
    }

    fn schema(&self) -> Schema {
        let metadata = vec![("description".to_owned(), self.description.clone())];
        let field = |name: &String| Field {
            name: name.clone(),
            format: "u".to_owned(),
            nullable: true,
            metadata: metadata.clone(),
        };
        Schema { fields: self.columns.iter().map(field).collect(), primary_key: self.key.clone(), cursor: None }
    }
}

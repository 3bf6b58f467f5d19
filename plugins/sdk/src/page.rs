//! One page of a source: rows of one or more streams, and the state that is committed with them.

use crate::bindings::source_plugin::elt::plugin::types;
use crate::bindings::source_plugin::exports::elt::plugin::source as wit;
use crate::built::Built;
use crate::column::{Key, TextBuilder, key_batch};
use crate::decode::Table;
use crate::error::Result;
use crate::schema::Schema;

/// Where a page stands in a sweep, a full re-read of a stream.
///
/// Between its first and its last page, a sweep must bring every record that the account has. After the last page, the
/// host marks the records that did not come in the column that [`StreamInfo::deleted`] names. In streams that this
/// reader also brings ([`StreamInfo::read_with`]), it deletes the rows whose [`Page::replace`] prefix did not come.
///
/// - `First`: the first page. What earlier sweeps brought no longer counts.
/// - `Next`: a further page.
/// - `Last`: the last page. Records that no page brought are gone.
///
/// [`StreamInfo::deleted`]: crate::source::StreamInfo::deleted
/// [`StreamInfo::read_with`]: crate::source::StreamInfo::read_with
pub use wit::Sweep;

/// Primary keys, or their first columns, whose existing rows a page replaces.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// // The stream's key is (from_id, to_id): replace all links from 7 and from 12.
/// let prefixes = Prefixes::texts(&["7".to_owned(), "12".to_owned()]);
/// ```
#[derive(Debug, Clone)]
pub struct Prefixes(types::Batch);

impl Prefixes {
    /// Prefixes with columns of any types.
    ///
    /// # Errors
    ///
    /// If the values of one column have different types.
    pub fn keys(keys: &[Key]) -> Result<Self> {
        Ok(Self(key_batch(keys)?))
    }

    /// Prefixes of one text column.
    #[must_use]
    pub fn texts(texts: &[String]) -> Self {
        let mut column = TextBuilder::new();
        texts.iter().for_each(|text| column.push(Some(text)));
        Self(types::Batch { rows: u32::try_from(texts.len()).unwrap_or(u32::MAX), columns: vec![column.finish()] })
    }
}

/// One page: rows of one or more streams, and the state that is committed with them in one transaction.
///
/// ```
/// use plugin_sdk::prelude::*;
/// use plugin_sdk::source::Table;
///
/// #[derive(Serialize, Deserialize)]
/// struct Cursor {
///     after: Option<String>,
/// }
///
/// fn page(contacts: &Schema, table: Table, after: Option<String>) -> Page {
///     let is_last = after.is_none();
///     Page::new().rows("contacts", contacts, table).state(&Cursor { after }).done(is_last)
/// }
/// ```
pub struct Page {
    pub(crate) wit: wit::Page,
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

impl Page {
    /// A page without rows and without a state, which is not the last.
    #[must_use]
    pub fn new() -> Self {
        let (state, total, sweep, expected) = (None, None, None, None);
        Self { wit: wit::Page { parts: Vec::new(), state, total, sweep, expected, done: false } }
    }

    /// Adds rows of a stream that the host decoded.
    #[must_use]
    pub fn rows(self, stream: &str, schema: &Schema, table: Table) -> Self {
        self.part(stream, schema, Some(wit::Rows::Host(table.wit)), None)
    }

    /// Adds rows of a stream that the source built itself.
    ///
    /// # Errors
    ///
    /// If a column of the schema has no values, or another number of rows than the others.
    pub fn built(self, stream: &str, schema: &Schema, rows: Built) -> Result<Self> {
        let rows = wit::Rows::Guest(rows.finish(schema)?);
        Ok(self.part(stream, schema, Some(rows), None))
    }

    /// Deletes the existing rows of a stream whose primary key starts with one of these prefixes, in the transaction
    /// that adds the page's rows.
    #[must_use]
    pub fn replace(self, stream: &str, schema: &Schema, prefixes: &Prefixes) -> Self {
        self.part(stream, schema, None, Some(prefixes.0.clone()))
    }

    fn part(mut self, stream: &str, schema: &Schema, rows: Option<wit::Rows>, replace: Option<types::Batch>) -> Self {
        self.wit.parts.push(wit::Part { stream: stream.to_owned(), schema: schema.wit.clone(), rows, replace });
        self
    }

    /// The state that is committed with this page, as JSON. The next run gets the last committed state from
    /// [`Selection::state`](crate::source::Selection::state).
    #[must_use]
    pub fn state<T: serde::Serialize>(mut self, state: &T) -> Self {
        self.wit.state = serde_json::to_string(state).ok();
        self
    }

    /// An estimate of how many rows of the stream this reader will bring, for the display of progress.
    #[must_use]
    pub fn total(mut self, total: Option<u64>) -> Self {
        self.wit.total = total;
        self
    }

    /// Makes the page part of a sweep.
    #[must_use]
    pub fn sweep(mut self, sweep: Option<Sweep>) -> Self {
        self.wit.sweep = sweep;
        self
    }

    /// The number of records that the account reports. The host warns if its own count differs.
    #[must_use]
    pub fn expected(mut self, expected: Option<u64>) -> Self {
        self.wit.expected = expected;
        self
    }

    /// Whether this is the last page.
    #[must_use]
    pub fn done(mut self, done: bool) -> Self {
        self.wit.done = done;
        self
    }
}

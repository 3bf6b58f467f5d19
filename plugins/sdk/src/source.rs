//! What a source implements, reads with and gives back.

use crate::bindings::source_plugin::elt::plugin::{decode, files, types};
use crate::bindings::source_plugin::exports::elt::plugin::source as wit;
pub use crate::bindings::source_plugin::exports::elt::plugin::source::Sweep;
use crate::column::{Key, TextBuilder, TextView, key_batch};
use crate::error::Result;
use crate::http::Response;
use crate::rows::Built;
use crate::schema::{Field, Need, Schema};

/// A source: `open` for each call of the host, then `check`, `identity` and `discover`, or `read` for each stream.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no source",
    label = "this type does not implement `Source`",
    note = "a source has `type Config`, `fn open(config: Config) -> Result<Self>`, \
            `fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>>` \
            and `fn read(&self, selection: Selection) -> Result<Box<dyn Reader>>`"
)]
pub trait Source: Sized + 'static {
    /// What the pipeline says in `config`; its JSON Schema is what the host checks the TOML against.
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// Connections, files, rate buckets and retries it wants granted.
    fn needs() -> Vec<Need> {
        Vec::new()
    }

    /// The place to refuse a config.
    fn open(config: Self::Config) -> Result<Self>;

    /// Tries what a long run would need: token, scopes, files.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Which account the connection reaches; none where that has no meaning.
    fn identity(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// The streams with their columns: those of these names, as far as there are such, or all. More may come than
    /// were asked for; to leave out what costs requests is enough.
    fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>>;

    /// Starts reading a stream where its state left off.
    fn read(&self, selection: Selection) -> Result<Box<dyn Reader>>;
}

/// Reads a stream page by page; each page commits with its state, so that a crash costs one page.
pub trait Reader {
    /// The next page; the one that says `done` is the last.
    fn next(&mut self) -> Result<Page>;
}

/// Which stream to read, and from where.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The stream to read.
    pub stream: String,
    /// All selected streams, for readers that carry others.
    pub streams: Vec<String>,
    /// The state of the last committed page; none at first.
    pub state: Option<String>,
    /// Read everything changed from this instant (RFC 3339), whatever the state says.
    pub since: Option<String>,
}

impl Selection {
    /// The state as the reader's own type; none at first.
    pub fn state<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>> {
        let parse = |text: &String| {
            serde_json::from_str(text).map_err(|cause| {
                crate::error::Error::config(format!(
                    "stream `{}`: its stored cursor cannot be read: {cause}",
                    self.stream
                ))
                .hint("a newer plugin may have written it; read the stream anew with `--full-refresh`")
            })
        };
        self.state.as_ref().map(parse).transpose()
    }
}

/// A stream as `discover` tells it.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    pub(crate) wit: wit::StreamInfo,
}

impl StreamInfo {
    /// A stream with its schema; rows merge on the primary key.
    #[must_use]
    pub fn new(name: &str, schema: &Schema) -> Self {
        Self { wit: wit::StreamInfo { name: name.to_owned(), schema: schema.wit.clone(), hints: Vec::new() } }
    }

    /// Every run replaces the stream whole.
    #[must_use]
    pub fn replaced(self) -> Self {
        self.hint("disposition", "replace")
    }

    /// The reader of another stream carries this one.
    #[must_use]
    pub fn read_with(self, stream: &str) -> Self {
        self.hint("read-with", stream)
    }

    /// What the account must allow.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.hint("scope", scope)
    }

    /// Says that the stream is there and cannot be read, and how to mend that.
    #[must_use]
    pub fn unavailable(self, why: &str, hint: &str) -> Self {
        self.hint("unavailable", why).hint("unavailable-hint", hint)
    }

    /// Loaded only if the pipeline names it.
    #[must_use]
    pub fn on_request(self) -> Self {
        self.hint("on-request", "true")
    }

    /// Names the bool column that marks records which the account no longer has.
    #[must_use]
    pub fn deleted(self, column: &str) -> Self {
        self.hint("deleted", column)
    }

    /// Says that a column holds the primary key of another stream's record.
    #[must_use]
    pub fn refers(self, column: &str, stream: &str) -> Self {
        self.hint("refers", &format!("{column}={stream}"))
    }

    /// Says that a column holds free text, which may tell who a record is that this one is or was linked with: where a
    /// link's stream [`refers`](Self::refers) to both and that record is forgotten, the column is emptied; a row whose key
    /// holds the column goes whole. The hint is `free-text` = `COLUMN`; a host that does not know it leaves the text.
    #[must_use]
    pub fn free_text(self, column: &str) -> Self {
        self.hint("free-text", column)
    }

    /// The same of the rows alone that hold `value` in another column: `free-text` = `COLUMN/OTHER=VALUE`.
    #[must_use]
    pub fn free_text_where(self, column: &str, other: &str, value: &str) -> Self {
        self.hint("free-text", &format!("{column}/{other}={value}"))
    }

    /// Names the text column that lists the keys of records which the account merged into this one, joined by `;`: who
    /// forgets one of them forgets all. The hint is `merged` = `COLUMN`.
    #[must_use]
    pub fn merged(self, column: &str) -> Self {
        self.hint("merged", column)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.wit.name
    }

    fn hint(mut self, name: &str, value: &str) -> Self {
        self.wit.hints.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Tells the host how to turn a JSON answer into rows.
#[derive(Debug, Clone, Default)]
pub struct JsonTable {
    levels: Vec<String>,
    columns: Vec<decode::JsonColumn>,
}

impl JsonTable {
    /// Rows are the elements of the array at this pointer.
    #[must_use]
    pub fn rows_at(pointer: &str) -> Self {
        Self { levels: vec![pointer.to_owned()], columns: Vec::new() }
    }

    /// Rows are the elements of an array inside each element so far.
    #[must_use]
    pub fn each(mut self, pointer: &str) -> Self {
        self.levels.push(pointer.to_owned());
        self
    }

    /// A column at a pointer inside the innermost element so far.
    #[must_use]
    pub fn column(mut self, field: Field, pointer: impl Into<String>) -> Self {
        let level = u32::try_from(self.levels.len()).unwrap_or(u32::MAX).saturating_sub(1);
        self.columns.push(decode::JsonColumn { field: field.wit, level, path: pointer.into() });
        self
    }

    /// A column that holds this text in each row.
    #[must_use]
    pub fn constant(self, name: &str, text: &str) -> Self {
        let mut field = Field::text(name);
        field.wit.metadata.push(("constant".to_owned(), text.to_owned()));
        self.column(field, "")
    }

    /// The columns as a schema with this primary key.
    #[must_use]
    pub fn schema(&self, primary_key: &[&str]) -> Schema {
        let fields = self.columns.iter().map(|column| Field { wit: column.field.clone() }).collect();
        Schema::new(fields, primary_key)
    }

    /// Decodes an answer in the host.
    pub fn decode(&self, response: &Response) -> Result<Table> {
        Ok(Table { wit: decode::json_table(&response.wit, &self.levels, &self.columns)? })
    }
}

/// Rows that the host decoded and keeps.
#[derive(Debug)]
pub struct Table {
    wit: decode::Table,
}

impl Table {
    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.wit.rows() as usize
    }

    /// These rows alone.
    #[must_use]
    pub fn slice(&self, start: usize, rows: usize) -> Self {
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { wit: self.wit.slice(number(start), number(rows)) }
    }

    /// Whether a text column holds any value.
    pub fn has(&self, column: &str) -> Result<bool> {
        let batch = self.wit.columns(&[column.to_owned()])?;
        let Some(found) = batch.columns.first() else { return Ok(false) };
        Ok(TextView::new(found, batch.rows as usize)?.iter().any(|value| value.is_some()))
    }

    /// The values of a text column, empty where null.
    pub fn texts(&self, column: &str) -> Result<Vec<String>> {
        let batch = self.wit.columns(&[column.to_owned()])?;
        let missing = || crate::error::Error::config(format!("no column `{column}` in the decoded table"));
        let found = batch.columns.first().ok_or_else(missing)?;
        let view = TextView::new(found, batch.rows as usize)?;
        Ok(view.iter().map(|value| value.unwrap_or_default().to_owned()).collect())
    }
}

/// Reads a granted CSV file table by table, in the host.
pub struct CsvReader {
    wit: decode::CsvReader,
}

impl CsvReader {
    /// Opens a granted file whose header must name every field of the schema.
    pub fn open(file: &str, schema: &Schema, delimiter: char) -> Result<Self> {
        let file = files::open(file)?;
        let options = serde_json::json!({ "delimiter": delimiter }).to_string();
        Ok(Self { wit: decode::csv(&file, &schema.wit, &options)? })
    }

    /// The next rows; none at the end.
    pub fn next(&self) -> Result<Option<Table>> {
        Ok(self.wit.next()?.map(|wit| Table { wit }))
    }
}

/// Primary keys, or the first columns of them, whose rows a page replaces.
#[derive(Debug, Clone)]
pub struct Prefixes(types::Batch);

impl Prefixes {
    /// Keys of any types.
    pub fn keys(keys: &[Key]) -> Result<Self> {
        Ok(Self(key_batch(keys)?))
    }

    /// Keys of one text each.
    #[must_use]
    pub fn texts(texts: &[String]) -> Self {
        let mut column = TextBuilder::new();
        texts.iter().for_each(|text| column.push(Some(text)));
        Self(types::Batch { rows: u32::try_from(texts.len()).unwrap_or(u32::MAX), columns: vec![column.finish()] })
    }
}

/// One page: rows of one or more streams, and the state that commits with them.
pub struct Page {
    pub(crate) wit: wit::Page,
}

impl Default for Page {
    fn default() -> Self {
        Self::new()
    }
}

impl Page {
    /// A page without rows.
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

    /// Adds rows of a stream that the source made itself.
    pub fn built(self, stream: &str, schema: &Schema, rows: Built) -> Result<Self> {
        let rows = wit::Rows::Guest(rows.finish(schema)?);
        Ok(self.part(stream, schema, Some(rows), None))
    }

    /// Old rows of a stream whose primary key starts with one of these go in the same transaction.
    #[must_use]
    pub fn replace(self, stream: &str, schema: &Schema, prefixes: &Prefixes) -> Self {
        self.part(stream, schema, None, Some(prefixes.0.clone()))
    }

    fn part(mut self, stream: &str, schema: &Schema, rows: Option<wit::Rows>, replace: Option<types::Batch>) -> Self {
        self.wit.parts.push(wit::Part { stream: stream.to_owned(), schema: schema.wit.clone(), rows, replace });
        self
    }

    /// The state that commits with this page.
    #[must_use]
    pub fn state<T: serde::Serialize>(mut self, state: &T) -> Self {
        self.wit.state = serde_json::to_string(state).ok();
        self
    }

    /// How many rows of the stream this reading will bring, if known.
    #[must_use]
    pub fn total(mut self, total: Option<u64>) -> Self {
        self.wit.total = total;
        self
    }

    /// Makes it one of a sweep, which brings every record that the account has.
    #[must_use]
    pub fn sweep(mut self, sweep: Option<Sweep>) -> Self {
        self.wit.sweep = sweep;
        self
    }

    /// How many records the account says it has.
    #[must_use]
    pub fn expected(mut self, expected: Option<u64>) -> Self {
        self.wit.expected = expected;
        self
    }

    /// Says whether it is the last.
    #[must_use]
    pub fn done(mut self, done: bool) -> Self {
        self.wit.done = done;
        self
    }
}

//! What a source implements, and the streams that it describes.

use crate::bindings::source_plugin::exports::elt::plugin::source as wit;
pub use crate::decode::{CsvReader, JsonTable, Table};
use crate::error::{Error, Result};
use crate::need::Need;
pub use crate::page::{Page, Prefixes, Sweep};
use crate::schema::Schema;

/// A source. [`export_source!`](crate::export_source) makes it the component's export.
///
/// Each call of the host first calls [`open`](Self::open) with the config, and then [`check`](Self::check),
/// [`identity`](Self::identity), [`discover`](Self::discover) or, for each stream, [`read`](Self::read).
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// #[derive(Deserialize, JsonSchema)]
/// struct Config {
///     /// The path of the list, such as `/records`.
///     path: String,
/// }
///
/// struct Service(Config);
///
/// fn records() -> JsonTable {
///     JsonTable::rows_at("/results").column(Field::text("id"), "/id").column(Field::text("name"), "/name")
/// }
///
/// impl Source for Service {
///     type Config = Config;
///
///     fn needs() -> Vec<Need> {
///         vec![Need::connection("service")]
///     }
///
///     fn open(config: Config) -> Result<Self> {
///         Ok(Self(config))
///     }
///
///     fn discover(&self, _: Option<&[String]>) -> Result<Vec<StreamInfo>> {
///         Ok(vec![StreamInfo::new("records", &records().schema(&["id"])).replaced()])
///     }
///
///     fn read(&self, _: Selection) -> Result<Box<dyn Reader>> {
///         Ok(Box::new(Records { path: self.0.path.clone() }))
///     }
/// }
///
/// struct Records {
///     path: String,
/// }
///
/// impl Reader for Records {
///     fn next(&mut self) -> Result<Page> {
///         let response = Request::get(&self.path).send("service")?.ok()?;
///         Ok(Page::new().rows("records", &records().schema(&["id"]), records().decode(&response)?).done(true))
///     }
/// }
///
/// export_source!(Service);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a source",
    label = "this type does not implement `Source`",
    note = "a source has `type Config`, `fn open(config: Config) -> Result<Self>`, \
            `fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>>` \
            and `fn read(&self, selection: Selection) -> Result<Box<dyn Reader>>`"
)]
pub trait Source: Sized + 'static {
    /// The pipeline's `config` of the source. The host checks the pipeline against its JSON Schema, in which the doc
    /// comments of the fields are the descriptions. Keys that the type does not have are refused.
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// The connections, files, rate limits and retry policy that the source needs.
    fn needs() -> Vec<Need> {
        Vec::new()
    }

    /// Opens the source.
    ///
    /// # Errors
    ///
    /// If the config does not allow the source to work. The host reports it before any data is read.
    fn open(config: Self::Config) -> Result<Self>;

    /// Tests what a long run would need: secret, scopes, files.
    ///
    /// # Errors
    ///
    /// If something is missing.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Identifies the account that the connection reaches; none if the source has no accounts. A warehouse that was
    /// filled from one account refuses another.
    ///
    /// # Errors
    ///
    /// If the account cannot be reached.
    fn identity(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// The streams with their columns: those with the wanted names that exist, or all streams if `wanted` is none. The
    /// host ignores streams that it did not ask for, so a source only needs to leave out those that cost requests.
    ///
    /// # Errors
    ///
    /// If the streams cannot be listed. A single stream that cannot be read is not an error: describe it with
    /// [`StreamInfo::unavailable`].
    fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>>;

    /// Starts to read a stream from its last committed state.
    ///
    /// # Errors
    ///
    /// If the stream does not exist, or its state cannot be read.
    fn read(&self, selection: Selection) -> Result<Box<dyn Reader>>;
}

/// Reads a stream page by page. The state of a page is committed with its rows, so that a run that was killed continues
/// after the last committed page.
pub trait Reader {
    /// The next page. The reader is not called again after a page that is [`done`](Page::done).
    ///
    /// # Errors
    ///
    /// Ends the run. The pages before it are committed.
    fn next(&mut self) -> Result<Page>;
}

/// Which stream to read, and from where.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The stream to read.
    pub stream: String,
    /// All selected streams of the source, so that a reader knows which others to bring.
    pub streams: Vec<String>,
    /// The state that was committed last, as JSON; none in the first run.
    pub state: Option<String>,
    /// Read everything that changed from this time on (RFC 3339), even if `state` is later.
    pub since: Option<String>,
}

impl Selection {
    /// The state that was committed last, as the reader's own type; none in the first run.
    ///
    /// ```
    /// use plugin_sdk::prelude::*;
    ///
    /// #[derive(Serialize, Deserialize)]
    /// struct Cursor {
    ///     after: Option<String>,
    /// }
    ///
    /// fn start(selection: &Selection) -> Result<Option<String>> {
    ///     Ok(selection.state::<Cursor>()?.and_then(|cursor| cursor.after))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If the state is not JSON of this type.
    pub fn state<T: serde::de::DeserializeOwned>(&self) -> Result<Option<T>> {
        let parse = |text: &String| {
            serde_json::from_str(text).map_err(|cause| {
                Error::config(format!("cannot read the stored cursor: {cause}")).hint(
                    "a newer version of the plugin may have written it: use that version, or read the stream from the \
                     start with `--full-refresh`",
                )
            })
        };
        self.state.as_ref().map(parse).transpose()
    }
}

/// A stream as `discover` describes it.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// let fields = vec![Field::text("id"), Field::text("name"), Field::new("archived", Type::Bool)];
/// let contacts = StreamInfo::new("contacts", &Schema::new(fields, &["id"])).scope("contacts.read").deleted("archived");
/// let fields = vec![Field::text("deal_id"), Field::text("contact_id")];
/// let links = StreamInfo::new("deals_contacts", &Schema::new(fields, &["deal_id", "contact_id"]))
///     .read_with("deals")
///     .refers("deal_id", "deals")
///     .refers("contact_id", "contacts");
/// assert_eq!(links.name(), "deals_contacts");
/// ```
#[derive(Debug, Clone)]
pub struct StreamInfo {
    pub(crate) wit: wit::StreamInfo,
}

impl StreamInfo {
    /// A stream with its schema. Its rows are merged on the primary key.
    #[must_use]
    pub fn new(name: &str, schema: &Schema) -> Self {
        Self { wit: wit::StreamInfo { name: name.to_owned(), schema: schema.wit.clone(), hints: Vec::new() } }
    }

    /// Every run replaces the whole stream.
    #[must_use]
    pub fn replaced(self) -> Self {
        self.hint("disposition", "replace")
    }

    /// The reader of another stream also brings the rows of this one.
    #[must_use]
    pub fn read_with(self, stream: &str) -> Self {
        self.hint("read-with", stream)
    }

    /// The permission that the account must give.
    #[must_use]
    pub fn scope(self, scope: &str) -> Self {
        self.hint("scope", scope)
    }

    /// The stream exists but cannot be read now: why, and how to fix that. The host skips it, and the run is partial.
    #[must_use]
    pub fn unavailable(self, why: &str, hint: &str) -> Self {
        self.hint("unavailable", why).hint("unavailable-hint", hint)
    }

    /// The stream is loaded only if the pipeline names it.
    #[must_use]
    pub fn on_request(self) -> Self {
        self.hint("on-request", "true")
    }

    /// Names the boolean column that marks records which the account no longer has.
    #[must_use]
    pub fn deleted(self, column: &str) -> Self {
        self.hint("deleted", column)
    }

    /// Says that a column holds the primary key of a record of another stream.
    #[must_use]
    pub fn refers(self, column: &str, stream: &str) -> Self {
        self.hint("refers", &format!("{column}={stream}"))
    }

    /// Says that a column holds free text, which may name the people that the record is linked to.
    ///
    /// When a person is erased (`host forget`), the host sets the column to null in the records that are or were linked
    /// to that person, and in the same records of later loads. Links are the rows of streams that
    /// [`refer`](Self::refers) to both. If the column is part of the primary key, the host deletes the row.
    ///
    /// ```
    /// use plugin_sdk::prelude::*;
    ///
    /// let notes = Schema::new(vec![Field::text("id"), Field::text("body")], &["id"]);
    /// let notes = StreamInfo::new("notes", &notes).free_text("body");
    /// ```
    #[must_use]
    pub fn free_text(self, column: &str) -> Self {
        self.hint("free-text", column)
    }

    /// Like [`free_text`](Self::free_text), but only for the rows in which the column `other` has the value `value`.
    #[must_use]
    pub fn free_text_where(self, column: &str, other: &str, value: &str) -> Self {
        self.hint("free-text", &format!("{column}/{other}={value}"))
    }

    /// Names the text column that lists the primary keys of the records which the account merged into this one,
    /// separated by `;`. Erasing one of these records erases all of them.
    #[must_use]
    pub fn merged(self, column: &str) -> Self {
        self.hint("merged", column)
    }

    /// The name of the stream.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.wit.name
    }

    fn hint(mut self, name: &str, value: &str) -> Self {
        self.wit.hints.push((name.to_owned(), value.to_owned()));
        self
    }
}

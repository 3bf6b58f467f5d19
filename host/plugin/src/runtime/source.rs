//! Source plugins: describe, check and discover them, and read their streams page by page.

use arrow_array::RecordBatch;
use host_core::error::{Error, Result, Subject};
use host_core::schema::{Disposition, FreeText, Schema, Stream};
use host_core::secret::{is_secret, redact};
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::bindings::source_world::exports::elt::plugin::source as wit_source;
use super::bindings::{source_world, types as wit};
use super::component::Component;
use super::contract::{lift_batch, lift_description, lift_error, lift_schema};
use super::description::Description;
use super::engine::Engine;
use super::grants::Grants;
use super::guest::call_guest;
use super::keys;
use super::limits::COLUMN_BYTES;
use super::names;
use super::state::State;
use crate::http::Connection;
use crate::memory::RowMemory;

/// The largest state, in bytes. It is written with each checkpoint.
const MAX_STATE: usize = 16 << 20;

/// A source plugin with its grants and config. Every call except [`SourcePlugin::open`] runs in an instance of its own.
#[derive(Clone)]
pub struct SourcePlugin {
    engine: Engine,
    component: Component,
    grants: Grants,
    config: String,
}

/// What to read of a stream, and from where.
#[derive(Debug, Clone)]
pub struct SourceSelection {
    /// The stream to read.
    pub stream: String,
    /// All selected streams of the source.
    pub streams: Vec<String>,
    /// The state of the last checkpoint.
    pub state: Option<String>,
    /// Read everything that changed since this instant, whatever the state says.
    pub since: Option<String>,
}

/// One page: rows that commit together with a state.
pub struct SourcePage {
    /// Rows by stream.
    pub parts: Vec<Part>,
    /// The state that commits with them.
    pub state: Option<String>,
    /// The number of rows that this read will return, if known.
    pub total: Option<u64>,
    /// The page's position in a sweep, if it belongs to one.
    pub sweep: Option<Sweep>,
    /// The number of records that the account reports.
    pub expected: Option<u64>,
    /// Whether it is the last page.
    pub done: bool,
}

impl SourcePage {
    /// The number of rows of a stream.
    #[must_use]
    pub fn rows_of(&self, stream: &str) -> u64 {
        let parts = self.parts.iter().filter(|part| part.stream == stream);
        parts.filter_map(|part| part.rows.as_ref()).map(|rows| rows.num_rows() as u64).sum()
    }

    /// Whether it has no row of any stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let batches = self.parts.iter().flat_map(|part| part.rows.iter().chain(&part.replace));
        batches.map(RecordBatch::num_rows).sum::<usize>() == 0
    }
}

/// A page's position in a sweep. A sweep reads every record that the account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// The first page: records seen before no longer count as seen.
    First,
    /// A page in between: its records are seen.
    Next,
    /// The last page: records that were not seen are gone.
    Last,
}

/// Rows of one stream.
pub struct Part {
    /// The stream.
    pub stream: String,
    /// Its columns and keys.
    pub schema: Schema,
    /// New rows.
    pub rows: Option<RecordBatch>,
    /// Prefixes of the primary key. Existing rows with these prefixes are replaced.
    pub replace: Option<RecordBatch>,
    /// The memory of both.
    pub memory: RowMemory,
}

macro_rules! call_source {
    ($self:ident, $function:ident, $name:literal $(, $argument:expr)*) => {{
        let mut store = $self.engine.store(&$self.component, $self.grants.clone());
        let plugin = $self.engine.source(&$self.component, &mut store).await?;
        call_guest!(&mut store, $name, plugin.elt_plugin_source().$function(&mut store $(, $argument)*))
    }};
}

impl SourcePlugin {
    /// A source with the pipeline's grants and config.
    #[must_use]
    pub fn new(engine: &Engine, component: &Component, grants: Grants, config: &serde_json::Value) -> Self {
        Self { engine: engine.clone(), component: component.clone(), grants, config: config.to_string() }
    }

    /// The plugin's description of itself.
    ///
    /// # Errors
    /// A trap, or a description that is not valid.
    pub async fn describe(&self) -> Result<Description> {
        let spec = call_source!(self, call_describe, "describe")?;
        lift_description(spec).map_err(|error| self.on(error))
    }

    /// Checks what a long run would need, such as the token's scopes.
    ///
    /// # Errors
    /// A trap, or the plugin's error.
    pub async fn check(&self) -> Result<()> {
        call_source!(self, call_check, "check", &self.config)?.map_err(lift_error)
    }

    /// The account that the connection reaches. None if the source has no accounts.
    ///
    /// # Errors
    /// A trap, or the plugin's error.
    pub async fn identity(&self) -> Result<Option<String>> {
        let identity = call_source!(self, call_identity, "identity", &self.config)?.map_err(lift_error)?;
        // It is shown and stored, and a source could take it from a response that repeats the token.
        Ok(identity.map(redact))
    }

    /// The streams of these names, as far as they exist, or all streams. Their columns are included.
    ///
    /// # Errors
    /// A trap, the plugin's error, or a stream that is not valid.
    pub async fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<Stream>> {
        let infos = call_source!(self, call_discover, "discover", &self.config, wanted)?.map_err(lift_error)?;
        names::check_stream_names(infos.iter().map(|info| info.name.as_str())).map_err(|error| self.on(error))?;
        infos.into_iter().map(|info| lift_stream(info).map_err(|error| self.on(error))).collect()
    }

    /// Opens a stream for reading.
    ///
    /// # Errors
    /// A trap, or the plugin's error.
    pub async fn open(&self, selection: SourceSelection) -> Result<SourceReader> {
        let mut store = self.engine.store(&self.component, self.grants.clone());
        let plugin = self.engine.source(&self.component, &mut store).await?;
        let SourceSelection { stream, streams, state, since } = selection;
        let selection = wit_source::Selection { stream, streams, state, since };
        let source = plugin.elt_plugin_source();
        let opened = call_guest!(&mut store, "open", source.call_open(&mut store, &self.config, &selection))?;
        let reader = opened.map_err(lift_error)?;
        Ok(SourceReader { plugin, store, reader, name: self.component.name.clone() })
    }

    fn on(&self, error: Error) -> Error {
        error.about(&Subject::Plugin(self.component.name.clone()))
    }
}

fn lift_stream(info: wit_source::StreamInfo) -> Result<Stream> {
    let on = |error: Error| error.on(format!("stream `{}`", info.name));
    let hints = |name| info.hints.iter().filter(move |(key, _)| key == name).map(|(_, value)| redact(value));
    let hint = |name| hints(name).next();
    let disposition = match hint("disposition").as_deref() {
        None | Some("merge") => Disposition::Merge,
        Some("replace") => Disposition::Replace,
        Some(other) => {
            let error = Error::plugin(format!("unknown disposition `{}`", names::shown(other)));
            return Err(on(error.hint("expected one of `merge`, `replace`")));
        }
    };
    let unavailable = hint("unavailable").map(|why| Error::config(why).maybe_hint(hint("unavailable-hint")));
    let schema = lift_schema(info.schema.clone()).map_err(on)?;
    let refers = hints("refers").filter_map(|value| value.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())));
    let refers: Vec<_> = refers.collect();
    let free_text: Vec<_> = hints("free-text").map(|hint| lift_free_text(&schema, hint)).collect();
    let (deleted, merged) = (hint("deleted"), hint("merged"));
    let texts = free_text.iter().flat_map(|text| [Some(&text.column), text.of.as_ref().map(|(column, _)| column)]);
    let hinted = refers.iter().map(|(column, _)| column).chain(texts.flatten()).chain(&deleted).chain(&merged);
    if let Some(unknown) = hinted.into_iter().find(|column| schema.field(column).is_none()) {
        return Err(on(Error::plugin(format!("a hint names the unknown column `{}`", names::shown(unknown)))));
    }
    Ok(Stream {
        name: info.name.clone(),
        schema,
        disposition,
        read_with: hint("read-with"),
        scope: hint("scope"),
        unavailable,
        on_request: hint("on-request").is_some(),
        deleted,
        refers,
        merged,
        free_text,
    })
}

/// Lifts a hint `COLUMN` or `COLUMN/OTHER=VALUE`.
fn lift_free_text(schema: &Schema, hint: String) -> FreeText {
    let condition = hint.split_once('/').filter(|_| schema.field(&hint).is_none());
    let condition = condition.and_then(|(column, of)| Some((column, of.split_once('=')?)));
    match condition {
        Some((column, (other, value))) => {
            FreeText { column: column.to_owned(), of: Some((other.to_owned(), value.to_owned())) }
        }
        None => FreeText { column: hint, of: None },
    }
}

/// The bytes of a guest's batch.
fn batch_bytes(batch: &wit::Batch) -> usize {
    let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    let column =
        |column: &wit::Column| COLUMN_BYTES + length(&column.validity) + length(&column.offsets) + column.values.len();
    batch.columns.iter().map(column).sum()
}

/// A stream being read, in an instance of its own.
pub struct SourceReader {
    plugin: source_world::SourcePlugin,
    store: Store<State>,
    reader: ResourceAny,
    name: String,
}

impl SourceReader {
    /// Reads the next page. Dropping the future cancels the requests in flight.
    ///
    /// # Errors
    /// A trap, the plugin's error, or a page that is not valid.
    pub async fn next(&mut self) -> Result<SourcePage> {
        let reader = self.plugin.elt_plugin_source().reader();
        let called = call_guest!(&mut self.store, "next", reader.call_next(&mut self.store, self.reader))?;
        let wit_source::Page { parts, state, total, sweep, expected, done } = called.map_err(lift_error)?;
        let parts = parts.into_iter().map(|part| self.part(part)).collect::<Result<_>>()?;
        let sweep = sweep.map(|sweep| match sweep {
            wit_source::Sweep::First => Sweep::First,
            wit_source::Sweep::Next => Sweep::Next,
            wit_source::Sweep::Last => Sweep::Last,
        });
        if let Some(state) = state.as_ref().filter(|state| state.len() > MAX_STATE) {
            let error = format!("its state has {} bytes: the limit is {} MiB", state.len(), MAX_STATE >> 20);
            return Err(self.on(Error::plugin(error)));
        }
        if state.as_deref().is_some_and(is_secret) {
            let error = Error::plugin("its state repeats a secret, and would be stored");
            return Err(self.on(error));
        }
        Ok(SourcePage { parts, state, total, sweep, expected, done })
    }

    /// The distinct warnings that the plugin logged.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.store.data().warnings
    }

    /// The requests per second that the widest rate limit of its connections allows.
    #[must_use]
    pub fn requests_per_second(&self) -> Option<f64> {
        let connections = self.store.data().grants.connections.values();
        connections.filter_map(Connection::requests_per_second).max_by(f64::total_cmp)
    }

    /// The number of requests sent so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.store.data().requests
    }

    fn part(&mut self, part: wit_source::Part) -> Result<Part> {
        let wit_source::Part { stream, schema, rows, replace } = part;
        names::check_stream_name(&stream).map_err(|error| self.on(error))?;
        let name = self.name.clone();
        let on = |error: Error| error.on(format!("stream `{stream}`")).about(&Subject::Plugin(name.clone()));
        let schema = lift_schema(schema).map_err(on)?;
        let mut memory = None;
        // Rows of a guest are in the host by now; what the host makes of them is as large.
        let mut guest_bytes = replace.as_ref().map_or(0, batch_bytes);
        let rows = match rows {
            None => None,
            Some(wit_source::Rows::Guest(batch)) => {
                guest_bytes += batch_bytes(&batch);
                Some(lift_batch(batch, &schema.fields).map_err(on)?)
            }
            Some(wit_source::Rows::Host(table)) => {
                let table = self.store.data_mut().handles.delete(table);
                let table = table.map_err(|cause| on(Error::plugin(cause.to_string())))?;
                memory = Some(table.reservation);
                Some(table.batch)
            }
        };
        let prefixes = |batch: wit::Batch| {
            let keys = schema.primary_key.iter().take(batch.columns.len());
            let fields: Vec<_> = keys.filter_map(|key| schema.field(key).cloned()).collect();
            lift_batch(batch, &fields)
        };
        let replace = replace.map(prefixes).transpose().map_err(on)?;
        rows.as_ref().map_or(Ok(()), |rows| keys::check(rows, &schema.primary_key)).map_err(on)?;
        let mut memory = RowMemory::new(memory);
        if guest_bytes > 0 {
            memory.add(self.store.data().memory.reserve(guest_bytes).map_err(|exceeded| on(exceeded.into()))?);
        }
        Ok(Part { stream, schema, rows, replace, memory })
    }

    fn on(&self, error: Error) -> Error {
        error.about(&Subject::Plugin(self.name.clone()))
    }
}

//! A source plugin: described, checked, discovered, and read page by page.

use arrow_array::RecordBatch;
use wasmtime::Store;
use wasmtime::component::ResourceAny;

use super::bindings::source_world::exports::elt::plugin::source as wit_source;
use super::bindings::{source_world, types as wit};
use super::connection::Connection;
use super::engine::{Component, Engine, arm, trap};
use super::imports::schema;
use super::state::{Grants, State, plain};
use super::{Description, Need, codec, names};
use crate::error::{Error, Kind, Result};
use crate::schema::{Disposition, FreeText, Schema, Stream};

/// Characters of an error that a plugin made.
const MESSAGE: usize = 4000;
/// Bytes of a state, which is written with each checkpoint.
const STATE_BYTES: usize = 16 << 20;

/// A source plugin with its grants and config; every call but `open` runs in a store of its own.
#[derive(Clone)]
pub struct SourcePlugin {
    engine: Engine,
    component: Component,
    grants: Grants,
    config: String,
}

/// What to read, and from where.
#[derive(Debug, Clone)]
pub struct SourceSelection {
    /// The stream to read.
    pub stream: String,
    /// All selected streams of the source.
    pub streams: Vec<String>,
    /// The state of the last checkpoint.
    pub state: Option<String>,
    /// Read all that changed from this instant.
    pub since: Option<String>,
}

/// One page: rows that commit together with a state.
pub struct SourcePage {
    /// Rows by stream.
    pub parts: Vec<Part>,
    /// The state that commits with them.
    pub state: Option<String>,
    /// How many rows this reading will bring, if known.
    pub total: Option<u64>,
    /// Whether it is one of a sweep, and which.
    pub sweep: Option<Sweep>,
    /// How many records the account says it has.
    pub expected: Option<u64>,
    /// Whether it is the last.
    pub done: bool,
}

impl SourcePage {
    /// How many rows it holds of a stream.
    #[must_use]
    pub fn rows_of(&self, stream: &str) -> u64 {
        let parts = self.parts.iter().filter(|part| part.stream == stream);
        parts.filter_map(|part| part.rows.as_ref()).map(|rows| rows.num_rows() as u64).sum()
    }

    /// Whether it brings nothing, of any stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let batches = self.parts.iter().flat_map(|part| part.rows.iter().chain(&part.replace));
        batches.map(RecordBatch::num_rows).sum::<usize>() == 0
    }
}

/// Where a page stands in a sweep, which brings every record that the account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// What was seen before counts no more.
    First,
    /// What it brings is seen.
    Next,
    /// What was not seen is gone.
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
    /// Prefixes of the primary key whose old rows go.
    pub replace: Option<RecordBatch>,
}

/// The contract's error as the host's.
pub(crate) fn lift_error(error: wit::Error) -> Error {
    let kind = match error.kind {
        wit::ErrorKind::Config | wit::ErrorKind::Auth => Kind::Config,
        wit::ErrorKind::RateLimited | wit::ErrorKind::Transient => Kind::Unavailable,
        wit::ErrorKind::Data => Kind::Data,
        wit::ErrorKind::Internal => Kind::Plugin,
    };
    let details = error.details_json.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let hint = details.and_then(|details| Some(details.get("hint")?.as_str()?.to_owned()));
    Error { kind, message: plain(error.message, MESSAGE), hint: hint.map(|hint| plain(hint, MESSAGE)) }
}

pub(crate) fn lift_spec(spec: wit::Spec, plugin: &str) -> Result<Description> {
    let json = |text: &str, what: &str| {
        serde_json::from_str(text)
            .map_err(|cause| Error::plugin(format!("plugin `{plugin}`: its {what} is not JSON: {cause}")))
    };
    let config_schema = json(&spec.config_schema, "config schema")?;
    let is_valid = crate::pipeline::validator(&config_schema).map(drop);
    is_valid.map_err(|error| Error::plugin(plain(error.message, MESSAGE)).on(format!("plugin `{plugin}`")))?;
    let need =
        |need: wit::Need| Ok(Need { details: json(&need.details_json, "need")?, kind: need.kind, name: need.name });
    let needs = spec.needs.into_iter().map(need).collect::<Result<_>>()?;
    Ok(Description { name: spec.name, version: spec.version, config_schema, needs })
}

macro_rules! call {
    ($self:ident, $function:ident $(, $argument:expr)*) => {{
        let mut store = $self.engine.store($self.grants.clone());
        let plugin = $self.engine.source(&$self.component, &mut store).await?;
        let time = arm(&mut store);
        let called = time.within(plugin.elt_plugin_source().$function(&mut store $(, $argument)*)).await;
        called.map_err(|cause| trap(&$self.component.name, stringify!($function), &store, &cause))?
    }};
}

impl SourcePlugin {
    /// A source with what the pipeline grants and says to it.
    #[must_use]
    pub fn new(engine: &Engine, component: &Component, grants: Grants, config: &serde_json::Value) -> Self {
        Self { engine: engine.clone(), component: component.clone(), grants, config: config.to_string() }
    }

    /// What the plugin says of itself.
    pub async fn describe(&self) -> Result<Description> {
        let spec = call!(self, call_describe);
        lift_spec(spec, &self.component.name)
    }

    /// Tries what a long run would need.
    pub async fn check(&self) -> Result<()> {
        call!(self, call_check, &self.config).map_err(lift_error)
    }

    /// Which account the connection reaches.
    pub async fn identity(&self) -> Result<Option<String>> {
        call!(self, call_identity, &self.config).map_err(lift_error)
    }

    /// The streams of these names with their columns, as far as there are such; all where no name is given.
    pub async fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<Stream>> {
        let infos = call!(self, call_discover, &self.config, wanted).map_err(lift_error)?;
        let on = |error: Error| error.on(format!("plugin `{}`", self.component.name));
        names::check_streams(infos.iter().map(|info| info.name.as_str())).map_err(on)?;
        infos.into_iter().map(|info| lift_stream(info).map_err(on)).collect()
    }

    /// Starts reading a stream.
    pub async fn open(&self, selection: SourceSelection) -> Result<Reader> {
        let mut store = self.engine.store(self.grants.clone());
        let plugin = self.engine.source(&self.component, &mut store).await?;
        let SourceSelection { stream, streams, state, since } = selection;
        let selection = wit_source::Selection { stream, streams, state, since };
        let time = arm(&mut store);
        let opened = time.within(plugin.elt_plugin_source().call_open(&mut store, &self.config, &selection)).await;
        let opened = opened.map_err(|cause| trap(&self.component.name, "open", &store, &cause))?;
        let reader = opened.map_err(lift_error)?;
        Ok(Reader { plugin, store, reader, name: self.component.name.clone() })
    }
}

fn lift_stream(info: wit_source::StreamInfo) -> Result<Stream> {
    let on = |error: Error| error.on(format!("stream `{}`", info.name));
    let hint = |name: &str| info.hints.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let disposition = match hint("disposition").as_deref() {
        None | Some("merge") => Disposition::Merge,
        Some("replace") => Disposition::Replace,
        Some(other) => return Err(on(Error::plugin(format!("`{other}` is no disposition")))),
    };
    let (read_with, scope) = (hint("read-with"), hint("scope"));
    let unavailable =
        hint("unavailable").map(|why| Error::config(why).hint(hint("unavailable-hint").unwrap_or_default()));
    let schema = schema(info.schema.clone()).map_err(on)?;
    let (on_request, deleted) = (hint("on-request").is_some(), hint("deleted"));
    let hints = |name| info.hints.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.clone());
    let refers = hints("refers").filter_map(|value| value.split_once('=').map(|(a, b)| (a.to_owned(), b.to_owned())));
    let refers: Vec<_> = refers.collect();
    let free_text: Vec<_> = hints("free-text").map(|hint| free_text(&schema, hint)).collect();
    let merged = hint("merged");
    let texts = free_text.iter().flat_map(|text| [Some(&text.column), text.of.as_ref().map(|(column, _)| column)]);
    let hinted = refers.iter().map(|(column, _)| column).chain(texts.flatten()).chain(&deleted).chain(&merged);
    if let Some(unknown) = hinted.into_iter().find(|column| schema.field(column).is_none()) {
        return Err(on(Error::plugin(format!("a hint names `{}`, which is no column of it", names::shown(unknown)))));
    }
    let name = info.name.clone();
    Ok(Stream {
        name,
        schema,
        disposition,
        read_with,
        scope,
        unavailable,
        on_request,
        deleted,
        refers,
        merged,
        free_text,
    })
}

/// `COLUMN`, or `COLUMN/OTHER=VALUE`.
fn free_text(schema: &Schema, hint: String) -> FreeText {
    let within = hint.split_once('/').filter(|_| schema.field(&hint).is_none());
    let of = within.and_then(|(column, of)| Some((column, of.split_once('=')?)));
    match of {
        Some((column, (other, value))) => {
            FreeText { column: column.to_owned(), of: Some((other.to_owned(), value.to_owned())) }
        }
        None => FreeText { column: hint, of: None },
    }
}

/// A stream being read, in a store that lives as long.
pub struct Reader {
    plugin: source_world::SourcePlugin,
    store: Store<State>,
    reader: ResourceAny,
    name: String,
}

impl Reader {
    /// The next page. Dropping the future cancels the requests under way.
    pub async fn next(&mut self) -> Result<SourcePage> {
        let time = arm(&mut self.store);
        let reader = self.plugin.elt_plugin_source().reader();
        let called = time.within(reader.call_next(&mut self.store, self.reader)).await;
        let mut page = called.map_err(|cause| trap(&self.name, "next", &self.store, &cause))?.map_err(lift_error)?;
        let parts = std::mem::take(&mut page.parts).into_iter().map(|part| self.part(part)).collect::<Result<_>>()?;
        let sweep = page.sweep.map(|sweep| match sweep {
            wit_source::Sweep::First => Sweep::First,
            wit_source::Sweep::Next => Sweep::Next,
            wit_source::Sweep::Last => Sweep::Last,
        });
        let wit_source::Page { state, total, expected, done, .. } = page;
        if let Some(state) = state.as_ref().filter(|state| state.len() > STATE_BYTES) {
            let (name, bytes, most) = (&self.name, state.len(), STATE_BYTES >> 20);
            return Err(Error::plugin(format!("plugin `{name}`: a state of {bytes} bytes, of {most} MiB at most")));
        }
        Ok(SourcePage { parts, state, total, sweep, expected, done })
    }

    /// What the plugin warned of.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.store.data().warnings
    }

    /// Requests a second that the widest limit of its connections allows.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        let connections = self.store.data().grants.connections.values();
        connections.filter_map(Connection::rate).max_by(f64::total_cmp)
    }

    /// Requests sent so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.store.data().requests
    }

    fn part(&mut self, part: wit_source::Part) -> Result<Part> {
        let wit_source::Part { stream, schema: raw, rows, replace } = part;
        names::check_stream(&stream).map_err(|error| error.on(format!("plugin `{}`", self.name)))?;
        let on = |error: Error| error.on(format!("plugin `{}`: stream `{stream}`", self.name));
        let schema = schema(raw).map_err(on)?;
        let rows = match rows {
            None => None,
            Some(wit_source::Rows::Guest(batch)) => Some(codec::lift_batch(batch, &schema.fields).map_err(on)?),
            Some(wit_source::Rows::Host(table)) => {
                let table = self.store.data_mut().handles.delete(table);
                Some(table.map_err(|cause| on(Error::plugin(format!("{cause}"))))?.batch)
            }
        };
        let prefix = |batch: wit::Batch| {
            let keys = schema.primary_key.iter().take(batch.columns.len());
            let fields: Vec<_> = keys.filter_map(|key| schema.field(key).cloned()).collect();
            codec::lift_batch(batch, &fields)
        };
        let replace = replace.map(prefix).transpose().map_err(on)?;
        Ok(Part { stream, schema, rows, replace })
    }
}

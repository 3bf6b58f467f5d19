//! Converts between the contract's types and the host's. `lift` is from the guest, with checks; `lower` is to the
//! guest.

use arrow_array::{Array, ArrayRef, RecordBatch};
use host_core::error::{Error, Kind, Result};
use host_core::schema::{EXTRACTED_AT, Field, LOAD_ID, Schema, Type, UNFIT};
use host_core::secret::redact;

use super::bindings::types as wit;
use super::description::{Description, Need, NeedKind};
use super::limits::{CONFIG_SCHEMA_BYTES, DETAILS_BYTES, MAX_COLUMNS};
use super::names;
use super::text::sanitize;
use crate::codec::{self, BatchBuffers, ColumnBuffers};
use crate::http::{RequestError, RequestErrorKind};

/// Characters of a plugin's error message or hint.
const MESSAGE_CHARS: usize = 4000;

/// An error of the host as a guest sees it.
impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            Kind::Config => wit::ErrorKind::Config,
            Kind::Unavailable => wit::ErrorKind::Transient,
            Kind::Data => wit::ErrorKind::Data,
            Kind::Plugin | Kind::Internal | Kind::Interrupted => wit::ErrorKind::Internal,
        };
        lower_error(kind, "host", error.message(), error.hint_text())
    }
}

/// A request without a response as a guest sees it.
impl From<RequestError> for wit::Error {
    fn from(error: RequestError) -> Self {
        let kind = match error.kind {
            RequestErrorKind::Config => wit::ErrorKind::Config,
            RequestErrorKind::Auth => wit::ErrorKind::Auth,
            RequestErrorKind::RateLimited => wit::ErrorKind::RateLimited,
            RequestErrorKind::Transient => wit::ErrorKind::Transient,
            RequestErrorKind::Data => wit::ErrorKind::Data,
            RequestErrorKind::Internal => wit::ErrorKind::Internal,
        };
        lower_error(kind, error.code, error.message, error.hint)
    }
}

fn lower_error(kind: wit::ErrorKind, code: &str, message: String, hint: Option<String>) -> wit::Error {
    let details_json = hint.map(|hint| serde_json::json!({ "hint": hint }).to_string());
    wit::Error { kind, code: code.to_owned(), message, retry_after_ms: None, details_json }
}

/// Lifts an error that a guest returned, without secrets.
pub(super) fn lift_error(error: wit::Error) -> Error {
    let kind = match error.kind {
        wit::ErrorKind::Config | wit::ErrorKind::Auth => Kind::Config,
        wit::ErrorKind::RateLimited | wit::ErrorKind::Transient => Kind::Unavailable,
        wit::ErrorKind::Data => Kind::Data,
        wit::ErrorKind::Internal => Kind::Plugin,
    };
    let details = error.details_json.filter(|text| text.len() <= DETAILS_BYTES);
    let details = details.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let hint = details.and_then(|details| Some(sanitize(details.get("hint")?.as_str()?, MESSAGE_CHARS)));
    Error::new(kind, sanitize(error.message, MESSAGE_CHARS)).maybe_hint(hint)
}

/// Lifts a plugin's description.
pub(super) fn lift_description(spec: wit::Spec) -> Result<Description> {
    let json = |text: &str, most: usize, what: &str| -> Result<serde_json::Value> {
        if text.len() > most {
            return Err(Error::plugin(format!("its {what} has {} bytes: the limit is {most}", text.len())));
        }
        serde_json::from_str(text).map_err(|cause| Error::plugin(format!("its {what} is not valid JSON: {cause}")))
    };
    let config_schema = json(&spec.config_schema, CONFIG_SCHEMA_BYTES, "config schema")?;
    host_document::validator(&config_schema)
        .map_err(|error| error.map_messages(|message| sanitize(message, MESSAGE_CHARS)))?;
    let need = |need: wit::Need| {
        let (kind, name) = (names::shown(&need.kind), names::shown(&need.name));
        let details = json(&need.details_json, DETAILS_BYTES, &format!("details of need `{name}`"))?;
        Ok(Need { kind: NeedKind::parse(kind), name, details })
    };
    let needs = spec.needs.into_iter().map(need).collect::<Result<_>>()?;
    let (name, version) = (names::shown(&spec.name), names::shown(&spec.version));
    Ok(Description { name, version, config_schema, needs })
}

/// Checks the number of columns of a table.
pub(super) fn check_columns(count: usize) -> Result<()> {
    if count <= MAX_COLUMNS {
        return Ok(());
    }
    Err(Error::plugin(format!("a table of {count} columns: the limit is {MAX_COLUMNS}")))
}

/// Lifts a field.
pub(super) fn lift_field(field: wit::Field) -> Result<Field> {
    names::check_column_name(&field.name)?;
    let data_type = Type::parse(&field.format).map_err(|error| error.on(format!("column `{}`", field.name)))?;
    let metadata = field.metadata.into_iter().map(|(key, value)| (names::shown(&key), redact(value)));
    Ok(Field { name: field.name, data_type, metadata: metadata.collect() })
}

/// Lifts the schema of a stream.
pub(super) fn lift_schema(schema: wit::Schema) -> Result<Schema> {
    check_columns(schema.fields.len())?;
    let fields = schema.fields.into_iter().map(lift_field).collect::<Result<Vec<_>>>()?;
    if let Some(reserved) = fields.iter().find(|field| names::is_reserved(&field.name)) {
        let error = Error::plugin(format!("column `{}` is reserved for the host", reserved.name));
        return Err(error.hint(format!(
            "rename it: `{UNFIT}`, `{LOAD_ID}`, `{EXTRACTED_AT}` and names that start with `_host` are reserved"
        )));
    }
    names::check_distinct("column", fields.iter().map(|field| field.name.as_str()))?;
    if schema.primary_key.is_empty() {
        return Err(Error::plugin("the schema has no primary key"));
    }
    names::check_distinct("key column", schema.primary_key.iter().map(String::as_str))?;
    for key in &schema.primary_key {
        if !fields.iter().any(|field| field.name == *key) {
            return Err(Error::plugin(format!("the primary key `{}` is not a column", names::shown(key))));
        }
    }
    Ok(Schema { fields, primary_key: schema.primary_key, cursor: schema.cursor })
}

/// Lowers a schema.
pub(super) fn lower_schema(schema: &Schema) -> wit::Schema {
    let field = |field: &Field| wit::Field {
        name: field.name.clone(),
        format: field.data_type.format(),
        nullable: true,
        metadata: field.metadata.clone().into_iter().collect(),
    };
    wit::Schema {
        fields: schema.fields.iter().map(field).collect(),
        primary_key: schema.primary_key.clone(),
        cursor: schema.cursor.clone(),
    }
}

/// Lifts and checks a column.
pub(super) fn lift_column(column: wit::Column, data_type: Type, rows: usize) -> Result<ArrayRef> {
    codec::decode(buffers(column), data_type, rows)
}

/// Lifts and checks a batch of these fields.
pub(super) fn lift_batch(batch: wit::Batch, fields: &[Field]) -> Result<RecordBatch> {
    let columns = batch.columns.into_iter().map(buffers).collect();
    codec::decode_batch(BatchBuffers { rows: batch.rows, columns }, fields)
}

/// Lowers a column.
pub(super) fn lower_column(array: &dyn Array) -> Result<wit::Column> {
    codec::encode(array).map(wit_column)
}

/// Lowers a batch.
pub(super) fn lower_batch(batch: &RecordBatch) -> Result<wit::Batch> {
    let BatchBuffers { rows, columns } = codec::encode_batch(batch)?;
    Ok(wit::Batch { rows, columns: columns.into_iter().map(wit_column).collect() })
}

fn buffers(wit::Column { validity, offsets, values }: wit::Column) -> ColumnBuffers {
    ColumnBuffers { validity, offsets, values }
}

fn wit_column(ColumnBuffers { validity, offsets, values }: ColumnBuffers) -> wit::Column {
    wit::Column { validity, offsets, values }
}

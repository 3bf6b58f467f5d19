//! The host's decoders. Guests get handles to the decoded rows.

use std::sync::Arc;

use arrow_array::{Array as _, RecordBatch};
use host_core::error::{Error, Result};
use wasmtime::component::Resource;

use super::Answer;
use crate::decode::DecodeError;
use crate::decode::csv::CsvReader;
use crate::decode::json::{self, JsonColumn};
use crate::http::response::HttpResponse;
use crate::memory::{HostMemory, Reservation};
use crate::runtime::bindings::source_world::elt::plugin::decode;
use crate::runtime::bindings::types as wit;
use crate::runtime::contract::{check_columns, lift_field, lift_schema, lower_column};
use crate::runtime::limits::{COLUMN_BYTES, DETAILS_BYTES, HANDLE_BYTES};
use crate::runtime::resources::{DecodedTable, GrantedFile, OpenCsv};
use crate::runtime::state::State;

impl State {
    /// Keeps decoded rows for the guest.
    fn keep(&mut self, batch: RecordBatch, reservation: Arc<Reservation>) -> wasmtime::Result<Resource<DecodedTable>> {
        let handle = self.memory.reserve(HANDLE_BYTES + COLUMN_BYTES * batch.num_columns())?;
        Ok(self.handles.push(DecodedTable { batch, reservation, _handle: handle })?)
    }

    fn open_csv(
        &mut self,
        source: &Resource<GrantedFile>,
        fields: wit::Schema,
        options_json: &str,
    ) -> wasmtime::Result<Result<OpenCsv, DecodeError>> {
        let open = self.open_file()?;
        let source = self.handles.get(source)?;
        Ok(open_csv(source, fields, options_json, &self.memory).map(|reader| OpenCsv { reader, _open: open }))
    }
}

/// A result for the guest. Exceeding a memory limit traps it.
fn answer<T>(result: Result<T, DecodeError>) -> wasmtime::Result<Result<T, wit::Error>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(DecodeError::Data(error)) => Ok(Err(error.into())),
        Err(DecodeError::Memory(exceeded)) => Err(exceeded.into()),
    }
}

fn lift_column(column: decode::JsonColumn) -> Result<JsonColumn> {
    let decode::JsonColumn { field, level, path } = column;
    Ok(JsonColumn { field: lift_field(field)?, level: level as usize, path })
}

fn open_csv(
    source: &GrantedFile,
    fields: wit::Schema,
    options_json: &str,
    memory: &HostMemory,
) -> Result<CsvReader, DecodeError> {
    let options = Some(options_json).filter(|options| options.len() <= DETAILS_BYTES);
    let options =
        options.and_then(|options| serde_json::from_str::<serde_json::Value>(options).ok()).unwrap_or_default();
    let delimiter = options.get("delimiter").and_then(|delimiter| delimiter.as_str()).unwrap_or(",");
    let delimiter = delimiter.bytes().next().unwrap_or(b',');
    let path = source.path.display().to_string();
    let file = source.file.try_clone().map_err(|cause| Error::config(format!("{path}: {cause}")))?;
    CsvReader::open(path, file, lift_schema(fields)?, delimiter, memory)
}

impl decode::Host for State {
    async fn json_table(
        &mut self,
        body: Resource<HttpResponse>,
        levels: Vec<String>,
        columns: Vec<decode::JsonColumn>,
    ) -> Answer<Resource<DecodedTable>> {
        let count = check_columns(columns.len());
        let columns = count.and_then(|()| columns.into_iter().map(lift_column).collect::<Result<Vec<_>>>());
        let response = self.handles.get(&body)?;
        let body = response.json().map_err(|cause| Error::data(format!("the response is {cause}")));
        let decoded = match (body, columns) {
            (Ok(body), Ok(columns)) => json::decode(body, &levels, &columns, &self.memory),
            (Err(error), _) | (_, Err(error)) => Err(error.into()),
        };
        Ok(match answer(decoded)? {
            Ok((batch, reservation)) => Ok(self.keep(batch, Arc::new(reservation))?),
            Err(error) => Err(error),
        })
    }

    async fn csv(
        &mut self,
        source: Resource<GrantedFile>,
        fields: wit::Schema,
        options_json: String,
    ) -> Answer<Resource<OpenCsv>> {
        let opened = self.open_csv(&source, fields, &options_json)?;
        Ok(match answer(opened)? {
            Ok(reader) => Ok(self.handles.push(reader)?),
            Err(error) => Err(error),
        })
    }
}

impl decode::HostTable for State {
    async fn rows(&mut self, this: Resource<DecodedTable>) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.handles.get(&this)?.batch.num_rows()).unwrap_or(u32::MAX))
    }

    async fn columns(&mut self, this: Resource<DecodedTable>, names: Vec<String>) -> Answer<wit::Batch> {
        let batch = &self.handles.get(&this)?.batch;
        if names.len() > batch.num_columns() {
            return Ok(Err(Error::plugin("more columns requested than the decoded table has").into()));
        }
        let unknown = |name: &String| Error::config(format!("unknown column `{name}` of the decoded table"));
        let find = |name: &String| batch.column_by_name(name).ok_or_else(|| unknown(name));
        let found: Vec<_> = match names.iter().map(find).collect() {
            Ok(found) => found,
            Err(error) => return Ok(Err(error.into())),
        };
        // The names may repeat a column.
        let bytes = found.iter().map(|column| COLUMN_BYTES + column.to_data().get_slice_memory_size().unwrap_or(0));
        let copy = self.memory.budget().share(bytes.sum())?;
        let columns: Result<Vec<_>> = found.into_iter().map(|column| lower_column(column)).collect();
        let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        self.keep_copy(copy);
        Ok(columns.map(|columns| wit::Batch { rows, columns }).map_err(Into::into))
    }

    async fn slice(
        &mut self,
        this: Resource<DecodedTable>,
        start: u32,
        rows: u32,
    ) -> wasmtime::Result<Resource<DecodedTable>> {
        let DecodedTable { batch, reservation, .. } = self.handles.get(&this)?;
        let start = (start as usize).min(batch.num_rows());
        let batch = batch.slice(start, (rows as usize).min(batch.num_rows() - start));
        let reservation = Arc::clone(reservation);
        self.keep(batch, reservation)
    }

    async fn drop(&mut self, this: Resource<DecodedTable>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

impl decode::HostCsvReader for State {
    async fn next(&mut self, this: Resource<OpenCsv>) -> Answer<Option<Resource<DecodedTable>>> {
        let table = self.handles.get_mut(&this)?.reader.next();
        Ok(match answer(table)? {
            Ok(Some((batch, reservation))) => Ok(Some(self.keep(batch, Arc::new(reservation))?)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        })
    }

    async fn drop(&mut self, this: Resource<OpenCsv>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

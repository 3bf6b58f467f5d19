//! The host's decoders. Guests get handles to the decoded rows.

use std::sync::Arc;

use arrow_array::RecordBatch;
use host_core::error::{Error, Result};
use wasmtime::component::Resource;

use super::Answer;
use crate::decode::csv::CsvReader;
use crate::decode::json::{self, JsonColumn};
use crate::http::response::HttpResponse;
use crate::runtime::bindings::source_world::elt::plugin::decode;
use crate::runtime::bindings::types as wit;
use crate::runtime::contract::{check_columns, lift_field, lift_schema, lower_column};
use crate::runtime::limits::DETAILS_BYTES;
use crate::runtime::resources::{DecodedTable, GrantedFile};
use crate::runtime::state::State;

impl State {
    /// Keeps decoded rows for the guest.
    fn keep(&mut self, batch: RecordBatch) -> wasmtime::Result<Resource<DecodedTable>> {
        let reservation = Arc::new(self.memory.reserve(batch.get_array_memory_size())?);
        Ok(self.handles.push(DecodedTable { batch, reservation })?)
    }
}

fn lift_column(column: decode::JsonColumn) -> Result<JsonColumn> {
    let decode::JsonColumn { field, level, path } = column;
    Ok(JsonColumn { field: lift_field(field)?, level: level as usize, path })
}

fn open_csv(source: &GrantedFile, fields: wit::Schema, options_json: &str) -> Result<CsvReader> {
    let options = Some(options_json).filter(|options| options.len() <= DETAILS_BYTES);
    let options = options.and_then(|options| serde_json::from_str::<serde_json::Value>(options).ok()).unwrap_or_default();
    let delimiter = options.get("delimiter").and_then(|delimiter| delimiter.as_str()).unwrap_or(",");
    let delimiter = delimiter.bytes().next().unwrap_or(b',');
    let path = source.path.display().to_string();
    let file = source.file.try_clone().map_err(|cause| Error::config(format!("{path}: {cause}")))?;
    CsvReader::open(path, file, lift_schema(fields)?, delimiter)
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
        let decoded = columns.and_then(|columns| json::decode(body?, &levels, &columns));
        Ok(match decoded {
            Ok(batch) => Ok(self.keep(batch)?),
            Err(error) => Err(error.into()),
        })
    }

    async fn csv(
        &mut self,
        source: Resource<GrantedFile>,
        fields: wit::Schema,
        options_json: String,
    ) -> Answer<Resource<CsvReader>> {
        Ok(match open_csv(self.handles.get(&source)?, fields, &options_json) {
            Ok(reader) => Ok(self.handles.push(reader)?),
            Err(error) => Err(error.into()),
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
        let lower = |name: &String| lower_column(batch.column_by_name(name).ok_or_else(|| unknown(name))?);
        let columns: Result<Vec<_>> = names.iter().map(lower).collect();
        let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
        Ok(columns.map(|columns| wit::Batch { rows, columns }).map_err(Into::into))
    }

    async fn slice(
        &mut self,
        this: Resource<DecodedTable>,
        start: u32,
        rows: u32,
    ) -> wasmtime::Result<Resource<DecodedTable>> {
        let DecodedTable { batch, reservation } = self.handles.get(&this)?;
        let start = (start as usize).min(batch.num_rows());
        let batch = batch.slice(start, (rows as usize).min(batch.num_rows() - start));
        let reservation = Arc::clone(reservation);
        Ok(self.handles.push(DecodedTable { batch, reservation })?)
    }

    async fn drop(&mut self, this: Resource<DecodedTable>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

impl decode::HostCsvReader for State {
    async fn next(&mut self, this: Resource<CsvReader>) -> Answer<Option<Resource<DecodedTable>>> {
        Ok(match self.handles.get_mut(&this)?.next() {
            Ok(Some(batch)) => Ok(Some(self.keep(batch)?)),
            Ok(None) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    async fn drop(&mut self, this: Resource<CsvReader>) -> wasmtime::Result<()> {
        self.handles.delete(this)?;
        Ok(())
    }
}

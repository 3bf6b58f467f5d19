//! Entries for the fuzzers in `host/fuzz`, which reach what is private otherwise. The feature `fuzzing` adds them.

use arrow_array::RecordBatch;
use host_core::error::{Error, Result};
use host_core::schema::{Field, Schema};

use crate::codec::{self, BatchBuffers, ColumnBuffers};
use crate::decode::csv::CsvReader;
use crate::decode::depth::JsonText;
use crate::decode::json::{self, JsonColumn};
use crate::memory::{HostMemory, MemoryBudget};

pub use crate::runtime::{description, guest_error, schema};

/// A column's buffers as a guest sends them.
#[derive(Debug)]
pub struct Buffers {
    /// A bit for each row that has a value.
    pub validity: Option<Vec<u8>>,
    /// Offsets of texts.
    pub offsets: Option<Vec<u8>>,
    /// The values.
    pub values: Vec<u8>,
}

/// Decodes a JSON body. `columns` are fields with the level and the pointer of their values.
///
/// # Errors
/// As for a response that does not decode.
pub fn json(levels: &[String], columns: Vec<(Field, usize, String)>, body: &[u8]) -> Result<RecordBatch> {
    let column = |(field, level, path)| JsonColumn { field, level, path };
    let body = JsonText::new(body).map_err(|cause| Error::data(cause.to_string()))?;
    let columns = columns.into_iter().map(column).collect::<Vec<_>>();
    Ok(json::decode(body, levels, &columns, &memory()).map(|(batch, _)| batch)?)
}

/// Reads a CSV file to its end.
///
/// # Errors
/// As for a file that does not decode.
pub fn csv(file: std::fs::File, schema: Schema, delimiter: u8) -> Result<Vec<RecordBatch>> {
    let mut reader = CsvReader::open("file.csv".to_owned(), file, schema, delimiter, &memory())?;
    std::iter::from_fn(|| reader.next().transpose()).map(|table| Ok(table?.0)).collect()
}

fn memory() -> HostMemory {
    HostMemory::new(MemoryBudget::default())
}

/// Decodes a guest's batch.
///
/// # Errors
/// Buffers that break the contract.
pub fn decode_batch(rows: u32, columns: Vec<Buffers>, fields: &[Field]) -> Result<RecordBatch> {
    let buffers = |Buffers { validity, offsets, values }| ColumnBuffers { validity, offsets, values };
    codec::decode_batch(BatchBuffers { rows, columns: columns.into_iter().map(buffers).collect() }, fields)
}

/// Encodes a batch for a guest: its number of rows and its columns.
///
/// # Errors
/// A type that the contract lacks.
pub fn encode_batch(batch: &RecordBatch) -> Result<(u32, Vec<Buffers>)> {
    let BatchBuffers { rows, columns } = codec::encode_batch(batch)?;
    let buffers = |ColumnBuffers { validity, offsets, values }| Buffers { validity, offsets, values };
    Ok((rows, columns.into_iter().map(buffers).collect()))
}

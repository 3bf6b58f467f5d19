//! The contract's codec: columns between Arrow arrays and flat buffers. A guest's buffers are untrusted, so every
//! length, offset, UTF-8 sequence and bit is checked before Arrow sees it.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use host_core::error::{Error, Result};
use host_core::schema::{Field, Schema, Type};

/// The most rows in a guest's batch. Without a limit, a batch without columns could claim any number in a few bytes.
const MAX_BATCH_ROWS: usize = 1 << 20;

/// A column as the contract lays it out; see `column` in `wit/`.
#[derive(Debug)]
pub(crate) struct ColumnBuffers {
    pub(crate) validity: Option<Vec<u8>>,
    pub(crate) offsets: Option<Vec<u8>>,
    pub(crate) values: Vec<u8>,
}

/// A batch as the contract lays it out.
#[derive(Debug)]
pub(crate) struct BatchBuffers {
    pub(crate) rows: u32,
    pub(crate) columns: Vec<ColumnBuffers>,
}

/// Encodes an Arrow column.
pub(crate) fn encode(array: &dyn Array) -> Result<ColumnBuffers> {
    let validity = array.nulls().filter(|nulls| nulls.null_count() > 0).map(|nulls| bits(nulls.inner()));
    let fixed = |values: &[u8]| ColumnBuffers { validity: validity.clone(), offsets: None, values: values.to_vec() };
    Ok(match array.data_type() {
        arrow_schema::DataType::Boolean => fixed(&bits(array.as_boolean().values())),
        arrow_schema::DataType::Int64 => fixed(array.as_primitive::<Int64Type>().values().inner().as_slice()),
        arrow_schema::DataType::Float64 => fixed(array.as_primitive::<Float64Type>().values().inner().as_slice()),
        arrow_schema::DataType::Date32 => fixed(array.as_primitive::<Date32Type>().values().inner().as_slice()),
        arrow_schema::DataType::Decimal128(..) => {
            fixed(array.as_primitive::<Decimal128Type>().values().inner().as_slice())
        }
        arrow_schema::DataType::Timestamp(..) => {
            fixed(array.as_primitive::<TimestampMicrosecondType>().values().inner().as_slice())
        }
        arrow_schema::DataType::Utf8 => {
            let text = array.as_string::<i32>();
            let offsets = text.value_offsets();
            let first = offsets.first().copied().unwrap_or_default();
            let last = offsets.last().copied().unwrap_or_default();
            let values = text.value_data().get(first.as_usize()..last.as_usize()).unwrap_or_default().to_vec();
            let offsets = if first == 0 && cfg!(target_endian = "little") {
                text.offsets().inner().inner().as_slice().to_vec()
            } else {
                offsets.iter().flat_map(|offset| (offset - first).to_le_bytes()).collect()
            };
            ColumnBuffers { validity, offsets: Some(offsets), values }
        }
        other => return Err(Error::internal(format!("the contract has no format for the Arrow type {other}"))),
    })
}

fn bits(buffer: &BooleanBuffer) -> Vec<u8> {
    let sliced = buffer.sliced();
    sliced.as_slice()[..buffer.len().div_ceil(8)].to_vec()
}

/// Encodes a record batch.
pub(crate) fn encode_batch(batch: &RecordBatch) -> Result<BatchBuffers> {
    let columns = batch.columns().iter().map(|column| encode(column)).collect::<Result<_>>()?;
    Ok(BatchBuffers { rows: u32::try_from(batch.num_rows()).unwrap_or(u32::MAX), columns })
}

/// Decodes and checks a guest's column.
pub(crate) fn decode(column: ColumnBuffers, data_type: Type, rows: usize) -> Result<ArrayRef> {
    let ColumnBuffers { validity, offsets, values } = column;
    let nulls = validity.map(|bits| boolean(bits, rows, "validity").map(NullBuffer::new)).transpose()?;
    if data_type == Type::Text {
        let offsets = offsets.ok_or_else(|| malformed("text without offsets"))?;
        return text(&offsets, values, nulls, rows);
    }
    if offsets.is_some() {
        return Err(malformed("offsets on a column that is not text"));
    }
    Ok(match data_type {
        Type::Bool => Arc::new(BooleanArray::new(boolean(values, rows, "values")?, nulls)),
        Type::Int64 => Arc::new(Int64Array::new(fixed(&values, rows)?, nulls)),
        Type::Float64 => Arc::new(Float64Array::new(fixed(&values, rows)?, nulls)),
        Type::Date => Arc::new(Date32Array::new(fixed(&values, rows)?, nulls)),
        Type::Timestamp => Arc::new(TimestampMicrosecondArray::new(fixed(&values, rows)?, nulls).with_timezone("UTC")),
        Type::Decimal(precision, scale) => {
            let array = Decimal128Array::new(fixed(&values, rows)?, nulls).with_precision_and_scale(precision, scale);
            let array = array.map_err(|cause| malformed(&cause.to_string()))?;
            array.validate_decimal_precision(precision).map_err(|cause| malformed(&cause.to_string()))?;
            Arc::new(array)
        }
        Type::Text => return Err(Error::internal("text columns are decoded above")),
    })
}

/// Decodes and checks a guest's batch.
pub(crate) fn decode_batch(batch: BatchBuffers, fields: &[Field]) -> Result<RecordBatch> {
    let rows = batch.rows as usize;
    if rows > MAX_BATCH_ROWS {
        return Err(malformed(&format!("{rows} rows, but a batch has at most {MAX_BATCH_ROWS}")));
    }
    if batch.columns.len() != fields.len() {
        let count = batch.columns.len();
        return Err(malformed(&format!("{count} columns, but the schema has {}", fields.len())));
    }
    let pairs = batch.columns.into_iter().zip(fields);
    let columns = pairs.map(|(column, field)| {
        decode(column, field.data_type, rows).map_err(|error| error.on(format!("column `{}`", field.name)))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let schema = Schema { fields: fields.to_vec(), primary_key: Vec::new(), cursor: None };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema.arrow()), columns, &options)
        .map_err(|cause| malformed(&cause.to_string()))
}

fn malformed(why: &str) -> Error {
    Error::plugin(format!("malformed buffers: {why}"))
}

fn boolean(bits: Vec<u8>, rows: usize, what: &str) -> Result<BooleanBuffer> {
    if bits.len() < rows.div_ceil(8) {
        return Err(malformed(&format!("{} bytes of {what} for {rows} rows", bits.len())));
    }
    Ok(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows))
}

/// Copies value by value: a guest's bytes are not aligned.
fn fixed<T: ArrowNativeType + FromBytes>(values: &[u8], rows: usize) -> Result<ScalarBuffer<T>> {
    let width = size_of::<T>();
    if values.len() != rows * width {
        return Err(malformed(&format!("{} bytes for {rows} values of {width} bytes", values.len())));
    }
    Ok(values.chunks_exact(width).map(T::from_bytes).collect::<Vec<T>>().into())
}

fn text(offsets: &[u8], values: Vec<u8>, nulls: Option<NullBuffer>, rows: usize) -> Result<ArrayRef> {
    let offsets: ScalarBuffer<i32> = fixed(offsets, rows + 1)?;
    let rising = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    let inside = offsets.first() == Some(&0) && offsets.last().is_some_and(|last| last.as_usize() <= values.len());
    if !rising || !inside {
        return Err(malformed("offsets do not rise from 0 to the length of the values"));
    }
    let array = StringArray::try_new(OffsetBuffer::new(offsets), Buffer::from_vec(values), nulls);
    Ok(Arc::new(array.map_err(|cause| malformed(&cause.to_string()))?))
}

trait FromBytes {
    fn from_bytes(bytes: &[u8]) -> Self;
}

macro_rules! from_bytes {
    ($($native:ty),*) => {$(
        impl FromBytes for $native {
            fn from_bytes(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<Self>()];
                array.copy_from_slice(bytes);
                Self::from_le_bytes(array)
            }
        }
    )*};
}
from_bytes!(i32, i64, i128, f64);

#[cfg(test)]
mod tests {
    use super::{ColumnBuffers, decode, encode};
    use arrow_array::{Array, StringArray};
    use host_core::schema::Type;
    use proptest::prelude::*;

    fn refused(column: ColumnBuffers, data_type: Type, rows: usize, why: &str) {
        let error = decode(column, data_type, rows).expect_err("a malformed column");
        assert!(error.message().contains(why), "{error}");
    }

    fn column(offsets: Option<Vec<u32>>, values: &[u8]) -> ColumnBuffers {
        let offsets = offsets.map(|offsets| offsets.iter().flat_map(|offset| offset.to_le_bytes()).collect());
        ColumnBuffers { validity: None, offsets, values: values.to_vec() }
    }

    #[test]
    fn hostile_buffers_are_refused() {
        refused(column(None, b"abc"), Type::Text, 1, "without offsets");
        refused(column(Some(vec![0, 9]), b"abc"), Type::Text, 1, "do not rise");
        refused(column(Some(vec![2, 1, 3]), b"abc"), Type::Text, 2, "do not rise");
        refused(column(Some(vec![0, u32::MAX]), b"abc"), Type::Text, 1, "do not rise");
        refused(column(Some(vec![0, 2]), &[0xff, 0xfe]), Type::Text, 1, "malformed");
        refused(column(None, &[0; 7]), Type::Int64, 1, "7 bytes for 1 values of 8");
        refused(column(Some(vec![0]), &[0; 8]), Type::Int64, 1, "offsets on a column");
        refused(column(None, &[]), Type::Bool, 1, "0 bytes of values");
        refused(column(None, &i128::MAX.to_le_bytes()), Type::Decimal(5, 2), 1, "malformed");
    }

    proptest! {
        #[test]
        fn text_round_trips(rows in proptest::collection::vec(proptest::option::of(".*"), 0..40), from in 0..20usize) {
            let array = StringArray::from(rows);
            let from = from.min(array.len());
            let slice = array.slice(from, array.len() - from);
            let back = decode(encode(&slice).expect("text"), Type::Text, slice.len()).expect("a column that was just encoded");
            prop_assert_eq!(back.to_data(), slice.to_data());
        }
    }
}

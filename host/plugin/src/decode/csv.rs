//! CSV files to typed columns. A missing header, a missing or duplicate key or a value that does not fit is an error with
//! its line. A file may be endless: its records have a largest length, and its keys a largest number.
//!
//! An empty cell is NULL. In a text column of the primary key it is the empty text: a file cannot tell the two apart, and a
//! key column needs a value, such as the empty channel of a cost that belongs to no channel.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use host_core::error::{Error, Place, Result, nearest};
use host_core::schema::{Field, Schema, Type};

use super::DecodeError;
use super::value::{self as parse, AcceptedForms};
use crate::memory::{HostMemory, MemoryExceeded, Meter, Reservation};

/// Rows of one table.
const TABLE_ROWS: usize = 10_000;
/// Bytes of records after which a table is complete.
const TABLE_BYTES: usize = 16 << 20;
/// The longest record. Where a quote is not closed, the rest of the file is one record.
const RECORD_BYTES: usize = 64 << 20;
/// Bytes of a record beside its text, and of a cell.
const RECORD_OVERHEAD: usize = 200;
const CELL_OVERHEAD: usize = 8;
/// How often a record's text exists at once: as text, in its columns, and in columns that grow.
const RECORD_COPIES: usize = 3;
/// Bytes of a key that was read.
const KEY_BYTES: usize = 64;

/// A CSV file being read.
pub(crate) struct CsvReader {
    path: String,
    reader: csv::Reader<BoundedFile>,
    /// Bytes of the file that were read since the last complete record.
    unfinished: Arc<AtomicU64>,
    schema: Schema,
    /// The index of each field's column in the file.
    positions: Vec<usize>,
    keys: KeyLines,
    memory: HostMemory,
}

/// A file that ends with an error in a record that is too long.
struct BoundedFile {
    file: std::fs::File,
    unfinished: Arc<AtomicU64>,
    /// The memory of the record that is being read.
    room: Reservation,
}

/// A record that is too long.
#[derive(Debug)]
struct LongRecord;

impl fmt::Display for LongRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record is longer than {} MiB", RECORD_BYTES >> 20)
    }
}

impl std::error::Error for LongRecord {}

impl Read for BoundedFile {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let unfinished = self.unfinished.load(Ordering::Relaxed);
        if unfinished > RECORD_BYTES as u64 {
            return Err(std::io::Error::other(LongRecord));
        }
        let bytes = usize::try_from(unfinished).unwrap_or(RECORD_BYTES) + buffer.len();
        self.room.grow_to(RECORD_COPIES * bytes).map_err(std::io::Error::other)?;
        let read = self.file.read(buffer)?;
        self.unfinished.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The error of a file that cannot be read on.
fn unreadable(path: &str, line: u64, cause: csv::Error) -> DecodeError {
    let inner = match cause.kind() {
        csv::ErrorKind::Io(cause) => cause.get_ref(),
        _ => None,
    };
    if let Some(exceeded) = inner.and_then(|inner| inner.downcast_ref::<MemoryExceeded>()) {
        return DecodeError::Memory(*exceeded);
    }
    if let Some(long) = inner.and_then(|inner| inner.downcast_ref::<LongRecord>()) {
        let hint = "check its quotes: from a quote that is not closed, the rest of the file is one cell";
        return Error::data(long.to_string()).hint(hint).at(&place(path, line)).into();
    }
    Error::data(cause.to_string()).at(&Place::file(path)).into()
}

/// The line of each primary key read so far. A key is kept as two hashes, which take less memory than its text.
struct KeyLines {
    lines: HashMap<(u64, u64), u64>,
    hashers: [RandomState; 2],
    meter: Meter,
}

impl KeyLines {
    /// Adds a key. Returns the line of the same key before.
    fn insert(&mut self, key: &[String], line: u64) -> Option<u64> {
        let [first, second] = &self.hashers;
        self.lines.insert((first.hash_one(key), second.hash_one(key)), line)
    }
}

impl CsvReader {
    /// Opens a file. Its header must name every field of the schema, in any order.
    pub(crate) fn open(
        path: String,
        file: std::fs::File,
        schema: Schema,
        delimiter: u8,
        memory: &HostMemory,
    ) -> Result<Self, DecodeError> {
        let unfinished = Arc::new(AtomicU64::new(0));
        let file = BoundedFile { file, unfinished: Arc::clone(&unfinished), room: memory.reserve(0)? };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(file);
        let headers = reader.headers().map_err(|cause| unreadable(&path, 1, cause))?.clone();
        let clean = |header: &str| header.trim_start_matches('\u{feff}').to_owned();
        let headers: Vec<_> = headers.iter().map(clean).collect();
        let find = |field: &Field| {
            if headers.iter().filter(|header| **header == field.name).nth(1).is_some() {
                let error = Error::data(format!("the header has two columns `{}`", field.name));
                return Err(error.hint("rename one of them").at(&Place::line(&path, 1)));
            }
            headers.iter().position(|header| *header == field.name).ok_or_else(|| {
                let error = Error::data(format!("the header has no column `{}`", field.name));
                let found = format!("the header is `{}`", headers.join(","));
                let hint = nearest(&field.name, headers.iter().map(String::as_str)).unwrap_or(found);
                error.hint(hint).at(&Place::line(&path, 1))
            })
        };
        let positions: Vec<usize> = schema.fields.iter().map(find).collect::<Result<_>>()?;
        unfinished.store(0, Ordering::Relaxed);
        let hashers = [RandomState::new(), RandomState::new()];
        let keys = KeyLines { lines: HashMap::new(), hashers, meter: Meter::new(memory)? };
        Ok(Self { path, reader, unfinished, schema, positions, keys, memory: memory.clone() })
    }

    /// Reads the next rows, with their memory. None at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(RecordBatch, Reservation)>, DecodeError> {
        let mut meter = Meter::new(&self.memory)?;
        let mut rows = Vec::new();
        let mut records = self.reader.records();
        while rows.len() < TABLE_ROWS && meter.used() < RECORD_COPIES * TABLE_BYTES {
            let line = records.reader().position().line();
            let Some(record) = records.next() else { break };
            let record = record.map_err(|cause| unreadable(&self.path, line, cause))?;
            self.unfinished.store(0, Ordering::Relaxed);
            let bytes = RECORD_OVERHEAD + record.as_slice().len() + CELL_OVERHEAD * record.len();
            meter.add(RECORD_COPIES * bytes)?;
            rows.push(record);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        self.keys.meter.add(KEY_BYTES * rows.len())?;
        let fields = self.schema.fields.iter().zip(&self.positions);
        let column = |(field, &position): (&Field, &usize)| {
            let is_key = self.schema.primary_key.contains(&field.name);
            column(&self.path, field, is_key, &rows, position)
        };
        let arrays = fields.map(column);
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(Arc::new(self.schema.arrow()), arrays).map_err(Error::internal)?;
        self.check_unique(&batch, &rows)?;
        let reservation = meter.finish(batch.get_array_memory_size())?;
        Ok(Some((batch, reservation)))
    }

    /// Refuses empty and duplicate keys: a merge would keep only one of the rows, and lose the other's amounts.
    fn check_unique(&mut self, batch: &RecordBatch, rows: &[csv::StringRecord]) -> Result<()> {
        let key = &self.schema.primary_key;
        let options = FormatOptions::default().with_null("");
        let formatters = key.iter().filter_map(|name| batch.column_by_name(name));
        let formatters = formatters.map(|column| ArrayFormatter::try_new(column, &options));
        let formatters = formatters.collect::<Result<Vec<_>, _>>().map_err(Error::internal)?;
        for (index, row) in rows.iter().enumerate() {
            let line = line_of(row);
            let values: Vec<_> = formatters.iter().map(|column| column.value(index).to_string()).collect();
            if values.iter().all(String::is_empty) {
                let error = Error::data(format!("the key is empty: {}", key.join(", ")));
                return Err(error.hint("remove the line, or fill in its key").at(&place(&self.path, line)));
            }
            let shown = values.join(", ");
            let Some(first) = self.keys.insert(&values, line) else { continue };
            let error = Error::data(format!("duplicate key {} = `{shown}`, first in line {first}", key.join(", ")));
            let hint = "sum the two rows, or add a column in which they differ to `primary_key`";
            return Err(error.hint(hint).at(&place(&self.path, line)));
        }
        Ok(())
    }
}

fn line_of(row: &csv::StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

fn place(path: &str, line: u64) -> Place {
    Place::line(path, usize::try_from(line).unwrap_or_default())
}

fn column(path: &str, field: &Field, is_key: bool, rows: &[csv::StringRecord], position: usize) -> Result<ArrayRef> {
    let forms = AcceptedForms::parse("text,empty-null");
    let is_text_of_key = is_key && field.data_type == Type::Text;
    let is_value = |cell: &&str| is_text_of_key || !cell.is_empty();
    let cells = rows.iter().map(|row| (row.get(position).filter(is_value), row));
    macro_rules! build {
        ($builder:expr, $parse:expr) => {{
            let mut builder = $builder;
            for (cell, row) in cells {
                let parse = $parse;
                if is_key && cell.is_none() {
                    let error = Error::data(format!("the key column `{}` is empty", field.name));
                    return Err(error.hint("remove the line, or fill in its key").at(&place(path, line_of(row))));
                }
                let value = cell
                    .map(|text| parse(text).ok_or_else(|| invalid_value(field, text).at(&place(path, line_of(row)))))
                    .transpose()?;
                builder.append_option(value);
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    Ok(match field.data_type {
        Type::Bool => build!(BooleanBuilder::new(), parse::boolean),
        Type::Int64 => build!(Int64Builder::new(), parse::integer),
        Type::Float64 => build!(Float64Builder::new(), |text: &str| text.parse().ok().filter(|f: &f64| f.is_finite())),
        Type::Decimal(precision, scale) => {
            let builder = Decimal128Builder::new().with_data_type(field.data_type.arrow());
            build!(builder, |text: &str| parse::decimal(text, precision, scale))
        }
        Type::Date => build!(Date32Builder::new(), |text: &str| month_or_day(text, forms)),
        Type::Timestamp => build!(TimestampMicrosecondBuilder::new().with_timezone("UTC"), |text: &str| {
            parse::timestamp(text, forms)
        }),
        Type::Text => build!(StringBuilder::new(), |text: &str| Some(text.to_owned())),
    })
}

/// Parses a day, or a month as its first day.
fn month_or_day(text: &str, forms: AcceptedForms) -> Option<i32> {
    let day = if text.len() == 7 { format!("{text}-01") } else { text.to_owned() };
    parse::date(&day, forms).and_then(|days| i32::try_from(days).ok())
}

fn invalid_value(field: &Field, text: &str) -> Error {
    let expected = match field.data_type {
        Type::Bool => "`true` or `false`",
        Type::Int64 => "a whole number",
        Type::Float64 | Type::Decimal(..) => "a number with a decimal point",
        Type::Date => "a date such as `2026-10-31` or a month such as `2026-10`",
        Type::Timestamp => "an instant such as `2026-10-31T12:00:00Z`",
        Type::Text => "text",
    };
    Error::data(format!("column `{}`: `{text}` is not valid: expected {expected}", field.name))
}

#[cfg(test)]
mod tests {
    use super::{CsvReader, DecodeError, RECORD_BYTES};
    use crate::memory::{HostMemory, MemoryBudget, MemoryExceeded};
    use host_core::error::Error;
    use host_core::schema::{Field, Schema, Type};
    use std::io::{Seek as _, Write as _};

    /// Reads a text, and a number of bytes after it, within a budget. Returns the number of rows.
    fn read(budget: usize, text: &str, zeros: u64) -> Result<usize, DecodeError> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(text.as_bytes()).expect("a text");
        // The file is sparse.
        file.set_len(text.len() as u64 + zeros).expect("a length");
        file.rewind().expect("a file");
        let field = |name: &str| Field { name: name.to_owned(), data_type: Type::Text, metadata: Default::default() };
        let schema =
            Schema { fields: vec![field("id"), field("name")], primary_key: vec!["id".to_owned()], cursor: None };
        let memory = MemoryBudget::default();
        memory.set_limit(budget);
        let mut reader = CsvReader::open("f.csv".to_owned(), file, schema, b',', &HostMemory::new(memory))?;
        let (mut rows, mut last) = (0, None);
        while let Some((batch, reservation)) = reader.next()? {
            rows += batch.num_rows();
            last = Some(reservation);
        }
        drop(last);
        Ok(rows)
    }

    fn rows(count: usize) -> String {
        let rows: String = (0..count).map(|id| format!("{id},a\n")).collect();
        format!("id,name\n{rows}")
    }

    #[test]
    fn a_record_without_end_is_an_error_with_its_line() {
        for text in ["id,name\n1,a\n2,\"b", "id,name\n1,a\n2,b"] {
            let error = Error::from(read(1 << 30, text, 1 << 40).expect_err("a record without end"));
            assert_eq!(error.message(), "f.csv:3: a record is longer than 64 MiB", "{error}");
            assert!(error.hint_text().is_some_and(|hint| hint.contains("quote")), "{error}");
        }
        let header = Error::from(read(1 << 30, "id,name", 1 << 40).expect_err("a header without end"));
        assert_eq!(header.message(), "f.csv:1: a record is longer than 64 MiB", "{header}");
    }

    #[test]
    fn memory_is_reserved_before_records_are_read() {
        let exceeds = |result| matches!(result, Err(DecodeError::Memory(MemoryExceeded::Process(_))));
        let long = format!("id,name\n1,{}\n", "x".repeat(RECORD_BYTES / 4));
        assert_eq!(read(256 << 20, &long, 0).ok(), Some(1));
        assert!(exceeds(read(16 << 20, &long, 0)));
        // The keys of a file with endless rows.
        assert_eq!(read(16 << 20, &rows(30_000), 0).ok(), Some(30_000));
        assert!(exceeds(read(16 << 20, &rows(300_000), 0)));
    }

    #[test]
    fn a_duplicate_key_names_both_lines() {
        let error = Error::from(read(1 << 30, &format!("{}7,b\n", rows(20_000)), 0).expect_err("a duplicate"));
        assert!(error.message().contains("duplicate key id = `7`, first in line 9"), "{error}");
    }
}

//! Rows to test plugins with: read from a CSV file, or generated from the row's number, as dirty as real ones and
//! always the same. And rows as text, to compare them.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_cast::CastOptions;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use host_core::error::{Error, Place, Result, unknown};
use host_core::schema::{Field, Schema, Type};
use serde_json::Value;

/// The primary key of a sample, unless it has one of this name in another case.
const KEY: &str = "id";
/// The types of columns in `--schema`.
const TYPES: [(&str, Type); 7] = [
    ("text", Type::Text),
    ("bool", Type::Bool),
    ("integer", Type::Int64),
    ("float", Type::Float64),
    ("decimal", Type::Decimal(38, 9)),
    ("date", Type::Date),
    ("timestamp", Type::Timestamp),
];

/// Texts that break code which mistakes characters for bytes or letters.
const UNICODE: &[&str] = &[
    "🩺",
    "👩\u{200d}👩\u{200d}👧 família",
    "e\u{301}",
    "n\u{303}a\u{303}o",
    "\u{301}",
    "a\u{0}b",
    "\u{0}",
    "\u{feff}Ana",
    "\u{202e}oãoj",
    "ß",
    "\u{130}stanbul",
    "\u{1c5}",
    "\u{fb01}m",
    "\u{a0}\u{2003}Ana\u{3000}",
    "日本語",
    "\u{10ffff}",
    "\r\n\t\u{b}",
    "𝔘𝔫𝔦",
    "٠١٢",
    "\"'`\\",
];

/// A stream to test a rule with.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Its columns. The primary key is `id`.
    pub schema: Schema,
    /// The rows of a file. None if rows are generated.
    rows: Option<RecordBatch>,
}

/// The values of generated columns.
#[derive(Debug, Clone)]
pub(super) enum Fill {
    /// A different number in each row.
    Key,
    /// Values, blanks and nulls. The number makes columns differ within a row.
    Dirty(u64),
    /// Only nulls.
    Nulls,
    /// These texts in turn; in columns that are not text, dirty values.
    Texts(Arc<[String]>),
}

/// Parses columns as `name:type,…`. A column without a type is text.
///
/// # Errors
/// An unknown type or a missing name.
pub fn parse_columns(text: &str) -> Result<Vec<Field>> {
    let column = |column: &str| {
        let (name, word) = column.split_once(':').unwrap_or((column, "text"));
        let found = TYPES.iter().find(|(known, _)| *known == word.trim());
        let (_, data_type) = found.ok_or_else(|| unknown("column type", word, TYPES.map(|(known, _)| known)))?;
        if name.trim().is_empty() {
            return Err(Error::config(format!("`{column}` has no column name")).hint("columns are written `name:type`"));
        }
        Ok(field(name.trim(), *data_type))
    };
    text.split(',').map(column).collect()
}

fn field(name: &str, data_type: Type) -> Field {
    Field { name: name.to_owned(), data_type, metadata: std::collections::BTreeMap::new() }
}

impl Sample {
    /// Generated rows of these columns.
    #[must_use]
    pub fn of_columns(fields: Vec<Field>) -> Self {
        let mut known = Vec::new();
        let mut fields: Vec<_> = fields
            .into_iter()
            .filter(|field| {
                let lower = field.name.to_lowercase();
                let is_new = !known.contains(&lower);
                known.push(lower);
                is_new
            })
            .collect();
        let key = fields.iter().find(|field| field.name.eq_ignore_ascii_case(KEY)).map(|field| field.name.clone());
        let key = key.unwrap_or_else(|| {
            fields.insert(0, field(KEY, Type::Text));
            KEY.to_owned()
        });
        Self { schema: Schema { fields, primary_key: vec![key], cursor: None }, rows: None }
    }

    /// Generated rows with a text column for each text of a config, key or value. The columns that the config names are
    /// among them; the others do no harm.
    #[must_use]
    pub fn of_config(config: &Value) -> Self {
        let mut names = Vec::new();
        texts_of(config, &mut names);
        Self::of_columns(names.iter().filter(|name| !name.trim().is_empty()).map(|n| field(n, Type::Text)).collect())
    }

    /// Reads the rows of a CSV file: columns of these types, others as text, empty cells as null, `id` generated.
    ///
    /// # Errors
    /// A file that cannot be read or has no rows, an unknown column, and values that do not fit their type.
    pub fn read(path: &Path, typed: &[Field]) -> Result<Self> {
        let place = Place::file(path.display().to_string());
        let on = |cause: csv::Error| Error::config(cause.to_string()).at(&place);
        let mut reader = csv::Reader::from_path(path).map_err(on)?;
        let header = reader.headers().map_err(on)?.clone();
        if let Some(field) = typed.iter().find(|field| !header.iter().any(|name| name == field.name)) {
            return Err(unknown("column", &field.name, header.iter()).at(&place));
        }
        let mut cells: Vec<Vec<Option<String>>> = vec![Vec::new(); header.len()];
        for record in reader.records() {
            let record = record.map_err(on)?;
            for (column, cell) in cells.iter_mut().zip(&record) {
                column.push(Some(cell.to_owned()).filter(|cell| !cell.is_empty()));
            }
        }
        let rows = cells.first().map(Vec::len).unwrap_or_default();
        if rows == 0 {
            return Err(Error::config("the file has no rows").at(&place));
        }
        let data_type = |name: &str| typed.iter().find(|field| field.name == name).map_or(Type::Text, |f| f.data_type);
        let fields: Vec<_> = header.iter().map(|name| field(name, data_type(name))).collect();
        let named: Vec<(String, ArrayRef)> = fields
            .iter()
            .zip(cells)
            .map(|(field, cells)| {
                Ok((field.name.clone(), typed_column(cells, field).map_err(|error| error.at(&place))?))
            })
            .collect::<Result<_>>()?;
        let sample = Self::of_columns(fields);
        let column = |field: &Field| match named.iter().find(|(name, _)| *name == field.name) {
            Some((_, array)) if !sample.is_key(field) => Ok(Arc::clone(array)),
            _ => array(field.data_type, 0, rows, &Fill::Key),
        };
        let columns = sample.schema.fields.iter().map(column).collect::<Result<Vec<_>>>()?;
        let batch = batch(&sample.schema, columns, rows)?;
        Ok(Self { rows: Some(batch), ..sample })
    }

    /// Rows from a position on: those of the file, repeated, or generated dirty ones. Each row has its own key.
    pub(super) fn batch(&self, start: u64, rows: usize) -> Result<RecordBatch> {
        let Some(read) = &self.rows else { return self.filled(start, rows, None) };
        let count = read.num_rows() as u64;
        let indices = UInt64Array::from_iter_values((start..start + rows as u64).map(|row| row % count));
        let column = |(field, column): (&Field, &ArrayRef)| {
            if self.is_key(field) {
                return array(field.data_type, start, rows, &Fill::Key);
            }
            arrow_select::take::take(column, &indices, None).map_err(Error::internal)
        };
        let columns = self.schema.fields.iter().zip(read.columns()).map(column).collect::<Result<Vec<_>>>()?;
        batch(&self.schema, columns, rows)
    }

    /// Generated rows. All columns but the key have these values, or dirty ones.
    pub(super) fn filled(&self, start: u64, rows: usize, fill: Option<&Fill>) -> Result<RecordBatch> {
        let column = |(at, field): (usize, &Field)| {
            let dirty = Fill::Dirty(at as u64);
            let fill = if self.is_key(field) { &Fill::Key } else { fill.unwrap_or(&dirty) };
            array(field.data_type, start, rows, fill)
        };
        let columns = self.schema.fields.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
        batch(&self.schema, columns, rows)
    }

    fn is_key(&self, field: &Field) -> bool {
        self.schema.primary_key.contains(&field.name)
    }
}

/// Texts that are hard to process.
pub(super) fn unicode() -> Fill {
    Fill::Texts(UNICODE.iter().map(|text| (*text).to_owned()).collect())
}

/// The number of these texts.
pub(super) const UNICODE_ROWS: usize = UNICODE.len();

/// Selects columns, in this order.
pub(super) fn project(batch: &RecordBatch, names: &[String]) -> Result<RecordBatch> {
    let schema = batch.schema();
    let indices =
        names.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>().map_err(Error::internal)?;
    batch.project(&indices).map_err(Error::internal)
}

/// Rows as texts, value by value. NULL has a text that no value has.
pub(super) fn texts(columns: &[ArrayRef], rows: usize) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("\0null");
    let columns: Vec<ArrayRef> = columns.iter().map(without_zone).collect();
    let formats = columns.iter().map(|column| ArrayFormatter::try_new(column, &options));
    let formats = formats.collect::<Result<Vec<_>, ArrowError>>().map_err(Error::internal)?;
    Ok((0..rows).map(|row| formats.iter().map(|format| format.value(row).to_string()).collect()).collect())
}

/// Removes the zone of instants, which is UTC: Arrow would look it up in a table that is not compiled in.
fn without_zone(array: &ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => Arc::new(instants.clone().with_timezone_opt(None::<&str>)),
        None => Arc::clone(array),
    }
}

fn texts_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts_of(value, found)),
        Value::Object(entries) => {
            for (key, value) in entries {
                found.push(key.clone());
                texts_of(value, found);
            }
        }
        _ => {}
    }
}

fn batch(schema: &Schema, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(schema.arrow()), columns, &options).map_err(Error::internal)
}

/// Casts a CSV column to its type.
fn typed_column(cells: Vec<Option<String>>, field: &Field) -> Result<ArrayRef> {
    let text: ArrayRef = Arc::new(StringArray::from(cells));
    let wanted = match field.data_type {
        Type::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => other.arrow(),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = arrow_cast::cast_with_options(&text, &wanted, &options)
        .map_err(|cause| Error::config(format!("column `{}`: {cause}", field.name)))?;
    Ok(match cast.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(instants) => Arc::new(instants.clone().with_timezone("UTC")),
        None => Arc::clone(&cast),
    })
}

fn array(data_type: Type, start: u64, rows: usize, fill: &Fill) -> Result<ArrayRef> {
    Ok(match data_type {
        Type::Text => {
            let texts: Vec<Option<String>> = numbers(start, rows).map(|row| text(row, fill)).collect();
            Arc::new(StringArray::from(texts))
        }
        Type::Bool => Arc::new(BooleanArray::from(each(start, rows, fill, |row| row % 3 == 0))),
        Type::Int64 => Arc::new(Int64Array::from(each(start, rows, fill, u64::cast_signed))),
        Type::Float64 => {
            let value = |row: u64| f64::from(u32::try_from(row % 1_000_000_000).unwrap_or_default()) / 8.0;
            Arc::new(Float64Array::from(each(start, rows, fill, value)))
        }
        Type::Decimal(precision, scale) => {
            let most = 10_i128.pow(u32::from(precision.min(12)));
            let values = Decimal128Array::from(each(start, rows, fill, |row| i128::from(row) % most));
            Arc::new(values.with_precision_and_scale(precision, scale).map_err(Error::internal)?)
        }
        Type::Date => {
            let day = |row: u64| 18_000 + i32::try_from(row % 10_000).unwrap_or_default();
            Arc::new(Date32Array::from(each(start, rows, fill, day)))
        }
        Type::Timestamp => {
            let instant = |row: u64| 1_700_000_000_000_000 + row.cast_signed() * 1_000_000;
            Arc::new(TimestampMicrosecondArray::from(each(start, rows, fill, instant)).with_timezone("UTC"))
        }
    })
}

fn numbers(start: u64, rows: usize) -> std::ops::Range<u64> {
    start..start + rows as u64
}

fn each<T>(start: u64, rows: usize, fill: &Fill, value: impl Fn(u64) -> T) -> Vec<Option<T>> {
    let is_there = |row: u64| match fill {
        Fill::Key => true,
        Fill::Nulls => false,
        Fill::Dirty(_) | Fill::Texts(_) => row % 7 != 3,
    };
    numbers(start, rows).map(|row| is_there(row).then(|| value(row))).collect()
}

fn text(row: u64, fill: &Fill) -> Option<String> {
    let column = match fill {
        Fill::Key => return Some(row.to_string()),
        Fill::Nulls => return None,
        Fill::Texts(texts) => return texts.get(usize::try_from(row).unwrap_or_default() % texts.len().max(1)).cloned(),
        Fill::Dirty(column) => column,
    };
    Some(match (row + column * 5) % 12 {
        0 => return None,
        1 => String::new(),
        2 => "   ".to_owned(),
        3 => format!("  Ana  Souza {row} "),
        4 => format!("ANA.{row}@EXEMPLO.COM"),
        5 => format!("(11) 9{:04}-{:04}", row / 10_000 % 10_000, row % 10_000),
        6 => format!("{}-{:02}-{:02}", 1950 + row % 70, 1 + row % 12, 1 + row % 28),
        7 => format!("{row}.{:02}", row % 100),
        8 => format!("joão ção {row}"),
        9 => "não informado".to_owned(),
        10 => format!("12.345.678/{:04}-{:02}", row % 10_000, row % 100),
        _ => format!("🩺 {row}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Fill, Sample, parse_columns, project, text, texts, unicode};
    use arrow_array::Array as _;
    use host_core::schema::Type;
    use serde_json::json;

    fn names(sample: &Sample) -> Vec<&str> {
        sample.schema.fields.iter().map(|field| field.name.as_str()).collect()
    }

    #[test]
    fn columns_are_parsed_and_a_key_is_added() {
        let columns = parse_columns("email, age:integer,paid:decimal").expect("columns");
        assert_eq!(columns[1].data_type, Type::Int64);
        assert_eq!(names(&Sample::of_columns(columns)), ["id", "email", "age", "paid"]);
        let keyed = Sample::of_columns(parse_columns("email,ID:integer").expect("columns"));
        assert_eq!(keyed.schema.primary_key, ["ID"]);
        assert!(parse_columns("age:number").expect_err("no such type").message().contains("`number`"));
        assert!(parse_columns(":text").is_err());
    }

    #[test]
    fn the_texts_of_a_config_are_columns() {
        let config = json!({ "columns": { "email": ["trim"] }, "by": "Email", "most": 3 });
        assert_eq!(names(&Sample::of_config(&config)), ["id", "columns", "email", "trim", "by", "most"]);
    }

    #[test]
    fn generated_rows_are_the_same_each_time_and_of_every_type() {
        let columns = "a,b:bool,c:integer,d:float,e:decimal,f:date,g:timestamp";
        let sample = Sample::of_columns(parse_columns(columns).expect("columns"));
        let (once, again) = (sample.batch(5, 30).expect("rows"), sample.batch(5, 30).expect("rows"));
        assert_eq!(once, again);
        assert!(once.columns().iter().skip(1).all(|column| column.null_count() > 0));
        assert_eq!(once.slice(10, 20), sample.batch(15, 20).expect("rows"));
        let nulls = sample.filled(0, 3, Some(&Fill::Nulls)).expect("rows");
        assert_eq!((nulls.column(0).null_count(), nulls.column(7).null_count()), (0, 3));
        let shown = texts(once.columns(), 30).expect("texts");
        assert_eq!(shown[0][0], "5");
        assert_eq!(project(&once, &["c".to_owned()]).expect("a column").num_columns(), 1);
    }

    #[test]
    fn hard_texts_take_turns() {
        assert_eq!(text(0, &unicode()).as_deref(), Some("🩺"));
        assert_eq!(text(0, &Fill::Dirty(0)), None);
    }

    #[test]
    fn a_csv_file_is_read_in_the_given_types() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.csv");
        std::fs::write(&path, "name,age,seen\nAna,3,2026-01-31T10:00:00\n,,\n").expect("a file");
        let sample = Sample::read(&path, &parse_columns("age:integer,seen:timestamp").expect("columns")).expect("rows");
        let shown = texts(sample.batch(1, 2).expect("rows").columns(), 2).expect("texts");
        assert_eq!(shown, [["1", "\0null", "\0null", "\0null"], ["2", "Ana", "3", "2026-01-31T10:00:00"]]);
        assert!(Sample::read(&path, &parse_columns("height").expect("columns")).is_err());
    }
}

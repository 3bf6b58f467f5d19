//! JSON answers to typed columns in one pass over the text: a trie of the wanted paths, a builder at each leaf.
//! A value that does not fit its column is kept as received in `_unfit`.

mod walk;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use sonic_rs::{JsonValueTrait, LazyValue};

use super::decode_value::{self as parse, Forms};
use crate::error::{Error, Result};
use crate::schema::{Field, Type, UNFIT};

/// Rows that most pages stay under. The builders' own first guess, ten times as many, would be mostly empty, in each
/// column of each page that waits to be written.
const PAGE_ROWS: usize = 128;

/// Steps that a path may have. Whatever is deeper is no API's answer, and is taken apart step within step.
const DEPTH: usize = 100;

/// A column to take from each row.
pub(crate) struct JsonColumn {
    pub(crate) field: Field,
    pub(crate) level: usize,
    pub(crate) path: String,
}

/// Decodes a body: `levels` are nested arrays, one row for each innermost element. All of the body is read, since one
/// that is cut off behind the array would seem to have no next page.
pub(crate) fn decode(body: &[u8], levels: &[String], columns: &[JsonColumn]) -> Result<RecordBatch> {
    let text = std::str::from_utf8(body).map_err(|cause| not_json(body, &cause.to_string()))?;
    let shape = Shape::new(levels, columns)?;
    let mut decoder = Decoder::new(columns);
    let is_there = walk::rows(text, &shape, &mut decoder).map_err(|cause| not_json(body, &cause.to_string()))?;
    if !is_there {
        return Err(no_array(body, levels));
    }
    decoder.finish(columns)
}

fn not_json(body: &[u8], why: &str) -> Error {
    let start: String = String::from_utf8_lossy(&body[..body.len().min(60)]).escape_debug().collect();
    let why = why.lines().next().unwrap_or_default();
    Error::data(format!("the answer is not JSON, it starts with `{start}`: {why}"))
}

/// An answer without its array must not pass for an empty one.
fn no_array(body: &[u8], levels: &[String]) -> Error {
    let start: String = String::from_utf8_lossy(&body[..body.len().min(60)]).escape_debug().collect();
    let pointer = levels.first().map_or("", String::as_str);
    Error::data(format!("the answer has no array at `{pointer}`, it starts with `{start}`"))
}

/// The wanted keys below one object.
#[derive(Default)]
pub(super) struct Node {
    column: Option<usize>,
    /// Here is the array of the next level.
    is_inner: bool,
    keys: HashMap<String, usize>,
    children: Vec<(String, Node)>,
}

impl Node {
    fn child(&mut self, key: &str) -> &mut Self {
        let next = self.children.len();
        let at = *self.keys.entry(key.to_owned()).or_insert(next);
        if at == next {
            self.children.push((key.to_owned(), Self::default()));
        }
        &mut self.children[at].1
    }

    fn at(&mut self, pointer: &str) -> &mut Self {
        let unescaped = pointer.split('/').skip(1).map(|key| key.replace("~1", "/").replace("~0", "~"));
        unescaped.fold(self, |node, key| node.child(&key))
    }

    /// The child of this key, looked for at `expected` first: records mostly name their keys in one order.
    fn find(&self, key: &str, expected: usize) -> Option<usize> {
        match self.children.get(expected) {
            Some((name, _)) if name == key => Some(expected),
            _ => self.keys.get(key).copied(),
        }
    }
}

/// Where the columns lie: the way to the first array, then the wanted keys of each level's elements.
pub(super) struct Shape {
    root: Node,
    levels: Vec<Node>,
    /// The columns of each level, for repeating outer values.
    by_level: Vec<Vec<usize>>,
}

impl Shape {
    fn new(levels: &[String], columns: &[JsonColumn]) -> Result<Self> {
        let first = levels.first().ok_or_else(|| Error::plugin("a table of JSON needs a level"))?;
        let mut paths = levels.iter().chain(columns.iter().map(|column| &column.path));
        if levels.len() > DEPTH || paths.any(|path| path.matches('/').count() > DEPTH) {
            return Err(Error::plugin(format!("a path into JSON of more than {DEPTH} steps")));
        }
        let mut root = Node::default();
        root.at(first).is_inner = true;
        let mut nodes: Vec<_> = levels.iter().map(|_| Node::default()).collect();
        let mut by_level = vec![Vec::new(); levels.len()];
        for (index, column) in columns.iter().enumerate().filter(|(_, column)| column.constant().is_none()) {
            let node = nodes.get_mut(column.level);
            let node = node.ok_or_else(|| Error::plugin(format!("column `{}` is of no level", column.field.name)))?;
            node.at(&column.path).column = Some(index);
            by_level[column.level].push(index);
        }
        for (node, pointer) in nodes.iter_mut().zip(levels.iter().skip(1)) {
            node.at(pointer).is_inner = true;
        }
        Ok(Self { root, levels: nodes, by_level })
    }
}

impl JsonColumn {
    fn constant(&self) -> Option<&String> {
        self.field.metadata.get("constant")
    }
}

/// A builder a column.
pub(super) struct Decoder {
    builders: Vec<Builder>,
    /// Columns that hold one text in every row.
    constants: Vec<(usize, String)>,
    unfit: StringBuilder,
    rows: usize,
}

impl Decoder {
    fn new(columns: &[JsonColumn]) -> Self {
        let builders = columns.iter().map(|column| Builder::new(&column.field)).collect();
        let constant = |(index, column): (usize, &JsonColumn)| Some((index, column.constant()?.clone()));
        let constants = columns.iter().enumerate().filter_map(constant).collect();
        Self { builders, constants, unfit: StringBuilder::new(), rows: 0 }
    }

    fn row(&mut self) {
        for (column, text) in &self.constants {
            self.builders[*column].set_text(text);
        }
        let mut unfit: Option<serde_json::Map<String, serde_json::Value>> = None;
        for builder in &mut self.builders {
            if let Some(text) = builder.push() {
                unfit.get_or_insert_default().insert(builder.name.clone(), serde_json::Value::String(text));
            }
        }
        self.unfit.append_option(unfit.map(|unfit| serde_json::Value::Object(unfit).to_string()));
        self.rows += 1;
    }

    fn finish(mut self, columns: &[JsonColumn]) -> Result<RecordBatch> {
        let mut arrays: Vec<_> = self.builders.iter_mut().map(Builder::finish).collect();
        arrays.push(Arc::new(self.unfit.finish()));
        let field =
            |column: &JsonColumn| arrow_schema::Field::new(&column.field.name, column.field.data_type.arrow(), true);
        let mut fields: Vec<_> = columns.iter().map(field).collect();
        fields.push(arrow_schema::Field::new(UNFIT, arrow_schema::DataType::Utf8, true));
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        RecordBatch::try_new_with_options(Arc::new(arrow_schema::Schema::new(fields)), arrays, &options)
            .map_err(|cause| Error::internal(cause.to_string()))
    }
}

/// The value of a column for the rows to come, already parsed, since outer levels repeat it.
#[derive(Clone)]
enum Pending {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Decimal(i128),
    /// In the builder's own buffer, which is used again for each row.
    Text,
    Unfit(String),
}

enum Sink {
    Bool(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Text(StringBuilder),
}

pub(super) struct Builder {
    name: String,
    forms: Forms,
    pending: Pending,
    text: String,
    sink: Sink,
}

impl Builder {
    fn new(field: &Field) -> Self {
        let sink = match field.data_type {
            Type::Bool => Sink::Bool(BooleanBuilder::with_capacity(PAGE_ROWS)),
            Type::Int64 => Sink::Int64(Int64Builder::with_capacity(PAGE_ROWS)),
            Type::Float64 => Sink::Float64(Float64Builder::with_capacity(PAGE_ROWS)),
            Type::Decimal(precision, scale) => {
                let data_type = arrow_schema::DataType::Decimal128(precision, scale);
                Sink::Decimal(Decimal128Builder::with_capacity(PAGE_ROWS).with_data_type(data_type), precision, scale)
            }
            Type::Date => Sink::Date(Date32Builder::with_capacity(PAGE_ROWS)),
            Type::Timestamp => {
                Sink::Timestamp(TimestampMicrosecondBuilder::with_capacity(PAGE_ROWS).with_timezone("UTC"))
            }
            Type::Text => Sink::Text(StringBuilder::with_capacity(PAGE_ROWS, 0)),
        };
        let accept = field.metadata.get("accept").map_or("", String::as_str);
        Self {
            name: field.name.clone(),
            forms: Forms::parse(accept),
            pending: Pending::Null,
            text: String::new(),
            sink,
        }
    }

    fn set_text(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.pending = Pending::Text;
    }

    /// Null for the rows to come.
    fn clear(&mut self) {
        self.pending = Pending::Null;
    }

    /// Parses a value for the rows to come.
    fn take(&mut self, value: &LazyValue<'_>) {
        let is_empty = || self.forms.empty_null && value.as_str().is_some_and(str::is_empty);
        self.pending = if value.is_null() || is_empty() {
            Pending::Null
        } else if let Sink::Text(_) = self.sink {
            self.set_text(value.as_str().unwrap_or_else(|| value.as_raw_str()));
            return;
        } else if let Some(text) = value.as_str() {
            self.scalar(text, true)
        } else {
            self.scalar(value.as_raw_str(), false)
        };
    }

    fn scalar(&self, text: &str, quoted: bool) -> Pending {
        let bare = !quoted || self.forms.text;
        let parsed = match self.sink {
            Sink::Bool(_) if bare => parse::boolean(text).map(Pending::Bool),
            Sink::Int64(_) if bare => parse::integer(text).map(Pending::Int),
            Sink::Float64(_) if bare => text.parse().ok().filter(|f: &f64| f.is_finite()).map(Pending::Float),
            Sink::Decimal(_, precision, scale) if bare => parse::decimal(text, precision, scale).map(Pending::Decimal),
            Sink::Date(_) => parse::date(text, self.forms).map(Pending::Int),
            Sink::Timestamp(_) => parse::timestamp(text, self.forms).map(Pending::Int),
            _ => None,
        };
        parsed.unwrap_or_else(|| Pending::Unfit(text.to_owned()))
    }

    /// Appends the pending value; gives back the text of one that did not fit.
    fn push(&mut self) -> Option<String> {
        match (&mut self.sink, &self.pending) {
            (Sink::Bool(sink), Pending::Bool(value)) => sink.append_value(*value),
            (Sink::Int64(sink), Pending::Int(value)) => sink.append_value(*value),
            (Sink::Float64(sink), Pending::Float(value)) => sink.append_value(*value),
            (Sink::Decimal(sink, ..), Pending::Decimal(value)) => sink.append_value(*value),
            (Sink::Date(sink), Pending::Int(value)) => sink.append_option(i32::try_from(*value).ok()),
            (Sink::Timestamp(sink), Pending::Int(value)) => sink.append_value(*value),
            (Sink::Text(sink), Pending::Text) => sink.append_value(&self.text),
            (sink, pending) => {
                match sink {
                    Sink::Bool(sink) => sink.append_null(),
                    Sink::Int64(sink) => sink.append_null(),
                    Sink::Float64(sink) => sink.append_null(),
                    Sink::Decimal(sink, ..) => sink.append_null(),
                    Sink::Date(sink) => sink.append_null(),
                    Sink::Timestamp(sink) => sink.append_null(),
                    Sink::Text(sink) => sink.append_null(),
                }
                if let Pending::Unfit(text) = pending {
                    return Some(text.clone());
                }
            }
        }
        None
    }

    fn finish(&mut self) -> ArrayRef {
        match &mut self.sink {
            Sink::Bool(sink) => Arc::new(sink.finish()),
            Sink::Int64(sink) => Arc::new(sink.finish()),
            Sink::Float64(sink) => Arc::new(sink.finish()),
            Sink::Decimal(sink, ..) => Arc::new(sink.finish()),
            Sink::Date(sink) => Arc::new(sink.finish()),
            Sink::Timestamp(sink) => Arc::new(sink.finish()),
            Sink::Text(sink) => Arc::new(sink.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JsonColumn, decode};
    use crate::schema::{Field, Type};
    use arrow_array::RecordBatch;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, TimestampMicrosecondType};

    fn column(name: &str, data_type: Type, level: usize, path: &str) -> JsonColumn {
        let metadata = [("accept".to_owned(), "text,epoch-ms,empty-null".to_owned())].into();
        JsonColumn { field: Field { name: name.to_owned(), data_type, metadata }, level, path: path.to_owned() }
    }

    fn amounts(values: &str) -> RecordBatch {
        let rows: Vec<_> = values.split('|').map(|value| format!(r#"{{"p":{{"amount":{value}}}}}"#)).collect();
        let body = format!(r#"{{"results":[{}]}}"#, rows.join(","));
        let columns = [column("amount", Type::Decimal(38, 9), 0, "/p/amount")];
        decode(body.as_bytes(), &["/results".to_owned()], &columns).expect("JSON")
    }

    #[test]
    fn what_does_not_fit_is_kept() {
        let batch = amounts(r#""67340.0"|12.5|""|null|"1;2"|"1e3""#);
        let amounts = batch.column(0).as_primitive::<Decimal128Type>();
        let got: Vec<_> = amounts.iter().map(|value| value.map(|value| value / 1_000_000)).collect();
        assert_eq!(got, [Some(67_340_000), Some(12_500), None, None, None, Some(1_000_000)]);
        let unfit: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
        assert_eq!(unfit, [None, None, None, None, Some(r#"{"amount":"1;2"}"#), None]);
    }

    #[test]
    fn times_come_in_many_forms() {
        let body = r#"{"results":[{"t":"1700000000000"},{"t":"2023-11-14T22:13:20Z"},{"t":1700000000000},{"t":"1700000000000.0"},{"t":"2023-11-14"}]}"#;
        let columns = [column("t", Type::Timestamp, 0, "/t")];
        let batch = decode(body.as_bytes(), &["/results".to_owned()], &columns).expect("JSON");
        let times: Vec<_> = batch.column(0).as_primitive::<TimestampMicrosecondType>().iter().flatten().collect();
        assert_eq!(times[..4], [1_700_000_000_000_000; 4]);
        assert_eq!(times[4], 1_699_920_000_000_000);
    }

    #[test]
    fn nested_arrays_repeat_what_is_outside() {
        let body = r#"{"results":[{"from":{"id":"1"},"to":[{"toObjectId":7,"types":[{"id":5},{"id":341}]},{"toObjectId":"8","types":[{"id":341}]}]},{"from":{"id":"2"},"to":[]}]}"#;
        let columns = [
            column("from_id", Type::Text, 0, "/from/id"),
            column("to_id", Type::Text, 1, "/toObjectId"),
            column("type_id", Type::Text, 2, "/id"),
        ];
        let levels = ["/results", "/to", "/types"].map(str::to_owned);
        let batch = decode(body.as_bytes(), &levels, &columns).expect("JSON");
        let texts =
            |index: usize| batch.column(index).as_string::<i32>().iter().flatten().collect::<Vec<_>>().join(" ");
        assert_eq!((texts(0), texts(1), texts(2)), ("1 1 1".into(), "7 7 8".into(), "5 341 341".into()));
    }

    #[test]
    fn what_is_not_json_says_how_it_starts() {
        let error = decode(b"<html>Bad gateway", &["/results".to_owned()], &[]).expect_err("HTML");
        assert!(error.message.starts_with("the answer is not JSON, it starts with `<html>Bad gateway`"), "{error}");
        assert!(decode(br#"{"results":[{"id":1},"#, &["/results".to_owned()], &[]).is_err());
        assert!(decode(br#"{"results":[{"id":1}],"paging":{"next"#, &["/results".to_owned()], &[]).is_err());
        assert!(decode(b"[1]", &[], &[]).is_err());
    }

    #[test]
    fn an_answer_without_its_array_is_not_empty() {
        for body in [r#"{"message":"maintenance"}"#, r#"{"results":null}"#, r#"{"results":{}}"#] {
            let error = decode(body.as_bytes(), &["/results".to_owned()], &[]).expect_err("no array");
            assert!(error.message.starts_with("the answer has no array at `/results`, it starts with"), "{error}");
        }
        assert_eq!(decode(br#"{"results":[]}"#, &["/results".to_owned()], &[]).expect("empty").num_rows(), 0);
    }
}

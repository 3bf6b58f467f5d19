//! JSON bodies to typed columns in one pass over the text. A value that does not fit its column is kept as received in
//! `_unfit`.

mod columns;
mod paths;
mod walk;

use arrow_array::RecordBatch;
use host_core::error::Error;

pub(crate) use paths::JsonColumn;

use columns::TableBuilder;
use paths::ColumnLayout;

use super::DecodeError;
use super::depth::JsonText;
use crate::memory::{HostMemory, Meter, Reservation};

/// Decodes a body: `levels` are nested arrays, one row for each innermost element. The whole body is read: a body that
/// is cut off behind the array would look like one without a next page. The rows come with their memory.
pub(crate) fn decode(
    body: JsonText<'_>,
    levels: &[String],
    columns: &[JsonColumn],
    memory: &HostMemory,
) -> Result<(RecordBatch, Reservation), DecodeError> {
    let body = body.bytes();
    let text = std::str::from_utf8(body).map_err(|cause| not_json(body, &cause.to_string()))?;
    // A text with escapes is decoded into a buffer of its own, one text at a time.
    let _scratch = memory.reserve(body.len().saturating_add(ColumnLayout::bytes(levels, columns)))?;
    let layout = ColumnLayout::new(levels, columns)?;
    let mut table = TableBuilder::new(columns, Meter::new(memory)?)?;
    let walked = walk::read_rows(text, &layout, &mut table);
    if let Some(exceeded) = table.exceeded() {
        return Err(exceeded.into());
    }
    if !walked.map_err(|cause| not_json(body, &cause.to_string()))? {
        return Err(no_array(body, levels).into());
    }
    let (batch, meter) = table.finish(columns)?;
    let reservation = meter.finish(batch.get_array_memory_size())?;
    Ok((batch, reservation))
}

fn not_json(body: &[u8], why: &str) -> Error {
    let why = why.lines().next().unwrap_or_default();
    Error::data(format!("the response is not valid JSON: {why}; it starts with `{}`", start(body)))
}

/// A response without its array is an error, not an empty page.
fn no_array(body: &[u8], levels: &[String]) -> Error {
    let pointer = levels.first().map_or("", String::as_str);
    Error::data(format!("the response has no array at `{pointer}`; it starts with `{}`", start(body)))
}

fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(60)]).escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use super::{DecodeError, JsonColumn, JsonText};
    use crate::memory::{HostMemory, MemoryBudget, MemoryExceeded};
    use arrow_array::RecordBatch;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, TimestampMicrosecondType};
    use host_core::error::{Error, Result};
    use host_core::schema::{Field, Type};

    fn decode(body: &[u8], levels: &[String], columns: &[JsonColumn]) -> Result<RecordBatch> {
        let memory = HostMemory::new(MemoryBudget::default());
        let decoded = super::decode(JsonText::new(body).expect("a shallow text"), levels, columns, &memory);
        decoded.map(|(batch, _)| batch).map_err(Error::from)
    }

    /// Decodes within a budget of this many bytes.
    fn decode_within(bytes: usize, body: &str, columns: &[JsonColumn]) -> Result<usize, DecodeError> {
        let budget = MemoryBudget::default();
        budget.set_limit(bytes);
        let body = JsonText::new(body.as_bytes()).expect("a shallow text");
        super::decode(body, &["/results".to_owned()], columns, &HostMemory::new(budget))
            .map(|(batch, _)| batch.num_rows())
    }

    #[test]
    fn rows_beyond_the_memory_limit_are_never_built() {
        let exceeds = |bytes: usize, body: &str, columns: &[JsonColumn]| {
            matches!(decode_within(bytes, body, columns), Err(DecodeError::Memory(MemoryExceeded::Process(_))))
        };
        let rows = |count: usize| format!("{{\"results\":[{}]}}", vec!["{}"; count].join(","));
        let decimals = |count: usize| -> Vec<_> {
            (0..count).map(|index| column(&format!("c{index}"), Type::Decimal(38, 9), 0, "/x")).collect()
        };
        assert_eq!(decode_within(8 << 20, &rows(1000), &decimals(100)).ok(), Some(1000));
        assert!(exceeds(8 << 20, &rows(500_000), &decimals(100)));
        assert!(exceeds(8 << 20, "{\"results\":[]}", &decimals(10_000)));
        // A text that every row repeats.
        let long = "x".repeat(1 << 20);
        let constant = |text: &str| {
            let mut column = column("constant", Type::Text, 0, "");
            column.field.metadata.insert("constant".to_owned(), text.to_owned());
            [column]
        };
        assert_eq!(decode_within(32 << 20, &rows(4), &constant(&long)).ok(), Some(4));
        assert!(exceeds(32 << 20, &rows(100), &constant(&long)));
        // Texts inside of texts, each a column.
        let path = |depth: usize| "/a".repeat(depth);
        let nested: Vec<_> = (0..90).map(|depth| column(&format!("c{depth}"), Type::Text, 0, &path(depth))).collect();
        let body = format!("{{\"results\":[{}\"{long}\"{}]}}", "{\"a\":".repeat(90), "}".repeat(90));
        assert!(exceeds(64 << 20, &body, &nested));
        // Texts that do not fit.
        let body = format!("{{\"results\":[{{\"x\":\"{long}\"}}]}}");
        assert_eq!(decode_within(64 << 20, &body, &decimals(1)).ok(), Some(1));
        assert!(exceeds(3 << 20, &body, &decimals(1)));
    }

    #[test]
    fn texts_of_more_than_two_gigabytes_are_a_limit_and_no_panic() {
        let body =
            format!("{{\"results\":[{{\"x\":\"{}\",\"l\":[{}]}}]}}", "x".repeat(20 << 20), vec!["{}"; 110].join(","));
        let columns = [column("x", Type::Text, 0, "/x")];
        let levels = ["/results", "/l"].map(str::to_owned);
        let error = decode(body.as_bytes(), &levels, &columns).expect_err("too large");
        assert!(error.message().contains("holds more than 1024 MiB"), "{error}");
    }

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
    fn a_value_that_does_not_fit_is_kept_as_received() {
        let batch = amounts(r#""67340.0"|12.5|""|null|"1;2"|"1e3""#);
        let amounts = batch.column(0).as_primitive::<Decimal128Type>();
        let got: Vec<_> = amounts.iter().map(|value| value.map(|value| value / 1_000_000)).collect();
        assert_eq!(got, [Some(67_340_000), Some(12_500), None, None, None, Some(1_000_000)]);
        let unfit: Vec<_> = batch.column(1).as_string::<i32>().iter().collect();
        assert_eq!(unfit, [None, None, None, None, Some(r#"{"amount":"1;2"}"#), None]);
    }

    #[test]
    fn times_are_accepted_in_all_forms() {
        let body = r#"{"results":[{"t":"1700000000000"},{"t":"2023-11-14T22:13:20Z"},{"t":1700000000000},{"t":"1700000000000.0"},{"t":"2023-11-14"}]}"#;
        let columns = [column("t", Type::Timestamp, 0, "/t")];
        let batch = decode(body.as_bytes(), &["/results".to_owned()], &columns).expect("JSON");
        let times: Vec<_> = batch.column(0).as_primitive::<TimestampMicrosecondType>().iter().flatten().collect();
        assert_eq!(times[..4], [1_700_000_000_000_000; 4]);
        assert_eq!(times[4], 1_699_920_000_000_000);
    }

    #[test]
    fn rows_of_nested_arrays_repeat_outer_values() {
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
    fn an_error_shows_the_start_of_a_body_that_is_not_json() {
        let error = decode(b"<html>Bad gateway", &["/results".to_owned()], &[]).expect_err("HTML");
        assert!(error.message().starts_with("the response is not valid JSON: "), "{error}");
        assert!(error.message().ends_with("; it starts with `<html>Bad gateway`"), "{error}");
        assert!(decode(br#"{"results":[{"id":1},"#, &["/results".to_owned()], &[]).is_err());
        assert!(decode(br#"{"results":[{"id":1}],"paging":{"next"#, &["/results".to_owned()], &[]).is_err());
        assert!(decode(b"[1]", &[], &[]).is_err());
    }

    #[test]
    fn a_response_without_its_array_is_an_error() {
        for body in [r#"{"message":"maintenance"}"#, r#"{"results":null}"#, r#"{"results":{}}"#] {
            let error = decode(body.as_bytes(), &["/results".to_owned()], &[]).expect_err("no array");
            assert!(error.message().starts_with("the response has no array at `/results`; it starts with"), "{error}");
        }
        assert_eq!(decode(br#"{"results":[]}"#, &["/results".to_owned()], &[]).expect("empty").num_rows(), 0);
    }
}

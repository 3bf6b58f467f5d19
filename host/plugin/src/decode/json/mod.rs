//! JSON bodies to typed columns in one pass over the text. A value that does not fit its column is kept as received in
//! `_unfit`.

mod columns;
mod paths;
mod walk;

use arrow_array::RecordBatch;
use host_core::error::{Error, Result};

pub(crate) use paths::JsonColumn;

use columns::TableBuilder;
use paths::ColumnLayout;

use super::depth::JsonText;

/// Decodes a body: `levels` are nested arrays, one row for each innermost element. The whole body is read: a body that
/// is cut off behind the array would look like one without a next page.
pub(crate) fn decode(body: JsonText<'_>, levels: &[String], columns: &[JsonColumn]) -> Result<RecordBatch> {
    let body = body.bytes();
    let text = std::str::from_utf8(body).map_err(|cause| not_json(body, &cause.to_string()))?;
    let layout = ColumnLayout::new(levels, columns)?;
    let mut table = TableBuilder::new(columns);
    let has_array = walk::read_rows(text, &layout, &mut table).map_err(|cause| not_json(body, &cause.to_string()))?;
    if !has_array {
        return Err(no_array(body, levels));
    }
    table.finish(columns)
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
    use super::{JsonColumn, JsonText, Result};
    use arrow_array::RecordBatch;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, TimestampMicrosecondType};
    use host_core::schema::{Field, Type};

    fn decode(body: &[u8], levels: &[String], columns: &[JsonColumn]) -> Result<RecordBatch> {
        super::decode(JsonText::new(body).expect("a shallow text"), levels, columns)
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

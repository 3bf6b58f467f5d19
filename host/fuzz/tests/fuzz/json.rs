//! Decoding of JSON responses: whatever decodes is valid JSON, with a row for each element.

use host_core::schema::{Field, Type};
use host_plugin::fuzzing;
use serde_json::Value;

const WORDS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"results\"",
    "\"id\"",
    "\"p\"",
    "\"amount\"",
    "\"t\"",
    "\"on\"",
    "\"x\"",
    "\"\"",
    "null",
    "true",
    "false",
    "0",
    "-",
    "1",
    "1.5",
    "1e400",
    "\"12.50\"",
    "\"2024-02-29\"",
    "\"2024-02-29T00:00:00Z\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\\"\"",
    "{\"results\":[",
    "{\"id\":\"1\",",
    "]}",
    "\"p\":{\"amount\":",
    " ",
    "\n",
    "99999999999999999999999999999999999999999",
    "\u{feff}",
    "\"é\"",
    "\\",
    "\"",
    "\u{0}",
    "\"results\":[{",
    "},{\"id\":2",
    "\"l\":[{\"x\":1}]",
    "1700000000000",
];

fn columns() -> Vec<(Field, usize, String)> {
    let column = |name: &str, data_type, level, path: &str| {
        let metadata = [("accept".to_owned(), "text,epoch-ms,empty-null".to_owned())].into();
        (Field { name: name.to_owned(), data_type, metadata }, level, path.to_owned())
    };
    vec![
        column("id", Type::Text, 0, "/id"),
        column("amount", Type::Decimal(38, 9), 0, "/p/amount"),
        column("t", Type::Timestamp, 0, "/t"),
        column("on", Type::Date, 0, "/on"),
        column("whole", Type::Text, 0, ""),
        column("number", Type::Int64, 0, "/x"),
        column("flag", Type::Bool, 0, "/x"),
    ]
}

#[test]
fn json() {
    bolero::check!(name = "json").for_each(|input: &[u8]| {
        let body = fuzz::text(input, &WORDS);
        for (levels, mut columns) in [(vec!["/results".to_owned()], columns()), (vec![String::new()], columns())] {
            columns.truncate(7);
            let Ok(batch) = fuzzing::json(&levels, columns, body.as_bytes()) else { continue };
            let Ok(value) = serde_json::from_str::<Value>(&body) else { continue };
            let rows = value.pointer(&levels[0]).and_then(Value::as_array).map(Vec::len);
            // serde keeps the last of equal keys, the decoder the first.
            assert!(rows == Some(batch.num_rows()) || body.matches("results").count() > 1, "{body}: {rows:?}");
        }
        let nested = ["/results".to_owned(), "/l".to_owned()];
        let column = Field { name: "x".to_owned(), data_type: Type::Float64, metadata: Default::default() };
        // Nested arrays: no panic, whatever the body is.
        let _ = fuzzing::json(&nested, vec![(column, 1, "/x".to_owned())], body.as_bytes());
    });
}

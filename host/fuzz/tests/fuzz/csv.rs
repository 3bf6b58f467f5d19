//! Decoding of CSV files: rows that decode have the columns and keys of the schema, and no key twice.

use std::collections::HashSet;
use std::io::{Seek as _, Write as _};

use arrow_array::{Array as _, StringArray};
use host_core::schema::{Field, Schema, Type};
use host_plugin::fuzzing;

const WORDS: [&str; 30] = [
    "id,on,amount,flag\n",
    "id;on;amount;flag\n",
    "1,2024-01-31,1.50,true\n",
    "2,,,\n",
    ",",
    ";",
    "\"",
    "\"\"",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "1",
    "2",
    "a",
    "2024-02-30",
    "1.005",
    "-0",
    "1e9",
    "true",
    "nan",
    "inf",
    "\u{feff}",
    "é",
    "\u{0}",
    "'",
    "=1+1",
    "id",
    "99999999999999999999",
];

#[test]
fn csv() {
    bolero::check!(name = "csv").for_each(|input: &[u8]| {
        let text = fuzz::text(input, &WORDS);
        let field = |name: &str, data_type| Field { name: name.to_owned(), data_type, metadata: Default::default() };
        let fields = vec![
            field("id", Type::Text),
            field("on", Type::Date),
            field("amount", Type::Decimal(18, 2)),
            field("flag", Type::Bool),
        ];
        for delimiter in [b',', b';'] {
            let schema = Schema { fields: fields.clone(), primary_key: vec!["id".to_owned()], cursor: None };
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(text.as_bytes()).expect("a file");
            file.rewind().expect("a file");
            let Ok(batches) = fuzzing::csv(file, schema, delimiter) else { continue };
            let mut keys = HashSet::new();
            for batch in batches {
                assert_eq!(batch.num_columns(), 4);
                let ids = batch.column(0).as_any().downcast_ref::<StringArray>().expect("text");
                for id in ids {
                    // An empty field is NULL, which the load refuses as a key.
                    let id = id.unwrap_or_default();
                    assert!(keys.insert(id.to_owned()), "the key `{id}` is in two rows");
                }
            }
        }
    });
}

//! What a guest says of itself: description, schema, errors. Whatever is accepted has only names that a column may have.

use host_plugin::fuzzing;

const WORDS: [&str; 40] = [
    "id",
    "on",
    "_load_id",
    "_host",
    "rowid",
    "a b",
    "\"",
    "\u{1b}[31m",
    "\u{202e}",
    "\n",
    "|",
    "d:18,2",
    "d:39,0",
    "d:1,-1",
    "l",
    "u",
    "g",
    "b",
    "tdD",
    "tsu:UTC",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"type\"",
    "\"object\"",
    "\"properties\"",
    "\"$ref\"",
    "\"#\"",
    "\"pattern\"",
    "\"(a+)+$\"",
    "\"additionalProperties\"",
    "true",
    "0",
    "\"https://example.com/x\"",
    "\"$defs\"",
    "\"items\"",
    "é",
];

#[test]
fn wire() {
    bolero::check!(name = "wire").for_each(|input: &[u8]| {
        let text = fuzz::text(input, &WORDS);
        let mut parts = text.split('|');
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let (name, schema, details, message) = (part(), part(), part(), part());
        // No panic, no request, no endless check.
        let _ = fuzzing::description(&name, &schema, &details);
        let shown = fuzzing::guest_error(&message, &details);
        let is_control = |letter: char| letter.is_control() && letter != '\n';
        assert!(!shown.chars().any(is_control), "{shown:?}");
        let fields: Vec<_> = text.split('|').map(|field| field.split_once(',').unwrap_or((field, "u"))).collect();
        if let Ok(schema) = fuzzing::schema(&fields, &name) {
            assert!(
                schema.fields.iter().all(|field| !field.name.is_empty() && !field.name.chars().any(char::is_control))
            );
            assert_eq!(schema.primary_key, [name]);
        }
    });
}

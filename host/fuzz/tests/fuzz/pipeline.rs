//! Pipeline files: every text is a pipeline or an error with a message.

use host::pipeline::{Environment, Pipeline};
use host::project::Project;

const WORDS: [&str; 48] = [
    "[pipeline]\n",
    "name = \"p\"\n",
    "warehouse = \"w.duckdb\"\n",
    "[[source]]\n",
    "plugin = \"csv\"\n",
    "files = { file = \"a.csv\" }\n",
    "[source.config]\n",
    "[connection.x]\n",
    "base_url = \"${URL:-http://127.0.0.1}\"\n",
    "token = { secret = \"S\" }\n",
    "[[rule]]\n",
    "streams = [\"csv.people\"]\n",
    "[marts]\n",
    "path = \"sql\"\n",
    "variables = { a = \"1\" }\n",
    "[[report]]\n",
    "title = \"t\"\n",
    "query = \"SELECT 1\"\n",
    "[[alert]]\n",
    "schedule = \"0 */6 * * *\"\n",
    "timezone = \"America/Sao_Paulo\"\n",
    "retry = { first_ms = 5 }\n",
    "memory_limit = \"1GB\"\n",
    "=",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    "\n",
    "#",
    "${",
    "}",
    "${A:-${B}}",
    "\"\"\"",
    "1",
    "-1",
    "1e999",
    "9223372036854775808",
    "1979-05-27T07:32:00Z",
    "true",
    "\\u0000",
    "a",
    "\u{0}",
    "é",
];

#[test]
fn pipeline() {
    let folder = tempfile::tempdir().expect("a folder");
    let process = [("A".to_owned(), "a".to_owned()), ("S".to_owned(), "secret-value".to_owned())];
    let environment = Environment::new(process, &Project::of_folder(folder.path())).expect("an environment");
    let folder = folder.path().to_owned();
    bolero::check!(name = "pipeline").for_each(|input: &[u8]| {
        let text = fuzz::text(input, &WORDS);
        match Pipeline::parse(&text, "pipeline.toml", folder.clone(), &environment) {
            Ok(pipeline) => {
                let _ = (pipeline.schedule(), pipeline.warehouse());
            }
            Err(error) => {
                let message = error.to_string();
                assert!(!message.is_empty() && !message.contains("secret-value"), "{message}");
            }
        }
    });
}

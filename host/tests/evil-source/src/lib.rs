//! A source that breaks the contract in the way its config selects. It uses the contract's bindings directly, since the
//! SDK prevents most of this. Its one stream `rows` has the text columns `id`, the primary key, and `name`; each run
//! replaces it.

mod amplify;
mod memory;
mod pages;
mod requests;
mod sleep;
mod table;

use std::cell::Cell;
use std::collections::BTreeMap;

use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Error, ErrorKind, Need, Spec};
use plugin_sdk::bindings::source_plugin::exports::elt::plugin::source as wit;
use plugin_sdk::log;
use serde::Deserialize;

/// The name of the stream.
const STREAM: &str = "rows";
/// The connection that the source declares as a need.
const CONNECTION: &str = "api";
/// The optional file that the source declares as a need.
const FILE: &str = "file";

#[derive(Debug, Clone, Deserialize)]
struct Config {
    mode: Mode,
    /// The path to request, or the name of a file, a stream or a column, depending on the mode.
    #[serde(default)]
    path: String,
    /// Texts to count in the guest's memory, by the id of the row that gets the count. They are reversed, so that the
    /// search does not find its own input.
    #[serde(default)]
    backwards: BTreeMap<String, String>,
    /// A text that is certain to be in memory, since it is part of the config: a control for the count.
    #[serde(default)]
    known: String,
    /// The stream of the mode `table`.
    #[serde(default)]
    table: table::Table,
}

/// How the source misbehaves: in `discover`, or after the first page of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Does not misbehave.
    Honest,
    /// Does not misbehave, and writes the configured path to the log.
    Log,
    /// Returns the configured stream and pages, whatever they are.
    Table,
    /// Never returns from `next`.
    Spin,
    /// Sleeps for a year in `next`.
    Sleep,
    /// Traps at the second page.
    Trap,
    /// Discovers a stream with the configured name.
    StreamName,
    /// Discovers two streams whose names differ only in case.
    TwinStreams,
    /// Discovers a column with the configured name.
    ColumnName,
    /// Marks a column that does not exist as free text.
    HintedColumn,
    /// Uses a connection that it did not declare.
    UndeclaredConnection,
    /// Sets the `Authorization` header.
    OwnAuthorization,
    /// Sets `Transfer-Encoding`, as request smuggling does.
    SmuggledHeader,
    /// Sends a TRACE request, whose response would contain the secret.
    Trace,
    /// Requests the configured path, which may lead out of the connection, and reports the response.
    Path,
    /// Opens the configured file, which was not granted.
    File,
    /// Reads the same value of a response thousands of times in one call.
    Greedy,
    /// Sends millions of requests in one call, over a connection that it does not have.
    ManyRequests,
    /// Holds responses that together exceed the host's memory limit for a guest.
    Hoard,
    /// Decodes a column with a JSON path of a million steps.
    DeepPath,
    /// Decodes the rows of a response.
    Decode,
    /// Returns a state of 100 MiB.
    BigState,
    /// Returns empty pages without end.
    Endless,
    /// Returns rows of a stream that was not selected.
    OtherStream,
    /// Returns rows with a schema that has no primary key.
    NoKey,
    /// Returns a batch that claims more rows than its buffers hold.
    ClaimedRows,
    /// Returns fewer columns than the schema has.
    FewColumns,
    /// Decodes many rows of two thousand decimals from a small response.
    WideRows,
    /// Repeats a long text of a response in many rows.
    LongTexts,
    /// Copies one column a thousand times in one call.
    SameColumn,
    /// Cuts a table into millions of slices and keeps them.
    Slices,
    /// Sends requests with large bodies and does not wait for the responses.
    Unsent,
    /// Opens the granted file many times.
    ManyFiles,
    /// Discovers eight streams whose readers take 900 MiB of linear memory each, and hold it.
    Allocate,
    /// Sends two requests of a bucket that allows one in thirty thousand years.
    Bucket,
    /// Sends a request with the secret, then searches the guest's memory for texts.
    Dump,
}

fn failure(kind: ErrorKind, message: String) -> Error {
    Error { kind, code: "evil".to_owned(), message, retry_after_ms: None, details_json: None }
}

struct Component;

/// Prevents dead code warnings in native builds, which export nothing.
#[doc(hidden)]
#[cfg(not(target_arch = "wasm32"))]
pub fn component() {
    let _ = Component;
}

impl wit::Guest for Component {
    type Reader = Reader;

    fn describe() -> Spec {
        let schema = r#"{
            "type": "object", "required": ["mode"], "additionalProperties": false, "properties": {
                "mode": { "type": "string" }, "path": { "type": "string" }, "known": { "type": "string" },
                "backwards": { "type": "object", "additionalProperties": { "type": "string" } },
                "table": { "type": "object" }
            }
        }"#;
        let need = |kind: &str, name: &str, details: &str| Need {
            kind: kind.to_owned(),
            name: name.to_owned(),
            details_json: details.to_owned(),
        };
        Spec {
            name: "evil-source".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: schema.to_owned(),
            needs: vec![
                need("connection", CONNECTION, "{}"),
                need("file", FILE, r#"{ "optional": true }"#),
                need("rate-bucket", amplify::BUCKET, r#"{ "requests": 1, "per-ms": 1000000000000000 }"#),
                need("retry", "retry", r#"{ "statuses": [{ "status": 423, "wait-ms": 1000000000000000 }] }"#),
            ],
            hints: Vec::new(),
        }
    }

    fn check(_: String) -> Result<(), Error> {
        Ok(())
    }

    fn identity(config: String) -> Result<Option<String>, Error> {
        Ok(parse(&config)?.table.identity)
    }

    fn discover(config: String, _: Option<Vec<String>>) -> Result<Vec<wit::StreamInfo>, Error> {
        let Config { mode, path, table, .. } = parse(&config)?;
        let stream = |name: &str| {
            let hints = vec![("disposition".to_owned(), "replace".to_owned())];
            wit::StreamInfo { name: name.to_owned(), schema: pages::schema(), hints }
        };
        Ok(match mode {
            Mode::Table => vec![table.stream()],
            Mode::StreamName => vec![stream(&path)],
            Mode::TwinStreams => vec![stream(STREAM), stream(&STREAM.to_uppercase())],
            Mode::ColumnName => {
                let mut stream = stream(STREAM);
                stream.schema.fields[1].name = path;
                vec![stream]
            }
            Mode::Allocate => (1..=8).map(|number| stream(&format!("{STREAM}_{number}"))).collect(),
            Mode::HintedColumn => {
                let mut stream = stream(STREAM);
                stream.hints.push(("free-text".to_owned(), path));
                vec![stream]
            }
            _ => vec![stream(STREAM)],
        })
    }

    fn open(config: String, _: wit::Selection) -> Result<wit::Reader, Error> {
        Ok(wit::Reader::new(Reader { config: parse(&config)?, pages: Cell::new(0) }))
    }
}

fn parse(config: &str) -> Result<Config, Error> {
    serde_json::from_str(config).map_err(|cause| failure(ErrorKind::Config, cause.to_string()))
}

/// An open reader of the stream.
struct Reader {
    config: Config,
    /// Pages returned so far.
    pages: Cell<u32>,
}

impl wit::GuestReader for Reader {
    fn next(&self) -> Result<wit::Page, Error> {
        let page = self.pages.get();
        self.pages.set(page + 1);
        match self.config.mode {
            Mode::Honest => Ok(pages::last(pages::rows(&["1", "2", "3"], &["a", "b", "c"]))),
            Mode::Log => {
                log::info(&format!("reading {}", self.config.path));
                log::warn("one row is not of this month");
                Ok(pages::last(pages::rows(&["1", "2", "3"], &["a", "b", "c"])))
            }
            Mode::Dump => self.dump(),
            Mode::Table => self.config.table.page(page as usize),
            Mode::Allocate => amplify::allocate(&self.config.path),
            _ if page == 0 => Ok(pages::more(pages::rows(&["1", "2", "4"], &["evil", "evil", "evil"]))),
            _ => self.misbehave(),
        }
    }
}

impl Reader {
    fn misbehave(&self) -> Result<wit::Page, Error> {
        let path = &self.config.path;
        match self.config.mode {
            Mode::Honest
            | Mode::Log
            | Mode::Dump
            | Mode::Table
            | Mode::Allocate
            | Mode::StreamName
            | Mode::TwinStreams
            | Mode::ColumnName
            | Mode::HintedColumn => Ok(pages::last(Vec::new())),
            Mode::Sleep => {
                sleep::sleep();
                Ok(pages::last(Vec::new()))
            }
            Mode::Spin => loop {
                std::hint::spin_loop();
            },
            Mode::Trap => std::process::abort(),
            Mode::UndeclaredConnection => requests::send("other", &requests::get("/")),
            Mode::OwnAuthorization => requests::with_header("authorization", "Bearer mine"),
            Mode::SmuggledHeader => requests::with_header("transfer-encoding", "chunked"),
            Mode::Trace => requests::trace(),
            Mode::Path => requests::send(CONNECTION, &requests::get(path)),
            Mode::File => requests::open(path),
            Mode::Greedy => requests::greedy(path),
            Mode::ManyRequests => Ok(requests::many()),
            Mode::Hoard => requests::hoard(path),
            Mode::DeepPath => requests::decode(path, &"/x".repeat(1_000_000)),
            Mode::Decode => requests::decode(path, "/x"),
            Mode::WideRows => amplify::wide_rows(path),
            Mode::LongTexts => amplify::long_texts(path),
            Mode::SameColumn => amplify::same_column(path),
            Mode::Slices => amplify::slices(path),
            Mode::Unsent => amplify::unsent(path),
            Mode::ManyFiles => amplify::many_files(),
            Mode::Bucket => amplify::bucket(path),
            Mode::BigState => {
                let state = Some("x".repeat(100 << 20));
                Ok(wit::Page { state, ..pages::last(Vec::new()) })
            }
            Mode::Endless => Ok(pages::more(Vec::new())),
            Mode::OtherStream | Mode::NoKey | Mode::ClaimedRows | Mode::FewColumns => {
                Ok(pages::last(pages::malformed(self.config.mode)))
            }
        }
    }

    /// Counts the texts in memory after the host has sent a request with the secret.
    fn dump(&self) -> Result<wit::Page, Error> {
        requests::expect_ok(&self.config.path)?;
        let backwards = &self.config.backwards;
        let counts: Vec<_> = backwards.values().map(|text| memory::count(text.as_bytes()).to_string()).collect();
        // Keeps the text in memory until here, even if the optimizer could drop it.
        std::hint::black_box(&self.config.known);
        let ids: Vec<_> = backwards.keys().map(String::as_str).collect();
        let counts: Vec<_> = counts.iter().map(String::as_str).collect();
        Ok(pages::last(pages::rows(&ids, &counts)))
    }
}

#[cfg(target_arch = "wasm32")]
mod component_exports {
    use super::Component;
    plugin_sdk::bindings::source_plugin::export_source_component!(Component with_types_in plugin_sdk::bindings::source_plugin);
}

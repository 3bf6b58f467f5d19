//! A source that misbehaves in the way that its config says, written by hand on the contract's bindings: the SDK would
//! not let it. Its one stream `rows` has the text columns `id`, the primary key, and `name`, and is replaced by each run.

mod memory;
mod pages;
mod requests;
mod sleep;

use std::cell::Cell;
use std::collections::BTreeMap;

use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Error, ErrorKind, Need, Spec};
use plugin_sdk::bindings::source_plugin::exports::elt::plugin::source as wit;
use serde::Deserialize;

/// The stream.
const STREAM: &str = "rows";
/// The connection and the file that it says it needs.
const CONNECTION: &str = "api";
const FILE: &str = "file";

#[derive(Debug, Clone, Deserialize)]
struct Config {
    mode: Mode,
    /// The path that it asks for, or the name of a file, a stream or a column.
    #[serde(default)]
    path: String,
    /// Texts that it looks for in its memory, by the ids of the rows that tell how often they are there. Each stands here
    /// last letter first, so that looking for it does not put it there.
    #[serde(default)]
    backwards: BTreeMap<String, String>,
    /// A text that is in its memory, since it is in its config.
    #[serde(default)]
    known: String,
}

/// What it does wrong: in what it says of its streams, or once it has brought a page of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Nothing.
    Honest,
    /// Never comes back from `next`.
    Spin,
    /// Sleeps for a year in `next`.
    Sleep,
    /// Stops in the middle of the stream.
    Trap,
    /// Has a stream of this name.
    StreamName,
    /// Has two streams whose names differ in their case.
    TwinStreams,
    /// Has a column of this name.
    ColumnName,
    /// Says that a column of this name, which it does not have, holds free text.
    HintedColumn,
    /// Asks over a connection that it did not say it needs.
    UndeclaredConnection,
    /// Sets the Authorization header.
    OwnAuthorization,
    /// Sets a header that tells where a request ends.
    SmuggledHeader,
    /// Asks the server to send back what it was sent.
    Trace,
    /// Asks for a path, which may lead elsewhere, and tells how it was answered.
    Path,
    /// Opens a file by a name that was not granted.
    File,
    /// Asks for one value of an answer again and again, in one call.
    Greedy,
    /// Sends more requests than anyone could mean, over a connection that it does not have.
    ManyRequests,
    /// Asks for answers that are together more than the host keeps.
    Hoard,
    /// Takes a column out of an answer that is a million steps deep.
    DeepPath,
    /// Keeps a state of 100 MB.
    BigState,
    /// Brings pages without rows and without end.
    Endless,
    /// Brings rows of a stream that was not asked for.
    OtherStream,
    /// Brings rows that nothing tells apart.
    NoKey,
    /// Claims more rows than there are bytes.
    ClaimedRows,
    /// Brings fewer columns than its schema has.
    FewColumns,
    /// Looks for texts in its whole memory, once a request over its connection was answered.
    Dump,
}

fn failure(kind: ErrorKind, message: String) -> Error {
    Error { kind, code: "evil".to_owned(), message, retry_after_ms: None, details_json: None }
}

struct Component;

/// Keeps the plugin alive in native builds, which have no entry points.
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
                "backwards": { "type": "object", "additionalProperties": { "type": "string" } }
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
            needs: vec![need("connection", CONNECTION, "{}"), need("file", FILE, r#"{ "optional": true }"#)],
            hints: Vec::new(),
        }
    }

    fn check(_: String) -> Result<(), Error> {
        Ok(())
    }

    fn identity(_: String) -> Result<Option<String>, Error> {
        Ok(None)
    }

    fn discover(config: String, _: Option<Vec<String>>) -> Result<Vec<wit::StreamInfo>, Error> {
        let Config { mode, path, .. } = parse(&config)?;
        let stream = |name: &str| {
            let hints = vec![("disposition".to_owned(), "replace".to_owned())];
            wit::StreamInfo { name: name.to_owned(), schema: pages::schema(), hints }
        };
        Ok(match mode {
            Mode::StreamName => vec![stream(&path)],
            Mode::TwinStreams => vec![stream(STREAM), stream(&STREAM.to_uppercase())],
            Mode::ColumnName => {
                let mut stream = stream(STREAM);
                stream.schema.fields[1].name = path;
                vec![stream]
            }
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

/// The stream being read.
struct Reader {
    config: Config,
    /// Pages brought so far.
    pages: Cell<u32>,
}

impl wit::GuestReader for Reader {
    fn next(&self) -> Result<wit::Page, Error> {
        let page = self.pages.get();
        self.pages.set(page + 1);
        match self.config.mode {
            Mode::Honest => Ok(pages::last(pages::rows(&["1", "2", "3"], &["a", "b", "c"]))),
            Mode::Dump => self.dump(),
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
            | Mode::Dump
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
            Mode::DeepPath => requests::deep(path),
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

    /// What it finds in its memory once the host has sent a secret for it.
    fn dump(&self) -> Result<wit::Page, Error> {
        requests::expect_ok(&self.config.path)?;
        let backwards = &self.config.backwards;
        let counts: Vec<_> = backwards.values().map(|text| memory::count(text.as_bytes()).to_string()).collect();
        // Still there, whatever the compiler thinks of it.
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

//! A rule that misbehaves in the way that its config says, written by hand on the contract's bindings: the SDK would not
//! let it. It cleans a stream with the text columns `id`, the primary key, and `name`.

mod buffers;
mod patches;
mod verdicts;

use std::cell::Cell;

use plugin_sdk::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Batch, Error, ErrorKind, Field, Spec};
use serde::Deserialize;

#[derive(Debug, Clone, Copy, Deserialize)]
struct Config {
    mode: Mode,
}

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Never comes back from `apply`.
    Spin,
    /// Asks for memory until it is refused.
    Allocate,
    /// Calls itself without end.
    Recurse,
    /// Stops in the middle of the stream, at the second batch.
    Trap,
    /// Sets a text of 600 MB.
    GiantText,
    /// Sets a text that claims 600 MB and holds three bytes.
    GiantOffsets,
    /// Hands over too few offsets.
    ShortBuffer,
    /// Hands over offsets that fall.
    BadOffsets,
    /// Hands over bytes that are no UTF-8.
    BadUtf8,
    /// Cuts a character of two bytes in two texts.
    SplitCharacter,
    /// Sets a column of more rows than it was shown.
    TooManyRows,
    /// Refuses a row that it was not shown.
    UnknownRow,
    /// Makes millions of remarks.
    ManyNotes,
    /// Makes more remarks on few rows than anyone could mean.
    NotesARow,
    /// Is sure of a remark by no number.
    BadConfidence,
    /// Plans to set the primary key.
    ChangedKey,
    /// Plans to set the primary key, in capitals.
    KeyInCapitals,
    /// Plans to set a column in which the host keeps its books.
    HostColumn,
    /// Plans to set one column under two names that differ in their case.
    TwinColumns,
    /// Sets the primary key, without having said so.
    SmuggledKey,
    /// Sets a column that is not there, without having said so.
    UnknownColumn,
    /// Writes a million lines to the log.
    LogFlood,
    /// Fails with a message of 100 MB that clears the terminal.
    GiantError,
    /// Merges a record into none.
    MergeIntoNone,
    /// Merges a record twice.
    MergeTwice,
    /// Merges a record into one that is not there.
    MergeIntoStranger,
    /// Merges two records into each other.
    MergeInCircle,
    /// Names fewer survivors than records.
    UnevenMerge,
    /// Refuses a record that is not there.
    RejectStranger,
    /// Has another page of verdicts each time, with nothing on it.
    EmptyVerdicts,
    /// Has another page of verdicts each time, always on the same record.
    EndlessVerdicts,
}

impl Mode {
    /// Whether it needs the whole table for what it does.
    fn is_table_scope(self) -> bool {
        matches!(
            self,
            Self::KeyInCapitals
                | Self::MergeIntoNone
                | Self::MergeTwice
                | Self::MergeIntoStranger
                | Self::MergeInCircle
                | Self::UnevenMerge
                | Self::RejectStranger
                | Self::EmptyVerdicts
                | Self::EndlessVerdicts
        )
    }

    /// The columns that its plan says it sets.
    fn sets(self) -> &'static [&'static str] {
        match self {
            Self::ChangedKey => &["id"],
            Self::KeyInCapitals => &["ID"],
            Self::HostColumn => &["_host_row"],
            Self::TwinColumns => &["name", "Name"],
            _ => &["name"],
        }
    }
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
    type Cleaner = Cleaner;

    fn describe() -> Spec {
        let schema = r#"{
            "type": "object", "properties": { "mode": { "type": "string" } }, "required": ["mode"],
            "additionalProperties": false
        }"#;
        Spec {
            name: "evil-guest".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_schema: schema.to_owned(),
            needs: Vec::new(),
            hints: Vec::new(),
        }
    }

    fn open(config: String, inputs: Vec<wit::Input>) -> Result<wit::Cleaner, Error> {
        let Config { mode } =
            serde_json::from_str(&config).map_err(|cause| failure(ErrorKind::Config, cause.to_string()))?;
        let input = inputs.into_iter().next().map(|input| input.name).unwrap_or_default();
        Ok(wit::Cleaner::new(Cleaner { mode, input, batches: Cell::new(0), pages: Cell::new(0) }))
    }
}

/// The rule at work on one stream.
struct Cleaner {
    mode: Mode,
    input: String,
    /// Batches seen so far.
    batches: Cell<u32>,
    /// Pages of verdicts handed over so far.
    pages: Cell<u32>,
}

impl wit::GuestCleaner for Cleaner {
    fn plan(&self) -> wit::Plan {
        let scope = if self.mode.is_table_scope() { wit::Scope::Table } else { wit::Scope::Row };
        let columns = vec!["id".to_owned(), "name".to_owned()];
        let text = |name: &&str| Field {
            name: (*name).to_owned(),
            format: "u".to_owned(),
            nullable: true,
            metadata: Vec::new(),
        };
        let sets = self.mode.sets().iter().map(text).collect();
        wit::Plan { scope, reads: vec![wit::Reads { input: self.input.clone(), columns }], sets }
    }

    fn apply(&self, _: String, rows: Batch) -> Result<wit::Patch, Error> {
        self.batches.set(self.batches.get() + 1);
        if self.mode.is_table_scope() {
            return Ok(patches::nothing());
        }
        patches::misbehave(self.mode, self.batches.get(), rows.rows as usize)
    }

    fn finish(&self) -> Result<Option<wit::Verdicts>, Error> {
        let page = self.pages.get();
        self.pages.set(page + 1);
        Ok(verdicts::misbehave(self.mode, page))
    }
}

#[cfg(target_arch = "wasm32")]
mod component_exports {
    use super::Component;
    plugin_sdk::bindings::rule_plugin::export_rule_component!(Component with_types_in plugin_sdk::bindings::rule_plugin);
}

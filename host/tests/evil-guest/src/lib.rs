//! A rule that breaks the contract in the way its config selects. It uses the contract's bindings directly, since the
//! SDK prevents most of this. It cleans a stream with the text columns `id`, the primary key, and `name`.

mod buffers;
mod patches;
mod verdicts;

use std::cell::Cell;

use plugin_sdk::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use plugin_sdk::bindings::source_plugin::elt::plugin::types::{Batch, Error, ErrorKind, Field, Spec};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
struct Config {
    mode: Mode,
    /// The text of the mode `echo`.
    #[serde(default)]
    text: String,
}

/// How the rule misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Never returns from `apply`.
    Spin,
    /// Allocates memory until that fails.
    Allocate,
    /// Recurses without end.
    Recurse,
    /// Traps at the second batch.
    Trap,
    /// Sets a text of 600 MiB.
    GiantText,
    /// Sets a text whose offsets claim 600 MiB, with three bytes of values.
    GiantOffsets,
    /// Returns a column with too few offsets.
    ShortBuffer,
    /// Returns a column with decreasing offsets.
    BadOffsets,
    /// Returns text that is not valid UTF-8.
    BadUtf8,
    /// Splits a two-byte character between two values.
    SplitCharacter,
    /// Sets a column with more rows than the batch.
    TooManyRows,
    /// Rejects a row that is not in the batch.
    UnknownRow,
    /// Returns three million notes.
    ManyNotes,
    /// Returns 300,000 notes on a small batch.
    NotesARow,
    /// Returns a note with the confidence NaN.
    BadConfidence,
    /// Plans to set the primary key `id`.
    ChangedKey,
    /// Plans to set the primary key as `ID`.
    KeyInCapitals,
    /// Plans to set a column that is reserved for the host.
    HostColumn,
    /// Plans to set a column twice, with names that differ only in case.
    TwinColumns,
    /// Sets the primary key, which is not in its plan.
    SmuggledKey,
    /// Sets a column that does not exist and is not in its plan.
    UnknownColumn,
    /// Does not misbehave: writes a line to the log for each batch, and changes nothing.
    Log,
    /// Does not misbehave: repeats the configured text in a note on the first row, and in the log.
    Echo,
    /// Writes a million lines to the log in one call.
    LogFlood,
    /// Fails with a message of 100 MiB that starts with an escape sequence to clear the terminal.
    GiantError,
    /// Merges a record into null.
    MergeIntoNone,
    /// Merges the same record twice.
    MergeTwice,
    /// Merges a record into one that does not exist.
    MergeIntoStranger,
    /// Merges two records into each other.
    MergeInCircle,
    /// Returns fewer survivors than merged records.
    UnevenMerge,
    /// Rejects a record that does not exist.
    RejectStranger,
    /// Returns empty pages of verdicts without end.
    EmptyVerdicts,
    /// Returns pages of verdicts on the same record without end.
    EndlessVerdicts,
}

impl Mode {
    /// Whether the rule has table scope.
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

    /// The columns that the plan sets.
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

/// Prevents dead code warnings in native builds, which export nothing.
#[doc(hidden)]
#[cfg(not(target_arch = "wasm32"))]
pub fn component() {
    let _ = Component;
}

impl wit::Guest for Component {
    type Cleaner = Cleaner;

    fn describe() -> Spec {
        let schema = r#"{
            "type": "object", "required": ["mode"],
            "properties": { "mode": { "type": "string" }, "text": { "type": "string" } },
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
        let Config { mode, text } =
            serde_json::from_str(&config).map_err(|cause| failure(ErrorKind::Config, cause.to_string()))?;
        let input = inputs.into_iter().next().map(|input| input.name).unwrap_or_default();
        Ok(wit::Cleaner::new(Cleaner { mode, text, input, batches: Cell::new(0), pages: Cell::new(0) }))
    }
}

/// An open rule on one stream.
struct Cleaner {
    mode: Mode,
    text: String,
    input: String,
    /// Batches seen so far.
    batches: Cell<u32>,
    /// Pages of verdicts returned so far.
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
            return Ok(patches::empty());
        }
        if self.mode == Mode::Echo {
            return Ok(patches::echo(&self.text));
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

//! What a rule implements, and what it plans.

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::column::AnyColumn;
use crate::error::Result;
use crate::rows::{Patch, Rows, Verdicts};
use crate::schema::{Field, Need, Schema};

/// A cleaning plugin: `open` once a stream, `plan` once, then `apply` for each batch, then `finish` until it has no more.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no rule",
    label = "this type does not implement `Rule`",
    note = "a rule has `type Config`, `fn open(config: Config, input: &Schema) -> Result<Self>`, `fn plan(&self) -> Plan` \
            and `fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()>`"
)]
pub trait Rule: Sized + 'static {
    /// What the pipeline says in `config`; its JSON Schema is what the host checks the TOML against.
    type Config: serde::de::DeserializeOwned + schemars::JsonSchema;

    /// Files it wants granted.
    fn needs() -> Vec<Need> {
        Vec::new()
    }

    /// Looks up its columns in the stream it cleans; the place to refuse a config.
    fn open(config: Self::Config, input: &Schema) -> Result<Self>;

    /// Which columns it reads and sets.
    fn plan(&self) -> Plan;

    /// Columns that the rule adds to the stream: `open` finds them among the others.
    fn adds(_config: &Self::Config) -> Vec<Field> {
        Vec::new()
    }

    /// Table scope: a batch of a further input, whose columns the plan reads; all of them come before the stream itself.
    fn take(&mut self, _input: &str, _rows: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    /// One batch. A rule of table scope only takes note here, and leaves the patch empty.
    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()>;

    /// Table scope: the verdicts, a page a call, until none.
    fn finish(&mut self) -> Result<Option<Verdicts>> {
        Ok(None)
    }
}

/// Which columns a rule reads and sets, and whether it needs the whole table to judge.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) scope: wit::Scope,
    pub(crate) reads: Vec<AnyColumn>,
    pub(crate) sets: Vec<AnyColumn>,
    pub(crate) masks: Vec<AnyColumn>,
    /// What it reads of further inputs.
    pub(crate) beside: Vec<(String, Vec<AnyColumn>)>,
}

impl Plan {
    /// Each row is judged by itself: the rule sees changed rows only.
    #[must_use]
    pub fn row() -> Self {
        Self { scope: wit::Scope::Row, reads: Vec::new(), sets: Vec::new(), masks: Vec::new(), beside: Vec::new() }
    }

    /// Rows are judged against each other: the rule sees them all, with their primary keys.
    #[must_use]
    pub fn table() -> Self {
        Self { scope: wit::Scope::Table, ..Self::row() }
    }

    /// Reads a column.
    #[must_use]
    pub fn reads(self, column: impl Into<AnyColumn>) -> Self {
        self.reads_all([column])
    }

    /// Reads columns; naming one twice reads it once.
    #[must_use]
    pub fn reads_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add(&mut self.reads, columns);
        self
    }

    /// Table scope: reads columns of a further input.
    #[must_use]
    pub fn reads_of(mut self, input: &str, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        let mut reads = Vec::new();
        add(&mut reads, columns);
        self.beside.push((input.to_owned(), reads));
        self
    }

    /// Sets a column.
    #[must_use]
    pub fn sets(self, column: impl Into<AnyColumn>) -> Self {
        self.sets_all([column])
    }

    /// Sets columns.
    #[must_use]
    pub fn sets_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add(&mut self.sets, columns);
        self
    }

    /// Sets columns that hold what nobody should read: the host keeps no value of theirs in its journal, whichever rule
    /// changed it.
    #[must_use]
    pub fn masks_all(mut self, columns: impl IntoIterator<Item = impl Into<AnyColumn>>) -> Self {
        add(&mut self.masks, columns);
        let masks = self.masks.clone();
        self.sets_all(masks)
    }
}

/// Adds columns, each once.
pub(crate) fn add(columns: &mut Vec<AnyColumn>, more: impl IntoIterator<Item = impl Into<AnyColumn>>) {
    for column in more {
        let column = column.into();
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
}

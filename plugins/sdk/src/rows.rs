//! What passes through a rule: rows in, a patch out; for table scope, verdicts by primary key.

use std::collections::BTreeMap;

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types::{Batch, Column};
use crate::column::{TextBuilder, TextView};
use crate::error::{Error, Result};
use crate::schema::{Schema, TextColumn};

/// A batch of rows, holding the columns that the rule's plan reads.
#[derive(Debug)]
pub struct Rows<'a> {
    batch: &'a Batch,
    reads: &'a [TextColumn],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(batch: &'a Batch, reads: &'a [TextColumn]) -> Self {
        Self { batch, reads }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.rows as usize
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.rows == 0
    }

    /// A column that the plan reads.
    pub fn text(&self, column: TextColumn) -> Result<TextView<'a>> {
        let at = self.reads.iter().position(|read| *read == column);
        let found = at.and_then(|at| self.batch.columns.get(at));
        let column = found.ok_or_else(|| Error::config("a column is used that the plan does not read"))?;
        TextView::new(column, self.len())
    }
}

/// What a rule answers to a batch: columns anew, rows refused, remarks.
#[derive(Debug, Default)]
pub struct Patch {
    set: BTreeMap<usize, Column>,
    rejects: Vec<wit::Note>,
    notes: Vec<wit::Note>,
}

impl Patch {
    /// Sets a column to what `edit` makes of each value; nulls stay null, and `None` sets null.
    pub fn map(
        &mut self,
        column: TextColumn,
        rows: &Rows<'_>,
        mut edit: impl FnMut(&str) -> Option<String>,
    ) -> Result<()> {
        let mut built = TextBuilder::new();
        for value in rows.text(column)?.iter() {
            built.push(value.and_then(&mut edit).as_deref());
        }
        self.set(column, built);
        Ok(())
    }

    /// Sets a column to the values of a builder, one a row.
    pub fn set(&mut self, column: TextColumn, values: TextBuilder) {
        self.set.insert(column.0, values.finish());
    }

    /// Refuses a row: it goes to `_host.rejects` with this reason, and no further.
    pub fn reject(&mut self, row: usize, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.rejects.push(note(row, column, code, message.into(), None));
    }

    /// Remarks on a row, which goes on.
    pub fn note(&mut self, row: usize, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.notes.push(note(row, column, code, message.into(), None));
    }

    pub(crate) fn finish(self, schema: &Schema) -> wit::Patch {
        let name = |index: usize| schema.wit.fields[index].name.clone();
        let set = self.set.into_iter().map(|(index, column)| (name(index), column)).collect();
        wit::Patch { set, rejects: self.rejects, notes: self.notes }
    }
}

fn note(row: usize, column: Option<&str>, code: &str, message: String, confidence: Option<f64>) -> wit::Note {
    let row = u32::try_from(row).unwrap_or(u32::MAX);
    wit::Note { row, column: column.map(str::to_owned), code: code.to_owned(), message, confidence }
}

/// What a table-scope rule answers: which primary keys merged into which, with what confidence.
#[derive(Debug, Default)]
pub struct Verdicts {
    keys: Vec<Vec<String>>,
    survivors: Vec<Vec<String>>,
    notes: Vec<wit::Note>,
}

impl Verdicts {
    /// The record `key` is a duplicate of `survivor`, found by `code` (such as `email`).
    pub fn merge(&mut self, key: Vec<String>, survivor: Vec<String>, code: &str, confidence: f64) {
        self.notes.push(note(self.keys.len(), None, code, String::new(), Some(confidence)));
        self.keys.push(key);
        self.survivors.push(survivor);
    }

    /// How many verdicts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn finish(self) -> wit::Verdicts {
        wit::Verdicts {
            keys: batch(&self.keys),
            patch: wit::Patch { set: Vec::new(), rejects: Vec::new(), notes: self.notes },
            merged_into: Some(batch(&self.survivors)),
        }
    }
}

/// Text rows as a batch of text columns.
pub(crate) fn batch(rows: &[Vec<String>]) -> Batch {
    let width = rows.first().map_or(0, Vec::len);
    let mut builders: Vec<_> = (0..width).map(|_| TextBuilder::new()).collect();
    for row in rows {
        for (builder, value) in builders.iter_mut().zip(row) {
            builder.push(Some(value));
        }
    }
    let columns = builders.into_iter().map(TextBuilder::finish).collect();
    Batch { rows: u32::try_from(rows.len()).unwrap_or(u32::MAX), columns }
}

//! What passes through a rule: rows in, a patch out; for table scope, verdicts by primary key.

use std::collections::BTreeMap;

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types::{Batch, Column};
use crate::column::{AnyColumn, Builder, Column as Handle, Key, KeyPart, Value, View, key_batch, key_part};
use crate::error::{Error, Result};
use crate::schema::Schema;

/// A batch of rows, holding the columns that the rule's plan reads.
#[derive(Debug)]
pub struct Rows<'a> {
    batch: &'a Batch,
    reads: &'a [AnyColumn],
    key: &'a [AnyColumn],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(batch: &'a Batch, reads: &'a [AnyColumn], key: &'a [AnyColumn]) -> Self {
        Self { batch, reads, key }
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

    /// The values of a column that the plan reads.
    pub fn column<T: Value>(&self, column: Handle<T>) -> Result<View<'a, T>> {
        View::whole(self.find(column.into())?, self.len())
    }

    /// The primary key of a row; only rules of table scope are shown it.
    pub fn key(&self, row: usize) -> Result<Key> {
        let part = |column: &AnyColumn| key_part(self.find(*column)?, *column, self.len(), row);
        Ok(Key(self.key.iter().map(part).collect::<Result<_>>()?))
    }

    /// One value of a column of any type.
    pub fn value(&self, column: impl Into<AnyColumn>, row: usize) -> Result<KeyPart> {
        let column = column.into();
        key_part(self.find(column)?, column, self.len(), row)
    }

    fn find(&self, column: AnyColumn) -> Result<&'a Column> {
        let at = self.reads.iter().position(|read| *read == column);
        let found = at.and_then(|at| self.batch.columns.get(at));
        found.ok_or_else(|| Error::config("a column is used that the plan does not read"))
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
    pub fn map<'a, T: Value>(
        &mut self,
        column: Handle<T>,
        rows: &Rows<'a>,
        mut edit: impl FnMut(T::Read<'a>) -> Option<T::Owned>,
    ) -> Result<()> {
        let mut built = column.builder_of(rows.len());
        for value in rows.column(column)?.iter() {
            built.push(value.and_then(&mut edit).as_ref().map(T::borrow));
        }
        self.set(column, built);
        Ok(())
    }

    /// Sets a column to the values of a builder, one a row.
    pub fn set<T: Value>(&mut self, column: Handle<T>, values: Builder<T>) {
        self.set.insert(AnyColumn::from(column).index, values.finish());
    }

    /// Refuses a row: it goes to `_host.rejects` with this reason, and no further.
    pub fn reject(&mut self, row: usize, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.rejects.push(note(row, column, code, message.into(), None));
    }

    /// Remarks on a row, which goes on.
    pub fn note(&mut self, row: usize, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.notes.push(note(row, column, code, message.into(), None));
    }

    /// Remarks on a row, which goes on, with how sure the rule is, from 0 to 1.
    pub fn note_with_confidence(
        &mut self,
        row: usize,
        column: Option<&str>,
        code: &str,
        message: impl Into<String>,
        confidence: f64,
    ) {
        self.notes.push(note(row, column, code, message.into(), Some(confidence)));
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

/// What a table-scope rule answers: which records merged into which, values set, records refused, and remarks.
#[derive(Debug, Default)]
pub struct Verdicts {
    merges: Vec<(Key, Key)>,
    merge_notes: Vec<wit::Note>,
    /// Values by column, each with the key of its record.
    sets: BTreeMap<usize, Vec<(Key, KeyPart)>>,
    remarked: Vec<Key>,
    rejects: Vec<wit::Note>,
    notes: Vec<wit::Note>,
}

impl Verdicts {
    /// The record `key` is a duplicate of `survivor`, found by `code` (such as `email`), with how sure the rule is, from
    /// 0 to 1.
    pub fn merge(&mut self, key: Key, survivor: Key, code: &str, confidence: f64) {
        self.merge_notes.push(note(self.merges.len(), None, code, String::new(), Some(confidence)));
        self.merges.push((key, survivor));
    }

    /// Sets a value of a record that stays; the plan must set the column.
    pub fn set(&mut self, key: Key, column: impl Into<AnyColumn>, value: KeyPart) {
        self.sets.entry(column.into().index).or_default().push((key, value));
    }

    /// Refuses a record: it goes to `_host.rejects` with this reason, and no further.
    pub fn reject(&mut self, key: Key, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.rejects.push(note(self.remarked.len(), column, code, message.into(), None));
        self.remarked.push(key);
    }

    /// Remarks on a record, which goes on.
    pub fn note(&mut self, key: Key, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.notes.push(note(self.remarked.len(), column, code, message.into(), None));
        self.remarked.push(key);
    }

    /// Remarks on a record, which goes on, with how sure the rule is, from 0 to 1.
    pub fn note_with_confidence(
        &mut self,
        key: Key,
        column: Option<&str>,
        code: &str,
        message: impl Into<String>,
        confidence: f64,
    ) {
        self.notes.push(note(self.remarked.len(), column, code, message.into(), Some(confidence)));
        self.remarked.push(key);
    }

    /// How many verdicts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.merges.len() + self.remarked.len() + self.sets.values().map(Vec::len).sum::<usize>()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Merges, values of each column, and remarks speak of different records: a page of the contract for each. Values
    /// come first, while the records that they came from are there.
    pub(crate) fn finish(self, schema: &Schema) -> Result<Vec<wit::Verdicts>> {
        let patch = |set, rejects, notes| wit::Patch { set, rejects, notes };
        let mut pages = Vec::new();
        for (index, values) in self.sets {
            let (keys, values): (Vec<_>, Vec<_>) =
                values.into_iter().map(|(key, value)| (key, Key(vec![value]))).unzip();
            let name = schema.wit.fields[index].name.clone();
            let column = key_batch(&values)?.columns.pop();
            let set = column.into_iter().map(|column| (name.clone(), column)).collect();
            pages.push(wit::Verdicts {
                keys: key_batch(&keys)?,
                patch: patch(set, Vec::new(), Vec::new()),
                merged_into: None,
            });
        }
        if !self.merges.is_empty() {
            let (keys, survivors): (Vec<_>, Vec<_>) = self.merges.into_iter().unzip();
            pages.push(wit::Verdicts {
                keys: key_batch(&keys)?,
                patch: patch(Vec::new(), Vec::new(), self.merge_notes),
                merged_into: Some(key_batch(&survivors)?),
            });
        }
        if !self.remarked.is_empty() {
            pages.push(wit::Verdicts {
                keys: key_batch(&self.remarked)?,
                patch: patch(Vec::new(), self.rejects, self.notes),
                merged_into: None,
            });
        }
        Ok(pages)
    }
}

/// Rows that a source makes itself: a builder for each column of the stream.
#[derive(Debug, Default)]
pub struct Built {
    columns: BTreeMap<usize, (usize, Column)>,
}

impl Built {
    /// No column yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a column's values, one a row.
    #[must_use]
    pub fn column<T: Value>(mut self, column: Handle<T>, values: Builder<T>) -> Self {
        let rows = values.rows();
        self.columns.insert(AnyColumn::from(column).index, (rows, values.finish()));
        self
    }

    /// The columns in the schema's order; each field needs one, and all have as many rows.
    pub(crate) fn finish(mut self, schema: &Schema) -> Result<Batch> {
        let rows = self.columns.values().next().map_or(0, |(rows, _)| *rows);
        let column = |(index, field): (usize, &crate::bindings::source_plugin::elt::plugin::types::Field)| {
            let broken = |why: String| Error::new(crate::error::ErrorKind::Internal, "rows", why);
            let (found, column) =
                self.columns.remove(&index).ok_or_else(|| broken(format!("column `{}` was not built", field.name)))?;
            if found != rows {
                return Err(broken(format!("column `{}` has {found} rows, another has {rows}", field.name)));
            }
            Ok(column)
        };
        let columns = schema.wit.fields.iter().enumerate().map(column).collect::<Result<_>>()?;
        Ok(Batch { rows: u32::try_from(rows).unwrap_or(u32::MAX), columns })
    }
}

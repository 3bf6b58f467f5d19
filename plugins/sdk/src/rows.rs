//! What a rule gets and returns: batches of rows, patches, and for table scope verdicts by primary key.

use std::collections::BTreeMap;

use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types;
pub use crate::built::Built;
use crate::column::{AnyColumn, Builder, Column, Key, KeyPart, Value, View, key_batch, key_part};
use crate::error::{Error, Result};
use crate::schema::Schema;

/// A batch of rows with the columns that the rule's plan reads.
#[derive(Debug)]
pub struct Rows<'a> {
    batch: &'a types::Batch,
    /// The columns of the batch, in its order.
    reads: &'a [AnyColumn],
    /// The columns of the primary key.
    key: &'a [AnyColumn],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(batch: &'a types::Batch, reads: &'a [AnyColumn], key: &'a [AnyColumn]) -> Self {
        Self { batch, reads, key }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.batch.rows as usize
    }

    /// Whether the batch has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.batch.rows == 0
    }

    /// The values of a column.
    ///
    /// ```
    /// # use plugin_sdk::prelude::*;
    /// fn count_blank(column: TextColumn, rows: &Rows<'_>) -> Result<usize> {
    ///     let is_blank = |value: &Option<&str>| value.is_none_or(|text| text.trim().is_empty());
    ///     Ok(rows.column(column)?.iter().filter(is_blank).count())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If the rule's plan does not read the column.
    pub fn column<T: Value>(&self, column: Column<T>) -> Result<View<'a, T>> {
        View::checked_at_once(self.find(column.into())?, self.len())
    }

    /// The primary key of a row. Table scope only: rules of row scope get no keys, and an empty key here.
    ///
    /// # Errors
    ///
    /// If the primary key has a column of floats.
    pub fn key(&self, row: usize) -> Result<Key> {
        let part = |column: &AnyColumn| key_part(self.find(*column)?, *column, self.len(), row);
        Ok(Key(self.key.iter().map(part).collect::<Result<_>>()?))
    }

    /// One value of a column of any type but float.
    ///
    /// # Errors
    ///
    /// If the rule's plan does not read the column, or it is a column of floats.
    pub fn value(&self, column: impl Into<AnyColumn>, row: usize) -> Result<KeyPart> {
        let column = column.into();
        key_part(self.find(column)?, column, self.len(), row)
    }

    fn find(&self, column: AnyColumn) -> Result<&'a types::Column> {
        let at = self.reads.iter().position(|read| *read == column);
        let found = at.and_then(|at| self.batch.columns.get(at));
        found.ok_or_else(|| {
            Error::config("the rule reads a column that its plan does not name: add it with `Plan::reads`")
        })
    }
}

/// What a rule does to a batch: new values of columns, rejected rows, and notes.
#[derive(Debug, Default)]
pub struct Patch {
    /// Values by the column's position in the schema.
    set: BTreeMap<usize, types::Column>,
    rejects: Vec<wit::Note>,
    notes: Vec<wit::Note>,
}

impl Patch {
    /// Sets a column to the result of `edit` for each value. Nulls stay null; `None` sets null.
    ///
    /// ```
    /// # use plugin_sdk::prelude::*;
    /// fn trim(column: TextColumn, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
    ///     patch.map(column, rows, |text| Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// If the rule's plan does not read the column.
    pub fn map<'a, T: Value>(
        &mut self,
        column: Column<T>,
        rows: &Rows<'a>,
        mut edit: impl FnMut(T::Read<'a>) -> Option<T::Owned>,
    ) -> Result<()> {
        let mut built = column.builder_with_capacity(rows.len());
        for value in rows.column(column)?.iter() {
            built.push(value.and_then(&mut edit).as_ref().map(T::borrow));
        }
        self.set(column, built);
        Ok(())
    }

    /// Sets a column to the values of a builder, one for each row of the batch. The plan must set the column.
    pub fn set<T: Value>(&mut self, column: Column<T>, values: Builder<T>) {
        self.set.insert(AnyColumn::from(column).index, values.finish());
    }

    /// Rejects a row: it goes to `_host.rejects` with this reason, and no later rule or model sees it.
    ///
    /// `column` is the column that the reason is about, `code` a stable word for programs, and `message` a sentence for
    /// people, without a final period.
    pub fn reject(&mut self, row: usize, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.rejects.push(note(row, column, code, message.into(), None));
    }

    /// Writes a note on a row to `_host.notes`. The row stays.
    ///
    /// ```
    /// # use plugin_sdk::prelude::*;
    /// # let mut patch = Patch::default();
    /// patch.note(3, Some("phone"), "unreadable", "`12` is not a valid phone number: not changed");
    /// ```
    pub fn note(&mut self, row: usize, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.notes.push(note(row, column, code, message.into(), None));
    }

    /// Writes a note on a row with a confidence from 0 to 1, for a change that may be wrong. The row stays.
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

/// What a rule of table scope decides about records: merges, new values, rejected records, and notes.
///
/// ```
/// use plugin_sdk::prelude::*;
///
/// let mut verdicts = Verdicts::default();
/// verdicts.merge(Key::from("12"), Key::from("7"), "email", 0.95);
/// verdicts.note(Key::from("30"), None, "large_group", "25 records share one e-mail address: not merged");
/// assert_eq!(verdicts.len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct Verdicts {
    /// Each merged record with its survivor.
    merges: Vec<(Key, Key)>,
    /// The code and confidence of each merge.
    merge_notes: Vec<wit::Note>,
    /// Values by the column's position in the schema, each with the key of its record.
    sets: BTreeMap<usize, Vec<(Key, KeyPart)>>,
    /// The records of `rejects` and `notes`.
    noted: Vec<Key>,
    rejects: Vec<wit::Note>,
    notes: Vec<wit::Note>,
}

impl Verdicts {
    /// Merges the record `key` into the record `survivor`. `code` says how the duplicate was found, such as `email`;
    /// `confidence` is from 0 to 1.
    pub fn merge(&mut self, key: Key, survivor: Key, code: &str, confidence: f64) {
        self.merge_notes.push(note(self.merges.len(), None, code, String::new(), Some(confidence)));
        self.merges.push((key, survivor));
    }

    /// Sets a value of a record that is not merged. The plan must set the column.
    pub fn set(&mut self, key: Key, column: impl Into<AnyColumn>, value: KeyPart) {
        self.sets.entry(column.into().index).or_default().push((key, value));
    }

    /// Rejects a record: it goes to `_host.rejects` with this reason, and no later rule or model sees it.
    pub fn reject(&mut self, key: Key, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.rejects.push(note(self.noted.len(), column, code, message.into(), None));
        self.noted.push(key);
    }

    /// Writes a note on a record to `_host.notes`. The record stays.
    pub fn note(&mut self, key: Key, column: Option<&str>, code: &str, message: impl Into<String>) {
        self.notes.push(note(self.noted.len(), column, code, message.into(), None));
        self.noted.push(key);
    }

    /// Writes a note on a record with a confidence from 0 to 1, for a change that may be wrong. The record stays.
    pub fn note_with_confidence(
        &mut self,
        key: Key,
        column: Option<&str>,
        code: &str,
        message: impl Into<String>,
        confidence: f64,
    ) {
        self.notes.push(note(self.noted.len(), column, code, message.into(), Some(confidence)));
        self.noted.push(key);
    }

    /// The number of merges, values, rejects and notes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.merges.len() + self.noted.len() + self.sets.values().map(Vec::len).sum::<usize>()
    }

    /// Whether there are no verdicts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The verdicts as pages of the contract. Merges, the values of each column, and notes are about different records,
    /// so each gets a page of its own. Values come first: a survivor takes them over while the other records exist.
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
        if !self.noted.is_empty() {
            pages.push(wit::Verdicts {
                keys: key_batch(&self.noted)?,
                patch: patch(Vec::new(), self.rejects, self.notes),
                merged_into: None,
            });
        }
        Ok(pages)
    }
}

//! What a rule made of a trial's rows: patches and verdicts, by the rows' places.

use std::collections::BTreeMap;

use serde_json::Value;

use super::values;
use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types;
use crate::error::{Error, Result};
use crate::schema::Schema;

/// A remark on a row, or why it was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Remark {
    /// Which of the given rows, from 0.
    pub row: usize,
    /// The column it is about.
    pub column: Option<String>,
    /// A word for machines.
    pub code: String,
    /// Why, for people.
    pub message: String,
    /// How sure, 0 to 1.
    pub confidence: Option<f64>,
}

/// A row that is the same as another.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// Which of the given rows, from 0.
    pub row: usize,
    /// The row that stays.
    pub survivor: usize,
    /// How that was found.
    pub code: String,
    /// How sure, 0 to 1.
    pub confidence: Option<f64>,
}

/// What a rule made of rows.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    fields: Vec<types::Field>,
    /// The primary-key columns, and which row has which key.
    key: Vec<types::Field>,
    places: BTreeMap<String, usize>,
    columns: BTreeMap<String, Vec<Value>>,
    /// Rows refused.
    pub rejects: Vec<Remark>,
    /// Remarks on rows that go on.
    pub notes: Vec<Remark>,
    /// Rows that merged into others.
    pub merges: Vec<Merge>,
    /// Lines logged.
    pub log: Vec<String>,
}

impl Outcome {
    /// Rows as they came; the rule may set these columns.
    pub(super) fn begin(schema: &Schema, sets: &[types::Field], rows: &Value) -> Result<Self> {
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut fields = schema.wit.fields.clone();
        fields.extend(sets.iter().filter(|field| schema.any_column(&field.name).is_err()).cloned());
        let of = |field: &types::Field| rows.iter().map(|row| row[field.name.as_str()].clone()).collect();
        let columns = fields.iter().map(|field| (field.name.clone(), of(field))).collect();
        let key_field = |name: &String| fields.iter().find(|field| field.name == *name).cloned();
        let key: Vec<_> = schema.wit.primary_key.iter().filter_map(key_field).collect();
        let place = |row: usize| key.iter().map(|field| rows[row][field.name.as_str()].clone()).collect::<Value>();
        let places = (0..rows.len()).map(|row| (place(row).to_string(), row)).collect();
        Ok(Self { fields, key, places, columns, ..Self::default() })
    }

    /// A column as the rule leaves it, an array with a value for each given row, whatever became of the row; null
    /// where there is no such column.
    #[must_use]
    pub fn column(&self, name: &str) -> Value {
        self.columns.get(name).map_or(Value::Null, |values| Value::from(values.clone()))
    }

    /// The remarks in short: row and code.
    #[must_use]
    pub fn noted(&self) -> Vec<(usize, &str)> {
        self.notes.iter().map(|note| (note.row, note.code.as_str())).collect()
    }

    /// The rejects in short: row and code.
    #[must_use]
    pub fn rejected(&self) -> Vec<(usize, &str)> {
        self.rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect()
    }

    /// The merges in short: row and survivor.
    #[must_use]
    pub fn merged(&self) -> Vec<(usize, usize)> {
        self.merges.iter().map(|merge| (merge.row, merge.survivor)).collect()
    }

    /// An answer to the whole batch.
    pub(super) fn patch(&mut self, patch: wit::Patch) -> Result<()> {
        let rows = self.columns.values().next().map_or(0, Vec::len);
        let every: Vec<_> = (0..rows).collect();
        self.add(patch, &every)
    }

    /// A page of what was decided at the end.
    pub(super) fn verdicts(&mut self, verdicts: wit::Verdicts) -> Result<()> {
        let wit::Verdicts { keys, mut patch, merged_into } = verdicts;
        let rows = self.rows_of(&keys)?;
        if let Some(survivors) = merged_into {
            let survivors = self.rows_of(&survivors)?;
            let notes = std::mem::take(&mut patch.notes);
            for (at, (row, survivor)) in rows.iter().zip(survivors).enumerate() {
                let sure = notes.iter().find(|note| note.row as usize == at);
                let (code, confidence) =
                    sure.map_or_else(Default::default, |note| (note.code.clone(), note.confidence));
                self.merges.push(Merge { row: *row, survivor, code, confidence });
            }
        }
        self.add(patch, &rows)
    }

    /// A patch whose rows are these.
    fn add(&mut self, patch: wit::Patch, rows: &[usize]) -> Result<()> {
        for (name, column) in patch.set {
            let field = self.fields.iter().find(|field| field.name == name);
            let field = field.ok_or_else(|| Error::data(format!("no column `{name}` to set")))?;
            let read = values::read(field, &column, rows.len())?;
            let column = self.columns.entry(name).or_default();
            rows.iter().zip(read).for_each(|(row, value)| column[*row] = value);
        }
        let remark = |note: wit::Note| {
            let wit::Note { row, column, code, message, confidence } = note;
            let row = rows.get(row as usize).copied();
            let row = row.ok_or_else(|| Error::data(format!("the remark `{code}` is about no row")))?;
            Ok(Remark { row, column, code, message, confidence })
        };
        self.rejects.extend(patch.rejects.into_iter().map(remark).collect::<Result<Vec<_>>>()?);
        self.notes.extend(patch.notes.into_iter().map(remark).collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    fn rows_of(&self, keys: &types::Batch) -> Result<Vec<usize>> {
        let rows = keys.rows as usize;
        let read = |(field, column)| values::read(field, column, rows);
        let columns = self.key.iter().zip(&keys.columns).map(read).collect::<Result<Vec<_>>>()?;
        let place = |row: usize| {
            let key = columns.iter().map(|column| column[row].clone()).collect::<Value>().to_string();
            self.places.get(&key).copied().ok_or_else(|| Error::data(format!("no row has the key {key}")))
        };
        (0..rows).map(place).collect()
    }
}

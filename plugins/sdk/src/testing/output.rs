//! What a rule did to the rows of a test: its patches and verdicts, by the position of the row.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json_batch;
use crate::bindings::rule_plugin::exports::elt::plugin::rule as wit;
use crate::bindings::source_plugin::elt::plugin::types;
use crate::error::{Error, Result};
use crate::schema::Schema;

/// A note on a row, or the reason for rejecting it.
#[derive(Debug, Clone, PartialEq)]
pub struct RowNote {
    /// The position of the row among the given rows, from 0.
    pub row: usize,
    /// The column that the note is about.
    pub column: Option<String>,
    /// A stable word for programs.
    pub code: String,
    /// The text for people.
    pub message: String,
    /// From 0 to 1.
    pub confidence: Option<f64>,
}

/// A row that was merged into another.
#[derive(Debug, Clone, PartialEq)]
pub struct RowMerge {
    /// The position of the merged row among the given rows, from 0.
    pub row: usize,
    /// The position of the row that stays.
    pub survivor: usize,
    /// How the duplicate was found, such as `email`.
    pub code: String,
    /// From 0 to 1.
    pub confidence: Option<f64>,
}

/// What a rule did to the rows of a test.
#[derive(Debug, Clone, Default)]
pub struct RuleOutput {
    fields: Vec<types::Field>,
    /// The columns of the primary key.
    key: Vec<types::Field>,
    /// The position of each row by the text of its primary key.
    positions: BTreeMap<String, usize>,
    columns: BTreeMap<String, Vec<Value>>,
    /// The rejected rows, with the reasons.
    pub rejects: Vec<RowNote>,
    /// The notes on rows.
    pub notes: Vec<RowNote>,
    /// The rows that were merged into others.
    pub merges: Vec<RowMerge>,
    /// The lines that the rule logged.
    pub log: Vec<String>,
}

impl RuleOutput {
    /// The rows before the rule runs. `sets` are the columns that the rule may set.
    pub(super) fn new(schema: &Schema, sets: &[types::Field], rows: &Value) -> Result<Self> {
        let rows = rows.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut fields = schema.wit.fields.clone();
        fields.extend(sets.iter().filter(|field| schema.any_column(&field.name).is_err()).cloned());
        let values = |field: &types::Field| rows.iter().map(|row| row[field.name.as_str()].clone()).collect();
        let columns = fields.iter().map(|field| (field.name.clone(), values(field))).collect();
        let key_field = |name: &String| fields.iter().find(|field| field.name == *name).cloned();
        let key: Vec<_> = schema.wit.primary_key.iter().filter_map(key_field).collect();
        let key_of = |row: usize| key.iter().map(|field| rows[row][field.name.as_str()].clone()).collect::<Value>();
        let positions = (0..rows.len()).map(|row| (key_of(row).to_string(), row)).collect();
        Ok(Self { fields, key, positions, columns, ..Self::default() })
    }

    /// The values of a column after the rule, as an array with one value for each given row, including rows that were
    /// rejected or merged. Null if there is no such column.
    #[must_use]
    pub fn column(&self, name: &str) -> Value {
        self.columns.get(name).map_or(Value::Null, |values| Value::from(values.clone()))
    }

    /// The row and code of each note.
    #[must_use]
    pub fn noted(&self) -> Vec<(usize, &str)> {
        self.notes.iter().map(|note| (note.row, note.code.as_str())).collect()
    }

    /// The row and code of each reject.
    #[must_use]
    pub fn rejected(&self) -> Vec<(usize, &str)> {
        self.rejects.iter().map(|reject| (reject.row, reject.code.as_str())).collect()
    }

    /// The row and survivor of each merge.
    #[must_use]
    pub fn merged(&self) -> Vec<(usize, usize)> {
        self.merges.iter().map(|merge| (merge.row, merge.survivor)).collect()
    }

    /// Adds the patch of the whole batch.
    pub(super) fn add_patch(&mut self, patch: wit::Patch) -> Result<()> {
        let rows = self.columns.values().next().map_or(0, Vec::len);
        let every: Vec<_> = (0..rows).collect();
        self.add(patch, &every)
    }

    /// Adds a page of verdicts.
    pub(super) fn add_verdicts(&mut self, verdicts: wit::Verdicts) -> Result<()> {
        let wit::Verdicts { keys, mut patch, merged_into } = verdicts;
        let rows = self.rows_of(&keys)?;
        if let Some(survivors) = merged_into {
            let survivors = self.rows_of(&survivors)?;
            let notes = std::mem::take(&mut patch.notes);
            for (at, (row, survivor)) in rows.iter().zip(survivors).enumerate() {
                let note = notes.iter().find(|note| note.row as usize == at);
                let (code, confidence) =
                    note.map_or_else(Default::default, |note| (note.code.clone(), note.confidence));
                self.merges.push(RowMerge { row: *row, survivor, code, confidence });
            }
        }
        self.add(patch, &rows)
    }

    /// Adds a patch; `rows` are the positions of its rows.
    fn add(&mut self, patch: wit::Patch, rows: &[usize]) -> Result<()> {
        for (name, column) in patch.set {
            let field = self.fields.iter().find(|field| field.name == name);
            let field = field.ok_or_else(|| Error::data(format!("the rule sets the unknown column `{name}`")))?;
            let read = json_batch::read(field, &column, rows.len())?;
            let column = self.columns.entry(name).or_default();
            rows.iter().zip(read).for_each(|(row, value)| column[*row] = value);
        }
        let row_note = |note: wit::Note| {
            let wit::Note { row, column, code, message, confidence } = note;
            let row = rows.get(row as usize).copied();
            let row = row.ok_or_else(|| Error::data(format!("the note `{code}` names a row that does not exist")))?;
            Ok(RowNote { row, column, code, message, confidence })
        };
        self.rejects.extend(patch.rejects.into_iter().map(row_note).collect::<Result<Vec<_>>>()?);
        self.notes.extend(patch.notes.into_iter().map(row_note).collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    /// The positions of the rows with these primary keys.
    fn rows_of(&self, keys: &types::Batch) -> Result<Vec<usize>> {
        let rows = keys.rows as usize;
        let read = |(field, column)| json_batch::read(field, column, rows);
        let columns = self.key.iter().zip(&keys.columns).map(read).collect::<Result<Vec<_>>>()?;
        let position = |row: usize| {
            let key = columns.iter().map(|column| column[row].clone()).collect::<Value>().to_string();
            self.positions.get(&key).copied().ok_or_else(|| Error::data(format!("no row has the primary key {key}")))
        };
        (0..rows).map(position).collect()
    }
}

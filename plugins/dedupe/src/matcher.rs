//! Applies the matches of the config: records with equal values in `same` form a block, and the records of a block are
//! compared pair by pair.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use plugin_sdk::prelude::*;

use crate::config::Match;
use crate::form::Form;
use crate::groups::Groups;
use crate::packed_texts::PackedTexts;

/// The factors of the confidence for a value that is only almost equal, and for a blank.
const ALMOST_EQUAL: f64 = 0.9;
const BLANK: f64 = 0.95;

/// The most records of a large group that are reported.
pub(crate) const REPORTED: usize = 100;

/// The values that matches compare: each column once for each form.
#[derive(Debug, Default)]
pub(crate) struct ComparedValues {
    columns: Vec<(TextColumn, Form)>,
    texts: Vec<PackedTexts>,
}

impl ComparedValues {
    /// The index of a column in a form, which is added if it is new.
    fn index(&mut self, column: TextColumn, form: Form) -> usize {
        let known = self.columns.iter().position(|known| *known == (column, form));
        known.unwrap_or_else(|| {
            self.columns.push((column, form));
            self.texts.push(PackedTexts::default());
            self.columns.len() - 1
        })
    }

    /// The columns that are compared.
    pub(crate) fn columns(&self) -> impl Iterator<Item = TextColumn> {
        self.columns.iter().map(|(column, _)| *column)
    }

    /// Stores the values of a batch.
    pub(crate) fn read(&mut self, rows: &Rows<'_>) -> Result<()> {
        for ((column, form), texts) in self.columns.iter().zip(&mut self.texts) {
            for value in rows.column(*column)?.iter() {
                texts.push(value.and_then(|value| form.normalize(value)).as_deref());
            }
        }
        Ok(())
    }
}

/// One match of the config, applied to a stream.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) name: String,
    same: Vec<(TextColumn, Form)>,
    /// Indices into the compared values, and whether a blank is accepted.
    compared: Vec<(usize, bool)>,
    /// The hash of the values of `same`, and the record. Two different blocks share a hash of 64 bits by chance once in some
    /// hundred thousand tables of ten million records.
    blocks: Vec<(u64, u32)>,
}

/// Which records match.
#[derive(Debug, Default)]
pub(crate) struct MatchResults {
    /// For each record that matches another: the index of the match with the highest confidence, and the confidence.
    pub(crate) best: HashMap<u32, (usize, f64)>,
    /// Blocks that are too large to merge: some of their records, and their size.
    pub(crate) large_blocks: Vec<(Vec<u32>, usize)>,
}

impl Matcher {
    /// Prepares a match for a stream.
    pub(crate) fn open(config: Match, input: &Schema, values: &mut ComparedValues) -> Result<Self> {
        let Match { name, same, similar, agree } = config;
        let name = name.unwrap_or_else(|| same.keys().cloned().collect::<Vec<_>>().join("+"));
        if same.is_empty() {
            return Err(Error::config(format!("match `{name}`: `same` is empty: name at least one column")));
        }
        let find = |columns: BTreeMap<String, Form>| {
            columns.into_iter().map(|(name, form)| Ok((input.text(&name)?, form))).collect::<Result<Vec<_>>>()
        };
        let mut compared = Vec::new();
        for (columns, may_be_blank) in [(find(similar)?, false), (find(agree)?, true)] {
            compared.extend(columns.into_iter().map(|(column, form)| (values.index(column, form), may_be_blank)));
        }
        Ok(Self { name, same: find(same)?, compared, blocks: Vec::new() })
    }

    /// The columns of `same`.
    pub(crate) fn columns(&self) -> impl Iterator<Item = TextColumn> {
        self.same.iter().map(|(column, _)| *column)
    }

    /// Stores the blocks of a batch; `first` is the index of its first record.
    pub(crate) fn read(&mut self, rows: &Rows<'_>, first: u32) -> Result<()> {
        let columns = self.same.iter().map(|(column, form)| Ok((rows.column(*column)?, *form)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        for (record, row) in (first..).zip(0..rows.len()) {
            let values = columns.iter().map(|(column, form)| form.normalize(column.get(row)?));
            if let Some(values) = values.collect::<Option<Vec<_>>>() {
                self.blocks.push((hasher.hash_one(values), record));
            }
        }
        Ok(())
    }

    /// Joins the records that match; `index` is the position of this match in the config.
    pub(crate) fn join(
        &mut self,
        index: usize,
        values: &ComparedValues,
        largest: usize,
        groups: &mut Groups,
        results: &mut MatchResults,
    ) {
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.sort_unstable();
        for block in blocks.chunk_by(|a, b| a.0 == b.0).filter(|block| block.len() > 1) {
            if block.len() > largest {
                let reported = block.iter().map(|(_, record)| *record).take(REPORTED).collect();
                results.large_blocks.push((reported, block.len()));
                continue;
            }
            for (at, (_, left)) in block.iter().enumerate() {
                for (_, right) in &block[at + 1..] {
                    let Some(confidence) = self.compare(values, *left, *right) else { continue };
                    groups.join(*left, *right);
                    for record in [left, right] {
                        let best = results.best.entry(*record).or_insert((index, confidence));
                        if confidence > best.1 {
                            *best = (index, confidence);
                        }
                    }
                }
            }
        }
    }

    /// The confidence that two records of a block are duplicates; none if they are not.
    fn compare(&self, values: &ComparedValues, left: u32, right: u32) -> Option<f64> {
        let mut confidence = 1.0;
        for (index, may_be_blank) in &self.compared {
            let (texts, form) = (&values.texts[*index], values.columns[*index].1);
            confidence *= match (texts.get(left as usize), texts.get(right as usize)) {
                (Some(left), Some(right)) if left == right => 1.0,
                (Some(left), Some(right)) if form.is_almost_equal(left, right) => ALMOST_EQUAL,
                (Some(_), Some(_)) => return None,
                _ if *may_be_blank => BLANK,
                _ => return None,
            };
        }
        Some(confidence)
    }
}

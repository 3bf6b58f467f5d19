//! Matches at work: records that share a block are compared pair by pair; what holds joins them.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use plugin_sdk::prelude::*;

use crate::config;
use crate::groups::Groups;
use crate::normal::Kind;
use crate::texts::Texts;

/// What a slip of the pen, and a blank, take from how sure a match is.
const SLIP: f64 = 0.9;
const BLANK: f64 = 0.95;

/// The values that matches compare, each column in each form once.
#[derive(Debug, Default)]
pub(crate) struct Values {
    columns: Vec<(TextColumn, Kind)>,
    texts: Vec<Texts>,
}

impl Values {
    fn index(&mut self, column: TextColumn, kind: Kind) -> usize {
        let known = self.columns.iter().position(|known| *known == (column, kind));
        known.unwrap_or_else(|| {
            self.columns.push((column, kind));
            self.texts.push(Texts::default());
            self.columns.len() - 1
        })
    }
}

/// One match: columns to share, and columns to compare where they are shared.
#[derive(Debug)]
pub(crate) struct Matching {
    pub(crate) name: String,
    same: Vec<(TextColumn, Kind)>,
    /// Indices into the values, and whether a blank is as good as the same.
    compared: Vec<(usize, bool)>,
    /// The hash of what a record shares, and its index. Two blocks of different values share a hash of 64 bits once in
    /// some hundred thousand tables of ten million records.
    blocks: Vec<(u64, u32)>,
}

/// How records were found to be one.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// By record: the match, and how sure it is.
    pub(crate) by: HashMap<u32, (usize, f64)>,
    /// Records of blocks too large to be one, with the size.
    pub(crate) large: Vec<(Vec<u32>, usize)>,
}

impl Matching {
    /// A match of these settings on a stream.
    pub(crate) fn open(config: config::Match, input: &Schema, values: &mut Values) -> Result<Self> {
        let config::Match { name, same, similar, agree } = config;
        let name = name.unwrap_or_else(|| same.keys().cloned().collect::<Vec<_>>().join("+"));
        if same.is_empty() {
            return Err(Error::config(format!("match `{name}` names no column in `same`")));
        }
        let find = |columns: BTreeMap<String, Kind>| {
            columns.into_iter().map(|(name, kind)| Ok((input.text(&name)?, kind))).collect::<Result<Vec<_>>>()
        };
        let mut compared = Vec::new();
        for (columns, may_be_blank) in [(find(similar)?, false), (find(agree)?, true)] {
            compared.extend(columns.into_iter().map(|(column, kind)| (values.index(column, kind), may_be_blank)));
        }
        Ok(Self { name, same: find(same)?, compared, blocks: Vec::new() })
    }

    /// The columns that it shares.
    pub(crate) fn columns(&self) -> impl Iterator<Item = TextColumn> {
        self.same.iter().map(|(column, _)| *column)
    }

    /// Takes note of what records share.
    pub(crate) fn read(&mut self, rows: &Rows<'_>, first: u32) -> Result<()> {
        let columns = self.same.iter().map(|(column, kind)| Ok((rows.column(*column)?, *kind)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        for (record, row) in (first..).zip(0..rows.len()) {
            let normal = columns.iter().map(|(column, kind)| kind.normal(column.get(row)?)).collect::<Option<Vec<_>>>();
            if let Some(normal) = normal {
                self.blocks.push((hasher.hash_one(normal), record));
            }
        }
        Ok(())
    }

    /// Joins the records that match.
    pub(crate) fn join(
        &mut self,
        index: usize,
        values: &Values,
        largest: usize,
        groups: &mut Groups,
        found: &mut Found,
    ) {
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.sort_unstable();
        for block in blocks.chunk_by(|a, b| a.0 == b.0).filter(|block| block.len() > 1) {
            if block.len() > largest {
                found.large.push((block.iter().map(|(_, record)| *record).take(REPORTED).collect(), block.len()));
                continue;
            }
            for (at, (_, left)) in block.iter().enumerate() {
                for (_, right) in &block[at + 1..] {
                    let Some(sure) = self.compare(values, *left, *right) else { continue };
                    groups.join(*left, *right);
                    for record in [left, right] {
                        let known = found.by.entry(*record).or_insert((index, sure));
                        if sure > known.1 {
                            *known = (index, sure);
                        }
                    }
                }
            }
        }
    }

    /// How sure it is that two records are one; none where they are not.
    fn compare(&self, values: &Values, left: u32, right: u32) -> Option<f64> {
        let mut sure = 1.0;
        for (index, may_be_blank) in &self.compared {
            let (texts, kind) = (&values.texts[*index], values.columns[*index].1);
            sure *= match (texts.get(left as usize), texts.get(right as usize)) {
                (Some(left), Some(right)) if left == right => 1.0,
                (Some(left), Some(right)) if kind.is_near(left, right) => SLIP,
                (Some(_), Some(_)) => return None,
                _ if *may_be_blank => BLANK,
                _ => return None,
            };
        }
        Some(sure)
    }
}

/// Records of one large group that are named.
pub(crate) const REPORTED: usize = 100;

impl Values {
    /// The columns that are compared.
    pub(crate) fn columns(&self) -> impl Iterator<Item = TextColumn> {
        self.columns.iter().map(|(column, _)| *column)
    }

    /// Takes note of the values to compare.
    pub(crate) fn read(&mut self, rows: &Rows<'_>) -> Result<()> {
        for ((column, kind), texts) in self.columns.iter().zip(&mut self.texts) {
            for value in rows.column(*column)?.iter() {
                texts.push(value.and_then(|value| kind.normal(value)).as_deref());
            }
        }
        Ok(())
    }
}

//! Chooses the survivor of a group, and the values that it takes over from the other records.

use std::cmp::Ordering;

use plugin_sdk::prelude::*;

use crate::config::SurvivorOrder;
use crate::packed_texts::PackedTexts;

/// What is stored of each record in addition to the values that matches compare.
pub(crate) struct Records {
    keys: Keys,
    orders: Vec<RecordOrder>,
    /// The columns that survivors take over.
    filled: Vec<FilledColumn>,
}

/// Primary keys. Most are a single text, which is stored compactly.
enum Keys {
    Texts(PackedTexts),
    Any(Vec<Key>),
}

/// The rank of each record in one order: the highest survives.
struct RecordOrder {
    by: OrderBy,
    ranks: Vec<i64>,
}

/// What an order is based on.
enum OrderBy {
    Completeness,
    Newest(AnyColumn),
    Oldest(AnyColumn),
    Unless(AnyColumn),
}

struct FilledColumn {
    column: AnyColumn,
    values: FillValues,
}

/// The values of a filled column, by record.
enum FillValues {
    Texts(TextColumn, PackedTexts),
    Any(Vec<KeyPart>),
}

impl Records {
    /// Prepares to store the records of a stream.
    pub(crate) fn open(survivor: &[SurvivorOrder], fill: &[String], input: &Schema) -> Result<Self> {
        let (mut orders, mut filled) = (Vec::new(), Vec::new());
        for order in survivor {
            let by = match order {
                SurvivorOrder::MostComplete => OrderBy::Completeness,
                SurvivorOrder::Newest(name) => OrderBy::Newest(input.any_column(name)?),
                SurvivorOrder::Oldest(name) => OrderBy::Oldest(input.any_column(name)?),
                SurvivorOrder::Unless(name) => OrderBy::Unless(input.any_column(name)?),
            };
            orders.push(RecordOrder { by, ranks: Vec::new() });
        }
        for name in fill {
            let values = match input.text(name) {
                Ok(column) => FillValues::Texts(column, PackedTexts::default()),
                Err(_) => FillValues::Any(Vec::new()),
            };
            filled.push(FilledColumn { column: input.any_column(name)?, values });
        }
        Ok(Self { keys: Keys::Texts(PackedTexts::default()), orders, filled })
    }

    /// The columns to read.
    pub(crate) fn reads(&self) -> impl Iterator<Item = AnyColumn> {
        self.orders.iter().filter_map(|order| order.by.column()).chain(self.sets())
    }

    /// The columns that survivors take over.
    pub(crate) fn sets(&self) -> impl Iterator<Item = AnyColumn> {
        self.filled.iter().map(|filled| filled.column)
    }

    /// Stores the records of a batch; `completeness` is the number of values of each.
    pub(crate) fn read(&mut self, rows: &Rows<'_>, completeness: &[i64]) -> Result<()> {
        for row in 0..rows.len() {
            self.add_key(rows.key(row)?);
        }
        for RecordOrder { by, ranks } in &mut self.orders {
            for (row, completeness) in completeness.iter().enumerate() {
                ranks.push(match by.column() {
                    Some(column) => by.rank(rows.value(column, row)?)?,
                    None => *completeness,
                });
            }
        }
        for FilledColumn { column, values } in &mut self.filled {
            match values {
                FillValues::Texts(column, texts) => rows.column(*column)?.iter().for_each(|value| texts.push(value)),
                FillValues::Any(values) => {
                    for row in 0..rows.len() {
                        values.push(rows.value(*column, row)?);
                    }
                }
            }
        }
        Ok(())
    }

    fn add_key(&mut self, key: Key) {
        match (&mut self.keys, key.0.as_slice()) {
            (Keys::Texts(texts), [KeyPart::Text(_, text)]) if !text.is_empty() => texts.push(Some(text)),
            (Keys::Texts(texts), _) => {
                let before = (0..).map_while(|index| texts.get(index)).map(Key::from).collect::<Vec<_>>();
                self.keys = Keys::Any(before.into_iter().chain([key]).collect());
            }
            (Keys::Any(keys), _) => keys.push(key),
        }
    }

    /// The primary key of a record.
    pub(crate) fn key(&self, record: u32) -> Key {
        match &self.keys {
            Keys::Texts(texts) => Key::from(texts.get(record as usize).unwrap_or_default()),
            Keys::Any(keys) => keys[record as usize].clone(),
        }
    }

    /// Sorts a group so that the survivor comes first.
    pub(crate) fn sort(&self, group: &mut [u32]) {
        let by_rank = |a: u32, b: u32| {
            let orders = self.orders.iter().map(|order| order.ranks[b as usize].cmp(&order.ranks[a as usize]));
            orders.fold(Ordering::Equal, Ordering::then)
        };
        group.sort_by(|a, b| by_rank(*a, *b).then_with(|| self.key(*a).cmp(&self.key(*b))));
    }

    /// The values that the first record of a sorted group lacks, each from the first other record that has one.
    pub(crate) fn fill(&self, group: &[u32]) -> Vec<(AnyColumn, KeyPart)> {
        let taken = self.filled.iter().filter_map(|FilledColumn { column, values }| {
            let mut found = group.iter().map(|record| values.get(*record as usize));
            if found.next()?.is_some() {
                return None;
            }
            Some((*column, found.flatten().next()?))
        });
        taken.collect()
    }
}

impl OrderBy {
    fn column(&self) -> Option<AnyColumn> {
        match self {
            Self::Completeness => None,
            Self::Newest(column) | Self::Oldest(column) | Self::Unless(column) => Some(*column),
        }
    }

    /// The rank of a record with this value. A record without a value comes last, but with `unless` it counts as
    /// not true.
    fn rank(&self, value: KeyPart) -> Result<i64> {
        let number = match (self, value) {
            (Self::Unless(_), KeyPart::Bool(value)) => return Ok(i64::from(!value)),
            (Self::Unless(_), KeyPart::Null) => return Ok(1),
            (Self::Unless(_), _) => return Err(Error::config("`unless` needs a boolean column")),
            (_, KeyPart::Null) => return Ok(i64::MIN),
            (_, KeyPart::Int64(number)) => number,
            (_, KeyPart::Date(date)) => date.days.into(),
            (_, KeyPart::Timestamp(timestamp)) => timestamp.microseconds,
            _ => return Err(Error::config("`newest` and `oldest` need a column of timestamps, dates or integers")),
        };
        Ok(if matches!(self, Self::Oldest(_)) { number.saturating_neg() } else { number })
    }
}

impl FillValues {
    fn get(&self, record: usize) -> Option<KeyPart> {
        match self {
            Self::Texts(_, texts) => texts.get(record).filter(|text| !text.trim().is_empty()).map(KeyPart::from),
            Self::Any(values) => values.get(record).filter(|value| **value != KeyPart::Null).cloned(),
        }
    }
}

//! Who survives of a group, and what the survivor takes over from the others.

use std::cmp::Ordering;

use plugin_sdk::prelude::*;

use crate::config::Order;
use crate::texts::Texts;

/// What is known of each record beside what it is matched by.
pub(crate) struct Records {
    keys: Keys,
    ranks: Vec<Ranks>,
    /// Columns that survivors take over.
    filled: Vec<Fill>,
}

/// Primary keys: those of one text, the usual, take little room.
enum Keys {
    Texts(Texts),
    Any(Vec<Key>),
}

/// Where each record stands in one order: a higher one survives.
struct Ranks {
    by: By,
    ranks: Vec<i64>,
}

/// By what records are ordered.
enum By {
    Completeness,
    Newest(AnyColumn),
    Oldest(AnyColumn),
    Unless(AnyColumn),
}

struct Fill {
    column: AnyColumn,
    values: Filling,
}

enum Filling {
    Texts(TextColumn, Texts),
    Any(Vec<KeyPart>),
}

impl Records {
    /// No record yet, of a stream.
    pub(crate) fn open(orders: &[Order], fill: &[String], input: &Schema) -> Result<Self> {
        let (mut ranks, mut filled) = (Vec::new(), Vec::new());
        for order in orders {
            let by = match order {
                Order::MostComplete => By::Completeness,
                Order::Newest(name) => By::Newest(input.any_column(name)?),
                Order::Oldest(name) => By::Oldest(input.any_column(name)?),
                Order::Unless(name) => By::Unless(input.any_column(name)?),
            };
            ranks.push(Ranks { by, ranks: Vec::new() });
        }
        for name in fill {
            let values = match input.text(name) {
                Ok(column) => Filling::Texts(column, Texts::default()),
                Err(_) => Filling::Any(Vec::new()),
            };
            filled.push(Fill { column: input.any_column(name)?, values });
        }
        Ok(Self { keys: Keys::Texts(Texts::default()), ranks, filled })
    }

    /// The columns that it reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = AnyColumn> {
        self.ranks.iter().filter_map(|ranks| ranks.by.column()).chain(self.sets())
    }

    /// The columns that survivors take over.
    pub(crate) fn sets(&self) -> impl Iterator<Item = AnyColumn> {
        self.filled.iter().map(|fill| fill.column)
    }

    /// Takes note of records; `complete` counts the values of each.
    pub(crate) fn read(&mut self, rows: &Rows<'_>, complete: &[i64]) -> Result<()> {
        for row in 0..rows.len() {
            self.add_key(rows.key(row)?);
        }
        for Ranks { by, ranks } in &mut self.ranks {
            for (row, complete) in complete.iter().enumerate() {
                ranks.push(match by.column() {
                    Some(column) => by.rank(rows.value(column, row)?)?,
                    None => *complete,
                });
            }
        }
        for Fill { column, values } in &mut self.filled {
            match values {
                Filling::Texts(column, texts) => rows.column(*column)?.iter().for_each(|value| texts.push(value)),
                Filling::Any(values) => {
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

    /// A record's primary key.
    pub(crate) fn key(&self, record: u32) -> Key {
        match &self.keys {
            Keys::Texts(texts) => Key::from(texts.get(record as usize).unwrap_or_default()),
            Keys::Any(keys) => keys[record as usize].clone(),
        }
    }

    /// A group in the order of survival: the first stays.
    pub(crate) fn sort(&self, group: &mut [u32]) {
        let by_rank = |a: u32, b: u32| {
            let ranks = self.ranks.iter().map(|ranks| ranks.ranks[b as usize].cmp(&ranks.ranks[a as usize]));
            ranks.fold(Ordering::Equal, Ordering::then)
        };
        group.sort_by(|a, b| by_rank(*a, *b).then_with(|| self.key(*a).cmp(&self.key(*b))));
    }

    /// What the first of a sorted group lacks and the first other has.
    pub(crate) fn fill(&self, group: &[u32]) -> Vec<(AnyColumn, KeyPart)> {
        let taken = self.filled.iter().filter_map(|Fill { column, values }| {
            let mut found = group.iter().map(|record| values.get(*record as usize));
            if found.next()?.is_some() {
                return None;
            }
            Some((*column, found.flatten().next()?))
        });
        taken.collect()
    }
}

impl By {
    fn column(&self) -> Option<AnyColumn> {
        match self {
            Self::Completeness => None,
            Self::Newest(column) | Self::Oldest(column) | Self::Unless(column) => Some(*column),
        }
    }

    /// Where a record with this value stands. One without a value comes last, but where the order asks what is not so.
    fn rank(&self, value: KeyPart) -> Result<i64> {
        let number = match (self, value) {
            (Self::Unless(_), KeyPart::Bool(is_so)) => return Ok(i64::from(!is_so)),
            (Self::Unless(_), KeyPart::Null) => return Ok(1),
            (Self::Unless(_), _) => return Err(Error::config("`unless` wants a column of true and false")),
            (_, KeyPart::Null) => return Ok(i64::MIN),
            (_, KeyPart::Int64(number)) => number,
            (_, KeyPart::Date(date)) => date.days.into(),
            (_, KeyPart::Timestamp(instant)) => instant.microseconds,
            _ => return Err(Error::config("`newest` and `oldest` want an instant, a date or a whole number")),
        };
        Ok(if matches!(self, Self::Oldest(_)) { number.saturating_neg() } else { number })
    }
}

impl Filling {
    fn get(&self, record: usize) -> Option<KeyPart> {
        match self {
            Self::Texts(_, texts) => texts.get(record).filter(|text| !text.trim().is_empty()).map(KeyPart::from),
            Self::Any(values) => values.get(record).filter(|value| **value != KeyPart::Null).cloned(),
        }
    }
}

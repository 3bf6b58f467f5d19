//! Rule, table scope: records that share a key are one; the oldest survives, and every other id maps to it.

mod groups;

use std::collections::HashMap;

use plugin_sdk::prelude::*;

use groups::Groups;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// Match keys: records that agree in all columns of any one key are the same. A key with a blank matches nothing.
    #[schemars(length(min = 1))]
    keys: Vec<Vec<String>>,
    /// A larger group is reported, not merged: so many records that share a key are rather a placeholder value.
    #[serde(default = "largest_group")]
    #[schemars(range(min = 2))]
    largest_group: usize,
}

fn largest_group() -> usize {
    20
}

/// Verdicts of one page.
const PAGE: usize = 10_000;

/// What becomes of a record.
enum Verdict {
    /// It is the same as the survivor.
    Merge { record: usize, survivor: usize },
    /// It shares a key with too many others.
    LeaveApart { record: usize, group: usize },
}

struct Dedupe {
    keys: Vec<(String, Vec<TextColumn>)>,
    largest_group: usize,
    /// By the order of reading.
    records: Vec<Key>,
    /// First record seen with a key's values, by key and values.
    seen: HashMap<(usize, Vec<String>), usize>,
    groups: Groups,
    /// By which key a record was matched.
    matched_by: HashMap<usize, usize>,
    verdicts: Option<std::vec::IntoIter<Verdict>>,
}

impl Rule for Dedupe {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let key = |names: Vec<String>| {
            if names.is_empty() {
                return Err(Error::config("a match key names no column"));
            }
            Ok((names.join("+"), input.texts(&names)?))
        };
        Ok(Self {
            keys: config.keys.into_iter().map(key).collect::<Result<_>>()?,
            largest_group: config.largest_group,
            records: Vec::new(),
            seen: HashMap::new(),
            groups: Groups::default(),
            matched_by: HashMap::new(),
            verdicts: None,
        })
    }

    fn plan(&self) -> Plan {
        Plan::table().reads_all(self.keys.iter().flat_map(|(_, columns)| columns.iter().copied()))
    }

    fn apply(&mut self, rows: &Rows<'_>, _: &mut Patch) -> Result<()> {
        let mut keys = Vec::new();
        for (_, columns) in &self.keys {
            keys.push(columns.iter().map(|column| rows.column(*column)).collect::<Result<Vec<_>>>()?);
        }
        for row in 0..rows.len() {
            let record = self.records.len();
            self.records.push(rows.key(row)?);
            self.groups.add();
            for (index, columns) in keys.iter().enumerate() {
                let value = |column: &TextView<'_>| {
                    column.get(row).map(str::trim).filter(|value| !value.is_empty()).map(str::to_owned)
                };
                let Some(values) = columns.iter().map(value).collect::<Option<Vec<_>>>() else { continue };
                let first = *self.seen.entry((index, values)).or_insert(record);
                if first != record {
                    self.groups.join(first, record);
                    self.matched_by.entry(first).or_insert(index);
                    self.matched_by.insert(record, index);
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Verdicts>> {
        if self.verdicts.is_none() {
            self.verdicts = Some(self.decide().into_iter());
        }
        let mut page = Verdicts::default();
        for verdict in self.verdicts.iter_mut().flatten().take(PAGE) {
            match verdict {
                Verdict::Merge { record, survivor } => {
                    let key = self.matched_by.get(&record).copied().unwrap_or_default();
                    page.merge(self.records[record].clone(), self.records[survivor].clone(), &self.keys[key].0, 1.0);
                }
                Verdict::LeaveApart { record, group } => {
                    let message = format!("{group} records share a key: rather a placeholder than one record");
                    page.note(self.records[record].clone(), None, "large_group", message);
                }
            }
        }
        Ok((!page.is_empty()).then_some(page))
    }
}

impl Dedupe {
    /// Every merged record with its survivor, the record with the lowest key: ids rise with age.
    fn decide(&mut self) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        for group in self.groups.larger_than_one() {
            let size = group.len();
            if size > self.largest_group {
                verdicts.extend(group.into_iter().map(|record| Verdict::LeaveApart { record, group: size }));
                continue;
            }
            let Some(survivor) = group.iter().copied().min_by_key(|record| &self.records[*record]) else { continue };
            let others = group.into_iter().filter(|record| *record != survivor);
            verdicts.extend(others.map(|record| Verdict::Merge { record, survivor }));
        }
        verdicts
    }
}

export_rule!(Dedupe);

//! Rule, table scope: records that match are one. One of them survives, takes over what it lacks, and every other id maps
//! to it. Groups too large to be one are reported and left apart.

mod config;
mod groups;
mod matching;
mod normal;
mod survivor;
mod texts;

use std::vec::IntoIter;

use plugin_sdk::prelude::*;

use config::Config;
use groups::Groups;
use matching::{Found, Matching, REPORTED, Values};
use survivor::Records;

/// Records that one page of verdicts speaks of.
const PAGE: usize = 10_000;

/// What becomes of a group.
enum Verdict {
    /// The first stays, the others are the same as it.
    Merge(Vec<u32>),
    /// So many records are rather a placeholder; some of them.
    LeaveApart(Vec<u32>, usize),
}

struct Dedupe {
    matches: Vec<Matching>,
    values: Values,
    records: Records,
    read: u32,
    largest_group: usize,
    found: Found,
    verdicts: Option<IntoIter<Verdict>>,
}

impl Rule for Dedupe {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let mut values = Values::default();
        let open = |config| Matching::open(config, input, &mut values);
        Ok(Self {
            matches: config.matches.into_iter().map(open).collect::<Result<_>>()?,
            values,
            records: Records::open(&config.survivor, &config.fill, input)?,
            read: 0,
            largest_group: config.largest_group,
            found: Found::default(),
            verdicts: None,
        })
    }

    fn plan(&self) -> Plan {
        let compared = self.compared().into_iter().map(AnyColumn::from);
        Plan::table().reads_all(compared.chain(self.records.reads())).sets_all(self.records.sets())
    }

    fn apply(&mut self, rows: &Rows<'_>, _: &mut Patch) -> Result<()> {
        for matching in &mut self.matches {
            matching.read(rows, self.read)?;
        }
        self.values.read(rows)?;
        let mut complete = vec![0; rows.len()];
        for column in self.compared() {
            for (count, value) in complete.iter_mut().zip(rows.column(column)?.iter()) {
                *count += i64::from(value.is_some_and(|value| !value.trim().is_empty()));
            }
        }
        self.records.read(rows, &complete)?;
        self.read += u32::try_from(rows.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Verdicts>> {
        if self.verdicts.is_none() {
            self.verdicts = Some(self.decide().into_iter());
        }
        let mut page = Verdicts::default();
        while page.len() < PAGE {
            let Some(verdict) = self.verdicts.as_mut().and_then(Iterator::next) else { break };
            match verdict {
                Verdict::Merge(group) => self.merge(&group, &mut page),
                Verdict::LeaveApart(group, size) => {
                    let message = format!("{size} records are alike: rather a placeholder than one record");
                    for record in group {
                        page.note(self.records.key(record), None, "large_group", message.clone());
                    }
                }
            }
        }
        Ok((!page.is_empty()).then_some(page))
    }
}

impl Dedupe {
    /// The columns by which records are compared, each once.
    fn compared(&self) -> Vec<TextColumn> {
        let mut columns = Vec::new();
        for column in self.matches.iter().flat_map(Matching::columns).chain(self.values.columns()) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    fn decide(&mut self) -> Vec<Verdict> {
        let mut groups = Groups::of(self.read);
        for (index, matching) in self.matches.iter_mut().enumerate() {
            matching.join(index, &self.values, self.largest_group, &mut groups, &mut self.found);
        }
        let large = std::mem::take(&mut self.found.large).into_iter();
        let mut verdicts: Vec<_> = large.map(|(records, size)| Verdict::LeaveApart(records, size)).collect();
        for mut group in groups.larger_than_one() {
            let size = group.len();
            if size > self.largest_group {
                group.truncate(REPORTED);
                verdicts.push(Verdict::LeaveApart(group, size));
            } else {
                self.records.sort(&mut group);
                verdicts.push(Verdict::Merge(group));
            }
        }
        verdicts
    }

    fn merge(&self, group: &[u32], page: &mut Verdicts) {
        let Some((survivor, others)) = group.split_first() else { return };
        for (column, value) in self.records.fill(group) {
            page.set(self.records.key(*survivor), column, value);
        }
        for record in others {
            let (index, sure) = self.found.by.get(record).copied().unwrap_or_default();
            page.merge(self.records.key(*record), self.records.key(*survivor), &self.matches[index].name, sure);
        }
    }
}

export_rule!(Dedupe);

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use plugin_sdk::testing::{RuleOutput, Trial, Value, json};

    fn run(rows: Value) -> RuleOutput {
        let fields = vec![
            Field::new("id", Type::Int64),
            Field::text("email"),
            Field::text("name"),
            Field::new("seen", Type::Timestamp),
        ];
        let config = json!({
            "matches": [{ "same": { "email": "email" }, "agree": { "name": "name" } }],
            "survivor": [{ "newest": "seen" }], "fill": ["name"], "largest_group": 3,
        });
        Trial::new(super::component(), Schema::new(fields, &["id"])).run(config, rows).expect("a rule")
    }

    #[test]
    fn a_survivor_stays_and_takes_over_what_it_lacks() {
        let outcome = run(json!([
            { "id": 7, "email": "ana@exemplo.com", "name": "Ana", "seen": 1 },
            { "id": 8, "email": "bia@exemplo.com", "name": "Bia", "seen": 1 },
            { "id": 9, "email": " ANA@exemplo.com", "seen": 2 },
        ]));
        assert_eq!(outcome.merged(), [(0, 2)]);
        assert_eq!((outcome.merges[0].code.as_str(), outcome.merges[0].confidence), ("email", Some(0.95)));
        assert_eq!(outcome.column("name"), json!(["Ana", "Bia", "Ana"]));
        assert_eq!(outcome.noted(), []);
    }

    #[test]
    fn what_is_archived_survives_only_among_its_like() {
        let fields = vec![
            Field::new("id", Type::Int64),
            Field::text("email"),
            Field::new("archived", Type::Bool),
            Field::new("seen", Type::Timestamp),
        ];
        let config = json!({
            "matches": [{ "same": { "email": "email" } }], "survivor": [{ "unless": "archived" }, { "oldest": "seen" }],
        });
        let rows = json!([
            { "id": 1, "email": "ana@exemplo.com", "archived": true, "seen": 1 },
            { "id": 2, "email": "ana@exemplo.com", "archived": false, "seen": 3 },
            { "id": 3, "email": "ana@exemplo.com", "seen": 2 },
            { "id": 4, "email": "bia@exemplo.com", "archived": true, "seen": 2 },
            { "id": 5, "email": "bia@exemplo.com", "archived": true, "seen": 1 },
        ]);
        let trial = Trial::new(super::component(), Schema::new(fields, &["id"]));
        assert_eq!(trial.run(config, rows).expect("a rule").merged(), [(1, 2), (0, 2), (3, 4)]);
    }

    #[test]
    fn a_group_too_large_is_reported_and_left_apart() {
        let outcome = run((0..4).map(|id| json!({ "id": id, "email": "nao@tem.com" })).collect());
        assert_eq!(outcome.merged(), []);
        assert_eq!(outcome.noted(), [0, 1, 2, 3].map(|row| (row, "large_group")));
    }
}

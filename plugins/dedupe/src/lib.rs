//! Rule, table scope: merges records that are duplicates. One of them survives and takes over values that it lacks. Groups
//! that are too large are reported instead of merged.

mod config;
mod form;
mod groups;
mod matcher;
mod packed_texts;
mod survivor;

use std::vec::IntoIter;

use plugin_sdk::prelude::*;

use config::Config;
use groups::Groups;
use matcher::{ComparedValues, MatchResults, Matcher, REPORTED};
use survivor::Records;

/// The records of one page of verdicts.
const PAGE_RECORDS: usize = 10_000;

/// What to do with a group.
enum GroupAction {
    /// Merge all records into the first.
    Merge(Vec<u32>),
    /// Report that the group is too large: some of its records, and its size.
    Report(Vec<u32>, usize),
}

struct Dedupe {
    matchers: Vec<Matcher>,
    values: ComparedValues,
    records: Records,
    /// The number of records read so far.
    count: u32,
    largest_group: usize,
    results: MatchResults,
    /// The groups that are left to return, once all records are read.
    remaining: Option<IntoIter<GroupAction>>,
}

impl Rule for Dedupe {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let mut values = ComparedValues::default();
        let open = |config| Matcher::open(config, input, &mut values);
        Ok(Self {
            matchers: config.matches.into_iter().map(open).collect::<Result<_>>()?,
            values,
            records: Records::open(&config.survivor, &config.fill, input)?,
            count: 0,
            largest_group: config.largest_group,
            results: MatchResults::default(),
            remaining: None,
        })
    }

    fn plan(&self) -> Plan {
        let compared = self.compared().into_iter().map(AnyColumn::from);
        Plan::table().reads_all(compared.chain(self.records.reads())).sets_all(self.records.sets())
    }

    fn apply(&mut self, rows: &Rows<'_>, _: &mut Patch) -> Result<()> {
        for matcher in &mut self.matchers {
            matcher.read(rows, self.count)?;
        }
        self.values.read(rows)?;
        let mut completeness = vec![0; rows.len()];
        for column in self.compared() {
            for (count, value) in completeness.iter_mut().zip(rows.column(column)?.iter()) {
                *count += i64::from(value.is_some_and(|value| !value.trim().is_empty()));
            }
        }
        self.records.read(rows, &completeness)?;
        self.count += u32::try_from(rows.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Verdicts>> {
        if self.remaining.is_none() {
            self.remaining = Some(self.find_groups().into_iter());
        }
        let mut page = Verdicts::default();
        while page.len() < PAGE_RECORDS {
            let Some(action) = self.remaining.as_mut().and_then(Iterator::next) else { break };
            match action {
                GroupAction::Merge(group) => self.merge(&group, &mut page),
                GroupAction::Report(group, size) => {
                    let message = format!(
                        "{size} records look like duplicates of each other, more than the limit of {}: not merged, since \
                         they probably share a placeholder value",
                        self.largest_group
                    );
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
    /// The columns of all matches, each once.
    fn compared(&self) -> Vec<TextColumn> {
        let mut columns = Vec::new();
        for column in self.matchers.iter().flat_map(Matcher::columns).chain(self.values.columns()) {
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
        columns
    }

    fn find_groups(&mut self) -> Vec<GroupAction> {
        let mut groups = Groups::new(self.count);
        for (index, matcher) in self.matchers.iter_mut().enumerate() {
            matcher.join(index, &self.values, self.largest_group, &mut groups, &mut self.results);
        }
        let large = std::mem::take(&mut self.results.large_blocks).into_iter();
        let mut actions: Vec<_> = large.map(|(records, size)| GroupAction::Report(records, size)).collect();
        for mut group in groups.larger_than_one() {
            let size = group.len();
            if size > self.largest_group {
                group.truncate(REPORTED);
                actions.push(GroupAction::Report(group, size));
            } else {
                self.records.sort(&mut group);
                actions.push(GroupAction::Merge(group));
            }
        }
        actions
    }

    fn merge(&self, group: &[u32], page: &mut Verdicts) {
        let Some((survivor, others)) = group.split_first() else { return };
        for (column, value) in self.records.fill(group) {
            page.set(self.records.key(*survivor), column, value);
        }
        for record in others {
            let (index, confidence) = self.results.best.get(record).copied().unwrap_or_default();
            let name = &self.matchers[index].name;
            page.merge(self.records.key(*record), self.records.key(*survivor), name, confidence);
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
        Trial::new(super::component(), Schema::new(fields, &["id"])).run(config, rows).expect("a valid config")
    }

    #[test]
    fn the_survivor_takes_over_values_that_it_lacks() {
        let output = run(json!([
            { "id": 7, "email": "ana@exemplo.com", "name": "Ana", "seen": 1 },
            { "id": 8, "email": "bia@exemplo.com", "name": "Bia", "seen": 1 },
            { "id": 9, "email": " ANA@exemplo.com", "seen": 2 },
        ]));
        assert_eq!(output.merged(), [(0, 2)]);
        assert_eq!((output.merges[0].code.as_str(), output.merges[0].confidence), ("email", Some(0.95)));
        assert_eq!(output.column("name"), json!(["Ana", "Bia", "Ana"]));
        assert_eq!(output.noted(), []);
    }

    #[test]
    fn an_archived_record_survives_only_among_archived_ones() {
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
        assert_eq!(trial.run(config, rows).expect("a valid config").merged(), [(1, 2), (0, 2), (3, 4)]);
    }

    #[test]
    fn a_large_group_is_reported_instead_of_merged() {
        let output = run((0..4).map(|id| json!({ "id": id, "email": "nao@tem.com" })).collect());
        assert_eq!(output.merged(), []);
        assert_eq!(output.noted(), [0, 1, 2, 3].map(|row| (row, "large_group")));
    }
}

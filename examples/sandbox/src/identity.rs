//! How well merged records meet the people behind them: precision and recall over pairs of records.

use std::collections::BTreeMap;

use crate::Network;
use crate::kinds::Kind;

/// How many pairs of records are one person's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Pairs that are, in truth.
    pub truth: u64,
    /// Pairs that were found to be.
    pub found: u64,
    /// Pairs that were found and are.
    pub right: u64,
}

impl Score {
    /// How much of what was found is true; 1 where nothing was found.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.right, self.found)
    }

    /// How much of the truth was found; 1 where there is nothing to find.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.right, self.truth)
    }
}

/// Scores merges of contacts or companies: which record merged into which.
#[must_use]
pub fn score(network: &Network, kind: Kind, merges: impl IntoIterator<Item = (u64, u64)>) -> Score {
    let people: Vec<&[u64]> = match kind {
        Kind::Contact => network.patients.iter().map(|patient| patient.contacts.as_slice()).collect(),
        Kind::Company => network.doctors.iter().map(|doctor| doctor.companies.as_slice()).collect(),
        _ => Vec::new(),
    };
    score_of(&people, merges)
}

/// `people` are the records of each.
fn score_of(people: &[&[u64]], merges: impl IntoIterator<Item = (u64, u64)>) -> Score {
    let person_of: BTreeMap<u64, usize> = people
        .iter()
        .enumerate()
        .flat_map(|(person, records)| records.iter().map(move |record| (*record, person)))
        .collect();
    let into: BTreeMap<u64, u64> = merges.into_iter().collect();
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (record, survivor) in &into {
        // A later rule may have merged the survivor itself; a circle, which the host refuses, ends here too.
        let mut survivor = *survivor;
        for _ in 0..into.len() {
            match into.get(&survivor) {
                Some(further) => survivor = *further,
                None => break,
            }
        }
        groups.entry(survivor).or_insert_with(|| vec![survivor]).push(*record);
    }
    let mut score = Score { truth: people.iter().map(|records| pairs(records.len())).sum(), ..Score::default() };
    for records in groups.values() {
        score.found += pairs(records.len());
        let mut of_each: BTreeMap<usize, usize> = BTreeMap::new();
        for person in records.iter().filter_map(|record| person_of.get(record)) {
            *of_each.entry(*person).or_default() += 1;
        }
        score.right += of_each.values().map(|records| pairs(*records)).sum::<u64>();
    }
    score
}

fn pairs(records: usize) -> u64 {
    let records = records as u64;
    records * records.saturating_sub(1) / 2
}

#[expect(clippy::cast_precision_loss, reason = "shown to a few digits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::{Score, score_of};

    fn check(merges: &[(u64, u64)], found: u64, right: u64) {
        let people: [&[u64]; 3] = [&[1, 2, 3], &[4, 5], &[6]];
        assert_eq!(score_of(&people, merges.iter().copied()), Score { truth: 4, found, right }, "{merges:?}");
    }

    #[test]
    fn pairs_are_counted_by_groups() {
        check(&[], 0, 0);
        check(&[(2, 1), (3, 1), (5, 4)], 4, 4);
        check(&[(2, 1), (3, 2)], 3, 3);
        check(&[(2, 1), (6, 1)], 3, 1);
        check(&[(5, 4), (6, 5), (1, 6)], 6, 1);
    }

    #[test]
    fn nothing_to_find_is_all_found() {
        let empty = Score::default();
        assert_eq!((empty.precision(), empty.recall()), (1.0, 1.0));
    }
}

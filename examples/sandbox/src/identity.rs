//! Scores merges against the ground truth: precision and recall over pairs of records of the same person.

use std::collections::BTreeMap;

use crate::Network;
use crate::object_types::ObjectType;

/// Counts of record pairs that belong to the same person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Score {
    /// Pairs in the ground truth.
    pub true_pairs: u64,
    /// Pairs that were merged.
    pub found_pairs: u64,
    /// Pairs that were merged and are in the ground truth.
    pub correct_pairs: u64,
}

impl Score {
    /// The share of merged pairs that are correct; 1 if nothing was merged.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.correct_pairs, self.found_pairs)
    }

    /// The share of true pairs that were merged; 1 if there are none.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.correct_pairs, self.true_pairs)
    }
}

/// Scores merges of contacts or companies. Each merge is a record id and the id of the record that it was merged into.
#[must_use]
pub fn score(network: &Network, object_type: ObjectType, merges: impl IntoIterator<Item = (u64, u64)>) -> Score {
    let people: Vec<&[u64]> = match object_type {
        ObjectType::Contact => network.patients.iter().map(|patient| patient.contacts.as_slice()).collect(),
        ObjectType::Company => network.doctors.iter().map(|doctor| doctor.companies.as_slice()).collect(),
        _ => Vec::new(),
    };
    score_of(&people, merges)
}

/// Scores merges; `people` lists the record ids of each person.
fn score_of(people: &[&[u64]], merges: impl IntoIterator<Item = (u64, u64)>) -> Score {
    let person_of: BTreeMap<u64, usize> = people
        .iter()
        .enumerate()
        .flat_map(|(person, records)| records.iter().map(move |record| (*record, person)))
        .collect();
    let into: BTreeMap<u64, u64> = merges.into_iter().collect();
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (record, survivor) in &into {
        // The survivor itself may have been merged. The bound ends the loop on a cycle, which the host rejects.
        let mut survivor = *survivor;
        for _ in 0..into.len() {
            match into.get(&survivor) {
                Some(next) => survivor = *next,
                None => break,
            }
        }
        groups.entry(survivor).or_insert_with(|| vec![survivor]).push(*record);
    }
    let mut score = Score { true_pairs: people.iter().map(|records| pairs(records.len())).sum(), ..Score::default() };
    for records in groups.values() {
        score.found_pairs += pairs(records.len());
        let mut per_person: BTreeMap<usize, usize> = BTreeMap::new();
        for person in records.iter().filter_map(|record| person_of.get(record)) {
            *per_person.entry(*person).or_default() += 1;
        }
        score.correct_pairs += per_person.values().map(|records| pairs(*records)).sum::<u64>();
    }
    score
}

/// The number of pairs in a group of records.
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

    fn check(merges: &[(u64, u64)], found_pairs: u64, correct_pairs: u64) {
        let people: [&[u64]; 3] = [&[1, 2, 3], &[4, 5], &[6]];
        assert_eq!(
            score_of(&people, merges.iter().copied()),
            Score { true_pairs: 4, found_pairs, correct_pairs },
            "{merges:?}"
        );
    }

    #[test]
    fn pairs_are_counted_within_merged_groups() {
        check(&[], 0, 0);
        check(&[(2, 1), (3, 1), (5, 4)], 4, 4);
        check(&[(2, 1), (3, 2)], 3, 3);
        check(&[(2, 1), (6, 1)], 3, 1);
        check(&[(5, 4), (6, 5), (1, 6)], 6, 1);
    }

    #[test]
    fn an_empty_score_is_perfect() {
        let empty = Score::default();
        assert_eq!((empty.precision(), empty.recall()), (1.0, 1.0));
    }
}

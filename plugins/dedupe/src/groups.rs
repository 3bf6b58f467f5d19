//! Which records are one: union-find, with path halving.

use std::collections::BTreeMap;

/// Groups of records, by index.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    parents: Vec<usize>,
}

impl Groups {
    /// A record of its own.
    pub(crate) fn add(&mut self) {
        self.parents.push(self.parents.len());
    }

    /// The two records' groups become one.
    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }

    fn root(&mut self, mut record: usize) -> usize {
        while self.parents[record] != record {
            self.parents[record] = self.parents[self.parents[record]];
            record = self.parents[record];
        }
        record
    }

    /// The groups of two and more, each in rising order.
    pub(crate) fn larger_than_one(&mut self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for record in 0..self.parents.len() {
            let root = self.root(record);
            if root != record {
                groups.entry(root).or_insert_with(|| vec![root]).push(record);
            }
        }
        groups.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Groups;

    #[test]
    fn matches_chain() {
        let mut groups = Groups::default();
        (0..6).for_each(|_| groups.add());
        groups.join(0, 3);
        groups.join(3, 5);
        groups.join(1, 2);
        assert_eq!(groups.larger_than_one(), [vec![0, 3, 5], vec![1, 2]]);
    }
}

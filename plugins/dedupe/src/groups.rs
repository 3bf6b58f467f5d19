//! Groups of records that are connected by matches: union-find with path halving.

/// Groups of records, by index.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    parents: Vec<u32>,
}

impl Groups {
    /// One group for each record.
    pub(crate) fn new(records: u32) -> Self {
        Self { parents: (0..records).collect() }
    }

    /// Joins the groups of two records.
    pub(crate) fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b) as usize] = a.min(b);
    }

    fn root(&mut self, mut record: u32) -> u32 {
        while self.parents[record as usize] != record {
            let parent = self.parents[record as usize];
            self.parents[record as usize] = self.parents[parent as usize];
            record = self.parents[record as usize];
        }
        record
    }

    /// The groups of two or more records, each in ascending order.
    pub(crate) fn larger_than_one(&mut self) -> Vec<Vec<u32>> {
        let records = u32::try_from(self.parents.len()).unwrap_or(u32::MAX);
        let pairs = (0..records).map(|record| (self.root(record), record));
        // The root of a group is its first record.
        let mut joined: Vec<_> = pairs.filter(|(root, record)| root != record).collect();
        joined.sort_unstable();
        let group = |chunk: &[(u32, u32)]| std::iter::once(chunk[0].0).chain(chunk.iter().map(|pair| pair.1)).collect();
        joined.chunk_by(|a, b| a.0 == b.0).map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Groups;

    #[test]
    fn matches_are_transitive() {
        let mut groups = Groups::new(6);
        groups.join(0, 3);
        groups.join(5, 3);
        groups.join(1, 2);
        assert_eq!(groups.larger_than_one(), [vec![0, 3, 5], vec![1, 2]]);
    }
}

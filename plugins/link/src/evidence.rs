//! Finds the target of a record without a link through its related records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plugin_sdk::text::fold;

/// The confidence in a target that was found in both ways, and in one that was found in one way.
const BOTH_WAYS: f64 = 0.98;
const ONE_WAY: f64 = 0.9;

/// The two ways to find a target, as the journal explains them.
const BY_RELATED: &str = "a related record is linked to it";
const BY_SIBLINGS: &str = "other records with the same related record are linked to it";

/// Links from ids to ids.
pub(crate) type Links = HashMap<String, BTreeSet<String>>;

/// The links between records, related records and targets.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Targets by record.
    pub(crate) links: Links,
    /// Related records by record.
    pub(crate) near: Links,
    /// Targets by related record.
    pub(crate) far: Links,
    pub(crate) target_merges: HashMap<String, String>,
    pub(crate) near_merges: HashMap<String, String>,
    /// The text by which records mention a target.
    pub(crate) target_texts: HashMap<String, String>,
    /// Records by related record.
    siblings: Links,
}

/// The result of the search for a record's target.
#[derive(Debug)]
pub(crate) enum TargetSearch {
    /// One target.
    One {
        target: String,
        confidence: f64,
        /// How it was found.
        reason: String,
    },
    /// Several targets: how many.
    Several(usize),
    /// No target.
    None,
}

impl Evidence {
    /// Applies the merges. Call it once, after all inputs are read.
    pub(crate) fn finish(&mut self) {
        for (record, related) in &self.near {
            for related in related {
                self.siblings.entry(survivor(&self.near_merges, related)).or_default().insert(record.clone());
            }
        }
        // The links of a merged related record become those of its survivor.
        for (related, targets) in std::mem::take(&mut self.far) {
            self.far.entry(survivor(&self.near_merges, &related)).or_default().extend(targets);
        }
    }

    /// Searches for the target of a record. If `text` is given, it must mention the target.
    pub(crate) fn find(&self, record: &str, text: Option<&str>) -> TargetSearch {
        let mut candidates: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for related in self.near.get(record).into_iter().flatten() {
            let related = survivor(&self.near_merges, related);
            for target in self.far.get(&related).into_iter().flatten() {
                candidates.entry(survivor(&self.target_merges, target)).or_default().insert(BY_RELATED);
            }
            let siblings = self.siblings.get(&related).into_iter().flatten().filter(|other| *other != record);
            for target in siblings.filter_map(|other| self.links.get(other)).flatten() {
                candidates.entry(survivor(&self.target_merges, target)).or_default().insert(BY_SIBLINGS);
            }
        }
        if let Some(text) = text.filter(|_| !self.target_texts.is_empty()) {
            let text = format!(" {} ", fold(text));
            candidates.retain(|target, _| {
                let mentioned = self.target_texts.get(target);
                mentioned.is_some_and(|mentioned| text.contains(&format!(" {} ", fold(mentioned))))
            });
        }
        let count = candidates.len();
        match (candidates.pop_first(), count) {
            (Some((target, ways)), 1) => {
                let confidence = if ways.len() > 1 { BOTH_WAYS } else { ONE_WAY };
                let reason = ways.into_iter().collect::<Vec<_>>().join(", and ");
                TargetSearch::One { target, confidence, reason }
            }
            (None, _) => TargetSearch::None,
            _ => TargetSearch::Several(count),
        }
    }

    /// Whether a record has a link.
    pub(crate) fn is_linked(&self, record: &str) -> bool {
        self.links.contains_key(record)
    }
}

fn survivor(merges: &HashMap<String, String>, id: &str) -> String {
    merges.get(id).map_or(id, String::as_str).to_owned()
}

//! What points from a record without a link to its target, and when it is unambiguous.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use plugin_sdk::text::fold;

/// How sure a target is that both ways lead to, and one that a single way leads to.
const BOTH: f64 = 0.98;
const ONE: f64 = 0.9;

/// Links from ids to ids.
pub(crate) type Links = HashMap<String, BTreeSet<String>>;

/// What is known of the records around.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) links: Links,
    pub(crate) near: Links,
    pub(crate) far: Links,
    pub(crate) target_merges: HashMap<String, String>,
    pub(crate) near_merges: HashMap<String, String>,
    /// What a target is called where records mention it.
    pub(crate) called: HashMap<String, String>,
    /// Records by the third one that they lead to.
    back: Links,
}

/// What the evidence says of a record.
#[derive(Debug)]
pub(crate) enum Found {
    /// One target, how sure, and why.
    One(String, f64, String),
    /// Several.
    Several(usize),
    /// None.
    Nothing,
}

impl Evidence {
    /// To be called once all inputs are read.
    pub(crate) fn finish(&mut self) {
        for (record, thirds) in &self.near {
            for third in thirds {
                self.back.entry(survivor(&self.near_merges, third)).or_default().insert(record.clone());
            }
        }
        // A merged third one's links are its survivor's.
        for (third, targets) in std::mem::take(&mut self.far) {
            self.far.entry(survivor(&self.near_merges, &third)).or_default().extend(targets);
        }
    }

    /// What points from a record to a target; `text` is where it may mention one.
    pub(crate) fn find(&self, record: &str, text: Option<&str>) -> Found {
        let mut ways: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for third in self.near.get(record).into_iter().flatten() {
            let third = survivor(&self.near_merges, third);
            for target in self.far.get(&third).into_iter().flatten() {
                ways.entry(survivor(&self.target_merges, target)).or_default().insert("its own link");
            }
            let others = self.back.get(&third).into_iter().flatten().filter(|other| *other != record);
            for target in others.filter_map(|other| self.links.get(other)).flatten() {
                ways.entry(survivor(&self.target_merges, target)).or_default().insert("its other records");
            }
        }
        if let Some(text) = text.filter(|_| !self.called.is_empty()) {
            let text = format!(" {} ", fold(text));
            ways.retain(|target, _| {
                self.called.get(target).is_some_and(|called| text.contains(&format!(" {} ", fold(called))))
            });
        }
        let count = ways.len();
        let mut ways = ways.into_iter();
        match (ways.next(), count) {
            (Some((target, by)), 1) => {
                let by: Vec<_> = by.into_iter().collect();
                let sure = if by.len() > 1 { BOTH } else { ONE };
                Found::One(target, sure, by.join(" and "))
            }
            (None, _) => Found::Nothing,
            _ => Found::Several(count),
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

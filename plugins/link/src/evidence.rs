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
#[derive(Debug, PartialEq)]
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

#[cfg(test)]
mod tests {
    use super::{Evidence, Found, Links};

    fn links(pairs: &[(&str, &str)]) -> Links {
        let mut links = Links::new();
        for (from, to) in pairs {
            links.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        links
    }

    fn evidence() -> Evidence {
        let mut evidence = Evidence {
            links: links(&[("d2", "c1"), ("d4", "c2"), ("d5", "c3")]),
            near: links(&[
                ("d1", "p1"),
                ("d2", "p1b"),
                ("d3", "p2"),
                ("d4", "p2"),
                ("d5", "p2"),
                ("d6", "p3"),
                ("d7", "p9"),
            ]),
            far: links(&[("p1", "c1b"), ("p3", "c1")]),
            target_merges: [("c1b".to_owned(), "c1".to_owned())].into(),
            near_merges: [("p1b".to_owned(), "p1".to_owned())].into(),
            called: [("c1", "Neurologia"), ("c2", "Dor"), ("c3", "Ortopedia")]
                .map(|(id, name)| (id.to_owned(), name.to_owned()))
                .into(),
            ..Evidence::default()
        };
        evidence.finish();
        evidence
    }

    fn check(record: &str, text: Option<&str>, expected: Option<(&str, f64)>) {
        let found = match evidence().find(record, text) {
            Found::One(target, sure, _) => Some((target, sure)),
            Found::Several(_) | Found::Nothing => None,
        };
        assert_eq!(found, expected.map(|(target, sure)| (target.to_owned(), sure)), "{record}");
    }

    #[test]
    fn unambiguous_evidence_links() {
        check("d1", None, Some(("c1", 0.98)));
        check("d1", Some("Consulta Neurologia - Ana"), Some(("c1", 0.98)));
        check("d1", Some("Consulta Neurologia Infantil"), Some(("c1", 0.98)));
        check("d1", Some("Consulta Psiquiatria"), None);
        check("d3", None, None);
        check("d3", Some("Consulta ORTOPEDIA - Rui"), Some(("c3", 0.9)));
        check("d6", None, Some(("c1", 0.9)));
        check("d7", None, None);
        check("d9", None, None);
        assert_eq!(evidence().find("d3", None), Found::Several(2));
        assert_eq!(evidence().find("d7", None), Found::Nothing);
    }
}

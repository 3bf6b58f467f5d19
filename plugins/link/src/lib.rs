//! Rule, table scope: a record without a link, such as a deal without its company, gets the one that the records around
//! it point to, where they point to one alone. The target is written into a column of its own, with how sure it is and
//! why.

mod config;
mod evidence;

use std::vec::IntoIter;

use plugin_sdk::prelude::*;

use config::{Config, FAR, LINKS, NEAR, NEAR_MERGES, TARGET_MERGES, TARGETS};
use evidence::{Evidence, Found};

/// Records that one page of verdicts speaks of.
const PAGE: usize = 10_000;

struct Link {
    added: TextColumn,
    name: String,
    text: Option<TextColumn>,
    /// The two columns of each input that are read.
    inputs: Vec<(&'static str, TextColumn, TextColumn)>,
    evidence: Evidence,
    /// Records without a link, each with the text that may mention its target.
    open: Vec<(Key, Option<String>)>,
    verdicts: Option<IntoIter<(Key, Option<String>)>>,
}

impl Rule for Link {
    type Config = Config;

    fn needs() -> Vec<Need> {
        vec![
            Need::input(LINKS, false),
            Need::input(NEAR, false),
            Need::input(FAR, true),
            Need::input(TARGETS, true),
            Need::input(TARGET_MERGES, true),
            Need::input(NEAR_MERGES, true),
        ]
    }

    fn adds(config: &Config) -> Vec<Field> {
        vec![
            Field::text(&config.column)
                .description("the target that the evidence points to, of a record without a link"),
        ]
    }

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let mut inputs = Vec::new();
        let ends = [(LINKS, "from_id", "to_id"), (NEAR, "from_id", "to_id"), (FAR, "from_id", "to_id")];
        let merges = [(TARGET_MERGES, "key", "survivor_key"), (NEAR_MERGES, "key", "survivor_key")];
        for (name, from, to) in ends.into_iter().chain(merges) {
            if let Some(schema) = input.other(name) {
                inputs.push((name, schema.text(from)?, schema.text(to)?));
            }
        }
        let mut text = None;
        if let Some(mentions) = &config.mentions {
            let targets = input.other(TARGETS).ok_or_else(|| {
                Error::config("`mentions` needs the input `targets`")
                    .hint("add `targets = \"source.stream\"` to the rule's `inputs`, or leave `mentions` out")
            })?;
            inputs.push((TARGETS, targets.text("id")?, targets.text(&mentions.target)?));
            text = Some(input.text(&mentions.column)?);
        }
        let (name, evidence, open) = (config.column, Evidence::default(), Vec::new());
        Ok(Self { added: input.text(&name)?, name, text, inputs, evidence, open, verdicts: None })
    }

    fn plan(&self) -> Plan {
        let plan = Plan::table().reads_all(self.text).sets(self.added);
        self.inputs.iter().fold(plan, |plan, (input, from, to)| plan.reads_of(input, [*from, *to]))
    }

    fn take(&mut self, input: &str, rows: &Rows<'_>) -> Result<()> {
        let Some((_, from, to)) = self.inputs.iter().find(|(name, ..)| *name == input) else { return Ok(()) };
        let pairs = rows.column(*from)?.iter().zip(rows.column(*to)?.iter());
        for (from, to) in pairs.filter_map(|(from, to)| Some((from?.to_owned(), to?.to_owned()))) {
            let Evidence { links, near, far, target_merges, near_merges, called, .. } = &mut self.evidence;
            match input {
                LINKS => drop(links.entry(from).or_default().insert(to)),
                NEAR => drop(near.entry(from).or_default().insert(to)),
                FAR => drop(far.entry(from).or_default().insert(to)),
                TARGET_MERGES => drop(target_merges.insert(from, to)),
                NEAR_MERGES => drop(near_merges.insert(from, to)),
                _ => drop(called.insert(from, to)),
            }
        }
        Ok(())
    }

    fn apply(&mut self, rows: &Rows<'_>, _: &mut Patch) -> Result<()> {
        let texts = self.text.map(|text| rows.column(text)).transpose()?;
        for row in 0..rows.len() {
            let key = rows.key(row)?;
            if !self.evidence.is_linked(&key.to_string()) {
                self.open.push((key, texts.as_ref().and_then(|texts| texts.get(row)).map(str::to_owned)));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Verdicts>> {
        if self.verdicts.is_none() {
            self.evidence.finish();
            self.verdicts = Some(std::mem::take(&mut self.open).into_iter());
        }
        let mut page = Verdicts::default();
        while page.len() < PAGE {
            let Some((key, text)) = self.verdicts.as_mut().and_then(Iterator::next) else { break };
            // Where records mention their target, one that does not mentions none.
            let text = self.text.map(|_| text.as_deref().unwrap_or_default());
            match self.evidence.find(&key.to_string(), text) {
                Found::One(target, sure, why) => {
                    let message = format!("`{target}`, by {why}");
                    page.set(key.clone(), self.added, KeyPart::from(target.as_str()));
                    page.note_with_confidence(key, Some(&self.name), "linked", message, sure);
                }
                Found::Several(count) => {
                    page.note(key, Some(&self.name), "ambiguous_link", format!("{count} targets are as likely"));
                }
                Found::Nothing => page.note(key, Some(&self.name), "no_evidence", "nothing points to a target"),
            }
        }
        Ok((!page.is_empty()).then_some(page))
    }
}

export_rule!(Link);

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use plugin_sdk::testing::{Trial, Value, json};

    fn with(trial: Trial, input: &str, [from, to]: [&str; 2], pairs: &[[&str; 2]]) -> Trial {
        let rows = pairs.iter().map(|pair| json!({ from: pair[0], to: pair[1] })).collect();
        trial.input(input, Schema::new(vec![Field::text(from), Field::text(to)], &[from]), rows)
    }

    fn check(config: Value, [id, name]: [&str; 2], linked: Option<&str>, noted: &str, confidence: Option<f64>) {
        let deals = Schema::new(vec![Field::text("id"), Field::text("name")], &["id"]);
        let (ends, merges) = (["from_id", "to_id"], ["key", "survivor_key"]);
        let near = [["d1", "p1"], ["d2", "p1b"], ["d3", "p2"], ["d4", "p2"], ["d5", "p2"], ["d6", "p3"], ["d7", "p9"]];
        let trial = Trial::new(super::component(), deals);
        let trial = with(trial, "links", ends, &[["d2", "c1"], ["d4", "c2"], ["d5", "c3"]]);
        let trial = with(trial, "near", ends, &near);
        let trial = with(trial, "far", ends, &[["p1", "c1b"], ["p3", "c1"]]);
        let trial = with(trial, "target_merges", merges, &[["c1b", "c1"]]);
        let trial = with(trial, "near_merges", merges, &[["p1b", "p1"]]);
        let called = [["c1", "Neurologia"], ["c2", "Dor"], ["c3", "Ortopedia"]];
        let trial = with(trial, "targets", ["id", "specialty"], &called);
        // The second has a link, and is left alone.
        let outcome = trial.run(config, json!([{ "id": id, "name": name }, { "id": "d2" }])).expect("a rule");
        assert_eq!(outcome.column("linked_to"), json!([linked, null]), "{id} {name}");
        assert_eq!(outcome.noted(), [(0, noted)], "{id} {name}");
        assert_eq!(outcome.notes[0].confidence, confidence, "{id} {name}");
    }

    #[test]
    fn unambiguous_evidence_links() {
        let mentions = || json!({ "mentions": { "column": "name", "target": "specialty" } });
        check(json!({}), ["d1", ""], Some("c1"), "linked", Some(0.98));
        check(mentions(), ["d1", "Consulta Neurologia - Ana"], Some("c1"), "linked", Some(0.98));
        check(mentions(), ["d1", "Consulta Neurologia Infantil"], Some("c1"), "linked", Some(0.98));
        check(mentions(), ["d1", "Consulta Psiquiatria"], None, "no_evidence", None);
        check(json!({}), ["d3", ""], None, "ambiguous_link", None);
        check(mentions(), ["d3", "Consulta ORTOPEDIA - Rui"], Some("c3"), "linked", Some(0.9));
        check(json!({}), ["d6", ""], Some("c1"), "linked", Some(0.9));
        check(json!({}), ["d7", ""], None, "no_evidence", None);
        check(json!({}), ["d9", ""], None, "no_evidence", None);
    }
}

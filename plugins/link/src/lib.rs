//! Rule, table scope: finds the missing link of a record, such as the company of a deal, through related records, if they
//! all point to one target. The target is written to a column of its own, with a note that has the confidence and the
//! reason.

mod config;
mod evidence;

use std::vec::IntoIter;

use plugin_sdk::prelude::*;

use config::{Config, FAR, LINKS, NEAR, NEAR_MERGES, TARGET_MERGES, TARGETS};
use evidence::{Evidence, TargetSearch};

/// The records of one page of verdicts.
const PAGE_RECORDS: usize = 10_000;

struct Link {
    /// The column that the rule adds, and its name.
    added: TextColumn,
    added_name: String,
    /// The column that mentions targets.
    text: Option<TextColumn>,
    /// The two columns that are read of each input.
    inputs: Vec<(&'static str, TextColumn, TextColumn)>,
    evidence: Evidence,
    /// The records without a link, each with the text that may mention its target.
    unlinked: Vec<(Key, Option<String>)>,
    /// The same records, once all inputs are read.
    remaining: Option<IntoIter<(Key, Option<String>)>>,
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
                .description("The target of a record without a link, found through related records"),
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
                Error::config("`mentions` needs the input `targets`, which is not granted")
                    .hint("add `targets = \"source.stream\"` to the rule's `inputs`, or remove `mentions`")
            })?;
            inputs.push((TARGETS, targets.text("id")?, targets.text(&mentions.target)?));
            text = Some(input.text(&mentions.column)?);
        }
        Ok(Self {
            added: input.text(&config.column)?,
            added_name: config.column,
            text,
            inputs,
            evidence: Evidence::default(),
            unlinked: Vec::new(),
            remaining: None,
        })
    }

    fn plan(&self) -> Plan {
        let plan = Plan::table().reads_all(self.text).sets(self.added);
        self.inputs.iter().fold(plan, |plan, (input, from, to)| plan.reads_of(input, [*from, *to]))
    }

    fn take(&mut self, input: &str, rows: &Rows<'_>) -> Result<()> {
        let Some((_, from, to)) = self.inputs.iter().find(|(name, ..)| *name == input) else { return Ok(()) };
        let pairs = rows.column(*from)?.iter().zip(rows.column(*to)?.iter());
        for (from, to) in pairs.filter_map(|(from, to)| Some((from?.to_owned(), to?.to_owned()))) {
            let Evidence { links, near, far, target_merges, near_merges, target_texts, .. } = &mut self.evidence;
            match input {
                LINKS => drop(links.entry(from).or_default().insert(to)),
                NEAR => drop(near.entry(from).or_default().insert(to)),
                FAR => drop(far.entry(from).or_default().insert(to)),
                TARGET_MERGES => drop(target_merges.insert(from, to)),
                NEAR_MERGES => drop(near_merges.insert(from, to)),
                _ => drop(target_texts.insert(from, to)),
            }
        }
        Ok(())
    }

    fn apply(&mut self, rows: &Rows<'_>, _: &mut Patch) -> Result<()> {
        let texts = self.text.map(|text| rows.column(text)).transpose()?;
        for row in 0..rows.len() {
            let key = rows.key(row)?;
            if !self.evidence.is_linked(&key.to_string()) {
                self.unlinked.push((key, texts.as_ref().and_then(|texts| texts.get(row)).map(str::to_owned)));
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Option<Verdicts>> {
        if self.remaining.is_none() {
            self.evidence.finish();
            self.remaining = Some(std::mem::take(&mut self.unlinked).into_iter());
        }
        let mut page = Verdicts::default();
        while page.len() < PAGE_RECORDS {
            let Some((key, text)) = self.remaining.as_mut().and_then(Iterator::next) else { break };
            // With `mentions`, a record without text mentions no target.
            let text = self.text.map(|_| text.as_deref().unwrap_or_default());
            let column = Some(self.added_name.as_str());
            match self.evidence.find(&key.to_string(), text) {
                TargetSearch::One { target, confidence, reason } => {
                    let message = format!("linked to `{target}`: {reason}");
                    page.set(key.clone(), self.added, KeyPart::from(target.as_str()));
                    page.note_with_confidence(key, column, "linked", message, confidence);
                }
                TargetSearch::Several(count) => {
                    let message = format!("related records point to {count} different targets: not linked");
                    page.note(key, column, "ambiguous_link", message);
                }
                TargetSearch::None => {
                    let mentioned = if text.is_some() { " that this record mentions" } else { "" };
                    let message = format!("no related record points to a target{mentioned}: not linked");
                    page.note(key, column, "no_evidence", message);
                }
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

    fn with_input(trial: Trial, input: &str, [from, to]: [&str; 2], pairs: &[[&str; 2]]) -> Trial {
        let rows = pairs.iter().map(|pair| json!({ from: pair[0], to: pair[1] })).collect();
        trial.input(input, Schema::new(vec![Field::text(from), Field::text(to)], &[from]), rows)
    }

    fn check(config: Value, [id, name]: [&str; 2], linked: Option<&str>, noted: &str, confidence: Option<f64>) {
        let deals = Schema::new(vec![Field::text("id"), Field::text("name")], &["id"]);
        let (ends, merges) = (["from_id", "to_id"], ["key", "survivor_key"]);
        let near = [["d1", "p1"], ["d2", "p1b"], ["d3", "p2"], ["d4", "p2"], ["d5", "p2"], ["d6", "p3"], ["d7", "p9"]];
        let trial = Trial::new(super::component(), deals);
        let trial = with_input(trial, "links", ends, &[["d2", "c1"], ["d4", "c2"], ["d5", "c3"]]);
        let trial = with_input(trial, "near", ends, &near);
        let trial = with_input(trial, "far", ends, &[["p1", "c1b"], ["p3", "c1"]]);
        let trial = with_input(trial, "target_merges", merges, &[["c1b", "c1"]]);
        let trial = with_input(trial, "near_merges", merges, &[["p1b", "p1"]]);
        let texts = [["c1", "Neurologia"], ["c2", "Dor"], ["c3", "Ortopedia"]];
        let trial = with_input(trial, "targets", ["id", "specialty"], &texts);
        // `d2` has a link, so the rule does not change it.
        let rows = json!([{ "id": id, "name": name }, { "id": "d2" }]);
        let output = trial.run(config, rows).expect("a valid config");
        assert_eq!(output.column("linked_to"), json!([linked, null]), "{id} {name}");
        assert_eq!(output.noted(), [(0, noted)], "{id} {name}");
        assert_eq!(output.notes[0].confidence, confidence, "{id} {name}");
    }

    #[test]
    fn a_record_is_linked_if_one_target_is_found() {
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

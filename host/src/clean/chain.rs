//! The rules of one stream, opened in order: each sees the columns that the ones before it leave.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::RuleCounts;
use crate::error::{Error, Result};
use crate::pipeline::InputName;
use crate::plugin::{Input, RuleRun, Scope};
use crate::prepare::PreparedRule;
use crate::schema::{Field, Schema, Type};

/// A stream's rules at work.
pub struct Chain {
    pub(super) rules: Vec<Link>,
}

/// One rule at work.
pub(super) struct Link {
    pub(super) run: RuleRun,
    /// Its further inputs.
    pub(super) inputs: BTreeMap<String, InputName>,
    pub(super) counts: RuleCounts,
}

/// Neighbouring rules of row scope, or one rule of table scope.
pub(super) struct Segment {
    pub(super) is_row_scope: bool,
    pub(super) rules: Range<usize>,
}

/// Opens the rules on a stream; refuses columns that it does not have. `schema_of` knows the further inputs of rules.
pub async fn open(
    rules: &[&PreparedRule],
    stream: &str,
    schema: &Schema,
    schema_of: &dyn Fn(&InputName) -> Option<Schema>,
) -> Result<Chain> {
    let mut schema = schema.clone();
    let mut links = Vec::new();
    for rule in rules {
        let on = |error: Error| error.on(format!("{}: rule `{}` on `{stream}`", rule.place, rule.name));
        let mut inputs = vec![Input { name: stream.to_owned(), schema: schema.clone() }];
        for (name, input) in &rule.inputs {
            let unknown = || Error::config(format!("its input `{name}`: no stream `{}` is loaded", input.stream));
            let schema = schema_of(input).ok_or_else(|| on(unknown()))?;
            inputs.push(Input { name: name.clone(), schema });
        }
        let run = rule.plugin.open(&inputs).await.map_err(on)?;
        for field in &run.plan.sets {
            set(&mut schema.fields, field);
        }
        let inputs = rule.inputs.clone();
        links.push(Link { run, inputs, counts: RuleCounts { rule: rule.name.clone(), ..RuleCounts::default() } });
    }
    Ok(Chain { rules: links })
}

/// The schema of the merges of a stream: which record merged into which.
#[must_use]
pub fn merges_schema() -> Schema {
    let field = |name: &str| Field { name: name.to_owned(), data_type: Type::Text, metadata: BTreeMap::new() };
    Schema { fields: MERGES.map(field).into(), primary_key: vec![MERGES[0].to_owned()], cursor: None }
}

const MERGES: [&str; 2] = ["key", "survivor_key"];

/// A rule's field takes the place of the one of its name, or joins at the end.
pub(super) fn set(fields: &mut Vec<Field>, field: &Field) {
    match fields.iter_mut().find(|known| known.name == field.name) {
        Some(known) => *known = field.clone(),
        None => fields.push(field.clone()),
    }
}

impl Chain {
    /// The columns that each rule sets, in the order of the rules.
    pub fn sets(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        self.rules.iter().map(|link| link.run.plan.sets.iter().map(|field| field.name.clone()).collect())
    }

    /// The names of a segment's rules.
    pub(super) fn names(&self, segment: &Segment) -> Vec<String> {
        self.rules[segment.rules.clone()].iter().map(|link| link.counts.rule.clone()).collect()
    }

    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for (index, link) in self.rules.iter().enumerate() {
            let is_row_scope = link.run.plan.scope == Scope::Row;
            match segments.last_mut().filter(|last| last.is_row_scope && is_row_scope) {
                Some(last) => last.rules.end = index + 1,
                None => segments.push(Segment { is_row_scope, rules: index..index + 1 }),
            }
        }
        segments
    }

    /// Columns of which nobody should read a value.
    pub(super) fn masked(&self) -> BTreeSet<String> {
        let sets = self.rules.iter().flat_map(|link| &link.run.plan.sets);
        let is_masked = |field: &&Field| field.metadata.get("masked").is_some_and(|masked| masked == "true");
        sets.filter(is_masked).map(|field| field.name.clone()).collect()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let of = |link: &Link| {
            let rule = link.counts.rule.clone();
            link.run.warnings().iter().map(move |warning| format!("{rule}: {warning}")).collect::<Vec<_>>()
        };
        self.rules.iter().flat_map(of).collect()
    }

    pub(super) fn counts(&self) -> Vec<RuleCounts> {
        self.rules.iter().map(|link| link.counts.clone()).collect()
    }
}

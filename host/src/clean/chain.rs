//! The rules of one stream, opened in order. Each rule sees the columns as the rules before it leave them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use host_core::error::{Error, Result};
use host_core::schema::{Field, Schema, Type};
use host_ledger::journal::RuleCounts;
use host_plugin::{RuleInput, RuleRun, RuleScope};

use crate::pipeline::InputName;
use crate::prepare::PreparedRule;

/// The opened rules of one stream, in order.
pub struct Chain {
    pub(super) rules: Vec<OpenRule>,
}

/// An opened rule.
pub(super) struct OpenRule {
    pub(super) run: RuleRun,
    /// The further inputs, by the plugin's names for them.
    pub(super) inputs: BTreeMap<String, InputName>,
    pub(super) counts: RuleCounts,
}

/// Consecutive rules of row scope, or one rule of table scope.
pub(super) struct Segment {
    pub(super) is_row_scope: bool,
    /// The positions of its rules in the chain.
    pub(super) rules: Range<usize>,
}

/// Opens rules on a stream with this schema. `schema_of` returns the schema of a further input, or none if it is not loaded.
///
/// # Errors
/// The first rule that does not open on its columns or has an input that is not loaded.
pub async fn open(
    rules: &[&PreparedRule],
    stream: &str,
    schema: &Schema,
    schema_of: &dyn Fn(&InputName) -> Option<Schema>,
) -> Result<Chain> {
    let mut schema = schema.clone();
    let mut opened = Vec::new();
    for rule in rules {
        let on = |error: Error| error.on(format!("rule `{}` on `{stream}`", rule.name)).at(&rule.place);
        let mut inputs = vec![RuleInput { name: stream.to_owned(), schema: schema.clone() }];
        for (name, input) in &rule.inputs {
            let not_loaded = || Error::config(format!("input `{name}`: stream `{}` is not loaded", input.stream));
            let schema = schema_of(input).ok_or_else(|| on(not_loaded()))?;
            inputs.push(RuleInput { name: name.clone(), schema });
        }
        let run = rule.plugin.open(&inputs).await.map_err(on)?;
        for field in &run.plan.sets {
            set_field(&mut schema.fields, field);
        }
        let inputs = rule.inputs.clone();
        opened.push(OpenRule { run, inputs, counts: RuleCounts { rule: rule.name.clone(), ..RuleCounts::default() } });
    }
    Ok(Chain { rules: opened })
}

/// The schema of the merges of a stream: the key of each merged record and the key of its survivor, as text.
#[must_use]
pub fn merges_schema() -> Schema {
    let field = |name: &str| Field { name: name.to_owned(), data_type: Type::Text, metadata: BTreeMap::new() };
    Schema { fields: MERGE_COLUMNS.map(field).into(), primary_key: vec![MERGE_COLUMNS[0].to_owned()], cursor: None }
}

const MERGE_COLUMNS: [&str; 2] = ["key", "survivor_key"];

/// Replaces the field of the same name, or appends the field.
pub(super) fn set_field(fields: &mut Vec<Field>, field: &Field) {
    match fields.iter_mut().find(|existing| existing.name == field.name) {
        Some(existing) => *existing = field.clone(),
        None => fields.push(field.clone()),
    }
}

impl Chain {
    /// The columns that each rule sets, in the order of the rules.
    pub fn columns_set(&self) -> impl Iterator<Item = Vec<String>> + '_ {
        self.rules.iter().map(|rule| rule.run.plan.sets.iter().map(|field| field.name.clone()).collect())
    }

    /// The names of a segment's rules.
    pub(super) fn rule_names(&self, segment: &Segment) -> Vec<String> {
        self.rules[segment.rules.clone()].iter().map(|rule| rule.counts.rule.clone()).collect()
    }

    /// All rules as segments, in order.
    pub(super) fn segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let is_row_scope = rule.run.plan.scope == RuleScope::Row;
            match segments.last_mut().filter(|last| last.is_row_scope && is_row_scope) {
                Some(last) => last.rules.end = index + 1,
                None => segments.push(Segment { is_row_scope, rules: index..index + 1 }),
            }
        }
        segments
    }

    /// The columns whose values must not be shown.
    pub(super) fn masked(&self) -> BTreeSet<String> {
        let sets = self.rules.iter().flat_map(|rule| &rule.run.plan.sets);
        let is_masked = |field: &&Field| field.metadata.get("masked").is_some_and(|masked| masked == "true");
        sets.filter(is_masked).map(|field| field.name.clone()).collect()
    }

    /// The warnings of all plugins, each after the name of its rule.
    pub(super) fn warnings(&self) -> Vec<String> {
        let of_rule = |rule: &OpenRule| {
            let name = rule.counts.rule.clone();
            rule.run.warnings().iter().map(move |warning| format!("{name}: {warning}")).collect::<Vec<_>>()
        };
        self.rules.iter().flat_map(of_rule).collect()
    }

    pub(super) fn counts(&self) -> Vec<RuleCounts> {
        self.rules.iter().map(|rule| rule.counts.clone()).collect()
    }
}

//! The rules of one stream, opened in order: each sees the columns that the ones before it leave.

use std::ops::Range;

use super::RuleCounts;
use crate::error::Result;
use crate::plugin::{Input, RuleRun, Scope};
use crate::prepare::PreparedRule;
use crate::schema::{Field, Schema};

/// A stream's rules at work.
pub struct Chain {
    pub(super) rules: Vec<Link>,
}

/// One rule at work.
pub(super) struct Link {
    pub(super) run: RuleRun,
    pub(super) counts: RuleCounts,
}

/// Neighbouring rules of row scope, or one rule of table scope.
pub(super) struct Segment {
    pub(super) is_row_scope: bool,
    pub(super) rules: Range<usize>,
}

/// Opens the rules on a stream; refuses columns that it does not have.
pub async fn open(rules: &[&PreparedRule], stream: &str, schema: &Schema) -> Result<Chain> {
    let mut schema = schema.clone();
    let mut links = Vec::new();
    for rule in rules {
        let input = Input { name: stream.to_owned(), schema: schema.clone() };
        let opened = rule.plugin.open(&[input]).await;
        let run = opened.map_err(|error| error.on(format!("{}: rule `{}` on `{stream}`", rule.place, rule.name)))?;
        for field in &run.plan.sets {
            set(&mut schema.fields, field);
        }
        links.push(Link { run, counts: RuleCounts { rule: rule.name.clone(), ..RuleCounts::default() } });
    }
    Ok(Chain { rules: links })
}

/// A rule's field takes the place of the one of its name, or joins at the end.
pub(super) fn set(fields: &mut Vec<Field>, field: &Field) {
    match fields.iter_mut().find(|known| known.name == field.name) {
        Some(known) => *known = field.clone(),
        None => fields.push(field.clone()),
    }
}

impl Chain {
    /// Whether no rule needs the whole table.
    pub(super) fn is_row_scope(&self) -> bool {
        self.rules.iter().all(|link| link.run.plan.scope == Scope::Row)
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

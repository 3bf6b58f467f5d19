//! The order in which streams are cleaned, and the reason why all rows of a stream are cleaned again.

use std::collections::BTreeSet;

use host_core::error::{Error, Result};
use host_ledger::streams::LoadedStream;

use super::chain::{Chain, Segment};
use crate::prepare::PreparedRule;

/// Orders streams so that each comes after the streams that its rules read.
///
/// # Errors
/// Rules that read each other's streams in a cycle.
pub(super) fn order(streams: Vec<LoadedStream>, rules: &[PreparedRule]) -> Result<Vec<LoadedStream>> {
    let reads = |stream: &LoadedStream| {
        let own = rules.iter().filter(|rule| rule.streams.contains(&stream.name()));
        own.flat_map(|rule| rule.inputs.values().map(|input| input.stream.to_string())).collect::<BTreeSet<_>>()
    };
    let mut waiting: Vec<_> = streams.into_iter().map(|stream| (reads(&stream), stream)).collect();
    let mut ordered = Vec::new();
    while !waiting.is_empty() {
        let names: BTreeSet<_> = waiting.iter().map(|(_, stream)| stream.name()).collect();
        let (ready, blocked): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(reads, _)| reads.is_disjoint(&names));
        if ready.is_empty() {
            let cycle = names.into_iter().collect::<Vec<_>>().join("`, `");
            let error = Error::config(format!("rules read each other's streams in a cycle: `{cycle}`"));
            return Err(error.hint("let a rule read only streams whose rules do not read its own"));
        }
        ordered.extend(ready.into_iter().map(|(_, stream)| stream));
        waiting = blocked;
    }
    Ok(ordered)
}

/// What each segment's output depends on, apart from its input: the raw columns, the masked columns, the segment's rules,
/// and whether it is the last segment. One line each.
pub(super) fn segment_fingerprints(
    chain: &Chain,
    (columns, rules): (Vec<String>, Vec<String>),
    masked: &BTreeSet<String>,
) -> Vec<String> {
    let shared: Vec<_> = columns.into_iter().chain(masked.iter().map(|column| format!("masked {column}"))).collect();
    let segments = chain.segments();
    let last = segments.len().saturating_sub(1);
    let fingerprint = |(at, segment): (usize, &Segment)| {
        let rules = rules.get(segment.rules.clone()).unwrap_or_default();
        let target = if at == last { "to clean" } else { "to the next" };
        [shared.as_slice(), rules, &[target.to_owned()]].concat().join("\n")
    };
    segments.iter().enumerate().map(fingerprint).collect()
}

/// What differs between two fingerprints of a stream's cleaning, as a sentence for people.
pub(super) fn difference(before: &str, after: &str) -> String {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (before, after) = (lines(before), lines(after));
    let changed = before.symmetric_difference(&after).filter_map(|line| line.split_once('=').map(|(what, _)| what));
    let mut changed: Vec<_> = changed.collect::<BTreeSet<_>>().into_iter().collect();
    let rest = changed.len().saturating_sub(3);
    changed.truncate(3);
    let named: Vec<_> = changed.iter().map(|what| what.split_once(' ').unwrap_or((what, ""))).collect();
    let named: Vec<_> = named.iter().map(|(kind, name)| format!("{kind} `{name}`")).collect();
    match (named.len(), rest) {
        (0, _) => "the order of its rules changed".to_owned(),
        (_, 0) => format!("{} changed", named.join(", ")),
        _ => format!("{} and {rest} more changed", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_difference_names_the_changed_rules_and_columns() {
        let before = "column id=VARCHAR\nrule tidy=a 1\nrule dedupe=b";
        assert_eq!(difference(before, "column id=VARCHAR\nrule tidy=a 2\nrule dedupe=b"), "rule `tidy` changed");
        assert_eq!(difference(before, "rule tidy=a 1\ncolumn id=VARCHAR"), "rule `dedupe` changed");
        assert_eq!(
            difference(before, "rule dedupe=b\ncolumn id=VARCHAR\nrule tidy=a 1"),
            "the order of its rules changed"
        );
    }
}

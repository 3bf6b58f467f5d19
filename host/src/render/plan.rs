//! Renders what a run would do, and what a check found.

use std::path::Path;

use host_core::text::escape_line;

use crate::run::{CheckReport, RunPlan};

/// One line per source, rule, model and check.
#[must_use]
pub fn render_plan(plan: &RunPlan, warehouse: &Path) -> String {
    let mut lines = vec![format!("warehouse {}", warehouse.display())];
    for source in &plan.sources {
        let streams = source.wanted.as_ref().map_or_else(|| "all streams".to_owned(), |streams| streams.join(", "));
        let (name, version) = (&source.description.name, &source.description.version);
        lines.push(escape_line(&format!("extract   {} ({name} {version}): {streams}", source.name)));
        lines.extend(source.granted.iter().map(|granted| format!("          granted {}", escape_line(granted))));
    }
    for (index, (rule, sets)) in plan.rules.iter().enumerate() {
        let columns = sets.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let sets = if columns.is_empty() { columns } else { format!(" · sets {columns}") };
        let granted = rule.granted.iter().map(|granted| format!(" · granted {granted}")).collect::<String>();
        let line = format!("clean {:>3} {}: {}{sets}{granted}", index + 1, rule.name, rule.streams.join(", "));
        lines.push(escape_line(&line));
    }
    lines.extend(plan.models().iter().map(|(name, kind)| format!("build     {name} ({kind})")));
    lines.extend(plan.checks().iter().map(|name| format!("check     {name}")));
    lines.join("\n") + "\n"
}

/// The sources and streams that were tried, and whether a run would be complete.
#[must_use]
pub fn render_checked(checked: &CheckReport) -> String {
    let verdict = if checked.is_complete() { "all checks passed" } else { "a run would be partial" };
    let counts = format!("{} rules · {} models · {} checks", checked.rules, checked.models, checked.checks);
    format!("{}\n{counts}\n{verdict}\n", checked_sources(checked).join("\n"))
}

/// One line per source and skipped stream.
pub(crate) fn checked_sources(checked: &CheckReport) -> Vec<String> {
    let sources = checked.sources.iter().map(|source| {
        let account = source.account.as_ref().map(|account| format!(" · {}", escape_line(account))).unwrap_or_default();
        format!("source {}: {} streams{account}", source.name, source.streams)
    });
    let skipped = checked.skipped.iter();
    sources
        .chain(skipped.map(|skipped| format!("skipped {}: {}", skipped.stream, escape_line(&skipped.error.message()))))
        .collect()
}

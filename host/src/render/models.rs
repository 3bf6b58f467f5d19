//! Renders models: what was built and tested, and the list of all models.

use host_models::{BuildReport, ManifestEntry, draw_tree};

use super::table::{render_count, render_number};

/// One line per built model, then what was tested.
#[must_use]
pub fn render_built(built: &BuildReport) -> String {
    let width = built.models.iter().map(|model| model.model.len()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (index, model) in built.models.iter().enumerate() {
        let label = if index == 0 { "built" } else { "" };
        let rows = model.rows.map(|rows| render_count(rows, "row", "rows")).unwrap_or_default();
        let kind = if model.is_incremental { format!("{}, new rows", model.kind) } else { model.kind.to_string() };
        lines.push(format!("{label:<9}{:<width$}  {kind:<21} {rows:>16} {:>7.2} s", model.model, model.seconds));
    }
    lines.extend(built.warnings.iter().map(|warning| format!("warning  {warning}")));
    lines.push(format!("models   {}", summarize_built(built)));
    lines.join("\n") + "\n"
}

/// What was built and tested, in one line.
pub(super) fn summarize_built(built: &BuildReport) -> String {
    if built.unchanged {
        return "unchanged: neither tables nor SQL changed since the last publication".to_owned();
    }
    let counts = [
        (built.models.len(), "built"),
        (built.models_unchanged, "unchanged"),
        (built.checks_passed, "checks passed"),
        (built.tests_passed, "tests passed"),
        (built.unit_tests_passed, "unit tests passed"),
    ];
    let facts = counts.iter().filter(|(count, what)| *count > 0 || *what == "built");
    let facts: Vec<_> = facts.map(|(count, what)| format!("{count} {what}")).collect();
    format!("{} · {:.1} s", facts.join(" · "), built.seconds)
}

/// The warnings of tests of published models, then one line of counts.
#[must_use]
pub fn render_tested(tested: &BuildReport) -> String {
    let warnings: String = tested.warnings.iter().map(|warning| format!("warning  {warning}\n")).collect();
    let (checks, tests, units) = (tested.checks_passed, tested.tests_passed, tested.unit_tests_passed);
    format!(
        "{warnings}tested   {checks} checks · {tests} tests · {units} unit tests passed · {:.1} s\n",
        tested.seconds
    )
}

/// The list of all models, and the tree of what they read.
#[must_use]
pub fn render_manifest(entries: &[ManifestEntry]) -> String {
    let width = |of: fn(&ManifestEntry) -> usize| entries.iter().map(of).max().unwrap_or_default();
    let (names, tags) = (width(|entry| entry.model.len()), width(|entry| entry.tags.join(",").len()));
    let line = |entry: &ManifestEntry| {
        let rows = entry.rows.map(render_number).unwrap_or_default();
        let built = entry.built_at.as_deref().map_or("", |at| at.get(..16).unwrap_or(at));
        let state = if entry.is_modified { "modified" } else { "" };
        let description = entry.description.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let line = format!(
            "{:<names$}  {:<11} {:<tags$} {rows:>11}  {built:<16} {state:<8}  {description}",
            entry.model,
            entry.kind.to_string(),
            entry.tags.join(","),
        );
        line.trim_end().to_owned() + "\n"
    };
    format!("{}\n{}", entries.iter().map(line).collect::<String>(), draw_tree(entries))
}

//! Renders the figures that change without the cleaning rules.

use comfy_table::{CellAlignment, Table, presets};

use host_core::text::escape_line;

use super::table::render_text;
use crate::report::TableComparison;

/// One table of differences per report table.
#[must_use]
pub fn render_comparisons(comparisons: &[TableComparison]) -> String {
    comparisons.iter().map(render_comparison).collect()
}

fn render_comparison(comparison: &TableComparison) -> String {
    let TableComparison { title, figures, differences } = comparison;
    let mut text = format!("\n{title}: {} of {figures} figures change without the cleaning rules\n", differences.len());
    if differences.is_empty() {
        return text;
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["", "figure", "with rules", "without", "difference"]);
    for one in differences {
        let off_by = one.off_by.map_or_else(|| "–".to_owned(), |share| format!("{:+.1} %", share * 100.0));
        let (with, without) = (render_text(one.with.as_deref()), render_text(one.without.as_deref()));
        table.add_row([escape_line(&one.row), escape_line(&one.figure), with, without, off_by]);
    }
    for column in [2, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    text.push_str(&table.trim_fmt());
    text.push('\n');
    text
}

//! Renders tables, values and numbers. A value is one line without characters that a terminal interprets.

use comfy_table::{CellAlignment, ContentArrangement, Table, TableComponent, presets};
use host_core::text::escape_line;
use host_warehouse::Row;
use serde_json::Value;

/// Rows as a table, numbers aligned right. Empty if there are no rows.
pub(super) fn render_rows(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_style(TableComponent::HeaderLines, '─').set_style(TableComponent::MiddleHeaderIntersections, '─');
    table.set_header(first.keys().map(|name| escape_line(name)));
    for row in rows {
        table.add_row(row.values().map(|value| render_value(Some(value))));
    }
    let is_number = |value: &Value| match value {
        Value::String(text) => text.parse::<f64>().is_ok(),
        other => other.is_number() || other.is_null(),
    };
    for (index, name) in first.keys().enumerate() {
        let is_numeric = rows.iter().all(|row| row.get(name).is_none_or(is_number));
        if let Some(column) = table.column_mut(index).filter(|_| is_numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// A value, or `–` if it is NULL.
pub(super) fn render_value(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "–".to_owned(),
        Some(Value::String(text)) => escape_line(text),
        Some(other) => escape_line(&other.to_string()),
    }
}

/// A text, or `–` if there is none.
pub(super) fn render_text(text: Option<&str>) -> String {
    text.map_or_else(|| "–".to_owned(), escape_line)
}

/// A text in backticks, or `–` if there is none.
pub(super) fn render_quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "–".to_owned(), |text| format!("`{}`", escape_line(text)))
}

/// A number with a comma between thousands.
pub(super) fn render_number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with its unit, in the singular for one.
pub(crate) fn render_count(number: u64, singular: &str, plural: &str) -> String {
    format!("{} {}", render_number(number), if number == 1 { singular } else { plural })
}

#[cfg(test)]
mod tests {
    use super::{render_count, render_number};

    #[test]
    fn thousands_are_separated_by_commas() {
        assert_eq!([0, 12, 999, 1000, 1_234_567].map(render_number), ["0", "12", "999", "1,000", "1,234,567"]);
        assert_eq!([render_count(1, "row", "rows"), render_count(2, "row", "rows")], ["1 row", "2 rows"]);
    }
}

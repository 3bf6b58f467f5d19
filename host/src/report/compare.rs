//! The tables of two runs side by side: which figures differ, and by how much.

use host_warehouse::Row;
use serde_json::Value;

use super::tables::ReportTable;

/// A figure that differs between two runs.
#[derive(Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The name of the row: its first value that is not a number.
    pub row: String,
    /// The column.
    pub figure: String,
    /// The figure with the rules, as the report shows it. None if it is NULL or the row does not exist.
    pub with: Option<String>,
    /// The figure without the rules.
    pub without: Option<String>,
    /// The difference as a share of the figure with the rules, such as -0.25. None if one of them is not a number or the
    /// figure is 0.
    pub off_by: Option<f64>,
}

/// The figures of a table that differ.
#[derive(Debug, serde::Serialize)]
pub struct TableComparison {
    /// The table's title.
    pub title: String,
    /// Figures in both runs.
    pub figures: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

/// Compares the tables that have the same title. Rows are matched by their names, or by position if they have no text.
#[must_use]
pub fn compare(with: &[ReportTable], without: &[ReportTable]) -> Vec<TableComparison> {
    let pairs = with.iter().filter_map(|table| Some((table, without.iter().find(|other| other.title == table.title)?)));
    pairs.map(|(table, other)| compare_tables(table, other)).collect()
}

fn compare_tables(with: &ReportTable, without: &ReportTable) -> TableComparison {
    let mut compared = TableComparison { title: with.title.clone(), figures: 0, differences: Vec::new() };
    let figures = figures(with.rows.iter().chain(&without.rows));
    let labels = |rows: &[Row]| rows.iter().enumerate().map(|(at, row)| label(row, &figures, at)).collect::<Vec<_>>();
    let (names, other_names) = (labels(&with.rows), labels(&without.rows));
    let added = other_names.iter().filter(|name| !names.contains(name));
    for name in names.iter().chain(added) {
        let row = |names: &[String], rows: &'_ [Row]| {
            names.iter().position(|other| other == name).and_then(|at| rows.get(at)).cloned().unwrap_or_default()
        };
        let (row_with, row_without) = (row(&names, &with.rows), row(&other_names, &without.rows));
        for figure in &figures {
            let (with, without) = (shown(row_with.get(figure)), shown(row_without.get(figure)));
            compared.figures += 1;
            if with == without {
                continue;
            }
            let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
            let off_by = number(&with).zip(number(&without)).filter(|(with, _)| *with != 0.0);
            compared.differences.push(Difference {
                row: name.clone(),
                figure: figure.clone(),
                off_by: off_by.map(|(with, without)| (without - with) / with.abs()),
                with,
                without,
            });
        }
    }
    compared
}

/// The columns that have only numbers or NULL in all rows.
fn figures<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> Vec<String> {
    let Some(first) = rows.clone().next() else { return Vec::new() };
    let is_number = |value: &Value| match value {
        Value::String(text) => text.parse::<f64>().is_ok(),
        other => other.is_number() || other.is_null(),
    };
    let is_figure = |name: &&String| rows.clone().all(|row| row.get(*name).is_none_or(is_number));
    first.keys().filter(is_figure).cloned().collect()
}

fn label(row: &Row, figures: &[String], at: usize) -> String {
    // The first text column names the row. Later ones, such as a status, may follow from the figures.
    let name = row.iter().find(|(name, _)| !figures.contains(name)).and_then(|(_, value)| shown(Some(value)));
    name.unwrap_or_else(|| format!("row {}", at + 1))
}

fn shown(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::compare;
    use crate::report::ReportTable;

    fn table(rows: Value) -> ReportTable {
        let rows = rows.as_array().into_iter().flatten().filter_map(Value::as_object).cloned().collect();
        ReportTable { title: "LTV:CAC".to_owned(), reads: Vec::new(), rows, meaning: None }
    }

    #[test]
    fn differing_figures_are_listed_with_their_difference() {
        let with = table(json!([{ "channel": "ads", "ltv": "200.00", "cac": null, "status": "ok" }]));
        let without = table(json!([
            { "channel": "ads", "ltv": "150.00", "cac": null, "status": "low_n" },
            { "channel": "Unknown", "ltv": "9.00", "cac": null, "status": "ok" },
        ]));
        let compared = compare(&[with], &[without]);
        let differences: Vec<_> =
            compared[0].differences.iter().map(|one| (one.row.as_str(), one.figure.as_str(), one.off_by)).collect();
        assert_eq!(differences, [("ads", "ltv", Some(-0.25)), ("Unknown", "ltv", None)]);
        assert_eq!(compared[0].figures, 4);
    }
}

//! Two runs' closing tables side by side: which figures differ, and by how much.

use serde_json::Value;

use super::ReportTable;
use crate::warehouse::Row;

/// A figure of a closing table in both runs.
#[derive(Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// The row, by its values that are no numbers.
    pub row: String,
    /// The column.
    pub figure: String,
    /// With the rules, as the report shows it; none where there is no such row.
    pub with: Option<String>,
    /// Without them.
    pub without: Option<String>,
    /// How far off it is without, as a share of the figure with the rules; none where that has no meaning.
    pub off_by: Option<f64>,
}

/// A closing table's figures that differ.
#[derive(Debug, serde::Serialize)]
pub struct Compared {
    /// What it shows.
    pub title: String,
    /// Figures in both runs.
    pub figures: usize,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

/// Compares the tables of one title each; rows belong together by their texts, or by their place where they have none.
#[must_use]
pub fn compare(with: &[ReportTable], without: &[ReportTable]) -> Vec<Compared> {
    let pairs = with.iter().filter_map(|table| Some((table, without.iter().find(|other| other.title == table.title)?)));
    pairs.map(|(table, other)| compare_tables(table, other)).collect()
}

fn compare_tables(with: &ReportTable, without: &ReportTable) -> Compared {
    let mut compared = Compared { title: with.title.clone(), figures: 0, differences: Vec::new() };
    let figures = figures(with.rows.iter().chain(&without.rows));
    let labels = |rows: &[Row]| rows.iter().enumerate().map(|(at, row)| label(row, &figures, at)).collect::<Vec<_>>();
    let (names, others) = (labels(&with.rows), labels(&without.rows));
    let added = others.iter().filter(|name| !names.contains(name));
    for name in names.iter().chain(added) {
        let row = |names: &[String], rows: &'_ [Row]| {
            names.iter().position(|known| known == name).and_then(|at| rows.get(at)).cloned().unwrap_or_default()
        };
        let (ours, theirs) = (row(&names, &with.rows), row(&others, &without.rows));
        for figure in &figures {
            let (with, without) = (shown(ours.get(figure)), shown(theirs.get(figure)));
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

/// The columns that hold numbers, and nothing else, in all rows.
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
    // A status follows from the figures; what comes first says what the row is about.
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
    fn figures_that_differ_are_told() {
        let with = table(json!([{ "channel": "ads", "ltv": "200.00", "cac": null, "status": "ok" }]));
        let without = table(json!([
            { "channel": "ads", "ltv": "150.00", "cac": null, "status": "low_n" },
            { "channel": "Unknown", "ltv": "9.00", "cac": null, "status": "ok" },
        ]));
        let compared = compare(&[with], &[without]);
        let told: Vec<_> =
            compared[0].differences.iter().map(|one| (one.row.as_str(), one.figure.as_str(), one.off_by)).collect();
        assert_eq!(told, [("ads", "ltv", Some(-0.25)), ("Unknown", "ltv", None)]);
        assert_eq!(compared[0].figures, 4);
    }
}

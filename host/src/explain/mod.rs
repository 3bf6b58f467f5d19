//! A figure traced down: the rows of a mart that meet a condition, the rows behind them as the mart's drills give them,
//! and which rules repaired their records.

mod condition;
mod drill;
mod repairs;

use crate::error::{Error, Result, nearest};
use crate::marts::{EntryColumn, Graph, Materialized, Model, described};
use crate::warehouse::{Row, Warehouse};

use condition::Condition;

pub use drill::{Agreement, DrillRow, Drilling, Page};
pub use repairs::{Repair, RuleRepairs, What};

/// How much of it is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Rows of the mart; all where none is given.
    pub of_mart: Option<u64>,
    /// Rows of each drill; all where none is given.
    pub of_drill: Option<u64>,
}

/// Rows of a mart and what is behind them.
#[derive(Debug, serde::Serialize)]
pub struct Explained {
    /// `schema.name`.
    pub mart: String,
    /// What its rows are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The condition, as it was asked for.
    pub condition: String,
    /// Its columns.
    pub columns: Vec<EntryColumn>,
    /// Rows that meet the condition.
    pub total: u64,
    /// The first of them, by column.
    pub rows: Vec<Row>,
    /// The rows behind them, by each of the mart's drills.
    pub drills: Vec<Drilled>,
}

/// The rows behind some rows of a mart, as one of its drills gives them.
#[derive(Debug, serde::Serialize)]
pub struct Drilled {
    /// The drill's name.
    pub drill: String,
    /// What its rows are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The columns that say which of its rows belong to which of the mart.
    pub key: Vec<String>,
    /// The column with the record's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The stream of the records, `source.stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// All of its rows for these rows of the mart.
    pub total: u64,
    /// Records among them; none where no column names one.
    pub records: Option<u64>,
    /// What the rows add up to beside what the mart says.
    pub agreements: Vec<Agreement>,
    /// What each rule did to these records, all of them, in the order of the rules.
    pub rules: Vec<RuleRepairs>,
    /// The first rows.
    pub rows: Vec<DrillRow>,
}

/// Traces the rows of a mart that meet a condition down to the records behind them.
///
/// The condition is one boolean expression over the mart's columns; anything else is an error, as is one that no row
/// meets. `mart` is `schema.name`, or the name alone where one model has it.
pub fn explain(graph: &Graph, warehouse: &Warehouse, mart: &str, condition: &str, limits: Limits) -> Result<Explained> {
    let model = find(graph, mart)?;
    let columns = drill::published(warehouse, model)?;
    let condition = Condition::check(warehouse, model, &columns, condition)?;
    let (table, met) = (&model.table, condition.sql());
    let total = condition.count(warehouse, model)?;
    if total == 0 {
        return Err(condition.unmet(warehouse, model)?);
    }
    let limit = limits.of_mart.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
    let rows = warehouse.query(&format!("SELECT * FROM {table} WHERE {met} ORDER BY ALL{limit}"), &[])?;
    let mut drills = Vec::new();
    for drill in &model.config.drill {
        let keys = drill.key.iter().map(|name| {
            let name = crate::warehouse::quote(name);
            format!("CAST({name} AS VARCHAR) AS {name}")
        });
        let keys = keys.collect::<Vec<_>>().join(", ");
        let keys = warehouse.query(&format!("SELECT DISTINCT {keys} FROM {table} WHERE {met}"), &[])?;
        let drilling = Drilling::new(warehouse, model, &drill.name, &keys)?;
        let (total, records) = drilling.total()?;
        drills.push(Drilled {
            drill: drill.name.clone(),
            description: drill.description.clone(),
            key: drill.key.clone(),
            record: drill.record.clone(),
            stream: drill.stream.clone(),
            total,
            records,
            agreements: drilling.agreements()?,
            rules: drilling.rules()?,
            rows: drilling.rows(Page { offset: 0, rows: limits.of_drill })?,
        });
    }
    Ok(Explained {
        mart: model.name(),
        description: model.config.description.clone(),
        condition: condition.text().to_owned(),
        columns: described(model, &columns),
        total,
        rows,
        drills,
    })
}

/// The model of a name, `schema.name` or the name alone.
pub fn find<'a>(graph: &'a Graph, name: &str) -> Result<&'a Model> {
    let models = || graph.models().filter(|model| model.kind != Materialized::Check);
    if let Some(model) = models().find(|model| model.name().eq_ignore_ascii_case(name)) {
        return Ok(model);
    }
    let named: Vec<_> = models().filter(|model| model.table.name.eq_ignore_ascii_case(name)).collect();
    match named.as_slice() {
        [model] => Ok(model),
        [] => {
            let error = Error::config(format!("no model `{name}`"));
            let names: Vec<_> = models().flat_map(|model| [model.name(), model.table.name.clone()]).collect();
            let is_full = name.contains('.');
            let known = names.iter().map(String::as_str).filter(|known| known.contains('.') == is_full);
            Err(error.hint(nearest(name, known).unwrap_or_else(|| "`host models PIPELINE` lists them".to_owned())))
        }
        several => {
            let names: Vec<_> = several.iter().map(|model| format!("`{}`", model.name())).collect();
            let error = Error::config(format!("several models are named `{name}`"));
            Err(error.hint(format!("it could be {}: write which", names.join(" or "))))
        }
    }
}

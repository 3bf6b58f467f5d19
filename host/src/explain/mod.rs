//! Traces a figure to its records: the rows of a mart that match a condition, the rows of its drills for them, and the
//! rules that corrected these records.

mod condition;
mod drill;

use host_core::error::{Error, Result, nearest};
use host_ledger::journal::RuleRepairs;
use host_models::{Graph, ManifestColumn, Model, ModelKind, describe_columns};
use host_warehouse::{QUERY_TIME, Row, Warehouse, quote};

use condition::Condition;

pub use drill::{Agreement, DrillQuery, DrillRow, RowRange};

/// The maximum numbers of rows to return.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowLimits {
    /// The maximum number of rows of the mart. `None` returns all rows.
    pub mart_rows: Option<u64>,
    /// The maximum number of rows of each drill. `None` returns all rows.
    pub drill_rows: Option<u64>,
}

/// Rows of a mart and the records behind them.
#[derive(Debug, serde::Serialize)]
pub struct Explanation {
    /// The mart, `schema.name`.
    pub mart: String,
    /// What one row of the mart is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The condition, as the user wrote it.
    pub condition: String,
    /// The columns of the mart.
    pub columns: Vec<ManifestColumn>,
    /// The number of rows that match the condition.
    pub total: u64,
    /// The first matching rows, by column.
    pub rows: Vec<Row>,
    /// The rows of each drill of the mart.
    pub drills: Vec<DrillResult>,
}

/// The rows of one drill.
#[derive(Debug, serde::Serialize)]
pub struct DrillResult {
    /// The drill's name.
    pub drill: String,
    /// What the rows are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The columns that match rows of the drill to rows of the mart.
    pub key: Vec<String>,
    /// The column with the id of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// The stream of the records, `source.stream`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The number of rows for these rows of the mart.
    pub total: u64,
    /// The number of distinct records. `None` if the drill has no `record` column.
    pub records: Option<u64>,
    /// The comparison of the figures of the mart with the aggregates of the rows.
    pub agreements: Vec<Agreement>,
    /// What each rule changed in all of these records, in the order of the rules.
    pub rules: Vec<RuleRepairs>,
    /// The first rows.
    pub rows: Vec<DrillRow>,
}

/// Traces the rows of a mart that match a condition to the records behind them. `mart` is `schema.name`, or the name
/// alone if only one model has it. `condition` is one boolean expression over the mart's columns.
///
/// # Errors
/// The mart is unknown or was never built, the condition is invalid, no row matches it, or the query of a drill fails or
/// takes too long.
pub fn explain(
    graph: &Graph,
    warehouse: &Warehouse,
    mart: &str,
    condition: &str,
    limits: RowLimits,
) -> Result<Explanation> {
    let model = find(graph, mart)?;
    warehouse.read_bounded(QUERY_TIME, || explain_model(warehouse, model, condition, limits))
}

fn explain_model(warehouse: &Warehouse, model: &Model, condition: &str, limits: RowLimits) -> Result<Explanation> {
    let columns = drill::published_columns(warehouse, model)?;
    let condition = Condition::check(warehouse, model, &columns, condition)?;
    let (table, matches) = (&model.table, condition.sql());
    let total = condition.count(warehouse, model)?;
    if total == 0 {
        return Err(condition.no_match_error(warehouse, model)?);
    }
    let limit = limits.mart_rows.map(|rows| format!(" LIMIT {rows}")).unwrap_or_default();
    let rows = warehouse.query(&format!("SELECT * FROM {table} WHERE {matches} ORDER BY ALL{limit}"), ())?;
    let mut drills = Vec::new();
    for drill in &model.config.drill {
        let keys = drill.key.iter().map(|name| {
            let name = quote(name);
            format!("CAST({name} AS VARCHAR) AS {name}")
        });
        let keys = keys.collect::<Vec<_>>().join(", ");
        let keys = warehouse.query(&format!("SELECT DISTINCT {keys} FROM {table} WHERE {matches}"), ())?;
        let query = DrillQuery::new(warehouse, model, &drill.name, &keys)?;
        let (total, records) = query.total()?;
        drills.push(DrillResult {
            drill: drill.name.clone(),
            description: drill.description.clone(),
            key: drill.key.clone(),
            record: drill.record.clone(),
            stream: drill.stream.clone(),
            total,
            records,
            agreements: query.agreements()?,
            rules: query.rules()?,
            rows: query.rows(RowRange { offset: 0, rows: limits.drill_rows })?,
        });
    }
    Ok(Explanation {
        mart: model.name(),
        description: model.config.description.clone(),
        condition: condition.text().to_owned(),
        columns: describe_columns(model, &columns),
        total,
        rows,
        drills,
    })
}

/// Returns the model with a name, which is `schema.name` or the name alone.
///
/// # Errors
/// No model has this name, or several have it.
pub fn find<'a>(graph: &'a Graph, name: &str) -> Result<&'a Model> {
    let models = || graph.models().filter(|model| model.kind != ModelKind::Check);
    if let Some(model) = models().find(|model| model.name().eq_ignore_ascii_case(name)) {
        return Ok(model);
    }
    let named: Vec<_> = models().filter(|model| model.table.name.eq_ignore_ascii_case(name)).collect();
    match named.as_slice() {
        [model] => Ok(model),
        [] => {
            let error = Error::config(format!("unknown model `{name}`"));
            let names: Vec<_> = models().flat_map(|model| [model.name(), model.table.name.clone()]).collect();
            let is_full = name.contains('.');
            let candidates = names.iter().map(String::as_str).filter(|other| other.contains('.') == is_full);
            Err(error.hint(
                nearest(name, candidates).unwrap_or_else(|| "`host models PIPELINE` lists the models".to_owned()),
            ))
        }
        several => {
            let names: Vec<_> = several.iter().map(|model| format!("`{}`", model.name())).collect();
            let error = Error::config(format!("several models are named `{name}`"));
            Err(error.hint(format!("write {}", names.join(" or "))))
        }
    }
}

//! The dashboard: its declaration, its items, and the rows behind them, as JSON or as a CSV file.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use host_core::error::{Error, Result};
use host_ledger::journal::Repair;
use host_ledger::{models, runs};
use host_models::Graph;
use host_warehouse::{ColumnType, Row, Warehouse};
use serde_json::{Value, json};

use super::{PipelineQuery, QueryParameters, cached, check_length, json_response, parameters, to_json};
use crate::dashboard::{Dashboard, FilterSelection, ItemRows};
use crate::explain::{DrillQuery, DrillRow, RowRange};
use crate::serve::api_error::{ApiError, ApiResult};
use crate::serve::app_state::AppState;
use crate::serve::model_cache::LoadedModels;
use crate::serve::served_pipeline::ServedPipeline;

/// Rows of a page.
const PAGE_SIZE: u64 = 100;
/// The last page.
const MAX_PAGE: u64 = 1_000_000;
/// Rows of a CSV file.
const MAX_FILE_ROWS: u64 = 100_000;
/// The prefix of query parameters that select a row of the item: `row.COLUMN`.
const ROW_PREFIX: &str = "row.";
/// The suffix of a name for which a CSV file is sent.
const FILE_SUFFIX: &str = ".csv";

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/dashboard", get(declaration))
        .route("/api/items/{item}", get(item))
        .route("/api/items/{item}/drills/{drill}", get(drill))
}

async fn declaration(
    State(state): State<Arc<AppState>>,
    QueryParameters(query): QueryParameters<PipelineQuery>,
) -> ApiResult<Response> {
    let served = state.pipeline(query.pipeline.as_deref())?;
    Ok(json_response(cached(served, "dashboard".to_owned(), read_declaration(&state, served)).await?))
}

async fn read_declaration(state: &AppState, served: &Arc<ServedPipeline>) -> ApiResult<Bytes> {
    let declaration = state.with_models(served, |models, warehouse| match declared(models) {
        Some((dashboard, graph)) => dashboard.declaration(graph, warehouse),
        None => Ok(json!({ "title": {}, "filters": [], "sections": [] })),
    });
    let mut declaration = declaration.await?;
    declaration["currency"] = served.loaded.pipeline.file.pipeline.currency.clone().into();
    Ok(to_json(&declaration)?)
}

fn declared(models: Option<&LoadedModels>) -> Option<(&Dashboard, &Graph)> {
    models.and_then(|models| Some((models.dashboard.as_ref()?, &models.graph)))
}

/// The query of an item: the pipeline, the page, the key of a row, and the filters.
#[derive(Debug, Default)]
struct ItemQuery {
    pipeline: Option<String>,
    page: Option<u64>,
    row: Row,
    /// Sorted, each once: queries that mean the same are equal.
    filters: Vec<(String, String)>,
}

impl ItemQuery {
    /// Reads the parameters. Those of filters and rows are checked against the dashboard later.
    fn parse(query: Option<&str>) -> ApiResult<Self> {
        let mut parsed = Self::default();
        let twice = |name: &str| ApiError::bad_request(format!("parameter `{name}`: it is given twice"));
        for (name, value) in parameters(query.unwrap_or_default()) {
            check_length(&name, &value)?;
            match (name.as_ref(), name.strip_prefix(ROW_PREFIX)) {
                ("pipeline", _) if parsed.pipeline.is_some() => return Err(twice(&name)),
                ("pipeline", _) => parsed.pipeline = Some(value.into_owned()),
                ("page", _) if parsed.page.is_some() => return Err(twice(&name)),
                ("page", _) => parsed.page = Some(parse_page(&value)?),
                (_, Some(column)) => {
                    if parsed.row.insert(column.to_owned(), value.into_owned().into()).is_some() {
                        return Err(twice(&name));
                    }
                }
                _ => parsed.filters.push((name.into_owned(), value.into_owned())),
            }
        }
        parsed.row.sort_keys();
        parsed.filters.sort();
        parsed.filters.dedup();
        Ok(parsed)
    }

    /// Refuses parameters that only a page of the rows behind an item has.
    fn without_page(&self) -> ApiResult<()> {
        match self.page {
            Some(_) => Err(ApiError::bad_request("unknown parameter `page`: all rows are sent at once")),
            None => Ok(()),
        }
    }
}

fn parse_page(value: &str) -> ApiResult<u64> {
    let page = value.parse().ok().filter(|page| (1..=MAX_PAGE).contains(page));
    page.ok_or_else(|| ApiError::bad_request(format!("parameter `page`: expected a number from 1 to {MAX_PAGE}")))
}

/// The dashboard, the models and the selection of a query.
fn select<'a>(
    models: Option<&'a LoadedModels>,
    warehouse: &Warehouse,
    filters: &[(String, String)],
) -> Result<(&'a Dashboard, &'a Graph, FilterSelection)> {
    let (dashboard, graph) = declared(models).ok_or_else(|| {
        Error::config("the pipeline has no dashboard")
            .hint("declare one in `dashboard.toml` in the folder of its models")
    })?;
    Ok((dashboard, graph, dashboard.select(filters, warehouse)?))
}

/// Responds 404 to an unknown item and to an unknown drill.
async fn check_names(state: &AppState, served: &Arc<ServedPipeline>, item: &str, drill: Option<&str>) -> ApiResult<()> {
    let (item, drill) = (item.to_owned(), drill.map(str::to_owned));
    let known = state.with_models(served, move |models, _| match declared(models) {
        Some((dashboard, graph)) => Ok(dashboard.known(graph, &item, drill.as_deref())),
        None => Ok(Ok(())),
    });
    known.await?.map_err(ApiError::not_found_if_config)
}

async fn item(
    State(state): State<Arc<AppState>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let query = ItemQuery::parse(query.as_deref())?;
    query.without_page()?;
    if let Some(column) = query.row.keys().next() {
        return Err(ApiError::bad_request(format!("unknown parameter `{ROW_PREFIX}{column}`: an item has no key")));
    }
    let served = state.pipeline(query.pipeline.as_deref())?;
    let request = format!("items/{name}?{:?}", query.filters);
    Ok(respond(&name, cached(served, request, read_item(&state, served, query, &name)).await?))
}

/// An item with the age of its data.
#[derive(serde::Serialize)]
struct DatedItem {
    #[serde(flatten)]
    rows: ItemRows,
    loaded_at: Option<String>,
    built_at: Option<String>,
}

async fn read_item(state: &AppState, served: &Arc<ServedPipeline>, query: ItemQuery, name: &str) -> ApiResult<Bytes> {
    let (item, is_file) = split_suffix(name);
    check_names(state, served, &item, None).await?;
    let bytes = state.with_models(served, move |models, warehouse| {
        let (dashboard, _, selection) = select(models, warehouse, &query.filters)?;
        let rows = dashboard.rows(warehouse, &item, selection)?;
        if is_file {
            return csv(&rows.rows.columns, rows.rows.rows.iter().map(|row| row.iter()));
        }
        let built_at = models::last_publication(warehouse)?.published_at;
        to_json(&DatedItem { rows, loaded_at: runs::last_load(warehouse)?, built_at })
    });
    Ok(bytes.await?)
}

async fn drill(
    State(state): State<Arc<AppState>>,
    Path((item, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> ApiResult<Response> {
    let query = ItemQuery::parse(query.as_deref())?;
    if split_suffix(&name).1 {
        query.without_page()?;
    }
    let served = state.pipeline(query.pipeline.as_deref())?;
    let ItemQuery { page, row, filters, .. } = &query;
    let request = format!("items/{item}/drills/{name}?{:?}", (page.unwrap_or(1), row, filters));
    Ok(respond(&name, cached(served, request, read_drill(&state, served, query, (item, &name))).await?))
}

/// A page of the rows behind an item.
#[derive(serde::Serialize)]
struct DrillPage<'a> {
    columns: &'a [ColumnType],
    rows: Vec<Vec<Value>>,
    /// The repairs of each row's record.
    repairs: Vec<&'a [Repair]>,
    key: &'a [String],
    description: Option<&'a str>,
    record: Option<&'a str>,
    stream: Option<&'a str>,
    total: u64,
    page: u64,
    page_size: u64,
}

async fn read_drill(
    state: &AppState,
    served: &Arc<ServedPipeline>,
    query: ItemQuery,
    (item, name): (String, &str),
) -> ApiResult<Bytes> {
    let (drill, is_file) = split_suffix(name);
    check_names(state, served, &item, Some(&drill)).await?;
    let bytes = state.with_models(served, move |models, warehouse| {
        let (dashboard, graph, selection) = select(models, warehouse, &query.filters)?;
        let drill = dashboard.behind((graph, warehouse), (&item, &drill), selection, query.row)?;
        if is_file { drill_file(&drill) } else { drill_page(&drill, query.page.unwrap_or(1)) }
    });
    Ok(bytes.await?)
}

fn drill_file(drill: &DrillQuery<'_>) -> Result<Bytes> {
    let (total, _) = drill.total()?;
    if total > MAX_FILE_ROWS {
        let error = Error::config(format!("{total} rows exceed the limit of a file, {MAX_FILE_ROWS}"));
        return Err(error.hint("narrow the filters, or read the warehouse with DuckDB"));
    }
    let columns = drill.columns()?;
    let rows = drill.rows(RowRange { offset: 0, rows: None })?;
    csv(&columns, rows.iter().map(|row| columns.iter().map(|column| row.row.get(&column.name).unwrap_or(&Value::Null))))
}

fn drill_page(drill: &DrillQuery<'_>, page: u64) -> Result<Bytes> {
    let (total, _) = drill.total()?;
    let columns = drill.columns()?;
    let rows = drill.rows(RowRange { offset: (page - 1) * PAGE_SIZE, rows: Some(PAGE_SIZE) })?;
    let values =
        |row: &DrillRow| columns.iter().map(|column| row.row.get(&column.name).cloned().unwrap_or_default()).collect();
    let config = drill.drill();
    to_json(&DrillPage {
        columns: &columns,
        rows: rows.iter().map(values).collect(),
        repairs: rows.iter().map(|row| row.repairs.as_slice()).collect(),
        key: &config.key,
        description: config.description.as_deref(),
        record: config.record.as_deref(),
        stream: config.stream.as_deref(),
        total,
        page,
        page_size: PAGE_SIZE,
    })
}

/// The name of an item or a drill, and whether its rows are wanted as a file.
fn split_suffix(name: &str) -> (String, bool) {
    name.strip_suffix(FILE_SUFFIX).map_or_else(|| (name.to_owned(), false), |name| (name.to_owned(), true))
}

/// Bytes as a file or as JSON, by the name.
fn respond(name: &str, bytes: Bytes) -> Response {
    if !name.ends_with(FILE_SUFFIX) {
        return json_response(bytes);
    }
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers =
        [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    (headers, bytes).into_response()
}

/// Rows as CSV. NULL is an empty field.
fn csv<'a, R: Iterator<Item = &'a Value>>(columns: &[ColumnType], rows: impl Iterator<Item = R>) -> Result<Bytes> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns.iter().map(|column| guard_formula(&column.name))).map_err(Error::internal)?;
    for row in rows {
        let fields = row.map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => guard_formula(text),
            other => other.to_string(),
        });
        writer.write_record(fields).map_err(Error::internal)?;
    }
    writer.into_inner().map(Bytes::from).map_err(Error::internal)
}

/// A text that a spreadsheet does not run as a formula: an apostrophe precedes what starts like one. Numbers stay.
fn guard_formula(text: &str) -> String {
    let is_formula = text
        .trim_start_matches([' ', '\u{a0}', '\u{feff}'])
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula && text.parse::<f64>().is_err() { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::guard_formula;

    #[test]
    fn a_spreadsheet_runs_no_text_of_a_file() {
        for formula in ["=1+1", "+1;cmd", "-1-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1"] {
            assert_eq!(guard_formula(formula), format!("'{formula}"));
        }
        for plain in ["", "Ana", "-12.50", "+5", "a=1", "2026-01-01"] {
            assert_eq!(guard_formula(plain), plain);
        }
    }
}

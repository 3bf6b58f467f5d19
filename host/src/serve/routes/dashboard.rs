//! The first page: its declaration, its items, what is behind them; rows as JSON or as a CSV file.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::{Asked, OfPipeline, kept};
use crate::dashboard::{Chosen, Dashboard};
use crate::error::{Error, Result};
use crate::explain::Page;
use crate::marts::Graph;
use crate::serve::failure::{Answer, Failure};
use crate::serve::models::Models;
use crate::serve::state::{Served, Server};
use crate::warehouse::{Row, Warehouse};

/// Rows of a page.
const PAGE: u64 = 100;
/// Rows of a file at most.
const LARGEST_FILE: u64 = 100_000;
/// What names a column of the row that is asked about, beside the filters.
const OF_ROW: &str = "row.";

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/dashboard", get(declaration))
        .route("/api/items/{item}", get(item))
        .route("/api/items/{item}/drills/{drill}", get(drill))
}

async fn declaration(State(server): State<Arc<Server>>, Asked(asked): Asked<OfPipeline>) -> Answer<Response> {
    let served = server.pipeline(asked.pipeline.as_deref())?;
    Ok(super::json(kept(served, "dashboard", declared(&server, served)).await?))
}

async fn declared(server: &Server, served: &Arc<Served>) -> Answer<Bytes> {
    let currency = served.loaded.pipeline.file.pipeline.currency.clone();
    let declared = server.ask(served, |models, warehouse| match (&models.dashboard, &models.graph) {
        (Some(dashboard), Some(graph)) => dashboard.declaration(graph, warehouse),
        _ => Ok(json!({ "title": {}, "filters": [], "sections": [] })),
    });
    let mut declared = declared.await?;
    declared["currency"] = currency.into();
    Ok(declared.to_string().into())
}

/// What an address asks for beside the path: the pipeline, the page, the row's key, and the filters.
#[derive(Default)]
struct Query {
    pipeline: Option<String>,
    page: u64,
    row: Row,
    filters: Vec<(String, String)>,
}

impl Query {
    fn parse(query: Option<&str>) -> Self {
        let mut parsed = Self { page: 1, ..Self::default() };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match (name.as_ref(), name.strip_prefix(OF_ROW)) {
                ("pipeline", _) => parsed.pipeline = Some(value.into_owned()),
                ("page", _) => parsed.page = value.parse().unwrap_or(1).clamp(1, 1_000_000),
                (_, Some(column)) => {
                    parsed.row.insert(column.to_owned(), value.into_owned().into());
                }
                _ => parsed.filters.push((name.into_owned(), value.into_owned())),
            }
        }
        parsed
    }
}

/// The declaration, the models and the choice.
fn asked<'a>(
    models: &'a Models,
    warehouse: &Warehouse,
    filters: &[(String, String)],
) -> Result<(&'a Dashboard, &'a Graph, Chosen)> {
    match (&models.dashboard, &models.graph) {
        (Some(dashboard), Some(graph)) => Ok((dashboard, graph, dashboard.choose(filters, warehouse)?)),
        _ => Err(Error::config("the pipeline has no dashboard")
            .hint("`dashboard.toml` in the folder of its models declares one")),
    }
}

/// What is not declared is not found.
async fn known(server: &Server, served: &Arc<Served>, item: &str, drill: Option<&str>) -> Answer<()> {
    let (item, drill) = (item.to_owned(), drill.map(str::to_owned));
    let known = server.ask(served, move |models, _| match (&models.dashboard, &models.graph) {
        (Some(dashboard), Some(graph)) => Ok(dashboard.known(graph, &item, drill.as_deref())),
        _ => Ok(Ok(())),
    });
    known.await?.map_err(Failure::missing)
}

async fn item(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Answer<Response> {
    let asked = format!("items/{name}?{}", query.as_deref().unwrap_or_default());
    let query = Query::parse(query.as_deref());
    let served = server.pipeline(query.pipeline.as_deref())?;
    Ok(answer(&name, kept(served, &asked, read_item(&server, served, query, &name)).await?))
}

async fn read_item(server: &Server, served: &Arc<Served>, query: Query, name: &str) -> Answer<Bytes> {
    let (item, is_file) = file(name);
    known(server, served, &item, None).await?;
    let shown = server.ask(served, move |models, warehouse| {
        let (dashboard, _, chosen) = asked(models, warehouse, &query.filters)?;
        let rows = dashboard.rows(warehouse, &item, chosen)?;
        if is_file {
            let names: Vec<_> = rows.rows.columns.iter().map(|column| column.name.as_str()).collect();
            return csv(&names, rows.rows.rows.iter().map(|row| row.iter()));
        }
        let mut shown = json!(rows);
        shown["loaded_at"] = json!(warehouse.last_load()?);
        shown["built_at"] = json!(warehouse.last_publication()?.0);
        Ok(shown.to_string().into())
    });
    Ok(shown.await?)
}

async fn drill(
    State(server): State<Arc<Server>>,
    Path((item, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Answer<Response> {
    let asked = format!("items/{item}/drills/{name}?{}", query.as_deref().unwrap_or_default());
    let query = Query::parse(query.as_deref());
    let served = server.pipeline(query.pipeline.as_deref())?;
    Ok(answer(&name, kept(served, &asked, read_drill(&server, served, query, (item, &name))).await?))
}

async fn read_drill(
    server: &Server,
    served: &Arc<Served>,
    query: Query,
    (item, name): (String, &str),
) -> Answer<Bytes> {
    let (drill, is_file) = file(name);
    known(server, served, &item, Some(&drill)).await?;
    let shown = server.ask(served, move |models, warehouse| {
        let (dashboard, graph, chosen) = asked(models, warehouse, &query.filters)?;
        let drilling = dashboard.behind((graph, warehouse), (&item, &drill), chosen, query.row)?;
        let (total, _) = drilling.total()?;
        let columns = drilling.columns()?;
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        if is_file {
            if total > LARGEST_FILE {
                let error = Error::config(format!("{total} rows are over {LARGEST_FILE}, the most of a file"));
                return Err(error.hint("narrow the filters, or read the warehouse with DuckDB"));
            }
            let rows = drilling.rows(Page { offset: 0, rows: None })?;
            return csv(&names, rows.iter().map(|row| names.iter().filter_map(|name| row.row.get(*name))));
        }
        let rows = drilling.rows(Page { offset: (query.page - 1) * PAGE, rows: Some(PAGE) })?;
        let values = |row: &Row| names.iter().map(|name| row.get(*name).cloned().unwrap_or_default()).collect();
        let values: Vec<Vec<Value>> = rows.iter().map(|row| values(&row.row)).collect();
        let repairs: Vec<_> = rows.iter().map(|row| &row.repairs).collect();
        let drill = drilling.drill();
        Ok(json!({
            "columns": columns, "rows": values, "repairs": repairs, "key": drill.key, "description": drill.description,
            "record": drill.record, "stream": drill.stream, "total": total, "page": query.page, "page_size": PAGE,
        })
        .to_string()
        .into())
    });
    Ok(shown.await?)
}

/// An item or a drill, and whether its rows are asked for as a file.
fn file(name: &str) -> (String, bool) {
    (name.trim_end_matches(".csv").to_owned(), name.ends_with(".csv"))
}

/// Bytes as what they are by their name.
fn answer(name: &str, bytes: Bytes) -> Response {
    if !name.ends_with(".csv") {
        return super::json(bytes);
    }
    let attached = format!("attachment; filename=\"{name}\"");
    let about = [(header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, attached)];
    (about, bytes).into_response()
}

/// Rows as CSV; NULL is an empty field.
fn csv<'a, R: Iterator<Item = &'a Value>>(names: &[&str], rows: impl Iterator<Item = R>) -> Result<Bytes> {
    let failed = |cause: csv::Error| Error::internal(cause.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(names).map_err(failed)?;
    for row in rows {
        let fields = row.map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writer.write_record(fields).map_err(failed)?;
    }
    writer.into_inner().map(Bytes::from).map_err(|cause| Error::internal(cause.to_string()))
}

//! The journal of the rules to browse and search, the history of one record, and how old and complete the data is.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use host_core::error::Result;
use host_ledger::freshness::{self, StreamFreshness};
use host_ledger::journal::{self, JournalPage};
use host_ledger::models;
use host_warehouse::{QueryResult, Table, Warehouse};

use super::{PipelineQuery, QueryParameters, cached, json_response, to_json};
use crate::report::{self, RecordHistory};
use crate::serve::api_error::{ApiError, ApiResult};
use crate::serve::app_state::AppState;

/// Rows of a page.
const PAGE_SIZE: u64 = 100;
/// The last page.
const MAX_PAGE: u64 = 1_000_000;
/// The longest search, in characters.
const MAX_SEARCH_CHARS: usize = 200;

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new()
        .route("/api/changes", get(changes))
        .route("/api/rejects", get(rejects))
        .route("/api/records/{stream}/{key}", get(record))
        .route("/api/freshness", get(freshness))
}

/// Which entries are listed.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalQuery {
    pipeline: Option<String>,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    rule: String,
    #[serde(default, rename = "q")]
    search: String,
    /// From 1.
    page: Option<u64>,
}

#[derive(serde::Serialize)]
struct JournalList {
    #[serde(flatten)]
    entries: QueryResult,
    total: u64,
    page: u64,
    page_size: u64,
    /// The streams and rules to choose from.
    streams: Vec<String>,
    rules: Vec<String>,
}

async fn changes(state: State<Arc<AppState>>, query: QueryParameters<JournalQuery>) -> ApiResult<Json<JournalList>> {
    list(state, query, journal::changes).await
}

async fn rejects(state: State<Arc<AppState>>, query: QueryParameters<JournalQuery>) -> ApiResult<Json<JournalList>> {
    list(state, query, journal::remarks).await
}

async fn list(
    State(state): State<Arc<AppState>>,
    QueryParameters(query): QueryParameters<JournalQuery>,
    read: fn(&Warehouse, &JournalPage) -> Result<(QueryResult, u64)>,
) -> ApiResult<Json<JournalList>> {
    let served = state.pipeline(query.pipeline.as_deref())?;
    let JournalQuery { stream, rule, search, page, .. } = query;
    let length = search.chars().count();
    if length > MAX_SEARCH_CHARS {
        let message = format!("a search of {length} characters exceeds the limit of {MAX_SEARCH_CHARS}");
        return Err(ApiError::bad_request(message));
    }
    let page = page.unwrap_or(1).clamp(1, MAX_PAGE);
    let wanted = JournalPage { stream, rule, search, offset: (page - 1) * PAGE_SIZE, rows: PAGE_SIZE };
    let found = served.warehouse.read(move |warehouse| Ok((read(warehouse, &wanted)?, journal::names(warehouse)?)));
    let ((entries, total), (streams, rules)) = found.await?;
    Ok(Json(JournalList { entries, total, page, page_size: PAGE_SIZE, streams, rules }))
}

async fn record(
    State(state): State<Arc<AppState>>,
    Path((stream, key)): Path<(String, String)>,
    QueryParameters(query): QueryParameters<PipelineQuery>,
) -> ApiResult<Json<RecordHistory>> {
    let served = state.pipeline(query.pipeline.as_deref())?;
    let record = format!("{stream}/{key}");
    let history = served.warehouse.read(move |warehouse| report::record_history(warehouse, &record));
    Ok(Json(history.await.map_err(ApiError::not_found_if_config)?))
}

#[derive(serde::Serialize)]
struct Freshness {
    /// When models were last published.
    published_at: Option<String>,
    streams: Vec<FreshStream>,
    /// Tests of severity `warn` that failed in the last publication.
    failing_tests: Vec<String>,
}

#[derive(serde::Serialize)]
struct FreshStream {
    #[serde(flatten)]
    stream: StreamFreshness,
    /// Clean rows; none if the stream was never cleaned.
    rows: Option<u64>,
}

async fn freshness(
    State(state): State<Arc<AppState>>,
    QueryParameters(query): QueryParameters<PipelineQuery>,
) -> ApiResult<Response> {
    let served = state.pipeline(query.pipeline.as_deref())?;
    let response = async { Ok(to_json(&served.warehouse.read(read_freshness).await?)?) };
    Ok(json_response(cached(served, "freshness".to_owned(), response).await?))
}

fn read_freshness(warehouse: &Warehouse) -> Result<Freshness> {
    let publication = models::last_publication(warehouse)?;
    let stream = |stream: StreamFreshness| {
        let rows = match stream.stream.split_once('.') {
            Some((source, name)) => clean_rows(warehouse, &Table::clean(source, name))?,
            None => None,
        };
        Ok(FreshStream { stream, rows })
    };
    let streams = freshness::of_streams(warehouse)?.into_iter().map(stream).collect::<Result<_>>()?;
    Ok(Freshness { published_at: publication.published_at, streams, failing_tests: publication.warnings })
}

fn clean_rows(warehouse: &Warehouse, table: &Table) -> Result<Option<u64>> {
    let exists = warehouse.exists(table)?;
    exists.then(|| warehouse.count(&format!("SELECT count(*) FROM {table}"), ())).transpose()
}

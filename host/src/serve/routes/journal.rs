//! What rules did, to browse and search; one record's story; how fresh and how sound the figures are.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Asked, OfPipeline, kept};
use crate::report;
use crate::serve::failure::{Answer, Failure};
use crate::serve::state::Server;
use crate::warehouse::{JournalPage, Table, Warehouse};

/// Rows of a page.
const PAGE: u64 = 100;
/// Characters of a search at most.
const LONGEST_SEARCH: usize = 200;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/changes", get(changes))
        .route("/api/rejects", get(rejects))
        .route("/api/records/{stream}/{key}", get(record))
        .route("/api/freshness", get(freshness))
}

#[derive(serde::Deserialize)]
struct Which {
    pipeline: Option<String>,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    rule: String,
    #[serde(default)]
    q: String,
    page: Option<u64>,
}

async fn changes(state: State<Arc<Server>>, asked: Asked<Which>) -> Answer<Json<Value>> {
    listing(state, asked, Warehouse::journal_changes).await
}

async fn rejects(state: State<Arc<Server>>, asked: Asked<Which>) -> Answer<Json<Value>> {
    listing(state, asked, Warehouse::journal_rejects).await
}

async fn listing(
    State(server): State<Arc<Server>>,
    Asked(which): Asked<Which>,
    read: fn(&Warehouse, &JournalPage) -> crate::error::Result<(crate::warehouse::Answer, u64)>,
) -> Answer<Json<Value>> {
    let served = server.pipeline(which.pipeline.as_deref())?;
    if which.q.chars().count() > LONGEST_SEARCH {
        return Err(Failure::bad(format!("a search is at most {LONGEST_SEARCH} characters")));
    }
    let page = which.page.unwrap_or(1).clamp(1, 1_000_000);
    let asked =
        JournalPage { stream: which.stream, rule: which.rule, search: which.q, offset: (page - 1) * PAGE, rows: PAGE };
    let found = served.warehouse.read(move |warehouse| Ok((read(warehouse, &asked)?, warehouse.journal_names()?)));
    let ((answer, total), (streams, rules)) = found.await?;
    Ok(Json(json!({
        "columns": answer.columns, "rows": answer.rows, "total": total, "page": page, "page_size": PAGE,
        "streams": streams, "rules": rules,
    })))
}

async fn record(
    State(server): State<Arc<Server>>,
    Path((stream, key)): Path<(String, String)>,
    Asked(asked): Asked<OfPipeline>,
) -> Answer<Json<Value>> {
    let served = server.pipeline(asked.pipeline.as_deref())?;
    let story = served.warehouse.read(move |warehouse| report::record(warehouse, &format!("{stream}/{key}")));
    Ok(Json(json!(story.await.map_err(Failure::missing)?)))
}

async fn freshness(State(server): State<Arc<Server>>, Asked(asked): Asked<OfPipeline>) -> Answer<Response> {
    let served = server.pipeline(asked.pipeline.as_deref())?;
    let answer = async {
        let found = served.warehouse.read(|warehouse| {
            let (published_at, warnings) = warehouse.last_publication()?;
            let mut streams = warehouse.freshness()?;
            for stream in &mut streams {
                let name = stream.get("stream").and_then(Value::as_str).unwrap_or_default();
                let Some((source, name)) = name.split_once('.') else { continue };
                let table = Table::clean(source, name);
                let rows = warehouse.value(&format!("SELECT count(*) FROM {table}"), &[]);
                let rows = rows.ok().flatten().and_then(|rows| rows.parse::<u64>().ok());
                stream.insert("rows".to_owned(), json!(rows));
            }
            let failing: Value =
                warnings.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(|| json!([]));
            Ok(json!({ "published_at": published_at, "streams": streams, "failing_tests": failing }))
        });
        let found: Value = found.await?;
        Ok(found.to_string().into())
    };
    Ok(super::json(kept(served, "freshness", answer).await?))
}

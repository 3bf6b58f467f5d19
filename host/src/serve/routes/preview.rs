//! What a rule does to the first rows of a stream, before and after. Nothing is written.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use host_core::error::{Error, nearest, one_of};

use super::QueryParameters;
use crate::clean::{SampleReport, loaded, sample};
use crate::pipeline::RuleSettings;
use crate::prepare::prepare;
use crate::serve::api_error::{ApiError, ApiResult};
use crate::serve::app_state::AppState;

/// Rows that the rule reads.
const SAMPLE_ROWS: u32 = 100;
/// The time limit of a preview.
const MAX_TIME: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/preview", get(preview))
}

/// The rule and the stream.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    pipeline: Option<String>,
    stream: String,
    rule: String,
}

async fn preview(
    State(state): State<Arc<AppState>>,
    QueryParameters(query): QueryParameters<PreviewQuery>,
) -> ApiResult<Json<SampleReport>> {
    let served = state.pipeline(query.pipeline.as_deref())?;
    let PreviewQuery { stream, rule, .. } = query;
    let rules = &served.loaded.pipeline.file.rule;
    let cleans = |one: &&RuleSettings| one.streams.iter().any(|name| name.to_string() == stream);
    let index = rules.iter().position(|one| one.name() == rule && cleans(&one));
    let index = index.ok_or_else(|| {
        let error = Error::config(format!("no rule `{rule}` cleans `{stream}`"));
        let names = || rules.iter().filter(cleans).map(RuleSettings::name);
        ApiError::not_found(error.maybe_hint(nearest(&rule, names()).or_else(|| one_of(names()))))
    })?;
    let runtime = tokio::runtime::Handle::current();
    let sampled = state.with_session(served, move |session, warehouse| {
        let sampling = async {
            let rules = prepare(session.pipeline, session.engine, session.folders, false).await?.rules;
            let stream = loaded(warehouse, &stream)?;
            sample(warehouse, (&rules, index), &stream, SAMPLE_ROWS).await
        };
        let too_slow = |_| Err(Error::unavailable(format!("the preview took more than {} s", MAX_TIME.as_secs())));
        runtime.block_on(async { tokio::time::timeout(MAX_TIME, sampling).await.unwrap_or_else(too_slow) })
    });
    Ok(Json(sampled.await?))
}

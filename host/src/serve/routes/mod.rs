//! The API: one file per subject, and what they share.

mod dashboard;
mod events;
mod journal;
mod models;
mod pipelines;
mod plugins;
mod preview;
mod runs;

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{Uri, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use host_core::error::{Error, Result};
use serde::Serialize;

use super::api_error::{ApiError, ApiResult};
use super::app_state::AppState;
use super::request_body::read_body;
use super::response_cache::CacheKey;
use super::served_pipeline::ServedPipeline;
use super::{pages, request_log, security};

/// The longest value of a parameter, in bytes.
const MAX_VALUE_BYTES: usize = 1_024;

/// All routes, behind the security checks.
pub(super) fn router(state: Arc<AppState>) -> Router {
    Router::new()
        .merge(dashboard::routes())
        .merge(events::routes())
        .merge(journal::routes())
        .merge(models::routes())
        .merge(pipelines::routes())
        .merge(plugins::routes())
        .merge(preview::routes())
        .merge(runs::routes())
        .route("/api/{*rest}", axum::routing::any(unknown_path))
        .fallback(pages::page)
        .method_not_allowed_fallback(pages::method_not_allowed)
        .layer(from_fn_with_state(state.limits, read_body))
        .layer(from_fn_with_state(Arc::clone(&state), security::guard))
        .layer(from_fn(request_log::log_request))
        .with_state(state)
}

/// A response from the cache, or one that is computed and then cached. `request` tells it from the pipeline's other
/// responses.
async fn cached(
    served: &Arc<ServedPipeline>,
    request: String,
    response: impl Future<Output = ApiResult<Bytes>>,
) -> ApiResult<Bytes> {
    let key = CacheKey { pipeline: served.name().to_owned(), version: served.cache_version(), request };
    if let Some(bytes) = served.responses.get(&key) {
        return Ok(bytes);
    }
    let bytes = response.await?;
    served.responses.insert(key, &bytes);
    Ok(bytes)
}

/// A value as JSON.
fn to_json(value: &impl Serialize) -> Result<Bytes> {
    serde_json::to_vec(value).map(Bytes::from).map_err(Error::internal)
}

/// JSON as a response.
fn json_response(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

async fn unknown_path(uri: Uri) -> ApiError {
    ApiError::not_found(Error::config(format!("unknown path `{}`", uri.path())))
}

/// The query parameter of the pipeline; the first pipeline if it is not given.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PipelineQuery {
    pipeline: Option<String>,
}

/// The query of a request that has no parameters.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// The query of a request. Unknown parameters and long values are errors. Every type that is read has
/// `deny_unknown_fields`.
struct QueryParameters<T>(T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        for (name, value) in parameters(parts.uri.query().unwrap_or_default()) {
            check_length(&name, &value)?;
        }
        let query: Result<Query<T>, QueryRejection> = Query::try_from_uri(&parts.uri);
        match query {
            Ok(Query(query)) => Ok(Self(query)),
            Err(cause) => Err(ApiError::bad_request(cause.body_text())),
        }
    }
}

/// The names and values of a query.
fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes())
}

/// Refuses a long value of a parameter.
fn check_length(name: &str, value: &str) -> ApiResult<()> {
    if value.len() <= MAX_VALUE_BYTES {
        return Ok(());
    }
    let (name, length) = (name.chars().take(64).collect::<String>(), value.len());
    let message = format!("parameter `{name}`: a value of {length} bytes exceeds the limit of {MAX_VALUE_BYTES}");
    Err(ApiError::bad_request(message))
}

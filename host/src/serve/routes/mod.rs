//! What can be asked, one file a subject; this one has what they share.

mod dashboard;
mod events;
mod journal;
mod models;
mod pipelines;
mod plugins;
mod preview;
mod runs;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Query};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};

use super::failure::{Answer, Failure};
use super::state::{Served, Server};
use super::{pages, security};

/// The largest body of a request, in bytes.
const LARGEST_BODY: usize = 64 * 1024;

/// All routes, guarded.
pub(super) fn router(server: Arc<Server>) -> Router {
    Router::new()
        .merge(dashboard::routes())
        .merge(events::routes())
        .merge(journal::routes())
        .merge(models::routes())
        .merge(pipelines::routes())
        .merge(plugins::routes())
        .merge(preview::routes())
        .merge(runs::routes())
        .route("/api/{*rest}", axum::routing::any(unknown))
        .fallback(pages::page)
        .method_not_allowed_fallback(async || Failure::method())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(Arc::clone(&server), security::guard))
        .with_state(server)
}

/// An answer that is kept until a run ends or a file changes; `asked` tells it from the others of the pipeline.
async fn kept(served: &Arc<Served>, asked: &str, answer: impl Future<Output = Answer<Bytes>>) -> Answer<Bytes> {
    let version = served.version();
    if let Some(bytes) = served.answers.get(version, asked) {
        return Ok(bytes);
    }
    let bytes = answer.await?;
    served.answers.keep(version, asked, &bytes);
    Ok(bytes)
}

fn json(bytes: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

async fn unknown(uri: axum::http::Uri) -> Failure {
    Failure::not_found(format!("there is no `{}`", uri.path()))
}

/// Which pipeline is meant; the first where none is named.
#[derive(serde::Deserialize)]
struct OfPipeline {
    pipeline: Option<String>,
}

/// The query of a request; one that does not fit is an error like any other.
pub(super) struct Asked<T>(pub(super) T);

impl<T: serde::de::DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let asked: Result<Query<T>, QueryRejection> = Query::try_from_uri(&parts.uri);
        match asked {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(cause) => Err(Failure::bad(cause.body_text())),
        }
    }
}

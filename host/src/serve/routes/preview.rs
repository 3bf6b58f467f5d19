//! What a rule does to the first hundred rows of a stream, before and after. Nothing is written.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Asked;
use crate::clean::{loaded, sample};
use crate::error::{Error, nearest};
use crate::prepare::prepare;
use crate::serve::failure::{Answer, Failure};
use crate::serve::state::Server;

/// Rows that the rule is shown.
const ROWS: u32 = 100;
/// How long that may take.
const LONGEST: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/api/preview", get(preview))
}

#[derive(serde::Deserialize)]
struct Which {
    pipeline: Option<String>,
    stream: String,
    rule: String,
}

async fn preview(State(server): State<Arc<Server>>, Asked(which): Asked<Which>) -> Answer<Json<Value>> {
    let served = server.pipeline(which.pipeline.as_deref())?;
    let Which { stream, rule, .. } = which;
    let rules = &served.loaded.pipeline.file.rule;
    let is_on = |one: &&crate::pipeline::Rule| one.streams.iter().any(|name| name.to_string() == stream);
    let at = rules.iter().position(|one| one.name() == rule && is_on(&one));
    let at = at.ok_or_else(|| {
        let failure = Failure::not_found(format!("no rule `{rule}` cleans `{stream}`"));
        let names: Vec<_> = rules.iter().filter(is_on).map(|one| one.name()).collect();
        let near = nearest(&rule, names.iter().copied());
        failure.hint(near.unwrap_or_else(|| format!("its rules are {}", names.join(", "))))
    })?;
    let runtime = tokio::runtime::Handle::current();
    let sampled = server.look(served, move |context| {
        let sampling = async {
            let rules = prepare(context.pipeline, context.engine, context.search, false).await?.rules;
            let warehouse = context.warehouse()?;
            let stream = loaded(&warehouse, &stream)?;
            sample(&warehouse, (&rules, at), &stream, ROWS).await
        };
        let late = |_| Err(Error::unavailable(format!("the preview took more than {} s", LONGEST.as_secs())));
        runtime.block_on(async { tokio::time::timeout(LONGEST, sampling).await.unwrap_or_else(late) })
    });
    Ok(Json(json!(sampled.await?)))
}

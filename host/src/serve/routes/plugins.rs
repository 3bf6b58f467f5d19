//! The plugins of a pipeline: what each is, needs and is granted. Names of secrets and paths, never a secret.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Asked, OfPipeline};
use crate::error::{Error, Result};
use crate::plugin::{Component, Contract, Description, Grants, RulePlugin, SourcePlugin};
use crate::run::Context;
use crate::serve::failure::Answer;
use crate::serve::state::Server;

pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new().route("/api/plugins", get(plugins))
}

async fn plugins(State(server): State<Arc<Server>>, Asked(asked): Asked<OfPipeline>) -> Answer<Json<Value>> {
    let served = server.pipeline(asked.pipeline.as_deref())?;
    let runtime = tokio::runtime::Handle::current();
    let shown = server.look(served, move |context| Ok(runtime.block_on(all(context)))).await?;
    Ok(Json(json!({ "pipeline": served.name(), "plugins": shown.0, "error": shown.1 })))
}

/// Each plugin, and why they cannot run together, if they cannot.
async fn all(context: &Context<'_>) -> (Vec<Value>, Option<Error>) {
    let file = &context.pipeline.file;
    let (prepared, error) = match context.prepare().await {
        Ok(prepared) => (Some(prepared), None),
        Err(error) => (None, Some(error)),
    };
    let mut shown = Vec::new();
    for (at, source) in file.source.iter().enumerate() {
        let granted = prepared.as_ref().and_then(|prepared| prepared.sources.get(at)).map(|one| &one.granted);
        let entry = json!({
            "name": source.name(), "plugin": source.plugin, "pin": source.sha256, "granted": granted,
            "streams": source.streams,
        });
        shown.push(one(context, &source.plugin, source.sha256.as_deref(), entry).await);
    }
    for (at, rule) in file.rule.iter().enumerate() {
        let granted = prepared.as_ref().and_then(|prepared| prepared.rules.get(at)).map(|one| {
            let inputs = one.inputs.iter().map(|(name, input)| format!("input {name} = {}", input.stream));
            one.granted.iter().cloned().chain(inputs).collect::<Vec<_>>()
        });
        let streams: Vec<_> = rule.streams.iter().map(ToString::to_string).collect();
        let entry = json!({
            "name": rule.name(), "plugin": rule.plugin, "pin": rule.sha256, "granted": granted, "streams": streams,
        });
        shown.push(one(context, &rule.plugin, rule.sha256.as_deref(), entry).await);
    }
    (shown, error)
}

async fn one(context: &Context<'_>, plugin: &str, pin: Option<&str>, mut entry: Value) -> Value {
    let more = match component(context, plugin, pin).await {
        Ok((component, description)) => json!({
            "contract": component.contract, "contract_version": component.contract_version(),
            "sha256": component.sha256, "imports": component.imports, "version": description.version,
            "needs": description.needs,
        }),
        Err(error) => json!({ "error": error }),
    };
    if let (Value::Object(entry), Value::Object(more)) = (&mut entry, more) {
        entry.extend(more);
    }
    entry
}

async fn component(context: &Context<'_>, plugin: &str, pin: Option<&str>) -> Result<(Component, Description)> {
    let path = context.search.find(plugin, context.pipeline.folder())?;
    let component = context.engine.load(&path, pin)?;
    let nothing = json!({});
    let description = match component.contract {
        Contract::Source => {
            SourcePlugin::new(context.engine, &component, Grants::default(), &nothing).describe().await?
        }
        Contract::Rule => RulePlugin::new(context.engine, &component, Grants::default(), &nothing).describe().await?,
    };
    Ok((component, description))
}

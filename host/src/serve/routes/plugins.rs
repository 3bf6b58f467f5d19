//! The plugins of a pipeline: what each is, needs and is granted. Names of secrets and paths are shown, secrets never.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use host_core::error::{Error, Result};
use host_plugin::{Component, Description, Grants, Need, PluginKind, RulePlugin, SourcePlugin};
use serde_json::json;

use super::{PipelineQuery, QueryParameters};
use crate::pipeline::StreamName;
use crate::prepare::{PreparedRule, prepare};
use crate::run::Session;
use crate::serve::api_error::ApiResult;
use crate::serve::app_state::AppState;

pub(super) fn routes() -> Router<Arc<AppState>> {
    Router::new().route("/api/plugins", get(plugins))
}

#[derive(serde::Serialize)]
struct PluginList {
    pipeline: String,
    plugins: Vec<PluginEntry>,
    /// Why the plugins cannot run together.
    error: Option<Error>,
}

/// A source or a rule of the pipeline.
#[derive(serde::Serialize)]
struct PluginEntry {
    name: String,
    plugin: String,
    /// The SHA-256 that the pipeline requires.
    pin: Option<String>,
    /// One line for each grant; none if the pipeline cannot be prepared.
    granted: Option<Vec<String>>,
    /// The streams that the pipeline names.
    streams: Option<Vec<String>>,
    #[serde(flatten)]
    component: ComponentView,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum ComponentView {
    Loaded {
        #[serde(rename = "contract")]
        kind: PluginKind,
        contract_version: String,
        sha256: String,
        imports: Vec<String>,
        version: String,
        needs: Vec<Need>,
    },
    Failed {
        error: Error,
    },
}

async fn plugins(
    State(state): State<Arc<AppState>>,
    QueryParameters(query): QueryParameters<PipelineQuery>,
) -> ApiResult<Json<PluginList>> {
    let served = state.pipeline(query.pipeline.as_deref())?;
    let runtime = tokio::runtime::Handle::current();
    let list = state.with_session(served, move |session, _| Ok(runtime.block_on(list(session))));
    Ok(Json(list.await?))
}

async fn list(session: &Session<'_>) -> PluginList {
    let file = &session.pipeline.file;
    let (prepared, error) = match prepare(session.pipeline, session.engine, session.folders, true).await {
        Ok(prepared) => (Some(prepared), None),
        Err(error) => (None, Some(error)),
    };
    let mut plugins = Vec::new();
    for (at, source) in file.source.iter().enumerate() {
        let prepared = prepared.as_ref().and_then(|prepared| prepared.sources.get(at));
        plugins.push(PluginEntry {
            name: source.name().to_owned(),
            plugin: source.plugin.clone(),
            pin: source.sha256.clone(),
            granted: prepared.map(|source| source.granted.clone()),
            streams: source.streams.clone(),
            component: view_component(session, &source.plugin, source.sha256.as_deref()).await,
        });
    }
    for (at, rule) in file.rule.iter().enumerate() {
        let prepared = prepared.as_ref().and_then(|prepared| prepared.rules.get(at));
        plugins.push(PluginEntry {
            name: rule.name().to_owned(),
            plugin: rule.plugin.clone(),
            pin: rule.sha256.clone(),
            granted: prepared.map(grants_and_inputs),
            streams: Some(rule.streams.iter().map(StreamName::to_string).collect()),
            component: view_component(session, &rule.plugin, rule.sha256.as_deref()).await,
        });
    }
    PluginList { pipeline: file.pipeline.name.clone(), plugins, error }
}

fn grants_and_inputs(rule: &PreparedRule) -> Vec<String> {
    let inputs = rule.inputs.iter().map(|(name, input)| format!("input {name} = {}", input.stream));
    rule.granted.iter().cloned().chain(inputs).collect()
}

async fn view_component(session: &Session<'_>, plugin: &str, pin: Option<&str>) -> ComponentView {
    match describe(session, plugin, pin).await {
        Ok((component, description)) => ComponentView::Loaded {
            kind: component.kind,
            contract_version: component.contract_version().to_owned(),
            sha256: component.sha256,
            imports: component.imports,
            version: description.version,
            needs: description.needs,
        },
        Err(error) => ComponentView::Failed { error },
    }
}

async fn describe(session: &Session<'_>, plugin: &str, pin: Option<&str>) -> Result<(Component, Description)> {
    let found = session.folders.find(plugin, session.pipeline.folder())?;
    let component = session.engine.load_found(&found, pin)?;
    let (engine, config) = (session.engine, json!({}));
    let description = match component.kind {
        PluginKind::Source => SourcePlugin::new(engine, &component, Grants::default(), &config).describe().await?,
        PluginKind::Rule => RulePlugin::new(engine, &component, Grants::default(), &config).describe().await?,
    };
    Ok((component, description))
}

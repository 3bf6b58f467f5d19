//! A pipeline as a graph: sources, streams, rules, models and what flows between them, each with its status in the run
//! under way or the last one, and with what its last step took.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::marts::Entry;
use crate::pipeline::Pipeline;
use crate::run::Context;
use crate::warehouse::{LoadedStream, Row, Warehouse};

/// The graph. `live` are the nodes of the run under way; the last run's where there is none.
pub(super) fn graph(context: &Context<'_>, live: Option<Value>) -> Result<Value> {
    let warehouse = context.warehouse()?;
    let pipeline = context.pipeline;
    let name = &pipeline.file.pipeline.name;
    let last = warehouse.runs(name, "", 1, 0)?.into_iter().next();
    let run = last.as_ref().and_then(|run| run.get("run")?.as_str()).unwrap_or_default();
    let statuses = match live {
        Some(live) => live,
        None => last_nodes(&warehouse, run)?,
    };
    let models = if pipeline.file.marts.is_some() { context.entries()? } else { Vec::new() };
    let mut drawing = Drawing { statuses, steps: steps(&warehouse)?, nodes: Vec::new(), edges: Vec::new() };
    let ends = drawing.streams(pipeline, &warehouse.loaded_streams()?);
    drawing.models(&models, &ends);
    Ok(json!({ "pipeline": name, "run": last, "nodes": drawing.nodes, "edges": drawing.edges }))
}

/// What became of streams and models in a run.
fn last_nodes(warehouse: &Warehouse, run: &str) -> Result<Value> {
    let nodes = warehouse.run(run)?.and_then(|run| Some(run.get("nodes")?.as_str()?.to_owned()));
    Ok(nodes.and_then(|nodes| serde_json::from_str(&nodes).ok()).unwrap_or_default())
}

/// Each node's last step.
fn steps(warehouse: &Warehouse) -> Result<BTreeMap<String, Row>> {
    let text = |row: &Row, key: &str| row.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = |row: &Row| match text(row, "step").as_str() {
        "extract" => format!("stream:{}", text(row, "name")),
        "clean" => format!("clean:{}", text(row, "name")),
        _ => format!("model:{}", text(row, "name")),
    };
    Ok(warehouse.last_steps()?.into_iter().map(|row| (id(&row), row)).collect())
}

struct Drawing {
    statuses: Value,
    steps: BTreeMap<String, Row>,
    nodes: Vec<Value>,
    edges: Vec<Value>,
}

impl Drawing {
    /// A node; `step` is what its status and its figures are kept under.
    fn node(&mut self, id: &str, kind: &str, name: &str, step: &str, more: &Map<String, Value>) {
        let now = self.statuses.get(step);
        let done = self.steps.get(step);
        let figure = |live: &str, last: &str| {
            let live = now.and_then(|now| now.get(live)).filter(|value| !value.is_null());
            live.or_else(|| done?.get(last)).cloned().unwrap_or_default()
        };
        let status = now.and_then(|now| now.get("status")).cloned();
        let mut node = json!({
            "id": id, "kind": kind, "name": name, "step": step, "status": status, "rows": figure("rows", "rows"),
            "total": figure("total", ""), "changed": done.and_then(|done| done.get("changed")),
            "seconds": figure("seconds", "seconds"), "last_run": done.and_then(|done| done.get("run")),
        });
        if let Some(node) = node.as_object_mut() {
            // What a step took, once it is done, is measured better where it is done.
            let is_done = status_is(now, "done");
            if let Some(seconds) = done.and_then(|done| done.get("seconds")).filter(|_| is_done) {
                node.insert("seconds".to_owned(), seconds.clone());
            }
            node.extend(more.clone());
        }
        self.nodes.push(node);
    }

    fn edge(&mut self, from: &str, to: &str) {
        self.edges.push(json!({ "from": from, "to": to }));
    }

    /// Sources, streams and rules; gives back by stream the node that its clean rows leave.
    fn streams(&mut self, pipeline: &Pipeline, loaded: &[LoadedStream]) -> BTreeMap<String, String> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for source in &pipeline.file.source {
            let named = source.streams.iter().flatten().map(|stream| format!("{}.{stream}", source.name()));
            names.extend(named);
            names.extend(loaded.iter().filter(|one| one.source == source.name()).map(LoadedStream::name));
            self.node(&format!("source:{}", source.name()), "source", source.name(), "", &Map::new());
        }
        let rules = &pipeline.file.rule;
        names.extend(rules.iter().flat_map(|rule| rule.streams.iter().map(ToString::to_string)));
        let mut ends = BTreeMap::new();
        for name in &names {
            let source = name.split_once('.').map_or("", |(source, _)| source);
            let stream = format!("stream:{name}");
            self.node(&stream, "stream", name, &stream, &Map::new());
            self.edge(&format!("source:{source}"), &stream);
            let mut end = stream;
            for rule in rules.iter().filter(|rule| rule.streams.iter().any(|stream| stream.to_string() == *name)) {
                let id = format!("rule:{}:{name}", rule.name());
                let more = json!({ "stream": name, "plugin": rule.plugin });
                let more = more.as_object().cloned().unwrap_or_default();
                self.node(&id, "rule", rule.name(), &format!("clean:{name}"), &more);
                self.edge(&end, &id);
                end = id;
            }
            ends.insert(name.clone(), end);
        }
        for rule in rules {
            for stream in &rule.streams {
                let id = format!("rule:{}:{stream}", rule.name());
                let inputs: BTreeSet<_> = rule.inputs.values().map(|input| input.stream.to_string()).collect();
                for input in inputs {
                    if let Some(end) = ends.get(&input).cloned() {
                        self.edge(&end, &id);
                    }
                }
            }
        }
        ends
    }

    fn models(&mut self, models: &[Entry], ends: &BTreeMap<String, String>) {
        let names: BTreeSet<_> = models.iter().map(|model| model.model.as_str()).collect();
        for model in models {
            let id = format!("model:{}", model.model);
            let more = json!({
                "materialized": model.kind, "description": model.description, "built_at": model.built_at,
                "is_modified": model.is_modified, "published_rows": model.rows,
            });
            let more = more.as_object().cloned().unwrap_or_default();
            self.node(&id, "model", &model.model, &id, &more);
            for read in &model.reads {
                let stream = |prefix: &str| read.strip_prefix(prefix).map(str::to_owned);
                let from = match (stream("clean_"), stream("raw_")) {
                    _ if names.contains(read.as_str()) => Some(format!("model:{read}")),
                    (Some(stream), _) => ends.get(&stream).cloned(),
                    (_, Some(stream)) => ends.contains_key(&stream).then(|| format!("stream:{stream}")),
                    _ => None,
                };
                if let Some(from) = from {
                    self.edge(&from, &id);
                }
            }
        }
    }
}

fn status_is(node: Option<&Value>, status: &str) -> bool {
    node.and_then(|node| node.get("status")).and_then(Value::as_str) == Some(status)
}

//! A pipeline as a graph: sources, streams, rules, models and the edges between them. Each node has its status in the
//! active run or the last one, and the figures of its last step.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::Result;
use host_ledger::runs::{self, NodeStatus, Nodes, RunSummary};
use host_ledger::steps::{self, LastStep, StepName};
use host_ledger::streams::{self, LoadedStream};
use host_models::{ManifestEntry, ModelKind};
use host_warehouse::Warehouse;

use crate::pipeline::Pipeline;
use crate::run::{self, Session};

/// The graph of a pipeline.
#[derive(Debug, serde::Serialize)]
pub(super) struct PipelineGraph {
    pipeline: String,
    /// The last run.
    run: Option<RunSummary>,
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
}

#[derive(Debug, serde::Serialize)]
struct GraphNode {
    id: String,
    kind: GraphNodeKind,
    name: String,
    /// The key of its status and figures; the rules of a stream share one.
    step: String,
    status: Option<NodeStatus>,
    rows: Option<u64>,
    total: Option<u64>,
    changed: Option<u64>,
    seconds: Option<f64>,
    last_run: Option<String>,
    #[serde(flatten)]
    details: NodeDetails,
}

#[derive(Debug, Clone, Copy, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum GraphNodeKind {
    Source,
    Stream,
    Rule,
    Model,
}

/// What only nodes of one kind have.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
enum NodeDetails {
    None {},
    Rule {
        stream: String,
        plugin: String,
    },
    Model {
        materialized: ModelKind,
        description: Option<String>,
        built_at: Option<String>,
        is_modified: bool,
        published_rows: Option<u64>,
    },
}

#[derive(Debug, serde::Serialize)]
struct GraphEdge {
    from: String,
    to: String,
}

/// The graph. `active` are the nodes of the active run; without one, those of the last run are used.
///
/// # Errors
/// A warehouse that cannot be read, and every problem of the models.
pub(super) fn pipeline_graph(
    session: &Session<'_>,
    warehouse: &Warehouse,
    active: Option<Nodes>,
) -> Result<PipelineGraph> {
    let pipeline = session.pipeline;
    let name = &pipeline.file.pipeline.name;
    let last = runs::last(warehouse, name)?;
    let statuses = match (active, &last) {
        (Some(active), _) => active,
        (None, Some(last)) => runs::read(warehouse, &last.run)?.and_then(|run| run.nodes).unwrap_or_default(),
        (None, None) => Nodes::new(),
    };
    let models = if pipeline.file.models.is_some() { run::manifest(session)? } else { Vec::new() };
    let mut builder = GraphBuilder { statuses, steps: last_steps(warehouse)?, nodes: Vec::new(), edges: Vec::new() };
    let outputs = builder.add_streams(pipeline, &streams::loaded(warehouse)?);
    builder.add_models(models, &outputs);
    let GraphBuilder { nodes, edges, .. } = builder;
    Ok(PipelineGraph { pipeline: name.clone(), run: last, nodes, edges })
}

/// The last step of each node, by the node's key.
fn last_steps(warehouse: &Warehouse) -> Result<BTreeMap<String, LastStep>> {
    let key = |step: &LastStep| match step.step {
        StepName::Extract => format!("stream:{}", step.name),
        StepName::Clean => format!("clean:{}", step.name),
        StepName::Prepare | StepName::Models => format!("model:{}", step.name),
    };
    Ok(steps::last(warehouse)?.into_iter().map(|step| (key(&step), step)).collect())
}

struct GraphBuilder {
    statuses: Nodes,
    steps: BTreeMap<String, LastStep>,
    nodes: Vec<GraphNode>,
    edges: Vec<GraphEdge>,
}

impl GraphBuilder {
    /// Adds a node. `step` is the key of its status and figures.
    fn add_node(&mut self, id: &str, kind: GraphNodeKind, name: &str, step: &str, details: NodeDetails) {
        let state = self.statuses.get(step);
        let last = self.steps.get(step);
        let is_done = state.is_some_and(|state| state.status == NodeStatus::Done);
        let measured = last.map(|last| last.seconds);
        let elapsed = state.map(|state| state.seconds);
        self.nodes.push(GraphNode {
            id: id.to_owned(),
            kind,
            name: name.to_owned(),
            step: step.to_owned(),
            status: state.map(|state| state.status),
            rows: state.and_then(|state| state.rows).or_else(|| last.map(|last| last.rows)),
            total: state.and_then(|state| state.total),
            changed: last.map(|last| last.changed),
            // The step itself measures its duration better than its progress events do.
            seconds: if is_done { measured.or(elapsed) } else { elapsed.or(measured) },
            last_run: last.map(|last| last.run.clone()),
            details,
        });
    }

    fn add_edge(&mut self, from: &str, to: &str) {
        self.edges.push(GraphEdge { from: from.to_owned(), to: to.to_owned() });
    }

    /// Adds sources, streams and rules. Returns by stream the node that its clean rows come from.
    fn add_streams(&mut self, pipeline: &Pipeline, loaded: &[LoadedStream]) -> BTreeMap<String, String> {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for source in &pipeline.file.source {
            let source_name = source.name();
            names.extend(source.streams.iter().flatten().map(|stream| format!("{source_name}.{stream}")));
            names.extend(loaded.iter().filter(|one| one.source == source_name).map(LoadedStream::name));
            let id = format!("source:{source_name}");
            self.add_node(&id, GraphNodeKind::Source, source_name, "", NodeDetails::None {});
        }
        let rules = &pipeline.file.rule;
        names.extend(rules.iter().flat_map(|rule| rule.streams.iter().map(ToString::to_string)));
        let mut outputs = BTreeMap::new();
        for name in &names {
            let source = name.split_once('.').map_or("", |(source, _)| source);
            let stream = format!("stream:{name}");
            self.add_node(&stream, GraphNodeKind::Stream, name, &stream, NodeDetails::None {});
            self.add_edge(&format!("source:{source}"), &stream);
            let mut output = stream;
            for rule in rules.iter().filter(|rule| rule.streams.iter().any(|stream| stream.to_string() == *name)) {
                let id = format!("rule:{}:{name}", rule.name());
                let details = NodeDetails::Rule { stream: name.clone(), plugin: rule.plugin.clone() };
                self.add_node(&id, GraphNodeKind::Rule, rule.name(), &format!("clean:{name}"), details);
                self.add_edge(&output, &id);
                output = id;
            }
            outputs.insert(name.clone(), output);
        }
        for rule in rules {
            let inputs: BTreeSet<_> = rule.inputs.values().map(|input| input.stream.to_string()).collect();
            for stream in &rule.streams {
                let id = format!("rule:{}:{stream}", rule.name());
                inputs.iter().filter_map(|input| outputs.get(input)).for_each(|output| self.add_edge(output, &id));
            }
        }
        outputs
    }

    fn add_models(&mut self, models: Vec<ManifestEntry>, outputs: &BTreeMap<String, String>) {
        let names: BTreeSet<String> = models.iter().map(|model| model.model.clone()).collect();
        for model in models {
            let id = format!("model:{}", model.model);
            let details = NodeDetails::Model {
                materialized: model.kind,
                description: model.description,
                built_at: model.built_at,
                is_modified: model.is_modified,
                published_rows: model.rows,
            };
            self.add_node(&id, GraphNodeKind::Model, &model.model, &id, details);
            for table in &model.reads {
                let from = if names.contains(table) {
                    Some(format!("model:{table}"))
                } else if let Some(stream) = table.strip_prefix("clean_") {
                    outputs.get(stream).cloned()
                } else {
                    let stream = table.strip_prefix("raw_").filter(|stream| outputs.contains_key(*stream));
                    stream.map(|stream| format!("stream:{stream}"))
                };
                if let Some(from) = from {
                    self.add_edge(&from, &id);
                }
            }
        }
    }
}

//! `host plan`: what a run would do, from the pipeline and the plugins' own descriptions. It contacts no source.

use std::collections::BTreeSet;

use host_core::error::Result;
use host_core::schema::Schema;
use host_ledger::streams::{self, LoadedStream};
use host_models::{Graph, Model, ModelKind};
use host_warehouse::Table;

use super::models::graph;
use super::session::Session;
use crate::clean;
use crate::pipeline::InputName;
use crate::prepare::{PreparedRule, PreparedSource, prepare};

/// What a run would do.
pub struct RunPlan {
    /// The sources, in the order of the file.
    pub sources: Vec<PreparedSource>,
    /// The rules, in the order of the file, each with the columns that it sets in loaded streams.
    pub rules: Vec<(PreparedRule, BTreeSet<String>)>,
    /// The models. None if the pipeline has none.
    pub graph: Option<Graph>,
}

impl RunPlan {
    /// The models, `schema.name`, in build order.
    #[must_use]
    pub fn models(&self) -> Vec<(String, ModelKind)> {
        self.graph.iter().flat_map(|graph| graph.models().map(|model| (model.name(), model.kind))).collect()
    }

    /// The checks, `schema.name`.
    #[must_use]
    pub fn checks(&self) -> Vec<String> {
        self.graph.iter().flat_map(|graph| graph.checks().map(Model::name)).collect()
    }
}

/// Plans a run.
///
/// # Errors
/// Every problem of the plugins, or of the models.
pub async fn plan(session: &Session<'_>) -> Result<RunPlan> {
    let prepared = prepare(session.pipeline, session.engine, session.folders, true).await?;
    let sets = columns_set(session, &prepared.rules).await?;
    let memory = host_ledger::memory()?;
    let graph = session.pipeline.file.models.is_some().then(|| graph(session, &memory)).transpose()?;
    Ok(RunPlan { sources: prepared.sources, rules: prepared.rules.into_iter().zip(sets).collect(), graph })
}

/// The columns that each rule sets in loaded streams, in the order of the rules. Before the first run they are unknown.
async fn columns_set(session: &Session<'_>, rules: &[PreparedRule]) -> Result<Vec<BTreeSet<String>>> {
    let mut sets = vec![BTreeSet::new(); rules.len()];
    if !session.pipeline.warehouse().is_file() {
        return Ok(sets);
    }
    // Another process may have the warehouse open: the plan leaves the columns out then.
    let Ok(warehouse) = session.existing_warehouse() else { return Ok(sets) };
    let loaded = streams::loaded(&warehouse)?;
    let schema = |stream: &LoadedStream, table: &Table| {
        let fields = warehouse.columns(table).ok().flatten()?;
        Some(Schema { fields, primary_key: stream.primary_key.clone(), cursor: None })
    };
    let schema_of = |input: &InputName| {
        if input.is_merges {
            return Some(clean::merges_schema());
        }
        let stream = loaded.iter().find(|stream| stream.name() == input.stream.to_string())?;
        schema(stream, &stream.clean())
    };
    for stream in &loaded {
        let name = stream.name();
        let indices: Vec<_> = (0..rules.len()).filter(|at| rules[*at].streams.contains(&name)).collect();
        let Some(raw) = schema(stream, &stream.raw()) else { continue };
        let of_stream: Vec<_> = indices.iter().map(|at| &rules[*at]).collect();
        // `host check` and a run report a rule that does not open.
        let Ok(chain) = clean::open(&of_stream, &name, &raw, &schema_of).await else { continue };
        for (at, columns) in indices.into_iter().zip(chain.columns_set()) {
            sets[at].extend(columns);
        }
    }
    Ok(sets)
}

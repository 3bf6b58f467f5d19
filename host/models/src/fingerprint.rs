//! Hashes the inputs of models: their text, their variables, and the versions of the tables that they read.

use std::collections::BTreeMap;

use host_core::error::Result;
use host_ledger::models::PublishedModels;
use host_ledger::{cleanings, variables, versions};
use host_warehouse::Warehouse;
use sha2::{Digest, Sha256};

use crate::Graph;
use crate::files::{Model, ModelKind};

/// The hashes of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hashes {
    /// Changes whenever the rows of the model may change. Then the model is built.
    pub(super) fingerprint: String,
    /// Changes if existing rows may change: covers the query, its variables, and the views that it reads. Then an
    /// incremental model is built in full.
    pub(super) definition: String,
    /// Changes with the SQL file and the TOML file beside it. Then the tests of the model run.
    pub(super) files: String,
}

/// Returns the hashes of all models and checks. Models that are not selected count with their published hashes, because
/// other models read their published version.
pub(super) fn hashes(
    graph: &Graph,
    warehouse: &Warehouse,
    variables: &BTreeMap<String, String>,
    published: &PublishedModels,
    is_selected: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, Hashes>> {
    let versions = versions::numbers(warehouse)?;
    let cleanings = cleanings::fingerprints(warehouse)?;
    let variables_table = variables::published_table().full_name();
    // The host's own tables have no version. They change with loads and cleanings.
    let all_versions = hash(versions.iter().flat_map(|(table, version)| [table.as_str(), version.as_str()]));
    let mut done: BTreeMap<String, Hashes> = BTreeMap::new();
    for model in graph.all() {
        let name = model.name();
        let mut hashes = Hashes { files: files(model), ..Hashes::default() };
        let mut definition = vec![query_hash(model)];
        definition.extend(variable_values(graph, &name, variables));
        let mut versioned = Vec::new();
        for read in graph.reads(&name) {
            let upstream = done.get(read).cloned().unwrap_or_default();
            if graph.model(read).is_some_and(|model| model.kind == ModelKind::View) {
                definition.push(upstream.definition);
            }
            let last = published.get(read).filter(|_| !is_selected(read));
            versioned.push(last.map_or(upstream.fingerprint, |last| last.fingerprint.clone()));
        }
        for table in graph.external_tables.get(&name).into_iter().flatten() {
            let key = table.full_name().to_lowercase();
            // Changed rules change clean rows without moving a cursor.
            let stream = key.strip_prefix("clean_").unwrap_or_default();
            definition.extend(cleanings.get(stream).cloned());
            versioned.push(match versions.get(&key) {
                _ if key == variables_table => String::new(),
                Some(version) => version.clone(),
                None => all_versions.clone(),
            });
        }
        hashes.definition = hash(definition.iter().map(String::as_str));
        hashes.fingerprint = hash([hashes.definition.as_str()].into_iter().chain(versioned.iter().map(String::as_str)));
        done.insert(name, hashes);
    }
    Ok(done)
}

/// Hashes the query of a model and the parts of its configuration that affect its rows.
fn query_hash(model: &Model) -> String {
    let config = &model.config;
    let storage = serde_json::json!([model.kind, config.incremental, config.snapshot]).to_string();
    // The TOML file beside a seed sets the types of its columns.
    let types = config.column.iter().filter(|_| model.kind == ModelKind::Seed);
    let types = types.map(|column| format!("{} {:?}", column.name, column.data_type)).collect::<Vec<_>>().join(",");
    hash([model.table.to_string().as_str(), &model.text, &storage, &types])
}

/// Returns the variables that a model reads, as `name=value`.
fn variable_values(graph: &Graph, name: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let Some(references) = graph.query(name).map(|query| &query.variables) else { return Vec::new() };
    let is_read = |variable: &str| references.reads_all || references.named.iter().any(|named| named.name == variable);
    variables.iter().filter(|(name, _)| is_read(name)).map(|(name, value)| format!("{name}={value}")).collect()
}

/// Hashes the SQL or CSV file of a model and the TOML file beside it.
pub(super) fn files(model: &Model) -> String {
    let config = model.config_source.as_ref().map_or("", |(text, _)| text.as_str());
    hash([model.path.file_name().and_then(|name| name.to_str()).unwrap_or_default(), &model.text, config])
}

/// Hashes several texts. The length of each is part of the hash, so that different lists have different hashes.
pub(super) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

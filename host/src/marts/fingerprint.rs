//! What a model is built from, as hashes: its own text, its variables, and the versions of all that it reads.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::Graph;
use super::files::{Materialized, Model};
use super::record::AllPublished;
use crate::error::Result;
use crate::warehouse::{Row, Warehouse};

/// The hashes of one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hashes {
    /// Changes whenever its rows may: then it is built.
    pub(super) fingerprint: String,
    /// Changes where rows that are there may have to be others: its query, its variables, and the views that it reads.
    /// Then an incremental model is built whole.
    pub(super) definition: String,
    /// Changes with its file or the one beside it: then its tests run.
    pub(super) files: String,
}

/// The hashes of all models. A model that is not selected counts as it is published, since that is what others read.
pub(super) fn hashes(
    graph: &Graph,
    warehouse: &Warehouse,
    variables: &BTreeMap<String, String>,
    published: &AllPublished,
    is_selected: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, Hashes>> {
    let (versions, cleanings) = (versions(warehouse)?, cleanings(warehouse)?);
    // The host's own tables have no version of their own: they change with loads and cleanings.
    let all_versions = hash(versions.iter().flat_map(|(table, version)| [table.as_str(), version.as_str()]));
    let mut done: BTreeMap<String, Hashes> = BTreeMap::new();
    for model in graph.all() {
        let name = model.name();
        let mut hashes = Hashes { files: files(model), ..Hashes::default() };
        let mut definition = vec![query(model)];
        definition.extend(values(graph, &name, variables));
        let mut versioned = Vec::new();
        for read in graph.reads(&name) {
            let of = done.get(read).cloned().unwrap_or_default();
            if graph.model(read).is_some_and(|model| model.kind == Materialized::View) {
                definition.push(of.definition);
            }
            let seen = published.get(read).filter(|_| !is_selected(read));
            versioned.push(seen.map_or(of.fingerprint, |seen| seen.fingerprint.clone()));
        }
        for table in graph.outside.get(&name).into_iter().flatten() {
            let key = format!("{}.{}", table.schema, table.name).to_lowercase();
            // Other rules make other rows of records that no cursor tells of.
            definition.extend(cleanings.get(&key).cloned());
            versioned.push(match versions.get(&key) {
                _ if key == "_host.variables" => String::new(),
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

/// The load that last changed each table that is not a model.
fn versions(warehouse: &Warehouse) -> Result<BTreeMap<String, String>> {
    let sql = "SELECT lower(table_schema || '.' || table_name) AS t, max(load_id) AS v FROM _host.table_versions GROUP BY ALL";
    Ok(warehouse.query(sql, &[])?.iter().map(|row| (text(row, "t"), text(row, "v"))).collect())
}

/// By clean table: the rules that it was cleaned with.
fn cleanings(warehouse: &Warehouse) -> Result<BTreeMap<String, String>> {
    let rows = warehouse.query("SELECT lower('clean_' || stream) AS t, fingerprint AS v FROM _host.cleans", &[])?;
    Ok(rows.iter().map(|row| (text(row, "t"), text(row, "v"))).collect())
}

fn text(row: &Row, key: &str) -> String {
    row.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// A model's own query, and what of its configuration decides which rows it has.
fn query(model: &Model) -> String {
    let config = &model.config;
    let how = serde_json::json!([model.kind, config.incremental, config.snapshot]).to_string();
    // A seed's columns are of the types that the file beside it says.
    let types = config.column.iter().filter(|_| model.kind == Materialized::Seed);
    let types = types.map(|column| format!("{} {:?}", column.name, column.data_type)).collect::<Vec<_>>().join(",");
    hash([model.table.to_string().as_str(), &model.text, &how, &types])
}

/// The values of the variables that a model reads.
fn values(graph: &Graph, name: &str, variables: &BTreeMap<String, String>) -> Vec<String> {
    let Some(named) = graph.query(name).map(|query| &query.variables) else { return Vec::new() };
    let is_read = |variable: &str| named.any || named.named.iter().any(|named| named.name == variable);
    variables.iter().filter(|(name, _)| is_read(name)).map(|(name, value)| format!("{name}={value}")).collect()
}

pub(super) fn files(model: &Model) -> String {
    let beside = model.beside.as_ref().map_or("", |(text, _)| text.as_str());
    hash([model.path.file_name().and_then(|name| name.to_str()).unwrap_or_default(), &model.text, beside])
}

/// The hash of several texts; each is closed, so that no two lists of texts are one.
pub(super) fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update(text.len().to_le_bytes());
        hasher.update(text);
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

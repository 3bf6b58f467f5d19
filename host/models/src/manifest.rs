//! Describes all models: a manifest for programs, drawings of the graph for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use host_core::error::Result;
use host_ledger::models;
use host_warehouse::{ColumnType, Table, Warehouse};

use crate::config::Severity;
use crate::files::{Model, ModelKind};
use crate::{Graph, fingerprint};

/// The description of a model, a seed or a check.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ManifestEntry {
    /// `schema.name`.
    pub model: String,
    /// The kind of file.
    pub kind: ModelKind,
    /// The path of the SQL or CSV file.
    pub path: std::path::PathBuf,
    /// What one row is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tags for selecting models.
    pub tags: Vec<String>,
    /// The tables that the model reads, each `schema.name`.
    pub reads: Vec<String>,
    /// The models and checks that read the model.
    pub read_by: Vec<String>,
    /// The names of the variables that the query names.
    pub variables: Vec<String>,
    /// The columns as published, or as the TOML file lists them if the model is not published.
    pub columns: Vec<ManifestColumn>,
    /// Whether the model has a contract: its columns must be exactly those that the TOML file lists.
    pub contract: bool,
    /// Queries that must return no rows.
    pub tests: Vec<ManifestTest>,
    /// The names of the unit tests.
    pub unit_tests: Vec<String>,
    /// The names of the drills.
    pub drills: Vec<String>,
    /// The SHA-256 of the model's files, in hexadecimal.
    pub hash: String,
    /// Whether the files differ from the published ones.
    pub is_modified: bool,
    /// The number of published rows. `None` for views and for models that are not published.
    pub rows: Option<u64>,
    /// The time at which the published version was built.
    pub built_at: Option<String>,
    /// The id of the run that built the published version.
    pub load_id: Option<String>,
}

/// A column of a model.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ManifestColumn {
    /// The name.
    pub name: String,
    /// The SQL type, if known.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// The meaning of the column.
    pub description: Option<String>,
    /// The publication that defines the formula.
    pub formula_source: Option<String>,
    /// The tests of the column, such as `not_null`.
    pub tests: Vec<String>,
}

/// A test of the rows of a model.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ManifestTest {
    /// The name.
    pub name: String,
    /// Whether a failure fails the build or only warns.
    pub severity: Severity,
}

/// Returns all models and seeds in build order, then the checks.
///
/// # Errors
/// The published models cannot be read from the warehouse.
pub fn manifest(graph: &Graph, warehouse: &Warehouse) -> Result<Vec<ManifestEntry>> {
    let published = models::published(warehouse)?;
    let mut read_by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, reads) in &graph.edges {
        reads.iter().for_each(|read| read_by.entry(read).or_default().push(name.clone()));
    }
    let entry = |model: &Model| {
        let name = model.name();
        let last = published.get(&name);
        let config = &model.config;
        let external = graph.external_tables.get(&name).into_iter().flatten();
        let reads = graph.reads(&name).iter().cloned().chain(external.map(Table::full_name));
        let variables = graph.query(&name).map(|query| query.variables.named.clone()).unwrap_or_default();
        let variables: BTreeSet<_> = variables.into_iter().map(|named| named.name).collect();
        let hash = fingerprint::files(model);
        ManifestEntry {
            kind: model.kind,
            path: model.path.clone(),
            description: config.description.clone(),
            tags: config.tags.clone(),
            reads: reads.collect(),
            read_by: read_by.get(name.as_str()).cloned().unwrap_or_default(),
            variables: variables.into_iter().collect(),
            columns: describe_columns(model, last.map(|last| last.columns.as_slice()).unwrap_or_default()),
            contract: config.contract,
            tests: config.test.iter().map(|t| ManifestTest { name: t.name.clone(), severity: t.severity }).collect(),
            unit_tests: config.unit_test.iter().map(|test| test.name.clone()).collect(),
            drills: config.drill.iter().map(|drill| drill.name.clone()).collect(),
            is_modified: last.is_none_or(|last| last.files != hash),
            hash,
            rows: last.and_then(|last| last.rows),
            built_at: last.and_then(|last| last.built_at.clone()),
            load_id: last.map(|last| last.load_id.clone()),
            model: name,
        }
    };
    Ok(graph.all().map(entry).collect())
}

/// Describes the published columns of a model, or the columns that its TOML file lists if `published` is empty.
#[must_use]
pub fn describe_columns(model: &Model, published: &[ColumnType]) -> Vec<ManifestColumn> {
    let listed = |name: &str| model.config.column.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    let describe = |name: &str, data_type: Option<String>| {
        let column = listed(name);
        let mut tests = Vec::new();
        if let Some(column) = column {
            tests.extend(column.not_null.then(|| "not_null".to_owned()));
            tests.extend(column.unique.then(|| "unique".to_owned()));
            tests.extend((!column.accepted_values.is_empty()).then(|| "accepted_values".to_owned()));
            tests.extend(column.references.as_ref().map(|target| format!("references {target}")));
        }
        ManifestColumn {
            name: name.to_owned(),
            data_type: data_type.or_else(|| column?.data_type.clone()),
            description: column.and_then(|column| column.description.clone()),
            formula_source: column.and_then(|column| column.formula_source.clone()),
            tests,
        }
    };
    if published.is_empty() {
        return model.config.column.iter().map(|column| describe(&column.name, None)).collect();
    }
    published.iter().map(|column| describe(&column.name, Some(column.data_type.clone()))).collect()
}

/// Draws the graph as trees: each model that no model reads is a root, and the tables that a model reads are its
/// children. Children that are drawn earlier are replaced by `…`.
#[must_use]
pub fn draw_tree(entries: &[ManifestEntry]) -> String {
    let by_name: BTreeMap<_, _> = entries.iter().map(|entry| (entry.model.as_str(), entry)).collect();
    let mut out = String::new();
    let mut drawn = BTreeSet::new();
    let is_model = |name: &String| by_name.get(name.as_str()).is_some_and(|entry| entry.kind != ModelKind::Check);
    let roots = entries.iter().filter(|entry| is_model(&entry.model) && !entry.read_by.iter().any(is_model));
    for entry in roots {
        out.push_str(&entry.model);
        out.push('\n');
        draw_children(&mut out, &entry.model, &by_name, "", &mut drawn);
    }
    out
}

fn draw_children<'a>(
    out: &mut String,
    name: &'a str,
    entries: &BTreeMap<&'a str, &'a ManifestEntry>,
    indent: &str,
    drawn: &mut BTreeSet<&'a str>,
) {
    let reads = entries.get(name).map(|entry| entry.reads.as_slice()).unwrap_or_default();
    for (index, read) in reads.iter().enumerate() {
        let is_last = index + 1 == reads.len();
        let has_more = entries.get(read.as_str()).is_some_and(|entry| !entry.reads.is_empty());
        let is_new = drawn.insert(read);
        let mark = if has_more && !is_new { " …" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{indent}{}{read}{mark}", if is_last { "└─ " } else { "├─ " });
        if is_new {
            draw_children(out, read, entries, &format!("{indent}{}", if is_last { "   " } else { "│  " }), drawn);
        }
    }
}

/// Draws the graph as a Mermaid flowchart.
#[must_use]
pub fn draw_mermaid(entries: &[ManifestEntry]) -> String {
    let mut out = "graph LR\n".to_owned();
    for entry in entries {
        let arrows = entry
            .reads
            .iter()
            .map(|read| format!("    {read}[\"{read}\"] --> {name}[\"{name}\"]\n", name = entry.model));
        out.extend(arrows);
    }
    out
}

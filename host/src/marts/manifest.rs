//! The models as others see them: a manifest for machines, a drawing for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::config::Severity;
use super::files::Model;
use super::{Graph, fingerprint, record};
use crate::error::Result;
use crate::warehouse::{Named, Warehouse};

/// A model, a seed or a check.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Entry {
    /// `schema.name`.
    pub model: String,
    /// What it is.
    pub kind: super::Materialized,
    /// The file.
    pub path: std::path::PathBuf,
    /// What a row is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Words to select it by.
    pub tags: Vec<String>,
    /// The tables that it reads, each `schema.name`.
    pub reads: Vec<String>,
    /// The models and checks that read it.
    pub read_by: Vec<String>,
    /// The variables that it names.
    pub variables: Vec<String>,
    /// Its columns, as published or as the file beside it lists them.
    pub columns: Vec<EntryColumn>,
    /// Whether the columns are held to that list.
    pub contract: bool,
    /// Queries that must return no rows.
    pub tests: Vec<EntryTest>,
    /// Names of unit tests.
    pub unit_tests: Vec<String>,
    /// Names of drills.
    pub drills: Vec<String>,
    /// SHA-256 of its file and the one beside it.
    pub hash: String,
    /// Whether it differs from what is published.
    pub is_modified: bool,
    /// Rows as published.
    pub rows: Option<u64>,
    /// When it was built as published.
    pub built_at: Option<String>,
    /// The run that built it.
    pub load_id: Option<String>,
}

/// A column of a model.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EntryColumn {
    /// Its name.
    pub name: String,
    /// Its SQL type, if known.
    #[serde(rename = "type")]
    pub data_type: Option<String>,
    /// What it means.
    pub description: Option<String>,
    /// Who defines the formula.
    pub formula_source: Option<String>,
    /// What must hold of it.
    pub tests: Vec<String>,
}

/// A test of a model.
#[derive(Debug, Clone, serde::Serialize)]
pub struct EntryTest {
    /// Its name.
    pub name: String,
    /// Whether it fails the build.
    pub severity: Severity,
}

/// All models, seeds and checks in the order of building.
pub fn manifest(graph: &Graph, warehouse: &Warehouse) -> Result<Vec<Entry>> {
    let published = record::published(warehouse)?;
    let mut read_by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, reads) in &graph.edges {
        reads.iter().for_each(|read| read_by.entry(read).or_default().push(name.clone()));
    }
    let entry = |model: &Model| {
        let name = model.name();
        let was = published.get(&name);
        let config = &model.config;
        let outside = graph.outside.get(&name).into_iter().flatten();
        let reads =
            graph.reads(&name).iter().cloned().chain(outside.map(|table| format!("{}.{}", table.schema, table.name)));
        let variables = graph.query(&name).map(|query| query.variables.named.clone()).unwrap_or_default();
        let variables: BTreeSet<_> = variables.into_iter().map(|named| named.name).collect();
        let hash = fingerprint::files(model);
        Entry {
            kind: model.kind,
            path: model.path.clone(),
            description: config.description.clone(),
            tags: config.tags.clone(),
            reads: reads.collect(),
            read_by: read_by.get(name.as_str()).cloned().unwrap_or_default(),
            variables: variables.into_iter().collect(),
            columns: described(model, was.map(|was| was.columns.as_slice()).unwrap_or_default()),
            contract: config.contract,
            tests: config.test.iter().map(|t| EntryTest { name: t.name.clone(), severity: t.severity }).collect(),
            unit_tests: config.unit_test.iter().map(|test| test.name.clone()).collect(),
            drills: config.drill.iter().map(|drill| drill.name.clone()).collect(),
            is_modified: was.is_none_or(|was| was.files != hash),
            hash,
            rows: was.and_then(|was| was.rows),
            built_at: was.and_then(|was| was.built_at.clone()),
            load_id: was.map(|was| was.load_id.clone()),
            model: name,
        }
    };
    Ok(graph.all().map(entry).collect())
}

/// The columns of a model as published, or those that the file beside it lists where it is not, with what that says.
#[must_use]
pub fn described(model: &Model, published: &[Named]) -> Vec<EntryColumn> {
    let listed = |name: &str| model.config.column.iter().find(|column| column.name.eq_ignore_ascii_case(name));
    let one = |name: &str, data_type: Option<String>| {
        let column = listed(name);
        let mut tests = Vec::new();
        if let Some(column) = column {
            tests.extend(column.not_null.then(|| "not_null".to_owned()));
            tests.extend(column.unique.then(|| "unique".to_owned()));
            tests.extend((!column.accepted_values.is_empty()).then(|| "accepted_values".to_owned()));
            tests.extend(column.references.as_ref().map(|target| format!("references {target}")));
        }
        EntryColumn {
            name: name.to_owned(),
            data_type: data_type.or_else(|| column?.data_type.clone()),
            description: column.and_then(|column| column.description.clone()),
            formula_source: column.and_then(|column| column.formula_source.clone()),
            tests,
        }
    };
    if published.is_empty() {
        return model.config.column.iter().map(|column| one(&column.name, None)).collect();
    }
    published.iter().map(|column| one(&column.name, Some(column.data_type.clone()))).collect()
}

/// The graph as a tree below each model that no other reads; what was drawn above is not drawn again.
#[must_use]
pub fn drawing(entries: &[Entry]) -> String {
    let by_name: BTreeMap<_, _> = entries.iter().map(|entry| (entry.model.as_str(), entry)).collect();
    let mut out = String::new();
    let mut drawn = BTreeSet::new();
    let is_model =
        |name: &String| by_name.get(name.as_str()).is_some_and(|entry| entry.kind != super::Materialized::Check);
    let ends = entries.iter().filter(|entry| is_model(&entry.model) && !entry.read_by.iter().any(is_model));
    for entry in ends {
        out.push_str(&entry.model);
        out.push('\n');
        branches(&mut out, &entry.model, &by_name, "", &mut drawn);
    }
    out
}

fn branches<'a>(
    out: &mut String,
    name: &'a str,
    entries: &BTreeMap<&'a str, &'a Entry>,
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
            branches(out, read, entries, &format!("{indent}{}", if is_last { "   " } else { "│  " }), drawn);
        }
    }
}

/// The graph for Mermaid.
#[must_use]
pub fn mermaid(entries: &[Entry]) -> String {
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

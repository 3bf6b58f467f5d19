//! The order of models, inferred from their queries; circles and unknown tables are errors.

use std::collections::{BTreeMap, BTreeSet};

use super::ast;
use super::files::{Materialized, Model};
use crate::error::{Error, Result, nearest};
use crate::warehouse::{Table, Warehouse};

/// Models in the order of their dependencies, checks last.
#[derive(Debug)]
pub struct Graph {
    models: Vec<Model>,
    checks: Vec<Model>,
    /// By `schema.name`: the models that it reads.
    pub edges: BTreeMap<String, Vec<String>>,
}

/// Whether a table that no model makes is there, or will be once the streams are loaded.
pub type Exists<'a> = dyn Fn(&Table) -> bool + 'a;

impl Graph {
    /// Parses every query; all problems are one error.
    pub(super) fn new(files: Vec<Model>, warehouse: &Warehouse, exists: &Exists<'_>) -> Result<Self> {
        let known: BTreeSet<Table> =
            files.iter().filter(|file| file.kind != Materialized::Check).map(|file| file.table.clone()).collect();
        let mut problems = Vec::new();
        let mut edges = BTreeMap::new();
        for model in files.iter().filter(|file| file.kind != Materialized::Seed) {
            match dependencies(model, &known, warehouse, exists) {
                Ok(found) => {
                    edges.insert(model.name(), found);
                }
                Err(mut errors) => problems.append(&mut errors),
            }
        }
        Error::all(problems).map_or(Ok(()), Err)?;
        let (checks, models): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.kind == Materialized::Check);
        let models = sort(models, &edges)?;
        Ok(Self { models, checks, edges })
    }

    /// Seeds, views and tables in the order of building.
    pub fn models(&self) -> impl Iterator<Item = &Model> {
        self.models.iter()
    }

    /// Checks.
    pub fn checks(&self) -> impl Iterator<Item = &Model> {
        self.checks.iter()
    }

    /// All files.
    pub fn all(&self) -> impl Iterator<Item = &Model> {
        self.models.iter().chain(&self.checks)
    }
}

fn dependencies(
    model: &Model,
    known: &BTreeSet<Table>,
    warehouse: &Warehouse,
    exists: &Exists<'_>,
) -> Result<Vec<String>, Vec<Error>> {
    let references = ast::references(&model.text, warehouse);
    let references = references.map_err(|syntax| vec![model.error(syntax.line, syntax.error)])?;
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let named = model
        .depends_on
        .iter()
        .filter_map(|name| name.split_once('.'))
        .map(|(schema, name)| (Table::new(schema, name), None));
    for (table, line) in references.into_iter().chain(named) {
        let name = format!("{}.{}", table.schema, table.name);
        if known.contains(&table) {
            found.push(name);
            continue;
        }
        if !exists(&table) {
            let names: Vec<_> = known.iter().map(|table| format!("{}.{}", table.schema, table.name)).collect();
            let error = Error::config(format!("unknown table `{}`", name.trim_start_matches('.')));
            let hint = nearest(name.trim_start_matches('.'), names.iter().map(String::as_str));
            let hint = hint.unwrap_or_else(|| {
                "write it as `schema.name`; raw and clean tables exist once a run has loaded them".to_owned()
            });
            problems.push(model.error(line, error.hint(hint)));
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// Depth first, so that a circle is found with its path.
fn sort(models: Vec<Model>, edges: &BTreeMap<String, Vec<String>>) -> Result<Vec<Model>> {
    let names: Vec<_> = models.iter().map(Model::name).collect();
    let mut order = Vec::new();
    let mut path = Vec::new();
    for (name, model) in names.iter().zip(&models) {
        visit(name, edges, &mut order, &mut path).map_err(|error| error.on(model.path.display()))?;
    }
    let mut by_name: BTreeMap<_, _> = models.into_iter().map(|model| (model.name(), model)).collect();
    Ok(order.iter().filter_map(|name| by_name.remove(name)).collect())
}

fn visit(
    name: &str,
    edges: &BTreeMap<String, Vec<String>>,
    order: &mut Vec<String>,
    path: &mut Vec<String>,
) -> Result<()> {
    if order.iter().any(|done| done == name) {
        return Ok(());
    }
    if let Some(start) = path.iter().position(|above| above == name) {
        let circle: Vec<_> = path[start..].iter().map(String::as_str).chain([name]).collect();
        return Err(Error::config(format!("models depend on each other in a circle: {}", circle.join(" → "))));
    }
    path.push(name.to_owned());
    for dependency in edges.get(name).into_iter().flatten() {
        visit(dependency, edges, order, path)?;
    }
    path.pop();
    order.push(name.to_owned());
    Ok(())
}

//! Checks contracts: the columns of a model must be exactly those that its TOML file lists. The error of a broken
//! contract names the upstream change that broke it.

use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result, Subject, unknown};
use host_warehouse::{ColumnType, Table, Warehouse};

use super::{find_column, split_reference};
use crate::Graph;
use crate::build::VALIDITY_COLUMNS;
use crate::files::{Model, ModelKind};

/// The columns of tables at the last publication, and their current columns. Keys are `schema.name`.
pub(crate) struct ColumnHistory<'a> {
    pub(crate) before: &'a dyn Fn(&str) -> Option<Vec<ColumnType>>,
    pub(crate) now: &'a dyn Fn(&str) -> Option<Vec<ColumnType>>,
}

/// Checks the columns of models against their TOML files. Returns all problems as one error. `parser` is any database,
/// in which types are parsed.
pub(crate) fn contracts<'a>(
    graph: &Graph,
    models: impl Iterator<Item = &'a Model>,
    parser: &Warehouse,
    history: &ColumnHistory<'_>,
) -> Result<()> {
    let mut problems = Vec::new();
    for model in models {
        let Some(columns) = (history.now)(&model.name()) else { continue };
        problems.extend(contract(graph, model, &columns, parser, history)?);
    }
    Error::check(problems)
}

/// Returns the problems of the columns of one model.
fn contract(
    graph: &Graph,
    model: &Model,
    columns: &[ColumnType],
    parser: &Warehouse,
    history: &ColumnHistory<'_>,
) -> Result<Vec<Error>> {
    let mut problems = Vec::new();
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    for (index, listed) in model.config.column.iter().enumerate() {
        let on = |key: &str, error: Error| {
            let place = model.place(&["column".into(), index.into(), key.into()]);
            let error = error.about(&Subject::Model(model.name())).at(&place);
            if model.config.contract { with_upstream_cause(graph, model, &listed.name, history, error) } else { error }
        };
        let Some(column) = find_column(columns, &listed.name) else {
            problems.push(on("name", unknown("column", &listed.name, names.iter().copied())));
            continue;
        };
        let Some(written) = listed.data_type.as_ref().filter(|_| model.config.contract) else { continue };
        match canonical(written, parser) {
            None => problems.push(on("type", Error::config(format!("`{written}` is not a valid DuckDB type")))),
            Some(expected) if expected != column.data_type => {
                let (name, actual) = (&column.name, &column.data_type);
                let broken = format!("its contract is broken: column `{name}` has type {actual}, expected {expected}");
                problems.push(on("type", Error::config(broken)));
            }
            Some(_) => {}
        }
    }
    for (index, target) in
        model.config.column.iter().enumerate().filter_map(|(index, c)| Some((index, c.references.as_ref()?)))
    {
        let place = model.place(&["column".into(), index.into(), "references".into()]);
        let (table, column) = split_reference(target);
        let table = table.full_name();
        match (history.now)(&table) {
            None => problems.push(Error::config(format!("`{table}` was never built")).at(&place)),
            Some(columns) if find_column(&columns, &column).is_none() => {
                let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                problems.push(unknown("column", &column, names.iter().copied()).on(format!("`{table}`")).at(&place));
            }
            Some(_) => {}
        }
    }
    if model.config.contract {
        let is_added = |name: &str| model.kind == ModelKind::Snapshot && VALIDITY_COLUMNS.contains(&name);
        let is_listed = |name: &str| model.config.column.iter().any(|listed| listed.name.eq_ignore_ascii_case(name));
        for column in columns.iter().filter(|column| !is_listed(&column.name) && !is_added(&column.name)) {
            let broken =
                format!("its contract is broken: column `{}` ({}) is not listed", column.name, column.data_type);
            let place = model.place(&["contract".into()]);
            let error = Error::config(broken).about(&Subject::Model(model.name())).at(&place);
            problems.push(with_upstream_cause(graph, model, &column.name, history, error));
        }
    }
    Ok(problems)
}

/// Returns a type as DuckDB's catalog writes it. `None` if the type does not exist.
fn canonical(written: &str, parser: &Warehouse) -> Option<String> {
    let columns = parser.describe(&format!("SELECT CAST(NULL AS {written}) AS c")).ok()?;
    columns.into_iter().next().map(|column| column.data_type)
}

/// Adds the nearest change of an upstream column to an error, preferring columns with the name of `column`.
fn with_upstream_cause(graph: &Graph, model: &Model, column: &str, history: &ColumnHistory<'_>, error: Error) -> Error {
    let mut seen = BTreeSet::new();
    let mut queue = vec![model.name()];
    let mut found: Vec<(bool, String)> = Vec::new();
    while let Some(name) = queue.pop() {
        let external = graph.external_tables.get(&name).into_iter().flatten();
        let reads = graph.reads(&name).iter().cloned().chain(external.map(Table::full_name));
        for read in reads.filter(|read| seen.insert(read.clone())).collect::<Vec<_>>() {
            if let Some((before, now)) = (history.before)(&read).zip((history.now)(&read)) {
                found.extend(differences(&before, &now).into_iter().map(|change| {
                    (change.name.eq_ignore_ascii_case(column), format!("`{read}` changed upstream: {change}"))
                }));
            }
            queue.insert(0, read);
        }
    }
    let cause = found.iter().find(|(is_same_name, _)| *is_same_name).or(found.first());
    match cause {
        Some((_, cause)) => error.map_messages(|message| format!("{message}, because {cause}")),
        None => error,
    }
}

/// Returns the changed and removed columns of the models that a model reads, as a hint. New columns are left out,
/// because they do not break a query.
pub(crate) fn upstream_changes(graph: &Graph, name: &str, history: &ColumnHistory<'_>) -> Option<String> {
    let changed = |read: &String| {
        let (before, now) = (history.before)(read).zip((history.now)(read))?;
        let changes = differences(&before, &now);
        let changes: Vec<_> =
            changes.iter().filter(|change| change.before.is_some()).map(ToString::to_string).collect();
        (!changes.is_empty()).then(|| format!("`{read}` changed upstream: {}", changes.join("; ")))
    };
    let changed: Vec<_> = graph.reads(name).iter().filter_map(changed).collect();
    (!changed.is_empty()).then(|| changed.join("\n"))
}

/// A column that was added or removed, or whose type changed.
struct ColumnDifference {
    name: String,
    before: Option<String>,
    now: Option<String>,
}

impl std::fmt::Display for ColumnDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match (&self.before, &self.now) {
            (Some(before), Some(now)) => write!(f, "column `{name}` changed from {before} to {now}"),
            (Some(before), None) => write!(f, "column `{name}` ({before}) was removed"),
            (None, Some(now)) => write!(f, "column `{name}` ({now}) was added"),
            (None, None) => Ok(()),
        }
    }
}

/// Returns the columns that differ.
fn differences(before: &[ColumnType], now: &[ColumnType]) -> Vec<ColumnDifference> {
    let types = |columns: &[ColumnType]| -> BTreeMap<String, String> {
        columns.iter().map(|column| (column.name.to_lowercase(), column.data_type.clone())).collect()
    };
    let (before, now) = (types(before), types(now));
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let difference = |name: &String| ColumnDifference {
        name: name.clone(),
        before: before.get(name).cloned(),
        now: now.get(name).cloned(),
    };
    names.into_iter().map(difference).filter(|difference| difference.before != difference.now).collect()
}

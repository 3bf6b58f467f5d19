//! Contracts: a model's columns are exactly those that the file beside it lists. Where one is broken, the upstream
//! change that broke it is named.

use std::collections::{BTreeMap, BTreeSet};

use super::{find, referred};
use crate::error::{Error, Result};
use crate::marts::Graph;
use crate::marts::build::ADDED;
use crate::marts::files::{Materialized, Model, unknown};
use crate::warehouse::{Named, Warehouse};

/// How columns were when models were last published, and how they are.
pub(in crate::marts) struct Changes<'a> {
    pub(in crate::marts) before: &'a dyn Fn(&str) -> Option<Vec<Named>>,
    pub(in crate::marts) now: &'a dyn Fn(&str) -> Option<Vec<Named>>,
}

/// Checks the columns of models against the files beside them; all problems are one error. `parser` is any DuckDB.
pub(in crate::marts) fn contracts<'a>(
    graph: &Graph,
    models: impl Iterator<Item = &'a Model>,
    parser: &Warehouse,
    changes: &Changes<'_>,
) -> Result<()> {
    let mut problems = Vec::new();
    for model in models {
        let Some(columns) = (changes.now)(&model.name()) else { continue };
        problems.extend(contract(graph, model, &columns, parser, changes)?);
    }
    Error::all(problems).map_or(Ok(()), Err)
}

fn contract(
    graph: &Graph,
    model: &Model,
    columns: &[Named],
    parser: &Warehouse,
    changes: &Changes<'_>,
) -> Result<Vec<Error>> {
    let mut problems = Vec::new();
    let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
    for (index, listed) in model.config.column.iter().enumerate() {
        let on = |key: &str, error: Error| {
            let place = model.place(&["column".into(), index.into(), key.into()]);
            let error = error.on(format!("{place}: model `{}`", model.name()));
            if model.config.contract { blamed(graph, model, &listed.name, changes, error) } else { error }
        };
        let Some(column) = find(columns, &listed.name) else {
            problems.push(on("name", unknown("column", &listed.name, &names)));
            continue;
        };
        let Some(written) = listed.data_type.as_ref().filter(|_| model.config.contract) else { continue };
        match canonical(written, parser) {
            None => problems.push(on("type", Error::config(format!("`{written}` is no type of DuckDB's")))),
            Some(wanted) if wanted != column.data_type => {
                let (name, is) = (&column.name, &column.data_type);
                let broken = format!("its contract is broken: column `{name}` is {is}, not {wanted}");
                problems.push(on("type", Error::config(broken)));
            }
            Some(_) => {}
        }
    }
    for (index, target) in
        model.config.column.iter().enumerate().filter_map(|(index, c)| Some((index, c.references.as_ref()?)))
    {
        let place = model.place(&["column".into(), index.into(), "references".into()]);
        let (table, column) = referred(target);
        let table = format!("{}.{}", table.schema, table.name);
        match (changes.now)(&table) {
            None => problems.push(Error::config(format!("{place}: `{table}` was never built"))),
            Some(columns) if find(&columns, &column).is_none() => {
                let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                problems.push(unknown("column", &column, &names).on(format!("{place}: `{table}`")));
            }
            Some(_) => {}
        }
    }
    if model.config.contract {
        let is_added = |name: &str| model.kind == Materialized::Snapshot && ADDED.contains(&name);
        let is_listed = |name: &str| model.config.column.iter().any(|listed| listed.name.eq_ignore_ascii_case(name));
        for column in columns.iter().filter(|column| !is_listed(&column.name) && !is_added(&column.name)) {
            let broken =
                format!("its contract is broken: it has a column `{}` ({}) besides", column.name, column.data_type);
            let error =
                Error::config(broken).on(format!("{}: model `{}`", model.place(&["contract".into()]), model.name()));
            problems.push(blamed(graph, model, &column.name, changes, error));
        }
    }
    Ok(problems)
}

/// A type as DuckDB's catalog writes it; none where there is no such type.
fn canonical(written: &str, parser: &Warehouse) -> Option<String> {
    let columns = parser.describe(&format!("SELECT CAST(NULL AS {written}) AS c")).ok()?;
    columns.into_iter().next().map(|column| column.data_type)
}

/// The error with the nearest table upstream whose columns changed, one of that name first.
fn blamed(graph: &Graph, model: &Model, column: &str, changes: &Changes<'_>, error: Error) -> Error {
    let mut seen = BTreeSet::new();
    let mut near = vec![model.name()];
    let mut found: Vec<(bool, String)> = Vec::new();
    while let Some(name) = near.pop() {
        let outside = graph.outside.get(&name).into_iter().flatten();
        let reads =
            graph.reads(&name).iter().cloned().chain(outside.map(|table| format!("{}.{}", table.schema, table.name)));
        for read in reads.filter(|read| seen.insert(read.clone())).collect::<Vec<_>>() {
            if let Some((before, now)) = (changes.before)(&read).zip((changes.now)(&read)) {
                found.extend(differences(&before, &now).into_iter().map(|(name, what)| {
                    (name.eq_ignore_ascii_case(column), format!("`{read}` changed upstream: {what}"))
                }));
            }
            near.insert(0, read);
        }
    }
    let blame = found.iter().find(|(is_it, _)| *is_it).or(found.first());
    match blame {
        Some((_, blame)) => Error { message: format!("{}, since {blame}", error.message), ..error },
        None => error,
    }
}

/// What became of columns that a model's query reads, where it does not bind any more.
pub(in crate::marts) fn upstream(graph: &Graph, name: &str, changes: &Changes<'_>) -> Option<String> {
    let changed = |read: &String| {
        let (before, now) = (changes.before)(read).zip((changes.now)(read))?;
        let is_new = |what: &str| what.starts_with("it has a new");
        let what = differences(&before, &now).into_iter().map(|(_, what)| what).filter(|what| !is_new(what));
        let what: Vec<_> = what.collect();
        (!what.is_empty()).then(|| format!("`{read}` changed upstream: {}", what.join("; ")))
    };
    let changed: Vec<_> = graph.reads(name).iter().filter_map(changed).collect();
    (!changed.is_empty()).then(|| changed.join("\n      "))
}

/// Columns that are others now, each with what became of it.
fn differences(before: &[Named], now: &[Named]) -> Vec<(String, String)> {
    let types = |columns: &[Named]| -> BTreeMap<String, String> {
        columns.iter().map(|column| (column.name.to_lowercase(), column.data_type.clone())).collect()
    };
    let (before, now) = (types(before), types(now));
    let names: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let one = |name: &&String| match (before.get(*name), now.get(*name)) {
        (Some(was), Some(is)) if was != is => {
            Some(((*name).clone(), format!("its column `{name}` was {was} and is {is}")))
        }
        (Some(was), None) => Some(((*name).clone(), format!("its column `{name}` ({was}) is gone"))),
        (None, Some(is)) => Some(((*name).clone(), format!("it has a new column `{name}` ({is})"))),
        _ => None,
    };
    names.iter().filter_map(one).collect()
}

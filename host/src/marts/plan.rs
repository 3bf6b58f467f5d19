//! One build from end to end: unit tests, models, tests, publication.

use std::collections::BTreeMap;
use std::time::Instant;

use super::build::{Builder, Form, Publication, Unbuilt, publish};
use super::files::Model;
use super::fingerprint::{self, hashes};
use super::record;
use super::shadow::{Shadow, set_variables};
use super::testing::{Changes, Tester, contracts, lookup, unit_tests};
use super::work::Work;
use super::{Built, BuiltModel, Graph};
use crate::error::{Error, Kind, Result};
use crate::progress::Progress;
use crate::warehouse::{Named, Table, Warehouse, literal};

/// What a command asks of a build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Models, as dbt selects them; all where empty.
    pub select: Vec<String>,
    /// Models left out.
    pub exclude: Vec<String>,
    /// Build what did not change too, and incremental models whole.
    pub full_refresh: bool,
    /// Go on from the models that failed last.
    pub retry: bool,
    /// Clean tables are as raw is: what was erased is in none of them.
    pub after_cleaning: bool,
}

/// Where models are built.
pub struct Target<'a> {
    /// The warehouse.
    pub warehouse: &'a Warehouse,
    /// The pipeline's variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The run.
    pub load_id: &'a str,
    /// The time of the run, RFC 3339.
    pub now: &'a str,
    /// Hears what happens.
    pub progress: &'a Progress,
}

/// Builds, tests and publishes the models that are selected and whose text, variables or inputs changed.
pub fn build(graph: &Graph, target: &Target<'_>, options: &Options, stopped: &dyn Fn() -> bool) -> Result<Built> {
    let started = Instant::now();
    let warehouse = target.warehouse;
    let published = record::published(warehouse)?;
    let all = hashes(graph, warehouse, target.variables, &published, &|_| true)?;
    let files = all.values().flat_map(|hashes| [hashes.fingerprint.as_str(), hashes.files.as_str()]);
    let variables = target.variables.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let overall = fingerprint::hash(files.chain(variables));
    let is_whole = options.select.is_empty() && options.exclude.is_empty() && !options.retry;
    // Who is forgotten stays in no row that an incremental model computed earlier, and in no version.
    let erases = is_whole && options.after_cleaning && warehouse.has_erased()?;
    let options = &Options { full_refresh: options.full_refresh || erases, ..options.clone() };
    if is_whole && !options.full_refresh {
        let last = warehouse.value("SELECT fingerprint FROM _host.publications", &[])?;
        if last.as_deref() == Some(&overall) {
            return Ok(Built { unchanged: true, models_unchanged: graph.models().count(), ..Built::default() });
        }
    }
    let catalog = warehouse.catalog()?;
    let work = Work::new(graph, target, options, &published, &catalog)?;
    let shadow = Shadow::new(graph, &work.compiled(), &catalog, target.variables)?;
    let columns_of = |table: &Table| lookup(&[&shadow.columns, &catalog], table);
    check_contracts(graph, &work, &shadow, &columns_of, warehouse)?;
    let units = unit_tests(graph, work.units.iter().copied(), &shadow, target.variables)?;
    Error::all(units.failures).map_or(Ok(()), |error| Err(error.hint("nothing was built")))?;

    if !options.retry {
        record::clear_aside(warehouse)?;
        record::begin_aside(warehouse, work.stale.iter().map(|model| model.table.clone()))?;
    }
    let mut builder = Builder {
        graph,
        warehouse,
        published: &published,
        hashes: &work.hashes,
        columns: &shadow.columns,
        catalog: &catalog,
        full_refresh: options.full_refresh,
        erases,
        time: target.now.to_owned(),
        now: format!("TIMESTAMPTZ {}", literal(target.now)),
        new_variables: begin_variables(warehouse, target.variables)?,
        aside: work.kept.clone(),
    };
    let of = work.stale.len() + work.checks.len();
    let unbuilt = builder.build(&work.stale, target.progress, of, stopped)?;
    if !unbuilt.failed.is_empty() {
        return Err(failed(unbuilt, &builder));
    }
    let outcome = {
        let elsewhere = |table: &Table| builder.elsewhere(table);
        let tester = Tester { graph, warehouse, elsewhere: &elsewhere, columns: &columns_of };
        work.test(&tester, target.progress, stopped)?
    };
    let hint = if builder.aside.is_empty() {
        "nothing was published: readers still see the last good version"
    } else {
        "nothing was published: readers still see the last good version; `host build PIPELINE --retry` tests again what was built"
    };
    Error::all(outcome.failures).map_or(Ok(()), |error| Err(error.hint(hint)))?;
    let models = graph.models().filter_map(|model| Some((model, builder.aside.get(&model.name())?)));
    let models = models.map(|(model, aside)| BuiltModel {
        model: model.name(),
        kind: model.kind,
        grew: matches!(aside.form, Form::Delta { .. }),
        rows: aside.rows,
        seconds: aside.seconds,
    });
    let models: Vec<_> = models.collect();
    let is_current = |model: &Model| {
        let name = model.name();
        let is_done =
            builder.aside.contains_key(&name) || work.touched(&outcome.warned).any(|other| other.name() == name);
        let is_same = published
            .get(&name)
            .zip(all.get(&name))
            .is_some_and(|(was, is)| was.fingerprint == is.fingerprint && was.files == is.files);
        (is_done && work.hashes.get(&name) == all.get(&name)) || is_same
    };
    let is_complete =
        graph.models().all(is_current) && graph.checks().all(|check| is_current(check) || check.is_warning());
    let publication = Publication {
        variables: target.variables,
        touched: work.touched(&outcome.warned).collect(),
        fingerprint: is_complete.then_some(overall),
        load_id: target.load_id,
        warnings: &outcome.warnings,
    };
    publish(&builder, &publication)?;
    let mut warnings = outcome.warnings;
    if erases {
        let is_unclear =
            |model: &&Model| model.config.snapshot.as_ref().is_some_and(|config| config.records.is_empty());
        warnings.extend(graph.models().filter(is_unclear).map(|model| {
            format!(
                "snapshot `{}`: what it holds of forgotten records stays: say in `[snapshot] records` of which its rows are",
                model.name()
            )
        }));
    }
    Ok(Built {
        unchanged: false,
        models_unchanged: graph.models().count() - models.len(),
        models,
        checks_passed: outcome.checks_passed,
        tests_passed: outcome.tests_passed,
        unit_tests_passed: units.passed,
        warnings,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Runs the tests of the selected models on what is published, and their unit tests.
pub fn test(graph: &Graph, target: &Target<'_>, options: &Options, stopped: &dyn Fn() -> bool) -> Result<Built> {
    let started = Instant::now();
    let warehouse = target.warehouse;
    let (published, catalog) = (record::published(warehouse)?, warehouse.catalog()?);
    let work = Work::of_tests(graph, target, options, &published)?;
    let shadow = Shadow::new(graph, &work.compiled(), &catalog, target.variables)?;
    let columns_of = |table: &Table| lookup(&[&catalog], table);
    check_contracts(graph, &work, &shadow, &|table| lookup(&[&shadow.columns, &catalog], table), warehouse)?;
    let units = unit_tests(graph, work.units.iter().copied(), &shadow, target.variables)?;
    let tester = Tester { graph, warehouse, elsewhere: &|_| None, columns: &columns_of };
    let outcome = work.test(&tester, target.progress, stopped)?;
    let failures = units.failures.into_iter().chain(outcome.failures).collect();
    Error::all(failures).map_or(Ok(()), Err)?;
    Ok(Built {
        checks_passed: outcome.checks_passed,
        tests_passed: outcome.tests_passed,
        unit_tests_passed: units.passed,
        warnings: outcome.warnings,
        seconds: started.elapsed().as_secs_f64(),
        ..Built::default()
    })
}

/// Puts the pipeline's variables where models being built read them; false where they are those that are published.
fn begin_variables(warehouse: &Warehouse, variables: &BTreeMap<String, String>) -> Result<bool> {
    let rows = warehouse.query("SELECT name, value FROM _host.variables", &[])?;
    let text =
        |row: &crate::warehouse::Row, key: &str| row.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_owned();
    let before: BTreeMap<_, _> = rows.iter().map(|row| (text(row, "name"), text(row, "value"))).collect();
    if before == *variables {
        return Ok(false);
    }
    set_variables(warehouse, "variables__next", variables)?;
    Ok(true)
}

fn check_contracts(
    graph: &Graph,
    work: &Work<'_>,
    shadow: &Shadow,
    columns: &dyn Fn(&Table) -> Option<Vec<Named>>,
    warehouse: &Warehouse,
) -> Result<()> {
    let names = work.compiled();
    let models = graph.models().filter(|model| names.contains(&model.name()));
    let before = |name: &str| match work.published.get(name) {
        Some(was) => Some(was.columns.clone()).filter(|columns| !columns.is_empty()),
        None => earlier(warehouse, work, name, columns),
    };
    let now = |name: &str| name.split_once('.').and_then(|(schema, name)| columns(&Table::new(schema, name)));
    contracts(graph, models, &shadow.warehouse, &Changes { before: &before, now: &now })
}

/// The columns that a loaded table had before the loads since the last publication changed them.
fn earlier(
    warehouse: &Warehouse,
    work: &Work<'_>,
    name: &str,
    columns: &dyn Fn(&Table) -> Option<Vec<Named>>,
) -> Option<Vec<Named>> {
    let since = work.published.values().map(|was| was.load_id.as_str()).max()?;
    let (schema, table) = name.split_once('.')?;
    let mut columns = columns(&Table::new(schema, table))?;
    let raw = schema.strip_prefix("clean_").map_or_else(|| schema.to_owned(), |source| format!("raw_{source}"));
    let sql = "SELECT column_name, type_before FROM _host.schema_changes \
               WHERE table_schema = ? AND table_name = ? AND load_id > ? ORDER BY load_id DESC";
    for row in warehouse.query(sql, &[&raw, table, since]).ok()? {
        let changed = row.get("column_name").and_then(|name| name.as_str()).unwrap_or_default();
        match row.get("type_before").and_then(|before| before.as_str()) {
            Some(before) => columns
                .iter_mut()
                .filter(|column| column.name == changed)
                .for_each(|column| column.data_type = before.to_owned()),
            None => columns.retain(|column| column.name != changed),
        }
    }
    Some(columns)
}

/// What a build that did not come to its end says: what failed, what was skipped, what is there for a retry.
fn failed(unbuilt: Unbuilt, builder: &Builder<'_>) -> Error {
    let Unbuilt { mut failed, skipped } = unbuilt;
    let kind = failed.first().map_or(Kind::Internal, |error| error.kind);
    let list =
        |names: &mut dyn Iterator<Item = &String>| names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if !skipped.is_empty() {
        failed.push(Error::new(kind, format!("skipped, since they read what failed: {}", list(&mut skipped.iter()))));
    }
    if !builder.aside.is_empty() {
        failed.push(Error::new(kind, format!("built and kept aside: {}", list(&mut builder.aside.keys()))));
    }
    let hint = "nothing was published: readers still see the last good version; `host build PIPELINE --retry` goes on from what failed";
    if let Some(last) = failed.last_mut() {
        last.hint = Some(last.hint.take().map_or_else(|| hint.to_owned(), |first| format!("{first}\n      {hint}")));
    }
    Error::all(failed).unwrap_or_else(|| Error::internal("nothing failed"))
}

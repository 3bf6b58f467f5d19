//! Runs a build: unit tests, models, tests, publication.

use std::collections::BTreeMap;
use std::time::Instant;

use host_core::error::{Error, Kind, Result};
use host_ledger::erasures::{self, PendingErasure};
use host_ledger::models::{self, ModelForm};
use host_ledger::{variables, versions};
use host_warehouse::{ColumnType, Table, Warehouse, literal};

use crate::build::{BuildFailures, ModelBuilder, PublicationDetails, publish};
use crate::build_report::{BuildReport, BuiltModel};
use crate::causes::causes_first;
use crate::files::Model;
use crate::fingerprint::{self, hashes};
use crate::graph::Graph;
use crate::plan::BuildPlan;
use crate::request::{BuildRequest, BuildTarget};
use crate::shadow::Shadow;
use crate::testing::{ColumnHistory, Tester, contracts, find_columns, unit_tests};

/// The hint of every error after which nothing is published.
const NOTHING_PUBLISHED: &str = "nothing was published: readers still see the last published version";

/// Builds, tests and publishes the selected models whose text, variables or inputs changed. `stopped` is called before
/// each model and test, and returns whether to stop.
///
/// # Errors
/// All models that fail to build, or all failed tests. Nothing is published in both cases.
pub fn build(
    graph: &Graph,
    target: &BuildTarget<'_>,
    request: &BuildRequest,
    stopped: &dyn Fn() -> bool,
) -> Result<BuildReport> {
    target.warehouse.bounded(None, || build_within_memory(graph, target, request, stopped))
}

fn build_within_memory(
    graph: &Graph,
    target: &BuildTarget<'_>,
    request: &BuildRequest,
    stopped: &dyn Fn() -> bool,
) -> Result<BuildReport> {
    let started = Instant::now();
    let warehouse = target.warehouse;
    let published = models::published(warehouse)?;
    let all = hashes(graph, warehouse, target.variables, &published, &|_| true)?;
    let files = all.values().flat_map(|hashes| [hashes.fingerprint.as_str(), hashes.files.as_str()]);
    let variables = target.variables.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let overall = fingerprint::hash(files.chain(variables));
    let is_complete = request.select.is_empty() && request.exclude.is_empty() && !request.retry;
    // An erasure must also delete rows that incremental models computed earlier, and versions of snapshots.
    let has_pending_erasure =
        is_complete && request.after_cleaning && erasures::is_pending(warehouse, PendingErasure::Models)?;
    let request = &BuildRequest { full_refresh: request.full_refresh || has_pending_erasure, ..request.clone() };
    if is_complete
        && !request.full_refresh
        && models::last_publication(warehouse)?.fingerprint.as_deref() == Some(&overall)
    {
        return Ok(BuildReport { unchanged: true, models_unchanged: graph.models().count(), ..BuildReport::default() });
    }
    let catalog = warehouse.catalog()?;
    let plan = BuildPlan::new(graph, target, request, &published, &catalog)?;
    let shadow = Shadow::new(graph, &plan.bound_names(), &catalog, target.variables)?;
    let columns_of = |table: &Table| find_columns(&[&shadow.columns, &catalog], table);
    check_contracts(graph, &plan, &shadow, &columns_of, warehouse)?;
    let units = unit_tests(graph, plan.units.iter().copied(), &shadow, target.variables)?;
    Error::check(units.failures).map_err(|error| error.hint("nothing was built"))?;

    if !request.retry {
        models::discard_staged(warehouse)?;
        models::begin_staging(warehouse, plan.to_build.iter().map(|model| model.table.clone()))?;
    }
    let mut builder = ModelBuilder {
        graph,
        warehouse,
        published: &published,
        hashes: &plan.hashes,
        columns: &shadow.columns,
        catalog: &catalog,
        full_refresh: request.full_refresh,
        has_pending_erasure,
        time: target.now.to_owned(),
        now: format!("TIMESTAMPTZ {}", literal(target.now)),
        new_variables: stage_variables(warehouse, target.variables)?,
        staged: plan.reusable.clone(),
    };
    let total = plan.to_build.len() + plan.checks.len();
    let failures = builder.build(&plan.to_build, target.progress, total, stopped)?;
    if !failures.errors.is_empty() {
        return Err(build_error(failures, &builder));
    }
    let summary = {
        let staged_table = |table: &Table| builder.staged_table(table);
        let tester = Tester { graph, warehouse, staged_table: &staged_table, columns: &columns_of };
        plan.test(&tester, target.progress, stopped)?
    };
    if let Some(error) = causes_first(graph, summary.failures) {
        let retry = (!builder.staged.is_empty())
            .then(|| "`host build PIPELINE --retry` repeats the tests without building the models".to_owned());
        return Err(error.hint(NOTHING_PUBLISHED).maybe_hint(retry));
    }
    let models = graph.models().filter_map(|model| Some((model, builder.staged.get(&model.name())?)));
    let models = models.map(|(model, staged)| BuiltModel {
        model: model.name(),
        kind: model.kind,
        is_incremental: matches!(staged.form, ModelForm::Delta { .. }),
        rows: staged.rows,
        seconds: staged.seconds,
    });
    let models: Vec<_> = models.collect();
    let is_current = |model: &Model| {
        let name = model.name();
        let is_recorded =
            builder.staged.contains_key(&name) || plan.retested(&summary.warned).any(|other| other.name() == name);
        let is_same = published
            .get(&name)
            .zip(all.get(&name))
            .is_some_and(|(last, now)| last.fingerprint == now.fingerprint && last.files == now.files);
        (is_recorded && plan.hashes.get(&name) == all.get(&name)) || is_same
    };
    let is_all_current =
        graph.models().all(is_current) && graph.checks().all(|check| is_current(check) || check.is_warning());
    let publication = PublicationDetails {
        variables: target.variables,
        retested: plan.retested(&summary.warned).collect(),
        fingerprint: is_all_current.then_some(overall),
        load_id: target.load_id,
        warnings: &summary.warnings,
    };
    publish(&builder, &publication)?;
    let mut warnings = summary.warnings;
    if has_pending_erasure {
        let is_unclear =
            |model: &&Model| model.config.snapshot.as_ref().is_some_and(|config| config.records.is_empty());
        warnings.extend(graph.models().filter(is_unclear).map(|model| {
            format!(
                "snapshot `{}` may still contain forgotten records: set `records` in `[snapshot]` to the streams of its keys",
                model.name()
            )
        }));
    }
    Ok(BuildReport {
        unchanged: false,
        models_unchanged: graph.models().count() - models.len(),
        models,
        checks_passed: summary.checks_passed,
        tests_passed: summary.tests_passed,
        unit_tests_passed: units.passed,
        warnings,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Runs the tests of the selected models on their published rows, and their unit tests. `stopped` is called before each
/// model and check, and returns whether to stop.
///
/// # Errors
/// All failed tests.
pub fn test(
    graph: &Graph,
    target: &BuildTarget<'_>,
    request: &BuildRequest,
    stopped: &dyn Fn() -> bool,
) -> Result<BuildReport> {
    target.warehouse.bounded(None, || test_within_memory(graph, target, request, stopped))
}

fn test_within_memory(
    graph: &Graph,
    target: &BuildTarget<'_>,
    request: &BuildRequest,
    stopped: &dyn Fn() -> bool,
) -> Result<BuildReport> {
    let started = Instant::now();
    let warehouse = target.warehouse;
    let (published, catalog) = (models::published(warehouse)?, warehouse.catalog()?);
    let plan = BuildPlan::for_tests(graph, target, request, &published)?;
    let shadow = Shadow::new(graph, &plan.bound_names(), &catalog, target.variables)?;
    let columns_of = |table: &Table| find_columns(&[&catalog], table);
    check_contracts(graph, &plan, &shadow, &|table| find_columns(&[&shadow.columns, &catalog], table), warehouse)?;
    let units = unit_tests(graph, plan.units.iter().copied(), &shadow, target.variables)?;
    let tester = Tester { graph, warehouse, staged_table: &|_| None, columns: &columns_of };
    let summary = plan.test(&tester, target.progress, stopped)?;
    let failures = units.failures.into_iter().chain(causes_first(graph, summary.failures)).collect();
    Error::check(failures)?;
    Ok(BuildReport {
        checks_passed: summary.checks_passed,
        tests_passed: summary.tests_passed,
        unit_tests_passed: units.passed,
        warnings: summary.warnings,
        seconds: started.elapsed().as_secs_f64(),
        ..BuildReport::default()
    })
}

/// Stages the pipeline's variables for the models being built. Returns `false` if they equal the published ones.
fn stage_variables(warehouse: &Warehouse, values: &BTreeMap<String, String>) -> Result<bool> {
    if variables::published(warehouse)? == *values {
        return Ok(false);
    }
    variables::write(warehouse, &variables::staged_table(), values)?;
    Ok(true)
}

/// Checks the contracts of all models of the plan.
fn check_contracts(
    graph: &Graph,
    plan: &BuildPlan<'_>,
    shadow: &Shadow,
    columns: &dyn Fn(&Table) -> Option<Vec<ColumnType>>,
    warehouse: &Warehouse,
) -> Result<()> {
    let names = plan.bound_names();
    let models = graph.models().filter(|model| names.contains(&model.name()));
    let before = |name: &str| match plan.published.get(name) {
        Some(last) => Some(last.columns.clone()).filter(|columns| !columns.is_empty()),
        None => columns_at_last_publication(warehouse, plan, name, columns),
    };
    let now = |name: &str| name.split_once('.').and_then(|(schema, name)| columns(&Table::new(schema, name)));
    contracts(graph, models, &shadow.warehouse, &ColumnHistory { before: &before, now: &now })
}

/// Returns the columns that a loaded table had at the last publication.
fn columns_at_last_publication(
    warehouse: &Warehouse,
    plan: &BuildPlan<'_>,
    name: &str,
    columns: &dyn Fn(&Table) -> Option<Vec<ColumnType>>,
) -> Option<Vec<ColumnType>> {
    let since = plan.published.values().map(|last| last.load_id.as_str()).max()?;
    let (schema, table) = name.split_once('.')?;
    let now = columns(&Table::new(schema, table))?;
    let raw = schema.strip_prefix("clean_").map_or_else(|| schema.to_owned(), |source| format!("raw_{source}"));
    versions::columns_before(warehouse, &Table::new(raw, table), since, now).ok()
}

/// Returns the error of a build in which models failed, with the skipped models as its consequences.
fn build_error(failures: BuildFailures, builder: &ModelBuilder<'_>) -> Error {
    let BuildFailures { errors, skipped } = failures;
    let kind = errors.first().map_or(Kind::Internal, |error| error.kind);
    let skipped = skipped.iter().map(|name| Error::new(kind, format!("model `{name}` was skipped")));
    let error = Error::all(errors).unwrap_or_else(|| Error::internal("a build failed without an error"));
    let error = error.with_consequences(skipped.collect()).hint(NOTHING_PUBLISHED);
    let retry = "`host build PIPELINE --retry` continues from the failed models";
    if builder.staged.is_empty() { error } else { error.hint(retry) }
}

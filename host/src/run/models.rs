//! Commands on models: loads their graph, and builds, tests and lists them without reading a source.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use host_core::error::{Error, Result, unknown};
use host_core::progress::Event;
use host_core::schema::Stream;
use host_document::PathStep;
use host_ledger::loads;
use host_ledger::steps::{self, StepName};
use host_ledger::streams::{self, LoadedStream};
use host_models::{BuildReport, BuildRequest, BuildTarget, BuiltModel, Graph, ManifestEntry, Model};
use host_warehouse::{Table, Warehouse};

use super::finish;
use super::session::{Session, start};
use crate::pipeline::ModelSettings;
use crate::prepare::{PreparedSource, SkippedStream};

/// The models, checked against the tables that these streams will have. None if the pipeline has no models.
///
/// # Errors
/// Every problem of the models and of the reports that read them. A model that reads a skipped stream which was never loaded
/// fails with the reason why the stream was skipped.
pub(super) fn checked_graph(
    session: &Session<'_>,
    warehouse: &Warehouse,
    sources: &[(PreparedSource, Vec<Stream>)],
    skipped: &[SkippedStream],
) -> Result<Option<Graph>> {
    let missing = RefCell::new(Vec::new());
    let will_exist = |table: &Table| {
        sources.iter().any(|(source, streams)| {
            streams.iter().any(|stream| {
                *table == Table::raw(&source.name, &stream.name) || *table == Table::clean(&source.name, &stream.name)
            })
        })
    };
    // Cleaning creates the clean table of every loaded stream, even if the first run ended before it.
    let loaded = streams::loaded(warehouse)?;
    let was_loaded = |table: &Table| loaded.iter().map(LoadedStream::clean).any(|clean| clean == *table);
    let exists = |table: &Table| {
        if !may_read(session, table) {
            return false;
        }
        if will_exist(table) || was_loaded(table) || matches!(warehouse.exists(table), Ok(true)) {
            return true;
        }
        let is_table = |skipped: &&SkippedStream| {
            let split = skipped.stream.split_once('.');
            split.is_some_and(|(s, t)| *table == Table::raw(s, t) || *table == Table::clean(s, t))
        };
        let skipped = skipped.iter().find(is_table);
        missing.borrow_mut().extend(skipped.cloned());
        skipped.is_some()
    };
    let load = |settings: &ModelSettings| {
        host_models::load(&session.pipeline.path(&settings.path), warehouse, &variables(session, warehouse)?, &exists)
    };
    let graph = session.pipeline.file.models.as_ref().map(load).transpose()?;
    Error::check(query_problems(session, warehouse, graph.as_ref(), &exists))?;
    let mut seen = BTreeSet::new();
    let needed = missing.into_inner().into_iter().filter(|skipped| seen.insert(skipped.stream.clone()));
    let error = |skipped: SkippedStream| {
        let SkippedStream { stream, error, .. } = skipped;
        error.on(format!("models read stream `{stream}`, which was never loaded"))
    };
    Error::check(needed.map(error).collect()).map(|()| graph)
}

/// Whether a table is a raw or clean table of one of the pipeline's sources.
fn is_of_source(session: &Session<'_>, table: &Table) -> bool {
    let is = |of: Table| table.schema.eq_ignore_ascii_case(&of.schema);
    let mut names = session.pipeline.file.source.iter().map(|source| source.name());
    names.any(|name| is(Table::raw(name, "")) || is(Table::clean(name, "")))
}

/// Whether the SQL of a pipeline may read a table that is not a model: the raw and clean tables of its own sources, the
/// journal, and what `reads` names.
fn may_read(session: &Session<'_>, table: &Table) -> bool {
    let is = |schema: &str| table.schema.eq_ignore_ascii_case(schema);
    let has = |name: &str| table.name.eq_ignore_ascii_case(name);
    let is_journal = is(host_ledger::SCHEMA) && host_ledger::READABLE.into_iter().any(has);
    let is_granted = |granted: &String| {
        granted.split_once('.').is_some_and(|(schema, name)| is(schema) && (name == "*" || has(name)))
    };
    is_journal
        || is_of_source(session, table)
        || session.pipeline.file.models.iter().flat_map(|models| &models.reads).any(is_granted)
}

/// The problems of the queries of reports and alerts: those that do not parse or are not allowed, and tables that do not
/// exist.
fn query_problems(
    session: &Session<'_>,
    warehouse: &Warehouse,
    graph: Option<&Graph>,
    exists: &dyn Fn(&Table) -> bool,
) -> Vec<Error> {
    let file = &session.pipeline.file;
    let names: Vec<_> = graph.into_iter().flat_map(Graph::models).map(Model::name).collect();
    let mut problems = Vec::new();
    let mut check = |query: &str, what: String, path: [PathStep; 3]| {
        let on = |error: Error| error.on(what.clone()).at(&session.pipeline.source_map.at(&path));
        let tables = match host_models::reads(query, warehouse) {
            Ok(tables) => tables,
            Err(error) => return problems.push(on(error)),
        };
        let is_model = |table: &String| names.iter().any(|name| name.eq_ignore_ascii_case(table));
        for name in tables.iter().filter(|table| !is_model(table)) {
            let (schema, table) = name.split_once('.').unwrap_or(("", name));
            if !exists(&Table::new(schema, table)) {
                let error = unknown("table", name.trim_start_matches('.'), names.iter().map(String::as_str));
                problems.push(on(error));
            }
        }
    };
    for (index, report) in file.report.iter().enumerate() {
        check(&report.query, format!("report `{}`", report.title), ["report".into(), index.into(), "query".into()]);
    }
    for (index, alert) in file.alert.iter().enumerate() {
        if let Some(query) = &alert.query {
            check(query, "alert".to_owned(), ["alert".into(), index.into(), "query".into()]);
        }
    }
    problems
}

/// The models. Every table of a source of the pipeline counts as existing, because only the source knows its streams.
///
/// # Errors
/// A pipeline without models, and every problem of the models.
pub fn graph(session: &Session<'_>, warehouse: &Warehouse) -> Result<Graph> {
    let settings = session.pipeline.file.models.as_ref().ok_or_else(no_models)?;
    let exists = |table: &Table| {
        is_of_source(session, table) || (may_read(session, table) && matches!(warehouse.exists(table), Ok(true)))
    };
    host_models::load(&session.pipeline.path(&settings.path), warehouse, &variables(session, warehouse)?, &exists)
}

/// Builds, tests and publishes models. Returns what was built, and the run's id.
///
/// # Errors
/// Every problem of the models before anything is written; then as [`host_models::build`].
pub fn build(session: &Session<'_>, request: &BuildRequest) -> Result<(BuildReport, String)> {
    if !session.pipeline.warehouse().is_file() {
        // Problems of the models are reported before a file is created, and sources have to be loaded first.
        checked_graph(session, &host_ledger::memory()?, &[], &[])?;
        if !session.pipeline.file.source.is_empty() {
            session.existing_warehouse()?;
        }
    }
    let warehouse = session.warehouse()?;
    let graph = checked_graph(session, &warehouse, &[], &[])?.ok_or_else(no_models)?;
    let run = start(session, &warehouse, "build")?;
    let built = {
        let _guard = warehouse.stop_on(&session.stop);
        let _entered = run.span.enter();
        build_models(session, &graph, &warehouse, &run.load_id, request)
    };
    let recorded = finish::record_end(session, &warehouse, &run, built.as_ref().map(drop));
    let built = built?;
    recorded.map(|()| (built, run.load_id))
}

/// Tests models as they are published.
///
/// # Errors
/// Same as [`host_models::test`].
pub fn test(session: &Session<'_>, request: &BuildRequest) -> Result<BuildReport> {
    let warehouse = session.existing_warehouse()?;
    let graph = checked_graph(session, &warehouse, &[], &[])?.ok_or_else(no_models)?;
    let _guard = warehouse.stop_on(&session.stop);
    let variables = variables(session, &warehouse)?;
    let (load_id, now) = ("", "");
    let target = BuildTarget { warehouse: &warehouse, variables: &variables, load_id, now, progress: session.progress };
    tokio::task::block_in_place(|| host_models::test(&graph, &target, request, &|| session.stop.is_cancelled()))
}

/// All models. If the warehouse exists, each has the facts of its last publication.
///
/// # Errors
/// Same as [`graph`].
pub fn manifest(session: &Session<'_>) -> Result<Vec<ManifestEntry>> {
    let exists = session.pipeline.warehouse().is_file();
    let warehouse = if exists { session.warehouse()? } else { host_ledger::memory()? };
    host_models::manifest(&graph(session, &warehouse)?, &warehouse)
}

/// Builds, tests and publishes models, and records a step for each.
///
/// # Errors
/// Same as [`host_models::build`].
pub(super) fn build_models(
    session: &Session<'_>,
    graph: &Graph,
    warehouse: &Warehouse,
    load_id: &str,
    request: &BuildRequest,
) -> Result<BuildReport> {
    let _span = tracing::info_span!("models").entered();
    let (variables, now) = (variables(session, warehouse)?, session.clock.now().to_string());
    let target = BuildTarget { warehouse, variables: &variables, load_id, now: &now, progress: session.progress };
    session.progress.send(Event::Step { step: StepName::Models.name() });
    let is_stopped = || session.stop.is_cancelled();
    let built = tokio::task::block_in_place(|| host_models::build(graph, &target, request, &is_stopped))?;
    steps::record(warehouse, load_id, built.models.iter().map(BuiltModel::step))?;
    Ok(built)
}

/// The variables that models read: those of the pipeline, and the day of the last load of each stream. A model that reads
/// such a day is built again when the day changes, even if no row did.
fn variables(session: &Session<'_>, warehouse: &Warehouse) -> Result<BTreeMap<String, String>> {
    let settings = &session.pipeline.file.pipeline;
    let models = session.pipeline.file.models.as_ref();
    let mut variables = models.map(|models| models.variables.clone()).unwrap_or_default();
    variables.insert("timezone".to_owned(), settings.timezone.clone());
    variables.insert("currency".to_owned(), settings.currency.clone());
    let days = loads::days(warehouse, &settings.timezone)?;
    variables.extend(days.into_iter().map(|(stream, day)| (format!("{}{stream}", loads::DAY_VARIABLE), day)));
    Ok(variables)
}

fn no_models() -> Error {
    Error::config("the pipeline has no models").hint("add `[marts]` with the `path` of a folder of SQL files")
}

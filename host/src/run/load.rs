//! `host run` and `host clean`: a whole run, and a run that reads no source. Nothing is written before the whole pipeline is
//! checked.

use host_core::error::{Error, Result};
use host_core::progress::Event;
use host_ledger::steps::{self, StepName};
use host_ledger::streams::{self, LoadedStream};
use host_ledger::{erasures, forgotten, identities};
use host_models::{BuildRequest, Graph};
use host_warehouse::{Table, Warehouse};
use tracing::Instrument as _;

use super::clock;
use super::finish::{CleanedAndBuilt, Extraction, finish, rewrite_if_due};
use super::models::{build_models, checked_graph};
use super::retry::retry;
use super::session::{Session, start};
use super::streams::{
    DiscoveredSource, SelectedSources, check_rules, check_selection, discover, names, removed_streams, select,
    streams_not_loaded,
};
use crate::clean::{self, CleanRequest, CleanSummary};
use crate::erasure;
use crate::extract::{self, ExtractRequest, ExtractSummary};
use crate::prepare::{PreparedRule, prepare};
use crate::report::{self, Report};

/// The options of a run.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// Streams to load, `stream` or `source.stream`; all if empty.
    pub select: Vec<String>,
    /// Read everything, regardless of the cursors.
    pub full_refresh: bool,
    /// Read everything that changed at or after this instant (RFC 3339).
    pub since: Option<String>,
}

/// Loads, cleans, builds and reports.
///
/// # Errors
/// Every problem of the pipeline before anything is written; then the first step that fails.
pub async fn run(session: &Session<'_>, request: &LoadRequest) -> Result<Report> {
    session.progress.send(Event::Step { step: StepName::Prepare.name() });
    let prepared = prepare(session.pipeline, session.engine, session.folders, true).await?;
    let discovered =
        retry(session, StepName::Prepare, async || discover(session, &prepared.sources, false).await).await?;
    let (all, skipped) = select(session, &discovered, &[])?;
    let (selected, _) = select(session, &discovered, &request.select)?;
    check_selection(&request.select, &all)?;
    check_rules(&prepared.rules, &all, &skipped).await?;
    if !session.pipeline.warehouse().is_file() {
        // Problems of the models are reported before a file is created.
        checked_graph(session, &host_ledger::memory()?, &all, &skipped)?;
    }
    let warehouse = session.warehouse()?;
    let graph = checked_graph(session, &warehouse, &all, &skipped)?;
    for DiscoveredSource { source, .. } in &discovered {
        if let Some(account) = &source.account {
            identities::check(&warehouse, &source.name, account)?;
        }
    }
    let mut warnings = removed_streams(&warehouse, &all, &skipped)?;
    declare(&warehouse, &all)?;
    let run = start(session, &warehouse, "run")?;
    warnings.extend(clock::warn_of_jump(session, &warehouse, &run.load_id)?);
    let work = async {
        let extract_request = ExtractRequest {
            load_id: run.load_id.clone(),
            extracted_at: session.clock.now().as_microsecond(),
            full_refresh: request.full_refresh,
            since: request.since.clone(),
        };
        let extracted = extract(session, &warehouse, &selected, &extract_request).await?;
        run.write_log(&warehouse)?;
        warnings.extend(clock::warn_of_future(session, &warehouse, &selected)?);
        let done = clean_and_build(session, &warehouse, &prepared.rules, graph, &run.load_id, false).await?;
        Ok((Extraction { extracted, skipped, warnings, streams: names(&all) }, done))
    };
    let outcome = work.instrument(run.span.clone()).await;
    let report = finish(session, &warehouse, &run, outcome)?;
    rewrite_if_due(session, warehouse, report)
}

/// Declares the streams of all sources and creates their raw tables: models and rules may read a stream that is empty or not
/// selected.
fn declare(warehouse: &Warehouse, sources: &SelectedSources) -> Result<()> {
    for (source, streams) in sources {
        warehouse.transaction(|| {
            let is_new = streams::declare(warehouse, &source.name, streams)?;
            // A new declaration may name links and free text of people who were forgotten earlier.
            if is_new && !forgotten::counts(warehouse)?.is_empty() { erasures::record(warehouse, "") } else { Ok(()) }
        })?;
        for stream in streams {
            let table = Table::raw(&source.name, &stream.name);
            if !warehouse.exists(&table)? {
                warehouse.evolve(&table, &stream.schema)?;
            }
        }
    }
    Ok(())
}

async fn extract(
    session: &Session<'_>,
    warehouse: &Warehouse,
    selected: &SelectedSources,
    request: &ExtractRequest,
) -> Result<Vec<ExtractSummary>> {
    let columns = selected.iter().flat_map(|(_, streams)| streams).map(|stream| stream.schema.fields.len()).sum();
    session.progress.send(Event::Step { step: StepName::Extract.name() });
    let extract = async || {
        warehouse.limit_for_loading(columns)?;
        let extracted = extract::extract(selected, warehouse, request, session.progress, &session.stop).await;
        warehouse.lift_limits()?;
        extracted
    };
    let extracted = retry(session, StepName::Extract, extract).await;
    // A link may belong to a record that was loaded earlier or by another reader, even if this read failed.
    let erased = erasure::repeat_erasure(warehouse, &request.load_id);
    let extracted = extracted?;
    erased?;
    steps::record(warehouse, &request.load_id, extracted.iter().map(ExtractSummary::step))?;
    Ok(extracted)
}

/// Cleans the loaded streams and builds the models, without reading a source. `replay` runs the rules on all rows, changed or
/// not.
///
/// # Errors
/// A warehouse without raw data, rules or models that do not fit it, and the first step that fails.
pub async fn clean(session: &Session<'_>, replay: bool) -> Result<Report> {
    session.progress.send(Event::Step { step: StepName::Prepare.name() });
    let rules = prepare(session.pipeline, session.engine, session.folders, false).await?.rules;
    let warehouse = session.existing_warehouse()?;
    let loaded: Vec<_> = streams::loaded(&warehouse)?.iter().map(LoadedStream::name).collect();
    if loaded.is_empty() {
        let error = Error::config(format!("the warehouse {} has no raw data", warehouse.path().display()));
        return Err(error.hint("load it with `host run PIPELINE`"));
    }
    Error::check(streams_not_loaded(
        &rules,
        &|name| loaded.contains(name),
        &loaded,
        "load it with `host run PIPELINE`",
    ))?;
    let graph = checked_graph(session, &warehouse, &[], &[])?;
    let run = start(session, &warehouse, "clean")?;
    erasure::repeat_erasure(&warehouse, &run.load_id)?;
    let work = clean_and_build(session, &warehouse, &rules, graph, &run.load_id, replay);
    let done = work.instrument(run.span.clone()).await;
    let report = finish(session, &warehouse, &run, done.map(|done| (Extraction::default(), done)))?;
    rewrite_if_due(session, warehouse, report)
}

/// Cleans the loaded streams, checks their row counts and builds the models of `graph`.
///
/// # Errors
/// The first step that fails.
pub(super) async fn clean_and_build(
    session: &Session<'_>,
    warehouse: &Warehouse,
    rules: &[PreparedRule],
    graph: Option<Graph>,
    load_id: &str,
    replay: bool,
) -> Result<CleanedAndBuilt> {
    let _guard = warehouse.stop_on(&session.stop);
    let max_rejected = session.pipeline.file.pipeline.max_rejected;
    let request = CleanRequest { load_id: load_id.to_owned(), replay, max_rejected };
    session.progress.send(Event::Step { step: StepName::Clean.name() });
    let clean = async || clean::clean(warehouse, rules, &request, session.progress, &session.stop).await;
    let cleaned = retry(session, StepName::Clean, clean).await?;
    let changed = cleaned.iter().filter(|stream| !stream.unchanged);
    steps::record(warehouse, load_id, changed.map(CleanSummary::step))?;
    let reconciliation = report::reconcile(warehouse)?;
    let built = match graph {
        None => {
            erasures::clear_models_if_never_built(warehouse)?;
            None
        }
        Some(graph) => {
            let request = BuildRequest { after_cleaning: true, ..BuildRequest::default() };
            let build = async || build_models(session, &graph, warehouse, load_id, &request);
            Some(retry(session, StepName::Models, build).await?)
        }
    };
    Ok(CleanedAndBuilt { cleaned, reconciliation, built })
}

/// Parses the value of `--since`, a day in the pipeline's time zone or an instant. Returns the instant (RFC 3339).
///
/// # Errors
/// A text that is neither.
pub fn parse_since(text: &str, timezone: &str) -> Result<String> {
    let invalid = |cause: jiff::Error| {
        Error::config(format!("`{text}` is not a valid date: {cause}"))
            .hint("write a day such as `2026-10-31`, or an instant such as `2026-10-31T12:00:00Z`")
    };
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.to_string());
    }
    let day: jiff::civil::Date = text.parse().map_err(invalid)?;
    Ok(day.in_tz(timezone).map_err(invalid)?.timestamp().to_string())
}

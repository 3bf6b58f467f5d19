//! One run from end to end: prepare, discover, check, extract, clean, build, report. Nothing is written before all of
//! the pipeline has been checked.

mod again;
mod checks;
mod models;

use std::time::Instant;

use tokio::sync::watch;

pub use again::Retry;

use crate::clean::{self, Cleaned};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::extract::{self, Extracted};
use crate::marts::{self, Built, Graph};
use crate::pipeline::Pipeline;
use crate::plugin::{Engine, Search};
use crate::prepare::{Prepared, PreparedRule, PreparedSource, Skipped, prepare};
use crate::progress::{Event, Progress};
use crate::report::{self, Report};
use crate::schema::Stream;
use crate::warehouse::{Forgotten, Table, Warehouse};

/// What a command asks of a run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Streams to load, `stream` or `source.stream`; all where empty.
    pub select: Vec<String>,
    /// Forget the cursors and read everything.
    pub full_refresh: bool,
    /// Read everything changed from this instant (RFC 3339).
    pub since: Option<String>,
}

/// What every command needs.
pub struct Context<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// Runs components.
    pub engine: &'a Engine,
    /// Finds components.
    pub search: &'a Search,
    /// Hears what happens.
    pub progress: &'a Progress,
    /// Turns true when the run should stop.
    pub stop: watch::Receiver<bool>,
    /// Tells the time and makes ids.
    pub clock: Clock,
    /// What a server has settled before; nothing for a command.
    pub given: Given<'a>,
}

/// What a run does not decide itself.
#[derive(Clone, Copy, Default)]
pub struct Given<'a> {
    /// The warehouse, which is open already: one process opens a file once.
    pub warehouse: Option<&'a Warehouse>,
    /// The run's id, greater than the last one's.
    pub load_id: Option<&'a str>,
    /// How a step is run again that failed for a reason that may pass.
    pub retry: Retry,
}

/// A source with its account and its streams.
pub struct Discovered {
    /// The source.
    pub source: PreparedSource,
    /// All of its streams.
    pub streams: Vec<Stream>,
}

/// Sources with the streams that are read of each.
pub type Selected = Vec<(PreparedSource, Vec<Stream>)>;

/// What cleaning did, where raw's rows are after it, and what was built from it.
type CleanedAndBuilt = (Vec<Cleaned>, Vec<report::Reconciled>, Option<Built>);

impl Context<'_> {
    /// Finds, compiles and checks the plugins.
    pub async fn prepare(&self) -> Result<Prepared> {
        prepare(self.pipeline, self.engine, self.search, true).await
    }

    /// Asks every source for its account and its streams: those that the pipeline names, or all.
    pub async fn discover(&self, sources: &[PreparedSource], all: bool) -> Result<Vec<Discovered>> {
        let ask = |source: &PreparedSource| {
            let mut source = source.clone();
            async move {
                let name = source.name.clone();
                let on = |error: Error| error.on(format!("source `{name}`"));
                source.account = source.plugin.identity().await.map_err(on)?;
                let wanted = source.wanted.as_deref().filter(|_| !all);
                let mut streams = source.plugin.discover(wanted).await.map_err(on)?;
                let is_there = |name: &String| streams.iter().any(|stream| stream.name == *name);
                if wanted.is_some_and(|wanted| !wanted.iter().all(is_there)) {
                    // The nearest name of one that is not there may be any.
                    streams = source.plugin.discover(None).await.map_err(on)?;
                }
                Ok(Discovered { source, streams })
            }
        };
        let mut stop = self.stop.clone();
        tokio::select! {
            all = futures_util::future::join_all(sources.iter().map(ask)) => all.into_iter().collect(),
            _ = stop.wait_for(|stopped| *stopped) => Err(Error::new(Kind::Interrupted, "stopped")),
        }
    }

    /// Opens the warehouse, or takes a connection to the one that is open.
    pub fn warehouse(&self) -> Result<Warehouse> {
        if let Some(open) = self.given.warehouse {
            return open.apart();
        }
        Warehouse::open(&self.pipeline.warehouse(), &self.pipeline.file.pipeline.memory_limit)
    }

    /// The whole way.
    pub async fn run(&self, options: &Options) -> Result<Report> {
        let started = Instant::now();
        self.progress.tell(Event::Step { step: "prepare" });
        let prepared = self.prepare().await?;
        let discovered = self.again("prepare", async || self.discover(&prepared.sources, false).await).await?;
        let (all, skipped) = self.choose(&discovered, &[])?;
        let (chosen, _) = self.choose(&discovered, &options.select)?;
        self.check_selection(options, &all)?;
        self.check_rules(&prepared.rules, &all, &skipped).await?;
        let exists = self.pipeline.warehouse().is_file();
        if !exists {
            // What is wrong with the models is said before a file is made.
            self.models(&Warehouse::memory()?, &all, &skipped)?;
        }
        let warehouse = self.warehouse()?;
        let graph = self.models(&warehouse, &all, &skipped)?;
        for Discovered { source, .. } in &discovered {
            if let Some(account) = &source.account {
                warehouse.check_identity(&source.name, account)?;
            }
        }
        let left = self.streams_left(&warehouse, &all, &skipped)?;
        for (source, streams) in &all {
            warehouse.record_streams(&source.name, streams)?;
            // Every table exists, even of a stream that is empty or not selected: models and rules name them.
            for stream in streams {
                warehouse.ensure(&Table::raw(&source.name, &stream.name), &stream.schema)?;
            }
        }
        let load_id = self.begin(&warehouse, "run")?;
        let extract_options = extract::Options {
            load_id: load_id.clone(),
            extracted_at: self.clock.now().as_microsecond(),
            full_refresh: options.full_refresh,
            since: options.since.clone(),
        };
        let work = async {
            let columns = chosen.iter().flat_map(|(_, streams)| streams).map(|stream| stream.schema.fields.len()).sum();
            self.progress.tell(Event::Step { step: "extract" });
            let extract = async || {
                warehouse.load_modestly(columns)?;
                let extracted =
                    extract::extract(&chosen, &warehouse, &extract_options, self.progress, &self.stop).await;
                warehouse.work_freely()?;
                extracted
            };
            let extracted = self.again("extract", extract).await;
            // A link may be of a record that came earlier, or with another reader, also where this one failed.
            let erased = warehouse.erase_again(&load_id);
            let extracted = extracted?;
            erased?;
            warehouse.record_steps(&load_id, extracted.iter().map(Extracted::step))?;
            self.clean_and_build(&warehouse, &prepared.rules, graph, &load_id, false)
                .await
                .map(|rest| (extracted, rest))
        };
        let report = self.finish(&warehouse, &load_id, started, (left, skipped, checks::names(&all)), work.await)?;
        self.rewritten(warehouse, report)
    }

    /// Cleans what is loaded and builds the marts; asks no source. `all` replays the rules on all rows, whatever changed.
    pub async fn clean(&self, all: bool) -> Result<Report> {
        let started = Instant::now();
        self.progress.tell(Event::Step { step: "prepare" });
        let rules = prepare(self.pipeline, self.engine, self.search, false).await?.rules;
        let warehouse = self.warehouse()?;
        let loaded: Vec<_> = warehouse.loaded_streams()?.iter().map(crate::warehouse::LoadedStream::name).collect();
        for rule in &rules {
            if let Some(stream) = rule.streams.iter().find(|stream| !loaded.is_empty() && !loaded.contains(stream)) {
                let error = Error::config(format!("rule `{}`: no stream `{stream}` is loaded", rule.name));
                let near = crate::error::nearest(stream, loaded.iter().map(String::as_str));
                return Err(error.on(&rule.place).hint(near.unwrap_or_else(|| "`host run` loads it".to_owned())));
            }
        }
        if loaded.is_empty() {
            let error = Error::config(format!("{} holds no raw data yet", warehouse.path().display()));
            return Err(error.hint("`host run PIPELINE` loads it"));
        }
        let graph = self.models(&warehouse, &[], &[])?;
        let load_id = self.begin(&warehouse, "clean")?;
        warehouse.erase_again(&load_id)?;
        let rest = self.clean_and_build(&warehouse, &rules, graph, &load_id, all).await;
        let report = self.finish_without_sources(&warehouse, &load_id, started, rest);
        self.rewritten(warehouse, report?)
    }

    /// Erases a record and those that are the same from raw, clean and the journal, and builds the marts without them.
    pub async fn forget(&self, record: &str) -> Result<(Forgotten, Report)> {
        let started = Instant::now();
        let rules = prepare(self.pipeline, self.engine, self.search, false).await?.rules;
        let warehouse = self.warehouse()?;
        let (stream, key) = report::find(&warehouse, record)?;
        // It may be gone from the account and here, and still come back by a restored record: it is kept out all the same.
        let graph = self.models(&warehouse, &[], &[])?;
        let load_id = self.begin(&warehouse, "forget")?;
        let forgotten = warehouse.forget(&stream, &key, &load_id)?;
        let rest = self.clean_and_build(&warehouse, &rules, graph, &load_id, false).await;
        let report = self.finish_without_sources(&warehouse, &load_id, started, rest);
        let is_due = warehouse.is_rewrite_due()?;
        let rewritten = if is_due { warehouse.rewrite() } else { Ok(()) };
        let report = report?;
        rewritten.map(|()| (forgotten, report))
    }

    /// Lets a record in again that was forgotten by mistake; gives back whether it was.
    pub fn let_in_again(&self, record: &str) -> Result<bool> {
        let warehouse = self.look()?;
        let (stream, key) = report::find(&warehouse, record)?;
        warehouse.let_in_again(&stream, &key)
    }

    /// Writes the file anew where free blocks alone may hold what was erased. A server's file stays as it is while others
    /// read it.
    fn rewritten(&self, warehouse: Warehouse, mut report: Report) -> Result<Report> {
        let may = self.given.warehouse.is_none() && !*self.stop.borrow();
        if may && warehouse.is_rewrite_due()? && !warehouse.has_erased()? {
            report.warnings.extend(warehouse.rewrite().err().map(|error| error.message));
        }
        Ok(report)
    }

    /// The warehouse, as the pipeline grants it.
    pub fn look(&self) -> Result<Warehouse> {
        let path = self.pipeline.warehouse();
        if !path.exists() {
            let error = Error::config(format!("{} is not there yet", path.display()));
            return Err(error.hint("`host run PIPELINE` makes it"));
        }
        self.warehouse()
    }

    /// Notes that a run begins; gives back its id.
    fn begin(&self, warehouse: &Warehouse, command: &str) -> Result<String> {
        warehouse.drop_leftovers()?;
        let fresh = || Ok(self.clock.load_id(warehouse.last_load_id()?.as_deref()));
        let load_id = self.given.load_id.map_or_else(fresh, |given| Ok(given.to_owned()))?;
        warehouse.begin_run(&load_id, &self.pipeline.file.pipeline.name, command)?;
        Ok(load_id)
    }

    async fn clean_and_build(
        &self,
        warehouse: &Warehouse,
        rules: &[PreparedRule],
        graph: Option<Graph>,
        load_id: &str,
        replay: bool,
    ) -> Result<CleanedAndBuilt> {
        let _stopping = warehouse.stop_when(&self.stop);
        let max_rejected = self.pipeline.file.pipeline.max_rejected;
        let options = clean::Options { load_id: load_id.to_owned(), replay, max_rejected };
        self.progress.tell(Event::Step { step: "clean" });
        let clean = async || clean::clean(warehouse, rules, &options, self.progress, &self.stop).await;
        let cleaned = self.again("clean", clean).await?;
        let changed = cleaned.iter().filter(|stream| !stream.unchanged);
        warehouse.record_steps(load_id, changed.map(Cleaned::step))?;
        let reconciliation = report::reconcile(warehouse)?;
        let Some(graph) = graph else {
            warehouse.no_models_are_clear()?;
            return Ok((cleaned, reconciliation, None));
        };
        let options = marts::Options { after_cleaning: true, ..marts::Options::default() };
        let build = async || self.build_models(&graph, warehouse, load_id, &options);
        let built = self.again("marts", build).await?;
        Ok((cleaned, reconciliation, Some(built)))
    }

    /// The end of a run that asks no source.
    fn finish_without_sources(
        &self,
        warehouse: &Warehouse,
        load_id: &str,
        started: Instant,
        rest: Result<CleanedAndBuilt>,
    ) -> Result<Report> {
        let nothing = (Vec::new(), Vec::new(), Vec::new());
        self.finish(warehouse, load_id, started, nothing, rest.map(|rest| (Vec::new(), rest)))
    }

    fn finish(
        &self,
        warehouse: &Warehouse,
        load_id: &str,
        started: Instant,
        (warnings, skipped, loads): (Vec<String>, Vec<Skipped>, Vec<String>),
        outcome: Result<(Vec<Extracted>, CleanedAndBuilt)>,
    ) -> Result<Report> {
        match outcome {
            Ok((extracted, (cleaned, reconciliation, built))) => {
                let mut warnings = warnings;
                let mut unfinished = warehouse.unfinished_streams()?;
                unfinished.retain(|(stream, has_begun)| *has_begun || loads.contains(stream));
                warnings.extend(unfinished.iter().map(|(stream, has_begun)| {
                    if *has_begun {
                        format!("{stream}: its first load is not complete, nor are figures that rest on it; run again")
                    } else {
                        format!("{stream}: it was never loaded, so that figures that rest on it lack it; run without `--select`")
                    }
                }));
                let tables = report::tables(warehouse, &self.pipeline.file.report).unwrap_or_else(|error| {
                    warnings.push(error.message);
                    Vec::new()
                });
                let is_partial = !unfinished.is_empty() || skipped.iter().any(|skipped| skipped.is_named);
                let status = if is_partial { "partial" } else { "ok" };
                let names: Vec<_> = skipped.iter().map(|skipped| skipped.stream.as_str()).collect();
                let message = if names.is_empty() { String::new() } else { format!("skipped {}", names.join(", ")) };
                warehouse.end_run(load_id, status, &message)?;
                Ok(Report {
                    load_id: load_id.to_owned(),
                    pipeline: self.pipeline.file.pipeline.name.clone(),
                    is_partial,
                    skipped,
                    extracted,
                    cleaned,
                    built,
                    warnings,
                    reconciliation,
                    tables,
                    warehouse: warehouse.path().to_path_buf(),
                    seconds: started.elapsed().as_secs_f64(),
                })
            }
            Err(error) => {
                let status = if error.kind == Kind::Interrupted { "interrupted" } else { "failed" };
                // The error matters more than the note of it.
                let _ = warehouse.end_run(load_id, status, &error.message);
                let safe = format!("run {load_id}: what was committed stays, running again is safe");
                Err(match &error.hint {
                    Some(hint) => Error { hint: Some(format!("{hint}\n      {safe}")), ..error },
                    None => error.hint(safe),
                })
            }
        }
    }
}

/// What `since` means: a day, in the pipeline's time zone, or an instant.
pub fn instant(text: &str, timezone: &str) -> Result<String> {
    let wrong = |cause: jiff::Error| {
        Error::config(format!("`{text}`: {cause}"))
            .hint("write a day such as 2026-10-31 or an instant such as 2026-10-31T12:00:00Z")
    };
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(instant.to_string());
    }
    let day: jiff::civil::Date = text.parse().map_err(wrong)?;
    Ok(day.in_tz(timezone).map_err(wrong)?.timestamp().to_string())
}

//! One run from end to end: prepare, discover, check, extract, clean, build, report. Nothing is written before all of
//! the pipeline has been checked.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::watch;

use crate::clean::{self, Cleaned};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::extract::{self, Extracted};
use crate::marts::{self, Built, Graph};
use crate::pipeline::Pipeline;
use crate::plugin::{Engine, Search};
use crate::prepare::{Prepared, PreparedRule, PreparedSource, prepare};
use crate::progress::Progress;
use crate::report::{self, Report};
use crate::schema::Stream;
use crate::warehouse::{Table, Warehouse};

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
}

/// A source with its account and its streams.
pub struct Discovered {
    /// The source.
    pub source: PreparedSource,
    /// Which account it reaches.
    pub identity: Option<String>,
    /// All of its streams.
    pub streams: Vec<Stream>,
}

/// What cleaning did, and what was built from it.
type CleanedAndBuilt = (Vec<Cleaned>, Option<Built>);

impl Context<'_> {
    /// Finds, compiles and checks the plugins.
    pub async fn prepare(&self) -> Result<Prepared> {
        prepare(self.pipeline, self.engine, self.search).await
    }

    /// Asks every source for its account and its streams.
    pub async fn discover(&self, sources: &[PreparedSource]) -> Result<Vec<Discovered>> {
        let ask = |source: &PreparedSource| {
            let source = source.clone();
            async move {
                let on = |error: Error| error.on(format!("source `{}`", source.name));
                let identity = source.plugin.identity().await.map_err(on)?;
                let streams = source.plugin.discover().await.map_err(on)?;
                Ok(Discovered { source, identity, streams })
            }
        };
        let mut stop = self.stop.clone();
        tokio::select! {
            all = futures_util::future::join_all(sources.iter().map(ask)) => all.into_iter().collect(),
            _ = stop.wait_for(|stopped| *stopped) => Err(Error::new(Kind::Interrupted, "stopped")),
        }
    }

    /// Opens every rule on the schema that its streams will have.
    pub async fn check_rules(&self, rules: &[PreparedRule], sources: &[(PreparedSource, Vec<Stream>)]) -> Result<()> {
        let mut problems = Vec::new();
        for (source, streams) in sources {
            for stream in streams {
                let name = format!("{}.{}", source.name, stream.name);
                let rules: Vec<_> = rules.iter().filter(|rule| rule.streams.contains(&name)).collect();
                if let Err(error) = clean::open(&rules, &name, &stream.schema).await {
                    problems.push(error);
                }
            }
        }
        let known = |name: &String| {
            sources.iter().any(|(source, streams)| {
                streams.iter().any(|stream| *name == format!("{}.{}", source.name, stream.name))
            })
        };
        for rule in rules {
            for stream in rule.streams.iter().filter(|stream| !known(stream)) {
                let names: Vec<_> = sources
                    .iter()
                    .flat_map(|(s, streams)| streams.iter().map(move |t| format!("{}.{}", s.name, t.name)))
                    .collect();
                let error =
                    Error::config(format!("rule `{}`: no stream `{stream}` is loaded", rule.name)).on(&rule.place);
                let hint = crate::error::nearest(stream, names.iter().map(String::as_str));
                problems.push(error.hint(hint.unwrap_or_else(|| "add it to the `streams` of its source".to_owned())));
            }
        }
        Error::all(problems).map_or(Ok(()), Err)
    }

    /// The models, checked against the tables that these streams will have.
    pub fn models(&self, warehouse: &Warehouse, sources: &[(PreparedSource, Vec<Stream>)]) -> Result<Option<Graph>> {
        let Some(marts) = &self.pipeline.file.marts else { return Ok(None) };
        let will_exist = |table: &Table| {
            sources.iter().any(|(source, streams)| {
                streams.iter().any(|stream| {
                    *table == Table::raw(&source.name, &stream.name)
                        || *table == Table::clean(&source.name, &stream.name)
                })
            })
        };
        // Cleaning makes the clean table of every stream that was loaded, even where the first run ended before it.
        let loaded = warehouse.loaded_streams()?;
        let was_loaded = |table: &Table| loaded.iter().any(|s| *table == Table::clean(&s.source, &s.stream));
        let exists =
            |table: &Table| will_exist(table) || was_loaded(table) || matches!(warehouse.columns(table), Ok(Some(_)));
        marts::load(&self.pipeline.path(&marts.path), warehouse, &exists).map(Some)
    }

    /// A warning for each loaded stream that the pipeline no longer has: its tables stay as they were last loaded.
    fn streams_left(&self, warehouse: &Warehouse, all: &[(PreparedSource, Vec<Stream>)]) -> Result<Vec<String>> {
        let has = |source: &str, stream: &str| {
            all.iter().any(|(s, streams)| s.name == source && streams.iter().any(|t| t.name == stream))
        };
        let loaded = warehouse.loaded_streams()?;
        let left = loaded.iter().filter(|loaded| !has(&loaded.source, &loaded.stream));
        let warning = |stream: &crate::warehouse::LoadedStream| {
            let name = stream.name();
            format!("{name}: the pipeline no longer loads it; models that read it see it as it was last loaded")
        };
        Ok(left.map(warning).collect())
    }

    /// Opens the warehouse.
    pub fn warehouse(&self) -> Result<Warehouse> {
        Warehouse::open(&self.pipeline.warehouse(), &self.pipeline.file.pipeline.memory_limit)
    }

    /// The whole way.
    pub async fn run(&self, options: &Options) -> Result<Report> {
        let started = Instant::now();
        let prepared = self.prepare().await?;
        let discovered = self.discover(&prepared.sources).await?;
        let mut all = Vec::new();
        let mut chosen = Vec::new();
        for Discovered { source, streams, .. } in &discovered {
            all.push((source.clone(), source.choose(streams.clone(), &[], self.pipeline)?));
            chosen.push((source.clone(), source.choose(streams.clone(), &options.select, self.pipeline)?));
        }
        self.check_selection(options, &all)?;
        self.check_rules(&prepared.rules, &all).await?;
        let exists = self.pipeline.warehouse().is_file();
        if !exists {
            // What is wrong with the models is said before a file is made.
            self.models(&Warehouse::memory()?, &all)?;
        }
        let warehouse = self.warehouse()?;
        let graph = self.models(&warehouse, &all)?;
        for Discovered { source, identity, .. } in &discovered {
            if let Some(identity) = identity {
                warehouse.bind_identity(&source.name, identity)?;
            }
        }
        let left = self.streams_left(&warehouse, &all)?;
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
            let extracted = extract::extract(&chosen, &warehouse, &extract_options, self.progress, &self.stop).await?;
            extracted.iter().try_for_each(|stream| warehouse.record_step(&load_id, &stream.step()))?;
            self.clean_and_build(&warehouse, &prepared.rules, graph, &load_id, false)
                .await
                .map(|rest| (extracted, rest))
        };
        self.finish(&warehouse, &load_id, started, left, work.await)
    }

    /// Replays the rules from raw and builds the marts; asks no source.
    pub async fn replay(&self) -> Result<Report> {
        let started = Instant::now();
        let rules = self.prepare().await?.rules;
        let warehouse = self.warehouse()?;
        if warehouse.loaded_streams()?.is_empty() {
            let error = Error::config(format!("{} holds no raw data yet", warehouse.path().display()));
            return Err(error.hint("`host run PIPELINE` loads it"));
        }
        let graph = self.models(&warehouse, &[])?;
        let load_id = self.begin(&warehouse, "clean")?;
        let rest = self.clean_and_build(&warehouse, &rules, graph, &load_id, true).await;
        self.finish(&warehouse, &load_id, started, Vec::new(), rest.map(|rest| (Vec::new(), rest)))
    }

    /// Notes that a run begins; gives back its id.
    fn begin(&self, warehouse: &Warehouse, command: &str) -> Result<String> {
        let load_id = self.clock.load_id(warehouse.last_load_id()?.as_deref());
        warehouse.begin_run(&load_id, &self.pipeline.file.pipeline.name, command)?;
        Ok(load_id)
    }

    fn check_selection(&self, options: &Options, all: &[(PreparedSource, Vec<Stream>)]) -> Result<()> {
        let names: Vec<_> =
            all.iter().flat_map(|(s, streams)| streams.iter().map(move |t| format!("{}.{}", s.name, t.name))).collect();
        let unknown =
            |select: &&String| !names.iter().any(|name| name == *select || name.ends_with(&format!(".{select}")));
        match options.select.iter().find(unknown) {
            None => Ok(()),
            Some(select) => {
                let error = Error::config(format!("`--select {select}`: no such stream in this pipeline"));
                Err(error.hint(format!("it has {}", names.join(", "))))
            }
        }
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
        let cleaned = clean::clean(warehouse, rules, load_id, replay, self.progress, &self.stop).await?;
        cleaned
            .iter()
            .filter(|stream| !stream.unchanged)
            .try_for_each(|stream| warehouse.record_step(load_id, &stream.step()))?;
        report::reconcile(warehouse)?;
        let Some(graph) = graph else { return Ok((cleaned, None)) };
        let variables = self.variables();
        let stopped = || *self.stop.borrow();
        let built = tokio::task::block_in_place(|| {
            marts::build(&graph, warehouse, &variables, load_id, self.progress, stopped)
        })?;
        Ok((cleaned, Some(built)))
    }

    fn variables(&self) -> BTreeMap<String, String> {
        let settings = &self.pipeline.file.pipeline;
        let mut variables = self.pipeline.file.marts.as_ref().map(|marts| marts.variables.clone()).unwrap_or_default();
        variables.insert("timezone".to_owned(), settings.timezone.clone());
        variables.insert("currency".to_owned(), settings.currency.clone());
        variables
    }

    fn finish(
        &self,
        warehouse: &Warehouse,
        load_id: &str,
        started: Instant,
        warnings: Vec<String>,
        outcome: Result<(Vec<Extracted>, CleanedAndBuilt)>,
    ) -> Result<Report> {
        match outcome {
            Ok((extracted, (cleaned, built))) => {
                warehouse.end_run(load_id, "ok", "")?;
                let tables = report::tables(warehouse, &self.pipeline.file.report)?;
                Ok(Report {
                    load_id: load_id.to_owned(),
                    pipeline: self.pipeline.file.pipeline.name.clone(),
                    extracted,
                    cleaned,
                    built,
                    warnings,
                    reconciliation: report::reconcile(warehouse)?,
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

//! Sources → raw tables: one task and one warehouse connection a stream, checkpoints on the way.
//! A failed or stopped stream keeps what its last checkpoint committed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Error, Kind, Result};
use crate::plugin::{Part, Reader, SourcePage, SourceSelection, Sweep};
use crate::prepare::PreparedSource;
use crate::progress::{Event, Progress};
use crate::schema::Stream;
use crate::warehouse::{LoadCounts, Step, StreamLoader, Table, Warehouse};

/// A checkpoint commits at this many rows …
const CHECKPOINT_ROWS: usize = 10_000;
/// … or after this long, whichever comes first.
const CHECKPOINT_TIME: Duration = Duration::from_secs(5);

/// What one run asks of extraction.
#[derive(Clone)]
pub struct Options {
    /// The run's id.
    pub load_id: String,
    /// Its instant, in microseconds since 1970.
    pub extracted_at: i64,
    /// Forget the cursors and read everything.
    pub full_refresh: bool,
    /// Read everything changed from this instant (RFC 3339).
    pub since: Option<String>,
}

/// What one stream brought.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Extracted {
    /// `source.stream`.
    pub stream: String,
    /// Rows received.
    pub rows: u64,
    /// Rows written because they differ.
    pub changed: u64,
    /// Rows with a value that does not fit its column.
    pub unfit: u64,
    /// Requests sent; counted with the stream whose reader sent them.
    pub requests: u64,
    /// What the plugin warned of, and what did not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// Reads every chosen stream of every source; the first failure stops the others at their next page.
pub async fn extract(
    sources: &[(PreparedSource, Vec<Stream>)],
    warehouse: &Warehouse,
    options: &Options,
    progress: &Progress,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<Extracted>> {
    let mut tasks = JoinSet::new();
    let (failed, stop_others) = watch::channel(false);
    for (source, streams) in sources {
        for stream in streams.iter().filter(|stream| stream.read_with.is_none()) {
            let task = StreamTask {
                source: source.clone(),
                stream: stream.clone(),
                streams: streams.iter().map(|stream| stream.name.clone()).collect(),
                options: options.clone(),
                progress: progress.clone(),
            };
            let connection = warehouse.another()?;
            let (load_id, extracted_at) = (&options.load_id, options.extracted_at);
            let loader = StreamLoader::open(connection, &source.name, stream, load_id, extracted_at)?;
            let mut loader = loader.of_account(source.account.clone());
            let carried = streams.iter().filter(|other| other.read_with.as_deref() == Some(stream.name.as_str()));
            for each in std::iter::once(stream).chain(carried) {
                loader.ensure(&each.name, &each.schema)?;
            }
            tasks.spawn(task.run(loader, stop.clone(), stop_others.clone()));
        }
    }
    let mut extracted = Vec::new();
    let mut first_error: Option<Error> = None;
    while let Some(joined) = tasks.join_next().await {
        let outcome = joined.unwrap_or_else(|cause| Err(Error::internal(format!("a stream's task ended: {cause}"))));
        match outcome {
            Ok(mut streams) => extracted.append(&mut streams),
            Err(error) => {
                failed.send_replace(true);
                let is_cause = first_error.as_ref().is_none_or(|first| first.kind == Kind::Interrupted);
                if is_cause {
                    first_error = Some(error);
                }
            }
        }
    }
    extracted.sort_by(|a, b| a.stream.cmp(&b.stream));
    first_error.map_or(Ok(extracted), Err)
}

struct StreamTask {
    source: PreparedSource,
    stream: Stream,
    streams: Vec<String>,
    options: Options,
    progress: Progress,
}

impl StreamTask {
    async fn run(
        self,
        mut loader: StreamLoader,
        stop: watch::Receiver<bool>,
        stop_others: watch::Receiver<bool>,
    ) -> Result<Vec<Extracted>> {
        let result = self.read(&mut loader, stop, stop_others).await;
        result.map_err(|error| error.on(format!("stream `{}`", self.name())))
    }

    /// `source.stream`.
    fn name(&self) -> String {
        format!("{}.{}", self.source.name, self.stream.name)
    }

    async fn read(
        &self,
        loader: &mut StreamLoader,
        mut stop: watch::Receiver<bool>,
        mut stop_others: watch::Receiver<bool>,
    ) -> Result<Vec<Extracted>> {
        let started = Instant::now();
        if self.options.full_refresh {
            loader.restart();
        }
        let selection = SourceSelection {
            stream: self.stream.name.clone(),
            streams: self.streams.clone(),
            state: loader.state().map(str::to_owned),
            since: self.options.since.clone(),
        };
        let mut reader = tokio::select! {
            reader = self.source.plugin.open(selection) => reader?,
            _ = stop.wait_for(|stopped| *stopped) => return Err(Error::new(Kind::Interrupted, "stopped")),
            _ = stop_others.wait_for(|stopped| *stopped) => return Err(Error::new(Kind::Interrupted, "stopped")),
        };
        let mut counts: BTreeMap<String, LoadCounts> = BTreeMap::new();
        let mut committed = Instant::now();
        let mut state = loader.state().map(str::to_owned);
        let mut rows = 0;
        let mut pages = 0_u64;
        let mut expected = None;
        loop {
            let page = tokio::select! {
                page = reader.next() => page.map_err(|error| error.on(format!("page {}", pages + 1))),
                _ = stop.wait_for(|stopped| *stopped) => Err(Error::new(Kind::Interrupted, "stopped")),
                _ = stop_others.wait_for(|stopped| *stopped) => Err(Error::new(Kind::Interrupted, "stopped")),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => {
                    if loader.is_incremental() && loader.waiting() > 0 {
                        tokio::task::block_in_place(|| loader.checkpoint(state, false))?;
                    }
                    return Err(error);
                }
            };
            pages += 1;
            let again =
                |part: &Part| part.replace.as_ref().is_some_and(|replace| loader.replaces_again(&part.stream, replace));
            if page.parts.iter().any(again) && loader.is_incremental() {
                let written = tokio::task::block_in_place(|| loader.checkpoint(state.clone(), false))?;
                add(&mut counts, written);
            }
            let (done, total) = (page.done, page.total);
            expected = page.expected.or(expected);
            rows += self.take(page, loader, &mut state)?;
            self.tell(rows, &reader, total, done);
            let due = loader.waiting() >= CHECKPOINT_ROWS || committed.elapsed() >= CHECKPOINT_TIME;
            if done || (due && loader.is_incremental()) {
                let written = tokio::task::block_in_place(|| loader.checkpoint(state.clone(), done))?;
                add(&mut counts, written);
                committed = Instant::now();
            }
            if done {
                let mut streams = self.summary(&counts, &reader, started.elapsed());
                if let Some(expected) = expected {
                    let found = loader.live_rows()?;
                    let own = streams.iter_mut().find(|extracted| extracted.stream == self.name());
                    if let Some(own) = own.filter(|_| found != expected) {
                        own.warnings.push(format!(
                            "the source counts {expected} records, the raw table {found}: it may have changed while it \
                             was read, and the next sweep will tell"
                        ));
                    }
                }
                return Ok(streams);
            }
        }
    }

    fn take(&self, page: SourcePage, loader: &mut StreamLoader, state: &mut Option<String>) -> Result<u64> {
        let mut rows = 0;
        for part in page.parts {
            if !self.streams.contains(&part.stream) {
                return Err(Error::plugin(format!(
                    "the source sent rows of `{}`, which was not asked for",
                    part.stream
                )));
            }
            if part.stream == self.stream.name {
                rows += part.rows.as_ref().map_or(0, |rows| rows.num_rows() as u64);
            }
            loader.add(&part.stream, &part.schema, part.rows, part.replace);
        }
        if let Some(sweep) = page.sweep {
            loader.sweep(sweep == Sweep::First, sweep == Sweep::Last);
        }
        if page.state.is_some() {
            *state = page.state;
        }
        Ok(rows)
    }

    fn tell(&self, rows: u64, reader: &Reader, total: Option<u64>, done: bool) {
        let (requests, allowed) = (reader.requests(), reader.rate());
        self.progress.tell(Event::Extract { stream: self.name(), rows, requests, allowed, total, done });
    }

    fn summary(&self, counts: &BTreeMap<String, LoadCounts>, reader: &Reader, elapsed: Duration) -> Vec<Extracted> {
        let own = |stream: &str| stream == self.stream.name;
        let mut names: Vec<_> = counts.keys().cloned().collect();
        if !names.contains(&self.stream.name) {
            names.push(self.stream.name.clone());
        }
        let extracted = names.into_iter().map(|stream| {
            let LoadCounts { rows, changed, unfit } = counts.get(&stream).copied().unwrap_or_default();
            let mut extracted = Extracted {
                stream: format!("{}.{stream}", self.source.name),
                rows,
                changed,
                unfit,
                ..Extracted::default()
            };
            if unfit > 0 {
                extracted
                    .warnings
                    .push(format!("{unfit} rows hold a value that does not fit its column: see `_unfit`"));
            }
            if own(&stream) {
                extracted.requests = reader.requests();
                extracted.seconds = elapsed.as_secs_f64();
                extracted.warnings.extend_from_slice(reader.warnings());
            }
            extracted
        });
        extracted.collect()
    }
}

fn add(counts: &mut BTreeMap<String, LoadCounts>, written: BTreeMap<String, LoadCounts>) {
    for (stream, written) in written {
        let sum = counts.entry(stream).or_default();
        sum.rows += written.rows;
        sum.changed += written.changed;
        sum.unfit += written.unfit;
    }
}

impl Extracted {
    /// As a line of the run's story.
    #[must_use]
    pub fn step(&self) -> Step {
        let (name, rows_read, rows_changed) = (self.stream.clone(), self.rows, self.changed);
        Step { step: "extract", name, rows_read, rows_changed, requests: self.requests, seconds: self.seconds }
    }
}

/// The raw table of `source.stream`.
#[must_use]
pub fn raw_table(stream: &str) -> Table {
    let (source, stream) = stream.split_once('.').unwrap_or((stream, ""));
    Table::raw(source, stream)
}

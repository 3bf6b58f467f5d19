//! Sources → raw tables: one task, one writer and one warehouse connection a stream, checkpoints on the way.
//! A failed or stopped stream keeps what its last checkpoint committed.

mod writer;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::writer::Writer;
use crate::error::{Error, Kind, Result};
use crate::plugin::{Reader, SourceSelection};
use crate::prepare::PreparedSource;
use crate::progress::{Event, Progress};
use crate::schema::Stream;
use crate::warehouse::{LoadCounts, Step, StreamLoader, Table, Warehouse};

/// Pages that may wait for the one being written.
const PAGES_AHEAD: usize = 2;

/// Pages one after the other that may bring nothing, before it is taken for a reader without end.
const EMPTY_PAGES: u32 = 10_000;

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
    for (source, _) in sources {
        if let Some(account) = &source.account {
            warehouse.share_forgotten(&source.name, account)?;
        }
    }
    let forgotten = warehouse.forgotten()?;
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
                loader.keep_out(each, &forgotten);
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
        loader: StreamLoader,
        stop: watch::Receiver<bool>,
        stop_others: watch::Receiver<bool>,
    ) -> Result<Vec<Extracted>> {
        let result = self.read(loader, stop, stop_others).await;
        result.map_err(|error| error.on(format!("stream `{}`", self.name())))
    }

    /// `source.stream`.
    fn name(&self) -> String {
        format!("{}.{}", self.source.name, self.stream.name)
    }

    /// Reads page by page, while a thread beside it writes what came before.
    async fn read(
        &self,
        mut loader: StreamLoader,
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
        let stopped = || Error::new(Kind::Interrupted, "stopped");
        let mut reader = tokio::select! {
            reader = self.source.plugin.open(selection) => reader?,
            _ = stop.wait_for(|stopped| *stopped) => return Err(stopped()),
            _ = stop_others.wait_for(|stopped| *stopped) => return Err(stopped()),
        };
        let (pages, waiting) = mpsc::channel(PAGES_AHEAD);
        let writer = Writer::new(loader, &self.stream.name, &self.streams);
        let writer = tokio::task::spawn_blocking(move || writer.run(waiting));
        let (mut count, mut rows, mut empty) = (0_u64, 0, 0);
        let failure = loop {
            let page = tokio::select! {
                page = reader.next() => page.map_err(|error| error.on(format!("page {}", count + 1))),
                _ = stop.wait_for(|stopped| *stopped) => Err(stopped()),
                _ = stop_others.wait_for(|stopped| *stopped) => Err(stopped()),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => break Some(error),
            };
            count += 1;
            empty = if page.is_empty() { empty + 1 } else { 0 };
            if empty > EMPTY_PAGES {
                let plugin = &self.source.description.name;
                break Some(Error::plugin(format!(
                    "plugin `{plugin}`: {empty} pages one after the other bring nothing"
                )));
            }
            rows += page.rows_of(&self.stream.name);
            let (done, total) = (page.done, page.total);
            self.tell(rows, &reader, total, done);
            // A writer that is gone says why itself.
            if pages.send(page).await.is_err() || done {
                break None;
            }
        };
        drop(pages);
        let written = writer.await.map_err(|cause| Error::internal(format!("a stream's writer ended: {cause}")))??;
        if let Some(error) = failure {
            return Err(error);
        }
        let mut streams = self.summary(&written.counts, &reader, started.elapsed());
        let own = streams.iter_mut().find(|extracted| extracted.stream == self.name());
        if let (Some(own), Some((expected, found))) = (own, written.miscounted) {
            own.warnings.push(format!(
                "the source counts {expected} records, the raw table {found}: it may have changed while it was read, and \
                 the next sweep will tell"
            ));
        }
        Ok(streams)
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

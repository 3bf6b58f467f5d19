//! Sources → raw tables. Each stream has one task, one writer and one warehouse connection, and commits checkpoints. A failed
//! or stopped stream keeps what its last checkpoint committed.

mod loader;
mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_core::error::{Error, Kind, Result, Subject};
use host_core::progress::{Event, Progress};
use host_core::schema::Stream;
use host_ledger::forgotten;
use host_ledger::steps::{Step, StepName};
use host_plugin::{SourceReader, SourceSelection};
use host_warehouse::Warehouse;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use self::loader::{LoadCounts, SourceAccount, StreamLoader};
use self::writer::Writer;
use crate::prepare::PreparedSource;

/// Pages that may wait while a page is written.
const PAGES_AHEAD: usize = 2;

/// The most empty pages in a row that a reader may return.
const EMPTY_PAGES: u32 = 10_000;

/// The request for an extraction.
#[derive(Clone)]
pub struct ExtractRequest {
    /// The run's id.
    pub load_id: String,
    /// Its instant, in microseconds since 1970.
    pub extracted_at: i64,
    /// Read everything, regardless of the cursors.
    pub full_refresh: bool,
    /// Read everything that changed at or after this instant (RFC 3339).
    pub since: Option<String>,
}

/// What was read from one stream.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ExtractSummary {
    /// `source.stream`.
    pub stream: String,
    /// Rows received.
    pub rows: u64,
    /// Rows written because they differ.
    pub changed: u64,
    /// Rows with a value that does not fit its column.
    pub unfit: u64,
    /// HTTP requests, counted for the stream whose reader sent them.
    pub requests: u64,
    /// Warnings of the plugin, and of values that do not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// Reads every selected stream of every source. The first failure stops the other streams at their next page.
///
/// # Errors
/// The first failure, preferably one that is not an interruption.
pub async fn extract(
    sources: &[(PreparedSource, Vec<Stream>)],
    warehouse: &Warehouse,
    request: &ExtractRequest,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Vec<ExtractSummary>> {
    for (source, _) in sources {
        if let Some(account) = &source.account {
            forgotten::share(warehouse, &source.name, account)?;
        }
    }
    let forgotten = forgotten::counts(warehouse)?;
    let mut tasks = JoinSet::new();
    // The first failure stops the other streams; a stop of the run stops all of them.
    let stop = stop.child_token();
    for (source, streams) in sources {
        let account = source.account.clone().map(|account| Arc::new(SourceAccount::new(account)));
        for stream in streams.iter().filter(|stream| stream.read_with.is_none()) {
            let task = StreamTask {
                source: source.clone(),
                stream: stream.clone(),
                streams: streams.iter().map(|stream| stream.name.clone()).collect(),
                request: request.clone(),
                progress: progress.clone(),
            };
            let connection = warehouse.connect()?;
            let (load_id, extracted_at) = (&request.load_id, request.extracted_at);
            let loader = StreamLoader::open(connection, &source.name, stream, load_id, extracted_at)?;
            let mut loader = loader.with_account(account.clone());
            let carried = streams.iter().filter(|other| other.read_with.as_deref() == Some(stream.name.as_str()));
            for each in std::iter::once(stream).chain(carried) {
                loader.ensure(&each.name, &each.schema)?;
                loader.keep_forgotten_out(each, &forgotten);
            }
            let span = tracing::info_span!("stream", stream = task.name());
            tasks.spawn(task.run(loader, stop.clone()).instrument(span));
        }
    }
    let mut extracted = Vec::new();
    let mut first_error: Option<Error> = None;
    while let Some(joined) = tasks.join_next().await {
        let result =
            joined.unwrap_or_else(|cause| Err(Error::internal(format!("the task of a stream failed: {cause}"))));
        match result {
            Ok(mut streams) => extracted.append(&mut streams),
            Err(error) => {
                stop.cancel();
                // The streams that this failure stops report interruptions.
                let is_first = first_error.as_ref().is_none_or(|first| first.kind == Kind::Interrupted);
                if is_first {
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
    request: ExtractRequest,
    progress: Progress,
}

impl StreamTask {
    async fn run(self, loader: StreamLoader, stop: CancellationToken) -> Result<Vec<ExtractSummary>> {
        let result = self.read(loader, stop).await;
        result.map_err(|error| error.about(&Subject::Stream(self.name())))
    }

    /// `source.stream`.
    fn name(&self) -> String {
        format!("{}.{}", self.source.name, self.stream.name)
    }

    /// Reads page by page, while another thread writes earlier pages.
    async fn read(&self, mut loader: StreamLoader, stop: CancellationToken) -> Result<Vec<ExtractSummary>> {
        let started = Instant::now();
        if self.request.full_refresh {
            loader.restart();
        }
        let selection = SourceSelection {
            stream: self.stream.name.clone(),
            streams: self.streams.clone(),
            state: loader.state().map(str::to_owned),
            since: self.request.since.clone(),
        };
        let mut reader = tokio::select! {
            reader = self.source.plugin.open(selection) => reader?,
            () = stop.cancelled() => return Err(Error::stopped()),
        };
        let (pages, waiting) = mpsc::channel(PAGES_AHEAD);
        let writer = Writer::new(loader, &self.stream.name, &self.streams);
        let writer = tokio::task::spawn_blocking(move || writer.run(waiting));
        let (mut count, mut rows, mut empty) = (0_u64, 0, 0);
        let failure = loop {
            let page = tokio::select! {
                page = reader.next() => page.map_err(|error| error.on(format!("page {}", count + 1))),
                () = stop.cancelled() => Err(Error::stopped()),
            };
            let page = match page {
                Ok(page) => page,
                Err(error) => break Some(error),
            };
            count += 1;
            empty = if page.is_empty() { empty + 1 } else { 0 };
            if empty > EMPTY_PAGES {
                let plugin = &self.source.description.name;
                break Some(Error::plugin(format!("plugin `{plugin}`: {empty} empty pages in a row")));
            }
            rows += page.rows_of(&self.stream.name);
            let (done, total) = (page.done, page.total);
            self.report(rows, &reader, total, done);
            // If the writer ended early, its error is returned below.
            if pages.send(page).await.is_err() || done {
                break None;
            }
        };
        drop(pages);
        let written =
            writer.await.map_err(|cause| Error::internal(format!("the writer of a stream failed: {cause}")))??;
        if let Some(error) = failure {
            return Err(error);
        }
        let mut streams = self.summary(&written.counts, &reader, started.elapsed());
        for ExtractSummary { stream, rows, changed, requests, .. } in &streams {
            tracing::info!("{stream}: {rows} rows read, {changed} changed, {requests} requests");
        }
        let own = streams.iter_mut().find(|extracted| extracted.stream == self.name());
        if let (Some(own), Some((expected, found))) = (own, written.miscounted) {
            own.warnings.push(format!(
                "the source reports {expected} records, the raw table has {found}: the source may have changed while it was \
                 read; the next sweep corrects the table"
            ));
        }
        Ok(streams)
    }

    fn report(&self, rows: u64, reader: &SourceReader, total: Option<u64>, done: bool) {
        let (requests, allowed) = (reader.requests(), reader.requests_per_second());
        self.progress.send(Event::Extract { stream: self.name(), rows, requests, allowed, total, done });
    }

    fn summary(
        &self,
        counts: &BTreeMap<String, LoadCounts>,
        reader: &SourceReader,
        elapsed: Duration,
    ) -> Vec<ExtractSummary> {
        let own = |stream: &str| stream == self.stream.name;
        let mut names: Vec<_> = counts.keys().cloned().collect();
        if !names.contains(&self.stream.name) {
            names.push(self.stream.name.clone());
        }
        let extracted = names.into_iter().map(|stream| {
            let LoadCounts { rows, changed, unfit } = counts.get(&stream).copied().unwrap_or_default();
            let mut extracted = ExtractSummary {
                stream: format!("{}.{stream}", self.source.name),
                rows,
                changed,
                unfit,
                ..ExtractSummary::default()
            };
            if unfit > 0 {
                extracted
                    .warnings
                    .push(format!("{unfit} rows have a value that does not fit its column: it is kept in `_unfit`"));
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

impl ExtractSummary {
    /// The step of the run.
    #[must_use]
    pub fn step(&self) -> Step {
        let (name, rows_read, rows_changed) = (self.stream.clone(), self.rows, self.changed);
        Step { step: StepName::Extract, name, rows_read, rows_changed, requests: self.requests, seconds: self.seconds }
    }
}

//! Writes the pages of a stream on a thread of its own, one checkpoint at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use host_core::error::{Error, Result};
use host_plugin::{Part, SourcePage, Sweep};
use tokio::sync::mpsc::Receiver;

use super::loader::{LoadCounts, PendingSize, StreamLoader};

/// A checkpoint is due at this many rows of one stream.
const CHECKPOINT_ROWS: usize = 10_000;
/// A checkpoint is due after this long.
const CHECKPOINT_TIME: Duration = Duration::from_secs(5);
/// A checkpoint is due at this many bytes of all streams of the reader.
const CHECKPOINT_BYTES: usize = 80 << 20;

/// The same for a first load: one row group of DuckDB, which is compressed and written once. Smaller commits go to the
/// write-ahead log and are compressed again at each checkpoint of the log, which takes 1.5 times as long.
const FIRST_ROWS: usize = 122_880;
/// The same for a first load.
const FIRST_TIME: Duration = Duration::from_secs(10);

/// What a writer wrote.
pub(super) struct WriteSummary {
    /// By stream.
    pub(super) counts: BTreeMap<String, LoadCounts>,
    /// The number of records that the source reports and the number in the raw table, if they differ.
    pub(super) miscounted: Option<(u64, u64)>,
}

/// Writes the pages of one reader.
pub(super) struct Writer {
    loader: StreamLoader,
    stream: String,
    /// The streams that the reader may return.
    streams: Vec<String>,
    state: Option<String>,
    counts: BTreeMap<String, LoadCounts>,
    committed: Instant,
}

impl Writer {
    pub(super) fn new(loader: StreamLoader, stream: &str, streams: &[String]) -> Self {
        let state = loader.state().map(str::to_owned);
        let (stream, streams) = (stream.to_owned(), streams.to_vec());
        Self { loader, stream, streams, state, counts: BTreeMap::new(), committed: Instant::now() }
    }

    /// Writes until the last page. If the pages end before it, the rows so far are committed.
    pub(super) fn run(mut self, mut pages: Receiver<SourcePage>) -> Result<WriteSummary> {
        let mut expected = None;
        let mut is_done = false;
        while let Some(page) = pages.blocking_recv() {
            expected = page.expected.or(expected);
            is_done = page.done;
            self.add(page)?;
            if is_done || (self.is_due() && self.loader.is_incremental()) {
                self.checkpoint(is_done)?;
            }
        }
        if !is_done && self.loader.is_incremental() && self.loader.pending_size().rows > 0 {
            self.checkpoint(false)?;
        }
        let miscounted = match expected.filter(|_| is_done) {
            Some(expected) => {
                let live = self.loader.expected_records()?;
                (!live.contains(&expected)).then(|| (expected, *live.start()))
            }
            None => None,
        };
        Ok(WriteSummary { counts: self.counts, miscounted })
    }

    fn is_due(&self) -> bool {
        let PendingSize { rows, bytes } = self.loader.pending_size();
        let (most, longest) =
            if self.loader.is_fresh() { (FIRST_ROWS, FIRST_TIME) } else { (CHECKPOINT_ROWS, CHECKPOINT_TIME) };
        rows >= most || bytes >= CHECKPOINT_BYTES || self.committed.elapsed() >= longest
    }

    fn add(&mut self, page: SourcePage) -> Result<()> {
        if let Some(unexpected) = page.parts.iter().find(|part| !self.streams.contains(&part.stream)) {
            let (stream, other) = (&self.stream, &unexpected.stream);
            return Err(Error::plugin(format!(
                "the reader of `{stream}` sent rows of `{other}`, which was not requested"
            )));
        }
        let is_replace_pending = |part: &Part| {
            part.replace.as_ref().is_some_and(|replace| self.loader.is_replace_pending(&part.stream, replace))
        };
        if page.parts.iter().any(is_replace_pending) && self.loader.is_incremental() {
            self.checkpoint(false)?;
        }
        for part in page.parts {
            self.loader.add(&part.stream, &part.schema, part.rows, part.replace, part.memory)?;
        }
        if let Some(sweep) = page.sweep {
            self.loader.mark_sweep(sweep == Sweep::First, sweep == Sweep::Last);
        }
        if page.state.is_some() {
            self.state = page.state;
        }
        Ok(())
    }

    fn checkpoint(&mut self, done: bool) -> Result<()> {
        for (stream, written) in self.loader.checkpoint(self.state.clone(), done)? {
            let sum = self.counts.entry(stream).or_default();
            sum.rows += written.rows;
            sum.changed += written.changed;
            sum.unfit += written.unfit;
        }
        self.committed = Instant::now();
        Ok(())
    }
}

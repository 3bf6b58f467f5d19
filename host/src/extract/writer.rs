//! Writes a stream's pages on a thread of its own, a checkpoint at a time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use crate::error::{Error, Result};
use crate::plugin::{Part, SourcePage, Sweep};
use crate::warehouse::{LoadCounts, StreamLoader, Waiting};

/// A checkpoint commits at this many rows of a stream, …
const CHECKPOINT_ROWS: usize = 10_000;
/// … after this long, …
const CHECKPOINT_TIME: Duration = Duration::from_secs(5);
/// … or at this many bytes of all that the reader brings, whichever comes first.
const CHECKPOINT_BYTES: usize = 80 << 20;

/// A first load commits a row group of DuckDB's at a time: that is compressed and written once. Fewer rows are written
/// to its log, and compressed anew with each checkpoint of the log, which costs half as much again.
const FIRST_ROWS: usize = 122_880;
const FIRST_TIME: Duration = Duration::from_secs(10);

/// What was written.
pub(super) struct Written {
    /// By stream.
    pub(super) counts: BTreeMap<String, LoadCounts>,
    /// How many records the source counts and the raw table has, where those differ.
    pub(super) miscounted: Option<(u64, u64)>,
}

/// Writes the pages of one reader.
pub(super) struct Writer {
    loader: StreamLoader,
    stream: String,
    /// The streams that the reader may bring.
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

    /// Writes until the last page, or until no more comes: then what waits is kept.
    pub(super) fn run(mut self, mut pages: Receiver<SourcePage>) -> Result<Written> {
        let mut expected = None;
        let mut is_done = false;
        while let Some(page) = pages.blocking_recv() {
            expected = page.expected.or(expected);
            is_done = page.done;
            self.take(page)?;
            if is_done || (self.is_due() && self.loader.is_incremental()) {
                self.checkpoint(is_done)?;
            }
        }
        if !is_done && self.loader.is_incremental() && self.loader.waiting().rows > 0 {
            self.checkpoint(false)?;
        }
        let miscounted = match expected.filter(|_| is_done) {
            Some(expected) => {
                let live = self.loader.live_rows()?;
                (!live.contains(&expected)).then(|| (expected, *live.start()))
            }
            None => None,
        };
        Ok(Written { counts: self.counts, miscounted })
    }

    fn is_due(&self) -> bool {
        let Waiting { rows, bytes } = self.loader.waiting();
        let (most, longest) =
            if self.loader.is_fresh() { (FIRST_ROWS, FIRST_TIME) } else { (CHECKPOINT_ROWS, CHECKPOINT_TIME) };
        rows >= most || bytes >= CHECKPOINT_BYTES || self.committed.elapsed() >= longest
    }

    fn take(&mut self, page: SourcePage) -> Result<()> {
        if let Some(unasked) = page.parts.iter().find(|part| !self.streams.contains(&part.stream)) {
            let (stream, other) = (&self.stream, &unasked.stream);
            return Err(Error::plugin(format!(
                "the reader of `{stream}` sent rows of `{other}`, which was not asked for"
            )));
        }
        let again = |part: &Part| {
            part.replace.as_ref().is_some_and(|replace| self.loader.replaces_again(&part.stream, replace))
        };
        if page.parts.iter().any(again) && self.loader.is_incremental() {
            self.checkpoint(false)?;
        }
        for part in page.parts {
            self.loader.add(&part.stream, &part.schema, part.rows, part.replace)?;
        }
        if let Some(sweep) = page.sweep {
            self.loader.sweep(sweep == Sweep::First, sweep == Sweep::Last);
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

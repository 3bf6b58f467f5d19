//! Raw tables → rules → clean tables. Raw tables are never altered. A stream whose rows and rules did not change is skipped.

mod chain;
mod flow;
mod journal;
mod order;
mod pipe;
mod publish;
mod row_scope;
mod sample;
mod table_scope;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use host_core::error::{Error, Result, Subject};
use host_core::progress::{Event, Progress};
use host_core::schema::Schema;
use host_ledger::cleanings::{self, Cleaning, SegmentRecord};
use host_ledger::steps::{Step, StepName};
use host_ledger::streams::{self, LoadedStream};
use host_ledger::{models, versions};
use host_warehouse::{Table, Warehouse};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::pipeline::{InputName, StreamName};
use crate::prepare::PreparedRule;

pub use chain::{Chain, merges_schema, open};
use flow::StreamCleaning;
pub use host_ledger::journal::RuleCounts;
use journal::Journal;
pub use pipe::pipe;
pub use sample::{SampleChange, SampleRemark, SampleReport, loaded, sample};

/// What cleaning did to one stream.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct CleanSummary {
    /// `source.stream`.
    pub stream: String,
    /// Whether it was skipped because neither rows nor rules changed.
    pub unchanged: bool,
    /// Why all rows were cleaned again, such as "rule `x` changed". Empty if only rows changed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// Raw rows that went through the rules.
    pub rows: u64,
    /// What each rule did, in order.
    pub rules: Vec<RuleCounts>,
    /// Warnings of plugins.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// The request for a cleaning.
#[derive(Debug, Clone)]
pub struct CleanRequest {
    /// The run's id.
    pub load_id: String,
    /// Run the rules on all rows, changed or not.
    pub replay: bool,
    /// The share of a stream's rows, from 0 to 1, above which rejects fail the run.
    pub max_rejected: f64,
}

/// Cleans every loaded stream. A stream is cleaned after the streams that its rules read.
///
/// # Errors
/// Rules that read each other's streams in a cycle, and the first stream that fails.
pub async fn clean(
    warehouse: &Warehouse,
    rules: &[PreparedRule],
    request: &CleanRequest,
    progress: &Progress,
    stop: &CancellationToken,
) -> Result<Vec<CleanSummary>> {
    let mut cleaned = Vec::new();
    for stream in order::order(streams::loaded(warehouse)?, rules)? {
        if stop.is_cancelled() {
            return Err(Error::stopped());
        }
        let name = stream.name();
        let rules: Vec<_> = rules.iter().filter(|rule| rule.streams.contains(&name)).collect();
        let task = CleanTask { warehouse, stream: &stream, rules: &rules, request, progress };
        let span = tracing::info_span!("stream", stream = name);
        let result = task.run().instrument(span).await;
        cleaned.push(result.map_err(|error| {
            // The failure matters more than staged tables, which the next run drops too.
            let _ = models::drop_leftovers(warehouse);
            error.about(&Subject::Stream(name))
        })?);
    }
    cleaned.sort_by(|a, b| a.stream.cmp(&b.stream));
    Ok(cleaned)
}

struct CleanTask<'a> {
    warehouse: &'a Warehouse,
    stream: &'a LoadedStream,
    rules: &'a [&'a PreparedRule],
    request: &'a CleanRequest,
    progress: &'a Progress,
}

impl CleanTask<'_> {
    async fn run(&self) -> Result<CleanSummary> {
        let started = Instant::now();
        let name = self.stream.name();
        let (raw, clean) = self.tables();
        let schema = self.schema(&raw)?;
        let fingerprint = self.fingerprint(&schema)?;
        let version = versions::of_table(self.warehouse, &raw)?.unwrap_or_default();
        let before = cleanings::last(self.warehouse, &name)?;
        let exists = self.warehouse.exists(&clean)?;
        let now = Cleaning { fingerprint, raw_load_id: version };
        if !self.request.replay && exists && before.as_ref() == Some(&now) {
            let seconds = started.elapsed().as_secs_f64();
            return Ok(CleanSummary { stream: name, unchanged: true, seconds, ..CleanSummary::default() });
        }
        let cleaned = publish::CleanedStream {
            stream: self.stream,
            raw: &raw,
            clean: &clean,
            cleaning: &now,
            load_id: &self.request.load_id,
            max_rejected: self.request.max_rejected,
        };
        if self.rules.is_empty() {
            publish::publish_view(self.warehouse, &cleaned)?;
            let seconds = started.elapsed().as_secs_f64();
            return Ok(CleanSummary { stream: name, seconds, ..CleanSummary::default() });
        }
        let inputs = self.input_schemas()?;
        let mut chain = open(self.rules, &name, &schema, &|input| inputs.get(input).cloned()).await?;
        let masked = chain.masked();
        let fingerprints = order::segment_fingerprints(&chain, self.columns_and_rules(&schema), &masked);
        let (last_records, reusable) = self.reusable_segments(&fingerprints, exists)?;
        let journal = Journal::begin(self.warehouse, self.stream, &self.request.load_id, masked)?;
        let report = |rows| self.progress.send(Event::Clean { stream: name.clone(), rows, done: false });
        let cleaning = StreamCleaning {
            warehouse: self.warehouse,
            stream: self.stream,
            schema: &schema,
            journal: &journal,
            report: &report,
            fingerprints,
            last_records,
            reusable,
        };
        let since = before.as_ref().map_or("", |before| before.raw_load_id.as_str());
        let output = cleaning.run(&mut chain, &raw, since).await?;
        let counts = chain.counts();
        let (rows, seconds) = (output.rows, || started.elapsed().as_secs_f64());
        if !output.is_changed {
            publish::record_unchanged(self.warehouse, &cleaned, &output.segments)?;
            return Ok(CleanSummary { stream: name, unchanged: true, seconds: seconds(), ..CleanSummary::default() });
        }
        publish::publish(self.warehouse, &cleaned, &output.segments, &counts)?;
        self.progress.send(Event::Clean { stream: name.clone(), rows, done: true });
        tracing::info!("{name}: {rows} rows cleaned");
        let because = match &before {
            Some(before) if before.fingerprint != now.fingerprint => {
                order::difference(&before.fingerprint, &now.fingerprint)
            }
            _ => String::new(),
        };
        let warnings = chain.warnings();
        Ok(CleanSummary { stream: name, unchanged: false, because, rows, rules: counts, warnings, seconds: seconds() })
    }

    /// The records of the last cleaning's segments, and how many segments, from the first, still have a usable output.
    fn reusable_segments(&self, fingerprints: &[String], exists: bool) -> Result<(Vec<SegmentRecord>, usize)> {
        // The journal cannot tell apart the entries of two rules of the same name.
        let names: BTreeSet<_> = self.rules.iter().map(|rule| &rule.name).collect();
        if self.request.replay || !exists || names.len() < self.rules.len() {
            return Ok((Vec::new(), 0));
        }
        let mut records = cleanings::last_segments(self.warehouse, &self.stream.name())?;
        for (at, record) in records.iter_mut().enumerate().take(fingerprints.len()) {
            let table = flow::segment_table(self.stream, at, fingerprints.len());
            if !self.warehouse.exists(&table)? {
                record.fingerprint.clear();
            }
        }
        let is_same = |(record, now): &(&SegmentRecord, &String)| record.fingerprint == **now;
        let reusable = records.iter().zip(fingerprints).take_while(is_same).count();
        Ok((records, reusable))
    }

    /// What the clean table depends on apart from raw rows: the raw columns, the rules in order, and the versions of their
    /// further inputs. One line each.
    fn fingerprint(&self, schema: &Schema) -> Result<String> {
        let (columns, rules) = self.columns_and_rules(schema);
        let mut lines = [columns, rules].concat();
        let mut inputs = self.rules.iter().flat_map(|rule| rule.inputs.values()).peekable();
        let versions = if inputs.peek().is_some() { versions::numbers(self.warehouse)? } else { BTreeMap::new() };
        for input in inputs {
            let StreamName { source, stream } = &input.stream;
            let table = Table::clean(source, stream).full_name().to_lowercase();
            let version = versions.get(&table).map(String::as_str).unwrap_or_default();
            lines.push(format!("input {}={version}", input.stream));
        }
        Ok(lines.join("\n"))
    }

    /// The raw columns and the rules, one line each.
    fn columns_and_rules(&self, schema: &Schema) -> (Vec<String>, Vec<String>) {
        let columns = schema.fields.iter().map(|field| format!("column {}={}", field.name, field.data_type.sql()));
        let rules = self.rules.iter().map(|rule| format!("rule {}={}", rule.name, rule.fingerprint));
        (columns.collect(), rules.collect())
    }

    /// The schemas of the rules' further inputs that are loaded.
    fn input_schemas(&self) -> Result<BTreeMap<InputName, Schema>> {
        let loaded = streams::loaded(self.warehouse)?;
        let mut schemas = BTreeMap::new();
        for input in self.rules.iter().flat_map(|rule| rule.inputs.values()) {
            let is_input = |one: &&LoadedStream| one.source == input.stream.source && one.stream == input.stream.stream;
            let Some(LoadedStream { source, stream, primary_key, .. }) = loaded.iter().find(is_input) else { continue };
            if input.is_merges {
                schemas.insert(input.clone(), merges_schema());
            } else if let Some(fields) = self.warehouse.columns(&Table::clean(source, stream))? {
                let primary_key = primary_key.clone();
                schemas.insert(input.clone(), Schema { fields, primary_key, cursor: None });
            }
        }
        Ok(schemas)
    }

    fn tables(&self) -> (Table, Table) {
        (self.stream.raw(), self.stream.clean())
    }

    fn schema(&self, raw: &Table) -> Result<Schema> {
        let fields = self.warehouse.columns(raw)?;
        let fields = fields.ok_or_else(|| Error::internal(format!("{raw} does not exist")))?;
        Ok(Schema { fields, primary_key: self.stream.primary_key.clone(), cursor: None })
    }
}

impl CleanSummary {
    /// The step of the run.
    #[must_use]
    pub fn step(&self) -> Step {
        let changed = self.rules.iter().map(|rule| rule.changed + rule.rejected + rule.merged).sum();
        let (name, rows_read) = (self.stream.clone(), self.rows);
        Step { step: StepName::Clean, name, rows_read, rows_changed: changed, requests: 0, seconds: self.seconds }
    }
}

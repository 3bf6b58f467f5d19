//! Raw tables → rules → clean tables. Raw is never altered; a stream whose rows and rules are as they were is left alone.

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

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};
use crate::pipeline::{InputName, StreamName};
use crate::prepare::PreparedRule;
use crate::progress::{Event, Progress};
use crate::schema::Schema;
use crate::warehouse::{LoadedStream, Step, Table, Warehouse};

pub use chain::{Chain, merges_schema, open};
use flow::{Flow, Known};
use journal::Journal;
pub use pipe::pipe;
pub use sample::{Change, Remark, Sampled, loaded, sample};

/// What cleaning did to one stream.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Cleaned {
    /// `source.stream`.
    pub stream: String,
    /// Whether it was left alone, since neither rows nor rules changed.
    pub unchanged: bool,
    /// What changed since it was last cleaned, beside its rows; empty where they alone did.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// Raw rows that went through the rules.
    pub rows: u64,
    /// What each rule did, in order.
    pub rules: Vec<RuleCounts>,
    /// What plugins warned of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Duration in seconds.
    pub seconds: f64,
}

/// What one rule did to one stream.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct RuleCounts {
    /// The rule's name.
    pub rule: String,
    /// Rows it looked at.
    pub checked: u64,
    /// Fields it changed.
    pub changed: u64,
    /// Rows it refused.
    pub rejected: u64,
    /// Rows it merged into others.
    pub merged: u64,
    /// Remarks it made.
    pub notes: u64,
    /// Rows that it refused, merged or remarked on.
    pub failed: u64,
}

/// How streams are cleaned.
#[derive(Debug, Clone)]
pub struct Options {
    /// The run's id.
    pub load_id: String,
    /// Run the rules on all rows, whatever changed.
    pub replay: bool,
    /// The share of a stream's rows, from 0 to 1, above which rejects fail the run.
    pub max_rejected: f64,
}

/// Cleans every loaded stream, those first that the rules of others read.
pub async fn clean(
    warehouse: &Warehouse,
    rules: &[PreparedRule],
    options: &Options,
    progress: &Progress,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<Cleaned>> {
    let mut cleaned = Vec::new();
    for stream in order::order(warehouse.loaded_streams()?, rules)? {
        if *stop.borrow() {
            return Err(Error::new(Kind::Interrupted, "stopped"));
        }
        let name = stream.name();
        let rules: Vec<_> = rules.iter().filter(|rule| rule.streams.contains(&name)).collect();
        let task = Task { warehouse, stream: &stream, rules: &rules, options, progress };
        let result = task.run().await;
        cleaned.push(result.map_err(|error| {
            // Why it failed is worth more than that what it built aside is still there: the next run drops that too.
            let _ = warehouse.drop_leftovers();
            error.on(format!("stream `{name}`"))
        })?);
    }
    cleaned.sort_by(|a, b| a.stream.cmp(&b.stream));
    Ok(cleaned)
}

struct Task<'a> {
    warehouse: &'a Warehouse,
    stream: &'a LoadedStream,
    rules: &'a [&'a PreparedRule],
    options: &'a Options,
    progress: &'a Progress,
}

impl Task<'_> {
    async fn run(&self) -> Result<Cleaned> {
        let started = Instant::now();
        let name = self.stream.name();
        let (raw, clean) = self.tables();
        let schema = self.schema(&raw)?;
        let fingerprint = self.fingerprint(&schema)?;
        let version = self.warehouse.table_version(&raw)?.unwrap_or_default();
        let before = self.warehouse.last_clean(&name)?;
        let exists = self.warehouse.columns(&clean)?.is_some();
        let same_rules = exists && before.as_ref().is_some_and(|before| before.0 == fingerprint);
        if !self.options.replay && same_rules && before.as_ref().is_some_and(|before| before.1 == version) {
            let seconds = started.elapsed().as_secs_f64();
            return Ok(Cleaned { stream: name, unchanged: true, seconds, ..Cleaned::default() });
        }
        let done = publish::Done {
            stream: self.stream,
            raw: &raw,
            clean: &clean,
            fingerprint: &fingerprint,
            version: &version,
            load_id: &self.options.load_id,
            max_rejected: self.options.max_rejected,
        };
        if self.rules.is_empty() {
            publish::view(self.warehouse, &done)?;
            let seconds = started.elapsed().as_secs_f64();
            return Ok(Cleaned { stream: name, seconds, ..Cleaned::default() });
        }
        let inputs = self.inputs()?;
        let mut chain = open(self.rules, &name, &schema, &|input| inputs.get(input).cloned()).await?;
        let masked = chain.masked();
        let fingerprints = order::segments(&chain, self.basis(&schema), &masked);
        let (known, valid) = self.known(&fingerprints, exists)?;
        let journal = Journal::begin(self.warehouse, &name, &self.options.load_id, masked)?;
        let tell = |rows| self.progress.tell(Event::Clean { stream: name.clone(), rows, done: false });
        let flow = Flow {
            warehouse: self.warehouse,
            stream: self.stream,
            schema: &schema,
            journal: &journal,
            tell: &tell,
            fingerprints,
            known,
            valid,
        };
        let since = before.as_ref().map_or("", |before| before.1.as_str());
        let flowed = flow.run(&mut chain, &raw, since).await?;
        let counts = chain.counts();
        let (rows, seconds) = (flowed.rows, || started.elapsed().as_secs_f64());
        if !flowed.is_changed {
            publish::unchanged(self.warehouse, &done, &flowed.outputs)?;
            return Ok(Cleaned { stream: name, unchanged: true, seconds: seconds(), ..Cleaned::default() });
        }
        publish::publish(self.warehouse, &done, &flowed.outputs, &counts)?;
        self.progress.tell(Event::Clean { stream: name.clone(), rows, done: true });
        let because = match &before {
            Some((before, _)) if *before != fingerprint => order::difference(before, &fingerprint),
            _ => String::new(),
        };
        let warnings = chain.warnings();
        Ok(Cleaned { stream: name, unchanged: false, because, rows, rules: counts, warnings, seconds: seconds() })
    }

    /// What the last cleaning remembered of each segment, and how many of them, from the first, still stand.
    fn known(&self, fingerprints: &[String], exists: bool) -> Result<(Vec<Known>, usize)> {
        // What two rules of one name did cannot be told apart in the journal.
        let names: BTreeSet<_> = self.rules.iter().map(|rule| &rule.name).collect();
        if self.options.replay || !exists || names.len() < self.rules.len() {
            return Ok((Vec::new(), 0));
        }
        let mut known = self.warehouse.known_segments(&self.stream.name())?;
        for (at, known) in known.iter_mut().enumerate().take(fingerprints.len()) {
            let place = flow::place(self.stream, at, fingerprints.len());
            if self.warehouse.columns(&place)?.is_none() {
                known.0.clear();
            }
        }
        let stands = |(known, now): &(&Known, &String)| known.fingerprint == **now;
        let known: Vec<_> = known.into_iter().map(|(fingerprint, digest)| Known { fingerprint, digest }).collect();
        let valid = known.iter().zip(fingerprints).take_while(stands).count();
        Ok((known, valid))
    }

    /// What the clean table depends on beside raw's rows: raw's columns, the rules in their order, and what they read
    /// beside the stream.
    fn fingerprint(&self, schema: &Schema) -> Result<String> {
        let (columns, rules) = self.basis(schema);
        let mut lines = [columns, rules].concat();
        for input in self.rules.iter().flat_map(|rule| rule.inputs.values()) {
            let StreamName { source, stream } = &input.stream;
            let version = self.warehouse.table_version(&Table::clean(source, stream))?.unwrap_or_default();
            lines.push(format!("input {}={version}", input.stream));
        }
        Ok(lines.join("\n"))
    }

    /// Raw's columns and the rules, a line each.
    fn basis(&self, schema: &Schema) -> (Vec<String>, Vec<String>) {
        let columns = schema.fields.iter().map(|field| format!("column {}={}", field.name, field.data_type.sql()));
        let rules = self.rules.iter().map(|rule| format!("rule {}={}", rule.name, rule.fingerprint));
        (columns.collect(), rules.collect())
    }

    /// The schemas of what rules read beside the stream, of what is loaded.
    fn inputs(&self) -> Result<BTreeMap<InputName, Schema>> {
        let loaded = self.warehouse.loaded_streams()?;
        let mut schemas = BTreeMap::new();
        for input in self.rules.iter().flat_map(|rule| rule.inputs.values()) {
            let is_it = |one: &&LoadedStream| one.source == input.stream.source && one.stream == input.stream.stream;
            let Some(LoadedStream { source, stream, primary_key, .. }) = loaded.iter().find(is_it) else { continue };
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
        let LoadedStream { source, stream, .. } = self.stream;
        (Table::raw(source, stream), Table::clean(source, stream))
    }

    fn schema(&self, raw: &Table) -> Result<Schema> {
        let fields = self.warehouse.columns(raw)?;
        let fields = fields.ok_or_else(|| Error::internal(format!("{raw} is gone")))?;
        Ok(Schema { fields, primary_key: self.stream.primary_key.clone(), cursor: None })
    }
}

impl Cleaned {
    /// As a line of the run's story.
    #[must_use]
    pub fn step(&self) -> Step {
        let changed = self.rules.iter().map(|rule| rule.changed + rule.rejected + rule.merged).sum();
        let (name, rows_read) = (self.stream.clone(), self.rows);
        Step { step: "clean", name, rows_read, rows_changed: changed, requests: 0, seconds: self.seconds }
    }
}

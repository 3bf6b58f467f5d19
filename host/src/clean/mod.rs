//! Raw tables → rules → clean tables. Raw is never altered; a stream whose rows and rules are as they were is left alone.

mod chain;
mod journal;
mod publish;
mod row_scope;
mod table_scope;

use std::time::Instant;

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};
use crate::prepare::PreparedRule;
use crate::progress::{Event, Progress};
use crate::schema::{LOAD_ID, Schema};
use crate::warehouse::{LoadedStream, Step, Table, Warehouse, literal};

pub use chain::{Chain, open};
use journal::Journal;

/// What cleaning did to one stream.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Cleaned {
    /// `source.stream`.
    pub stream: String,
    /// Whether it was left alone, since neither rows nor rules changed.
    pub unchanged: bool,
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

/// Cleans every loaded stream; `replay` runs the rules on all rows whatever changed.
pub async fn clean(
    warehouse: &Warehouse,
    rules: &[PreparedRule],
    load_id: &str,
    replay: bool,
    progress: &Progress,
    stop: &watch::Receiver<bool>,
) -> Result<Vec<Cleaned>> {
    let mut cleaned = Vec::new();
    for stream in warehouse.loaded_streams()? {
        if *stop.borrow() {
            return Err(Error::new(Kind::Interrupted, "stopped"));
        }
        let name = stream.name();
        let rules: Vec<_> = rules.iter().filter(|rule| rule.streams.contains(&name)).collect();
        let task = Task { warehouse, stream: &stream, rules: &rules, load_id, replay, progress };
        cleaned.push(task.run().await.map_err(|error| error.on(format!("stream `{name}`")))?);
    }
    Ok(cleaned)
}

struct Task<'a> {
    warehouse: &'a Warehouse,
    stream: &'a LoadedStream,
    rules: &'a [&'a PreparedRule],
    load_id: &'a str,
    replay: bool,
    progress: &'a Progress,
}

impl Task<'_> {
    async fn run(&self) -> Result<Cleaned> {
        let started = Instant::now();
        let name = self.stream.name();
        let (raw, clean) = self.tables();
        let schema = self.schema(&raw)?;
        let fingerprint = self.fingerprint(&schema);
        let version = self.warehouse.table_version(&raw)?.unwrap_or_default();
        let before = self.warehouse.last_clean(&name)?;
        let exists = self.warehouse.columns(&clean)?.is_some();
        let same_rules = exists && before.as_ref().is_some_and(|before| before.0 == fingerprint);
        if !self.replay && same_rules && before.as_ref().is_some_and(|before| before.1 == version) {
            let seconds = started.elapsed().as_secs_f64();
            return Ok(Cleaned { stream: name, unchanged: true, seconds, ..Cleaned::default() });
        }
        let done = publish::Done { stream: &name, clean: &clean, fingerprint: &fingerprint, version: &version };
        if self.rules.is_empty() {
            publish::view(self.warehouse, &raw, &done, self.load_id)?;
            let seconds = started.elapsed().as_secs_f64();
            return Ok(Cleaned { stream: name, seconds, ..Cleaned::default() });
        }
        let mut chain = open(self.rules, &name, &schema).await?;
        // Rows are deleted in streams that are replaced or carried; those are cleaned whole.
        let incremental = !self.replay && same_rules && chain.is_row_scope() && self.stream.only_grows();
        let since = before.map(|before| before.1).filter(|_| incremental);
        let condition = since.as_ref().map(|since| format!(" WHERE {LOAD_ID} > {}", literal(since)));
        let mut journal = Journal::begin(self.warehouse, &name, self.load_id)?;
        let stage = clean.suffixed("__next");
        let rows = self.work(&mut chain, &schema, &raw, &stage, condition.as_deref(), &mut journal).await?;
        let counts = chain.counts();
        let key = &schema.primary_key;
        match &condition {
            Some(condition) => {
                publish::merge(self.warehouse, &raw, condition, &stage, key, &done, self.load_id, &counts)?;
            }
            None => publish::replace(self.warehouse, &stage, &done, self.load_id, &counts)?,
        }
        self.progress.tell(Event::Clean { stream: name.clone(), rows, done: true });
        let seconds = started.elapsed().as_secs_f64();
        Ok(Cleaned { stream: name, unchanged: false, rows, rules: counts, warnings: chain.warnings(), seconds })
    }

    /// What the clean table depends on beside raw's rows: raw's columns, and the rules in their order.
    fn fingerprint(&self, schema: &Schema) -> String {
        let columns = schema.fields.iter().map(|field| format!("{} {}", field.name, field.data_type.sql()));
        let rules = self.rules.iter().map(|rule| format!("{}={}", rule.name, rule.fingerprint));
        columns.chain(rules).collect::<Vec<_>>().join("\n")
    }

    /// Runs the chain into the stage table: row rules batch by batch, each table rule over the stage so far.
    async fn work(
        &self,
        chain: &mut Chain,
        schema: &Schema,
        raw: &Table,
        stage: &Table,
        condition: Option<&str>,
        journal: &mut Journal<'_>,
    ) -> Result<u64> {
        let source = format!("SELECT * FROM {raw}{}", condition.unwrap_or_default());
        self.warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", crate::warehouse::quote(&stage.schema)))?;
        let mut rows = None;
        let mut from = source;
        for segment in chain.segments() {
            if segment.is_row_scope {
                let target = stage.suffixed(&format!("_{}", segment.rules.start));
                let tell = |rows| self.progress.tell(Event::Clean { stream: self.stream.name(), rows, done: false });
                let read = row_scope::run(self.warehouse, chain, &segment, &from, &target, schema, journal, tell)?;
                rows.get_or_insert(read);
                self.warehouse.execute(&format!("DROP TABLE IF EXISTS {stage}"))?;
                self.warehouse.rename(&target, &stage.name)?;
            } else {
                if rows.is_none() {
                    let count = self.warehouse.value(&format!("SELECT count(*) FROM ({from})"), &[])?;
                    rows = count.and_then(|count| count.parse().ok());
                    self.warehouse.execute(&format!("CREATE OR REPLACE TABLE {stage} AS {from}"))?;
                }
                table_scope::run(self.warehouse, chain, &segment, stage, schema, journal).await?;
            }
            from = format!("SELECT * FROM {stage}");
        }
        table_scope::survivors_stay(self.warehouse, stage, schema)?;
        Ok(rows.unwrap_or_default())
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

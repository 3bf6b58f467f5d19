//! Raw tables → rules → clean tables. Raw is never altered; a stream whose rows and rules are as they were is left alone.

mod chain;
mod journal;
mod order;
mod publish;
mod row_scope;
mod table_scope;

use std::time::Instant;

use tokio::sync::watch;

use crate::error::{Error, Kind, Result};
use crate::pipeline::{InputName, StreamName};
use crate::prepare::PreparedRule;
use crate::progress::{Event, Progress};
use crate::schema::{LOAD_ID, Schema};
use crate::warehouse::{LoadedStream, Step, Table, Warehouse, literal};

pub use chain::{Chain, merges_schema, open};
use journal::Journal;

/// What cleaning did to one stream.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Cleaned {
    /// `source.stream`.
    pub stream: String,
    /// Whether it was left alone, since neither rows nor rules changed.
    pub unchanged: bool,
    /// Why it was cleaned whole, though it had been cleaned before; empty where only new rows were.
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
        cleaned.push(task.run().await.map_err(|error| error.on(format!("stream `{name}`")))?);
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
        let done = publish::Done { stream: &name, clean: &clean, fingerprint: &fingerprint, version: &version };
        if self.rules.is_empty() {
            publish::view(self.warehouse, &raw, &done, &self.options.load_id)?;
            let seconds = started.elapsed().as_secs_f64();
            return Ok(Cleaned { stream: name, seconds, ..Cleaned::default() });
        }
        let schema_of = |input: &InputName| self.schema_of(input).ok().flatten();
        let mut chain = open(self.rules, &name, &schema, &schema_of).await?;
        // Rows are deleted in streams that are replaced or carried; those are cleaned whole.
        let incremental = !self.options.replay && same_rules && chain.is_row_scope() && self.stream.only_grows();
        let because = match &before {
            Some((before, _)) if !same_rules => order::difference(before, &fingerprint),
            _ => String::new(),
        };
        let since = before.map(|before| before.1).filter(|_| incremental);
        let condition = since.as_ref().map(|since| format!(" WHERE {LOAD_ID} > {}", literal(since)));
        let journal = Journal::begin(self.warehouse, &name, &self.options.load_id, chain.masked())?;
        let stage = clean.suffixed("__next");
        let rows = self.work(&mut chain, &schema, &raw, &stage, condition.as_deref(), &journal).await?;
        let counts = chain.counts();
        self.check_rejected(rows, &counts)?;
        let key = &schema.primary_key;
        match &condition {
            Some(condition) => {
                publish::merge(self.warehouse, &raw, condition, &stage, key, &done, &self.options.load_id, &counts)?;
            }
            None => publish::replace(self.warehouse, &stage, &done, &self.options.load_id, &counts)?,
        }
        self.progress.tell(Event::Clean { stream: name.clone(), rows, done: true });
        let seconds = started.elapsed().as_secs_f64();
        let warnings = chain.warnings();
        Ok(Cleaned { stream: name, unchanged: false, because, rows, rules: counts, warnings, seconds })
    }

    /// What the clean table depends on beside raw's rows: raw's columns, the rules in their order, and what they read
    /// beside the stream.
    fn fingerprint(&self, schema: &Schema) -> Result<String> {
        let columns = schema.fields.iter().map(|field| format!("column {}={}", field.name, field.data_type.sql()));
        let rules = self.rules.iter().map(|rule| format!("rule {}={}", rule.name, rule.fingerprint));
        let mut lines: Vec<_> = columns.chain(rules).collect();
        for input in self.rules.iter().flat_map(|rule| rule.inputs.values()) {
            let StreamName { source, stream } = &input.stream;
            let version = self.warehouse.table_version(&Table::clean(source, stream))?.unwrap_or_default();
            lines.push(format!("input {}={version}", input.stream));
        }
        Ok(lines.join("\n"))
    }

    /// The schema of what a rule reads beside the stream.
    fn schema_of(&self, input: &InputName) -> Result<Option<Schema>> {
        let StreamName { source, stream } = &input.stream;
        let loaded = self.warehouse.loaded_streams()?;
        let Some(loaded) = loaded.into_iter().find(|one| one.source == *source && one.stream == *stream) else {
            return Ok(None);
        };
        if input.is_merges {
            return Ok(Some(merges_schema()));
        }
        let fields = self.warehouse.columns(&Table::clean(source, stream))?;
        Ok(fields.map(|fields| Schema { fields, primary_key: loaded.primary_key, cursor: None }))
    }

    /// Rules that refuse too much are rather wrong than right.
    fn check_rejected(&self, rows: u64, counts: &[RuleCounts]) -> Result<()> {
        let rejected: u64 = counts.iter().map(|rule| rule.rejected).sum();
        #[expect(clippy::cast_precision_loss, reason = "a share, to compare with one")]
        let share = rejected as f64 / rows.max(1) as f64;
        if share <= self.options.max_rejected {
            return Ok(());
        }
        let worst = counts.iter().max_by_key(|rule| rule.rejected).map_or("", |rule| rule.rule.as_str());
        let error = Error::data(format!(
            "rules reject {rejected} of {rows} rows, most of them `{worst}`: more than `max_rejected` = {}",
            self.options.max_rejected
        ));
        Err(error.hint(format!(
            "look at the rule `{worst}`, or set `max_rejected` in `[pipeline]` to a share above {share:.3}"
        )))
    }

    /// Runs the chain into the stage table: row rules batch by batch, each table rule over the stage so far.
    async fn work(
        &self,
        chain: &mut Chain,
        schema: &Schema,
        raw: &Table,
        stage: &Table,
        condition: Option<&str>,
        journal: &Journal<'_>,
    ) -> Result<u64> {
        self.warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", crate::warehouse::quote(&stage.schema)))?;
        let mut rows = None;
        let mut from = (raw, condition.unwrap_or_default());
        for segment in chain.segments() {
            if segment.is_row_scope {
                let target = stage.suffixed(&format!("_{}", segment.rules.start));
                let tell = |rows| self.progress.tell(Event::Clean { stream: self.stream.name(), rows, done: false });
                let read = row_scope::run(self.warehouse, chain, &segment, from, &target, schema, journal, tell)?;
                rows.get_or_insert(read);
                self.warehouse.execute(&format!("DROP TABLE IF EXISTS {stage}"))?;
                self.warehouse.rename(&target, &stage.name)?;
            } else {
                if rows.is_none() {
                    let (table, condition) = from;
                    self.warehouse
                        .execute(&format!("CREATE OR REPLACE TABLE {stage} AS SELECT * FROM {table}{condition}"))?;
                    let count = self.warehouse.value(&format!("SELECT count(*) FROM {stage}"), &[])?;
                    rows = count.and_then(|count| count.parse().ok());
                }
                table_scope::run(self.warehouse, chain, &segment, stage, schema, journal).await?;
            }
            from = (stage, "");
        }
        journal.flush()?;
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

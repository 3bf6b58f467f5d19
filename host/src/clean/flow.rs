//! Moves a stream's rows through the segments of its rules: all rows, or only those that changed since the last cleaning.
//! Nothing is published here: the output of each segment is a staged table beside the table that it will replace.

use host_core::error::Result;
use host_core::schema::{LOAD_ID, Schema};
use host_ledger::StreamTable;
use host_ledger::cleanings::SegmentRecord;
use host_ledger::journal::keys_in;
use host_ledger::streams::LoadedStream;
use host_warehouse::{Table, Warehouse, key_text, literal, quote_all};

use super::chain::{Chain, Segment};
use super::journal::Journal;
use super::{row_scope, table_scope};

/// The suffixes of scratch tables, which exist for one segment to read: all rows, and changed rows.
pub(super) const SCRATCH_SUFFIXES: [&str; 2] = ["__next_0", "__next_1"];

/// The output of one segment.
pub(super) struct SegmentOutput {
    /// The table that keeps its rows until the next cleaning. For the last segment this is the clean table.
    pub(super) table: Table,
    /// Its rows, staged.
    pub(super) staged: Table,
    /// The temporary table of the keys whose rows the staged rows replace. If none, they replace all rows.
    pub(super) changed_keys: Option<String>,
    /// The rules that ran, on the changed keys or on all rows.
    pub(super) rules_run: Vec<String>,
    pub(super) record: SegmentRecord,
}

/// The input of one segment.
struct SegmentInput {
    /// The table of the rows that the segment reads.
    table: Table,
    /// A `WHERE` clause that selects them; empty if the segment reads the whole table.
    condition: String,
    /// The temporary table of the keys of rows that changed since the last cleaning. None if these are all rows.
    changed_keys: Option<String>,
    /// A query of all rows, changed or not.
    all_rows: String,
}

/// One cleaning of one stream.
pub(super) struct StreamCleaning<'a> {
    pub(super) warehouse: &'a Warehouse,
    pub(super) stream: &'a LoadedStream,
    pub(super) schema: &'a Schema,
    pub(super) journal: &'a Journal<'a>,
    /// Receives the number of rows read so far.
    pub(super) report: &'a dyn Fn(u64),
    /// What the output of each segment depends on now.
    pub(super) fingerprints: Vec<String>,
    /// The records of the last cleaning, by segment. Empty if every row is cleaned again.
    pub(super) last_records: Vec<SegmentRecord>,
    /// How many segments, from the first, kept an output into which changed rows can be merged.
    pub(super) reusable: usize,
}

/// The outputs of all segments.
pub(super) struct CleaningOutput {
    /// Raw rows that the first segment read.
    pub(super) rows: u64,
    /// In the order of the segments.
    pub(super) segments: Vec<SegmentOutput>,
    /// Whether anything differs from the last cleaning.
    pub(super) is_changed: bool,
}

/// The table that keeps the output of the segment at this position, of so many segments.
pub(super) fn segment_table(stream: &LoadedStream, at: usize, segments: usize) -> Table {
    let LoadedStream { source, stream, .. } = stream;
    if at + 1 == segments { Table::clean(source, stream) } else { Table::kept(source, stream, at) }
}

impl StreamCleaning<'_> {
    /// Runs the chain over all raw rows or, if the first segment's output can be reused, over those that the runs after
    /// `since` loaded.
    pub(super) async fn run(&self, chain: &mut Chain, raw: &Table, since: &str) -> Result<CleaningOutput> {
        let segments = chain.segments();
        let tables: Vec<_> = (0..segments.len()).map(|at| segment_table(self.stream, at, segments.len())).collect();
        for table in &tables {
            self.warehouse.create_schema_of(table)?;
        }
        let mut input = if self.reusable == 0 { all_of(raw) } else { self.changed_raw(raw, since, &tables[0])? };
        let rows = self.count(&format!("{raw}{}", input.condition))?;
        let mut is_changed = match &input.changed_keys {
            Some(changed_keys) => self.count(&format!("temp.{changed_keys}"))? > 0,
            None => true,
        };
        let mut outputs = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let (table, is_last) = (&tables[at], at + 1 == segments.len());
            let (output, next) = if segment.is_row_scope {
                self.row_scope(chain, segment, at, table, input)?
            } else {
                self.table_scope(chain, segment, at, table, input, is_last).await?
            };
            is_changed |= output.changed_keys.is_none();
            outputs.push(output);
            input = next;
        }
        self.journal.flush()?;
        Ok(CleaningOutput { rows, segments: outputs, is_changed })
    }

    fn count(&self, from: &str) -> Result<u64> {
        self.warehouse.count(&format!("SELECT count(*) FROM {from}"), ())
    }

    /// Puts the keys of changed rows into a temporary table; `keys` is a query of them.
    fn record_changed_keys(&self, at: usize, keys: &str) -> Result<String> {
        let name = format!("changed_keys_{at}");
        self.warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE {name} AS {keys}"))?;
        Ok(name)
    }

    /// The raw rows that a later run wrote. The keys of rows that raw no longer has count as changed too.
    fn changed_raw(&self, raw: &Table, since: &str, first: &Table) -> Result<SegmentInput> {
        let key = key_text(&self.schema.primary_key);
        let condition = format!(" WHERE {LOAD_ID} > {}", literal(since));
        let before =
            format!("SELECT {key} AS key FROM {first} UNION ALL {}", keys_in(self.stream, StreamTable::Rejects));
        let gone = format!("SELECT key FROM ({before}) WHERE key NOT IN (SELECT {key} FROM {raw})");
        let keys = format!("SELECT {key} AS key FROM {raw}{condition} UNION {gone}");
        let changed_keys = Some(self.record_changed_keys(0, &keys)?);
        Ok(SegmentInput { table: raw.clone(), condition, changed_keys, all_rows: format!("SELECT * FROM {raw}") })
    }

    fn row_scope(
        &self,
        chain: &mut Chain,
        segment: &Segment,
        at: usize,
        table: &Table,
        input: SegmentInput,
    ) -> Result<(SegmentOutput, SegmentInput)> {
        let staged = table.suffixed("__next");
        let input = match &input.changed_keys {
            // The segment's own rules changed: it reads all rows, though the segments before it did not.
            Some(_) if at >= self.reusable => {
                let all = table.suffixed(SCRATCH_SUFFIXES[0]);
                self.warehouse.execute(&format!("CREATE OR REPLACE TABLE {all} AS {}", input.all_rows))?;
                all_of(&all)
            }
            _ => input,
        };
        let from = (&input.table, input.condition.as_str());
        row_scope::run(self.warehouse, chain, segment, from, &staged, self.schema, self.journal, self.report)?;
        let next = self.staged_input(table, &staged, input.changed_keys.clone());
        let rules_run = chain.rule_names(segment);
        let record = SegmentRecord { fingerprint: self.fingerprints[at].clone(), digest: String::new() };
        let table = table.clone();
        Ok((SegmentOutput { table, staged, changed_keys: input.changed_keys, rules_run, record }, next))
    }

    async fn table_scope(
        &self,
        chain: &mut Chain,
        segment: &Segment,
        at: usize,
        table: &Table,
        input: SegmentInput,
        is_last: bool,
    ) -> Result<(SegmentOutput, SegmentInput)> {
        let staged = table.suffixed("__next");
        let digest = table_scope::digest(self.warehouse, chain, segment, &input.all_rows, self.schema)?;
        let record = SegmentRecord { fingerprint: self.fingerprints[at].clone(), digest };
        if self.last_records.get(at) == Some(&record) {
            let from = (&input.table, input.condition.as_str());
            table_scope::reuse_verdicts(
                self.warehouse,
                chain,
                segment,
                from,
                table,
                &staged,
                self.schema,
                self.journal,
            )?;
            let next = self.staged_input(table, &staged, input.changed_keys.clone());
            let (table, changed_keys) = (table.clone(), input.changed_keys);
            return Ok((SegmentOutput { table, staged, changed_keys, rules_run: Vec::new(), record }, next));
        }
        self.warehouse.execute(&format!("CREATE OR REPLACE TABLE {staged} AS {}", input.all_rows))?;
        table_scope::run(self.warehouse, chain, segment, &staged, self.schema, self.journal).await?;
        let next =
            if at < self.reusable && !is_last { self.changed_rows(at + 1, &staged, table)? } else { all_of(&staged) };
        let (table, rules_run) = (table.clone(), chain.rule_names(segment));
        Ok((SegmentOutput { table, staged, changed_keys: None, rules_run, record }, next))
    }

    /// The rows of a staged table that differ from the table that it will replace.
    fn changed_rows(&self, at: usize, new: &Table, old: &Table) -> Result<SegmentInput> {
        let columns = self.warehouse.columns(new)?.unwrap_or_default();
        let columns = quote_all(columns.iter().map(|field| field.name.as_str()), "");
        let key = key_text(&self.schema.primary_key);
        let rows = |table: &Table| format!("SELECT {key} AS key, hash(hash({columns})) AS row_hash FROM {table}");
        let (new_rows, old_rows) = (rows(new), rows(old));
        let keys = format!(
            "SELECT DISTINCT key FROM (({new_rows} EXCEPT ALL {old_rows}) UNION ALL ({old_rows} EXCEPT ALL {new_rows}))"
        );
        let changed_keys = self.record_changed_keys(at, &keys)?;
        let table = old.suffixed(SCRATCH_SUFFIXES[1]);
        self.warehouse.execute(&format!(
            "CREATE OR REPLACE TABLE {table} AS SELECT * FROM {new} WHERE {key} IN (SELECT key FROM temp.{changed_keys})"
        ))?;
        let all_rows = format!("SELECT * FROM {new}");
        Ok(SegmentInput { table, condition: String::new(), changed_keys: Some(changed_keys), all_rows })
    }

    /// The staged rows of a segment as the input of the next one. With changed keys, all rows are the staged ones and the
    /// rows of other keys in `table`.
    fn staged_input(&self, table: &Table, staged: &Table, changed_keys: Option<String>) -> SegmentInput {
        let Some(changed_keys) = changed_keys else { return all_of(staged) };
        let key = key_text(&self.schema.primary_key);
        let all_rows = format!(
            "SELECT * FROM {table} WHERE {key} NOT IN (SELECT key FROM temp.{changed_keys}) \
             UNION ALL BY NAME SELECT * FROM {staged}"
        );
        SegmentInput { all_rows, changed_keys: Some(changed_keys), ..all_of(staged) }
    }
}

/// All rows of a table as a segment's input.
fn all_of(table: &Table) -> SegmentInput {
    let all_rows = format!("SELECT * FROM {table}");
    SegmentInput { table: table.clone(), condition: String::new(), changed_keys: None, all_rows }
}

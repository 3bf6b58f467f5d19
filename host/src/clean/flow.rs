//! A stream's rows on their way through the segments of its rules: all of them, or those alone that differ from the last
//! time. Nothing is published here: each segment's output is a stage beside the table that keeps it.

use super::chain::{Chain, Segment};
use super::journal::Journal;
use super::{row_scope, table_scope};
use crate::error::Result;
use crate::schema::{LOAD_ID, Schema};
use crate::warehouse::{LoadedStream, Table, Warehouse, key_text, literal, quote, quote_all};

/// What marks the tables that are made for one segment to read: all rows, or those that differ.
pub(super) const ASIDE: [&str; 2] = ["__next_0", "__next_1"];

/// What is remembered of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The columns, rules, configs, files and components that it rests on.
    pub(super) fingerprint: String,
    /// Of what a rule of table scope was shown; empty for row scope.
    pub(super) digest: String,
}

/// What a segment made.
pub(super) struct Output {
    /// Where its rows are kept until the next cleaning: the clean table, after the last segment.
    pub(super) place: Table,
    /// Its rows, built aside.
    pub(super) stage: Table,
    /// The temporary table of the keys whose rows the stage replaces; all rows where there is none.
    pub(super) touched: Option<String>,
    /// The rules that ran: on those keys, or on all.
    pub(super) ran: Vec<String>,
    pub(super) known: Known,
}

/// Rows between two segments.
struct Rows {
    /// The rows that the next segment looks at, and the condition that they meet there.
    table: Table,
    condition: String,
    /// The temporary table with the keys of what differs from the last time; none where the rows are all there are.
    touched: Option<String>,
    /// A query of all rows.
    all: String,
}

/// One cleaning of one stream.
pub(super) struct Flow<'a> {
    pub(super) warehouse: &'a Warehouse,
    pub(super) stream: &'a LoadedStream,
    pub(super) schema: &'a Schema,
    pub(super) journal: &'a Journal<'a>,
    pub(super) tell: &'a dyn Fn(u64),
    /// By segment, what each rests on now.
    pub(super) fingerprints: Vec<String>,
    /// What the last cleaning remembered, by segment; nothing where all is to be done anew.
    pub(super) known: Vec<Known>,
    /// How many segments, from the first, kept an output that changed rows can be merged into.
    pub(super) valid: usize,
}

/// What came of it.
pub(super) struct Flowed {
    /// Raw rows that went in.
    pub(super) rows: u64,
    /// By segment.
    pub(super) outputs: Vec<Output>,
    /// Whether anything differs from the last cleaning.
    pub(super) is_changed: bool,
}

/// Where the rows are kept that leave a segment.
pub(super) fn place(stream: &LoadedStream, at: usize, segments: usize) -> Table {
    let LoadedStream { source, stream, .. } = stream;
    if at + 1 == segments { Table::clean(source, stream) } else { Table::kept(source, stream, at) }
}

impl Flow<'_> {
    /// Runs the chain over the raw rows that were loaded after `since`, where something is kept, or over all.
    pub(super) async fn run(&self, chain: &mut Chain, raw: &Table, since: &str) -> Result<Flowed> {
        let segments = chain.segments();
        let places: Vec<_> = (0..segments.len()).map(|at| place(self.stream, at, segments.len())).collect();
        for place in &places {
            self.warehouse.execute(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote(&place.schema)))?;
        }
        let mut rows = if self.valid == 0 { all_of(raw) } else { self.changed_raw(raw, since, &places[0])? };
        let count = self.count(&format!("{raw}{}", rows.condition))?;
        let mut is_changed = match &rows.touched {
            Some(touched) => self.count(&format!("temp.{touched}"))? > 0,
            None => true,
        };
        let mut outputs = Vec::new();
        for (at, segment) in segments.iter().enumerate() {
            let (place, is_last) = (&places[at], at + 1 == segments.len());
            let (output, next) = if segment.is_row_scope {
                self.row_scope(chain, segment, at, place, rows)?
            } else {
                self.table_scope(chain, segment, at, place, rows, is_last).await?
            };
            is_changed |= output.touched.is_none();
            outputs.push(output);
            rows = next;
        }
        self.journal.flush()?;
        Ok(Flowed { rows: count, outputs, is_changed })
    }

    fn count(&self, from: &str) -> Result<u64> {
        let count = self.warehouse.value(&format!("SELECT count(*) FROM {from}"), &[])?;
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or_default())
    }

    /// Keys whose rows differ, in a temporary table.
    fn touch(&self, at: usize, keys: &str) -> Result<String> {
        let name = format!("touched_{at}");
        self.warehouse.execute(&format!("CREATE OR REPLACE TEMP TABLE {name} AS {keys}"))?;
        Ok(name)
    }

    /// The raw rows that a later load wrote; touched, too, are those that raw no longer has.
    fn changed_raw(&self, raw: &Table, since: &str, first: &Table) -> Result<Rows> {
        let key = key_text(&self.schema.primary_key);
        let condition = format!(" WHERE {LOAD_ID} > {}", literal(since));
        let known = format!(
            "SELECT {key} AS key FROM {first} UNION ALL SELECT key FROM _host.rejects WHERE stream = {}",
            literal(&self.stream.name())
        );
        let gone = format!("SELECT key FROM ({known}) WHERE key NOT IN (SELECT {key} FROM {raw})");
        let keys = format!("SELECT {key} AS key FROM {raw}{condition} UNION {gone}");
        let touched = Some(self.touch(0, &keys)?);
        Ok(Rows { table: raw.clone(), condition, touched, all: format!("SELECT * FROM {raw}") })
    }

    fn row_scope(
        &self,
        chain: &mut Chain,
        segment: &Segment,
        at: usize,
        place: &Table,
        rows: Rows,
    ) -> Result<(Output, Rows)> {
        let stage = place.suffixed("__next");
        let rows = match &rows.touched {
            // The rules changed, what comes before them did not.
            Some(_) if at >= self.valid => {
                let all = place.suffixed(ASIDE[0]);
                self.warehouse.execute(&format!("CREATE OR REPLACE TABLE {all} AS {}", rows.all))?;
                all_of(&all)
            }
            _ => rows,
        };
        let from = (&rows.table, rows.condition.as_str());
        row_scope::run(self.warehouse, chain, segment, from, &stage, self.schema, self.journal, self.tell)?;
        let next = self.staged(place, &stage, rows.touched.clone());
        let ran = chain.names(segment);
        let known = Known { fingerprint: self.fingerprints[at].clone(), digest: String::new() };
        Ok((Output { place: place.clone(), stage, touched: rows.touched, ran, known }, next))
    }

    async fn table_scope(
        &self,
        chain: &mut Chain,
        segment: &Segment,
        at: usize,
        place: &Table,
        rows: Rows,
        is_last: bool,
    ) -> Result<(Output, Rows)> {
        let stage = place.suffixed("__next");
        let digest = table_scope::digest(self.warehouse, chain, segment, &rows.all, self.schema)?;
        let known = Known { fingerprint: self.fingerprints[at].clone(), digest };
        if self.known.get(at) == Some(&known) {
            let old = (&rows.table, rows.condition.as_str(), place);
            table_scope::decided_before(self.warehouse, chain, segment, old, &stage, self.schema, self.journal)?;
            let next = self.staged(place, &stage, rows.touched.clone());
            let output = Output { place: place.clone(), stage, touched: rows.touched, ran: Vec::new(), known };
            return Ok((output, next));
        }
        self.warehouse.execute(&format!("CREATE OR REPLACE TABLE {stage} AS {}", rows.all))?;
        table_scope::run(self.warehouse, chain, segment, &stage, self.schema, self.journal).await?;
        let next = if at < self.valid && !is_last { self.differing(at + 1, &stage, place)? } else { all_of(&stage) };
        let ran = chain.names(segment);
        Ok((Output { place: place.clone(), stage, touched: None, ran, known }, next))
    }

    /// The rows of a table that are not as they were in the one that it will replace.
    fn differing(&self, at: usize, new: &Table, old: &Table) -> Result<Rows> {
        let columns = self.warehouse.columns(new)?.unwrap_or_default();
        let columns = quote_all(columns.iter().map(|field| field.name.as_str()), "");
        let key = key_text(&self.schema.primary_key);
        let rows = |table: &Table| format!("SELECT {key} AS key, hash(hash({columns})) AS print FROM {table}");
        let (new_rows, old_rows) = (rows(new), rows(old));
        let keys = format!(
            "SELECT DISTINCT key FROM (({new_rows} EXCEPT ALL {old_rows}) UNION ALL ({old_rows} EXCEPT ALL {new_rows}))"
        );
        let touched = self.touch(at, &keys)?;
        let table = old.suffixed(ASIDE[1]);
        self.warehouse.execute(&format!(
            "CREATE OR REPLACE TABLE {table} AS SELECT * FROM {new} WHERE {key} IN (SELECT key FROM temp.{touched})"
        ))?;
        Ok(Rows { table, condition: String::new(), touched: Some(touched), all: format!("SELECT * FROM {new}") })
    }

    /// Staged rows: all there are, or those that stand in their place for the ones of the touched keys.
    fn staged(&self, place: &Table, stage: &Table, touched: Option<String>) -> Rows {
        let Some(touched) = touched else { return all_of(stage) };
        let key = key_text(&self.schema.primary_key);
        let all = format!(
            "SELECT * FROM {place} WHERE {key} NOT IN (SELECT key FROM temp.{touched}) \
             UNION ALL BY NAME SELECT * FROM {stage}"
        );
        Rows { all, touched: Some(touched), ..all_of(stage) }
    }
}

/// All rows of a table.
fn all_of(table: &Table) -> Rows {
    let all = format!("SELECT * FROM {table}");
    Rows { table: table.clone(), condition: String::new(), touched: None, all }
}

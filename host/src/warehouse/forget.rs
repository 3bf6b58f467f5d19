//! Erases people: their rows go from every table, and a hash of each key keeps them out of later loads.

use std::collections::BTreeMap;

use super::{LoadedStream, Row, StreamLoader, Table, Warehouse, key_text, literal, quote};
use crate::error::{Error, Result};
use crate::schema::Stream;

/// What was erased.
#[derive(Debug, Default, serde::Serialize)]
pub struct Forgotten {
    /// How many records of the stream: the one that was named, and those that are the same person.
    pub records: usize,
    /// Rows erased of each table, `schema.name`.
    pub rows: Vec<(String, usize)>,
}

impl Warehouse {
    /// How many records of each stream were forgotten, by `source.stream`.
    pub fn forgotten(&self) -> Result<BTreeMap<String, u64>> {
        let rows = self.query("SELECT stream, count(*) AS records FROM _host.forgotten GROUP BY stream", &[])?;
        let of = |row: &Row| Some((row.get("stream")?.as_str()?.to_owned(), row.get("records")?.as_u64()?));
        Ok(rows.iter().filter_map(of).collect())
    }

    /// Erases a record, and those that merged with it, from raw, clean, what is kept between rules and the journal, in one transaction. What a load
    /// brings of them later goes before it is committed. `load_id` notes that the tables changed.
    pub fn forget(&self, stream: &LoadedStream, key: &str, load_id: &str) -> Result<Forgotten> {
        let name = stream.name();
        let sql = "WITH survivor AS (SELECT coalesce((SELECT min(survivor_key) FROM _host.merges \
                   WHERE stream = ?1 AND key = ?2), ?2) AS key) SELECT key FROM survivor \
                   UNION SELECT key FROM _host.merges WHERE stream = ?1 AND survivor_key = (SELECT key FROM survivor)";
        let keys = self.query(sql, &[&name, key])?;
        let keys: Vec<_> = keys.iter().filter_map(|row| row.get("key")?.as_str()).map(literal).collect();
        let (records, keys) = (keys.len(), keys.join(", "));
        self.transaction(|| {
            let mut forgotten = Forgotten { records, rows: Vec::new() };
            for other in self.loaded_streams()? {
                let (raw, clean) =
                    (Table::raw(&other.source, &other.stream), Table::clean(&other.source, &other.stream));
                let condition = match (other.name() == name, other.source == stream.source) {
                    (true, _) => Some(format!("{} IN ({keys})", key_text(&other.primary_key))),
                    (false, true) => {
                        referring(&other, &stream.stream).map(|column| format!("{column} IN ({keys})")).reduce(or)
                    }
                    (false, false) => None,
                };
                let Some(condition) = condition else { continue };
                let kept = self.kept_tables(&other.source, &other.stream)?;
                for table in [&raw, &clean].into_iter().chain(&kept) {
                    // A stream without rules is a view of its raw table.
                    if self.columns(table)?.is_some() && !self.is_view(table)? {
                        let count = self.change(&format!("DELETE FROM {table} WHERE {condition}"), &[])?;
                        forgotten.rows.push((format!("{}.{}", table.schema, table.name), count));
                    }
                }
                self.touch(&raw, load_id)?;
                self.touch(&clean, load_id)?;
            }
            for table in ["changes", "rejects", "notes", "merges"] {
                let also = if table == "merges" { format!(" OR survivor_key IN ({keys})") } else { String::new() };
                let sql = format!("DELETE FROM _host.{table} WHERE stream = ? AND (key IN ({keys}){also})");
                let count = self.change(&sql, &[&name])?;
                forgotten.rows.push((format!("_host.{table}"), count));
            }
            let seen = format!("DELETE FROM _host.seen WHERE source = ? AND stream = ? AND key IN ({keys})");
            self.change(&seen, &[&stream.source, &stream.stream])?;
            let note = format!(
                "INSERT INTO _host.forgotten SELECT {name}, sha256(key), now() FROM (SELECT unnest([{keys}]) AS key) \
                 WHERE sha256(key) NOT IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = {name})",
                name = literal(&name)
            );
            self.change(&note, &[])?;
            forgotten.rows.retain(|(_, count)| *count > 0);
            Ok(forgotten)
        })
    }
}

impl Warehouse {
    /// Writes the file anew and closes it: DuckDB leaves what was deleted in free blocks until they are used again. The
    /// new file takes the old one's place whole.
    pub fn rewrite(self) -> Result<()> {
        let path = self.path.clone();
        let mut next = path.clone().into_os_string();
        next.push(".next");
        let next = std::path::PathBuf::from(next);
        let on = |error: Error| {
            let error = error.on(format!("{}, the warehouse without what was erased", next.display()));
            error.hint("the rows are gone, but their bytes are still in free blocks of the warehouse: the same command again writes it anew")
        };
        let broken = |cause: std::io::Error| on(Error::config(cause.to_string()));
        if next.exists() {
            std::fs::remove_file(&next).map_err(broken)?;
        }
        let this = self.value("SELECT current_database()", &[])?.unwrap_or_default();
        let written = self.execute(&format!(
            "CHECKPOINT; ATTACH {} AS rewritten; COPY FROM DATABASE {} TO rewritten; DETACH rewritten",
            literal(&next.to_string_lossy()),
            quote(&this)
        ));
        written.map_err(on)?;
        drop(self);
        std::fs::rename(&next, &path).map_err(broken)
    }
}

fn or(left: String, right: String) -> String {
    format!("{left} OR {right}")
}

/// The columns of a stream that hold keys of another of its source.
fn referring<'a>(stream: &'a LoadedStream, to: &'a str) -> impl Iterator<Item = String> + 'a {
    stream.refers.iter().filter(move |(_, referred)| referred == to).map(|(column, _)| quote(column))
}

/// Streams of which records were forgotten, that one stream's rows are or refer to: by the SQL of their key.
#[derive(Debug, Clone, Default)]
pub(super) struct Forgetting {
    conditions: Vec<String>,
}

impl Forgetting {
    /// What must not come back into a stream's table.
    fn of(source: &str, stream: &Stream, forgotten: &BTreeMap<String, u64>) -> Self {
        let own = (key_text(&stream.schema.primary_key), &stream.name);
        let others = stream.refers.iter().map(|(column, to)| (format!("{}::VARCHAR", quote(column)), to));
        let named = std::iter::once(own).chain(others).map(|(key, to)| (key, format!("{source}.{to}")));
        let condition = |(key, name): (String, String)| {
            let hashes = format!("SELECT key_sha256 FROM _host.forgotten WHERE stream = {}", literal(&name));
            format!("sha256({key}) IN ({hashes})")
        };
        Self { conditions: named.filter(|(_, name)| forgotten.contains_key(name)).map(condition).collect() }
    }
}

impl StreamLoader {
    /// Notes what must not come back, of the stream and those that it carries; `forgotten` is how many, by stream.
    pub fn keep_out(&mut self, stream: &Stream, forgotten: &BTreeMap<String, u64>) {
        if stream.name == self.stream {
            let name = format!("{}.{}", self.source, stream.name);
            self.forgotten = forgotten.get(&name).copied().unwrap_or_default();
        }
        self.forgetting.insert(stream.name.clone(), Forgetting::of(&self.source, stream, forgotten));
    }

    /// Takes out what this load brought of forgotten records; gives back how many rows.
    pub(super) fn drop_forgotten(&self, stream: &str) -> Result<u64> {
        let Some(forgetting) = self.forgetting.get(stream).filter(|one| !one.conditions.is_empty()) else {
            return Ok(0);
        };
        let table = Table::raw(&self.source, stream);
        let sql = format!("DELETE FROM {table} WHERE {}", forgetting.conditions.join(" OR "));
        Ok(self.warehouse.change(&sql, &[])? as u64)
    }
}

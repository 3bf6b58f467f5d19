//! Erases people: their rows go from every table, and a hash of each key keeps them out of later loads.

use std::collections::BTreeMap;

use super::{LoadedStream, Row, Table, Warehouse, literal, quote};
use crate::error::{Error, Result};

/// What was erased.
#[derive(Debug, Default, serde::Serialize)]
pub struct Forgotten {
    /// How many records of the stream: the one that was named, and those that are the same person.
    pub records: usize,
    /// Rows erased of each table, `schema.name`.
    pub rows: Vec<(String, usize)>,
    /// Rows of linked records whose free text was emptied, of each raw table.
    pub emptied: Vec<(String, usize)>,
}

impl Warehouse {
    /// How many records of each stream were forgotten, by `source.stream`.
    pub fn forgotten(&self) -> Result<BTreeMap<String, u64>> {
        let rows = self.query("SELECT stream, count(*) AS records FROM _host.forgotten GROUP BY stream", &[])?;
        let of = |row: &Row| Some((row.get("stream")?.as_str()?.to_owned(), row.get("records")?.as_u64()?));
        Ok(rows.iter().filter_map(of).collect())
    }

    /// Erases a record, and those that merged with it, from raw, clean, what is kept between rules and the journal, and
    /// empties the free text of the records that they are linked with, in one transaction; cleaning and the models after it
    /// follow from raw. `load_id` notes that the tables changed.
    pub fn forget(&self, stream: &LoadedStream, key: &str, load_id: &str) -> Result<Forgotten> {
        let name = stream.name();
        let sql = "WITH survivor AS (SELECT coalesce((SELECT min(survivor_key) FROM _host.merges \
                   WHERE stream = ?1 AND key = ?2), ?2) AS key) SELECT key FROM survivor \
                   UNION SELECT key FROM _host.merges WHERE stream = ?1 AND survivor_key = (SELECT key FROM survivor)";
        let keys = self.query(sql, &[&name, key])?;
        let keys: Vec<_> = keys.iter().filter_map(|row| row.get("key")?.as_str()).map(literal).collect();
        let (records, keys) = (keys.len(), keys.join(", "));
        let mut streams = self.loaded_streams()?;
        streams.retain(|other| other.source == stream.source);
        self.transaction(|| {
            let mut forgotten = Forgotten { records, ..Forgotten::default() };
            let note = format!(
                "INSERT INTO _host.forgotten SELECT {name}, sha256(key), now() FROM (SELECT unnest([{keys}]) AS key) \
                 WHERE sha256(key) NOT IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = {name})",
                name = literal(&name)
            );
            self.change(&note, &[])?;
            self.note_erasure(load_id)?;
            for other in &streams {
                self.note_linked(other, &Table::raw(&other.source, &other.stream).to_string(), load_id)?;
            }
            for other in &streams {
                let (raw, clean) =
                    (Table::raw(&other.source, &other.stream), Table::clean(&other.source, &other.stream));
                let kept = self.kept_tables(&other.source, &other.stream)?;
                for table in [&raw, &clean].into_iter().chain(&kept) {
                    // A stream without rules is a view of its raw table.
                    if self.columns(table)?.is_some() && !self.is_view(table)? {
                        let count = self.drop_forgotten(other, &table.to_string())?;
                        forgotten.rows.push((format!("{}.{}", table.schema, table.name), count));
                    }
                }
                let emptied = self.empty_text(other, load_id)?;
                forgotten.emptied.push((format!("{}.{}", raw.schema, raw.name), emptied));
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
            forgotten.rows.retain(|(_, count)| *count > 0);
            forgotten.emptied.retain(|(_, count)| *count > 0);
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

//! Forgets people: a hash of each key is noted, what is there of them is erased, and what was said of them in the
//! journal of the runs goes too.

use std::collections::{BTreeMap, BTreeSet};

use super::{LoadedStream, Row, Table, Warehouse, literal, quote};
use crate::error::Result;
use crate::schema::{Field, LOAD_ID, Type, UNFIT};

/// What was erased.
#[derive(Debug, Default, serde::Serialize)]
pub struct Forgotten {
    /// How many records are kept out from now on: the one that was named, and those that are the same person.
    pub records: usize,
    /// Rows erased of each table, `schema.name`.
    pub rows: Vec<(String, usize)>,
    /// Rows of linked records whose free text was emptied, of each raw table.
    pub emptied: Vec<(String, usize)>,
}

/// Letters that a value has at least by which a person is known, and rows that share it at most.
const LETTERS: usize = 3;
const SHARED: usize = 10;

impl Warehouse {
    /// How many records of each stream were forgotten, by `source.stream`.
    pub fn forgotten(&self) -> Result<BTreeMap<String, u64>> {
        let rows = self.query("SELECT stream, count(*) AS records FROM _host.forgotten GROUP BY stream", &[])?;
        let of = |row: &Row| Some((row.get("stream")?.as_str()?.to_owned(), row.get("records")?.as_u64()?));
        Ok(rows.iter().filter_map(of).collect())
    }

    /// When a record was forgotten, if it was.
    pub fn forgotten_at(&self, stream: &LoadedStream, key: &str) -> Result<Option<String>> {
        let sql = "SELECT min(forgotten_at)::VARCHAR FROM _host.forgotten WHERE stream = ? AND key_sha256 = sha256(?)";
        self.value(sql, &[&stream.name(), key])
    }

    /// Erases a record, and those that are the same by a merge here or in the account, from raw, clean, what is kept
    /// between rules and the journal, in every source of the account, and empties the free text of what they are or were
    /// linked with, in one transaction. `load_id` notes that the tables changed.
    pub fn forget(&self, stream: &LoadedStream, key: &str, load_id: &str) -> Result<Forgotten> {
        let same_account = "SELECT source FROM _host.identities WHERE identity IN \
                            (SELECT identity FROM _host.identities WHERE source = ?1) UNION SELECT ?1";
        let sources = self.query(same_account, &[&stream.source])?;
        let sources: Vec<_> = sources.iter().filter_map(|row| row.get("source")?.as_str()).collect();
        let mut streams = self.loaded_streams()?;
        streams.retain(|other| other.stream == stream.stream && sources.contains(&other.source.as_str()));
        self.transaction(|| {
            let mut records = 0;
            for stream in &streams {
                records = records.max(self.note_forgotten(stream, key)?);
            }
            self.forget_what_was_said(&streams)?;
            let erased = self.erase(load_id)?;
            if erased.rows.len() + erased.emptied.len() > 0 {
                self.note_erasure(load_id)?;
            }
            Ok(Forgotten { records: records.max(1), ..erased })
        })
    }

    /// Lets a record in again, with those that were forgotten with it: what loads bring of them from now on stays.
    pub fn let_in_again(&self, stream: &LoadedStream, key: &str) -> Result<bool> {
        let sql = "DELETE FROM _host.forgotten WHERE forgotten_at IN \
                   (SELECT forgotten_at FROM _host.forgotten WHERE stream = ? AND key_sha256 = sha256(?))";
        Ok(self.change(sql, &[&stream.name(), key])? > 0)
    }

    /// Notes the record and those that are the same; gives back how many were not noted before.
    fn note_forgotten(&self, stream: &LoadedStream, key: &str) -> Result<usize> {
        let name = stream.name();
        let sql = "INSERT INTO _host.forgotten SELECT ?1, sha256(?2), now() \
                   WHERE sha256(?2) NOT IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = ?1)";
        let mut records = self.change(sql, &[&name, key])?;
        let merges =
            format!("SELECT key AS one, survivor_key AS other FROM _host.merges WHERE stream = {}", literal(&name));
        let raw = Table::raw(&stream.source, &stream.stream).to_string();
        loop {
            let more = self.note_same(&name, &merges)? + self.note_merged(stream, &raw)?;
            records += more;
            if more == 0 {
                return Ok(records);
            }
        }
    }

    /// Takes what earlier runs said of forgotten records out of their journal: messages, hints, reports and lines of the log
    /// that hold one of their values, as far as few others share it.
    fn forget_what_was_said(&self, streams: &[LoadedStream]) -> Result<()> {
        let mut said = BTreeSet::new();
        for stream in streams {
            for table in [Table::raw(&stream.source, &stream.stream), Table::clean(&stream.source, &stream.stream)] {
                let fields = self.columns(&table)?.unwrap_or_default();
                let is_text = |field: &&Field| {
                    let is_key = stream.primary_key.contains(&field.name);
                    field.data_type == Type::Text && !is_key && ![LOAD_ID, UNFIT].contains(&field.name.as_str())
                };
                let texts: Vec<_> = fields.iter().filter(is_text).collect();
                let rows = format!("SELECT * FROM {table} WHERE {}", Self::is_forgotten_row(stream));
                let rows = if texts.is_empty() { Vec::new() } else { self.query(&rows, &[])? };
                for field in texts {
                    for value in rows.iter().filter_map(|row| row.get(&field.name)?.as_str()) {
                        let others = format!(
                            "SELECT count(*) > {SHARED} FROM (SELECT 1 FROM {table} WHERE {} = ? LIMIT {})",
                            quote(&field.name),
                            SHARED + 1
                        );
                        if value.chars().count() >= LETTERS
                            && self.value(&others, &[value])?.as_deref() == Some("false")
                        {
                            let value = value.to_lowercase();
                            // Reports are JSON, which writes some letters in its own way.
                            said.insert(serde_json::json!(value).to_string().trim_matches('"').to_owned());
                            said.insert(value);
                        }
                    }
                }
            }
        }
        if said.is_empty() {
            return Ok(());
        }
        let said = said.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", ");
        let is_said = |column: &str| {
            let word = "'(^|[^\\p{L}\\p{N}])' || regexp_escape(value) || '($|[^\\p{L}\\p{N}])'";
            format!(
                "EXISTS (SELECT 1 FROM (SELECT unnest([{said}]) AS value) WHERE contains(lower({column}), value) \
                 AND regexp_matches(lower({column}), {word}))"
            )
        };
        for column in ["message", "hint", "nodes", "report"] {
            self.change(&format!("UPDATE _host.runs SET {column} = NULL WHERE {}", is_said(column)), &[])?;
        }
        self.change(&format!("DELETE FROM _host.log WHERE {}", is_said("message")), &[])?;
        let warnings = format!("UPDATE _host.publications SET warnings = '[]' WHERE {}", is_said("warnings"));
        self.change(&warnings, &[]).map(drop)
    }
}

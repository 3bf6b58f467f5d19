//! Erasing: the rows of forgotten records go from every table, and so does the free text of records that are or were
//! linked with them. Whom that concerns is known by hashes of keys alone, so that it can be done again at any time.

use std::collections::BTreeMap;

use super::{Forgotten, LoadedStream, Table, Warehouse, key_text, literal, quote};
use crate::error::Result;
use crate::schema::{Field, LOAD_ID, UNFIT};

/// Whose hashes a text is looked up in.
#[derive(Clone, Copy)]
enum Who {
    /// Records that were forgotten.
    Forgotten,
    /// Records that are or were linked with those, of streams with free text.
    Linked,
}

impl Who {
    /// True where this SQL text is the key of one of them; `stream` is `source.stream`.
    fn is(self, text: &str, stream: &str) -> String {
        let stream = literal(stream);
        match self {
            Self::Forgotten => {
                format!("sha256({text}) IN (SELECT key_sha256 FROM _host.forgotten WHERE stream = {stream})")
            }
            Self::Linked => format!(
                "sha256({text}) IN (SELECT linked_sha256 FROM _host.gone_links JOIN _host.forgotten USING (stream, key_sha256) \
                 WHERE linked_stream = {stream} AND EXISTS (SELECT 1 FROM _host.streams AS s \
                 WHERE s.source || '.' || s.stream = {stream} AND coalesce(s.free_text, '[]') <> '[]'))"
            ),
        }
    }

    /// True of rows that are such a record, or refer to one.
    fn is_row(self, stream: &LoadedStream) -> String {
        let own = self.is(&key_text(&stream.primary_key), &stream.name());
        let others = references(stream).map(|(column, to)| self.is(&column, &to));
        std::iter::once(own).chain(others).collect::<Vec<_>>().join(" OR ")
    }
}

/// The columns of a stream that hold keys of other records, as SQL of their text, each with `source.stream` of those.
fn references(stream: &LoadedStream) -> impl Iterator<Item = (String, String)> {
    let of =
        |(column, to): &(String, String)| (format!("{}::VARCHAR", quote(column)), format!("{}.{to}", stream.source));
    stream.refers.iter().map(of)
}

impl Warehouse {
    /// SQL that is true where this text is the key of a forgotten record of `source.stream`.
    #[must_use]
    pub fn is_forgotten(text: &str, stream: &str) -> String {
        Who::Forgotten.is(text, stream)
    }

    /// SQL that is true where it is the key of a record whose free text goes with a forgotten one.
    #[must_use]
    pub fn is_linked_with_forgotten(text: &str, stream: &str) -> String {
        Who::Linked.is(text, stream)
    }

    /// True of a stream's rows that are a forgotten record.
    pub(super) fn is_forgotten_row(stream: &LoadedStream) -> String {
        Who::Forgotten.is(&key_text(&stream.primary_key), &stream.name())
    }

    /// Erases from every table what belongs to forgotten records, inside a transaction; cleaning and the models after it
    /// follow from raw.
    pub(super) fn erase(&self, load_id: &str) -> Result<Forgotten> {
        let mut erased = Forgotten::default();
        let streams = self.loaded_streams()?;
        let note = |rows: &mut Vec<(String, usize)>, table: &Table, count: usize| {
            rows.extend((count > 0).then(|| (format!("{}.{}", table.schema, table.name), count)));
        };
        for stream in &streams {
            let raw = Table::raw(&stream.source, &stream.stream);
            let clean = Table::clean(&stream.source, &stream.stream);
            let mut tables = vec![&clean, &raw];
            let kept = self.kept_tables(&stream.source, &stream.stream)?;
            tables.extend(&kept);
            for table in tables {
                // A stream without rules is a view of its raw table.
                if self.columns(table)?.is_none() || self.is_view(table)? {
                    continue;
                }
                let (dropped, _) = self.drop_forgotten(stream, &table.to_string())?;
                note(&mut erased.rows, table, dropped);
                if dropped > 0 {
                    self.touch(table, load_id)?;
                }
            }
        }
        for stream in &streams {
            let raw = Table::raw(&stream.source, &stream.stream);
            let columns = self.columns(&raw)?.unwrap_or_default();
            let (emptied, dropped) = self.empty_texts(stream, &columns, &raw.to_string(), load_id)?;
            note(&mut erased.emptied, &raw, emptied);
            note(&mut erased.rows, &raw, dropped);
            if emptied + dropped > 0 {
                self.touch(&raw, load_id)?;
            }
        }
        let of_key: &[&str] = &["key"];
        let journal =
            [("changes", of_key), ("rejects", of_key), ("notes", of_key), ("merges", &["key", "survivor_key"])];
        for (name, keys) in journal {
            let is_it = |key: &&str| {
                format!(
                    "EXISTS (SELECT 1 FROM _host.forgotten AS f WHERE f.stream = j.stream AND f.key_sha256 = sha256(j.{key}))"
                )
            };
            let which = keys.iter().map(is_it).collect::<Vec<_>>().join(" OR ");
            let count = self.change(&format!("DELETE FROM _host.{name} AS j WHERE {which}"), &[])?;
            note(&mut erased.rows, &Table::new("_host", name), count);
        }
        self.forget_seen_of(&streams)?;
        Ok(erased)
    }

    /// What a sweep under way has seen of them, by their own keys and as the first column of others'.
    fn forget_seen_of(&self, streams: &[LoadedStream]) -> Result<()> {
        for stream in streams {
            let is_forgotten = Self::is_forgotten_prefix(stream, "key");
            let sql = format!("DELETE FROM _host.seen WHERE source = ? AND stream = ? AND {is_forgotten}");
            self.change(&sql, &[&stream.source, &stream.stream])?;
        }
        Ok(())
    }

    /// True where the text of a key, or of its first column where that refers to another stream, is of a forgotten record.
    pub(super) fn is_forgotten_prefix(stream: &LoadedStream, text: &str) -> String {
        let first = stream.primary_key.first();
        let to = stream.refers.iter().find(|(column, _)| Some(column) == first);
        let name = to.map_or_else(|| stream.name(), |(_, to)| format!("{}.{to}", stream.source));
        Who::Forgotten.is(text, &name)
    }

    /// Takes forgotten records, and rows that refer to them, out of a table of the stream's columns; gives back how many,
    /// and how many links that were not known went with them.
    pub(super) fn drop_forgotten(&self, stream: &LoadedStream, rows: &str) -> Result<(usize, usize)> {
        let which = Who::Forgotten.is_row(stream);
        let noted = self.note_gone_links(stream, rows, &which)?;
        Ok((self.change(&format!("DELETE FROM {rows} WHERE {which}"), &[])?, noted))
    }

    /// Keeps which records a link's rows connect that are about to go, by hashes of their keys: who is forgotten later may
    /// be named in what was linked once. Gives back how many were not known.
    pub(super) fn note_gone_links(&self, link: &LoadedStream, rows: &str, which: &str) -> Result<usize> {
        let columns: Vec<_> = references(link).collect();
        if columns.len() < 2 {
            return Ok(0);
        }
        // Which rows go is found out once, and in most checkpoints none do.
        let keys = columns.iter().enumerate().map(|(at, (column, _))| format!("{column} AS key_{at}"));
        let keys = keys.collect::<Vec<_>>().join(", ");
        self.execute(&format!("CREATE OR REPLACE TEMP TABLE gone AS SELECT {keys} FROM {rows} WHERE {which}"))?;
        let mut noted = 0;
        if self.value("SELECT 1 FROM temp.gone LIMIT 1", &[])?.is_some() {
            for (at, (_, stream)) in columns.iter().enumerate() {
                for (other, (_, linked)) in columns.iter().enumerate().filter(|(other, _)| *other != at) {
                    let (stream, linked) = (literal(stream), literal(linked));
                    noted += self.change(
                        &format!(
                            "INSERT INTO _host.gone_links SELECT {stream}, one, {linked}, other FROM ( \
                             SELECT DISTINCT sha256(key_{at}) AS one, sha256(key_{other}) AS other FROM temp.gone \
                             WHERE key_{at} IS NOT NULL AND key_{other} IS NOT NULL) AS pairs \
                             WHERE NOT EXISTS (SELECT 1 FROM _host.gone_links AS known WHERE known.stream = {stream} \
                             AND known.key_sha256 = one AND known.linked_stream = {linked} AND known.linked_sha256 = other)"
                        ),
                        &[],
                    )?;
                }
            }
        }
        self.execute("DROP TABLE temp.gone")?;
        Ok(noted)
    }

    /// Empties the free text of records that are or were linked with forgotten ones, in a table of the stream's columns;
    /// gives back in how many rows, and how many went whole, since the text is part of their key.
    pub(super) fn empty_texts(
        &self,
        stream: &LoadedStream,
        columns: &[Field],
        rows: &str,
        load_id: &str,
    ) -> Result<(usize, usize)> {
        let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for text in stream.free_text.iter().filter(|text| columns.iter().any(|field| field.name == text.column)) {
            let which = text.of.as_ref().map(|(column, value)| format!("{} = {}", quote(column), literal(value)));
            texts.entry(&text.column).or_default().push(which.unwrap_or_else(|| "true".to_owned()));
        }
        if texts.is_empty() {
            return Ok((0, 0));
        }
        if texts.values().flatten().any(|which| which == "true") {
            texts.insert(UNFIT, vec!["true".to_owned()]);
        }
        let is_linked = Who::Linked.is_row(stream);
        let (of_key, texts): (Vec<_>, Vec<_>) =
            texts.into_iter().partition(|(column, _)| stream.primary_key.iter().any(|key| key == column));
        let mut dropped = 0;
        for (_, which) in of_key {
            let sql = format!("DELETE FROM {rows} WHERE ({}) AND ({is_linked})", which.join(" OR "));
            dropped += self.change(&sql, &[])?;
        }
        let texts: Vec<_> = texts.iter().map(|(column, which)| (quote(column), which.join(" OR "))).collect();
        if texts.is_empty() {
            return Ok((0, dropped));
        }
        let emptied =
            texts.iter().map(|(column, which)| format!("{column} = CASE WHEN {which} THEN NULL ELSE {column} END"));
        let is_filled = texts.iter().map(|(column, which)| format!("{column} IS NOT NULL AND ({which})"));
        let sql = format!(
            "UPDATE {rows} SET {}, {LOAD_ID} = {} WHERE ({}) AND ({is_linked})",
            emptied.collect::<Vec<_>>().join(", "),
            literal(load_id),
            is_filled.collect::<Vec<_>>().join(" OR ")
        );
        Ok((self.change(&sql, &[])?, dropped))
    }
}

//! The suite for sources: discovers the streams, reads them to their end as far as granted, and resumes from each
//! state.

use std::collections::BTreeMap;

use arrow_array::{ArrayRef, RecordBatch};
use host_core::error::{Error, Result};
use host_core::schema::Stream;
use host_plugin::{Need, NeedKind, Part, SourcePage, SourcePlugin, SourceSelection};
use serde_json::Value;

use super::sample::texts;
use super::suite::{Suite, is_fault};

/// The most states that a stream is resumed from. Beyond that, evenly spaced ones are used.
const MAX_RESUMED: usize = 20;
/// The most consecutive pages without rows. After more, the stream counts as endless.
const MAX_EMPTY_PAGES: u32 = 1000;

/// A source, and what it is tested with.
pub struct SourceCase<'a> {
    /// The source with its config and grants.
    pub plugin: &'a SourcePlugin,
    /// The same config.
    pub config: &'a Value,
    /// The streams to read. None reads all but those that are only read if named.
    pub streams: Option<&'a [String]>,
    /// Whether a need is granted.
    pub is_granted: &'a dyn Fn(&Need) -> bool,
    /// The number of rows after which a stream is left.
    pub rows: u64,
}

/// Tests a source.
pub async fn test_source(case: &SourceCase<'_>, suite: &mut Suite<'_>) {
    let (first, second) = (case.plugin.describe().await, case.plugin.describe().await);
    let Some(description) = suite.check_description(first, second, case.config) else { return };
    let missing = description.needs.iter().find(|&need| is_required(need) && !(case.is_granted)(need));
    let missing = missing.map(|need| format!("it needs the {} `{}`, which is not granted", need.kind, need.name));
    match &missing {
        Some(why) => ["check", "identity"].into_iter().for_each(|name| suite.skip(name, why.as_str())),
        None => {
            suite.check("check", case.plugin.check().await.map(|()| "all needs are met".to_owned()));
            let account = case.plugin.identity().await;
            suite.check("identity", account.map(|account| account.unwrap_or_else(|| "no account".to_owned())));
        }
    }
    let streams = match (case.plugin.discover(case.streams).await, &missing) {
        (Ok(streams), _) => streams,
        (Err(error), Some(why)) if !is_fault(&error) => return suite.skip("discover", why.as_str()),
        (Err(error), _) => {
            suite.check("discover", Err(error));
            return;
        }
    };
    let names: Vec<_> = streams.iter().map(|stream| stream.name.as_str()).collect();
    if !suite.check("discover", if names.is_empty() { Err(no_stream()) } else { Ok(names.join(", ")) }) {
        return;
    }
    if let Some(why) = missing {
        return suite.skip("read", why);
    }
    let is_wanted = |stream: &Stream| case.streams.map_or(!stream.on_request, |names| names.contains(&stream.name));
    let available = streams.iter().filter(|stream| stream.unavailable.is_none() && is_wanted(stream));
    let selected: Vec<_> = available.map(|stream| stream.name.clone()).collect();
    for stream in &streams {
        let name = format!("read {}", stream.name);
        if !is_wanted(stream) {
            suite.skip(&name, "loaded only on request");
        } else if let Some(why) = &stream.unavailable {
            suite.skip(&name, why.message());
        } else if let Some(parent) = &stream.read_with {
            suite.skip(&name, format!("read with `{parent}`"));
        } else {
            StreamTest { case, stream, selected: &selected }.run(suite).await;
        }
    }
}

fn no_stream() -> Error {
    Error::plugin("it has no stream").hint("`discover` without names returns all streams")
}

fn is_required(need: &Need) -> bool {
    matches!(need.kind, NeedKind::Connection | NeedKind::File) && !need.is_optional()
}

/// The test of one stream.
struct StreamTest<'a> {
    case: &'a SourceCase<'a>,
    stream: &'a Stream,
    selected: &'a [String],
}

/// Rows by stream and primary key, as they would be in the warehouse.
type RowsByKey = BTreeMap<String, BTreeMap<Vec<String>, Vec<String>>>;

impl StreamTest<'_> {
    async fn run(&self, suite: &mut Suite<'_>) {
        let (read, resume) = (format!("read {}", self.stream.name), format!("resume {}", self.stream.name));
        let (pages, done) = match self.read(None).await {
            Ok(read) => read,
            Err(error) => {
                suite.check(&read, Err(error));
                return suite.skip(&resume, "not read to the end");
            }
        };
        let rows: u64 = pages.iter().map(|page| page.rows_of(&self.stream.name)).sum();
        let rest = if done { "" } else { "; left there because of `--rows`" };
        suite.check(&read, Ok(format!("{rows} rows in {} pages{rest}", pages.len())));
        if !done {
            return suite.skip(&resume, "not read to the end");
        }
        let states: Vec<_> = pages.iter().enumerate().filter(|(_, page)| page.state.is_some()).collect();
        if states.is_empty() {
            return suite.skip(&resume, "no page has a state: each run reads the whole stream");
        }
        let step = states.len().div_ceil(MAX_RESUMED);
        let from: Vec<_> = states.iter().step_by(step).map(|(index, _)| *index).collect();
        suite.check(&resume, self.check_resumed(&pages, &from).await);
    }

    /// Compares one whole read with reads that stop at each of these pages and resume from its state.
    async fn check_resumed(&self, pages: &[SourcePage], from: &[usize]) -> Result<String> {
        let mut whole = RowsByKey::new();
        pages.iter().try_for_each(|page| write(&mut whole, page))?;
        let mut before = RowsByKey::new();
        let mut written = 0;
        for &index in from {
            let on = |error: Error| error.on(format!("from the state of page {}", index + 1));
            pages[written..=index].iter().try_for_each(|page| write(&mut before, page))?;
            written = index + 1;
            let (rest, _) = self.read(pages[index].state.clone()).await.map_err(on)?;
            let mut resumed = before.clone();
            rest.iter().try_for_each(|page| write(&mut resumed, page))?;
            check_same(&whole, &resumed).map_err(on)?;
        }
        Ok(format!("the same rows from {} states", from.len()))
    }

    /// Reads the pages from a state on. Returns them, and whether the last one is the end of the stream.
    async fn read(&self, state: Option<String>) -> Result<(Vec<SourcePage>, bool)> {
        let (stream, streams) = (self.stream.name.clone(), self.selected.to_vec());
        let mut reader = self.case.plugin.open(SourceSelection { stream, streams, state, since: None }).await?;
        let mut pages: Vec<SourcePage> = Vec::new();
        let (mut rows, mut empty) = (0, 0);
        loop {
            let on = |error: Error| error.on(format!("page {}", pages.len() + 1));
            let page = reader.next().await.map_err(on)?;
            page.parts.iter().try_for_each(|part| self.check_part(part)).map_err(on)?;
            empty = if page.is_empty() { empty + 1 } else { 0 };
            if empty > MAX_EMPTY_PAGES {
                return Err(Error::plugin(format!("{empty} consecutive pages have no rows")));
            }
            rows += page.rows_of(&self.stream.name);
            let done = page.done;
            pages.push(page);
            if done || rows >= self.case.rows {
                return Ok((pages, done));
            }
        }
    }

    /// Checks that a part is of a selected stream.
    fn check_part(&self, part: &Part) -> Result<()> {
        if !self.selected.contains(&part.stream) {
            return Err(Error::plugin(format!("it sent rows of `{}`, which is not selected", part.stream)));
        }
        Ok(())
    }
}

fn key_columns(part: &Part, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let column = |key: &String| {
        let missing = || Error::plugin(format!("rows of `{}` lack the key column `{key}`", part.stream));
        rows.column_by_name(key).cloned().ok_or_else(missing)
    };
    part.schema.primary_key.iter().map(column).collect()
}

/// Writes a page as the warehouse would: deletes replaced rows, then inserts or updates rows by their key.
fn write(tables: &mut RowsByKey, page: &SourcePage) -> Result<()> {
    for part in &page.parts {
        let table = tables.entry(part.stream.clone()).or_default();
        if let Some(replace) = &part.replace {
            for prefix in texts(replace.columns(), replace.num_rows())? {
                table.retain(|key, _| !key.starts_with(&prefix));
            }
        }
        let Some(rows) = &part.rows else { continue };
        let keys = texts(&key_columns(part, rows)?, rows.num_rows())?;
        table.extend(keys.into_iter().zip(texts(rows.columns(), rows.num_rows())?));
    }
    Ok(())
}

/// Fails on the first difference between the rows of two reads.
fn check_same(whole: &RowsByKey, resumed: &RowsByKey) -> Result<()> {
    let none = BTreeMap::new();
    let differs = |stream: &str, key: &[String], how: &str| {
        Err(Error::plugin(format!("row `{}` of `{stream}` {how}", key.join(", "))))
    };
    for (stream, rows) in whole {
        let others = resumed.get(stream).unwrap_or(&none);
        for (key, row) in rows {
            match others.get(key) {
                None => return differs(stream, key, "is missing"),
                Some(other) if other != row => return differs(stream, key, "has other values"),
                Some(_) => {}
            }
        }
    }
    for (stream, rows) in resumed {
        let known = whole.get(stream).unwrap_or(&none);
        if let Some(key) = rows.keys().find(|key| !known.contains_key(*key)) {
            return differs(stream, key, "is missing from the full read");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{RowsByKey, check_same};

    fn tables(rows: &[(&str, &str)]) -> RowsByKey {
        let rows = rows.iter().map(|(key, value)| (vec![(*key).to_owned()], vec![(*value).to_owned()]));
        RowsByKey::from([("rows".to_owned(), rows.collect())])
    }

    #[test]
    fn a_difference_is_named() {
        let check = |resumed: &[(&str, &str)], expect: Option<&str>| {
            let error = check_same(&tables(&[("1", "a"), ("2", "b")]), &tables(resumed)).err();
            assert_eq!(error.map(|error| error.message()).as_deref(), expect);
        };
        check(&[("1", "a"), ("2", "b")], None);
        check(&[("1", "a")], Some("row `2` of `rows` is missing"));
        check(&[("1", "a"), ("2", "c")], Some("row `2` of `rows` has other values"));
        check(&[("1", "a"), ("2", "b"), ("3", "c")], Some("row `3` of `rows` is missing from the full read"));
    }
}

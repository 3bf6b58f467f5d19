//! The battery for sources: streams discovered, read to their end on what is granted, and read on from each state.

use std::collections::BTreeMap;

use arrow_array::{Array as _, ArrayRef, RecordBatch};
use serde_json::Value;

use super::rows::texts;
use super::{Battery, is_trap};
use crate::error::{Error, Result};
use crate::plugin::{Need, Part, SourcePage, SourcePlugin, SourceSelection};
use crate::schema::Stream;

/// States that a stream is read on from; of more, some are taken at even distances.
const RESUMED: usize = 20;
/// Pages one after the other that bring nothing, before a stream is taken for one without end.
const EMPTY_PAGES: u32 = 1000;

/// A source, and what it is tried with.
pub struct SourceCase<'a> {
    /// The source with its config and grants.
    pub plugin: &'a SourcePlugin,
    /// The same config.
    pub config: &'a Value,
    /// The streams to read; all but those that are loaded only if they are named, where none are.
    pub streams: Option<&'a [String]>,
    /// Whether what it needs is granted.
    pub is_granted: &'a dyn Fn(&Need) -> bool,
    /// After how many rows a stream is left.
    pub rows: u64,
}

/// Tries a source.
pub async fn source(case: &SourceCase<'_>, battery: &mut Battery<'_>) {
    let (once, again) = (case.plugin.describe().await, case.plugin.describe().await);
    let Some(description) = battery.described(once, again, case.config) else { return };
    let missing = description.needs.iter().find(|&need| is_required(need) && !(case.is_granted)(need));
    let missing = missing.map(|need| format!("it asks for the {} `{}`, which is not granted", need.kind, need.name));
    match &missing {
        Some(why) => ["check", "identity"].into_iter().for_each(|name| battery.skip(name, why.as_str())),
        None => {
            battery.note("check", case.plugin.check().await.map(|()| "all that it needs is there".to_owned()));
            let account = case.plugin.identity().await;
            battery.note("identity", account.map(|account| account.unwrap_or_else(|| "no account".to_owned())));
        }
    }
    let streams = match (case.plugin.discover(case.streams).await, &missing) {
        (Ok(streams), _) => streams,
        (Err(error), Some(why)) if !is_trap(&error) => return battery.skip("discover", why.as_str()),
        (Err(error), _) => {
            battery.note("discover", Err(error));
            return;
        }
    };
    let names: Vec<_> = streams.iter().map(|stream| stream.name.as_str()).collect();
    if !battery.note("discover", if names.is_empty() { Err(nothing()) } else { Ok(names.join(", ")) }) {
        return;
    }
    if let Some(why) = missing {
        return battery.skip("read", why);
    }
    let asked = |stream: &Stream| case.streams.map_or(!stream.on_request, |names| names.contains(&stream.name));
    let within_reach = streams.iter().filter(|stream| stream.unavailable.is_none() && asked(stream));
    let selected: Vec<_> = within_reach.map(|stream| stream.name.clone()).collect();
    for stream in &streams {
        let name = format!("read {}", stream.name);
        if !asked(stream) {
            battery.skip(&name, "read only if it is named");
        } else if let Some(why) = &stream.unavailable {
            battery.skip(&name, why.message.clone());
        } else if let Some(carrier) = &stream.read_with {
            battery.skip(&name, format!("read with `{carrier}`"));
        } else {
            Reading { case, stream, selected: &selected }.run(battery).await;
        }
    }
}

fn nothing() -> Error {
    Error::plugin("it has no stream").hint("`discover` without names gives all streams")
}

fn is_required(need: &Need) -> bool {
    let is_optional = need.details.get("optional").and_then(Value::as_bool).unwrap_or_default();
    ["connection", "file"].contains(&need.kind.as_str()) && !is_optional
}

struct Reading<'a> {
    case: &'a SourceCase<'a>,
    stream: &'a Stream,
    selected: &'a [String],
}

/// Rows by stream and primary key, as they would stand in the warehouse.
type Tables = BTreeMap<String, BTreeMap<Vec<String>, Vec<String>>>;

impl Reading<'_> {
    async fn run(&self, battery: &mut Battery<'_>) {
        let (read, resume) = (format!("read {}", self.stream.name), format!("resume {}", self.stream.name));
        let (pages, done) = match self.pages(None).await {
            Ok(read) => read,
            Err(error) => {
                battery.note(&read, Err(error));
                return battery.skip(&resume, "it was not read to its end");
            }
        };
        let rows: u64 = pages.iter().map(|page| page.rows_of(&self.stream.name)).sum();
        let rest = if done { "" } else { "; left there, for `--rows`" };
        battery.note(&read, Ok(format!("{rows} rows in {} pages{rest}", pages.len())));
        if !done {
            return battery.skip(&resume, "it was not read to its end");
        }
        let states: Vec<_> = pages.iter().enumerate().filter(|(_, page)| page.state.is_some()).collect();
        if states.is_empty() {
            return battery.skip(&resume, "no page has a state: each reading begins anew");
        }
        let step = states.len().div_ceil(RESUMED);
        let from: Vec<_> = states.iter().step_by(step).map(|(at, _)| *at).collect();
        battery.note(&resume, self.resumed(&pages, &from).await);
    }

    /// What was read up to each of these pages, and from its state on, is what was read in one.
    async fn resumed(&self, pages: &[SourcePage], from: &[usize]) -> Result<String> {
        let mut whole = Tables::new();
        pages.iter().try_for_each(|page| fold(&mut whole, page))?;
        let mut before = Tables::new();
        let mut folded = 0;
        for &at in from {
            let on = |error: Error| error.on(format!("from the state of page {}", at + 1));
            pages[folded..=at].iter().try_for_each(|page| fold(&mut before, page))?;
            folded = at + 1;
            let (rest, _) = self.pages(pages[at].state.clone()).await.map_err(on)?;
            let mut tables = before.clone();
            rest.iter().try_for_each(|page| fold(&mut tables, page))?;
            same(&whole, &tables).map_err(on)?;
        }
        Ok(format!("from {} states, the same rows", from.len()))
    }

    /// The pages from a state on, and whether the last of them says so.
    async fn pages(&self, state: Option<String>) -> Result<(Vec<SourcePage>, bool)> {
        let (stream, streams) = (self.stream.name.clone(), self.selected.to_vec());
        let mut reader = self.case.plugin.open(SourceSelection { stream, streams, state, since: None }).await?;
        let mut pages: Vec<SourcePage> = Vec::new();
        let (mut rows, mut empty) = (0, 0);
        loop {
            let on = |error: Error| error.on(format!("page {}", pages.len() + 1));
            let page = reader.next().await.map_err(on)?;
            page.parts.iter().try_for_each(|part| self.judge(part)).map_err(on)?;
            empty = if page.is_empty() { empty + 1 } else { 0 };
            if empty > EMPTY_PAGES {
                return Err(Error::plugin(format!("{empty} pages one after the other bring nothing")));
            }
            rows += page.rows_of(&self.stream.name);
            let done = page.done;
            pages.push(page);
            if done || rows >= self.case.rows {
                return Ok((pages, done));
            }
        }
    }

    /// A part's rows are of a stream that was asked for, and each has its key.
    fn judge(&self, part: &Part) -> Result<()> {
        if !self.selected.contains(&part.stream) {
            return Err(Error::plugin(format!("rows of `{}`, which was not asked for", part.stream)));
        }
        let Some(rows) = &part.rows else { return Ok(()) };
        for key in keys(part, rows)? {
            if key.logical_null_count() > 0 {
                return Err(Error::plugin(format!("a row of `{}` has no primary key", part.stream)));
            }
        }
        Ok(())
    }
}

fn keys(part: &Part, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
    let column = |key: &String| {
        let missing = || Error::plugin(format!("rows of `{}` lack their key `{key}`", part.stream));
        rows.column_by_name(key).cloned().ok_or_else(missing)
    };
    part.schema.primary_key.iter().map(column).collect()
}

/// Writes a page as the warehouse would: what is replaced goes, rows of known keys are anew, others join.
fn fold(tables: &mut Tables, page: &SourcePage) -> Result<()> {
    for part in &page.parts {
        let table = tables.entry(part.stream.clone()).or_default();
        if let Some(replace) = &part.replace {
            for prefix in texts(replace.columns(), replace.num_rows())? {
                table.retain(|key, _| !key.starts_with(&prefix));
            }
        }
        let Some(rows) = &part.rows else { continue };
        let keys = texts(&keys(part, rows)?, rows.num_rows())?;
        table.extend(keys.into_iter().zip(texts(rows.columns(), rows.num_rows())?));
    }
    Ok(())
}

/// Where two readings differ, as an error.
fn same(whole: &Tables, resumed: &Tables) -> Result<()> {
    let nothing = BTreeMap::new();
    let differ = |stream: &str, key: &[String], how: &str| {
        Err(Error::plugin(format!("row `{}` of `{stream}` {how}", key.join(", "))))
    };
    for (stream, rows) in whole {
        let others = resumed.get(stream).unwrap_or(&nothing);
        for (key, row) in rows {
            match others.get(key) {
                None => return differ(stream, key, "is missing"),
                Some(other) if other != row => return differ(stream, key, "is another"),
                Some(_) => {}
            }
        }
    }
    for (stream, rows) in resumed {
        let known = whole.get(stream).unwrap_or(&nothing);
        if let Some(key) = rows.keys().find(|key| !known.contains_key(*key)) {
            return differ(stream, key, "is one too many");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Tables, same};

    fn tables(rows: &[(&str, &str)]) -> Tables {
        let rows = rows.iter().map(|(key, value)| (vec![(*key).to_owned()], vec![(*value).to_owned()]));
        Tables::from([("rows".to_owned(), rows.collect())])
    }

    #[test]
    fn what_differs_is_told() {
        let check = |resumed: &[(&str, &str)], expect: Option<&str>| {
            let error = same(&tables(&[("1", "a"), ("2", "b")]), &tables(resumed)).err();
            assert_eq!(error.map(|error| error.message).as_deref(), expect);
        };
        check(&[("1", "a"), ("2", "b")], None);
        check(&[("1", "a")], Some("row `2` of `rows` is missing"));
        check(&[("1", "a"), ("2", "c")], Some("row `2` of `rows` is another"));
        check(&[("1", "a"), ("2", "b"), ("3", "c")], Some("row `3` of `rows` is one too many"));
    }
}

//! Reads one object type: list for the backfill, keyset search afterwards, associations with each page.

use std::collections::BTreeSet;

use plugin_sdk::prelude::*;
use plugin_sdk::source::Table;

use crate::answers::{MISSING_SCOPES, checked, checked_batch};
use crate::config::{Config, OBJECTS, Object};
use crate::schema::{ASSOCIATION_KEY, ObjectSchema, association_table, object_schema};
use crate::time;
use crate::{CONNECTION, GENERAL, SEARCH};

/// HubSpot's largest page of a list.
const LIST_LIMIT: usize = 100;
/// HubSpot's largest page of a search.
const SEARCH_LIMIT: usize = 200;
/// List pages read before their associations, which come 1000 records a request.
const PAGES_A_BATCH: usize = 10;
/// Others report 8k as the longest URL that HubSpot takes; longer property lists go by batch read.
const QUERY_LIMIT: usize = 6500;

/// Where a stream's reading stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    phase: Phase,
    /// What every record was read with: `property:type`, and the association streams. Where more is asked for, the
    /// list is read anew, so that old records get what they lack.
    covers: BTreeSet<String>,
}

/// How it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// A full reading: everything after this id, begun at this instant (milliseconds).
    Backfill { after: Option<String>, started: i64 },
    /// Changes from this instant on; within the window, records after this id; the window was asked for at `started`.
    Changes { from: i64, after: Option<String>, started: Option<i64> },
}

/// The object streams with their association streams.
pub(crate) fn discover(config: &Config) -> Result<Vec<StreamInfo>> {
    let mut streams = Vec::new();
    for object in OBJECTS {
        let schema = match object_schema(config, object) {
            Ok(schema) => schema.schema,
            Err(error) if error.code == MISSING_SCOPES => {
                streams.extend(unavailable(object, &error));
                continue;
            }
            Err(error) => return Err(error),
        };
        streams.push(StreamInfo::new(object.plural, &schema).scope(object.scope));
        for (name, _) in object.associations {
            let schema = association_table().schema(&ASSOCIATION_KEY);
            streams.push(StreamInfo::new(name, &schema).read_with(object.plural).scope(object.scope));
        }
    }
    Ok(streams)
}

/// The streams of a type whose scope is missing: their columns are not known, why is.
fn unavailable(object: &Object, error: &Error) -> Vec<StreamInfo> {
    let schema = Schema::new(vec![Field::text("id")], &["id"]);
    let names = std::iter::once(object.plural).chain(object.associations.iter().map(|(name, _)| *name));
    let hint = error.hint.clone().unwrap_or_default();
    names.map(|name| StreamInfo::new(name, &schema).scope(object.scope).unavailable(&error.message, &hint)).collect()
}

/// Reads one object type.
pub(crate) struct ObjectReader {
    config: Config,
    object: &'static Object,
    schema: ObjectSchema,
    associations: Vec<(&'static str, &'static str)>,
    state: State,
}

impl ObjectReader {
    /// A reader from where the state left off.
    pub(crate) fn open(config: &Config, object: &'static Object, selection: &Selection) -> Result<Self> {
        let schema = object_schema(config, object)?;
        let selected = |(name, _): &&(&str, &str)| selection.streams.iter().any(|stream| stream == name);
        let associations: Vec<_> = object.associations.iter().filter(selected).copied().collect();
        let covers: BTreeSet<_> =
            schema.shape.iter().cloned().chain(associations.iter().map(|(name, _)| (*name).to_owned())).collect();
        let stored: Option<State> = selection.state()?;
        let stored = stored.filter(|stored| covers.is_subset(&stored.covers)).map(|stored| stored.phase);
        let since = selection.since.as_deref().map(time::parse).transpose()?;
        let phase = match (since, stored) {
            // A later instant than the cursor's must not skip what lies between.
            (Some(since), Some(Phase::Changes { from, .. })) => {
                Phase::Changes { from: since.min(from), after: None, started: None }
            }
            // A backfill reads everything, whatever changed since when.
            (_, Some(phase)) => phase,
            (_, None) => Phase::Backfill { after: None, started: 0 },
        };
        let state = State { phase, covers };
        Ok(Self { config: config.clone(), object, schema, associations, state })
    }

    fn path(&self, rest: &str) -> String {
        format!("/crm/objects/{}/{}{rest}", self.config.api_version, self.object.plural)
    }

    /// Up to ten pages of the list, and the associations of all their records.
    fn backfill(&mut self, mut after: Option<String>, mut started: i64) -> Result<Page> {
        let mut page = Page::new();
        let mut ids = Vec::new();
        let mut done = false;
        for _ in 0..PAGES_A_BATCH {
            let mut request = Request::get(self.path("")).query("limit", LIST_LIMIT).bucket(GENERAL);
            let names = self.schema.properties.join(",");
            let fits = names.len() <= QUERY_LIMIT;
            if fits {
                request = request.query("properties", &names);
            }
            if let Some(after) = &after {
                request = request.query("after", after);
            }
            let answer = checked(request.send(CONNECTION)?, self.object.scope)?;
            if started == 0 {
                started = time::date_header(&answer)?;
            }
            let next = answer.get("/paging/next/after");
            let table = self.schema.table.decode(&answer)?;
            let page_ids = table.texts("id")?;
            let table = if fits { vec![table] } else { self.batch_read(&page_ids)? };
            for table in table {
                page = page.rows(self.object.plural, &self.schema.schema, table);
            }
            ids.extend(page_ids);
            done = next.is_none();
            if !done && next == after {
                return Err(Error::data(format!(
                    "HubSpot's list does not move on after {}",
                    after.unwrap_or_default()
                )));
            }
            after = next;
            if done {
                break;
            }
        }
        page = self.with_associations(page, &ids)?;
        self.state.phase = match done {
            // What changed during the backfill is asked for next time: the cursor starts where the backfill did.
            true => Phase::Changes { from: self.overlapped(started), after: None, started: None },
            false => Phase::Backfill { after, started },
        };
        Ok(page.state(&self.state).done(done))
    }

    /// One page of the records changed since `from`, by rising id: no offset, so none is skipped or seen twice.
    fn changes(&mut self, from: i64, after: Option<String>, started: Option<i64>) -> Result<Page> {
        let mut filters = vec![serde_json::json!({
            "propertyName": self.object.modified, "operator": "GTE", "value": from.to_string(),
        })];
        if let Some(after) = &after {
            filters.push(serde_json::json!({ "propertyName": "hs_object_id", "operator": "GT", "value": after }));
        }
        let wide = self.schema.properties.join(",").len() > QUERY_LIMIT;
        let properties: &[String] = if wide { &[] } else { &self.schema.properties };
        let body = serde_json::json!({
            "filterGroups": [{ "filters": filters }],
            "sorts": [{ "propertyName": "hs_object_id", "direction": "ASCENDING" }],
            "properties": properties,
            "limit": SEARCH_LIMIT,
        });
        let answer = Request::post(self.path("/search"), &body).bucket(SEARCH).send(CONNECTION)?;
        let answer = checked(answer, self.object.scope)?;
        let started = started.map_or_else(|| time::date_header(&answer), Ok)?;
        let total = answer.get("/total").and_then(|total| total.parse().ok());
        let table = self.schema.table.decode(&answer)?;
        let ids = table.texts("id")?;
        let done = answer.get("/paging/next/after").is_none();
        if !done && ids.last().is_none_or(|last| after.as_ref() == Some(last)) {
            return Err(Error::data(format!("{}: HubSpot repeats a page", self.path("/search"))));
        }
        let tables = if wide { self.batch_read(&ids)? } else { vec![table] };
        let mut page = Page::new().total(if after.is_none() { total } else { None });
        for table in tables {
            page = page.rows(self.object.plural, &self.schema.schema, table);
        }
        page = self.with_associations(page, &ids)?;
        self.state.phase = match done {
            true => Phase::Changes { from: self.overlapped(started), after: None, started: None },
            false => Phase::Changes { from, after: ids.last().cloned(), started: Some(started) },
        };
        Ok(page.state(&self.state).done(done))
    }

    /// The whole records of these ids, for types with more property names than a URL holds.
    fn batch_read(&self, ids: &[String]) -> Result<Vec<Table>> {
        let chunk = |ids: &[String]| {
            let inputs: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
            let body = serde_json::json!({ "inputs": inputs, "properties": self.schema.properties });
            Request::post(self.path("/batch/read"), &body).bucket(GENERAL)
        };
        let answers = Request::send_all(ids.chunks(LIST_LIMIT).map(chunk).collect(), CONNECTION)?;
        let decode = |answer| self.schema.table.decode(&checked_batch(answer, self.object.scope, "OBJECT_NOT_FOUND")?);
        answers.into_iter().map(decode).collect()
    }

    /// Adds the associations of these records, whole: old links of a record go, even where no new one comes.
    fn with_associations(&self, mut page: Page, ids: &[String]) -> Result<Page> {
        let table = association_table();
        let schema = table.schema(&ASSOCIATION_KEY);
        if ids.is_empty() {
            return Ok(page);
        }
        let prefixes: Vec<_> = ids.iter().map(|id| Key::from(id.as_str())).collect();
        for (stream, to) in &self.associations {
            let path = format!("/crm/associations/{}/{}/{to}/batch/read", self.config.api_version, self.object.plural);
            page = page.replace(stream, &schema, &prefixes)?;
            let mut inputs: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
            while !inputs.is_empty() {
                let request = |inputs: &[serde_json::Value]| {
                    Request::post(path.clone(), &serde_json::json!({ "inputs": inputs })).bucket(GENERAL)
                };
                let answers = Request::send_all(inputs.chunks(1000).map(request).collect(), CONNECTION)?;
                let mut more = Vec::new();
                for answer in answers {
                    let answer = checked_batch(answer, self.object.scope, "crm.associations.NO_ASSOCIATIONS_FOUND")?;
                    more.extend(next_pages(&answer)?);
                    page = page.rows(stream, &schema, table.decode(&answer)?);
                }
                if more == inputs {
                    return Err(Error::data(format!("{path}: HubSpot repeats a page of associations")));
                }
                inputs = more;
            }
        }
        Ok(page)
    }

    fn overlapped(&self, started: i64) -> i64 {
        started - i64::from(self.config.overlap_minutes) * 60_000
    }
}

/// Inputs for the records whose associations go on: `{id, after}`.
fn next_pages(answer: &Response) -> Result<Vec<serde_json::Value>> {
    /// The part of an association answer that pages a record's links.
    #[derive(Deserialize)]
    struct Paged {
        from: From,
        paging: Option<Paging>,
    }
    /// The record.
    #[derive(Deserialize)]
    struct From {
        id: serde_json::Value,
    }
    /// Where its links go on.
    #[derive(Deserialize)]
    struct Paging {
        next: Option<Next>,
    }
    /// The cursor.
    #[derive(Deserialize)]
    struct Next {
        after: serde_json::Value,
    }
    // Almost no record has a second page: do not parse what has none.
    let Some(results) = answer.get("/results").filter(|results| results.contains("\"paging\"")) else {
        return Ok(Vec::new());
    };
    let results: Vec<Paged> = serde_json::from_str(&results).map_err(|cause| Error::data(cause.to_string()))?;
    let next = results.into_iter().filter_map(|paged| {
        let after = paged.paging?.next?.after;
        Some(serde_json::json!({ "id": paged.from.id, "after": after }))
    });
    Ok(next.collect())
}

impl Reader for ObjectReader {
    fn next(&mut self) -> Result<Page> {
        match self.state.phase.clone() {
            Phase::Backfill { after, started } => self.backfill(after, started),
            Phase::Changes { from, after, started } => self.changes(from, after, started),
        }
    }
}

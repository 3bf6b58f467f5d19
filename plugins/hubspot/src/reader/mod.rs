//! Reads the records of one object type. Each group of requests asks for the next pages of records and for the links,
//! histories and values of the records of earlier groups. A page of the plugin has records together with all of these,
//! so that they are committed in one transaction. While one group is processed, the next is in flight.

mod enrich;
mod in_flight;
mod ranges;
mod state;

use std::collections::VecDeque;

use plugin_sdk::prelude::*;
use plugin_sdk::source::Table;

use crate::config::Config;
use crate::responses::{checked, read_with_retry};
use crate::schema::{ObjectSchema, object_schemas};
use crate::streams::{ObjectType, ObjectTypes};
use crate::{CONNECTION, GENERAL, SEARCH};
use enrich::Enrichment;
use in_flight::{PageRequest, RequestGroup};
use ranges::{IdRange, id_number};
use state::{Phase, StreamState};

/// The records of HubSpot's largest list page.
pub(crate) const LIST_LIMIT: usize = 100;
/// The records of HubSpot's largest search page.
const SEARCH_LIMIT: usize = 200;
/// The longest list of property names to send in a URL, escaped. HubSpot's limit for a URL is reported to be 8 KB. Longer
/// lists of properties are read by batch read.
const QUERY_LIMIT: usize = 6500;

/// Reads the records of one object type.
pub(crate) struct ObjectReader {
    config: Config,
    object: ObjectType,
    schema: ObjectSchema,
    enrichment: Enrichment,
    state: StreamState,
    /// Records whose enrichment was not requested yet.
    pending: PendingRecords,
    /// Groups of requests, the oldest first.
    in_flight: VecDeque<RequestGroup>,
    /// Whether a sweep starts with the next page.
    begins_sweep: bool,
    total: Option<u64>,
}

/// Records that were read, without their links, histories and values.
#[derive(Default)]
struct PendingRecords {
    tables: Vec<Table>,
    ids: Vec<String>,
    /// Whether they are deleted. HubSpot has no links of deleted records.
    archived: bool,
}

/// A page of records, and the cursor of the page after it.
struct RecordPage {
    table: Table,
    ids: Vec<String>,
    next: Option<String>,
}

impl RecordPage {
    /// Whether the page can be right: one without records must be the last.
    fn is_plausible(&self) -> bool {
        !self.ids.is_empty() || self.next.is_none()
    }
}

impl IdRange {
    /// Whether a page can be the range's next one: its ids ascend, and its cursor is its last id.
    fn accepts(&self, page: &RecordPage) -> bool {
        page.is_plausible()
            && self.is_followed_by(&page.ids)
            && (page.next.is_none() || page.next.as_ref() == page.ids.last())
    }
}

impl ObjectReader {
    /// A reader that continues from the selection's state.
    pub(crate) fn open(
        config: &Config,
        object: ObjectType,
        types: &ObjectTypes,
        selection: &Selection,
    ) -> Result<Self> {
        let schema = object_schemas(config, &[&object])?.pop().unwrap_or_else(|| Err(Error::data("no properties")))?;
        let enrichment = Enrichment::new(config, &object, types, &schema, &selection.streams);
        let covers = schema.property_types.iter().cloned().chain(enrichment.names()).collect();
        let (state, begins_sweep) = StreamState::open(selection, schema.server_time, covers)?;
        let (config, pending, in_flight) = (config.clone(), PendingRecords::default(), VecDeque::new());
        Ok(Self { config, object, schema, enrichment, state, pending, in_flight, begins_sweep, total: None })
    }

    fn path(&self, rest: &str) -> String {
        format!("/crm/objects/{}/{}{rest}", self.config.api_version, self.object.path)
    }

    /// Requests a page of the list.
    fn list_request(&self, after: Option<&str>, archived: bool) -> Request {
        let mut request = Request::get(self.path("")).query("limit", LIST_LIMIT).bucket(GENERAL);
        if !self.enrichment.reads_values {
            request = request.query("properties", self.schema.properties.join(","));
        }
        if archived {
            request = request.query("archived", true);
        }
        match after {
            Some(after) => request.query("after", after),
            None => request,
        }
    }

    /// Requests records that changed from a time on, in ascending order of id. A search by id skips no record and returns
    /// none twice, which a search by offset may. It has no end time: it would never find a record that changes
    /// constantly.
    fn search_request(&self, from: i64, after: Option<&str>) -> Request {
        let filter = |property: &str, operator: &str, value: &str| serde_json::json!({ "propertyName": property, "operator": operator, "value": value });
        let mut filters = vec![filter(self.object.modified(), "GTE", &from.to_string())];
        filters.extend(after.map(|after| filter("hs_object_id", "GT", after)));
        let properties: &[String] = if self.enrichment.reads_values { &[] } else { &self.schema.properties };
        let body = serde_json::json!({
            "filterGroups": [{ "filters": filters }],
            "sorts": [{ "propertyName": "hs_object_id", "direction": "ASCENDING" }],
            "properties": properties,
            "limit": SEARCH_LIMIT,
        });
        Request::post(self.path("/search"), &body).bucket(SEARCH)
    }

    /// Requests the record with the largest id. The response also has the number of records.
    fn last_record_request(&self) -> Request {
        let body = serde_json::json!({
            "sorts": [{ "propertyName": "hs_object_id", "direction": "DESCENDING" }], "limit": 1,
        });
        Request::post(self.path("/search"), &body).bucket(SEARCH)
    }

    fn record_page(&self, response: Response) -> Result<RecordPage> {
        let response = checked(response, self.object.scope)?;
        let table = self.schema.table.decode(&response)?;
        let ids = table.texts("id")?;
        Ok(RecordPage { table, ids, next: response.get("/paging/next/after") })
    }

    /// Processes groups of requests until one completes a page.
    fn next_page(&mut self) -> Result<Page> {
        loop {
            self.send_groups();
            let Some(group) = self.in_flight.pop_front() else { return self.end_phase() };
            let RequestGroup { pages, records, state, enrichment, sent } = group;
            let mut responses = sent.answers()?;
            let enrichment_responses = responses.split_off(pages.len());
            match self.state.phase.clone() {
                Phase::List { .. } => self.add_listed(responses, &pages)?,
                Phase::Archived { .. } => self.add_archived(responses, &pages)?,
                Phase::Changes { .. } => self.add_changed(responses, &pages)?,
            }
            if records.ids.is_empty() {
                continue;
            }
            self.send_groups();
            let mut page = Page::new().total(self.total.take());
            if !self.enrichment.reads_values {
                for table in records.tables {
                    page = page.rows(&self.object.stream, &self.schema.schema, table);
                }
            }
            page = self.enrichment.add_to_page(page, &records.ids, enrichment, enrichment_responses)?;
            return Ok(page.state(&state).sweep(self.sweep(&state.phase)));
        }
    }

    /// Where a page of this phase stands in a sweep.
    fn sweep(&mut self, phase: &Phase) -> Option<Sweep> {
        match phase {
            Phase::Changes { .. } => None,
            _ if std::mem::take(&mut self.begins_sweep) => Some(Sweep::First),
            _ => Some(Sweep::Next),
        }
    }

    fn add_listed(&mut self, responses: Vec<Response>, requests: &[PageRequest]) -> Result<()> {
        let Phase::List { ranges, .. } = &self.state.phase else { return Ok(()) };
        let mut ranges = ranges.clone();
        let is_whole_list = ranges.len() == 1 && ranges[0].until.is_none();
        let (mut is_out_of_order, mut ascends) = (false, true);
        for (response, PageRequest { after, request }) in responses.into_iter().zip(requests) {
            // A request whose range no longer exists was sent before the ranges were given up.
            let Some(index) = ranges.iter().position(|range| !range.done && range.after == *after) else { continue };
            let range = ranges[index].clone();
            let is_valid = |page: &RecordPage| if is_whole_list { page.is_plausible() } else { range.accepts(page) };
            let page = read_with_retry(response, request, |response| self.record_page(response), is_valid)?;
            if is_whole_list && page.next.is_some() && page.next == range.after {
                let (stream, after) = (&self.object.stream, range.after.as_deref().unwrap_or_default());
                return Err(Error::data(format!(
                    "HubSpot's list of {stream} returned the same page twice after `{after}`"
                )));
            }
            if is_whole_list {
                // The list can be split by id only if HubSpot's cursor is the last id of a page.
                ascends &= range.accepts(&page);
            } else if !range.accepts(&page) {
                is_out_of_order = true;
                continue;
            }
            let in_range = range.count_in_range(&page.ids);
            let ids = &page.ids[..in_range];
            self.pending.tables.push(if in_range == page.ids.len() {
                page.table
            } else {
                page.table.slice(0, in_range)
            });
            self.pending.ids.extend_from_slice(ids);
            ranges[index].advance(&page.ids, in_range, page.next);
        }
        if is_out_of_order {
            log::warn(&format!(
                "{}: HubSpot's list is not in ascending order of id: read page by page instead of in ranges",
                self.object.stream
            ));
            // Ranges that are done may have ended too early, so the list is read from its start.
            ranges = vec![IdRange::default()];
        }
        if is_whole_list && ascends && !ranges[0].done {
            ranges = self.split(ranges)?;
        }
        ranges::rebalance(&mut ranges, self.config.ranges as usize);
        if let Phase::List { ranges: stored, .. } = &mut self.state.phase {
            *stored = ranges;
        }
        Ok(())
    }

    /// Splits the rest of the list into ranges, if that was not done before and the list is large.
    fn split(&mut self, ranges: Vec<IdRange>) -> Result<Vec<IdRange>> {
        let Phase::List { is_split: false, .. } = self.state.phase else { return Ok(ranges) };
        let response = checked(self.last_record_request().send(CONNECTION)?, self.object.scope)?;
        let total: u64 = response.get("/total").and_then(|total| total.parse().ok()).unwrap_or_default();
        let last = response.get("/results/0/id").and_then(|id| id_number(&id));
        self.total = Some(total);
        if let Phase::List { is_split, .. } = &mut self.state.phase {
            *is_split = true;
        }
        let count = (total / 1000).min(self.config.ranges.into());
        match (ranges[0].after.as_deref().and_then(id_number), last) {
            (Some(first), Some(last)) if count > 1 => Ok(ranges::split_evenly(first, last, count)),
            _ => Ok(ranges),
        }
    }

    fn add_archived(&mut self, responses: Vec<Response>, requests: &[PageRequest]) -> Result<()> {
        for (response, PageRequest { request, .. }) in responses.into_iter().zip(requests) {
            let read = |response| self.record_page(response);
            let page = read_with_retry(response, request, read, RecordPage::is_plausible)?;
            self.pending.archived = true;
            self.pending.tables.push(page.table);
            self.pending.ids.extend(page.ids);
            if let Phase::Archived { after, done, .. } = &mut self.state.phase {
                if page.next.is_some() && page.next == *after {
                    let stream = &self.object.stream;
                    return Err(Error::data(format!(
                        "HubSpot's list of deleted {stream} returned the same page twice"
                    )));
                }
                *done = page.next.is_none();
                *after = page.next;
            }
        }
        Ok(())
    }

    fn add_changed(&mut self, responses: Vec<Response>, requests: &[PageRequest]) -> Result<()> {
        let Phase::Changes { after, .. } = &self.state.phase else { return Ok(()) };
        let after = after.clone();
        let start = after.as_deref().and_then(id_number).unwrap_or_default();
        let ascends = |page: &RecordPage| page.is_plausible() && ranges::is_ascending_from(start, &page.ids);
        for (response, PageRequest { request, .. }) in responses.into_iter().zip(requests) {
            let page = read_with_retry(response, request, |response| self.record_page(response), ascends)?;
            if !ascends(&page) {
                let message = format!("{}: HubSpot's search results are not in ascending order", self.path("/search"));
                return Err(Error::new(ErrorKind::Transient, "order", message)
                    .hint("run the same command again: no record was skipped"));
            }
            if let Phase::Changes { after, done, .. } = &mut self.state.phase {
                *done = page.next.is_none();
                *after = page.ids.last().cloned().or(after.take());
            }
            self.pending.tables.push(page.table);
            self.pending.ids.extend(page.ids);
        }
        Ok(())
    }

    /// Goes on to the next phase after one that has no more pages.
    fn end_phase(&mut self) -> Result<Page> {
        match self.state.phase.clone() {
            Phase::List { started, .. } => {
                self.state.phase = Phase::Archived { after: None, done: false, started };
                self.next_page()
            }
            Phase::Archived { .. } if std::mem::take(&mut self.begins_sweep) => {
                // The sweep found no record at all. It still needs a first page, so that older records are marked.
                Ok(Page::new().state(&self.state).sweep(Some(Sweep::First)))
            }
            Phase::Archived { started, .. } => {
                let response = checked(self.last_record_request().send(CONNECTION)?, self.object.scope)?;
                let expected = response.get("/total").and_then(|total| total.parse().ok());
                self.state.swept = started;
                self.state.phase = self.changes_from(started);
                let page = Page::new().state(&self.state).sweep(Some(Sweep::Last));
                Ok(page.expected(expected).done(true))
            }
            Phase::Changes { until, .. } => {
                let now = self.schema.server_time;
                self.state.phase = self.changes_from(until);
                if until < now {
                    // That search was started by an earlier run: search again, up to now.
                    self.state.phase = Phase::changes(until - self.overlap(), now);
                    return self.next_page();
                }
                if now < self.state.swept + i64::from(self.config.sweep_hours) * 3_600_000 {
                    return Ok(Page::new().state(&self.state).done(true));
                }
                self.begins_sweep = true;
                self.state.phase = Phase::list(now);
                self.next_page()
            }
        }
    }

    /// By how many milliseconds searches overlap.
    fn overlap(&self) -> i64 {
        i64::from(self.config.overlap_minutes) * 60_000
    }

    /// The state from which the next run searches: an overlap before this time, since the search index lags behind writes.
    fn changes_from(&self, time: i64) -> Phase {
        Phase::Changes { from: time - self.overlap(), until: time, after: None, done: true }
    }
}

impl Reader for ObjectReader {
    fn next(&mut self) -> Result<Page> {
        self.next_page()
    }
}

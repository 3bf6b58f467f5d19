//! Reads one object type. Each flight of requests asks for the next pages of records and, beside them, for what belongs
//! to the records of the flights before: links, histories, values. A page holds records with all of that, and the state
//! that follows them, so that what belongs together commits together. While one flight's answers are read, the next is
//! on its way.

mod enrich;
mod flight;
mod ranges;
mod state;

use std::collections::VecDeque;

use plugin_sdk::prelude::*;
use plugin_sdk::source::Table;

use crate::answers::{checked, sure};
use crate::config::Config;
use crate::schema::{ObjectSchema, object_schemas};
use crate::streams::{Object, Objects};
use crate::{CONNECTION, GENERAL, SEARCH};
use enrich::Enrichment;
use flight::{Asked, Flight};
use ranges::{Range, number};
use state::{Phase, State};

/// HubSpot's largest page of a list.
pub(crate) const LIST_LIMIT: usize = 100;
/// HubSpot's largest page of a search.
const SEARCH_LIMIT: usize = 200;
/// Others report 8k as the longest URL that HubSpot takes; longer property lists, as a URL writes them, go by batch read.
const QUERY_LIMIT: usize = 6500;

/// Reads one object type.
pub(crate) struct ObjectReader {
    config: Config,
    object: Object,
    schema: ObjectSchema,
    enrichment: Enrichment,
    state: State,
    /// Records that wait for what belongs to them.
    held: Held,
    /// Requests on their way, the oldest first.
    flights: VecDeque<Flight>,
    /// The first page of this sweep is yet to come.
    begins_sweep: bool,
    total: Option<u64>,
}

/// Records of one round.
#[derive(Default)]
struct Held {
    tables: Vec<Table>,
    ids: Vec<String>,
    /// Deleted records have no links.
    archived: bool,
}

/// A page's records, and the page after it.
struct Fetched {
    table: Table,
    ids: Vec<String>,
    next: Option<String>,
}

impl Fetched {
    /// A page without records has none after it.
    fn is_whole(&self) -> bool {
        !self.ids.is_empty() || self.next.is_none()
    }
}

impl Range {
    /// Whether a page is one of the range: its ids rise, and the page after it starts at the last of them.
    fn fits(&self, page: &Fetched) -> bool {
        page.is_whole() && self.holds(&page.ids) && (page.next.is_none() || page.next.as_ref() == page.ids.last())
    }
}

impl ObjectReader {
    /// A reader from where the state left off.
    pub(crate) fn open(config: &Config, object: Object, objects: &Objects, selection: &Selection) -> Result<Self> {
        let schema = object_schemas(config, &[&object])?.pop().unwrap_or_else(|| Err(Error::data("no properties")))?;
        let enrichment = Enrichment::new(config, &object, objects, &schema, &selection.streams);
        let covers = schema.shape.iter().cloned().chain(enrichment.names()).collect();
        let (state, begins_sweep) = State::open(selection, schema.told_at, covers)?;
        let (config, held, flights) = (config.clone(), Held::default(), VecDeque::new());
        Ok(Self { config, object, schema, enrichment, state, held, flights, begins_sweep, total: None })
    }

    fn path(&self, rest: &str) -> String {
        format!("/crm/objects/{}/{}{rest}", self.config.api_version, self.object.path)
    }

    fn is_wide(&self) -> bool {
        self.enrichment.reads_values
    }

    /// A page of the list.
    fn list(&self, after: Option<&str>, archived: bool) -> Request {
        let mut request = Request::get(self.path("")).query("limit", LIST_LIMIT).bucket(GENERAL);
        if !self.is_wide() {
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

    /// Records changed since an instant, by rising id: no offset, so none is skipped or seen twice. The window has no end:
    /// a record that is edited all the time would never lie within it.
    fn search(&self, from: i64, after: Option<&str>) -> Request {
        let filter = |property: &str, operator: &str, value: &str| serde_json::json!({ "propertyName": property, "operator": operator, "value": value });
        let mut filters = vec![filter(self.object.modified(), "GTE", &from.to_string())];
        filters.extend(after.map(|after| filter("hs_object_id", "GT", after)));
        let properties: &[String] = if self.is_wide() { &[] } else { &self.schema.properties };
        let body = serde_json::json!({
            "filterGroups": [{ "filters": filters }],
            "sorts": [{ "propertyName": "hs_object_id", "direction": "ASCENDING" }],
            "properties": properties,
            "limit": SEARCH_LIMIT,
        });
        Request::post(self.path("/search"), &body).bucket(SEARCH)
    }

    /// The record with the largest id, and how many there are.
    fn last(&self) -> Request {
        let body = serde_json::json!({
            "sorts": [{ "propertyName": "hs_object_id", "direction": "DESCENDING" }], "limit": 1,
        });
        Request::post(self.path("/search"), &body).bucket(SEARCH)
    }

    fn fetched(&self, answer: Response) -> Result<Fetched> {
        let answer = checked(answer, self.object.scope)?;
        let table = self.schema.table.decode(&answer)?;
        let ids = table.texts("id")?;
        Ok(Fetched { table, ids, next: answer.get("/paging/next/after") })
    }

    /// Flights until a page is whole: the next pages, and what belongs to the records held once they are many.
    fn round(&mut self) -> Result<Page> {
        loop {
            self.launch();
            let Some(flight) = self.flights.pop_front() else { return self.end_of_phase() };
            let Flight { requests, held, before, enrichment, sent } = flight;
            let mut answers = sent.answers()?;
            let belonging = answers.split_off(requests.len());
            match self.state.phase.clone() {
                Phase::List { .. } => self.listed(answers, &requests)?,
                Phase::Archived { .. } => self.archived(answers, &requests)?,
                Phase::Changes { .. } => self.changed(answers, &requests)?,
            }
            if held.ids.is_empty() {
                continue;
            }
            self.launch();
            let mut page = Page::new().total(self.total.take());
            if !self.is_wide() {
                for table in held.tables {
                    page = page.rows(&self.object.stream, &self.schema.schema, table);
                }
            }
            page = self.enrichment.add(page, &held.ids, enrichment, belonging)?;
            return Ok(page.state(&before).sweep(self.sweep(&before.phase)));
        }
    }

    /// Where in a sweep a page of this phase stands.
    fn sweep(&mut self, phase: &Phase) -> Option<Sweep> {
        match phase {
            Phase::Changes { .. } => None,
            _ if std::mem::take(&mut self.begins_sweep) => Some(Sweep::First),
            _ => Some(Sweep::Next),
        }
    }

    fn listed(&mut self, answers: Vec<Response>, requests: &[Asked]) -> Result<()> {
        let Phase::List { ranges, .. } = &self.state.phase else { return Ok(()) };
        let mut ranges = ranges.clone();
        let is_alone = ranges.len() == 1 && ranges[0].until.is_none();
        let (mut broken, mut rises) = (false, true);
        for (answer, Asked { after, request }) in answers.into_iter().zip(requests) {
            // One that is no more was given up, with all that it asked for.
            let Some(index) = ranges.iter().position(|range| !range.done && range.after == *after) else { continue };
            let range = ranges[index].clone();
            let is_right = |page: &Fetched| if is_alone { page.is_whole() } else { range.fits(page) };
            let page = sure(answer, request, |answer| self.fetched(answer), is_right)?;
            if is_alone && page.next.is_some() && page.next == range.after {
                return Err(Error::data(format!("HubSpot's list does not move on after {:?}", range.after)));
            }
            if is_alone {
                // Only where HubSpot's cursor is the last id can the list be cut by ids.
                rises &= range.fits(&page);
            } else if !range.fits(&page) {
                // The list is not in the order of ids: only HubSpot's own cursor is to be trusted.
                broken = true;
                continue;
            }
            let keep = range.keep(&page.ids);
            let ids = &page.ids[..keep];
            self.held.tables.push(if keep == page.ids.len() { page.table } else { page.table.slice(0, keep) });
            self.held.ids.extend_from_slice(ids);
            ranges[index].go_on(&page.ids, keep, page.next);
        }
        if broken {
            log::warn(&format!("{}: the list does not rise by id; it is read in one piece", self.object.stream));
            // What was taken for the end of a range may not have been: from the start.
            ranges = vec![Range::default()];
        }
        if is_alone && rises && !ranges[0].done {
            ranges = self.split(ranges)?;
        }
        ranges::share_out(&mut ranges, self.config.ranges as usize);
        if let Phase::List { ranges: stored, .. } = &mut self.state.phase {
            *stored = ranges;
        }
        Ok(())
    }

    /// Cuts what is left of the list into ranges, once its end and its size are known.
    fn split(&mut self, ranges: Vec<Range>) -> Result<Vec<Range>> {
        let Phase::List { is_split: false, .. } = self.state.phase else { return Ok(ranges) };
        let answer = checked(self.last().send(CONNECTION)?, self.object.scope)?;
        let total: u64 = answer.get("/total").and_then(|total| total.parse().ok()).unwrap_or_default();
        let last = answer.get("/results/0/id").and_then(|id| number(&id));
        self.total = Some(total);
        if let Phase::List { is_split, .. } = &mut self.state.phase {
            *is_split = true;
        }
        let count = (total / 1000).min(self.config.ranges.into());
        match (ranges[0].after.as_deref().and_then(number), last) {
            (Some(first), Some(last)) if count > 1 => Ok(ranges::cut(first, last, count)),
            _ => Ok(ranges),
        }
    }

    fn archived(&mut self, answers: Vec<Response>, requests: &[Asked]) -> Result<()> {
        for (answer, Asked { request, .. }) in answers.into_iter().zip(requests) {
            let page = sure(answer, request, |answer| self.fetched(answer), Fetched::is_whole)?;
            self.held.archived = true;
            self.held.tables.push(page.table);
            self.held.ids.extend(page.ids);
            if let Phase::Archived { after, done, .. } = &mut self.state.phase {
                if page.next.is_some() && page.next == *after {
                    return Err(Error::data(format!(
                        "HubSpot's list of deleted {} repeats a page",
                        self.object.stream
                    )));
                }
                *done = page.next.is_none();
                *after = page.next;
            }
        }
        Ok(())
    }

    fn changed(&mut self, answers: Vec<Response>, requests: &[Asked]) -> Result<()> {
        let Phase::Changes { after, .. } = &self.state.phase else { return Ok(()) };
        let after = after.clone();
        let start = after.as_deref().and_then(number).unwrap_or_default();
        let rises = |page: &Fetched| page.is_whole() && ranges::rise(start, &page.ids);
        for (answer, Asked { request, .. }) in answers.into_iter().zip(requests) {
            let page = sure(answer, request, |answer| self.fetched(answer), rises)?;
            if !rises(&page) {
                let message = format!("{}: HubSpot's search does not rise by id", self.path("/search"));
                return Err(Error::new(ErrorKind::Transient, "order", message).hint("nothing was skipped; run again"));
            }
            if let Phase::Changes { after, done, .. } = &mut self.state.phase {
                *done = page.next.is_none();
                *after = page.ids.last().cloned().or(after.take());
            }
            self.held.tables.push(page.table);
            self.held.ids.extend(page.ids);
        }
        Ok(())
    }

    /// What follows a phase that has no more pages.
    fn end_of_phase(&mut self) -> Result<Page> {
        match self.state.phase.clone() {
            Phase::List { started, .. } => {
                self.state.phase = Phase::Archived { after: None, done: false, started };
                self.round()
            }
            Phase::Archived { .. } if std::mem::take(&mut self.begins_sweep) => {
                // There was no page at all: what was there before is gone all the same.
                Ok(Page::new().state(&self.state).sweep(Some(Sweep::First)))
            }
            Phase::Archived { started, .. } => {
                let expected = checked(self.last().send(CONNECTION)?, self.object.scope)?.get("/total");
                self.state.swept = started;
                self.state.phase = self.changes_from(started);
                let page = Page::new().state(&self.state).sweep(Some(Sweep::Last));
                Ok(page.expected(expected.and_then(|total| total.parse().ok())).done(true))
            }
            Phase::Changes { until, .. } => {
                let now = self.schema.told_at;
                self.state.phase = self.changes_from(until);
                if until < now {
                    // The window was that of an earlier run.
                    self.state.phase = Phase::changes(until - self.overlap(), now);
                    return self.round();
                }
                if now < self.state.swept + i64::from(self.config.sweep_hours) * 3_600_000 {
                    return Ok(Page::new().state(&self.state).done(true));
                }
                self.begins_sweep = true;
                self.state.phase = Phase::list(now);
                self.round()
            }
        }
    }

    fn overlap(&self) -> i64 {
        i64::from(self.config.overlap_minutes) * 60_000
    }

    /// The next run asks from here on: an overlap, since the index lags behind writes.
    fn changes_from(&self, instant: i64) -> Phase {
        Phase::Changes { from: instant - self.overlap(), until: instant, after: None, done: true }
    }
}

impl Reader for ObjectReader {
    fn next(&mut self) -> Result<Page> {
        self.round()
    }
}

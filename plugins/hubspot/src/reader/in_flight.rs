//! Decides which requests are sent together, and how many such groups are in flight.

use plugin_sdk::prelude::*;

use super::enrich::{EnrichmentKind, LINK_INPUTS};
use super::state::{Phase, StreamState};
use super::{LIST_LIMIT, ObjectReader, PendingRecords};
use crate::CONNECTION;

/// The groups in flight: the responses of one are processed while the plugin waits for the other.
const GROUPS_IN_FLIGHT: usize = 2;

/// Requests that were sent together.
pub(super) struct RequestGroup {
    /// The requests for the next pages of records.
    pub(super) pages: Vec<PageRequest>,
    /// Records of earlier groups, whose enrichment this group requests.
    pub(super) records: PendingRecords,
    /// The state after those records.
    pub(super) state: StreamState,
    /// The requests for the enrichment of those records.
    pub(super) enrichment: Vec<(EnrichmentKind, Request)>,
    pub(super) sent: Sent,
}

/// A request for a page of records, and its cursor.
pub(super) struct PageRequest {
    pub(super) after: Option<String>,
    pub(super) request: Request,
}

impl ObjectReader {
    /// Sends groups of requests until enough are in flight, or nothing is left to request now.
    pub(super) fn send_groups(&mut self) {
        while self.in_flight.len() < GROUPS_IN_FLIGHT {
            let pages = self.next_page_requests();
            // Records wait until there are enough of them to fill one request for links.
            let are_enough = self.pending.ids.len() + pages.len() * LIST_LIMIT > LINK_INPUTS;
            let are_last = pages.is_empty() && self.in_flight.is_empty();
            let records =
                if are_last || are_enough { std::mem::take(&mut self.pending) } else { PendingRecords::default() };
            if pages.is_empty() && records.ids.is_empty() {
                return;
            }
            let enrichment = self.enrichment.requests(&records.ids, records.archived);
            let page_requests = pages.iter().map(|page| page.request.clone());
            let all = page_requests.chain(enrichment.iter().map(|(_, request)| request.clone())).collect();
            let sent = Request::start_all(all, CONNECTION);
            let state = self.state.clone();
            self.in_flight.push_back(RequestGroup { pages, records, state, enrichment, sent });
        }
    }

    /// The next pages that are not in flight. Of a list in ranges, each group requests its share of the ranges.
    fn next_page_requests(&self) -> Vec<PageRequest> {
        let is_in_flight = |after: &Option<String>| {
            self.in_flight.iter().flat_map(|group| &group.pages).any(|page| page.after == *after)
        };
        let one = |after: &Option<String>, request: Request| vec![PageRequest { after: after.clone(), request }];
        match &self.state.phase {
            Phase::List { ranges, .. } => {
                let share = ranges.len().div_ceil(GROUPS_IN_FLIGHT);
                let waiting = ranges.iter().filter(|range| !is_in_flight(&range.after)).take(share);
                let page_request = |after: &Option<String>| PageRequest {
                    after: after.clone(),
                    request: self.list_request(after.as_deref(), false),
                };
                waiting.map(|range| page_request(&range.after)).collect()
            }
            Phase::Archived { after, done: false, .. } if !is_in_flight(after) => {
                one(after, self.list_request(after.as_deref(), true))
            }
            Phase::Changes { from, after, done: false, .. } if !is_in_flight(after) => {
                one(after, self.search_request(*from, after.as_deref()))
            }
            Phase::Archived { .. } | Phase::Changes { .. } => Vec::new(),
        }
    }
}

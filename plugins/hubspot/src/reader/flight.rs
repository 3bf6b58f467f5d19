//! Flights: which requests go out together, and how many flights are on their way at once.

use plugin_sdk::prelude::*;

use super::enrich::{Job, LINK_INPUTS};
use super::state::{Phase, State};
use super::{Held, LIST_LIMIT, ObjectReader};
use crate::CONNECTION;

/// Flights on their way at once: the answers of one are read while the other's are awaited.
const FLIGHTS: usize = 2;

/// Requests that went out together.
pub(super) struct Flight {
    /// For the next pages of records.
    pub(super) requests: Vec<Asked>,
    /// Records of flights before it, for which it asks what belongs to them.
    pub(super) held: Held,
    /// The state that follows those records.
    pub(super) before: State,
    /// The requests for what belongs to them.
    pub(super) enrichment: Vec<(Job, Request)>,
    pub(super) sent: Sent,
}

/// A request for a page of records, and the cursor that it follows.
pub(super) struct Asked {
    pub(super) after: Option<String>,
    pub(super) request: Request,
}

impl ObjectReader {
    /// Sends what can be asked for now.
    pub(super) fn launch(&mut self) {
        while self.flights.len() < FLIGHTS {
            let requests = self.next_pages();
            // Records are held until they fill a request for what belongs to them.
            let are_many = self.held.ids.len() + requests.len() * LIST_LIMIT > LINK_INPUTS;
            let are_last = requests.is_empty() && self.flights.is_empty();
            let held = if are_last || are_many { std::mem::take(&mut self.held) } else { Held::default() };
            if requests.is_empty() && held.ids.is_empty() {
                return;
            }
            let enrichment = self.enrichment.requests(&held.ids, held.archived);
            let pages = requests.iter().map(|asked| asked.request.clone());
            let all = pages.chain(enrichment.iter().map(|(_, request)| request.clone())).collect();
            let sent = Request::start_all(all, CONNECTION);
            self.flights.push_back(Flight { requests, held, before: self.state.clone(), enrichment, sent });
        }
    }

    /// The next pages that nobody has asked for yet: of a list in ranges, a flight's share of them.
    fn next_pages(&self) -> Vec<Asked> {
        let is_asked = |after: &Option<String>| {
            self.flights.iter().flat_map(|flight| &flight.requests).any(|asked| asked.after == *after)
        };
        let one = |after: &Option<String>, request: Request| vec![Asked { after: after.clone(), request }];
        match &self.state.phase {
            Phase::List { ranges, .. } => {
                let share = ranges.len().div_ceil(FLIGHTS);
                let waiting = ranges.iter().filter(|range| !is_asked(&range.after)).take(share);
                let ask = |after: &Option<String>| Asked {
                    after: after.clone(),
                    request: self.list(after.as_deref(), false),
                };
                waiting.map(|range| ask(&range.after)).collect()
            }
            Phase::Archived { after, done: false, .. } if !is_asked(after) => {
                one(after, self.list(after.as_deref(), true))
            }
            Phase::Changes { from, after, done: false, .. } if !is_asked(after) => {
                one(after, self.search(*from, after.as_deref()))
            }
            Phase::Archived { .. } | Phase::Changes { .. } => Vec::new(),
        }
    }
}

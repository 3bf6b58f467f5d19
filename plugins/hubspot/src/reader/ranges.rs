//! Ranges of ids, in which one list is read concurrently. HubSpot lists records in ascending order of id, and the cursor
//! `after` is the last id of a page, so that a list can be read from any id.

use plugin_sdk::prelude::*;

/// A range must be at least twice this wide to be split: each range costs one more request at its end.
const MIN_WIDTH: u64 = 400;

/// A part of the list: the records after one id, up to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IdRange {
    /// Read records after this id; from the start if none.
    pub(super) after: Option<String>,
    /// Read records up to and including this id; to the end if none.
    pub(super) until: Option<u64>,
    /// Whether the range was read to its end.
    #[serde(skip)]
    pub(super) done: bool,
}

/// An id as a number.
pub(super) fn id_number(id: &str) -> Option<u64> {
    id.parse().ok()
}

/// Whether ids ascend, all of them above a start.
pub(super) fn is_ascending_from(start: u64, ids: &[String]) -> bool {
    let mut last = start;
    ids.iter().all(|id| {
        let id = id_number(id).unwrap_or_default();
        let is_above = id > last;
        last = id;
        is_above
    })
}

impl IdRange {
    fn start(&self) -> u64 {
        self.after.as_deref().and_then(id_number).unwrap_or_default()
    }

    /// Whether the ids of a page ascend from the range's start.
    pub(super) fn is_followed_by(&self, ids: &[String]) -> bool {
        is_ascending_from(self.start(), ids)
    }

    /// How many of a page's records are in the range.
    pub(super) fn count_in_range(&self, ids: &[String]) -> usize {
        match self.until {
            None => ids.len(),
            Some(until) => ids.iter().take_while(|id| id_number(id).is_some_and(|id| id <= until)).count(),
        }
    }

    /// Moves the start behind a page. `in_range` of its records were in the range; `next` is HubSpot's cursor.
    pub(super) fn advance(&mut self, ids: &[String], in_range: usize, next: Option<String>) {
        self.done = next.is_none() || in_range < ids.len();
        // A range without an end follows HubSpot's own cursor.
        self.after = match self.until {
            None => next.or(self.after.take()),
            Some(_) => ids.last().cloned().or(self.after.take()),
        };
        let is_at_end =
            || self.after.as_deref().and_then(id_number).zip(self.until).is_some_and(|(at, until)| at >= until);
        self.done = self.done || is_at_end();
    }

    fn width(&self) -> u64 {
        self.until.map_or(0, |until| until.saturating_sub(self.start()))
    }
}

/// Splits the ids from `first` to `last` into `count` ranges of one width. The last has no end, since records may be
/// added meanwhile.
pub(super) fn split_evenly(first: u64, last: u64, count: u64) -> Vec<IdRange> {
    let width = last.saturating_sub(first) / count + 1;
    let range = |index: u64| IdRange {
        after: Some((first + index * width).to_string()),
        until: (index + 1 < count).then_some(first + (index + 1) * width),
        done: false,
    };
    (0..count).map(range).collect()
}

/// Removes ranges that are done, and splits the widest in their place, since ids are not spread evenly.
pub(super) fn rebalance(ranges: &mut Vec<IdRange>, count: usize) {
    let before = ranges.len();
    ranges.retain(|range| !range.done);
    while before > 1 && ranges.len() < count {
        let Some(widest) = ranges.iter_mut().max_by_key(|range| range.width()) else { return };
        if widest.width() < 2 * MIN_WIDTH {
            return;
        }
        let middle = widest.start() + widest.width() / 2;
        let upper = IdRange { after: Some(middle.to_string()), until: widest.until, done: false };
        widest.until = Some(middle);
        ranges.push(upper);
    }
}

#[cfg(test)]
mod tests {
    use super::{IdRange, rebalance, split_evenly};

    fn ids(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
        range.map(|id| id.to_string()).collect()
    }

    /// Reads ranges of a list of ids as HubSpot serves it, with pages of 10, one page of each range in turn.
    fn read(all: &[u64], mut ranges: Vec<IdRange>, count: usize) -> Vec<u64> {
        let mut found = Vec::new();
        while !ranges.is_empty() {
            for range in &mut ranges {
                let after: u64 = range.after.as_deref().unwrap_or("0").parse().expect("an id");
                let page: Vec<_> = all.iter().filter(|id| **id > after).take(10).map(u64::to_string).collect();
                let more = all.iter().filter(|id| **id > after).count() > 10;
                assert!(range.is_followed_by(&page));
                let in_range = range.count_in_range(&page);
                found.extend(page[..in_range].iter().map(|id| id.parse::<u64>().expect("an id")));
                let next = page.last().cloned().filter(|_| more);
                range.advance(&page, in_range, next);
            }
            rebalance(&mut ranges, count);
        }
        found
    }

    #[test]
    fn ranges_cover_every_id_once() {
        // Ids in clusters with wide gaps, as in a real portal.
        let all: Vec<u64> =
            (1..5).flat_map(|cluster| (0..137).map(move |id| cluster * cluster * 10_000 + id * 3)).collect();
        for count in [1, 2, 3, 8, 50] {
            let first = all[0];
            let last = all[all.len() - 1];
            let mut ranges = split_evenly(first, last, count);
            ranges[0].after = Some((first - 1).to_string());
            let mut found = read(&all, ranges, 8);
            found.sort_unstable();
            assert_eq!(found, all, "{count} ranges");
        }
    }

    #[test]
    fn ids_out_of_order_are_detected() {
        let range = IdRange { after: Some("5".to_owned()), until: None, done: false };
        assert!(range.is_followed_by(&ids(6..=9)));
        assert!(!range.is_followed_by(&ids(5..=9)));
        assert!(!range.is_followed_by(&["9".to_owned(), "10".to_owned(), "8".to_owned()]));
    }
}

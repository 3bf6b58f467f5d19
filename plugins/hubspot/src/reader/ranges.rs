//! Ranges of ids in which one list is read at once. Records come in the order of their id and `after` is the last id of
//! a page, so that a list can be read from any id on.

use plugin_sdk::prelude::*;

/// A range narrower than this is not worth another request at its end.
const NARROWEST: u64 = 400;

/// A part of the list: ids after one, up to another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Range {
    /// Records after this id; none: from the start.
    pub(super) after: Option<String>,
    /// Up to this one; none: to the end.
    pub(super) until: Option<u64>,
    /// Whether it is read.
    #[serde(skip)]
    pub(super) done: bool,
}

/// An id as a number.
pub(super) fn number(id: &str) -> Option<u64> {
    id.parse().ok()
}

/// Whether ids rise from above a start.
pub(super) fn rise(start: u64, ids: &[String]) -> bool {
    let mut last = start;
    ids.iter().all(|id| {
        let id = number(id).unwrap_or_default();
        let rises = id > last;
        last = id;
        rises
    })
}

impl Range {
    /// Whether a page is one of the range: its ids rise from the range's start.
    pub(super) fn holds(&self, ids: &[String]) -> bool {
        rise(self.after.as_deref().and_then(number).unwrap_or_default(), ids)
    }

    /// How many of a page's records are of the range.
    pub(super) fn keep(&self, ids: &[String]) -> usize {
        match self.until {
            None => ids.len(),
            Some(until) => ids.iter().take_while(|id| number(id).is_some_and(|id| id <= until)).count(),
        }
    }

    /// After a page, of which `keep` records were of the range.
    pub(super) fn go_on(&mut self, ids: &[String], keep: usize, next: Option<String>) {
        self.done = next.is_none() || keep < ids.len();
        // Without bounds, HubSpot's own cursor leads on.
        self.after = match self.until {
            None => next.or(self.after.take()),
            Some(_) => ids.last().cloned().or(self.after.take()),
        };
        let is_full = || self.after.as_deref().and_then(number).zip(self.until).is_some_and(|(at, until)| at >= until);
        self.done = self.done || is_full();
    }

    fn left(&self) -> u64 {
        let after = self.after.as_deref().and_then(number).unwrap_or_default();
        self.until.map_or(0, |until| until.saturating_sub(after))
    }
}

/// As many ranges of one width; the last has no end, since records may be added.
pub(super) fn cut(first: u64, last: u64, count: u64) -> Vec<Range> {
    let width = last.saturating_sub(first) / count + 1;
    let range = |index: u64| Range {
        after: Some((first + index * width).to_string()),
        until: (index + 1 < count).then_some(first + (index + 1) * width),
        done: false,
    };
    (0..count).map(range).collect()
}

/// Leaves out ranges that are read, and halves the widest for each, since ids are not spread evenly.
pub(super) fn share_out(ranges: &mut Vec<Range>, count: usize) {
    let was = ranges.len();
    ranges.retain(|range| !range.done);
    while was > 1 && ranges.len() < count {
        let Some(widest) = ranges.iter_mut().max_by_key(|range| range.left()) else { return };
        if widest.left() < 2 * NARROWEST {
            return;
        }
        let middle = widest.after.as_deref().and_then(number).unwrap_or_default() + widest.left() / 2;
        let upper = Range { after: Some(middle.to_string()), until: widest.until, done: false };
        widest.until = Some(middle);
        ranges.push(upper);
    }
}

#[cfg(test)]
mod tests {
    use super::{Range, cut, share_out};

    fn ids(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
        range.map(|id| id.to_string()).collect()
    }

    /// Reads ranges against a list of ids as HubSpot would serve it, a page of 10 each in turn.
    fn read(all: &[u64], mut ranges: Vec<Range>, count: usize) -> Vec<u64> {
        let mut found = Vec::new();
        while !ranges.is_empty() {
            for range in &mut ranges {
                let after: u64 = range.after.as_deref().unwrap_or("0").parse().expect("an id");
                let page: Vec<_> = all.iter().filter(|id| **id > after).take(10).map(u64::to_string).collect();
                let more = all.iter().filter(|id| **id > after).count() > 10;
                assert!(range.holds(&page));
                let keep = range.keep(&page);
                found.extend(page[..keep].iter().map(|id| id.parse::<u64>().expect("an id")));
                let next = page.last().cloned().filter(|_| more);
                range.go_on(&page, keep, next);
            }
            share_out(&mut ranges, count);
        }
        found
    }

    #[test]
    fn ranges_hold_every_id_once() {
        // Ids in clusters with wide gaps, as a portal has them.
        let all: Vec<u64> =
            (1..5).flat_map(|cluster| (0..137).map(move |id| cluster * cluster * 10_000 + id * 3)).collect();
        for count in [1, 2, 3, 8, 50] {
            let first = all[0];
            let last = all[all.len() - 1];
            let mut ranges = cut(first, last, count);
            ranges[0].after = Some((first - 1).to_string());
            let mut found = read(&all, ranges, 8);
            found.sort_unstable();
            assert_eq!(found, all, "{count} ranges");
        }
    }

    #[test]
    fn disorder_is_seen() {
        let range = Range { after: Some("5".to_owned()), until: None, done: false };
        assert!(range.holds(&ids(6..=9)));
        assert!(!range.holds(&ids(5..=9)));
        assert!(!range.holds(&["9".to_owned(), "10".to_owned(), "8".to_owned()]));
    }
}

//! Reduces days to the first day of their year.

use jiff::{Span, civil};
use plugin_sdk::prelude::*;

const EPOCH: civil::Date = civil::date(1970, 1, 1);
const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// The first day of the year of a text that starts with a day such as `2026-01-31`, with or without a time after it.
pub(crate) fn of_text(text: &str) -> Option<String> {
    let (day, rest) = text.split_at_checked(10)?;
    let is_at_its_place =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    let is_iso = day.bytes().enumerate().all(is_at_its_place) && (rest.is_empty() || rest.starts_with(['T', ' ']));
    let day: civil::Date = day.parse().ok().filter(|_| is_iso)?;
    Some(day.first_of_year().to_string())
}

/// The first day of a date's year. None for years after 9999.
pub(crate) fn of_date(date: Date) -> Option<Date> {
    let day = EPOCH.checked_add(Span::new().try_days(date.days).ok()?).ok()?;
    let days = day.first_of_year().duration_since(EPOCH).as_hours() / 24;
    Some(Date { days: i32::try_from(days).ok()? })
}

/// The start of a timestamp's year, in UTC.
pub(crate) fn of_timestamp(timestamp: Timestamp) -> Option<Timestamp> {
    let days = i32::try_from(timestamp.microseconds.div_euclid(MICROSECONDS_A_DAY)).ok()?;
    let first = of_date(Date { days })?;
    Some(Timestamp { microseconds: i64::from(first.days) * MICROSECONDS_A_DAY })
}

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;

    use super::{of_date, of_text, of_timestamp};

    fn check(text: &str, expect: Option<&str>) {
        assert_eq!(of_text(text).as_deref(), expect, "{text}");
    }

    fn check_days(days: i32, expect: Option<i32>) {
        assert_eq!(of_date(Date { days }).map(|date| date.days), expect, "{days}");
    }

    #[test]
    fn text_is_reduced_to_its_year() {
        check("1990-05-03", Some("1990-01-01"));
        check("1990-01-01", Some("1990-01-01"));
        check("2024-02-29T10:30:00Z", Some("2024-01-01"));
        check("1990-05-03 10:30", Some("1990-01-01"));
        check("2023-02-29", None);
        check("03/05/1990", None);
        check("1990-05-031", None);
        check("1990-5-3", None);
        check("19900503", None);
        check("3 de maio de 1990", None);
        check("1990–05–03", None);
    }

    #[test]
    fn dates_are_reduced_to_their_year() {
        check_days(7_427, Some(7_305));
        check_days(7_305, Some(7_305));
        check_days(-1, Some(-365));
        check_days(-25_567, Some(-25_567));
        check_days(i32::MAX, None);
    }

    #[test]
    fn timestamps_are_reduced_to_their_year() {
        let year = |microseconds| of_timestamp(Timestamp { microseconds }).map(|timestamp| timestamp.microseconds);
        assert_eq!(year(641_737_800_000_000), Some(631_152_000_000_000));
        assert_eq!(year(-1), Some(-365 * 86_400_000_000));
        assert_eq!(year(i64::MAX), None);
    }
}

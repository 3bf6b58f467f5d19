//! Converts text in ISO format and the values of date and timestamp columns to days.

use jiff::{Span, civil};
use plugin_sdk::prelude::*;

const EPOCH: civil::Date = civil::date(1970, 1, 1);
const MICROSECONDS_A_DAY: i64 = 86_400_000_000;

/// Parses a day such as `2026-01-31`; no other format is accepted.
pub(crate) fn parse(text: &str) -> Option<civil::Date> {
    let is_at_its_place =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    let is_iso = text.len() == 10 && text.bytes().enumerate().all(is_at_its_place);
    if is_iso { text.parse().ok() } else { None }
}

/// The day of a value of a date column.
pub(crate) fn of_date(date: Date) -> civil::Date {
    after_epoch(i64::from(date.days))
}

/// The UTC day of a value of a timestamp column.
pub(crate) fn of_timestamp(timestamp: Timestamp) -> civil::Date {
    after_epoch(timestamp.microseconds.div_euclid(MICROSECONDS_A_DAY))
}

/// The day this many days after 1970-01-01. Days outside of the years -9999 to 9999 become the first or last of them.
fn after_epoch(days: i64) -> civil::Date {
    let span = Span::new().try_days(days).ok();
    let day = span.and_then(|span| EPOCH.checked_add(span).ok());
    day.unwrap_or(if days < 0 { civil::Date::MIN } else { civil::Date::MAX })
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use plugin_sdk::prelude::*;

    use super::{of_date, of_timestamp, parse};

    fn check(text: &str, expect: Option<civil::Date>) {
        assert_eq!(parse(text), expect, "{text}");
    }

    #[test]
    fn only_iso_dates_are_parsed() {
        check("1990-05-03", Some(civil::date(1990, 5, 3)));
        check("2024-02-29", Some(civil::date(2024, 2, 29)));
        check("2023-02-29", None);
        check("2026-13-01", None);
        check("0000-00-00", None);
        check("03/05/1990", None);
        check("1990-5-3", None);
        check("19900503", None);
        check("1990-05-03T00:00:00Z", None);
        check("maio/1990", None);
        check("1990–05–03", None);
    }

    #[test]
    fn columns_hold_days_since_1970() {
        assert_eq!(of_date(Date { days: 7_427 }), civil::date(1990, 5, 3));
        assert_eq!(of_date(Date { days: -25_567 }), civil::date(1900, 1, 1));
        assert_eq!(of_date(Date { days: i32::MAX }), civil::Date::MAX);
        assert_eq!(of_date(Date { days: i32::MIN }), civil::Date::MIN);
        assert_eq!(of_timestamp(Timestamp { microseconds: 641_737_800_000_000 }), civil::date(1990, 5, 3));
        assert_eq!(of_timestamp(Timestamp { microseconds: -1 }), civil::date(1969, 12, 31));
    }
}

//! When a pipeline runs: a cron expression in its time zone, summer time included. Asks no clock.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, Cron, CronDateTime, Resolution, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, civil};

use crate::error::{Error, Result};

/// A cron expression in a time zone. A time that the clock jumps over runs when it has jumped, where it is a single one
/// (`30 0 * * *`), and not at all where it is one of many (`*/15 * * * *`); one that comes twice runs once, or with its
/// interval.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Reads five fields: minute, hour, day of the month, month, day of the week.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Self> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|cause| {
            let cause = cause.to_string();
            let error = Error::config(format!("`{expression}` is no schedule: {}", cause.trim_end_matches('.')));
            error.hint("minute, hour, day of the month, month, day of the week: `0 */6 * * *` is every six hours")
        })?;
        let schedule = Self { cron, zone };
        match schedule.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(Error::config(format!("the schedule `{expression}` never comes"))),
        }
    }

    /// The first time after an instant.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&Local { instant, zone: self.zone.clone() }, false).ok()?;
        Some(next.instant)
    }
}

/// An instant as the clock on the wall shows it.
#[derive(Clone)]
struct Local {
    instant: Timestamp,
    zone: TimeZone,
}

impl Local {
    fn civil(&self) -> civil::DateTime {
        self.zone.to_datetime(self.instant)
    }
}

impl CronDateTime for Local {
    fn to_civil(&self) -> CivilDateTime {
        let at = self.civil();
        let part = |part: i8| u32::try_from(part).unwrap_or_default();
        let [month, day, hour, minute, second] = [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(part);
        CivilDateTime::new(
            croner::CivilDate::from_parts_unchecked(at.year().into(), month, day),
            croner::CivilTime::from_parts_unchecked(hour, minute, second),
        )
    }

    fn civil_weekday(&self) -> Weekday {
        let day = self.civil().weekday().to_sunday_zero_offset();
        Weekday::from_days_from_sunday(u32::try_from(day).unwrap_or_default())
    }

    fn resolve_civil(&self, at: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |part: u32| i8::try_from(part).map_err(|_| CronError::InvalidDate);
        let year = i16::try_from(at.year()).map_err(|_| CronError::InvalidDate)?;
        let (month, day, hour) = (part(at.month())?, part(at.day())?, part(at.hour())?);
        let civil = civil::DateTime::new(year, month, day, hour, part(at.minute())?, part(at.second())?, 0)
            .map_err(|_| CronError::InvalidDate)?;
        let ambiguous = self.zone.to_ambiguous_timestamp(civil);
        let local = |instant: Result<Timestamp, jiff::Error>| {
            let instant = instant.map_err(|_| CronError::InvalidTime)?;
            Ok(Self { instant, zone: self.zone.clone() })
        };
        Ok(match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { .. } => Resolution::Single(local(ambiguous.unambiguous())?),
            AmbiguousOffset::Gap { .. } => Resolution::Gap,
            AmbiguousOffset::Fold { .. } => {
                Resolution::Ambiguous(local(ambiguous.earlier())?, local(ambiguous.later())?)
            }
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let instant = self.instant.checked_add(SignedDuration::from_secs(seconds)).ok()?;
        Some(Self { instant, zone: self.zone.clone() })
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.instant.cmp(&other.instant)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::Schedule;

    fn zone() -> TimeZone {
        TimeZone::get("America/Sao_Paulo").expect("a zone")
    }

    /// The times after an instant, as the clock on the wall shows them.
    fn check(expression: &str, after: &str, expect: &[&str]) {
        let schedule = Schedule::parse(expression, zone()).expect("a schedule");
        let mut at: Timestamp = after.parse().expect("an instant");
        for expect in expect {
            at = schedule.after(at).expect("a time");
            assert_eq!(
                at.to_zoned_datetime(zone()).strftime("%m-%d %H:%M %:z").to_string(),
                *expect,
                "{expression} {after}"
            );
        }
    }

    #[test]
    fn summer_time_loses_no_day_and_runs_none_twice() {
        // On 2018-11-04 midnight became one o'clock.
        let before = "2018-11-03T12:00:00-03:00";
        check("0 0 * * *", before, &["11-04 01:00 -02:00", "11-05 00:00 -02:00"]);
        check("30 0 * * *", before, &["11-04 01:00 -02:00", "11-05 00:30 -02:00"]);
        check("*/30 * * * *", "2018-11-03T23:10:00-03:00", &["11-03 23:30 -03:00", "11-04 01:00 -02:00"]);
        // On 2019-02-17 midnight became eleven o'clock of the day before.
        check("30 23 * * *", "2019-02-16T12:00:00-02:00", &["02-16 23:30 -02:00", "02-17 23:30 -03:00"]);
        check(
            "0 * * * *",
            "2019-02-16T22:30:00-02:00",
            &["02-16 23:00 -02:00", "02-16 23:00 -03:00", "02-17 00:00 -03:00"],
        );
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        for wrong in ["", "every hour", "61 * * * *", "* * * *", "0 0 0 * * *", "0 0 31 2 *"] {
            let error = Schedule::parse(wrong, TimeZone::UTC).expect_err(wrong);
            assert!(error.message.contains("schedule"), "{error}");
        }
    }
}

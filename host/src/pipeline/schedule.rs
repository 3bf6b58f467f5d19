//! Schedules: a cron expression in a time zone, with daylight saving time. Nothing here reads the clock.

use std::cmp::Ordering;

use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::{CivilDateTime, Cron, CronDateTime, Resolution, Weekday};
use host_core::error::{Error, Result};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp, civil};

/// A cron expression in a time zone. A fixed time that the clock skips (`30 0 * * *`) runs right after the jump; a skipped time
/// of an interval (`*/15 * * * *`) does not run. A fixed time that the clock repeats runs once.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// Parses five fields: minute, hour, day of the month, month, day of the week.
    ///
    /// # Errors
    /// An expression that does not parse, and one that never matches a time.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Self> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|cause| {
            let cause = cause.to_string();
            let error =
                Error::config(format!("`{expression}` is not a valid schedule: {}", cause.trim_end_matches('.')));
            error.hint(
                "write minute, hour, day of the month, month, day of the week: `0 */6 * * *` runs every six hours",
            )
        })?;
        let schedule = Self { cron, zone };
        match schedule.after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(Error::config(format!("the schedule `{expression}` never matches a time"))),
        }
    }

    /// The first time after an instant.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&Local { instant, zone: self.zone.clone() }, false).ok()?;
        Some(next.instant)
    }
}

/// An instant in local time.
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

    /// Checks the next times after an instant, in local time.
    fn check(expression: &str, after: &str, expected: &[&str]) {
        let schedule = Schedule::parse(expression, zone()).expect("a schedule");
        let mut at: Timestamp = after.parse().expect("an instant");
        for expected in expected {
            at = schedule.after(at).expect("a time");
            assert_eq!(
                at.to_zoned_datetime(zone()).strftime("%m-%d %H:%M %:z").to_string(),
                *expected,
                "{expression} {after}"
            );
        }
    }

    #[test]
    fn a_fixed_time_runs_once_on_days_when_the_clock_changes() {
        // On 2018-11-04 the clock went forward from 00:00 to 01:00.
        let before = "2018-11-03T12:00:00-03:00";
        check("0 0 * * *", before, &["11-04 01:00 -02:00", "11-05 00:00 -02:00"]);
        check("30 0 * * *", before, &["11-04 01:00 -02:00", "11-05 00:30 -02:00"]);
        check("*/30 * * * *", "2018-11-03T23:10:00-03:00", &["11-03 23:30 -03:00", "11-04 01:00 -02:00"]);
        // On 2019-02-17 the clock went back from 00:00 to 23:00 of the day before.
        check("30 23 * * *", "2019-02-16T12:00:00-02:00", &["02-16 23:30 -02:00", "02-17 23:30 -03:00"]);
        check(
            "0 * * * *",
            "2019-02-16T22:30:00-02:00",
            &["02-16 23:00 -02:00", "02-16 23:00 -03:00", "02-17 00:00 -03:00"],
        );
    }

    #[test]
    fn an_invalid_schedule_is_an_error() {
        for invalid in ["", "every hour", "61 * * * *", "* * * *", "0 0 0 * * *", "0 0 31 2 *"] {
            let error = Schedule::parse(invalid, TimeZone::UTC).expect_err(invalid);
            assert!(error.message().contains("schedule"), "{error}");
        }
    }
}

//! Starts runs when their time comes, and makes up for times that were missed; notices a clock that jumps.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::live::{Ask, Cause};
use super::state::{Served, Server};
use crate::error::Result;
use crate::pipeline::{Missed, Schedule};

/// The longest sleep: a clock that jumps is noticed after it.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// A time that is longer ago was missed.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// A clock that is set back by more was wrong before.
const WRONG: SignedDuration = SignedDuration::from_hours(24);

/// When the next run of a pipeline is due.
struct Timer {
    schedule: Schedule,
    missed: Missed,
    next: Option<Timestamp>,
    seen: Timestamp,
}

impl Timer {
    /// `last` is when a run began last.
    fn new(schedule: Schedule, missed: Missed, last: Option<Timestamp>, now: Timestamp) -> Self {
        let last = last.filter(|last| last.duration_since(now) < WRONG);
        let from = match (last, missed) {
            (Some(last), Missed::RunOnce) => last,
            (last, _) => last.map_or(now, |last| last.max(now)),
        };
        let next = schedule.after(from);
        Self { schedule, missed, next, seen: now }
    }

    /// Whether a run is due. A time that was run does not come again though the clock is set back.
    fn tick(&mut self, now: Timestamp) -> bool {
        if self.seen.duration_since(now) > WRONG {
            self.next = self.schedule.after(now);
        }
        self.seen = now;
        let Some(next) = self.next.filter(|next| *next <= now) else { return false };
        self.next = self.schedule.after(now);
        self.missed == Missed::RunOnce || now.duration_since(next) <= GRACE
    }
}

/// Keeps the schedules until the server ends.
pub(super) async fn keep(server: Arc<Server>) -> Result<()> {
    let now = server.clock.now();
    let mut timers: Vec<(Arc<Served>, Timer)> = Vec::new();
    for served in &server.pipelines {
        let Some(schedule) = served.schedule.clone() else { continue };
        let last = served.warehouse.connect()?.last_start(served.name())?.and_then(|at| at.parse().ok());
        let missed = served.loaded.pipeline.file.pipeline.missed;
        timers.push((Arc::clone(served), Timer::new(schedule, missed, last, now)));
    }
    let mut closing = server.closing.clone();
    loop {
        let now = server.clock.now();
        for (served, timer) in &mut timers {
            if timer.tick(now) {
                // A run that is under way does what this one would.
                let _ = server.runs.start(served, Cause::Schedule, Ask::default());
            }
        }
        server.runs.alerts().check_late(&server.pipelines, now);
        let until = timers.iter().filter_map(|(_, timer)| timer.next).min().map(|next| next.duration_since(now));
        let sleep = until.and_then(|until| Duration::try_from(until).ok()).unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        tokio::select! {
            () = tokio::time::sleep(sleep.max(Duration::from_millis(20))) => {}
            _ = closing.wait_for(|closing| *closing) => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::Timer;
    use crate::pipeline::{Missed, Schedule};

    fn at(text: &str) -> Timestamp {
        format!("2026-03-01T{text}:00Z").parse().expect("an instant")
    }

    /// An hourly schedule whose last run was at `last`, from `start` on: at which of these times runs are due.
    fn check(missed: Missed, last: Option<&str>, start: &str, ticks: &[&str], expect: &[&str]) {
        let schedule = Schedule::parse("0 * * * *", TimeZone::UTC).expect("a schedule");
        let mut timer = Timer::new(schedule, missed, last.map(at), at(start));
        let due: Vec<_> = ticks.iter().filter(|tick| timer.tick(at(tick))).copied().collect();
        assert_eq!(due, expect, "{missed:?} {last:?} {ticks:?}");
    }

    #[test]
    fn what_was_missed_is_made_up_for_once_or_skipped() {
        let ticks = ["09:30", "09:31", "10:00", "10:01"];
        check(Missed::RunOnce, Some("05:00"), "09:30", &ticks, &["09:30", "10:00"]);
        check(Missed::Skip, Some("05:00"), "09:30", &ticks, &["10:00"]);
        check(Missed::RunOnce, Some("09:10"), "09:30", &ticks, &["10:00"]);
        check(Missed::RunOnce, None, "09:30", &ticks, &["10:00"]);
    }

    #[test]
    fn a_clock_that_jumps_runs_once_at_most_and_none_twice() {
        check(Missed::RunOnce, None, "09:30", &["09:59", "17:20", "17:21", "18:00"], &["17:20", "18:00"]);
        check(Missed::Skip, None, "09:30", &["09:59", "17:20", "17:21", "18:00"], &["18:00"]);
        check(Missed::RunOnce, None, "09:30", &["10:00", "09:10", "10:00", "10:30", "11:00"], &["10:00", "11:00"]);
    }

    #[test]
    fn a_clock_that_was_wrong_by_years_does_not_end_the_schedule() {
        let schedule = Schedule::parse("0 * * * *", TimeZone::UTC).expect("a schedule");
        let wrong: Timestamp = "2036-01-01T00:30:00Z".parse().expect("an instant");
        let mut timer = Timer::new(schedule.clone(), Missed::RunOnce, None, wrong);
        assert!(!timer.tick(at("09:30")) && timer.tick(at("10:00")));
        let mut timer = Timer::new(schedule, Missed::RunOnce, Some(wrong), at("09:30"));
        assert!(!timer.tick(at("09:31")) && timer.tick(at("10:00")));
    }
}

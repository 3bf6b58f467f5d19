//! Starts scheduled runs, and those that were missed while the server was down. Detects a clock that jumps.

use std::sync::Arc;
use std::time::Duration;

use host_core::error::Result;
use host_ledger::runs::{self, Trigger};
use jiff::{SignedDuration, Timestamp};

use super::active_run::RunRequest;
use super::app_state::AppState;
use super::served_pipeline::ServedPipeline;
use crate::pipeline::{MissedPolicy, Schedule};

/// The longest sleep. A clock that jumps is detected after it.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// A scheduled time that is longer ago was missed.
const GRACE: SignedDuration = SignedDuration::from_secs(60);
/// A clock that is set back by more than this was wrong before.
const MAX_SET_BACK: SignedDuration = SignedDuration::from_hours(24);

/// When the next run of a pipeline is due.
struct RunTimer {
    schedule: Schedule,
    missed: MissedPolicy,
    next: Option<Timestamp>,
    /// The time of the last tick.
    seen: Timestamp,
}

impl RunTimer {
    /// A timer that starts at `now`. `last` is when the last run started.
    fn new(schedule: Schedule, missed: MissedPolicy, last: Option<Timestamp>, now: Timestamp) -> Self {
        let last = last.filter(|last| last.duration_since(now) < MAX_SET_BACK);
        let from = match (last, missed) {
            (Some(last), MissedPolicy::RunOnce) => last,
            (last, _) => last.map_or(now, |last| last.max(now)),
        };
        let next = schedule.after(from);
        Self { schedule, missed, next, seen: now }
    }

    /// Whether a run is due. A scheduled time runs once, even if the clock is set back.
    fn tick(&mut self, now: Timestamp) -> bool {
        if self.seen.duration_since(now) > MAX_SET_BACK {
            self.next = self.schedule.after(now);
        }
        self.seen = now;
        let Some(next) = self.next.filter(|next| *next <= now) else { return false };
        self.next = self.schedule.after(now);
        self.missed == MissedPolicy::RunOnce || now.duration_since(next) <= GRACE
    }
}

/// Starts scheduled runs and reports late pipelines until the server shuts down.
///
/// # Errors
/// A warehouse that cannot be read at the start.
pub(super) async fn run_schedules(state: Arc<AppState>) -> Result<()> {
    let now = state.clock.now();
    let mut timers: Vec<(Arc<ServedPipeline>, RunTimer)> = Vec::new();
    for served in &state.pipelines {
        let Some(schedule) = served.schedule.clone() else { continue };
        let last = runs::last_start(&served.warehouse.connect()?, served.name())?.and_then(|at| at.parse().ok());
        let missed = served.loaded.pipeline.file.pipeline.missed;
        timers.push((Arc::clone(served), RunTimer::new(schedule, missed, last, now)));
    }
    loop {
        let now = state.clock.now();
        for (served, timer) in &mut timers {
            if timer.tick(now) {
                // A run that is active does the same.
                let _ = state.runs.start(served, Trigger::Schedule, RunRequest::default());
            }
        }
        state.runs.alerts().check_late(&state.pipelines, now);
        let until = timers.iter().filter_map(|(_, timer)| timer.next).min().map(|next| next.duration_since(now));
        let sleep = until.and_then(|until| Duration::try_from(until).ok()).unwrap_or(MAX_SLEEP).min(MAX_SLEEP);
        tokio::select! {
            () = tokio::time::sleep(sleep.max(Duration::from_millis(20))) => {}
            () = state.shutdown.cancelled() => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::RunTimer;
    use crate::pipeline::{MissedPolicy, Schedule};

    fn at(text: &str) -> Timestamp {
        format!("2026-03-01T{text}:00Z").parse().expect("an instant")
    }

    /// Ticks an hourly schedule whose last run was at `last` and which starts at `start`; expects runs at some of the
    /// ticks.
    fn check(missed: MissedPolicy, last: Option<&str>, start: &str, ticks: &[&str], expect: &[&str]) {
        let schedule = Schedule::parse("0 * * * *", TimeZone::UTC).expect("a schedule");
        let mut timer = RunTimer::new(schedule, missed, last.map(at), at(start));
        let due: Vec<_> = ticks.iter().filter(|tick| timer.tick(at(tick))).copied().collect();
        assert_eq!(due, expect, "{missed:?} {last:?} {ticks:?}");
    }

    #[test]
    fn missed_times_run_once_or_are_skipped() {
        let ticks = ["09:30", "09:31", "10:00", "10:01"];
        check(MissedPolicy::RunOnce, Some("05:00"), "09:30", &ticks, &["09:30", "10:00"]);
        check(MissedPolicy::Skip, Some("05:00"), "09:30", &ticks, &["10:00"]);
        check(MissedPolicy::RunOnce, Some("09:10"), "09:30", &ticks, &["10:00"]);
        check(MissedPolicy::RunOnce, None, "09:30", &ticks, &["10:00"]);
    }

    #[test]
    fn a_clock_that_jumps_starts_one_run_at_most() {
        check(MissedPolicy::RunOnce, None, "09:30", &["09:59", "17:20", "17:21", "18:00"], &["17:20", "18:00"]);
        check(MissedPolicy::Skip, None, "09:30", &["09:59", "17:20", "17:21", "18:00"], &["18:00"]);
        check(
            MissedPolicy::RunOnce,
            None,
            "09:30",
            &["10:00", "09:10", "10:00", "10:30", "11:00"],
            &["10:00", "11:00"],
        );
    }

    #[test]
    fn a_schedule_survives_a_clock_that_was_wrong_by_years() {
        let schedule = Schedule::parse("0 * * * *", TimeZone::UTC).expect("a schedule");
        let wrong: Timestamp = "2036-01-01T00:30:00Z".parse().expect("an instant");
        let mut timer = RunTimer::new(schedule.clone(), MissedPolicy::RunOnce, None, wrong);
        assert!(!timer.tick(at("09:30")) && timer.tick(at("10:00")));
        let mut timer = RunTimer::new(schedule, MissedPolicy::RunOnce, Some(wrong), at("09:30"));
        assert!(!timer.tick(at("09:31")) && timer.tick(at("10:00")));
    }
}

//! The source of time and of run ids, passed in so that tests can fix them. Nothing else reads the machine's clock.

use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

/// How far a clock may be set without a warning, backwards: synchronization moves it by less.
const MAX_BACKWARDS: SignedDuration = SignedDuration::from_mins(1);
/// How far a clock may be set without a warning, ahead.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// A source of time and ids.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    now: fn() -> Timestamp,
    random: fn() -> u128,
}

impl Clock {
    /// The machine's own clock and randomness.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "nothing else reads the machine's clock")]
    pub fn system() -> Self {
        Self { now: Timestamp::now, random: || Ulid::new().random() }
    }

    /// The current time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// The current time, and the time since the machine started.
    #[must_use]
    pub fn read(&self) -> ClockReading {
        let uptime = uptime();
        ClockReading {
            now: self.now(),
            boot: uptime.as_ref().map(|(boot, _)| boot.clone()),
            uptime_seconds: uptime.map(|(_, seconds)| seconds),
        }
    }

    /// A new id for a run, a ULID. It is greater than the last id even if the clock was set back, because versions of tables
    /// are compared by it.
    #[must_use]
    pub fn load_id(&self, last: Option<&str>) -> String {
        let milliseconds = u64::try_from(self.now().as_millisecond()).unwrap_or_default();
        let fresh = Ulid::from_parts(milliseconds, (self.random)());
        let next = last.and_then(|last| Ulid::from_string(last).ok()?.increment());
        next.map_or(fresh, |next| fresh.max(next)).to_string()
    }
}

/// What the clocks of the machine show at one instant.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClockReading {
    /// The wall clock, which can be set.
    pub now: Timestamp,
    /// The start of the machine, by a random id. None where the system has none.
    pub boot: Option<String>,
    /// Seconds since that start, which nobody can set.
    pub uptime_seconds: Option<f64>,
}

/// How a clock was set between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockJump {
    /// It shows an earlier time than before, or went less far than time did.
    Backwards(SignedDuration),
    /// It went further than time did, by more than a day.
    Ahead(SignedDuration),
}

impl ClockReading {
    /// How the clock was set since an earlier reading. None if it was not, or cannot be known to have been: a machine that
    /// was restarted in between may have been off for any time.
    #[must_use]
    pub fn jump_since(&self, earlier: &Self) -> Option<ClockJump> {
        let shown = self.now.duration_since(earlier.now);
        let passed = match (self.uptime_seconds, earlier.uptime_seconds) {
            (Some(now), Some(then)) if self.boot.is_some() && self.boot == earlier.boot && now >= then => {
                SignedDuration::try_from_secs_f64(now - then).ok()
            }
            _ => None,
        };
        let ahead = passed.map(|passed| shown.saturating_sub(passed));
        if ahead.unwrap_or(shown) < -MAX_BACKWARDS {
            return Some(ClockJump::Backwards(ahead.unwrap_or(shown).abs()));
        }
        ahead.filter(|ahead| *ahead > MAX_AHEAD).map(ClockJump::Ahead)
    }
}

/// The id of the machine's start, and the seconds since then, which continue while the machine sleeps.
#[cfg(target_os = "linux")]
fn uptime() -> Option<(String, f64)> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
    Some((boot.trim().to_owned(), std::time::Duration::from(time).as_secs_f64()))
}

#[cfg(not(target_os = "linux"))]
fn uptime() -> Option<(String, f64)> {
    None
}

#[cfg(test)]
mod tests {
    use super::{Clock, ClockJump, ClockReading};
    use jiff::{SignedDuration, Timestamp};

    #[test]
    fn a_clock_that_was_set_differs_from_the_time_that_passed() {
        let hours = SignedDuration::from_hours;
        // The clock and the time since the start of the machine, in hours; the same start or another.
        let reading = |clock: i64, uptime: i64, boot: &str| ClockReading {
            now: Timestamp::UNIX_EPOCH + hours(clock),
            boot: Some(boot.to_owned()),
            uptime_seconds: Some(hours(uptime).as_secs_f64()),
        };
        let first = reading(1000, 10, "a");
        for (later, jump) in [
            (reading(1001, 11, "a"), None),
            (reading(1720, 730, "a"), None),
            (reading(1034, 20, "a"), None),
            (reading(1035, 20, "a"), Some(ClockJump::Ahead(hours(25)))),
            (reading(1010, 21, "a"), Some(ClockJump::Backwards(hours(1)))),
            (reading(999, 11, "a"), Some(ClockJump::Backwards(hours(2)))),
            (reading(1720, 1, "b"), None),
            (reading(999, 1, "b"), Some(ClockJump::Backwards(hours(1)))),
        ] {
            assert_eq!(later.jump_since(&first), jump, "{later:?}");
        }
        let unknown = |clock| ClockReading { boot: None, uptime_seconds: None, ..reading(clock, 0, "") };
        assert_eq!(unknown(2000).jump_since(&unknown(1000)), None);
        assert_eq!(unknown(999).jump_since(&first), Some(ClockJump::Backwards(hours(1))));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn two_readings_in_a_row_show_no_jump() {
        let clock = Clock::system();
        let first = clock.read();
        assert!(first.boot.is_some() && first.uptime_seconds.is_some_and(|seconds| seconds > 0.0));
        assert_eq!(clock.read().jump_since(&first), None);
    }

    #[test]
    fn ids_increase_even_if_the_clock_is_set_back() {
        let clock = Clock { now: || Timestamp::UNIX_EPOCH, random: || 7 };
        let first = clock.load_id(None);
        let later = clock.load_id(Some("01JD0000000000000000000000"));
        assert_eq!(later, "01JD0000000000000000000001");
        assert!(first < later && clock.load_id(Some(&first)) > first);
    }
}

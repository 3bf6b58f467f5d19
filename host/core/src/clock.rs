//! The source of time and of run ids, passed in so that tests can fix them. Nothing else reads the machine's clock.

use jiff::Timestamp;
use ulid::Ulid;

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

#[cfg(test)]
mod tests {
    use super::Clock;
    use jiff::Timestamp;

    #[test]
    fn ids_increase_even_if_the_clock_is_set_back() {
        let clock = Clock { now: || Timestamp::UNIX_EPOCH, random: || 7 };
        let first = clock.load_id(None);
        let later = clock.load_id(Some("01JD0000000000000000000000"));
        assert_eq!(later, "01JD0000000000000000000001");
        assert!(first < later && clock.load_id(Some(&first)) > first);
    }
}

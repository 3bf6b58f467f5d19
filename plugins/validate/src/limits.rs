//! Bounds that a value must stay within, both ends included.

use std::fmt::Display;

use plugin_sdk::prelude::*;

/// A lower and an upper bound, or one of them.
#[derive(Debug)]
pub(crate) struct Limits<T> {
    min: Option<T>,
    max: Option<T>,
}

impl<T: PartialOrd + Display> Limits<T> {
    /// Bounds that leave room between them.
    pub(crate) fn new(min: Option<T>, max: Option<T>) -> Result<Self> {
        if let (Some(min), Some(max)) = (&min, &max)
            && min > max
        {
            return Err(Error::config(format!("`min` {min} is above `max` {max}")));
        }
        Ok(Self { min, max })
    }

    /// The same, where one bound at least must be given.
    pub(crate) fn some(min: Option<T>, max: Option<T>) -> Result<Self> {
        if min.is_none() && max.is_none() {
            return Err(Error::config("it has neither `min` nor `max`"));
        }
        Self::new(min, max)
    }

    /// How a value leaves the bounds, in the caller's words for below and above.
    pub(crate) fn breach(&self, value: &T, [below, above]: [&str; 2]) -> Option<String> {
        match (&self.min, &self.max) {
            (Some(min), _) if value < min => Some(format!("{below} {min}")),
            (_, Some(max)) if value > max => Some(format!("{above} {max}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Limits;

    fn check(min: Option<f64>, max: Option<f64>, value: f64, expect: Option<&str>) {
        let limits = Limits::new(min, max).expect("bounds");
        assert_eq!(limits.breach(&value, ["is below", "is above"]).as_deref(), expect, "{value}");
    }

    #[test]
    fn both_ends_belong() {
        check(Some(0.0), Some(1.5), 0.0, None);
        check(Some(0.0), Some(1.5), 1.5, None);
        check(Some(0.0), Some(1.5), -0.01, Some("is below 0"));
        check(Some(0.0), Some(1.5), 1.51, Some("is above 1.5"));
        check(Some(0.0), None, 1e300, None);
        check(None, Some(1.5), f64::NEG_INFINITY, None);
        check(Some(3.0), Some(3.0), 3.0, None);
    }

    #[test]
    fn bounds_that_nothing_passes_are_refused() {
        assert_eq!(Limits::new(Some(2), Some(1)).expect_err("crossed").message, "`min` 2 is above `max` 1");
        assert_eq!(Limits::<u8>::some(None, None).expect_err("none").message, "it has neither `min` nor `max`");
    }
}

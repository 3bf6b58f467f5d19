//! Bounds that a value must stay within. Values equal to a bound are within it.

use std::fmt::Display;

use plugin_sdk::prelude::*;

/// A lower bound, an upper bound, or both.
#[derive(Debug)]
pub(crate) struct Bounds<T> {
    min: Option<T>,
    max: Option<T>,
}

/// The bound that a value violates.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Violation<'a, T> {
    BelowMin(&'a T),
    AboveMax(&'a T),
}

impl<T: PartialOrd + Display> Bounds<T> {
    /// Bounds that may both be absent.
    ///
    /// # Errors
    ///
    /// If no value is within the bounds.
    pub(crate) fn new(min: Option<T>, max: Option<T>) -> Result<Self> {
        if let (Some(min), Some(max)) = (&min, &max)
            && min > max
        {
            return Err(Error::config(format!("`min` {min} is above `max` {max}")));
        }
        Ok(Self { min, max })
    }

    /// Bounds of which at least one must be given.
    ///
    /// # Errors
    ///
    /// If both are absent, or no value is within the bounds.
    pub(crate) fn required(min: Option<T>, max: Option<T>) -> Result<Self> {
        if min.is_none() && max.is_none() {
            return Err(Error::config("`min` and `max` are both missing: at least one is needed"));
        }
        Self::new(min, max)
    }

    /// The bound that a value violates, if any.
    pub(crate) fn violation(&self, value: &T) -> Option<Violation<'_, T>> {
        match (&self.min, &self.max) {
            (Some(min), _) if value < min => Some(Violation::BelowMin(min)),
            (_, Some(max)) if value > max => Some(Violation::AboveMax(max)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Violation};

    fn check(min: Option<f64>, max: Option<f64>, value: f64, expect: Option<Violation<'_, f64>>) {
        let bounds = Bounds::new(min, max).expect("valid bounds");
        assert_eq!(bounds.violation(&value), expect, "{value}");
    }

    #[test]
    fn values_equal_to_a_bound_are_within() {
        check(Some(0.0), Some(1.5), 0.0, None);
        check(Some(0.0), Some(1.5), 1.5, None);
        check(Some(0.0), Some(1.5), -0.01, Some(Violation::BelowMin(&0.0)));
        check(Some(0.0), Some(1.5), 1.51, Some(Violation::AboveMax(&1.5)));
        check(Some(0.0), None, 1e300, None);
        check(None, Some(1.5), f64::NEG_INFINITY, None);
        check(Some(3.0), Some(3.0), 3.0, None);
    }

    #[test]
    fn bounds_that_no_value_satisfies_are_refused() {
        assert_eq!(Bounds::new(Some(2), Some(1)).expect_err("crossed").message, "`min` 2 is above `max` 1");
        let error = Bounds::<u8>::required(None, None).expect_err("no bounds");
        assert_eq!(error.message, "`min` and `max` are both missing: at least one is needed");
    }
}

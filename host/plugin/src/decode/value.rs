//! Parses scalars: numbers without loss, dates and instants in the forms that a column accepts.

use jiff::Timestamp;
use jiff::civil::Date;

/// The forms that a column accepts beyond those of JSON.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AcceptedForms {
    /// Numbers and booleans inside strings.
    pub(crate) text: bool,
    /// Times as epoch milliseconds.
    pub(crate) epoch_ms: bool,
    /// The empty string is null.
    pub(crate) empty_null: bool,
}

impl AcceptedForms {
    /// From the contract's comma-separated list.
    pub(crate) fn parse(accept: &str) -> Self {
        let has = |form: &str| accept.split(',').any(|accepted| accepted.trim() == form);
        Self { text: has("text"), epoch_ms: has("epoch-ms"), empty_null: has("empty-null") }
    }
}

pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

pub(crate) fn integer(text: &str) -> Option<i64> {
    let whole =
        text.split_once('.').map_or(Some(text), |(whole, rest)| rest.bytes().all(|b| b == b'0').then_some(whole));
    whole?.parse().ok()
}

/// Parses a decimal to its unscaled integer. None if digits would be lost.
pub(crate) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        value = value.checked_mul(10)?.checked_add(char::from(digit).to_digit(10)?.into())?;
    }
    let shift = i32::from(scale).checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10i128.checked_pow(shift.unsigned_abs());
    let value = if value == 0 {
        0
    } else if shift >= 0 {
        value.checked_mul(power?)?
    } else {
        let power = power?;
        (value % power == 0).then_some(value / power)?
    };
    let fits = value < 10i128.checked_pow(precision.into())?;
    fits.then_some(if negative { -value } else { value })
}

/// Parses an instant to microseconds since 1970, UTC.
pub(crate) fn timestamp(text: &str, forms: AcceptedForms) -> Option<i64> {
    if forms.epoch_ms
        && let Some(milliseconds) = integer(text)
    {
        return milliseconds.checked_mul(1000);
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant.as_microsecond());
    }
    days(text).and_then(|days| days.checked_mul(86_400_000_000))
}

/// Parses a date to days since 1970. An instant is a date only at midnight UTC: otherwise its time would be lost.
pub(crate) fn date(text: &str, forms: AcceptedForms) -> Option<i64> {
    if let Some(days) = days(text) {
        return Some(days);
    }
    let microseconds = timestamp(text, forms)?;
    (microseconds % 86_400_000_000 == 0).then_some(microseconds / 86_400_000_000)
}

fn days(text: &str) -> Option<i64> {
    if text.len() != 10 {
        return None;
    }
    let date: Date = text.parse().ok()?;
    let since = date.since(Date::constant(1970, 1, 1)).ok()?;
    Some(i64::from(since.get_days()))
}

#[cfg(test)]
mod tests {
    use super::{AcceptedForms, date, decimal};

    fn check(text: &str, expected: Option<i128>) {
        assert_eq!(decimal(text, 10, 2), expected, "{text}");
    }

    #[test]
    fn decimals_are_parsed_without_loss() {
        check("12.34", Some(1234));
        check("-0.5", Some(-50));
        check("7", Some(700));
        check("1.230", Some(123));
        check("1.234", None);
        check("1e2", Some(10_000));
        check("99999999.99", Some(9_999_999_999));
        check("100000000", None);
        check("", None);
        check(".", None);
        check("12a", None);
        check("R$ 12", None);
        check("1e2147483647", None);
        check("1e-2147483648", None);
    }

    #[test]
    fn only_instants_at_midnight_are_dates() {
        let forms = AcceptedForms::parse("text,epoch-ms");
        assert_eq!(date("1970-01-02", forms), Some(1));
        assert_eq!(date("86400000", forms), Some(1));
        assert_eq!(date("86400001", forms), None);
        assert_eq!(date("1970-01-02T00:00:00Z", forms), Some(1));
    }
}

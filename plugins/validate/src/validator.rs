//! A check that is ready to run: it takes a value and returns why the value fails.

use std::collections::HashSet;

use jiff::civil;
use phonenumber::country::Id;
use plugin_sdk::prelude::*;
use regex_lite::Regex;

use crate::bounds::{Bounds, Violation};
use crate::column::CheckedValue;
use crate::config::Check;
use crate::{contacts, dates, documents};

/// A check that is ready to run.
#[derive(Debug)]
pub(crate) enum Validator {
    Email,
    Cpf,
    Cnpj,
    Phone(Id),
    Date(Bounds<civil::Date>),
    Range(Bounds<f64>),
    Pattern(Regex),
    Allowed(HashSet<String>),
    Length(Bounds<usize>),
}

/// Why a value fails a check.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CheckFailure {
    /// A stable word for programs.
    pub(crate) code: &'static str,
    /// The rest of a sentence that starts with the name of the column. It never has the value.
    pub(crate) reason: String,
}

impl CheckFailure {
    fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl Validator {
    /// Prepares a check.
    ///
    /// # Errors
    ///
    /// If its keys are invalid, or no value could pass it.
    pub(crate) fn new(check: Check) -> Result<Self> {
        Ok(match check {
            Check::Email { .. } => Self::Email,
            Check::Cpf { .. } => Self::Cpf,
            Check::Cnpj { .. } => Self::Cnpj,
            Check::Phone { region, .. } => Self::Phone(contacts::region(&region)?),
            Check::Date { min, max, .. } => Self::Date(Bounds::new(day("min", min)?, day("max", max)?)?),
            Check::Range { min, max, .. } => Self::Range(Bounds::required(min, max)?),
            Check::Pattern { regex, .. } => Self::Pattern(
                Regex::new(&regex).map_err(|cause| Error::config(format!("`regex` is invalid: {cause}")))?,
            ),
            Check::Allowed { values, .. } if values.is_empty() => return Err(Error::config("`values` is empty")),
            Check::Allowed { values, .. } => {
                Self::Allowed(values.iter().map(|value| value.trim().to_owned()).collect())
            }
            Check::Length { min, max, .. } => Self::Length(Bounds::required(min, max)?),
        })
    }

    /// Checks a value: why it fails, or none if it passes.
    pub(crate) fn check(&self, value: CheckedValue<'_>) -> Option<CheckFailure> {
        match (self, value) {
            (Self::Email, CheckedValue::Text(text)) => {
                unless(contacts::is_email(text), "invalid_email", "is not a valid e-mail address")
            }
            (Self::Cpf, CheckedValue::Text(text)) => {
                unless(documents::is_cpf(text), "invalid_cpf", "is not a valid CPF")
            }
            (Self::Cnpj, CheckedValue::Text(text)) => {
                unless(documents::is_cnpj(text), "invalid_cnpj", "is not a valid CNPJ")
            }
            (Self::Phone(region), CheckedValue::Text(text)) => {
                unless(contacts::is_phone(text, *region), "invalid_phone", "is not a valid phone number")
            }
            (Self::Date(bounds), CheckedValue::Text(text)) => match dates::parse(text) {
                Some(day) => within_days(bounds, day),
                None => Some(CheckFailure::new("invalid_date", "is not a date in the format 2026-01-31")),
            },
            (Self::Date(bounds), CheckedValue::Day(day)) => within_days(bounds, day),
            (Self::Range(bounds), CheckedValue::Text(text)) => within_range(bounds, text.parse().unwrap_or(f64::NAN)),
            (Self::Range(bounds), CheckedValue::Number(number)) => within_range(bounds, number),
            (Self::Pattern(regex), CheckedValue::Text(text)) => {
                unless(regex.is_match(text), "pattern_mismatch", "does not have the required format")
            }
            (Self::Allowed(values), CheckedValue::Text(text)) => {
                unless(values.contains(text), "not_allowed", "is not one of the allowed values")
            }
            (Self::Length(bounds), CheckedValue::Text(text)) => {
                let violation = bounds.violation(&text.chars().count())?;
                let reason = match violation {
                    Violation::BelowMin(min) => format!("has fewer than {min} characters"),
                    Violation::AboveMax(max) => format!("has more than {max} characters"),
                };
                Some(CheckFailure::new("wrong_length", reason))
            }
            // `CheckedColumn::find` refuses columns of these types for the other kinds.
            (_, CheckedValue::Number(_) | CheckedValue::Day(_)) => None,
        }
    }
}

fn unless(passes: bool, code: &'static str, reason: &str) -> Option<CheckFailure> {
    (!passes).then(|| CheckFailure::new(code, reason))
}

fn within_days(bounds: &Bounds<civil::Date>, day: civil::Date) -> Option<CheckFailure> {
    let reason = match bounds.violation(&day)? {
        Violation::BelowMin(min) => format!("is before {min}"),
        Violation::AboveMax(max) => format!("is after {max}"),
    };
    Some(CheckFailure::new("out_of_range", reason))
}

fn within_range(bounds: &Bounds<f64>, number: f64) -> Option<CheckFailure> {
    if !number.is_finite() {
        return Some(CheckFailure::new("not_a_number", "is not a number"));
    }
    let reason = match bounds.violation(&number)? {
        Violation::BelowMin(min) => format!("is below {min}"),
        Violation::AboveMax(max) => format!("is above {max}"),
    };
    Some(CheckFailure::new("out_of_range", reason))
}

/// Parses a bound of a `date` check.
fn day(key: &str, text: Option<String>) -> Result<Option<civil::Date>> {
    let Some(text) = text else { return Ok(None) };
    let invalid = || Error::config(format!("`{key}`: `{text}` is not a date: expected a day such as `2026-01-31`"));
    dates::parse(&text).map(Some).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use plugin_sdk::prelude::*;
    use serde_json::{Value, json};

    use super::{CheckedValue, Validator};

    /// A check of the column `field`.
    fn validator(is: &str, mut keys: Value) -> Result<Validator> {
        keys["is"] = is.into();
        keys["column"] = "field".into();
        Validator::new(serde_json::from_value(keys).expect("a check"))
    }

    fn check(is: &str, keys: Value, value: CheckedValue<'_>, expect: Option<(&str, &str)>) {
        let failure = validator(is, keys).expect("a valid check").check(value);
        let found = failure.as_ref().map(|failure| (failure.code, failure.reason.as_str()));
        assert_eq!(found, expect, "{is} of {value:?}");
    }

    fn check_refused(is: &str, keys: Value, expect: &str) {
        let error = validator(is, keys).expect_err("an invalid check");
        assert!(error.message.starts_with(expect), "{}", error.message);
    }

    #[test]
    fn text_is_checked() {
        let text = CheckedValue::Text;
        check("email", json!({}), text("ana@exemplo.com"), None);
        check("email", json!({}), text("ana"), Some(("invalid_email", "is not a valid e-mail address")));
        check("cpf", json!({}), text("529.982.247-25"), None);
        check("cpf", json!({}), text("529.982.247-00"), Some(("invalid_cpf", "is not a valid CPF")));
        check("cnpj", json!({}), text("12.ABC.345/01DE-35"), None);
        check("cnpj", json!({}), text("12.ABC.345/01DE-00"), Some(("invalid_cnpj", "is not a valid CNPJ")));
        check("phone", json!({}), text("(11) 98765-4321"), None);
        check("phone", json!({}), text("ramal 12"), Some(("invalid_phone", "is not a valid phone number")));
        let cep = || json!({ "regex": "^[0-9]{5}-?[0-9]{3}$" });
        check("pattern", cep(), text("01310-100"), None);
        check("pattern", cep(), text("1310-100"), Some(("pattern_mismatch", "does not have the required format")));
        let states = || json!({ "values": ["SP", " RJ "] });
        check("allowed", states(), text("RJ"), None);
        check("allowed", states(), text("rj"), Some(("not_allowed", "is not one of the allowed values")));
        let name = || json!({ "min": 2, "max": 5 });
        check("length", name(), text("João"), None);
        check("length", name(), text("J"), Some(("wrong_length", "has fewer than 2 characters")));
        check("length", name(), text("João S"), Some(("wrong_length", "has more than 5 characters")));
    }

    #[test]
    fn days_are_checked() {
        let birth = || json!({ "min": "1900-01-01", "max": "2026-12-31" });
        check("date", birth(), CheckedValue::Text("1990-05-03"), None);
        check("date", birth(), CheckedValue::Text("2026-12-31"), None);
        check("date", birth(), CheckedValue::Text("1899-12-31"), Some(("out_of_range", "is before 1900-01-01")));
        check("date", birth(), CheckedValue::Text("2062-05-03"), Some(("out_of_range", "is after 2026-12-31")));
        check("date", json!({}), CheckedValue::Text("2062-05-03"), None);
        let not_a_date = Some(("invalid_date", "is not a date in the format 2026-01-31"));
        check("date", json!({}), CheckedValue::Text("03/05/1990"), not_a_date);
        check("date", birth(), CheckedValue::Day(civil::date(1990, 5, 3)), None);
        let future = CheckedValue::Day(civil::date(2062, 5, 3));
        check("date", birth(), future, Some(("out_of_range", "is after 2026-12-31")));
    }

    #[test]
    fn numbers_are_checked() {
        let amount = || json!({ "min": 0, "max": 0.29 });
        check("range", amount(), CheckedValue::Number(0.0), None);
        check("range", amount(), CheckedValue::Number(290_000_000.0 / 1e9), None);
        check("range", amount(), CheckedValue::Number(-0.01), Some(("out_of_range", "is below 0")));
        check("range", amount(), CheckedValue::Number(0.3), Some(("out_of_range", "is above 0.29")));
        check("range", amount(), CheckedValue::Number(f64::NAN), Some(("not_a_number", "is not a number")));
        check("range", amount(), CheckedValue::Text("0.15"), None);
        check("range", amount(), CheckedValue::Text("-3"), Some(("out_of_range", "is below 0")));
        check("range", amount(), CheckedValue::Text("0,15"), Some(("not_a_number", "is not a number")));
        check("range", amount(), CheckedValue::Text("inf"), Some(("not_a_number", "is not a number")));
    }

    #[test]
    fn invalid_checks_are_refused() {
        check_refused("date", json!({ "max": "31/12/2026" }), "`max`: `31/12/2026` is not a date: expected");
        check_refused("date", json!({ "min": "2026-01-02", "max": "2026-01-01" }), "`min` 2026-01-02 is above");
        check_refused("range", json!({}), "`min` and `max` are both missing");
        check_refused("length", json!({ "min": 3, "max": 2 }), "`min` 3 is above `max` 2");
        check_refused("pattern", json!({ "regex": "(" }), "`regex` is invalid: ");
        check_refused("allowed", json!({ "values": [] }), "`values` is empty");
        check_refused("phone", json!({ "region": "ZZ" }), "`region`: `ZZ` is not a country code");
    }
}

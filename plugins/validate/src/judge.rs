//! A check made ready: a value goes in; where it fails, a code and the reason come out, without the value.

use std::collections::HashSet;

use jiff::civil;
use phonenumber::country::Id;
use plugin_sdk::prelude::*;
use regex_lite::Regex;

use crate::config::Check;
use crate::limits::Limits;
use crate::target::Datum;
use crate::{contacts, dates, documents};

/// A check made ready.
#[derive(Debug)]
pub(crate) enum Judge {
    Email,
    Cpf,
    Cnpj,
    Phone(Id),
    Date(Limits<civil::Date>),
    Range(Limits<f64>),
    Pattern(Regex),
    Allowed(HashSet<String>),
    Length(Limits<usize>),
}

/// Why a value fails.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// A stable word for machines.
    pub(crate) code: &'static str,
    /// What follows the column's name in a sentence; it never holds the value.
    pub(crate) reason: String,
}

impl Failure {
    fn new(code: &'static str, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }
}

impl Judge {
    /// Refuses what no value could pass.
    pub(crate) fn new(check: Check) -> Result<Self> {
        Ok(match check {
            Check::Email { .. } => Self::Email,
            Check::Cpf { .. } => Self::Cpf,
            Check::Cnpj { .. } => Self::Cnpj,
            Check::Phone { region, .. } => Self::Phone(contacts::region(&region)?),
            Check::Date { min, max, .. } => Self::Date(Limits::new(day("min", min)?, day("max", max)?)?),
            Check::Range { min, max, .. } => Self::Range(Limits::some(min, max)?),
            Check::Pattern { regex, .. } => Self::Pattern(
                Regex::new(&regex).map_err(|cause| Error::config(format!("`regex` is invalid: {cause}")))?,
            ),
            Check::Allowed { values, .. } if values.is_empty() => return Err(Error::config("`values` is empty")),
            Check::Allowed { values, .. } => {
                Self::Allowed(values.iter().map(|value| value.trim().to_owned()).collect())
            }
            Check::Length { min, max, .. } => Self::Length(Limits::some(min, max)?),
        })
    }

    /// Why a value fails; none where it passes.
    pub(crate) fn judge(&self, datum: Datum<'_>) -> Option<Failure> {
        match (self, datum) {
            (Self::Email, Datum::Text(text)) => {
                unless(contacts::is_email(text), "invalid_email", "is no e-mail address")
            }
            (Self::Cpf, Datum::Text(text)) => unless(documents::is_cpf(text), "invalid_cpf", "is no CPF"),
            (Self::Cnpj, Datum::Text(text)) => unless(documents::is_cnpj(text), "invalid_cnpj", "is no CNPJ"),
            (Self::Phone(region), Datum::Text(text)) => {
                unless(contacts::is_phone(text, *region), "invalid_phone", "is no phone number")
            }
            (Self::Date(limits), Datum::Text(text)) => match dates::parse(text) {
                Some(day) => within_days(limits, day),
                None => Some(Failure::new("invalid_date", "is no date such as 2026-01-31")),
            },
            (Self::Date(limits), Datum::Day(day)) => within_days(limits, day),
            (Self::Range(limits), Datum::Text(text)) => within_range(limits, text.parse().unwrap_or(f64::NAN)),
            (Self::Range(limits), Datum::Number(number)) => within_range(limits, number),
            (Self::Pattern(regex), Datum::Text(text)) => {
                unless(regex.is_match(text), "pattern_mismatch", "does not match its pattern")
            }
            (Self::Allowed(values), Datum::Text(text)) => {
                unless(values.contains(text), "not_allowed", "is none of the allowed values")
            }
            (Self::Length(limits), Datum::Text(text)) => {
                let breach =
                    limits.breach(&text.chars().count(), ["has fewer characters than", "has more characters than"]);
                breach.map(|reason| Failure::new("wrong_length", reason))
            }
            // A column is only found if its check reads such values.
            (_, Datum::Number(_) | Datum::Day(_)) => None,
        }
    }
}

fn unless(passes: bool, code: &'static str, reason: &str) -> Option<Failure> {
    (!passes).then(|| Failure::new(code, reason))
}

fn within_days(limits: &Limits<civil::Date>, day: civil::Date) -> Option<Failure> {
    limits.breach(&day, ["is before", "is after"]).map(|reason| Failure::new("out_of_range", reason))
}

fn within_range(limits: &Limits<f64>, number: f64) -> Option<Failure> {
    if !number.is_finite() {
        return Some(Failure::new("not_a_number", "is no number"));
    }
    limits.breach(&number, ["is below", "is above"]).map(|reason| Failure::new("out_of_range", reason))
}

/// A bound of the pipeline.
fn day(key: &str, text: Option<String>) -> Result<Option<civil::Date>> {
    let Some(text) = text else { return Ok(None) };
    let no_date = || Error::config(format!("`{key}` is `{text}`, no date such as 2026-01-31"));
    dates::parse(&text).map(Some).ok_or_else(no_date)
}

#[cfg(test)]
mod tests {
    use jiff::civil;
    use plugin_sdk::prelude::*;
    use serde_json::{Value, json};

    use super::{Datum, Judge};

    /// A check of a column `field`.
    fn judge(is: &str, mut keys: Value) -> Result<Judge> {
        keys["is"] = is.into();
        keys["column"] = "field".into();
        Judge::new(serde_json::from_value(keys).expect("a check"))
    }

    fn check(is: &str, keys: Value, datum: Datum<'_>, expect: Option<(&str, &str)>) {
        let failure = judge(is, keys).expect("a judge").judge(datum);
        let found = failure.as_ref().map(|failure| (failure.code, failure.reason.as_str()));
        assert_eq!(found, expect, "{is} of {datum:?}");
    }

    fn check_refused(is: &str, keys: Value, expect: &str) {
        let error = judge(is, keys).expect_err("a check that is refused");
        assert!(error.message.starts_with(expect), "{}", error.message);
    }

    #[test]
    fn texts_are_judged() {
        let text = Datum::Text;
        check("email", json!({}), text("ana@exemplo.com"), None);
        check("email", json!({}), text("ana"), Some(("invalid_email", "is no e-mail address")));
        check("cpf", json!({}), text("529.982.247-25"), None);
        check("cpf", json!({}), text("529.982.247-00"), Some(("invalid_cpf", "is no CPF")));
        check("cnpj", json!({}), text("12.ABC.345/01DE-35"), None);
        check("cnpj", json!({}), text("12.ABC.345/01DE-00"), Some(("invalid_cnpj", "is no CNPJ")));
        check("phone", json!({}), text("(11) 98765-4321"), None);
        check("phone", json!({}), text("ramal 12"), Some(("invalid_phone", "is no phone number")));
        let cep = || json!({ "regex": "^[0-9]{5}-?[0-9]{3}$" });
        check("pattern", cep(), text("01310-100"), None);
        check("pattern", cep(), text("1310-100"), Some(("pattern_mismatch", "does not match its pattern")));
        let states = || json!({ "values": ["SP", " RJ "] });
        check("allowed", states(), text("RJ"), None);
        check("allowed", states(), text("rj"), Some(("not_allowed", "is none of the allowed values")));
        let name = || json!({ "min": 2, "max": 5 });
        check("length", name(), text("João"), None);
        check("length", name(), text("J"), Some(("wrong_length", "has fewer characters than 2")));
        check("length", name(), text("João S"), Some(("wrong_length", "has more characters than 5")));
    }

    #[test]
    fn days_are_judged() {
        let birth = || json!({ "min": "1900-01-01", "max": "2026-12-31" });
        check("date", birth(), Datum::Text("1990-05-03"), None);
        check("date", birth(), Datum::Text("2026-12-31"), None);
        check("date", birth(), Datum::Text("1899-12-31"), Some(("out_of_range", "is before 1900-01-01")));
        check("date", birth(), Datum::Text("2062-05-03"), Some(("out_of_range", "is after 2026-12-31")));
        check("date", json!({}), Datum::Text("2062-05-03"), None);
        let no_date = Some(("invalid_date", "is no date such as 2026-01-31"));
        check("date", json!({}), Datum::Text("03/05/1990"), no_date);
        check("date", birth(), Datum::Day(civil::date(1990, 5, 3)), None);
        let future = Datum::Day(civil::date(2062, 5, 3));
        check("date", birth(), future, Some(("out_of_range", "is after 2026-12-31")));
    }

    #[test]
    fn numbers_are_judged() {
        let amount = || json!({ "min": 0, "max": 0.29 });
        check("range", amount(), Datum::Number(0.0), None);
        check("range", amount(), Datum::Number(290_000_000.0 / 1e9), None);
        check("range", amount(), Datum::Number(-0.01), Some(("out_of_range", "is below 0")));
        check("range", amount(), Datum::Number(0.3), Some(("out_of_range", "is above 0.29")));
        check("range", amount(), Datum::Number(f64::NAN), Some(("not_a_number", "is no number")));
        check("range", amount(), Datum::Text("0.15"), None);
        check("range", amount(), Datum::Text("-3"), Some(("out_of_range", "is below 0")));
        check("range", amount(), Datum::Text("0,15"), Some(("not_a_number", "is no number")));
        check("range", amount(), Datum::Text("inf"), Some(("not_a_number", "is no number")));
    }

    #[test]
    fn checks_that_nothing_could_pass_are_refused() {
        check_refused("date", json!({ "max": "31/12/2026" }), "`max` is `31/12/2026`, no date such as 2026-01-31");
        check_refused("date", json!({ "min": "2026-01-02", "max": "2026-01-01" }), "`min` 2026-01-02 is above");
        check_refused("range", json!({}), "it has neither `min` nor `max`");
        check_refused("length", json!({ "min": 3, "max": 2 }), "`min` 3 is above `max` 2");
        check_refused("pattern", json!({ "regex": "(" }), "`regex` is invalid: ");
        check_refused("allowed", json!({ "values": [] }), "`values` is empty");
        check_refused("phone", json!({ "region": "ZZ" }), "`region` is `ZZ`, no country");
    }
}

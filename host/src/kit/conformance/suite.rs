//! The checks so far, and the checks that every plugin has to pass.

use host_core::error::{Error, Kind, Result, Subject};
use host_document::validator;
use host_plugin::Description;
use serde_json::Value;

/// A key that no config schema has.
const UNKNOWN_KEY: &str = "no_such_key";

/// The outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// The plugin conforms.
    Ok,
    /// The plugin does not conform.
    Failed,
    /// The check was not possible, or does not apply.
    Skipped,
}

/// A check and its outcome.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ConformanceCheck {
    /// The name of the check.
    pub name: String,
    /// Its outcome.
    pub outcome: CheckOutcome,
    /// What was seen, or why it failed or was skipped.
    pub detail: String,
}

/// The checks so far. Each is reported when it ends, since a suite may take minutes.
pub struct Suite<'a> {
    checks: Vec<ConformanceCheck>,
    report: &'a mut dyn FnMut(&ConformanceCheck),
}

impl<'a> Suite<'a> {
    /// A suite without checks. `report` is called with each check.
    pub fn new(report: &'a mut dyn FnMut(&ConformanceCheck)) -> Self {
        Self { checks: Vec::new(), report }
    }

    /// All checks, in their order.
    #[must_use]
    pub fn finish(self) -> Vec<ConformanceCheck> {
        self.checks
    }

    /// Adds a check. Returns whether it passed.
    pub(super) fn check(&mut self, name: &str, result: Result<String>) -> bool {
        let (outcome, detail) = match result {
            Ok(detail) => (CheckOutcome::Ok, detail),
            Err(error) => {
                let hint = error.hint_text().map(|hint| format!(" (hint: {hint})")).unwrap_or_default();
                (CheckOutcome::Failed, format!("{}{hint}", error.message()))
            }
        };
        self.add(name, outcome, detail);
        outcome == CheckOutcome::Ok
    }

    pub(super) fn skip(&mut self, name: &str, why: impl Into<String>) {
        self.add(name, CheckOutcome::Skipped, why.into());
    }

    fn add(&mut self, name: &str, outcome: CheckOutcome, detail: String) {
        let check = ConformanceCheck { name: name.to_owned(), outcome, detail };
        (self.report)(&check);
        self.checks.push(check);
    }

    /// The checks of every plugin: two equal descriptions, and a schema that accepts the config and refuses unknown
    /// keys. Returns the description if further checks make sense.
    pub(super) fn check_description(
        &mut self,
        first: Result<Description>,
        second: Result<Description>,
        config: &Value,
    ) -> Option<Description> {
        let same = first.and_then(|first| second.and_then(|second| same_description(first, &second)));
        let description = match same {
            Ok(description) => description,
            Err(error) => {
                self.check("describe", Err(error));
                return None;
            }
        };
        self.check("describe", Ok(format!("{} {}, identical on two calls", description.name, description.version)));
        let fits = self.check("config", accepts(&description.config_schema, config));
        self.check("unknown key", refuses_unknown_key(&description.config_schema, config));
        fits.then_some(description)
    }
}

fn same_description(first: Description, second: &Description) -> Result<Description> {
    let value = |description: &Description| serde_json::to_value(description).map_err(Error::internal);
    if value(&first)? == value(second)? {
        Ok(first)
    } else {
        Err(Error::plugin("two calls of `describe` return different descriptions"))
    }
}

fn accepts(schema: &Value, config: &Value) -> Result<String> {
    let validator = validator(schema)?;
    let violations: Vec<String> = validator.iter_errors(config).map(|violation| violation.to_string()).collect();
    if violations.is_empty() {
        return Ok("the schema accepts the config".to_owned());
    }
    Err(Error::config(violations.join("; ")).hint("give a config that fits the schema: `--config '{…}'`"))
}

fn refuses_unknown_key(schema: &Value, config: &Value) -> Result<String> {
    let mut with_unknown = config.clone();
    let Some(keys) = with_unknown.as_object_mut() else { return Err(Error::config("the config is not a JSON object")) };
    keys.insert(UNKNOWN_KEY.to_owned(), Value::Bool(true));
    if validator(schema)?.is_valid(&with_unknown) {
        let error =
            Error::plugin(format!("the schema accepts the key `{UNKNOWN_KEY}`: a misspelled key would be ignored"));
        return Err(error.hint("add `\"additionalProperties\": false` to the schema"));
    }
    Ok("the schema refuses it".to_owned())
}

/// Whether a plugin broke the contract, by a trap or by what it returned. An error that a plugin returns is no fault of
/// it.
pub(super) fn is_fault(error: &Error) -> bool {
    let is_about_plugin = |subject: &Subject| matches!(subject, Subject::Plugin(_));
    error.kind == Kind::Plugin && error.problems().iter().any(|problem| problem.subjects.iter().any(is_about_plugin))
}

#[cfg(test)]
mod tests {
    use host_core::error::{Error, Subject};
    use serde_json::json;

    use super::{CheckOutcome, ConformanceCheck, Suite, accepts, is_fault, refuses_unknown_key};

    #[test]
    fn a_strict_schema_passes_and_a_loose_one_fails() {
        let strict = json!({
            "type": "object",
            "required": ["column"],
            "properties": { "column": { "type": "string" } },
            "additionalProperties": false,
        });
        let loose = json!({ "type": "object" });
        assert!(accepts(&strict, &json!({ "column": "email" })).is_ok());
        assert!(accepts(&strict, &json!({})).is_err());
        assert!(refuses_unknown_key(&strict, &json!({ "column": "email" })).is_ok());
        assert!(refuses_unknown_key(&loose, &json!({})).is_err());
        assert!(refuses_unknown_key(&json!({ "type": "nothing" }), &json!({})).is_err());
    }

    #[test]
    fn a_trap_is_a_fault_and_a_returned_error_is_not() {
        let returned = Error::plugin("`apply` failed: unreachable");
        assert!(!is_fault(&returned));
        assert!(is_fault(&returned.about(&Subject::Plugin("mine".to_owned()))));
        assert!(!is_fault(&Error::config("not granted").about(&Subject::Plugin("mine".to_owned()))));
    }

    #[test]
    fn each_check_is_reported_when_it_ends() {
        let mut reported = Vec::new();
        let mut report = |check: &ConformanceCheck| reported.push(format!("{:?} {}", check.outcome, check.detail));
        let mut suite = Suite::new(&mut report);
        assert!(suite.check("one", Ok("fine".to_owned())));
        assert!(!suite.check("two", Err(Error::plugin("wrong").hint("fix it"))));
        suite.skip("three", "not here");
        assert_eq!(suite.finish()[2].outcome, CheckOutcome::Skipped);
        assert_eq!(reported, ["Ok fine", "Failed wrong (hint: fix it)", "Skipped not here"]);
    }
}

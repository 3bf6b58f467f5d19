//! The conformance battery: what a plugin of any language must do, tried on its component. Judges by the contract alone;
//! never touches a pipeline or a warehouse.

mod rows;
mod rule;
mod source;

use serde_json::Value;

use super::Description;
use crate::error::{Error, Result};
use crate::pipeline::validator;

pub use rows::{Sample, parse_columns};
pub use rule::{RuleCase, rule};
pub use source::{SourceCase, source};

/// A key that no config has.
const UNKNOWN: &str = "no_such_key";

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As the contract wants it.
    Ok,
    /// Otherwise.
    Failed,
    /// It could not be tried, or has no meaning here.
    Skipped,
}

/// One check and how it went.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Check {
    /// What was tried.
    pub name: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was seen, or why it failed or was skipped.
    pub detail: String,
}

/// The checks so far; tells of each as it ends, since a battery may take minutes.
pub struct Battery<'a> {
    checks: Vec<Check>,
    tell: &'a mut dyn FnMut(&Check),
}

impl<'a> Battery<'a> {
    /// No checks yet; `tell` hears of each.
    pub fn new(tell: &'a mut dyn FnMut(&Check)) -> Self {
        Self { checks: Vec::new(), tell }
    }

    /// All checks, in their order.
    #[must_use]
    pub fn finish(self) -> Vec<Check> {
        self.checks
    }

    /// Keeps how a check went; gives back whether it went well.
    fn note(&mut self, name: &str, result: Result<String>) -> bool {
        let (outcome, detail) = match result {
            Ok(detail) => (Outcome::Ok, detail),
            Err(Error { message, hint: Some(hint), .. }) => (Outcome::Failed, format!("{message} (hint: {hint})")),
            Err(Error { message, .. }) => (Outcome::Failed, message),
        };
        self.add(name, outcome, detail);
        outcome == Outcome::Ok
    }

    fn skip(&mut self, name: &str, why: impl Into<String>) {
        self.add(name, Outcome::Skipped, why.into());
    }

    fn add(&mut self, name: &str, outcome: Outcome, detail: String) {
        let check = Check { name: name.to_owned(), outcome, detail };
        (self.tell)(&check);
        self.checks.push(check);
    }

    /// What every plugin must do before its work: describe itself the same twice, and hold its config to a schema. None
    /// where there is no going on.
    fn described(
        &mut self,
        once: Result<Description>,
        again: Result<Description>,
        config: &Value,
    ) -> Option<Description> {
        let description = match once.and_then(|once| again.and_then(|again| same_description(once, &again))) {
            Ok(description) => description,
            Err(error) => {
                self.note("describe", Err(error));
                return None;
            }
        };
        self.note("describe", Ok(format!("{} {}, twice the same", description.name, description.version)));
        let fits = self.note("config", accepts(&description.config_schema, config));
        self.note("unknown key", refuses_unknown_key(&description.config_schema, config));
        fits.then_some(description)
    }
}

fn same_description(once: Description, again: &Description) -> Result<Description> {
    let value = |description: &Description| {
        serde_json::to_value(description).map_err(|cause| Error::internal(cause.to_string()))
    };
    if value(&once)? == value(again)? { Ok(once) } else { Err(Error::plugin("it describes itself differently twice")) }
}

fn accepts(schema: &Value, config: &Value) -> Result<String> {
    let validator = validator(schema)?;
    let problems: Vec<String> = validator.iter_errors(config).map(|problem| problem.to_string()).collect();
    if problems.is_empty() {
        return Ok("the config fits the schema".to_owned());
    }
    Err(Error::config(problems.join("; ")).hint("give it a config that fits: `--config '{…}'`"))
}

fn refuses_unknown_key(schema: &Value, config: &Value) -> Result<String> {
    let mut with = config.clone();
    let Some(keys) = with.as_object_mut() else { return Err(Error::config("the config is no JSON object")) };
    keys.insert(UNKNOWN.to_owned(), Value::Bool(true));
    if validator(schema)?.is_valid(&with) {
        let error = Error::plugin(format!("its schema takes the key `{UNKNOWN}`: a misspelled key would pass unseen"));
        return Err(error.hint("say `\"additionalProperties\": false`"));
    }
    Ok("refused by the schema".to_owned())
}

/// Whether an error tells of a guest that ended in the middle of a call.
fn is_trap(error: &Error) -> bool {
    let rest = error.message.strip_prefix("plugin `").and_then(|rest| rest.split_once('`'));
    rest.is_some_and(|(_, rest)| rest.starts_with(" failed in `"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Battery, Outcome, accepts, is_trap, refuses_unknown_key};
    use crate::error::Error;

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
    fn traps_are_told_from_errors() {
        assert!(is_trap(&Error::plugin("plugin `mine` failed in `apply`: unreachable")));
        assert!(!is_trap(&Error::plugin("plugin `mine`: it failed in `apply`")));
    }

    #[test]
    fn each_check_is_told_as_it_ends() {
        let mut told = Vec::new();
        let mut tell = |check: &super::Check| told.push(format!("{:?} {}", check.outcome, check.detail));
        let mut battery = Battery::new(&mut tell);
        assert!(battery.note("one", Ok("fine".to_owned())));
        assert!(!battery.note("two", Err(Error::plugin("no").hint("mend it"))));
        battery.skip("three", "not here");
        assert_eq!(battery.finish()[2].outcome, Outcome::Skipped);
        assert_eq!(told, ["Ok fine", "Failed no (hint: mend it)", "Skipped not here"]);
    }
}

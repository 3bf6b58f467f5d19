//! Rule: values that cannot be are flagged with a note, set to null, or rejected with their row. A note names the
//! column and why, never the value.

mod config;
mod contacts;
mod dates;
mod documents;
mod judge;
mod limits;
mod target;

use plugin_sdk::prelude::*;

use config::{Action, Check};
use judge::{Failure, Judge};
use target::{Datum, Target};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The checks, in order; those of one column see what the ones before them leave.
    #[schemars(length(min = 1))]
    checks: Vec<Check>,
}

#[derive(Debug)]
struct Validate {
    subjects: Vec<Subject>,
}

/// A column with its checks.
#[derive(Debug)]
struct Subject {
    name: String,
    target: Target,
    judges: Vec<(Action, Judge)>,
}

impl Rule for Validate {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        if config.checks.is_empty() {
            return Err(Error::config("`checks` is empty"));
        }
        let mut subjects: Vec<Subject> = Vec::new();
        for (index, check) in config.checks.into_iter().enumerate() {
            let (name, action) = check.subject();
            let name = name.to_owned();
            let called = format!("check {}, `{}` of `{name}`", index + 1, check.kind());
            let named = |error: Error| Error { message: format!("{called}: {}", error.message), ..error };
            let target = Target::find(&check, input).map_err(named)?;
            let judge = Judge::new(check).map_err(named)?;
            match subjects.iter_mut().find(|subject| subject.name == name) {
                Some(known) => known.judges.push((action, judge)),
                None => subjects.push(Subject { name, target, judges: vec![(action, judge)] }),
            }
        }
        Ok(Self { subjects })
    }

    fn plan(&self) -> Plan {
        let cleared = self.subjects.iter().filter(|subject| subject.may_clear());
        Plan::row()
            .reads_all(self.subjects.iter().map(|subject| subject.target))
            .sets_all(cleared.map(|subject| subject.target))
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        let mut refused = vec![false; rows.len()];
        for subject in &self.subjects {
            let mut cleared = vec![false; rows.len()];
            for (row, datum) in subject.target.data(rows)?.into_iter().enumerate() {
                let Some(datum) = datum.filter(|_| !refused[row]) else { continue };
                for (action, Failure { code, reason }) in subject.failures(datum) {
                    let column = Some(subject.name.as_str());
                    let message = format!("`{}` {reason}", subject.name);
                    match action {
                        Action::Flag => patch.note(row, column, code, message),
                        Action::Null => {
                            cleared[row] = true;
                            patch.note(row, column, code, message);
                        }
                        Action::Reject => {
                            refused[row] = true;
                            patch.reject(row, column, code, message);
                        }
                    }
                }
            }
            if cleared.contains(&true) {
                subject.target.clear(rows, &cleared, patch)?;
            }
        }
        Ok(())
    }
}

impl Subject {
    fn may_clear(&self) -> bool {
        self.judges.iter().any(|(action, _)| *action == Action::Null)
    }

    /// What is wrong with a value, up to the first check that sets it to null or refuses its row.
    fn failures(&self, datum: Datum<'_>) -> Vec<(Action, Failure)> {
        let mut failures = Vec::new();
        for (action, judge) in &self.judges {
            let Some(failure) = judge.judge(datum) else { continue };
            failures.push((*action, failure));
            if *action != Action::Flag {
                break;
            }
        }
        failures
    }
}

export_rule!(Validate);

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use serde_json::{Value, json};

    use super::config::Action;
    use super::target::Datum;
    use super::{Config, Validate};

    fn open(checks: Value) -> Result<Validate> {
        let config: Config = serde_json::from_value(json!({ "checks": checks })).expect("a config");
        let fields = vec![
            Field::text("id"),
            Field::text("email"),
            Field::new("amount", Type::Decimal),
            Field::new("birth", Type::Date),
            Field::new("seen_at", Type::Timestamp),
            Field::new("active", Type::Bool),
        ];
        Validate::open(config, &Schema::new(fields, &["id"]))
    }

    fn check(checks: Value, text: &str, expect: &[(Action, &str)]) {
        let rule = open(checks).expect("a rule");
        let failures = rule.subjects[0].failures(Datum::Text(text));
        let codes: Vec<_> = failures.into_iter().map(|(action, failure)| (action, failure.code)).collect();
        assert_eq!(codes, expect, "{text}");
    }

    fn check_refused(checks: Value, expect: &str) {
        let error = open(checks).expect_err("a config that is refused");
        assert_eq!(error.message, expect);
    }

    #[test]
    fn checks_of_a_column_run_until_one_settles_the_value() {
        let email = |first: &str, second: &str| {
            json!([
                { "column": "email", "is": "email", "action": first },
                { "column": "email", "is": "length", "min": 20, "action": second },
            ])
        };
        let (flag, null, reject) = (Action::Flag, Action::Null, Action::Reject);
        check(email("flag", "reject"), "ana", &[(flag, "invalid_email"), (reject, "wrong_length")]);
        check(email("null", "reject"), "ana", &[(null, "invalid_email")]);
        check(email("reject", "flag"), "ana", &[(reject, "invalid_email")]);
        check(email("null", "flag"), "ana@exemplo.com", &[(flag, "wrong_length")]);
        check(email("null", "flag"), "ana.souza@exemplo.com.br", &[]);
        check(json!([{ "column": "email", "is": "email" }]), "ana", &[(flag, "invalid_email")]);
    }

    #[test]
    fn columns_are_found_by_the_types_that_a_check_reads() {
        let suited = json!([
            { "column": "email", "is": "date" },
            { "column": "birth", "is": "date", "max": "2026-12-31", "action": "null" },
            { "column": "seen_at", "is": "date", "min": "2000-01-01" },
            { "column": "amount", "is": "range", "min": 0 },
            { "column": "email", "is": "range", "max": 9.5 },
        ]);
        let rule = open(suited).expect("a rule");
        let names: Vec<_> = rule.subjects.iter().map(|subject| (subject.name.as_str(), subject.may_clear())).collect();
        assert_eq!(names, [("email", false), ("birth", true), ("seen_at", false), ("amount", false)]);
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        check_refused(json!([]), "`checks` is empty");
        check_refused(
            json!([{ "column": "amount", "is": "email" }]),
            "check 1, `email` of `amount`: column `amount` holds a decimal, which this plugin does not read there",
        );
        check_refused(
            json!([{ "column": "id", "is": "cpf" }, { "column": "active", "is": "range", "min": 0 }]),
            "check 2, `range` of `active`: column `active` holds true or false, which this plugin does not read there",
        );
        check_refused(
            json!([{ "column": "amount", "is": "range", "min": 10, "max": 2.5 }]),
            "check 1, `range` of `amount`: `min` 10 is above `max` 2.5",
        );
        let error = open(json!([{ "column": "e_mail", "is": "email" }])).expect_err("no such column");
        assert_eq!(error.message, "check 1, `email` of `e_mail`: no column `e_mail`");
        assert!(error.hint.is_some_and(|hint| hint.contains("`email`")));
    }
}

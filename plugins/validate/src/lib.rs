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

struct Validate {
    subjects: Vec<Subject>,
}

/// A column with its checks.
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
    use plugin_sdk::testing::{Trial, Value, json};

    fn trial() -> Trial {
        let fields = vec![
            Field::text("id"),
            Field::text("email"),
            Field::new("amount", Type::Decimal),
            Field::new("birth", Type::Date),
            Field::new("seen_at", Type::Timestamp),
            Field::new("active", Type::Bool),
        ];
        Trial::new(super::component(), Schema::new(fields, &["id"]))
    }

    fn check(checks: Value, email: &str, kept: Option<&str>, noted: &[&str], rejected: &[&str]) {
        let outcome = trial().run(json!({ "checks": checks }), json!([{ "email": email }])).expect("a rule");
        assert_eq!(outcome.column("email"), json!([kept]), "{email}");
        assert_eq!(outcome.noted(), noted.iter().map(|code| (0, *code)).collect::<Vec<_>>(), "{email}");
        assert_eq!(outcome.rejected(), rejected.iter().map(|code| (0, *code)).collect::<Vec<_>>(), "{email}");
    }

    fn check_refused(checks: Value, expect: &str) -> Error {
        let error = trial().open(json!({ "checks": checks })).expect_err("a config that is refused");
        assert_eq!(error.message, expect);
        error
    }

    #[test]
    fn checks_of_a_column_run_until_one_settles_the_value() {
        let email = |first: &str, second: &str| {
            json!([
                { "column": "email", "is": "email", "action": first },
                { "column": "email", "is": "length", "min": 20, "action": second },
            ])
        };
        let (ana, complete) = ("ana", "ana.souza@exemplo.com.br");
        check(email("flag", "reject"), ana, Some(ana), &["invalid_email"], &["wrong_length"]);
        check(email("null", "reject"), ana, None, &["invalid_email"], &[]);
        check(email("reject", "flag"), ana, Some(ana), &[], &["invalid_email"]);
        check(email("null", "flag"), "ana@exemplo.com", Some("ana@exemplo.com"), &["wrong_length"], &[]);
        check(email("null", "flag"), complete, Some(complete), &[], &[]);
        check(json!([{ "column": "email", "is": "email" }]), ana, Some(ana), &["invalid_email"], &[]);
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
        let rule = trial().open(json!({ "checks": suited })).expect("a rule");
        assert_eq!((rule.reads(), rule.sets()), (vec!["email", "birth", "seen_at", "amount"], vec!["birth"]));
        let rows = json!([{ "birth": 30_000, "seen_at": 0, "amount": -1 }, { "birth": 7_427, "amount": 0 }]);
        let outcome = trial().run(json!({ "checks": suited }), rows).expect("a rule");
        assert_eq!(outcome.column("birth"), json!([null, 7_427]));
        assert_eq!(outcome.noted().iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 0, 0]);
    }

    #[test]
    fn what_cannot_be_checked_is_refused() {
        check_refused(json!([]), "`checks` is empty");
        check_refused(
            json!([{ "column": "amount", "is": "email" }]),
            "check 1, `email` of `amount`: column `amount` is of type decimal: expected text",
        );
        check_refused(
            json!([{ "column": "id", "is": "cpf" }, { "column": "active", "is": "range", "min": 0 }]),
            "check 2, `range` of `active`: column `active` is of type boolean: expected text",
        );
        check_refused(
            json!([{ "column": "amount", "is": "range", "min": 10, "max": 2.5 }]),
            "check 1, `range` of `amount`: `min` 10 is above `max` 2.5",
        );
        let error = check_refused(
            json!([{ "column": "e_mail", "is": "email" }]),
            "check 1, `email` of `e_mail`: no column `e_mail`",
        );
        assert!(error.hint.is_some_and(|hint| hint.contains("`email`")));
    }
}

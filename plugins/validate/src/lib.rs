//! Rule: flags invalid values with a note, sets them to null, or rejects their row. A note has the column and the reason,
//! never the value.

mod bounds;
mod column;
mod config;
mod contacts;
mod dates;
mod documents;
mod validator;

use plugin_sdk::prelude::*;

use column::{CheckedColumn, CheckedValue};
use config::{Check, FailureAction};
use validator::{CheckFailure, Validator};

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The checks. Those of one column run in this order.
    #[schemars(length(min = 1))]
    checks: Vec<Check>,
}

struct Validate {
    columns: Vec<ColumnChecks>,
}

/// A column with its checks.
struct ColumnChecks {
    name: String,
    column: CheckedColumn,
    checks: Vec<(FailureAction, Validator)>,
}

impl Rule for Validate {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        if config.checks.is_empty() {
            return Err(Error::config("`checks` is empty"));
        }
        let mut columns: Vec<ColumnChecks> = Vec::new();
        for (index, check) in config.checks.into_iter().enumerate() {
            let (name, action) = check.column_and_action();
            let name = name.to_owned();
            let place = format!("check {}, `{}` of `{name}`", index + 1, check.kind());
            let in_check = |error: Error| Error { message: format!("{place}: {}", error.message), ..error };
            let column = CheckedColumn::find(&check, input).map_err(in_check)?;
            let validator = Validator::new(check).map_err(in_check)?;
            match columns.iter_mut().find(|known| known.name == name) {
                Some(known) => known.checks.push((action, validator)),
                None => columns.push(ColumnChecks { name, column, checks: vec![(action, validator)] }),
            }
        }
        Ok(Self { columns })
    }

    fn plan(&self) -> Plan {
        let nulled = self.columns.iter().filter(|checks| checks.may_set_null());
        Plan::row()
            .reads_all(self.columns.iter().map(|checks| checks.column))
            .sets_all(nulled.map(|checks| checks.column))
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        let mut rejected = vec![false; rows.len()];
        for checks in &self.columns {
            let mut nulled = vec![false; rows.len()];
            for (row, value) in checks.column.values(rows)?.into_iter().enumerate() {
                let Some(value) = value.filter(|_| !rejected[row]) else { continue };
                for (action, CheckFailure { code, reason }) in checks.failures(value) {
                    let column = Some(checks.name.as_str());
                    let message = format!("`{}` {reason}", checks.name);
                    match action {
                        FailureAction::Flag => patch.note(row, column, code, message),
                        FailureAction::Null => {
                            nulled[row] = true;
                            patch.note(row, column, code, format!("{message}: set to null"));
                        }
                        FailureAction::Reject => {
                            rejected[row] = true;
                            patch.reject(row, column, code, message);
                        }
                    }
                }
            }
            if nulled.contains(&true) {
                checks.column.set_null(rows, &nulled, patch)?;
            }
        }
        Ok(())
    }
}

impl ColumnChecks {
    fn may_set_null(&self) -> bool {
        self.checks.iter().any(|(action, _)| *action == FailureAction::Null)
    }

    /// The checks that a value fails, up to the first that sets it to null or rejects its row.
    fn failures(&self, value: CheckedValue<'_>) -> Vec<(FailureAction, CheckFailure)> {
        let mut failures = Vec::new();
        for (action, validator) in &self.checks {
            let Some(failure) = validator.check(value) else { continue };
            failures.push((*action, failure));
            if *action != FailureAction::Flag {
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
        let output = trial().run(json!({ "checks": checks }), json!([{ "email": email }])).expect("a valid config");
        assert_eq!(output.column("email"), json!([kept]), "{email}");
        assert_eq!(output.noted(), noted.iter().map(|code| (0, *code)).collect::<Vec<_>>(), "{email}");
        assert_eq!(output.rejected(), rejected.iter().map(|code| (0, *code)).collect::<Vec<_>>(), "{email}");
    }

    fn check_refused(checks: Value, expect: &str) -> Error {
        let error = trial().open(json!({ "checks": checks })).expect_err("an invalid config");
        assert_eq!(error.message, expect);
        error
    }

    #[test]
    fn a_check_that_nulls_or_rejects_is_the_last_of_its_value() {
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
    fn checks_read_columns_of_several_types() {
        let checks = json!([
            { "column": "email", "is": "date" },
            { "column": "birth", "is": "date", "max": "2026-12-31", "action": "null" },
            { "column": "seen_at", "is": "date", "min": "2000-01-01" },
            { "column": "amount", "is": "range", "min": 0 },
            { "column": "email", "is": "range", "max": 9.5 },
        ]);
        let rule = trial().open(json!({ "checks": checks })).expect("a valid config");
        assert_eq!((rule.reads(), rule.sets()), (vec!["email", "birth", "seen_at", "amount"], vec!["birth"]));
        let rows = json!([{ "birth": 30_000, "seen_at": 0, "amount": -1 }, { "birth": 7_427, "amount": 0 }]);
        let output = trial().run(json!({ "checks": checks }), rows).expect("a valid config");
        assert_eq!(output.column("birth"), json!([null, 7_427]));
        assert_eq!(output.noted().iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 0, 0]);
    }

    #[test]
    fn invalid_configs_are_refused() {
        check_refused(json!([]), "`checks` is empty");
        check_refused(
            json!([{ "column": "amount", "is": "email" }]),
            "check 1, `email` of `amount`: column `amount` is of type decimal: expected text",
        );
        check_refused(
            json!([{ "column": "id", "is": "cpf" }, { "column": "active", "is": "range", "min": 0 }]),
            "check 2, `range` of `active`: column `active` is of type boolean: expected integer, float, decimal or text",
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

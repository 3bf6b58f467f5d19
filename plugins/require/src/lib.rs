//! Rule: flags or rejects records in which a column is empty.

use plugin_sdk::prelude::*;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The text columns that must not be empty; spaces count as empty.
    columns: Vec<String>,
    /// What to do with a record in which a column is empty.
    #[serde(default)]
    action: MissingAction,
}

/// What to do with a record in which a column is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum MissingAction {
    /// Keep the record and write a note.
    #[default]
    Flag,
    /// Move the record to `_host.rejects`.
    Reject,
}

struct Require {
    columns: Vec<(TextColumn, String)>,
    action: MissingAction,
}

impl Rule for Require {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let column = |name: String| Ok((input.text(&name)?, name));
        let columns = config.columns.into_iter().map(column).collect::<Result<_>>()?;
        Ok(Self { columns, action: config.action })
    }

    fn plan(&self) -> Plan {
        Plan::row().reads_all(self.columns.iter().map(|(column, _)| *column))
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        let mut rejected = vec![false; rows.len()];
        for (column, name) in &self.columns {
            for (row, value) in rows.column(*column)?.iter().enumerate() {
                let is_present = value.is_some_and(|value| !value.trim().is_empty());
                if is_present || rejected[row] {
                    continue;
                }
                let message = format!("`{name}` is empty");
                match self.action {
                    MissingAction::Flag => patch.note(row, Some(name), "missing", message),
                    MissingAction::Reject => {
                        rejected[row] = true;
                        patch.reject(row, Some(name), "missing", message);
                    }
                }
            }
        }
        Ok(())
    }
}

export_rule!(Require);

#[cfg(test)]
mod tests {
    use plugin_sdk::prelude::*;
    use plugin_sdk::testing::{RuleOutput, Trial, json};

    fn run(action: &str) -> RuleOutput {
        let people = Schema::new(vec![Field::text("id"), Field::text("name"), Field::text("email")], &["id"]);
        let config = json!({ "columns": ["name", "email"], "action": action });
        let rows = json!([{ "name": "Ana", "email": "ana@exemplo.com" }, { "name": " " }]);
        Trial::new(super::component(), people).run(config, rows).expect("a valid config")
    }

    #[test]
    fn each_empty_column_gets_a_note() {
        let output = run("flag");
        assert_eq!(output.noted(), [(1, "missing"), (1, "missing")]);
        assert_eq!(output.notes[0].message, "`name` is empty");
    }

    #[test]
    fn a_record_is_rejected_once() {
        assert_eq!(run("reject").rejected(), [(1, "missing")]);
    }
}

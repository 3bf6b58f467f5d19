//! Rule: records with missing fields are flagged with a note, or rejected.

use plugin_sdk::prelude::*;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The columns that must hold something; blanks count as nothing.
    columns: Vec<String>,
    /// What happens to a record that lacks one.
    #[serde(default)]
    action: Action,
}

/// What happens to a record that lacks a field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// It goes on, with a note.
    #[default]
    Flag,
    /// It goes to `_host.rejects`.
    Reject,
}

struct Require {
    columns: Vec<(TextColumn, String)>,
    action: Action,
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
        let mut refused = vec![false; rows.len()];
        for (column, name) in &self.columns {
            for (row, value) in rows.column(*column)?.iter().enumerate() {
                let present = value.is_some_and(|value| !value.trim().is_empty());
                if present || refused[row] {
                    continue;
                }
                let message = format!("`{name}` is empty");
                match self.action {
                    Action::Flag => patch.note(row, Some(name), "missing", message),
                    Action::Reject => {
                        refused[row] = true;
                        patch.reject(row, Some(name), "missing", message);
                    }
                }
            }
        }
        Ok(())
    }
}

export_rule!(Require);

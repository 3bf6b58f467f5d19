//! Rule: trims, normalizes and formats text columns, each with its own list of steps.

mod steps;

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

use steps::Step;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The columns to clean, each with its steps in order.
    columns: BTreeMap<String, Vec<Step>>,
}

struct TextRule {
    columns: Vec<(TextColumn, String, Vec<Step>)>,
}

impl Rule for TextRule {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let column = |(name, steps): (String, Vec<Step>)| Ok((input.text(&name)?, name, steps));
        Ok(Self { columns: config.columns.into_iter().map(column).collect::<Result<_>>()? })
    }

    fn plan(&self) -> Plan {
        let columns = || self.columns.iter().map(|(column, ..)| *column);
        Plan::row().reads_all(columns()).sets_all(columns())
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        for (column, name, steps) in &self.columns {
            let mut built = TextBuilder::with_capacity(rows.len());
            for (row, value) in rows.column(*column)?.iter().enumerate() {
                let Some(value) = value else {
                    built.push(None);
                    continue;
                };
                let (text, is_valid) = steps::run(steps, value);
                if !is_valid {
                    let message = format!("`{value}` is not a valid phone number: not changed");
                    patch.note(row, Some(name), "unreadable", message);
                }
                built.push(Some(&*text).filter(|text| !text.is_empty()));
            }
            patch.set(*column, built);
        }
        Ok(())
    }
}

export_rule!(TextRule);

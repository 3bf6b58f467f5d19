//! Rule: trims, normalises and formats text columns, each by its own list of steps.

mod steps;

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

use steps::Step;

/// Settings of the rule.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The steps of each column, in order.
    columns: BTreeMap<String, Vec<Step>>,
}

struct Text {
    columns: Vec<(TextColumn, String, Vec<Step>)>,
}

impl Rule for Text {
    type Config = Config;

    fn open(config: Config, input: &Schema) -> Result<Self> {
        let column = |(name, steps): (String, Vec<Step>)| Ok((input.text(&name)?, name, steps));
        Ok(Self { columns: config.columns.into_iter().map(column).collect::<Result<_>>()? })
    }

    fn plan(&self) -> Plan {
        let columns: Vec<_> = self.columns.iter().map(|(column, ..)| *column).collect();
        Plan::row().reads_all(&columns).sets_all(&columns)
    }

    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        for (column, name, steps) in &self.columns {
            let mut unreadable = Vec::new();
            let mut row = 0;
            patch.map(*column, rows, |value| {
                let (text, readable) = steps::run(steps, value);
                if !readable {
                    unreadable.push(value.to_owned());
                }
                (!text.is_empty()).then_some(text)
            })?;
            if unreadable.is_empty() {
                continue;
            }
            for value in rows.text(*column)?.iter() {
                if value.is_some_and(|value| unreadable.iter().any(|bad| bad == value)) {
                    patch.note(
                        row,
                        Some(name),
                        "unreadable",
                        format!("`{}` is left as it is", value.unwrap_or_default()),
                    );
                }
                row += 1;
            }
        }
        Ok(())
    }
}

export_rule!(Text);

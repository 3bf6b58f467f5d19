//! Lowercases and trims e-mail addresses.
use plugin_sdk::prelude::*;

#[derive(Deserialize, JsonSchema)]
struct Config {
    column: String,
}

struct Email(TextColumn);

impl Rule for Email {
    type Config = Config;
    fn open(config: Config, input: &Schema) -> Result<Self> {
        Ok(Self(input.text(&config.column)?))
    }
    fn plan(&self) -> Plan {
        Plan::row().reads(self.0).sets(self.0)
    }
    fn apply(&mut self, rows: &Rows<'_>, patch: &mut Patch) -> Result<()> {
        patch.map(self.0, rows, |email| email.trim().to_lowercase().into())
    }
}
export_rule!(Email);

//! Source: HubSpot CRM. Backfills by list, then asks for changes by keyset search; associations come with their records.

mod answers;
mod config;
mod objects;
mod schema;
mod small;
mod time;

use plugin_sdk::prelude::*;

use answers::checked;
use config::Config;

/// The connection's name among the plugin's needs.
const CONNECTION: &str = "hubspot";
/// Requests beside search: Pro and Enterprise allow 190 in 10 s.
const GENERAL: &str = "general";
/// Search has a limit of its own: 5 a second for the whole account.
const SEARCH: &str = "search";

struct HubSpot {
    config: Config,
}

impl Source for HubSpot {
    type Config = Config;

    fn needs() -> Vec<Need> {
        vec![
            Need::connection(CONNECTION),
            Need::rate_bucket(GENERAL, 190, 10_000),
            Need::rate_bucket(SEARCH, 5, 1000),
            // Locked record, migration in progress: worth another try.
            Need::retry(&[423, 477]),
        ]
    }

    fn open(config: Config) -> Result<Self> {
        let streams: Vec<_> = config::OBJECTS.iter().map(|object| object.plural).collect();
        let named = config.properties.keys().chain(config.optional_properties.keys());
        if let Some(unknown) = named.into_iter().find(|name| !streams.contains(&name.as_str())) {
            let error = Error::config(format!("properties are named for `{unknown}`, which is no stream of records"));
            return Err(error.hint(format!("those are {}", streams.join(", "))));
        }
        Ok(Self { config })
    }

    fn identity(&self) -> Result<Option<String>> {
        let path = format!("/account-info/{}/details", self.config.api_version);
        let answer = checked(Request::get(path).bucket(GENERAL).send(CONNECTION)?, "the account's details")?;
        let portal = answer.get("/portalId").ok_or_else(|| Error::data("the account's details name no portal"))?;
        let kind = answer.get("/accountType").unwrap_or_default();
        Ok(Some(format!("HubSpot portal {portal} ({kind})")))
    }

    fn discover(&self) -> Result<Vec<StreamInfo>> {
        let mut streams = objects::discover(&self.config)?;
        streams.extend(small::discover());
        Ok(streams)
    }

    fn read(&self, selection: Selection) -> Result<Box<dyn Reader>> {
        match config::OBJECTS.iter().find(|object| object.plural == selection.stream) {
            Some(object) => Ok(Box::new(objects::ObjectReader::open(&self.config, object, &selection)?)),
            None => Ok(Box::new(small::SmallReader::open(&self.config, &selection.stream)?)),
        }
    }
}

export_source!(HubSpot);

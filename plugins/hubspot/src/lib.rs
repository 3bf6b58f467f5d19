//! Source: HubSpot CRM. The first run lists all records, later runs search for changes, and sweeps find what a search
//! cannot. Links and histories are read with their records.

mod config;
mod discover;
mod metadata;
mod reader;
mod responses;
mod schema;
mod streams;
mod time;

use plugin_sdk::prelude::*;

use config::Config;
use responses::checked;
use streams::ObjectTypes;

/// The connection's name among the plugin's needs.
const CONNECTION: &str = "hubspot";
/// The rate bucket of all requests but searches: Pro and Enterprise accounts allow 190 in 10 s.
const GENERAL: &str = "general";
/// The rate bucket of searches: 5 a second for the whole account.
const SEARCH: &str = "search";

struct HubSpot {
    config: Config,
}

impl Source for HubSpot {
    type Config = Config;

    fn needs() -> Vec<Need> {
        vec![
            Need::connection(CONNECTION),
            Need::rate_bucket(GENERAL, 190, 10_000).corrected_by(
                "x-hubspot-ratelimit-max",
                "x-hubspot-ratelimit-interval-milliseconds",
                "x-hubspot-ratelimit-remaining",
            ),
            Need::rate_bucket(SEARCH, 5, 1000),
            // 423: the record is locked for at least 2 s; 477: the account is being migrated; 530: the token is malformed.
            Need::retry(&[(423, 2000), (477, 0)], &[(429, Some(("/policyName", "DAILY"))), (530, None)]),
        ]
    }

    fn open(config: Config) -> Result<Self> {
        Ok(Self { config })
    }

    fn check(&self) -> Result<()> {
        self.identity().map(drop)
    }

    fn identity(&self) -> Result<Option<String>> {
        let path = format!("/account-info/{}/details", self.config.api_version);
        let response = checked(Request::get(path).bucket(GENERAL).send(CONNECTION)?, "")?;
        let portal = response.get("/portalId");
        let portal = portal.ok_or_else(|| Error::data("HubSpot's account details have no `portalId`"))?;
        let account_type = response.get("/accountType").unwrap_or_default();
        Ok(Some(format!("HubSpot portal {portal} ({account_type})")))
    }

    fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>> {
        let mut streams = discover::discover(&self.config, wanted)?;
        streams.extend(metadata::discover());
        Ok(streams)
    }

    fn read(&self, selection: Selection) -> Result<Box<dyn Reader>> {
        let types = ObjectTypes::find(&self.config, Some(&selection.streams))?;
        match types.get(&selection.stream).cloned() {
            Some(object) => Ok(Box::new(reader::ObjectReader::open(&self.config, object, &types, &selection)?)),
            None => Ok(Box::new(metadata::MetadataReader::open(&self.config, &types, &selection)?)),
        }
    }
}

export_source!(HubSpot);

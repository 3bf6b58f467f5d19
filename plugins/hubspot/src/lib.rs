//! Source: HubSpot CRM. Backfills by list, then asks for changes by keyset search; what no date of change tells comes
//! with a sweep. Associations and histories come with their records.

mod answers;
mod config;
mod discover;
mod reader;
mod schema;
mod small;
mod streams;
mod time;

use plugin_sdk::prelude::*;

use answers::checked;
use config::Config;
use streams::Objects;

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
        let answer = checked(Request::get(path).bucket(GENERAL).send(CONNECTION)?, "the account's details")?;
        let portal = answer.get("/portalId").ok_or_else(|| Error::data("the account's details name no portal"))?;
        let kind = answer.get("/accountType").unwrap_or_default();
        Ok(Some(format!("HubSpot portal {portal} ({kind})")))
    }

    fn discover(&self, wanted: Option<&[String]>) -> Result<Vec<StreamInfo>> {
        let mut streams = discover::discover(&self.config, wanted)?;
        streams.extend(small::discover());
        Ok(streams)
    }

    fn read(&self, selection: Selection) -> Result<Box<dyn Reader>> {
        let objects = Objects::find(&self.config, Some(&selection.streams))?;
        match objects.of(&selection.stream).cloned() {
            Some(object) => Ok(Box::new(reader::ObjectReader::open(&self.config, object, &objects, &selection)?)),
            None => Ok(Box::new(small::SmallReader::open(&self.config, &objects, &selection)?)),
        }
    }
}

export_source!(HubSpot);

//! What the pipeline may say.

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

/// The API's version: dated, supported 18 months.
const API_VERSION: &str = "2026-03";

/// Settings of the HubSpot source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// The dated version of the API.
    #[serde(default = "api_version")]
    #[schemars(regex(pattern = r"^20[0-9]{2}-[0-9]{2}$"))]
    pub(crate) api_version: String,
    /// The properties to read, by stream; all of them where left out.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Vec<String>>,
    /// Properties that not every portal has, by stream, with their HubSpot type: where one is missing, its column is
    /// there and empty, so that models can name it.
    #[serde(default)]
    pub(crate) optional_properties: BTreeMap<String, BTreeMap<String, PropertyType>>,
    /// How far back each search overlaps the last one, since HubSpot's index lags behind writes.
    #[serde(default = "overlap_minutes")]
    pub(crate) overlap_minutes: u32,
    /// How often everything is read again: what no date of change tells are deleted and merged records, links, and
    /// values that HubSpot calculates. 0: at every run.
    #[serde(default = "sweep_hours")]
    pub(crate) sweep_hours: u32,
    /// Properties whose older values are read too, by stream: they come as the stream `NAME_history`.
    #[serde(default)]
    pub(crate) history: BTreeMap<String, Vec<String>>,
    /// In how many ranges of ids a large stream is listed at once.
    #[serde(default = "ranges")]
    #[schemars(range(min = 1, max = 64))]
    pub(crate) ranges: u32,
}

impl Config {
    /// The streams whose properties it names.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &String> {
        self.properties.keys().chain(self.optional_properties.keys()).chain(self.history.keys())
    }
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

fn overlap_minutes() -> u32 {
    5
}

fn sweep_hours() -> u32 {
    24
}

/// Two flights of a thousand records: what one request for links takes.
fn ranges() -> u32 {
    20
}

/// A property's type, as HubSpot's properties API names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PropertyType {
    /// Text.
    String,
    /// A number.
    Number,
    /// A calendar date.
    Date,
    /// An instant.
    Datetime,
    /// One of a list, or several, joined by `;`.
    Enumeration,
    /// True or false.
    Bool,
    /// A phone number.
    PhoneNumber,
    /// Coordinates, as JSON.
    ObjectCoordinates,
    /// JSON.
    Json,
    /// A type that HubSpot has added since.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

impl PropertyType {
    /// Whether people write what they like into it. HubSpot's string properties are fields of text, text areas and rich
    /// text: <https://developers.hubspot.com/docs/api-reference/crm-properties-v3/guide#property-type-and-fieldtype-values>.
    pub(crate) fn is_free_text(&self) -> bool {
        matches!(self, Self::String | Self::PhoneNumber | Self::Other)
    }
}

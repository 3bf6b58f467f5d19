//! The pipeline's `config` of the source.

use std::collections::BTreeMap;

use plugin_sdk::prelude::*;

/// The version of the API. HubSpot names versions by date and supports each for 18 months.
const API_VERSION: &str = "2026-03";

/// Settings of the HubSpot source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub(crate) struct Config {
    /// The version of HubSpot's API, such as `2026-03`.
    #[serde(default = "api_version")]
    #[schemars(regex(pattern = r"^20[0-9]{2}-[0-9]{2}$"))]
    pub(crate) api_version: String,
    /// The properties to read, by stream; all properties of a stream that is not named.
    #[serde(default)]
    pub(crate) properties: BTreeMap<String, Vec<String>>,
    /// Properties that not every portal has, by stream, with their HubSpot type. In a portal without the property, its
    /// column exists and is empty, so that models can name it.
    #[serde(default)]
    pub(crate) optional_properties: BTreeMap<String, BTreeMap<String, PropertyType>>,
    /// By how many minutes each search overlaps the one before, because HubSpot's search index lags behind writes.
    #[serde(default = "overlap_minutes")]
    pub(crate) overlap_minutes: u32,
    /// After how many hours everything is read again, to find what a search for changes cannot: deleted and merged
    /// records, links, and values that HubSpot calculates. 0 reads everything in every run.
    #[serde(default = "sweep_hours")]
    pub(crate) sweep_hours: u32,
    /// Properties whose older values are read too, by stream. They are loaded as the stream `NAME_history`.
    #[serde(default)]
    pub(crate) history: BTreeMap<String, Vec<String>>,
    /// Into how many ranges of ids the list of a large stream is split, to read them concurrently.
    #[serde(default = "ranges")]
    #[schemars(range(min = 1, max = 64))]
    pub(crate) ranges: u32,
}

impl Config {
    /// The streams that the config names.
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

/// Half of the ranges are requested at a time: 10 pages of 100 records, as many as one request for links takes.
fn ranges() -> u32 {
    20
}

/// The type of a property, as HubSpot's properties API names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PropertyType {
    /// Text.
    String,
    /// A number.
    Number,
    /// A calendar date.
    Date,
    /// A date with a time.
    Datetime,
    /// One or more options of a list, separated by `;`.
    Enumeration,
    /// True or false.
    Bool,
    /// A phone number.
    PhoneNumber,
    /// Coordinates, as JSON.
    ObjectCoordinates,
    /// JSON.
    Json,
    /// A type that this plugin does not know.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

impl PropertyType {
    /// Whether people can write any text into it. HubSpot's string properties are text fields, text areas and rich text:
    /// <https://developers.hubspot.com/docs/api-reference/crm-properties-v3/guide#property-type-and-fieldtype-values>.
    pub(crate) fn is_free_text(&self) -> bool {
        matches!(self, Self::String | Self::PhoneNumber | Self::Other)
    }
}

//! What the pipeline may say, and the table of object streams: a new standard object is one row.

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
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

fn overlap_minutes() -> u32 {
    5
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

/// An object type as a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    /// The stream's name, and the path's.
    pub(crate) plural: &'static str,
    /// The property with the time of the last change.
    pub(crate) modified: &'static str,
    /// The scope it needs.
    pub(crate) scope: &'static str,
    /// Association streams read with it: name, the other type.
    pub(crate) associations: &'static [(&'static str, &'static str)],
}

/// The object streams.
pub(crate) const OBJECTS: &[Object] = &[
    Object {
        plural: "companies",
        modified: "hs_lastmodifieddate",
        scope: "crm.objects.companies.read",
        associations: &[],
    },
    Object {
        plural: "contacts",
        modified: "lastmodifieddate",
        scope: "crm.objects.contacts.read",
        associations: &[("contacts_companies", "companies")],
    },
    Object {
        plural: "deals",
        modified: "hs_lastmodifieddate",
        scope: "crm.objects.deals.read",
        associations: &[("deals_companies", "companies"), ("deals_contacts", "contacts")],
    },
];

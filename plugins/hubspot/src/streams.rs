//! HubSpot's object types and the streams of each. A new standard type is one line of `STANDARD`; custom types come from
//! the portal's schemas.

use std::borrow::Cow;

use plugin_sdk::prelude::*;

use crate::config::Config;
use crate::responses::{MISSING_SCOPES, checked};
use crate::{CONNECTION, GENERAL};

/// An object type, such as `contacts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectType {
    /// The name of the stream of its records.
    pub(crate) stream: Cow<'static, str>,
    /// Its name in the paths of the API.
    pub(crate) path: Cow<'static, str>,
    /// The scope that reading it needs.
    pub(crate) scope: &'static str,
}

const fn standard(stream: &'static str, scope: &'static str) -> ObjectType {
    ObjectType { stream: Cow::Borrowed(stream), path: Cow::Borrowed(stream), scope }
}

/// The standard types: <https://developers.hubspot.com/docs/guides/crm/understanding-the-crm>.
const STANDARD: &[ObjectType] = &[
    standard("companies", "crm.objects.companies.read"),
    standard("contacts", "crm.objects.contacts.read"),
    standard("deals", "crm.objects.deals.read"),
    standard("tickets", "tickets"),
    standard("line_items", "crm.objects.line_items.read"),
    standard("products", "crm.objects.products.read"),
    standard("quotes", "crm.objects.quotes.read"),
    standard("calls", "crm.objects.contacts.read"),
    standard("emails", "sales-email-read"),
    standard("meetings", "crm.objects.contacts.read"),
    standard("notes", "crm.objects.contacts.read"),
    standard("tasks", "crm.objects.contacts.read"),
];

/// The links that are read if the pipeline names no streams. Links between other types are read if they are named.
const DEFAULT_LINKS: &[(&str, &str)] = &[
    ("contacts", "companies"),
    ("deals", "companies"),
    ("deals", "contacts"),
    ("tickets", "contacts"),
    ("line_items", "deals"),
    ("quotes", "deals"),
];

/// The streams that do not belong to an object type.
const METADATA_STREAMS: [&str; 3] = ["owners", "pipelines", "properties"];

/// The scope that reading the schemas of custom types needs.
const SCHEMAS_SCOPE: &str = "crm.schemas.custom.read";

impl ObjectType {
    /// The property with the time of the last change.
    pub(crate) fn modified(&self) -> &'static str {
        if self.stream == "contacts" { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// Whether the texts of such a record may name the people that it is linked to. Contacts and companies are people
    /// themselves, products and line items are about nobody, and what custom types are about is unknown.
    pub(crate) fn may_name_linked_people(&self) -> bool {
        matches!(
            self.stream.as_ref(),
            "deals" | "tickets" | "quotes" | "calls" | "emails" | "meetings" | "notes" | "tasks"
        )
    }

    /// The stream of older values of its properties.
    pub(crate) fn history_stream(&self) -> String {
        format!("{}_history", self.stream)
    }

    /// The stream of its links to another type.
    pub(crate) fn link_stream(&self, to: &Self) -> String {
        format!("{}_{}", self.stream, to.stream)
    }

    /// Whether its links to another type are read if the pipeline names no streams.
    pub(crate) fn has_default_links_to(&self, to: &Self) -> bool {
        DEFAULT_LINKS.iter().any(|(from, other)| self.stream == *from && to.stream == *other)
    }
}

/// The object types of the portal.
#[derive(Debug, Clone)]
pub(crate) struct ObjectTypes(pub(crate) Vec<ObjectType>);

impl ObjectTypes {
    /// The standard types. The custom types too, unless all wanted streams belong to standard types: they cost a request.
    pub(crate) fn find(config: &Config, wanted: Option<&[String]>) -> Result<Self> {
        let standard = Self(STANDARD.to_vec());
        let is_known = |name: &String| standard.has_stream(name) || METADATA_STREAMS.contains(&name.as_str());
        if wanted.is_some_and(|wanted| wanted.iter().chain(config.streams()).all(is_known)) {
            return Ok(standard);
        }
        let mut types = standard.0;
        types.extend(custom_types(config)?);
        Ok(Self(types))
    }

    /// The type whose records are this stream.
    pub(crate) fn get(&self, stream: &str) -> Option<&ObjectType> {
        self.0.iter().find(|object| object.stream == stream)
    }

    /// Whether a stream holds records, histories or links of these types.
    fn has_stream(&self, name: &str) -> bool {
        self.0.iter().any(|from| {
            name == from.stream || name == from.history_stream() || self.0.iter().any(|to| name == from.link_stream(to))
        })
    }
}

#[derive(Deserialize)]
struct SchemasBody {
    results: Vec<CustomType>,
}

#[derive(Deserialize)]
struct CustomType {
    name: String,
    #[serde(rename = "objectTypeId")]
    type_id: String,
    #[serde(default)]
    archived: bool,
}

/// The custom types. Without the scope to list them, there are none.
fn custom_types(config: &Config) -> Result<Vec<ObjectType>> {
    let path = format!("/crm-object-schemas/{}/schemas", config.api_version);
    let response = match checked(Request::get(path).bucket(GENERAL).send(CONNECTION)?, SCHEMAS_SCOPE) {
        Ok(response) => response,
        Err(error) if error.code == MISSING_SCOPES => {
            log::warn(&format!("custom objects are not read: the token lacks the scope `{SCHEMAS_SCOPE}`"));
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let SchemasBody { results } = response.json()?;
    let object_type = |custom: CustomType| ObjectType {
        stream: stream_name(&custom.name).into(),
        path: custom.type_id.into(),
        scope: "crm.objects.custom.read",
    };
    Ok(results.into_iter().filter(|custom| !custom.archived).map(object_type).collect())
}

/// The name of a custom type as a stream name: lower case, digits and `_`.
fn stream_name(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

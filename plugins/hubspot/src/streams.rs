//! The table of streams: a new standard object is one row. Custom objects are found in the portal's schemas.

use std::borrow::Cow;

use plugin_sdk::prelude::*;

use crate::answers::{MISSING_SCOPES, checked};
use crate::config::Config;
use crate::{CONNECTION, GENERAL};

/// An object type as a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// The stream's name.
    pub(crate) stream: Cow<'static, str>,
    /// What paths call it.
    pub(crate) path: Cow<'static, str>,
    /// The scope it needs.
    pub(crate) scope: &'static str,
}

const fn standard(stream: &'static str, scope: &'static str) -> Object {
    Object { stream: Cow::Borrowed(stream), path: Cow::Borrowed(stream), scope }
}

/// The standard objects: <https://developers.hubspot.com/docs/guides/crm/understanding-the-crm>.
const STANDARD: &[Object] = &[
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

/// Associations that are read where the pipeline names no streams; any other pair is read if it is named.
const USUAL_PAIRS: &[(&str, &str)] = &[
    ("contacts", "companies"),
    ("deals", "companies"),
    ("deals", "contacts"),
    ("tickets", "contacts"),
    ("line_items", "deals"),
    ("quotes", "deals"),
];

/// The streams that are no records.
const SMALL: [&str; 3] = ["owners", "pipelines", "properties"];

/// The scope for custom objects' schemas.
const SCHEMAS_SCOPE: &str = "crm.schemas.custom.read";

impl Object {
    /// The property with the time of the last change.
    pub(crate) fn modified(&self) -> &'static str {
        if self.stream == "contacts" { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// Whether such a record is about others, and its texts may name them: a contact or a company is somebody of its own,
    /// products and what is sold of them are nobody, and what a custom object is nobody knows.
    pub(crate) fn is_about_others(&self) -> bool {
        matches!(
            self.stream.as_ref(),
            "deals" | "tickets" | "quotes" | "calls" | "emails" | "meetings" | "notes" | "tasks"
        )
    }

    /// The stream of its properties' histories.
    pub(crate) fn history_stream(&self) -> String {
        format!("{}_history", self.stream)
    }

    /// The stream of its links to another type.
    pub(crate) fn association_stream(&self, to: &Self) -> String {
        format!("{}_{}", self.stream, to.stream)
    }

    /// Whether these links are read unless the pipeline says otherwise.
    pub(crate) fn is_usual_pair(&self, to: &Self) -> bool {
        USUAL_PAIRS.iter().any(|(from, other)| self.stream == *from && to.stream == *other)
    }
}

/// The portal's object types.
#[derive(Debug, Clone)]
pub(crate) struct Objects(pub(crate) Vec<Object>);

impl Objects {
    /// The standard objects, and the custom ones where a wanted stream is not of the standard ones alone.
    pub(crate) fn find(config: &Config, wanted: Option<&[String]>) -> Result<Self> {
        let standard = Self(STANDARD.to_vec());
        let is_known = |name: &String| standard.speaks_of(name) || SMALL.contains(&name.as_str());
        if wanted.is_some_and(|wanted| wanted.iter().chain(config.streams()).all(is_known)) {
            return Ok(standard);
        }
        let mut objects = standard.0;
        objects.extend(custom(config)?);
        Ok(Self(objects))
    }

    /// The object of a stream's name.
    pub(crate) fn of(&self, stream: &str) -> Option<&Object> {
        self.0.iter().find(|object| object.stream == stream)
    }

    /// Whether a stream is one of these objects, their histories or their links.
    fn speaks_of(&self, name: &str) -> bool {
        self.0.iter().any(|from| {
            name == from.stream
                || name == from.history_stream()
                || self.0.iter().any(|to| name == from.association_stream(to))
        })
    }
}

#[derive(Deserialize)]
struct Schemas {
    results: Vec<CustomObject>,
}

#[derive(Deserialize)]
struct CustomObject {
    name: String,
    #[serde(rename = "objectTypeId")]
    type_id: String,
    #[serde(default)]
    archived: bool,
}

/// The custom objects. A portal that does not let them be seen has none for this pipeline.
fn custom(config: &Config) -> Result<Vec<Object>> {
    let path = format!("/crm-object-schemas/{}/schemas", config.api_version);
    let answer = match checked(Request::get(path).bucket(GENERAL).send(CONNECTION)?, SCHEMAS_SCOPE) {
        Ok(answer) => answer,
        Err(error) if error.code == MISSING_SCOPES => {
            log::warn(&format!("custom objects are not seen without the scope `{SCHEMAS_SCOPE}`"));
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let Schemas { results } = answer.json()?;
    let object = |custom: CustomObject| Object {
        stream: folded(&custom.name).into(),
        path: custom.type_id.into(),
        scope: "crm.objects.custom.read",
    };
    Ok(results.into_iter().filter(|custom| !custom.archived).map(object).collect())
}

/// A name as a stream's: lower case, digits and `_`.
fn folded(name: &str) -> String {
    name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

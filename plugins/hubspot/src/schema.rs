//! The columns of records, from the portal's own list of properties, and those of links and histories.

use std::collections::BTreeSet;

use plugin_sdk::prelude::*;

use crate::config::{Config, PropertyType};
use crate::responses::{checked, read_with_retry};
use crate::streams::ObjectType;
use crate::time;
use crate::{CONNECTION, GENERAL};

/// HubSpot sends numbers and booleans inside strings, times as ISO 8601 or epoch milliseconds, cleared values as "".
const ACCEPTED_FORMS: &str = "text,epoch-ms,empty-null";
/// The columns that a record has in addition to its properties, and those that the host adds.
const RESERVED: [&str; 8] =
    ["id", "created_at", "updated_at", "archived", "archived_at", "_unfit", "_load_id", "_extracted_at"];

/// Names that start so are reserved for the host.
const HOST_PREFIX: &str = "_host";

#[derive(Deserialize)]
struct PropertiesBody {
    results: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    name: String,
    #[serde(rename = "type")]
    data_type: PropertyType,
    #[serde(default)]
    label: String,
}

/// The property that lists the ids of the records that were merged into this one, separated by `;`.
pub(crate) const MERGED_IDS: &str = "hs_merged_object_ids";

/// The columns of a stream of records, and the properties behind them.
#[derive(Debug, Clone)]
pub(crate) struct ObjectSchema {
    /// Decodes the responses of the list and of searches.
    pub(crate) table: JsonTable,
    /// The schema of the stream.
    pub(crate) schema: Schema,
    /// The properties to request.
    pub(crate) properties: Vec<String>,
    /// The same properties, each as `property:type`.
    pub(crate) property_types: Vec<String>,
    /// The columns of free text, each with its property.
    pub(crate) free_text: Vec<(String, String)>,
    /// When HubSpot sent the properties, in milliseconds since 1970.
    pub(crate) server_time: i64,
}

/// Requests the properties of object types concurrently, and makes columns of the wanted ones.
pub(crate) fn object_schemas(config: &Config, objects: &[&ObjectType]) -> Result<Vec<Result<ObjectSchema>>> {
    let request = |object: &&ObjectType| {
        Request::get(format!("/crm/properties/{}/{}", config.api_version, object.path)).bucket(GENERAL)
    };
    let requests: Vec<_> = objects.iter().map(request).collect();
    let responses = Request::send_all(requests.clone(), CONNECTION)?;
    let schema = |((object, request), response): ((&&ObjectType, &Request), Response)| {
        let read = |response| object_schema(config, object, checked(response, object.scope)?);
        read_with_retry(response, request, read, |_| true)
    };
    Ok(objects.iter().zip(&requests).zip(responses).map(schema).collect())
}

fn object_schema(config: &Config, object: &ObjectType, response: Response) -> Result<ObjectSchema> {
    let server_time = time::server_time(&response)?;
    let PropertiesBody { mut results } = response.json()?;
    let wanted = config.properties.get(object.stream.as_ref());
    let optional = config.optional_properties.get(object.stream.as_ref());
    if let Some(unknown) = wanted.into_iter().flatten().find(|name| !results.iter().any(|known| known.name == **name)) {
        return Err(Error::config(format!("HubSpot has no property `{unknown}` on {}", object.stream))
            .hint("HubSpot shows the internal names of properties under Settings → Properties"));
    }
    let mut table = JsonTable::rows_at("/results")
        .column(Field::text("id").description("HubSpot's record id"), "/id")
        .column(Field::new("created_at", Type::Timestamp), "/createdAt")
        .column(Field::new("updated_at", Type::Timestamp), "/updatedAt")
        .column(Field::new("archived", Type::Bool).description("Deleted in HubSpot"), "/archived")
        .column(Field::new("archived_at", Type::Timestamp), "/archivedAt");
    // A fixed order, so that a property gets the same column whatever order the portal lists them in.
    results.sort_by(|a, b| (a.name.to_lowercase() != a.name, &a.name).cmp(&(b.name.to_lowercase() != b.name, &b.name)));
    let mut columns: BTreeSet<String> = RESERVED.map(str::to_owned).into();
    let mut properties = Vec::new();
    let (mut property_types, mut free_text) = (Vec::new(), Vec::new());
    for Property { name, data_type, label } in results {
        let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&name))
            || name == object.modified()
            || optional.is_some_and(|optional| optional.contains_key(&name));
        if is_wanted {
            let added;
            (table, added) = column(table, &mut columns, &name, &data_type, &label);
            if data_type.is_free_text() {
                free_text.push((added, name.clone()));
            }
            property_types.push(format!("{name}:{data_type:?}"));
            properties.push(name);
        }
    }
    for (name, data_type) in optional.into_iter().flatten().filter(|(name, _)| !properties.contains(name)) {
        (table, _) = column(table, &mut columns, name, data_type, "This portal does not have this property");
    }
    let schema = table.schema(&["id"]).cursor(object.modified());
    Ok(ObjectSchema { table, schema, properties, property_types, free_text, server_time })
}

/// Adds the column of a property, and returns its name. Names that differ only in case are the same to the warehouse: the
/// property in lower case keeps its name, the other gets a prefix and a hash.
fn column(
    table: JsonTable,
    taken: &mut BTreeSet<String>,
    name: &str,
    data_type: &PropertyType,
    label: &str,
) -> (JsonTable, String) {
    let mut column = name.to_lowercase();
    if column.starts_with(HOST_PREFIX) || !taken.insert(column.clone()) {
        let hash = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
        column = format!("property_{column}_{hash:08x}");
        if RESERVED.contains(&name) {
            column = format!("property_{name}");
        }
        taken.insert(column.clone());
    }
    let data_type = column_type(name, data_type);
    let field = Field::new(&column, data_type).description(label);
    // HubSpot sends `""` for a cleared text, which stays as it is.
    let field = if data_type == Type::Text { field } else { field.accept(ACCEPTED_FORMS) };
    (table.column(field, format!("/properties/{}", name.replace('~', "~0").replace('/', "~1"))), column)
}

fn column_type(name: &str, data_type: &PropertyType) -> Type {
    match data_type {
        // Ids have the type number but are names, not quantities: they stay text.
        PropertyType::Number if name.ends_with("_id") => Type::Text,
        PropertyType::Number => Type::Decimal,
        PropertyType::Bool => Type::Bool,
        PropertyType::Date => Type::Date,
        PropertyType::Datetime => Type::Timestamp,
        PropertyType::Json | PropertyType::ObjectCoordinates => Type::Json,
        _ => Type::Text,
    }
}

/// Links: one row for each type that a link has.
pub(crate) fn link_table() -> JsonTable {
    link_columns(JsonTable::rows_at("/results").column(Field::text("from_id"), "/from/id").each("/to"))
}

/// The cursors of further links: one row for each record of the response, also for records without links in it.
pub(crate) fn link_cursor_table() -> JsonTable {
    JsonTable::rows_at("/results")
        .column(Field::text("from_id"), "/from/id")
        .column(Field::text(NEXT_CURSOR), "/paging/next/after")
}

/// The column of `link_cursor_table` with the cursor of a record's next links.
pub(crate) const NEXT_CURSOR: &str = "next_after";

/// The links of one record, for responses that do not name the record.
pub(crate) fn record_link_table(id: &str) -> JsonTable {
    link_columns(JsonTable::rows_at("/results").constant("from_id", id))
}

fn link_columns(table: JsonTable) -> JsonTable {
    table
        .column(Field::text("to_id"), "/toObjectId")
        .each("/associationTypes")
        .column(Field::text("category"), "/category")
        .column(Field::text("type_id"), "/typeId")
        .column(Field::text("label"), "/label")
}

/// The primary key of links. They are replaced for each `from_id`.
pub(crate) const LINK_KEY: [&str; 4] = ["from_id", "to_id", "category", "type_id"];

/// History: one row for each value that a property had.
pub(crate) fn history_table(property: &str) -> JsonTable {
    JsonTable::rows_at("/results")
        .column(Field::text("record_id"), "/id")
        .constant("property", property)
        .each(&format!("/propertiesWithHistory/{}", property.replace('~', "~0").replace('/', "~1")))
        .column(Field::new("timestamp", Type::Timestamp), "/timestamp")
        .column(Field::text("value"), "/value")
        .column(Field::text("source_type"), "/sourceType")
        .column(Field::text("source_id"), "/sourceId")
        .column(Field::text("source_label"), "/sourceLabel")
        .column(Field::text("updated_by_user_id"), "/updatedByUserId")
}

/// The primary key of histories. They are replaced for each `record_id`.
pub(crate) const HISTORY_KEY: [&str; 4] = ["record_id", "property", "timestamp", "value"];

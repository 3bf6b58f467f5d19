//! An object's columns, from the portal's own list of its properties.

use std::collections::BTreeSet;

use plugin_sdk::prelude::*;

use crate::answers::{checked, sure};
use crate::config::{Config, PropertyType};
use crate::streams::Object;
use crate::time;
use crate::{CONNECTION, GENERAL};

/// Numbers and booleans come inside strings, times as ISO or epoch milliseconds, cleared values as "".
const FORMS: &str = "text,epoch-ms,empty-null";
/// Columns that a record has beside its properties, and those that the host adds.
const RESERVED: [&str; 8] =
    ["id", "created_at", "updated_at", "archived", "archived_at", "_unfit", "_load_id", "_extracted_at"];

#[derive(Deserialize)]
struct Properties {
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

/// The property that lists the ids of records that were merged into one, joined by `;`.
pub(crate) const MERGED: &str = "hs_merged_object_ids";

/// The columns of an object stream, and the names of the properties among them.
#[derive(Debug, Clone)]
pub(crate) struct ObjectSchema {
    /// Decodes list and search answers.
    pub(crate) table: JsonTable,
    /// The stream's schema.
    pub(crate) schema: Schema,
    /// The properties to ask for.
    pub(crate) properties: Vec<String>,
    /// Each as `property:type`.
    pub(crate) shape: Vec<String>,
    /// Columns that people write what they like into, each with its property.
    pub(crate) free_text: Vec<(String, String)>,
    /// The server's time, in milliseconds since 1970.
    pub(crate) told_at: i64,
}

/// Asks HubSpot for objects' properties, all at once, and makes columns of those wanted.
pub(crate) fn object_schemas(config: &Config, objects: &[&Object]) -> Result<Vec<Result<ObjectSchema>>> {
    let request = |object: &&Object| {
        Request::get(format!("/crm/properties/{}/{}", config.api_version, object.path)).bucket(GENERAL)
    };
    let requests: Vec<_> = objects.iter().map(request).collect();
    let answers = Request::send_all(requests.clone(), CONNECTION)?;
    let schema = |((object, request), answer): ((&&Object, &Request), Response)| {
        sure(answer, request, |answer| object_schema(config, object, checked(answer, object.scope)?), |_| true)
    };
    Ok(objects.iter().zip(&requests).zip(answers).map(schema).collect())
}

fn object_schema(config: &Config, object: &Object, answer: Response) -> Result<ObjectSchema> {
    let told_at = time::date_header(&answer)?;
    let Properties { mut results } = answer.json()?;
    let wanted = config.properties.get(object.stream.as_ref());
    let optional = config.optional_properties.get(object.stream.as_ref());
    if let Some(unknown) = wanted.into_iter().flatten().find(|name| !results.iter().any(|known| known.name == **name)) {
        return Err(Error::config(format!("HubSpot has no property `{unknown}` on {}", object.stream))
            .hint("HubSpot lists a type's properties, with their internal names, under Settings → Properties"));
    }
    let mut table = JsonTable::rows_at("/results")
        .column(Field::text("id").description("HubSpot's record id"), "/id")
        .column(Field::new("created_at", Type::Timestamp), "/createdAt")
        .column(Field::new("updated_at", Type::Timestamp), "/updatedAt")
        .column(Field::new("archived", Type::Bool).description("Deleted in HubSpot"), "/archived")
        .column(Field::new("archived_at", Type::Timestamp), "/archivedAt");
    // Whatever order the portal lists them in, the same property gets the same column.
    results.sort_by(|a, b| (a.name.to_lowercase() != a.name, &a.name).cmp(&(b.name.to_lowercase() != b.name, &b.name)));
    let mut columns: BTreeSet<String> = RESERVED.map(str::to_owned).into();
    let mut properties = Vec::new();
    let (mut shape, mut free_text) = (Vec::new(), Vec::new());
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
            shape.push(format!("{name}:{data_type:?}"));
            properties.push(name);
        }
    }
    for (name, data_type) in optional.into_iter().flatten().filter(|(name, _)| !properties.contains(name)) {
        (table, _) = column(table, &mut columns, name, data_type, "this portal has no such property");
    }
    let schema = table.schema(&["id"]).cursor(object.modified());
    Ok(ObjectSchema { table, schema, properties, shape, free_text, told_at })
}

/// Adds a property's column, and gives back what it is called. Names that differ in their case alone are one to the
/// warehouse: the lower-case one keeps its name.
fn column(
    table: JsonTable,
    taken: &mut BTreeSet<String>,
    name: &str,
    data_type: &PropertyType,
    label: &str,
) -> (JsonTable, String) {
    let mut column = name.to_lowercase();
    if !taken.insert(column.clone()) {
        let hash = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
        column = format!("property_{column}_{hash:08x}");
        if RESERVED.contains(&name) {
            column = format!("property_{name}");
        }
        taken.insert(column.clone());
    }
    let data_type = column_type(name, data_type);
    let field = Field::new(&column, data_type).description(label);
    // A cleared text is kept as HubSpot sends it: `""`.
    let field = if data_type == Type::Text { field } else { field.accept(FORMS) };
    (table.column(field, format!("/properties/{}", name.replace('~', "~0").replace('/', "~1"))), column)
}

fn column_type(name: &str, data_type: &PropertyType) -> Type {
    match data_type {
        // Ids are of type number, and too long for a float: keep them as text.
        PropertyType::Number if name.ends_with("_id") => Type::Text,
        PropertyType::Number => Type::Decimal,
        PropertyType::Bool => Type::Bool,
        PropertyType::Date => Type::Date,
        PropertyType::Datetime => Type::Timestamp,
        PropertyType::Json | PropertyType::ObjectCoordinates => Type::Json,
        _ => Type::Text,
    }
}

/// One row a type of a link: records, category, type id, label.
pub(crate) fn association_table() -> JsonTable {
    links(JsonTable::rows_at("/results").column(Field::text("from_id"), "/from/id").each("/to"))
}

/// One row a record: where its links go on, which a record without links on this page has too.
pub(crate) fn association_pages() -> JsonTable {
    JsonTable::rows_at("/results")
        .column(Field::text("from_id"), "/from/id")
        .column(Field::text(NEXT), "/paging/next/after")
}

/// The column that says where a record's links go on.
pub(crate) const NEXT: &str = "next_after";

/// The same of one record's own page of links, which does not name it.
pub(crate) fn record_association_table(id: &str) -> JsonTable {
    links(JsonTable::rows_at("/results").constant("from_id", id))
}

fn links(table: JsonTable) -> JsonTable {
    table
        .column(Field::text("to_id"), "/toObjectId")
        .each("/associationTypes")
        .column(Field::text("category"), "/category")
        .column(Field::text("type_id"), "/typeId")
        .column(Field::text("label"), "/label")
}

/// Replaced per `from_id`.
pub(crate) const ASSOCIATION_KEY: [&str; 4] = ["from_id", "to_id", "category", "type_id"];

/// One row a value that a property had.
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

/// Replaced per `record_id`.
pub(crate) const HISTORY_KEY: [&str; 4] = ["record_id", "property", "timestamp", "value"];

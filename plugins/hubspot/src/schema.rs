//! A type's properties as columns: cast on `type`, never on `fieldType`.

use plugin_sdk::prelude::*;

use crate::answers::checked;
use crate::config::{Config, Object, PropertyType};
use crate::{CONNECTION, GENERAL};

/// Values come as strings, times as ISO or epoch milliseconds, cleared values as "".
const FORMS: &str = "text,epoch-ms,empty-null";

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
}

/// Asks HubSpot for an object's properties and makes columns of those wanted.
pub(crate) fn object_schema(config: &Config, object: &Object) -> Result<ObjectSchema> {
    let path = format!("/crm/properties/{}/{}", config.api_version, object.plural);
    let answer = checked(Request::get(path).bucket(GENERAL).send(CONNECTION)?, object.scope)?;
    let Properties { results } = answer.json()?;
    let wanted = config.properties.get(object.plural);
    let optional = config.optional_properties.get(object.plural);
    if let Some(unknown) = wanted.into_iter().flatten().find(|name| !results.iter().any(|known| known.name == **name)) {
        return Err(Error::config(format!("HubSpot has no property `{unknown}` on {}", object.plural))
            .hint("HubSpot lists a type's properties, with their internal names, under Settings → Properties"));
    }
    let mut table = JsonTable::rows_at("/results")
        .column(Field::text("id").description("HubSpot's record id"), "/id")
        .column(Field::new("created_at", Type::Timestamp), "/createdAt")
        .column(Field::new("updated_at", Type::Timestamp), "/updatedAt")
        .column(Field::new("archived", Type::Bool), "/archived");
    let mut properties = Vec::new();
    let mut shape = Vec::new();
    for Property { name, data_type, label } in results {
        let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&name))
            || name == object.modified
            || optional.is_some_and(|optional| optional.contains_key(&name));
        if !is_wanted {
            continue;
        }
        table = column(table, &name, &data_type, &label);
        shape.push(format!("{name}:{data_type:?}"));
        properties.push(name);
    }
    for (name, data_type) in optional.into_iter().flatten().filter(|(name, _)| !properties.contains(name)) {
        table = column(table, name, data_type, "this portal has no such property");
    }
    let schema = table.schema(&["id"]).cursor(object.modified);
    Ok(ObjectSchema { table, schema, properties, shape })
}

/// Adds a property's column.
fn column(table: JsonTable, name: &str, data_type: &PropertyType, label: &str) -> JsonTable {
    let reserved = ["id", "created_at", "updated_at", "archived"].contains(&name);
    let column = if reserved { format!("property_{name}") } else { name.to_owned() };
    let data_type = column_type(name, data_type);
    let field = Field::new(&column, data_type).description(label);
    // A cleared text is kept as HubSpot sends it: `""`.
    let field = if data_type == Type::Text { field } else { field.accept(FORMS) };
    table.column(field, format!("/properties/{}", name.replace('~', "~0").replace('/', "~1")))
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

/// One row a link: records, category, type id, label.
pub(crate) fn association_table() -> JsonTable {
    JsonTable::rows_at("/results")
        .column(Field::text("from_id"), "/from/id")
        .each("/to")
        .column(Field::text("to_id"), "/toObjectId")
        .each("/associationTypes")
        .column(Field::text("category"), "/category")
        .column(Field::text("type_id"), "/typeId")
        .column(Field::text("label"), "/label")
}

/// Replaced per `from_id`.
pub(crate) const ASSOCIATION_KEY: [&str; 4] = ["from_id", "to_id", "category", "type_id"];

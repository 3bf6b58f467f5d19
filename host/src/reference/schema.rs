//! The keys of a TOML file from its JSON Schema: one section per table, with the type, default and meaning of each key.

use serde_json::Value;

use super::{paragraph, table};

/// Stands for a name that the user chooses, in headings.
const NAME: &str = "NAME";

/// A page for a TOML file.
pub(super) fn render(title: &str, introduction: &str, root: &Value) -> String {
    let mut page = format!("# {title}\n\n{}", paragraph(introduction));
    write_section(&mut page, &SchemaDocument { root }, "", root);
    page
}

/// A schema with the definitions that it refers to.
struct SchemaDocument<'a> {
    root: &'a Value,
}

/// What a key contains.
enum Content<'a> {
    /// A value, with its type in words.
    Value(String),
    /// A table with keys of its own: how its rows are written, and its schema.
    Section { kind: &'static str, heading: String, path: String, schema: &'a Value },
}

/// Writes the keys of one table, then the tables inside it.
fn write_section(page: &mut String, schema: &SchemaDocument<'_>, path: &str, section: &Value) {
    let required: Vec<_> = texts(section.get("required")).collect();
    let mut rows = Vec::new();
    let mut inner = Vec::new();
    for (key, property) in section.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let meaning = schema.meaning(property);
        let is_required = required.contains(&key.as_str());
        match schema.content(path, key, property) {
            Content::Value(kind) => {
                let default = if is_required { "required".to_owned() } else { default_text(property.get("default")) };
                rows.push(vec![format!("`{key}`"), kind, default, meaning]);
            }
            Content::Section { kind, heading, path, schema } => {
                let anchor: String =
                    heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, '_' | '-')).collect();
                let link = format!("{meaning} See [`{heading}`](#{anchor}).");
                let default = if is_required { "required" } else { "none" };
                rows.push(vec![format!("`{key}`"), kind.to_owned(), default.to_owned(), link]);
                inner.push((heading, path, schema, meaning));
            }
        }
    }
    if !rows.is_empty() {
        page.push_str(&format!("\n{}", table(&["key", "type", "default", "meaning"], &rows)));
    }
    for (heading, path, section, meaning) in inner {
        page.push_str(&format!("\n## `{heading}`\n\n{}", paragraph(&meaning)));
        write_section(page, schema, &path, section);
    }
}

impl<'a> SchemaDocument<'a> {
    /// Follows references, and leaves out the null of an optional value.
    fn resolve(&self, mut value: &'a Value) -> &'a Value {
        loop {
            let pointer = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
            let next = match pointer {
                Some(pointer) => self.root.pointer(pointer),
                None => match alternatives(value).as_slice() {
                    [only] => Some(*only),
                    _ => None,
                },
            };
            match next {
                Some(next) => value = next,
                None => return value,
            }
        }
    }

    fn content(&self, path: &str, key: &str, property: &'a Value) -> Content<'a> {
        let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let value = self.resolve(property);
        let table_in = |key: &str| value.get(key).map(|inner| self.resolve(inner)).filter(|inner| has_keys(inner));
        if has_keys(value) && alternatives(value).is_empty() {
            return Content::Section { kind: "table", heading: format!("[{path}]"), path, schema: value };
        }
        if let Some(schema) = table_in("items") {
            return Content::Section { kind: "list of tables", heading: format!("[[{path}]]"), path, schema };
        }
        if let Some(schema) = table_in("additionalProperties") {
            let path = format!("{path}.{NAME}");
            return Content::Section { kind: "table of tables", heading: format!("[{path}]"), path, schema };
        }
        Content::Value(self.type_text(property))
    }

    /// The type in words, with its range or its values.
    fn type_text(&self, value: &'a Value) -> String {
        let value = self.resolve(value);
        let choices = choices(value);
        if !choices.is_empty() {
            return choices.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        }
        let several = alternatives(value);
        if !several.is_empty() {
            return several.into_iter().map(|one| self.type_text(one)).collect::<Vec<_>>().join(" or ");
        }
        let inner = |key: &str| value.get(key).filter(|inner| inner.is_object()).map(|inner| self.type_text(inner));
        match texts(value.get("type")).find(|name| *name != "null") {
            Some("string") => "text".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("integer") => format!("whole number{}", range(value)),
            Some("number") => format!("number{}", range(value)),
            Some("array") => {
                format!("list of {}", inner("items").map_or_else(|| "values".to_owned(), |of| plural(&of)))
            }
            Some("object") if has_keys(value) => {
                let keys: Vec<_> = value.get("properties").and_then(Value::as_object).into_iter().flatten().collect();
                let keys: Vec<_> = keys.into_iter().map(|(key, _)| format!("{key} = …")).collect();
                format!("`{{ {} }}`", keys.join(", "))
            }
            Some("object") => match inner("additionalProperties") {
                Some(of) => format!("table of {}", plural(&of)),
                None => "table".to_owned(),
            },
            _ => "any value".to_owned(),
        }
    }

    /// The description of a key, and of each value that it may have.
    fn meaning(&self, property: &'a Value) -> String {
        let value = self.resolve(property);
        let own = [property, value].into_iter().find_map(|value| value.get("description").and_then(Value::as_str));
        let of_items = value.get("items").map(|items| self.resolve(items));
        let choices = [Some(value), of_items].into_iter().flatten().flat_map(choices);
        let choices = choices.filter_map(|(name, meaning)| Some(format!("<br>`{name}`: {}", meaning?)));
        own.unwrap_or_default().to_owned() + &choices.collect::<String>()
    }
}

/// The schemas of which a value fulfils one, without null.
fn alternatives(value: &Value) -> Vec<&Value> {
    let lists = ["allOf", "anyOf"].iter().filter_map(|key| value.get(*key)?.as_array()).flatten();
    lists.filter(|one| one.get("type").and_then(Value::as_str) != Some("null")).collect()
}

/// The values of an enumeration, each with its meaning.
fn choices(value: &Value) -> Vec<(&str, Option<&str>)> {
    let one_of = value.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let all = one_of.chain([value]).flat_map(|one| {
        let meaning = if std::ptr::eq(one, value) { None } else { one.get("description").and_then(Value::as_str) };
        texts(one.get("const")).chain(texts(one.get("enum"))).map(move |name| (name, meaning))
    });
    all.collect()
}

/// A text, or the texts of a list.
fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.chain(value).filter_map(Value::as_str)
}

/// The type of several values.
fn plural(kind: &str) -> String {
    match kind.strip_prefix("table").or_else(|| kind.strip_prefix("list")) {
        Some(rest) => format!("{}s{rest}", &kind[..kind.len() - rest.len()]),
        None => kind.to_owned(),
    }
}

fn has_keys(value: &Value) -> bool {
    value.get("properties").and_then(Value::as_object).is_some_and(|keys| !keys.is_empty())
}

fn range(value: &Value) -> String {
    let bound = |key: &str| value.get(key).and_then(Value::as_f64);
    match (bound("minimum"), bound("maximum")) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) if least > 0.0 => format!(" from {least}"),
        (None, Some(most)) => format!(" up to {most}"),
        _ => String::new(),
    }
}

fn default_text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(Value::Object(table)) if table.is_empty() => "none".to_owned(),
        Some(value) => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::render;

    #[test]
    fn every_table_has_a_section_and_every_key_a_row() {
        let schema = json!({
            "required": ["pipeline"],
            "properties": {
                "pipeline": { "allOf": [{ "$ref": "#/definitions/Settings" }], "description": "Settings." },
                "connection": { "additionalProperties": { "$ref": "#/definitions/Connection" }, "description": "URLs." },
            },
            "definitions": {
                "Settings": {
                    "type": "object", "required": ["name"],
                    "properties": {
                        "name": { "type": "string", "description": "The name." },
                        "retries": { "type": "integer", "minimum": 1, "maximum": 100, "default": 2, "description": "Retries." },
                        "missed": {
                            "allOf": [{ "$ref": "#/definitions/Missed" }], "default": "skip", "description": "Missed runs.",
                        },
                    },
                },
                "Missed": { "oneOf": [
                    { "const": "run_once", "description": "Run once." },
                    { "const": "skip", "description": "Wait." },
                ] },
                "Connection": { "type": "object", "properties": { "token": {
                    "anyOf": [{ "$ref": "#/definitions/Secret" }, { "type": "null" }], "description": "The secret.",
                } } },
                "Secret": { "anyOf": [
                    { "type": "string" },
                    { "type": "object", "properties": { "file": { "type": "string" } } },
                ] },
            },
        });
        let page = render("A file", "Keys.", &schema);
        for line in [
            "| `pipeline` | table | required | Settings. See [`[pipeline]`](#pipeline). |",
            "| `connection` | table of tables | none | URLs. See [`[connection.NAME]`](#connectionname). |",
            "## `[pipeline]`",
            "| `name` | text | required | The name. |",
            "| `retries` | whole number from 1 to 100 | `2` | Retries. |",
            "| `missed` | `run_once` or `skip` | `\"skip\"` | Missed runs.<br>`run_once`: Run once.<br>`skip`: Wait. |",
            "| `token` | text or `{ file = … }` | none | The secret. |",
        ] {
            assert!(page.lines().any(|found| found == line), "{line}\n{page}");
        }
    }
}

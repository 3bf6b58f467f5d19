//! A plugin's entry in a pipeline, as TOML. The rest of the document keeps its text and its comments.

use std::path::PathBuf;

use host_core::error::{Error, Result};
use host_plugin::{Component, Description, Need, NeedKind, PluginKind};
use serde_json::Value;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Key, Table};

/// An entry: the keys that are known, and comments for what the reader has to decide.
pub(super) struct Entry {
    kind: PluginKind,
    table: Table,
    comments: String,
}

/// What the entry of a plugin says beside its name and pin.
pub(super) struct EntryKeys<'a> {
    pub(super) streams: &'a [String],
    pub(super) files: &'a [(String, PathBuf)],
    /// An object.
    pub(super) config: &'a Value,
}

impl Entry {
    pub(super) fn new(component: &Component, description: &Description, keys: &EntryKeys<'_>) -> Result<Self> {
        let mut entry = Self { kind: component.kind, table: Table::new(), comments: String::new() };
        let is_rule = component.kind == PluginKind::Rule;
        entry.set("plugin", component.name.as_str());
        entry.set("sha256", component.sha256.as_str());
        let name = component.name.to_lowercase().replace('-', "_");
        if !is_rule && name != component.name {
            entry.set("name", name);
        }
        if !keys.streams.is_empty() {
            entry.set("streams", keys.streams.iter().map(String::as_str).collect::<Array>());
        } else if is_rule {
            entry.set("streams", Array::from_iter(["SOURCE.STREAM"]));
        }
        let connections = description.needs_of(&NeedKind::Connection);
        entry.set_table("connections", connections.map(|need| (need.name.as_str(), need.name.clone())).collect());
        let files = keys.files.iter();
        entry.set_table("files", files.map(|(name, path)| (name.as_str(), path.display().to_string())).collect());
        let missing = |need: &&Need| !keys.files.iter().any(|(name, _)| *name == need.name);
        for need in description.needs_of(&NeedKind::File).filter(missing) {
            entry.comment_need("files", need, "PATH");
        }
        for need in description.needs_of(&NeedKind::Input) {
            entry.comment_need("inputs", need, "SOURCE.STREAM");
        }
        match keys.config {
            Value::Object(config) if config.is_empty() => {
                let required = description.config_schema.get("required").and_then(Value::as_array);
                let required = required.into_iter().flatten().filter_map(Value::as_str);
                let required: Vec<_> = required.map(|key| format!("{} = …", key_text(key))).collect();
                let inspect = format!("`host plugin inspect {}` shows the keys", component.name);
                entry.comment(&format!("config = {{ {} }}    # {inspect}", required.join(", ")));
            }
            config => entry.set("config", toml_value(config)?),
        }
        Ok(entry)
    }

    /// The entry alone.
    pub(super) fn text(&self) -> Result<String> {
        Ok(self.insert_into("")?.trim_start().to_owned())
    }

    /// The text of a pipeline with the entry at its end.
    pub(super) fn insert_into(&self, pipeline: &str) -> Result<String> {
        let mut document = parse(pipeline)?;
        let mut table = self.table.clone();
        let trailing = document.trailing().as_str().unwrap_or_default().to_owned();
        let end = if trailing.is_empty() || trailing.ends_with('\n') { "\n" } else { "\n\n" };
        match document.entry(self.kind.name()).or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new())) {
            Item::ArrayOfTables(tables) => {
                // Comments at the end of the document stay before the entry.
                table.decor_mut().set_prefix(format!("{trailing}{end}"));
                table.set_position(Some(isize::MAX));
                tables.push(table);
                document.set_trailing(self.comments.as_str());
            }
            Item::Value(toml_edit::Value::Array(tables)) => tables.push(table.into_inline_table()),
            _ => return Err(Error::config(format!("`{}` is not an array of tables", self.kind.name()))),
        }
        Ok(document.to_string())
    }

    /// Whether a pipeline has this entry already.
    pub(super) fn is_in(&self, pipeline: &str) -> Result<bool> {
        let tables = |text: &str| -> Result<Vec<toml::Value>> {
            host_document::check_depth(text)?;
            let document: toml::Table = text.parse().map_err(|cause| invalid(&cause))?;
            Ok(document.get(self.kind.name()).and_then(toml::Value::as_array).cloned().unwrap_or_default())
        };
        let own = tables(&self.text()?)?;
        Ok(tables(pipeline)?.iter().any(|table| own.contains(table)))
    }

    fn set(&mut self, key: &str, value: impl Into<toml_edit::Value>) {
        self.table.insert(key, toml_edit::value(value));
    }

    /// Sets an inline table, unless it is empty.
    fn set_table(&mut self, key: &str, entries: Vec<(&str, String)>) {
        if !entries.is_empty() {
            self.set(key, InlineTable::from_iter(entries));
        }
    }

    fn comment(&mut self, text: &str) {
        self.comments.push_str(&format!("# {text}\n"));
    }

    fn comment_need(&mut self, table: &str, need: &Need, value: &str) {
        let note = if need.is_optional() { "optional" } else { "required" };
        self.comment(&format!("{table} = {{ {} = \"{value}\" }}    # {note}", key_text(&need.name)));
    }
}

fn parse(text: &str) -> Result<DocumentMut> {
    host_document::check_depth(text)?;
    text.parse().map_err(|cause: toml_edit::TomlError| invalid(&cause))
}

fn invalid(cause: &impl std::fmt::Display) -> Error {
    Error::config(format!("not valid TOML: {cause}"))
}

/// A key as TOML writes it.
fn key_text(key: &str) -> String {
    Key::new(key).display_repr().into_owned()
}

/// A JSON value as an inline TOML value.
fn toml_value(value: &Value) -> Result<toml_edit::Value> {
    Ok(match value {
        Value::Null => {
            return Err(Error::config("TOML has no null value").hint("leave the key out of the config"));
        }
        Value::Bool(boolean) => (*boolean).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => integer.into(),
            (None, Some(float)) if number.is_f64() => float.into(),
            _ => {
                return Err(Error::config(format!(
                    "`{number}` is out of range for TOML: expected at most {}",
                    i64::MAX
                )));
            }
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => values.iter().map(toml_value).collect::<Result<Array>>()?.into(),
        Value::Object(entries) => {
            let entry = |(key, value): (&String, &Value)| Ok((key.clone(), toml_value(value)?));
            entries.iter().map(entry).collect::<Result<InlineTable>>()?.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Entry, PluginKind, Table, toml_value};

    fn entry(comments: &str) -> Entry {
        let mut table = Table::new();
        table.insert("plugin", toml_edit::value("mine"));
        Entry { kind: PluginKind::Rule, table, comments: comments.to_owned() }
    }

    #[test]
    fn json_becomes_toml() {
        let check = |value: serde_json::Value, expect: &str| {
            assert_eq!(toml_value(&value).map(|value| value.to_string()).ok().as_deref(), Some(expect));
        };
        check(json!({ "column": "email", "most": 3, "at": 0.5 }), r#"{ column = "email", most = 3, at = 0.5 }"#);
        check(json!({ "Especialidade Médica": ["a", true] }), r#"{ "Especialidade Médica" = ["a", true] }"#);
        check(json!({ "none": {} }), "{ none = {} }");
        assert!(toml_value(&json!({ "none": null })).is_err());
        assert!(toml_value(&json!(u64::MAX)).is_err());
        let hard = "a\"\u{7f}\n'";
        let document: toml::Table =
            format!("key = {}", toml_value(&json!(hard)).expect("a text")).parse().expect("TOML");
        assert_eq!(document["key"].as_str(), Some(hard));
    }

    #[test]
    fn an_entry_is_appended_and_the_rest_of_the_text_stays() {
        let before =
            "# Mine.\nname='x'   # odd\n\n[[rule]]\nplugin = \"first\"\n[rule.config]\na = 1\n\n[last]\nb=2\n# To do\n";
        let after = entry("# config = { }\n").insert_into(before).expect("TOML");
        assert_eq!(after, format!("{before}\n[[rule]]\nplugin = \"mine\"\n# config = {{ }}\n"));
    }

    #[test]
    fn an_entry_joins_an_inline_array() {
        let after = entry("").insert_into("rule = [{ plugin = \"first\" }]\n").expect("TOML");
        let document: toml::Table = after.parse().expect("TOML");
        assert_eq!(document["rule"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn an_entry_is_found_whatever_its_layout() {
        let pipeline = "[[rule]]\nplugin   =   'mine'\n";
        assert!(entry("").is_in(pipeline).expect("TOML"));
        assert!(!entry("").is_in("[[rule]]\nplugin = 'other'\n").expect("TOML"));
    }

    #[test]
    fn an_entry_alone_starts_with_its_header() {
        assert_eq!(entry("").text().expect("TOML"), "[[rule]]\nplugin = \"mine\"\n");
    }
}

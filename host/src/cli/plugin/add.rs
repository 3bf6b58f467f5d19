//! `host plugin add`: a component into the plugins folder, and its entry, pinned, into a pipeline or onto the screen.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::super::{Format, Shared, engine, json, variables};
use super::{config, described, kind, named_path};
use crate::error::{Error, Result};
use crate::pipeline::{Environment, Pipeline};
use crate::plugin::{Component, Contract, Description, Need};

/// Copies a component in.
#[derive(Args)]
#[command(after_help = "Examples:\n  host plugin add my-rule.wasm\n  \
host plugin add my-rule.wasm --pipeline pipelines/hubspot.toml --stream hubspot.contacts --config '{\"column\": \"email\"}'")]
pub(in crate::cli) struct Add {
    /// The component.
    file: PathBuf,
    /// Write the entry into this pipeline file.
    #[arg(long)]
    pipeline: Option<PathBuf>,
    /// A stream that the rule cleans, or the source loads.
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<String>,
    /// The plugin's config: JSON text, or a file of it.
    #[arg(long, value_name = "JSON|FILE")]
    config: Option<String>,
    /// A file to grant; relative paths start at the pipeline's folder.
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = named_path)]
    files: Vec<(String, PathBuf)>,
}

impl Add {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        let engine = engine()?;
        let component = engine.load(&self.file, None)?;
        let description = described(&engine, &component)?;
        let unknown = |(name, _): &&(String, PathBuf)| !needs(&description, "file").any(|need| need.name == *name);
        if let Some((name, _)) = self.files.iter().find(unknown) {
            return Err(Error::config(format!("plugin `{}` asks for no file `{name}`", component.name)));
        }
        let entry = self.entry(&component, &description)?;
        let before = self.pipeline.as_deref().map(|path| self.check(path, &component)).transpose()?;
        if before.as_ref().is_some_and(|text| text.contains(entry.trim())) {
            let error = Error::config("the pipeline has this entry already");
            return Err(error.hint("another stream or another config is another entry"));
        }
        let target = self.target(shared, &component);
        let is_new = self.copy(&target)?;
        if let (Some(path), Some(before)) = (&self.pipeline, before)
            && let Err(error) = append(path, &before, &entry)
        {
            if is_new {
                // What failed matters more than a file that nothing names.
                let _ = std::fs::remove_file(&target);
            }
            return Err(error);
        }
        if shared.format == Format::Json {
            return json(&serde_json::json!({
                "path": target, "sha256": component.sha256, "contract": component.contract,
                "needs": description.needs, "entry": entry, "pipeline": self.pipeline,
            }));
        }
        Ok(self.shown(&component, &description, &target, &entry))
    }

    fn shown(&self, component: &Component, description: &Description, target: &Path, entry: &str) -> String {
        let mut lines = vec![
            format!("{} {} ({})", description.name, description.version, kind(component.contract)),
            format!("copied   {}", target.display()),
            format!("sha256   {}", component.sha256),
        ];
        let needs = description.needs.iter();
        lines.extend(needs.map(|need| format!("needs    {} {} {}", need.kind, need.name, need.details)));
        if description.needs.is_empty() {
            lines.push("needs    nothing".to_owned());
        }
        lines.push(match &self.pipeline {
            Some(path) => {
                let path = path.display();
                format!("\nadded to {path}:\n\n{entry}\nnext:\n  host check {path}")
            }
            None => format!("\nadd to a pipeline:\n\n{entry}"),
        });
        lines.join("\n").trim_end().to_owned() + "\n"
    }

    /// The pipeline's text, if it is in order and the entry has what it must have.
    fn check(&self, path: &Path, component: &Component) -> Result<String> {
        let pipeline = load(path)?;
        if component.contract == Contract::Rule && self.streams.is_empty() {
            let sources: Vec<_> = pipeline.file.source.iter().map(|source| format!("`{}`", source.name())).collect();
            let error = Error::config("a rule's entry names the streams that it cleans");
            return Err(
                error.hint(format!("`--stream SOURCE.STREAM`; this pipeline's sources are {}", sources.join(", ")))
            );
        }
        std::fs::read_to_string(path).map_err(|cause| Error::config(format!("{}: {cause}", path.display())))
    }

    /// The folder that is named, else the nearest one called `plugins`, else one beside the pipeline.
    fn target(&self, shared: &Shared, component: &Component) -> PathBuf {
        let beside = self.pipeline.as_deref().map_or(Path::new("."), folder);
        let absolute = beside.canonicalize().unwrap_or_else(|_| beside.to_path_buf());
        let near = absolute.ancestors().map(|folder| folder.join("plugins")).find(|folder| folder.is_dir());
        let folder = shared.plugins.clone().or(near).unwrap_or_else(|| beside.join("plugins"));
        folder.join(format!("{}.wasm", component.name))
    }

    /// Copies the component, unless it is there; gives back whether it was not.
    fn copy(&self, target: &Path) -> Result<bool> {
        let broken = |path: &Path, cause: std::io::Error| Error::config(format!("{}: {cause}", path.display()));
        let bytes = std::fs::read(&self.file).map_err(|cause| broken(&self.file, cause))?;
        match std::fs::read(target) {
            Ok(there) if there == bytes => return Ok(false),
            Ok(_) => {
                let error = Error::config(format!("{} is there already, and is another component", target.display()));
                return Err(error.hint("remove it, if no pipeline needs it any more, or give yours another name"));
            }
            Err(_) => {}
        }
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder).map_err(|cause| broken(folder, cause))?;
        }
        std::fs::write(target, bytes).map_err(|cause| broken(target, cause))?;
        Ok(true)
    }

    /// The TOML entry: what is known is filled in; what the reader has to decide stands there as a comment.
    fn entry(&self, component: &Component, description: &Description) -> Result<String> {
        let is_rule = component.contract == Contract::Rule;
        let mut lines = vec![
            format!("[[{}]]", kind(component.contract)),
            format!("plugin = {}", quoted(&component.name)),
            format!("sha256 = {}", quoted(&component.sha256)),
        ];
        let name = component.name.to_lowercase().replace('-', "_");
        if !is_rule && name != component.name {
            lines.push(format!("name = {}", quoted(&name)));
        }
        let streams: Vec<_> = self.streams.iter().map(|stream| quoted(stream)).collect();
        match streams.as_slice() {
            [] if is_rule => lines.push("streams = [\"SOURCE.STREAM\"]".to_owned()),
            [] => {}
            streams => lines.push(format!("streams = [{}]", streams.join(", "))),
        }
        let connections: Vec<_> =
            needs(description, "connection").map(|need| (need.name.clone(), quoted(&need.name))).collect();
        lines.extend(table("connections", &connections));
        let files: Vec<_> =
            self.files.iter().map(|(name, path)| (name.clone(), quoted(&path.display().to_string()))).collect();
        lines.extend(table("files", &files));
        let asked = needs(description, "file").filter(|need| !files.iter().any(|(name, _)| *name == need.name));
        lines.extend(asked.map(|need| format!("# files = {{ {} = \"PATH\" }}{}", key(&need.name), optional(need))));
        let inputs = needs(description, "input");
        lines.extend(
            inputs.map(|need| format!("# inputs = {{ {} = \"SOURCE.STREAM\" }}{}", key(&need.name), optional(need))),
        );
        lines.push(match config(self.config.as_deref())? {
            Value::Object(keys) if keys.is_empty() => {
                let required = description.config_schema.get("required").and_then(Value::as_array);
                let required: Vec<_> = required.into_iter().flatten().filter_map(Value::as_str).map(key).collect();
                let keys: String = required.iter().map(|key| format!("{key} = …, ")).collect();
                format!(
                    "# config = {{ {} }}    # `host plugin inspect {}`",
                    keys.trim_end_matches(", "),
                    component.name
                )
            }
            config => format!("config = {}", inline(&config)?),
        });
        Ok(lines.join("\n") + "\n")
    }
}

/// Writes the entry at the end of a pipeline file; the file is as it was before where the two do not make a pipeline.
fn append(path: &Path, before: &str, entry: &str) -> Result<()> {
    let write =
        |text: &str| std::fs::write(path, text).map_err(|cause| Error::config(format!("{}: {cause}", path.display())));
    write(&format!("{}\n\n{entry}", before.trim_end()))?;
    let Err(error) = load(path) else { return Ok(()) };
    write(before)?;
    Err(error.on("the entry does not fit, and the pipeline is as it was"))
}

fn load(path: &Path) -> Result<Pipeline> {
    Pipeline::load(path, &Environment::new(variables(), folder(path))?)
}

/// The folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn needs<'a>(description: &'a Description, kind: &'a str) -> impl Iterator<Item = &'a Need> {
    description.needs.iter().filter(move |need| need.kind == kind)
}

fn optional(need: &Need) -> &'static str {
    let is_optional = need.details.get("optional").and_then(Value::as_bool).unwrap_or_default();
    if is_optional { "    # if you like" } else { "    # it needs this" }
}

/// An inline table under a key; nothing where it is empty.
fn table(name: &str, entries: &[(String, String)]) -> Option<String> {
    let entries: Vec<_> = entries.iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    (!entries.is_empty()).then(|| format!("{name} = {{ {} }}", entries.join(", ")))
}

/// A key as TOML writes it.
fn key(name: &str) -> String {
    let is_bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A text as TOML writes it: as JSON does, but for one character.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

/// A JSON value as TOML, in one line.
fn inline(value: &Value) -> Result<String> {
    Ok(match value {
        Value::Null => return Err(Error::config("TOML has no null").hint("leave the key out of the config")),
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", values.iter().map(inline).collect::<Result<Vec<_>>>()?.join(", ")),
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entry = |(name, value): (&String, &Value)| Ok(format!("{} = {}", key(name), inline(value)?));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Result<Vec<_>>>()?.join(", "))
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{inline, quoted};

    #[test]
    fn json_becomes_toml() {
        let check = |value: serde_json::Value, expect: &str| {
            assert_eq!(inline(&value).ok().as_deref(), Some(expect));
        };
        check(json!({ "column": "email", "most": 3, "at": 0.5 }), r#"{ column = "email", most = 3, at = 0.5 }"#);
        check(json!({ "Especialidade Médica": ["a", true] }), r#"{ "Especialidade Médica" = ["a", true] }"#);
        check(json!({ "none": {} }), "{ none = {} }");
        assert!(inline(&json!({ "none": null })).is_err());
        assert_eq!(quoted("a\"\u{7f}\n"), r#""a\"\u007F\n""#);
    }
}

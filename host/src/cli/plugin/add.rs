//! `host plugin add`: copies a component into the plugins folder, and writes or shows its pinned entry.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;
use host_core::project::Project;

use super::super::{Format, GlobalArguments, engine, json, runtime, variables};
use super::{need_line, parse_config, parse_named_path, title_line};
use crate::kit::add::{AddRequest, AddedPlugin, add};
use crate::pipeline::Environment;

/// Copies a component into the plugins folder.
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
    /// The plugin's config: JSON, or the path of a JSON file.
    #[arg(long, value_name = "JSON|FILE")]
    config: Option<String>,
    /// A file to grant. A relative path starts at the pipeline's folder.
    #[arg(long = "file", value_name = "NAME=PATH", value_parser = parse_named_path)]
    files: Vec<(String, PathBuf)>,
}

impl Add {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        let pipeline = match &self.pipeline {
            Some(path) => Some((path.clone(), Environment::new(variables(), &Project::of_pipeline(path))?)),
            None => None,
        };
        let request = AddRequest {
            component: self.file.clone(),
            pipeline,
            folder: global.plugins.clone(),
            streams: self.streams.clone(),
            config: parse_config(self.config.as_deref())?,
            files: self.files.clone(),
        };
        let engine = engine()?;
        let added = runtime()?.block_on(add(&engine, &request))?;
        if global.format == Format::Json {
            let AddedPlugin { component, description, path, entry } = &added;
            return json(&serde_json::json!({
                "path": path, "sha256": component.sha256, "contract": component.kind,
                "needs": description.needs, "entry": entry, "pipeline": self.pipeline,
            }));
        }
        Ok(self.render(&added))
    }

    fn render(&self, added: &AddedPlugin) -> String {
        let AddedPlugin { component, description, path, entry } = added;
        let mut lines = vec![
            title_line(description, component),
            format!("copied   {}", path.display()),
            format!("sha256   {}", component.sha256),
        ];
        lines.extend(description.needs.iter().map(need_line));
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
}

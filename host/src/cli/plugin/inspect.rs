//! `host plugin inspect`: shows what a component is, needs and imports.

use clap::Args;
use host_core::error::Result;
use host_core::text::escape_line;

use super::super::{Format, GlobalArguments, engine, json, runtime};
use super::{load, need_line, title_line};
use crate::kit::inspect::describe;

/// Shows a component. A component of another version of the contract is refused.
#[derive(Args)]
pub(in crate::cli) struct Inspect {
    /// A name in a plugins folder, or a path.
    plugin: String,
}

impl Inspect {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        let engine = engine()?;
        let (path, component) = load(&self.plugin, global, &engine)?;
        let description = runtime()?.block_on(describe(&engine, &component))?;
        let version = component.contract_version();
        if global.format == Format::Json {
            return json(&serde_json::json!({
                "path": path, "sha256": component.sha256, "contract": component.kind, "contract_version": version,
                "imports": component.imports, "description": description,
            }));
        }
        let mut lines = vec![
            title_line(&description, &component),
            format!("file     {}", path.display()),
            format!("sha256   {}", component.sha256),
            format!("contract elt:plugin@{version}"),
        ];
        lines.extend(component.imports.iter().map(|import| format!("imports  {}", escape_line(import))));
        lines.extend(description.needs.iter().map(need_line));
        lines
            .push(format!("config   {}", serde_json::to_string_pretty(&description.config_schema).unwrap_or_default()));
        Ok(lines.join("\n") + "\n")
    }
}

//! `host plugin inspect`: what a component is, wants and imports.

use std::path::Path;

use clap::Args;

use super::super::{Format, Shared, engine, json};
use super::{described, kind};
use crate::error::Result;
use crate::plugin::Search;

/// Shows a component. One that was built against another version of the contract is refused with the version needed.
#[derive(Args)]
pub(in crate::cli) struct Inspect {
    /// A name in a plugins folder, or a path.
    plugin: String,
}

impl Inspect {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        let here = Path::new(".");
        let engine = engine()?;
        let path = Search::new(shared.plugins.clone(), here).find(&self.plugin, here)?;
        let component = engine.load(&path, None)?;
        let description = described(&engine, &component)?;
        let version = component.contract_version();
        if shared.format == Format::Json {
            return json(&serde_json::json!({
                "path": path, "sha256": component.sha256, "contract": component.contract, "contract_version": version,
                "imports": component.imports, "description": description,
            }));
        }
        let mut lines = vec![
            format!("{} {} ({})", description.name, description.version, kind(component.contract)),
            format!("file     {}", path.display()),
            format!("sha256   {}", component.sha256),
            format!("contract elt:plugin@{version}"),
        ];
        lines.extend(component.imports.iter().map(|import| format!("imports  {import}")));
        lines.extend(
            description.needs.iter().map(|need| format!("needs    {} {} {}", need.kind, need.name, need.details)),
        );
        lines
            .push(format!("config   {}", serde_json::to_string_pretty(&description.config_schema).unwrap_or_default()));
        Ok(lines.join("\n") + "\n")
    }
}

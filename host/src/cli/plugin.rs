//! `host plugin new`, `inspect` and `build`.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};

use super::{Format, Shared, engine, json, runtime};
use crate::error::Result;
use crate::plugin::{Contract, Grants, RulePlugin, Search, SourcePlugin, build, scaffold};

/// Looks at plugins and builds them.
#[derive(Subcommand)]
pub(super) enum Plugin {
    /// Makes a crate for a plugin of one's own, which builds and passes its tests.
    #[command(after_help = "Example: host plugin new rule my-rule")]
    New {
        /// What it is.
        #[arg(value_enum)]
        kind: Kind,
        /// A new folder, named as the plugin is to be.
        folder: PathBuf,
        /// The folder of the SDK; by default `plugins/sdk` at or above the new folder.
        #[arg(long, value_name = "FOLDER")]
        sdk: Option<PathBuf>,
    },
    /// Shows a component's contract, config schema, needs and imports.
    Inspect {
        /// A name in a plugins folder, or a path.
        plugin: String,
    },
    /// Builds crates into components.
    #[command(after_help = "Example: host plugin build my-rule --output plugins")]
    Build {
        /// The crates' folders.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// Where the components go, each named after its folder.
        #[arg(long, default_value = "plugins")]
        output: PathBuf,
        /// Cargo's profile.
        #[arg(long, default_value = "release")]
        profile: String,
    },
}

/// What a new plugin is.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    /// It cleans records.
    Rule,
    /// It brings records.
    Source,
}

impl Plugin {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        match self {
            Self::New { kind, folder, sdk } => {
                let contract = match kind {
                    Kind::Rule => Contract::Rule,
                    Kind::Source => Contract::Source,
                };
                let written = scaffold(contract, folder, sdk.as_deref())?;
                if shared.format == Format::Json {
                    return json(&written);
                }
                let shown = folder.display();
                let files: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
                Ok(format!(
                    "{files}\nnext:\n  cargo test --manifest-path {shown}/Cargo.toml\n  host plugin build {shown} --output plugins\n"
                ))
            }
            Self::Inspect { plugin } => inspect(plugin, shared),
            Self::Build { folders, output, profile } => {
                let written = build::build(folders, profile, output)?;
                if shared.format == Format::Json {
                    return json(&written);
                }
                Ok(written.iter().map(|path| format!("{}\n", path.display())).collect())
            }
        }
    }
}

fn inspect(plugin: &str, shared: &Shared) -> Result<String> {
    let here = Path::new(".");
    let engine = engine()?;
    let path = Search::new(shared.plugins.clone(), here).find(plugin, here)?;
    let component = engine.load(&path, None)?;
    let config = serde_json::json!({});
    let description = runtime()?.block_on(async {
        match component.contract {
            Contract::Source => SourcePlugin::new(&engine, &component, Grants::default(), &config).describe().await,
            Contract::Rule => RulePlugin::new(&engine, &component, Grants::default(), &config).describe().await,
        }
    })?;
    if shared.format == Format::Json {
        return json(&serde_json::json!({
            "path": path, "sha256": component.sha256, "contract": component.contract, "imports": component.imports,
            "description": description,
        }));
    }
    let mut lines = vec![
        format!(
            "{} {} ({})",
            description.name,
            description.version,
            format!("{:?}", component.contract).to_lowercase()
        ),
        format!("file     {}", path.display()),
        format!("sha256   {}", component.sha256),
    ];
    lines.extend(component.imports.iter().map(|import| format!("imports  {import}")));
    lines.extend(description.needs.iter().map(|need| format!("needs    {} {} {}", need.kind, need.name, need.details)));
    lines.push(format!("config   {}", serde_json::to_string_pretty(&description.config_schema).unwrap_or_default()));
    Ok(lines.join("\n") + "\n")
}

//! `host plugin new`: makes a crate for a plugin.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use host_core::error::Result;
use host_plugin::PluginKind;

use super::super::{Format, GlobalArguments, json};
use crate::kit::scaffold::scaffold;

/// Makes a crate for a plugin.
#[derive(Args)]
#[command(after_help = "Example: host plugin new rule my-rule")]
pub(in crate::cli) struct New {
    /// The kind of plugin.
    #[arg(value_enum)]
    kind: NewKind,
    /// A new folder. The plugin gets its name.
    folder: PathBuf,
    /// The folder of the SDK. By default `plugins/sdk` at or above the new folder.
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

/// The kind of a new plugin.
#[derive(Clone, Copy, ValueEnum)]
enum NewKind {
    /// It cleans records.
    Rule,
    /// It reads records.
    Source,
}

impl New {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        let kind = match self.kind {
            NewKind::Rule => PluginKind::Rule,
            NewKind::Source => PluginKind::Source,
        };
        let written = scaffold(kind, &self.folder, self.sdk.as_deref())?;
        if global.format == Format::Json {
            return json(&written);
        }
        let shown = self.folder.display();
        let files: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
        Ok(format!(
            "{files}\nnext:\n  cargo test --manifest-path {shown}/Cargo.toml\n  host plugin build {shown} --output plugins\n"
        ))
    }
}

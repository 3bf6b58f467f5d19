//! `host plugin new`: a crate of one's own.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::{Format, Shared, json};
use crate::error::Result;
use crate::plugin::{Contract, scaffold};

/// Makes a crate for a plugin.
#[derive(Args)]
#[command(after_help = "Example: host plugin new rule my-rule")]
pub(in crate::cli) struct New {
    /// What it is.
    #[arg(value_enum)]
    kind: Kind,
    /// A new folder, named as the plugin is to be.
    folder: PathBuf,
    /// The folder of the SDK; by default `plugins/sdk` at or above the new folder.
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

/// What a new plugin is.
#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// It cleans records.
    Rule,
    /// It brings records.
    Source,
}

impl New {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        let contract = match self.kind {
            Kind::Rule => Contract::Rule,
            Kind::Source => Contract::Source,
        };
        let written = scaffold(contract, &self.folder, self.sdk.as_deref())?;
        if shared.format == Format::Json {
            return json(&written);
        }
        let shown = self.folder.display();
        let files: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
        Ok(format!(
            "{files}\nnext:\n  cargo test --manifest-path {shown}/Cargo.toml\n  host plugin build {shown} --output plugins\n"
        ))
    }
}

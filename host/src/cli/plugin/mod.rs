//! `host plugin`: the commands for plugin authors, one file each. The work is done in `crate::kit`.

mod add;
mod dev;
mod inspect;
mod new;
mod test;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use host_core::error::{Error, Place, Result};
use host_core::project::Project;
use host_core::text::escape_line;
use host_plugin::{Component, Description, Engine, Need, PluginFolders, is_path};
use serde_json::Value;

use super::{Format, GlobalArguments, json, say};
use crate::kit::build;

/// Makes, builds, tests and inspects plugins.
#[derive(Subcommand)]
pub(super) enum Plugin {
    /// Creates a crate for a new plugin. It builds and passes its tests.
    New(new::New),
    /// Shows a component's contract, config schema, needs and imports.
    Inspect(inspect::Inspect),
    /// Builds crates into components.
    #[command(after_help = "Example: host plugin build my-rule --output plugins")]
    Build {
        /// The folders of the crates.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// The folder to write components to. Each file is named after the folder of its crate.
        #[arg(long, default_value = "plugins")]
        output: PathBuf,
        /// Cargo's profile.
        #[arg(long, default_value = "release")]
        profile: String,
    },
    /// Tests a component, in any language, against the contract.
    Test(test::Test),
    /// Builds a rule's crate and shows what it does to rows of the warehouse, again after each change of its files.
    Dev(dev::Dev),
    /// Copies a component into the plugins folder, and pins it in a pipeline.
    Add(add::Add),
}

impl Plugin {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        match self {
            Self::New(new) => new.run(global),
            Self::Inspect(inspect) => inspect.run(global),
            Self::Build { folders, output, profile } => {
                let written = build::build(folders, profile, output)?;
                if global.format == Format::Json {
                    return json(&written);
                }
                Ok(written.iter().map(|path| format!("{}\n", path.display())).collect())
            }
            Self::Test(test) => test.run(global),
            Self::Dev(dev) => dev.run(global),
            Self::Add(add) => add.run(global),
        }
    }
}

/// What a plugin says that it is, as a line of text.
fn title_line(description: &Description, component: &Component) -> String {
    escape_line(&format!("{} {} ({})", description.name, description.version, component.kind.name()))
}

/// Loads a component: a path that the user names, or a name in a plugins folder.
fn load(plugin: &str, global: &GlobalArguments, engine: &Engine) -> Result<(PathBuf, Component)> {
    let here = Path::new(".");
    if is_path(plugin) {
        return Ok((here.join(plugin), engine.load(Path::new(plugin), None)?));
    }
    let folders = PluginFolders::new(global.plugins.clone(), &Project::of_folder(here));
    let found = folders.find(plugin, here)?;
    Ok((found.path().to_path_buf(), engine.load_found(&found, None)?))
}

/// A need as a line of text.
fn need_line(need: &Need) -> String {
    escape_line(&format!("needs    {} {} {}", need.kind, need.name, need.details))
}

/// Parses `NAME=PATH` of the command line.
fn parse_named_path(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or_else(|| "expected NAME=PATH".to_owned())?;
    Ok((name.to_owned(), PathBuf::from(path)))
}

/// Parses a config of the command line: JSON, or the path of a JSON file. Without one the config is empty.
fn parse_config(given: Option<&str>) -> Result<Value> {
    let Some(given) = given else { return Ok(serde_json::json!({})) };
    let (file, text) = if given.trim_start().starts_with('{') {
        ("--config", given.to_owned())
    } else {
        let text = std::fs::read_to_string(given).map_err(|cause| {
            Error::config(format!("--config {given}: {cause}")).hint("give a JSON file, or the JSON itself: `'{…}'`")
        })?;
        (given, text)
    };
    let place = Place::file(file);
    let value: Value = serde_json::from_str(&text).map_err(|cause| Error::config(cause.to_string()).at(&place))?;
    if value.is_object() { Ok(value) } else { Err(Error::config("a config must be a JSON object").at(&place)) }
}

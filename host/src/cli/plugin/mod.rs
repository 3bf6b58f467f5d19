//! `host plugin`: the kit for plugins, one file a command; this one has what they share.

mod add;
mod dev;
mod inspect;
mod new;
mod test;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value;

use super::{Format, Shared, json, runtime, say};
use crate::error::{Error, Result};
use crate::plugin::{Component, Contract, Description, Engine, Grants, RulePlugin, SourcePlugin, build};

/// Makes, builds, tries and looks at plugins.
#[derive(Subcommand)]
pub(super) enum Plugin {
    /// Makes a crate for a plugin of one's own, which builds and passes its tests.
    New(new::New),
    /// Shows a component's contract, config schema, needs and imports.
    Inspect(inspect::Inspect),
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
    /// Tries a component of any language on what streams may bring.
    Test(test::Test),
    /// Builds a rule's crate and shows what it does to rows of the warehouse, anew with each change of its files.
    Dev(dev::Dev),
    /// Copies a component in, and pins it in a pipeline.
    Add(add::Add),
}

impl Plugin {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        match self {
            Self::New(new) => new.run(shared),
            Self::Inspect(inspect) => inspect.run(shared),
            Self::Build { folders, output, profile } => {
                let written = build::build(folders, profile, output)?;
                if shared.format == Format::Json {
                    return json(&written);
                }
                Ok(written.iter().map(|path| format!("{}\n", path.display())).collect())
            }
            Self::Test(test) => test.run(shared),
            Self::Dev(dev) => dev.run(shared),
            Self::Add(add) => add.run(shared),
        }
    }
}

/// What a component says of itself.
fn described(engine: &Engine, component: &Component) -> Result<Description> {
    let config = serde_json::json!({});
    runtime()?.block_on(async {
        match component.contract {
            Contract::Source => SourcePlugin::new(engine, component, Grants::default(), &config).describe().await,
            Contract::Rule => RulePlugin::new(engine, component, Grants::default(), &config).describe().await,
        }
    })
}

/// `source` or `rule`.
fn kind(contract: Contract) -> &'static str {
    match contract {
        Contract::Source => "source",
        Contract::Rule => "rule",
    }
}

/// What a component is called: its file's name without the extension.
fn stem(plugin: &str) -> &str {
    Path::new(plugin).file_stem().and_then(|stem| stem.to_str()).unwrap_or(plugin)
}

/// `NAME=PATH` on the command line.
fn named_path(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or_else(|| "it is written NAME=PATH".to_owned())?;
    Ok((name.to_owned(), PathBuf::from(path)))
}

/// A config on the command line: JSON text, or a file of it; none is an empty one.
fn config(given: Option<&str>) -> Result<Value> {
    let Some(given) = given else { return Ok(serde_json::json!({})) };
    let (what, text) = if given.trim_start().starts_with('{') {
        ("--config".to_owned(), given.to_owned())
    } else {
        let text = std::fs::read_to_string(given).map_err(|cause| {
            Error::config(format!("--config {given}: {cause}")).hint("give a JSON file, or the JSON itself: `'{…}'`")
        })?;
        (given.to_owned(), text)
    };
    let value: Value = serde_json::from_str(&text).map_err(|cause| Error::config(format!("{what}: {cause}")))?;
    if value.is_object() { Ok(value) } else { Err(Error::config(format!("{what}: a config is a JSON object"))) }
}

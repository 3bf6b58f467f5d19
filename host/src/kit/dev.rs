//! Tries a rule's crate: builds it, and runs it on rows of the warehouse at its place in a pipeline.

use std::path::{Path, PathBuf};

use host_core::error::{Error, Result};

pub use super::watch::CrateChanges;
use super::{build, plugin_name};
use crate::clean::{SampleReport, loaded, sample};
use crate::prepare::prepare;
use crate::run::Session;

/// The build folder inside the crate's folder.
const OUTPUT: &str = "target/host-dev";

/// A rule's crate under development.
pub struct RuleCrate {
    folder: PathBuf,
    /// Cargo's profile.
    profile: String,
    /// Rows of each stream to show.
    rows: u32,
}

impl RuleCrate {
    /// The crate in a folder.
    ///
    /// # Errors
    /// A folder that does not exist.
    pub fn new(folder: &Path, profile: &str, rows: u32) -> Result<Self> {
        let canonical = folder.canonicalize();
        let folder = canonical.map_err(|cause| Error::config(format!("{}: {cause}", folder.display())))?;
        Ok(Self { folder, profile: profile.to_owned(), rows })
    }

    /// Starts to watch the crate's files.
    ///
    /// # Errors
    /// A folder that cannot be watched.
    pub fn changes(&self) -> Result<CrateChanges> {
        CrateChanges::of(&self.folder)
    }

    /// Builds the crate, and shows the first rows of each of its streams to the rule.
    ///
    /// # Errors
    /// A crate that does not build, a pipeline without the rule, streams that are not loaded, and the rule's errors.
    pub async fn try_on_rows(&self, session: &Session<'_>) -> Result<Vec<SampleReport>> {
        let output = self.folder.join(OUTPUT);
        let folders = [self.folder.clone()];
        let built = tokio::task::block_in_place(|| build::build(&folders, &self.profile, &output))?;
        let component = built.first().ok_or_else(|| Error::internal("nothing was built"))?;
        let name = component.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let mut pipeline = session.pipeline.clone();
        let mut indices = Vec::new();
        for (index, rule) in pipeline.file.rule.iter_mut().enumerate() {
            if plugin_name(&rule.plugin) == name {
                // The rule keeps its name, since the built file has the plugin's name.
                rule.plugin = component.display().to_string();
                // The pin is that of the released component.
                rule.sha256 = None;
                indices.push(index);
            }
        }
        if indices.is_empty() {
            let error = Error::config(format!("the pipeline has no rule with the plugin `{name}`"));
            return Err(error.hint(format!("add `[[rule]]` with `plugin = \"{name}\"`, `streams` and `config`")));
        }
        let rules = prepare(&pipeline, session.engine, session.folders, false).await?.rules;
        let warehouse = session.existing_warehouse()?;
        let mut sampled = Vec::new();
        for index in indices {
            for stream in &rules[index].streams {
                let stream = loaded(&warehouse, stream)?;
                sampled.push(sample(&warehouse, (&rules, index), &stream, self.rows).await?);
            }
        }
        Ok(sampled)
    }
}

//! `host plugin dev`: builds a rule's crate and shows what it does to the first raw rows, again after each change of a
//! file.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::super::{Format, GlobalArguments, complain, json, on_pipeline};
use super::say;
use crate::kit::dev::RuleCrate;
use crate::render::{render_error, render_sample};
use crate::run::Session;

/// Builds a rule and shows what it does at its place in a pipeline.
#[derive(Args)]
#[command(after_help = "Example: host plugin dev my-rule --pipeline pipelines/hubspot.toml")]
pub(in crate::cli) struct Dev {
    /// The folder of the crate. Its name is the name of the plugin.
    folder: PathBuf,
    /// A pipeline with a `[[rule]]` of this plugin, whose streams a run has loaded. It is read once.
    #[arg(long)]
    pipeline: PathBuf,
    /// How many rows of each stream.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rows: u32,
    /// Cargo's profile.
    #[arg(long, default_value = "release")]
    profile: String,
    /// Run once, without waiting for changes.
    #[arg(long)]
    once: bool,
}

impl Dev {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        let rule_crate = RuleCrate::new(&self.folder, &self.profile, self.rows)?;
        on_pipeline(&self.pipeline, global, async |session| {
            if self.once {
                return try_on_rows(&rule_crate, session, global).await;
            }
            loop {
                // The watch starts before the build, so that no change is missed, and each time, because of new
                // folders.
                let mut changes = rule_crate.changes()?;
                match try_on_rows(&rule_crate, session, global).await {
                    Ok(text) => say(&text)?,
                    // The author is still working on it.
                    Err(error) => complain(&render_error(&error)),
                }
                tokio::select! {
                    () = changes.next() => {}
                    () = session.stop.cancelled() => return Ok(String::new()),
                }
            }
        })
    }
}

async fn try_on_rows(rule_crate: &RuleCrate, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
    let sampled = rule_crate.try_on_rows(session).await?;
    if global.format == Format::Json { json(&sampled) } else { Ok(sampled.iter().map(render_sample).collect()) }
}

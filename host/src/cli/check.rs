//! `host check`: everything that a run needs, tried without writing anything.

use std::path::PathBuf;

use clap::Args;
use host_core::error::Result;

use super::{Format, GlobalArguments, json};
use crate::render::{checked_sources, render_checked};
use crate::run::{self, Session};

/// Tries secrets, scopes, plugins, rules and models.
#[derive(Args)]
pub(super) struct Check {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
}

impl Check {
    pub(super) async fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let checked = run::check(session).await?;
        match global.format {
            Format::Json => json(&serde_json::json!({
                "ok": checked.is_complete(), "sources": checked_sources(&checked), "rules": checked.rules,
                "models": checked.models, "checks": checked.checks,
            })),
            Format::Text => Ok(render_checked(&checked)),
        }
    }
}

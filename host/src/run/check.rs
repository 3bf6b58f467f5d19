//! `host check`: checks everything that a run needs, without writing anything.

use host_core::error::Result;

use super::models::checked_graph;
use super::session::Session;
use super::streams::{check_rules, check_sources, discover, select};
use crate::prepare::{SkippedStream, prepare};

/// What a check found.
pub struct CheckReport {
    /// The sources.
    pub sources: Vec<CheckedSource>,
    /// Streams that a run would skip.
    pub skipped: Vec<SkippedStream>,
    /// The number of rules.
    pub rules: usize,
    /// The number of models.
    pub models: usize,
    /// The number of checks.
    pub checks: usize,
}

/// A source that was reached.
pub struct CheckedSource {
    /// Its name.
    pub name: String,
    /// The account that it reaches, if it names one.
    pub account: Option<String>,
    /// The number of streams that a run would read.
    pub streams: usize,
}

impl CheckReport {
    /// Whether a run would load every stream that the pipeline names.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.skipped.iter().any(|skipped| skipped.is_named)
    }
}

/// Checks secrets, scopes, plugins, rules and models.
///
/// # Errors
/// The problems with which a run would fail.
pub async fn check(session: &Session<'_>) -> Result<CheckReport> {
    let prepared = prepare(session.pipeline, session.engine, session.folders, true).await?;
    let discovered = discover(session, &prepared.sources, false).await?;
    check_sources(session, &discovered).await?;
    let (selected, skipped) = select(session, &discovered, &[])?;
    check_rules(&prepared.rules, &selected, &skipped).await?;
    let graph = checked_graph(session, &host_ledger::memory()?, &selected, &skipped)?;
    let sources = selected.iter().map(|(source, streams)| CheckedSource {
        name: source.name.clone(),
        account: source.account.clone(),
        streams: streams.len(),
    });
    Ok(CheckReport {
        sources: sources.collect(),
        skipped,
        rules: prepared.rules.len(),
        models: graph.as_ref().map_or(0, |graph| graph.models().count()),
        checks: graph.as_ref().map_or(0, |graph| graph.checks().count()),
    })
}

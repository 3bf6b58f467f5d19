//! `host discover`: the streams and columns of the sources.

use std::path::PathBuf;

use clap::Args;
use host_core::error::{Result, unknown};

use super::{Format, GlobalArguments, json};
use crate::prepare::prepare;
use crate::render::render_streams;
use crate::run::{self, DiscoveredSource, Session};

/// Lists streams and columns.
#[derive(Args)]
pub(super) struct Discover {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Show only this stream, with its columns.
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
}

impl Discover {
    pub(super) async fn run(&self, session: &Session<'_>, global: &GlobalArguments) -> Result<String> {
        let prepared = prepare(session.pipeline, session.engine, session.folders, true).await?;
        let mut discovered = run::discover(session, &prepared.sources, true).await?;
        if let Some(wanted) = &self.stream {
            keep_only(wanted, &mut discovered)?;
        }
        if global.format == Format::Text {
            return Ok(render_streams(&discovered, self.stream.is_some()));
        }
        let sources = discovered.iter().map(|DiscoveredSource { source, streams }| {
            serde_json::json!({ "source": source.name, "account": source.account, "streams": streams })
        });
        json(&sources.collect::<Vec<_>>())
    }
}

/// Drops every stream but the wanted one, which is `stream` or `source.stream`.
fn keep_only(wanted: &str, discovered: &mut [DiscoveredSource]) -> Result<()> {
    let streams = discovered.iter().flat_map(|found| &found.streams);
    let names: Vec<_> = streams.map(|stream| stream.name.clone()).collect();
    for DiscoveredSource { source, streams } in &mut *discovered {
        streams.retain(|stream| stream.name == wanted || format!("{}.{}", source.name, stream.name) == wanted);
    }
    if discovered.iter().any(|found| !found.streams.is_empty()) {
        return Ok(());
    }
    Err(unknown("stream", wanted, names.iter().map(String::as_str)).on("`--stream`"))
}

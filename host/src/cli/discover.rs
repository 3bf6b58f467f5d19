//! `host discover`: what the sources have.

use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, json};
use crate::error::{Error, Result, nearest};
use crate::run::{Context, Discovered};

/// Lists streams and columns.
#[derive(Args)]
pub(super) struct Discover {
    /// The pipeline file.
    pub(super) pipeline: PathBuf,
    /// Show this stream's columns.
    #[arg(long, value_name = "STREAM")]
    stream: Option<String>,
}

impl Discover {
    pub(super) async fn run(&self, context: &Context<'_>, shared: &Shared) -> Result<String> {
        let prepared = context.prepare().await?;
        let mut discovered = context.discover(&prepared.sources, true).await?;
        if let Some(wanted) = &self.stream {
            let names: Vec<_> =
                discovered.iter().flat_map(|found| found.streams.iter().map(|stream| stream.name.clone())).collect();
            for Discovered { source, streams } in &mut discovered {
                streams
                    .retain(|stream| stream.name == *wanted || format!("{}.{}", source.name, stream.name) == *wanted);
            }
            if discovered.iter().all(|found| found.streams.is_empty()) {
                let error = Error::config(format!("`--stream`: no source has a stream `{wanted}`"));
                let near = nearest(wanted, names.iter().map(String::as_str));
                return Err(error.hint(near.unwrap_or_else(|| "`host discover PIPELINE` lists them".to_owned())));
            }
        }
        if shared.format == Format::Json {
            let sources = discovered.iter().map(|found| {
                let Discovered { source, streams } = found;
                serde_json::json!({ "source": source.name, "account": source.account, "streams": streams })
            });
            return json(&sources.collect::<Vec<_>>());
        }
        let mut lines = Vec::new();
        for found in &discovered {
            lines.push(format!("{}  {}", found.source.name, found.source.account.as_deref().unwrap_or_default()));
            for stream in &found.streams {
                let key = stream.schema.primary_key.join(", ");
                let scope = stream.scope.as_ref().map(|scope| format!(" · scope {scope}")).unwrap_or_default();
                let carrier =
                    stream.read_with.as_ref().map(|carrier| format!(" · read with {carrier}")).unwrap_or_default();
                let on_request = if stream.on_request { " · on request" } else { "" };
                let columns = match &stream.unavailable {
                    Some(why) => format!("out of reach: {}", why.message),
                    None => format!("{} columns · key {key}", stream.schema.fields.len()),
                };
                lines.push(format!("  {:<28} {columns}{carrier}{scope}{on_request}", stream.name));
                if self.stream.is_some() {
                    let column = |field: &crate::schema::Field| {
                        let description = field.metadata.get("description").cloned().unwrap_or_default();
                        format!("    {:<36} {:<26} {description}", field.name, field.data_type.sql())
                            .trim_end()
                            .to_owned()
                    };
                    lines.extend(stream.schema.fields.iter().map(column));
                }
            }
        }
        Ok(lines.join("\n") + "\n")
    }
}

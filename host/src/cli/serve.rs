//! `host serve`: pages and schedules on one's own machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Format, Shared, ended, engine, json, opened, runtime};
use crate::clock::Clock;
use crate::error::{Error, Kind, Result};
use crate::serve::{Loaded, serve};

/// Serves pages, and runs pipelines on their schedules.
#[derive(Args)]
#[command(after_help = "Example: host serve pipelines/hubspot.toml --open\n\n\
It listens on 127.0.0.1 alone. The first Ctrl-C stops a run as it does `host run`, a second one ends the process.")]
pub(super) struct Serve {
    /// The pipeline files.
    #[arg(required = true)]
    pipelines: Vec<PathBuf>,
    /// The port; 0 takes any that is free.
    #[arg(long, default_value_t = 7700)]
    port: u16,
    /// Opens the first page in the browser.
    #[arg(long)]
    open: bool,
}

impl Serve {
    pub(super) fn run(&self, shared: &Shared) -> Result<String> {
        let engine = engine()?;
        let load = |path: &PathBuf| {
            let (pipeline, engine, search) = opened(path, shared, &engine)?;
            Ok(Loaded { path: path.clone(), pipeline, engine, search })
        };
        let (loaded, problems): (Vec<_>, Vec<_>) = self.pipelines.iter().map(load).partition(Result::is_ok);
        let problems = problems.into_iter().filter_map(Result::err).collect();
        Error::all(problems).map_or(Ok(()), Err)?;
        let loaded = loaded.into_iter().flatten().collect();
        let listening = |address: SocketAddr| {
            let url = format!("http://{address}");
            if !shared.quiet {
                let line = match shared.format {
                    Format::Json => json(&serde_json::json!({ "url": url })).unwrap_or_default(),
                    Format::Text => format!("{url}\n"),
                };
                // A server serves, whoever hears of it.
                let _ = super::say(&line);
            }
            if self.open {
                open(&url);
            }
        };
        runtime()?.block_on(async {
            let end = async {
                ended().await;
                tokio::spawn(async {
                    ended().await;
                    std::process::exit(i32::from(Kind::Interrupted.exit_code()));
                });
            };
            serve(loaded, self.port, Clock::system(), listening, end).await
        })?;
        Ok(String::new())
    }
}

/// Shows the page in whatever browser the desktop has.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let command = std::process::Command::new(program).arg(url).stderr(std::process::Stdio::null()).spawn();
    if command.is_err() {
        eprintln!("no `{program}` here: open {url} in a browser");
    }
}

//! `host serve`: pages and schedules on this machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use host_core::clock::Clock;
use host_core::error::{Kind, Result, collect};

use super::{Format, GlobalArguments, engine, json, load, runtime, signal};
use crate::serve::{LoadedPipeline, serve};

/// Serves pages, and runs pipelines on their schedules.
#[derive(Args)]
#[command(after_help = "Example: host serve pipelines/hubspot.toml --open\n\n\
It listens on 127.0.0.1 only. The first Ctrl-C stops active runs as in `host run`; a second one ends the process.")]
pub(super) struct Serve {
    /// The pipeline files.
    #[arg(required = true)]
    pipelines: Vec<PathBuf>,
    /// The port. 0 chooses any free port.
    #[arg(long, default_value_t = 7700)]
    port: u16,
    /// Open the first page in the browser.
    #[arg(long)]
    open: bool,
}

impl Serve {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        let engine = engine()?;
        let load = |path: &PathBuf| {
            let (pipeline, engine, folders) = load(path, global, &engine)?;
            Ok(LoadedPipeline { path: path.clone(), pipeline, engine, folders })
        };
        let loaded = collect(self.pipelines.iter().map(load))?;
        let listening = |address: SocketAddr| {
            let url = format!("http://{address}");
            if !global.quiet {
                let line = match global.format {
                    Format::Json => json(&serde_json::json!({ "url": url })).unwrap_or_default(),
                    Format::Text => format!("{url}\n"),
                };
                // The server works without this line.
                let _ = super::say(&line);
            }
            if self.open {
                open(&url);
            }
        };
        runtime()?.block_on(async {
            let end = async {
                signal().await;
                tokio::spawn(async {
                    signal().await;
                    std::process::exit(i32::from(Kind::Interrupted.exit_code()));
                });
            };
            serve(loaded, self.port, Clock::system(), listening, end).await
        })?;
        Ok(String::new())
    }
}

/// Opens a page in the default browser.
fn open(url: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let command = std::process::Command::new(program).arg(url).stderr(std::process::Stdio::null()).spawn();
    if command.is_err() {
        super::complain(&format!("`{program}` was not found: open {url} in a browser\n"));
    }
}

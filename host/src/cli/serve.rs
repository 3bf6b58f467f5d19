//! `host serve`: pages and schedules on this machine.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use host_core::clock::Clock;
use host_core::error::{Kind, Result, collect};
use host_core::files::folder_of;

use super::{Format, GlobalArguments, engine, json, load, runtime, signal};
use crate::serve::{LoadedPipeline, ServerToken, serve};

/// How long the file that hands the address to the browser exists.
const OPEN_TIME: Duration = Duration::from_secs(60);

/// Serves pages, and runs pipelines on their schedules.
#[derive(Args)]
#[command(after_help = "Example: host serve pipelines/hubspot.toml --open\n\n\
It listens on 127.0.0.1 only, and prints an address with a token. Anyone who opens it can read the pages and start runs.\n\
The first Ctrl-C stops active runs as in `host run`; a second one ends the process.")]
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
    /// Read the token from this file, which no other user may be able to read. It is created if it does not exist.
    /// Without a file, each start has a new token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Serve {
    pub(super) fn run(&self, global: &GlobalArguments) -> Result<String> {
        let engine = engine()?;
        let load = |path: &PathBuf| {
            let (pipeline, engine, folders) = load(path, global, &engine)?;
            Ok(LoadedPipeline { path: path.clone(), pipeline, engine, folders })
        };
        let loaded = collect(self.pipelines.iter().map(load))?;
        let token = self.token_file.as_deref().map_or_else(ServerToken::generate, ServerToken::from_file)?;
        let listening = |url: &str| {
            if !global.quiet {
                let line = match global.format {
                    Format::Json => json(&serde_json::json!({ "url": url })).unwrap_or_default(),
                    Format::Text => format!("{url}\n"),
                };
                // The server works without this line.
                let _ = super::say(&line);
            }
            if self.open {
                open(url, self.pipelines.first().map_or(Path::new("."), |path| folder_of(path)));
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
            serve(loaded, self.port, Clock::system(), token, listening, end).await
        })?;
        Ok(String::new())
    }
}

/// Opens an address in the default browser. Other users see the arguments of programs, so the address is in a private
/// file. It is beside the pipeline, because some browsers can read files of the home folder only. It is removed after a time,
/// or with the runtime of the server, in which this is called.
fn open(url: &str, folder: &Path) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let page =
        format!("<!doctype html><meta http-equiv=\"refresh\" content=\"0; url={url}\"><a href=\"{url}\">host</a>\n");
    let write = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("open-").suffix(".html");
        let mut file = builder.tempfile_in(folder).or_else(|_| builder.tempfile())?;
        file.write_all(page.as_bytes())?;
        let path = file.path().canonicalize()?;
        std::process::Command::new(program).arg(path).stderr(std::process::Stdio::null()).spawn()?;
        std::io::Result::Ok(file)
    };
    match write() {
        Ok(file) => {
            tokio::spawn(async move {
                tokio::time::sleep(OPEN_TIME).await;
                drop(file);
            });
        }
        Err(cause) => super::complain(&format!("the browser was not opened: `{program}`: {cause}\n")),
    }
}

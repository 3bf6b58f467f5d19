//! `host init`: the shipped pipeline and models as files of one's own.

use std::path::{Path, PathBuf};

use clap::Args;
use include_dir::{Dir, include_dir};

use crate::error::{Error, Result};

static PIPELINES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../pipelines");
static SQL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../sql");

/// Makes a project.
#[derive(Args)]
#[command(after_help = "Example: host init clinic")]
pub(super) struct Init {
    /// An empty or new folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
}

impl Init {
    pub(super) fn run(&self) -> Result<String> {
        let folder = &self.folder;
        let broken = |cause: std::io::Error| Error::config(format!("{}: {cause}", folder.display()));
        std::fs::create_dir_all(folder).map_err(broken)?;
        if std::fs::read_dir(folder).map_err(broken)?.next().is_some() {
            let error = Error::config(format!("{} is not empty", folder.display()));
            return Err(error.hint("name a new folder: `host init clinic`"));
        }
        for (name, files) in [("pipelines", &PIPELINES), ("sql", &SQL)] {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder).and_then(|()| files.extract(&folder)).map_err(broken)?;
        }
        let write = |path: &Path, text: &str| std::fs::write(path, text).map_err(broken);
        write(
            &folder.join(".env.example"),
            "HUBSPOT_ACCESS_TOKEN=pat-…\n# Paths start at the pipeline's folder.\n# MARKETING_SPEND_CSV=../marketing_spend.csv\n",
        )?;
        write(&folder.join(".gitignore"), ".env\nwarehouse.duckdb*\n")?;
        let shown = folder.display();
        Ok(format!(
            "made {shown}\n\nnext:\n  cd {shown}\n  cp .env.example .env    # put your HubSpot token in it\n  \
             host check pipelines/hubspot.toml\n  host run pipelines/hubspot.toml\n"
        ))
    }
}

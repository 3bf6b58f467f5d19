//! `host init`: a project with the shipped pipeline and models.

use std::path::PathBuf;

use clap::Args;
use host_core::error::{Error, Result};
use include_dir::{Dir, include_dir};

static PIPELINES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../pipelines");
static PROJECT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates/project");
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
            return Err(error.hint("give a new folder: `host init clinic`"));
        }
        for (name, files) in [("pipelines", &PIPELINES), ("sql", &SQL)] {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder).and_then(|()| files.extract(&folder)).map_err(broken)?;
        }
        PROJECT.extract(folder).map_err(broken)?;
        // `cp` keeps the permissions, so that the copy with secrets is private.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let private = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(folder.join(".env.example"), private).map_err(broken)?;
        }
        let pipeline =
            PIPELINES.files().map(|file| file.path().display().to_string()).find(|name| name.ends_with(".toml"));
        let pipeline = format!("pipelines/{}", pipeline.unwrap_or_default());
        let shown = folder.display();
        Ok(format!(
            "created {shown}\n\nnext:\n  cd {shown}\n  cp .env.example .env    # then set the secrets in it\n  \
             host check {pipeline}\n  host run {pipeline}\n"
        ))
    }
}
